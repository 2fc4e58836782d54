import { attach } from "headwater";

attach(document.querySelector("video")!, location.hash.slice(1));
