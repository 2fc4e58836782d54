// WebTorrent's side of the bench: tracker and seeder in one Node process, as ours are in one.
//
// usage: node seed.mjs FILE PIECE_LENGTH [UPLOAD_LIMIT]; prints {"tracker","torrentFile","peerId"} when it
// seeds, and then {"sent"}, in bytes, once a second.

import { Server } from "bittorrent-tracker";
import { started } from "./client.mjs";

const [file, pieceLength, uploadLimit = -1] = process.argv.slice(2);
const tracker = new Server({ udp: false, http: false, ws: true, stats: false });
await new Promise((resolve) => tracker.listen(0, "127.0.0.1", resolve));
const announce = `ws://127.0.0.1:${tracker.ws.address().port}`;

const client = started({ uploadLimit: Number(uploadLimit) });
client.seed(file, { announce: [announce], pieceLength: Number(pieceLength) }, (torrent) => {
  const torrentFile = Buffer.from(torrent.torrentFile).toString("base64");
  console.log(JSON.stringify({ tracker: announce, infoHash: torrent.infoHash, torrentFile, peerId: client.peerId }));
  setInterval(() => console.log(JSON.stringify({ sent: torrent.uploaded })), 1000);
});
