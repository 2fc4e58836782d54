/**
 * What other pages of this site in this browser say of themselves: other tabs, and the peers that
 * "Try to break it" adds in frames.
 *
 * Peers of other browsers say no such thing: of those only our own link is known.
 */

import type { Stats, Torrent } from "headwater";
import { swarmOf } from "./film.js";
import type { Ledger } from "./ledger.js";

/** What a page is in the swarm. */
export type Role = "liar" | "slow" | "tab" | "viewer";

/** One page's view of its own links. */
export interface Report {
  kind: "report";
  swarm: string;
  peerId: string;
  role: Role;
  links: { peerId: string; receiveRate: number; sendRate: number }[];
  /** Bytes that viewers gave it. */
  fromViewers: number;
}

/** What a page says of its torrent, with each new set of figures. */
export function reportOf(torrent: Torrent, { peerId }: Stats, role: Role, { total }: Ledger): Report {
  const links = torrent.peers.flatMap(({ id, receiveRate, sendRate }) => (id ? [{ peerId: id, receiveRate, sendRate }] : []));
  return { kind: "report", swarm: swarmOf({ torrent }), peerId, role, links, fromViewers: total.viewers };
}

/** What a liar has done so far. */
export interface Confession {
  kind: "confession";
  swarm: string;
  peerId: string;
  asked: number;
  lied: number;
  dropped: number;
}

export type Said = Confession | Report | { kind: "left"; peerId: string };

/** One that has been silent for so long is gone. */
const SILENT_MS = 4_000;

/** Tells the other pages, without hearing them. */
export class Voice {
  readonly #channel = new BroadcastChannel(CHANNEL);

  say(said: Said): void {
    this.#channel.postMessage(said);
  }
}

/** Hears the other pages. */
export class Neighbours {
  readonly #channel = new BroadcastChannel(CHANNEL);
  readonly #reports = new Map<string, { report: Report; at: number }>();
  /** Called with what a liar says of itself. */
  onConfession: (confession: Confession) => void = () => {};

  constructor() {
    this.#channel.addEventListener("message", ({ data }: MessageEvent<Said>) => this.#handle(data));
  }

  /** Pages in this swarm. */
  in(swarm: string): Report[] {
    const now = performance.now();
    for (const [peerId, { at }] of this.#reports) {
      if (now - at > SILENT_MS) this.#reports.delete(peerId);
    }
    return [...this.#reports.values()].map(({ report }) => report).filter((report) => report.swarm === swarm);
  }

  #handle(said: Said): void {
    switch (said.kind) {
      case "confession": return this.onConfession(said);
      case "left": return void this.#reports.delete(said.peerId);
      case "report": return void this.#reports.set(said.peerId, { report: said, at: performance.now() });
      default: said satisfies never;
    }
  }
}

const CHANNEL = "headwater-demo";
