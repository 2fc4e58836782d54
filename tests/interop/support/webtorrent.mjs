// WebTorrent in Node gets a torrent and then gives it, until it is stopped.
//
// usage: node webtorrent.mjs MAGNET|TORRENT ANNOUNCE FOLDER; prints {"done": true} when it has all of it.

import { started } from "../../bench/webtorrent/client.mjs";

const [id, announce, path] = process.argv.slice(2);
const torrent = started().add(id, { announce: [announce], path });
torrent.on("done", () => console.log(JSON.stringify({ done: true })));
