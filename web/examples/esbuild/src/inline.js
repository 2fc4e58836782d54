import { attach } from "headwater/inline";

attach(document.querySelector("video"), location.hash.slice(1));
