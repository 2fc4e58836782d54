/** The table of peers: one row each, kept while the peer is there. */
import type { PeerStats } from "headwater";
import { make, setText } from "../dom.js";
import * as format from "../format.js";

/** Fills a table body. */
export class PeersTable {
  readonly #body: HTMLElement;
  readonly #rows = new Map<number, HTMLElement>();

  constructor(body: HTMLElement) {
    this.#body = body;
  }

  show(peers: readonly PeerStats[], pieceCount: number): void {
    const here = new Set(peers.map(({ peer }) => peer));
    for (const [peer, row] of this.#rows) {
      if (here.has(peer)) continue;
      row.remove();
      this.#rows.delete(peer);
    }
    for (const peer of peers) fill(this.#row(peer.peer), cells(peer, pieceCount));
    this.#body.classList.toggle("empty", peers.length === 0);
  }

  #row(peer: number): HTMLElement {
    const known = this.#rows.get(peer);
    if (known) return known;
    const row = document.createElement("tr");
    const header = make("th", "");
    header.setAttribute("scope", "row");
    row.append(header, ...Array.from({ length: COLUMNS - 1 }, () => make("td", "", "num")));
    this.#rows.set(peer, row);
    this.#body.append(row);
    return row;
  }
}

const COLUMNS = 9;

function cells(peer: PeerStats, pieceCount: number): string[] {
  const name = peer.client || peer.name || "unnamed";
  return [
    peer.snubbed ? `${name} (does not answer)` : name,
    peer.path ?? "–",
    format.rate(peer.receiveRate),
    format.rate(peer.sendRate),
    format.bytes(peer.received),
    format.bytes(peer.sent),
    format.milliseconds(peer.roundTripMs),
    `${peer.outstanding} / ${peer.pipeline}`,
    peer.seed ? "all" : format.percent(peer.pieces, pieceCount),
  ];
}

function fill(row: HTMLElement, texts: string[]): void {
  texts.forEach((text, column) => {
    const cell = row.children[column];
    if (cell) setText(cell, text);
  });
}
