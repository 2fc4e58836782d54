/** A viewer in a frame: an ordinary client that reads a file, at the film's pace or as fast as it comes. */
import { Headwater, type Torrent, type TorrentFile } from "headwater";
import { Ledger } from "../ledger.js";
import { reportOf, Voice, type Role } from "../neighbours.js";
import type { Order } from "./orders.js";

/** What a slow peer gives at the most: bytes a second. */
const SLOW_RATE = 8 * 1024;

/** Joins, reads, and says how it does, until the frame is gone. */
export async function view(order: Extract<Order, { kind: "slow" | "viewer" }>): Promise<void> {
  // Asked to share: who presses the button wants to see it shared.
  const client = new Headwater({ swUrl: null, windowBytes: order.windowBytes, share: "share", ...(order.kind === "slow" && { uploadRate: SLOW_RATE }) });
  const torrent = client.add(order.magnet);
  tell(torrent, order.kind);
  addEventListener("pagehide", () => void client.destroy());
  const { files } = await torrent.ready;
  const file = files.find(({ index }) => index === order.file);
  if (!file) return;
  const pace = order.kind === "slow" ? Infinity : file.length / order.seconds;
  let start = order.kind === "slow" ? 0 : Math.floor(file.length * order.from);
  do {
    await read(file, start, pace);
    start = 0;
    // A slow peer has what it came for; the others watch it again.
  } while (order.kind === "viewer");
}

/** Takes bytes as they are due: `pace` of them a second. */
async function read(file: TorrentFile, start: number, pace: number): Promise<void> {
  const began = performance.now();
  const reader = file.stream({ start }).getReader();
  let taken = 0;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    taken += chunk.value.length;
    const early = began + (1000 * taken) / pace - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  }
}

function tell(torrent: Torrent, role: Role): void {
  const voice = new Voice();
  const ledger = new Ledger();
  torrent.on("stats", (stats) => {
    ledger.add(torrent.peers, stats);
    voice.say(reportOf(torrent, stats, role, ledger));
  });
}
