// bittorrent-tracker's client library at a tracker; what it hears is printed, a line each.
//
// usage: node announcing.mjs ANNOUNCE LEFT; does what the lines of its input say: complete, scrape, stop.

import "../../bench/webtorrent/client.mjs";

import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";

const { default: Client } = await import("../../bench/webtorrent/node_modules/bittorrent-tracker/client.js");

const [announce, left] = process.argv.slice(2);
const client = new Client({
  infoHash: Buffer.alloc(20, 0xfe),
  peerId: randomBytes(20),
  announce: [announce],
  port: 20_000 + (process.pid % 10_000),
  rtcConfig: { iceServers: [] },
  getAnnounceOpts: () => ({ left: Number(left), uploaded: 0, downloaded: 0 }),
});
const say = (what) => console.log(JSON.stringify(what));
for (const trouble of ["error", "warning"]) client.on(trouble, (error) => say({ trouble: error.message }));
client.on("update", ({ complete, incomplete }) => say({ complete, incomplete }));
client.on("scrape", ({ complete, incomplete }) => say({ scraped: [complete, incomplete] }));
client.on("peer", (peer) => {
  if (typeof peer === "string") say({ address: peer });
  else peer.once("connect", () => say({ connected: true }));
});
client.start();
for await (const line of createInterface({ input: process.stdin })) client[line]();
