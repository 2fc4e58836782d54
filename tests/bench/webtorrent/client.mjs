// WebTorrent in Node, that meets peers at WebSocket trackers on this machine and nowhere else.

import { RTCPeerConnection } from "webrtc-polyfill";

// webrtc-polyfill 1.2.2 never says that it has no more candidates, for which simple-peer then
// waits 5 s before each offer and answer. With this, WebTorrent is as quick as it can be.
for (const method of ["createOffer", "createAnswer"]) {
  const original = RTCPeerConnection.prototype[method];
  RTCPeerConnection.prototype[method] = function (...args) {
    this.addEventListener("icegatheringstatechange", () => {
      if (this.iceGatheringState === "complete") this.onicecandidate?.({ candidate: null });
    });
    return original.apply(this, args);
  };
}

const { default: WebTorrent } = await import("webtorrent");

/** A client that ends the process when it fails. */
export function started(options = {}) {
  const client = new WebTorrent({
    dht: false,
    lsd: false,
    natUpnp: false,
    natPmp: false,
    utPex: false,
    utp: false,
    tracker: { rtcConfig: { iceServers: [] } },
    ...options,
  });
  client.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  return client;
}
