/**
 * Whose bytes they were: viewers', seeders' or an origin's, in all and per second.
 *
 * Counts what peers report of themselves; shows nothing.
 */
import type { PeerStats, Stats } from "headwater";

/** Bytes, or bytes a second, by where they came from. */
export interface Sources {
  viewers: number;
  seeders: number;
  origin: number;
}

const NOTHING: Sources = { viewers: 0, seeders: 0, origin: 0 };

/** `-HW0100-`: the native program's peer ids begin so, in hex. */
const NATIVE = "2d4857303130302d";

/**
 * Whether this peer is the publisher's: a native program that has everything. Pages are viewers,
 * however much they hold.
 */
export function isSeeder({ id, seed, transport }: PeerStats): boolean {
  return seed && (transport === "tcp" || (id ?? "").startsWith(NATIVE));
}

/** Adds up what comes, while peers come and go. */
export class Ledger {
  readonly #counted = new Map<number, number>();
  total: Sources = { ...NOTHING };
  /** Of late, a second. */
  rate: Sources = { ...NOTHING };

  add(peers: readonly PeerStats[], { fromOrigins, originRate }: Stats): void {
    const rate = { ...NOTHING, origin: originRate };
    this.total.origin = fromOrigins;
    for (const peer of peers) {
      const kind = isSeeder(peer) ? "seeders" : "viewers";
      this.total[kind] += Math.max(0, peer.received - (this.#counted.get(peer.peer) ?? 0));
      this.#counted.set(peer.peer, peer.received);
      rate[kind] += peer.receiveRate;
    }
    this.rate = rate;
  }

  /** Begins anew, for another film. */
  clear(): void {
    this.#counted.clear();
    this.total = { ...NOTHING };
    this.rate = { ...NOTHING };
  }

  /** The part of all bytes that viewers carried; null while there are none. */
  get offload(): number | null {
    const { viewers, seeders, origin } = this.total;
    const all = viewers + seeders + origin;
    return all > 0 ? viewers / all : null;
  }
}
