"use client";

import { attach } from "headwater";
import { useEffect, useRef } from "react";

export default function Film() {
  const video = useRef(null);
  useEffect(() => {
    const { detach } = attach(video.current, location.hash.slice(1));
    return detach;
  }, []);
  return <video ref={video} controls muted autoPlay playsInline />;
}
