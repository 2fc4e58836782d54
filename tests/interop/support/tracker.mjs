// bittorrent-tracker over HTTP and WebSockets, until it is stopped.
//
// usage: node tracker.mjs ADDRESS

import { Server } from "../../bench/webtorrent/node_modules/bittorrent-tracker/index.js";

const [address] = process.argv.slice(2);
const tracker = new Server({ udp: false, http: true, ws: true, stats: false });
tracker.on("warning", (error) => console.error(error.message));
await new Promise((resolve) => tracker.listen(0, address, resolve));
const at = `${address}:${tracker.http.address().port}`;
console.log(JSON.stringify({ announce: `http://${at}/announce`, websocket: `ws://${at}` }));
