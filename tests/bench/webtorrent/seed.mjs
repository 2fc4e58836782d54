// WebTorrent's side of the bench: tracker and seeder in one Node process, as ours are in one.
//
// usage: node seed.mjs FILE PIECE_LENGTH [UPLOAD_LIMIT]; prints {"tracker","torrentFile","peerId"} when it
// seeds, and then {"sent"}, in bytes, once a second.

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
const { Server } = await import("bittorrent-tracker");

const [file, pieceLength, uploadLimit = -1] = process.argv.slice(2);
const tracker = new Server({ udp: false, http: false, ws: true, stats: false });
await new Promise((resolve) => tracker.listen(0, "127.0.0.1", resolve));
const announce = `ws://127.0.0.1:${tracker.ws.address().port}`;

const client = new WebTorrent({
  dht: false,
  lsd: false,
  natUpnp: false,
  natPmp: false,
  utPex: false,
  utp: false,
  uploadLimit: Number(uploadLimit),
  tracker: { rtcConfig: { iceServers: [] } },
});
client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
client.seed(file, { announce: [announce], pieceLength: Number(pieceLength) }, (torrent) => {
  const torrentFile = Buffer.from(torrent.torrentFile).toString("base64");
  console.log(JSON.stringify({ tracker: announce, infoHash: torrent.infoHash, torrentFile, peerId: client.peerId }));
  setInterval(() => console.log(JSON.stringify({ sent: torrent.uploaded })), 1000);
});
