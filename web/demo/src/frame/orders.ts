/** What a peer in a frame is told to be: in the address of its frame, as JSON after `#`. */

export type Order =
  /** A viewer without a screen: reads the film at its pace, from `from` (0 to 1) on, and again from the start. */
  | { kind: "viewer"; magnet: string; file: number; from: number; seconds: number; windowBytes: number }
  /** Gets the film as fast as it can, and gives next to nothing of it. */
  | { kind: "slow"; magnet: string; file: number; windowBytes: number }
  /** Claims to have everything, and answers with wrong bytes. `swarm` is the info hash, in hex. */
  | { kind: "liar"; tracker: string; swarm: string };

export function frameUrl(order: Order): string {
  return `frame.html#${encodeURIComponent(JSON.stringify(order))}`;
}

export function readOrder(hash: string): Order {
  return JSON.parse(decodeURIComponent(hash.slice(1))) as Order;
}
