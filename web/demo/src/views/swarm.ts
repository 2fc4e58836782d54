/**
 * The live swarm: who sends to whom, and what came of it. No addresses: they are nobody's business.
 *
 * Our own links are measured here; links between other pages of this browser are what those say.
 */
import type { PeerStats, Stats } from "headwater";
import { element, setText } from "../dom.js";
import { swarmOf, type Film, type View } from "../film.js";
import * as format from "../format.js";
import { isSeeder, Ledger } from "../ledger.js";
import type { Neighbours, Report, Role } from "../neighbours.js";
import { drawGraph, type Graph, type Link, type Node } from "./graph.js";

/** Peers drawn; more would be a knot. The rest are counted. */
const MAX_NODES = 11;

/** Figures and graph. */
export class Swarm implements View {
  readonly #graph = element("graph", SVGSVGElement);
  readonly #neighbours: Neighbours;
  readonly #ledger: Ledger;

  constructor(neighbours: Neighbours, ledger: Ledger) {
    this.#neighbours = neighbours;
    this.#ledger = ledger;
    this.close();
  }

  update(film: Film, stats: Stats): void {
    const reports = this.#neighbours.in(swarmOf(film));
    drawGraph(this.#graph, graphOf(film.torrent.peers, stats, reports));
    this.#showFigures(stats, reports);
  }

  close(): void {
    drawGraph(this.#graph, { nodes: [], links: [], more: 0 });
    for (const id of ["offload", "saved", "receive-rate", "send-rate", "refused"]) setText(element(id, HTMLElement), "–");
    setText(element("peer-count", HTMLElement), "0");
    showCopies(null);
  }

  #showFigures(stats: Stats, reports: readonly Report[]): void {
    const { offload, total } = this.#ledger;
    const others = reports.reduce((sum, { fromViewers }) => sum + fromViewers, 0);
    setText(element("peer-count", HTMLElement), String(stats.peers));
    setText(element("offload", HTMLElement), offload === null ? "–" : format.share(offload));
    // What pages of this browser got from viewers, each byte once, the publisher did not send.
    setText(element("saved", HTMLElement), format.bytes(total.viewers + others));
    setText(element("receive-rate", HTMLElement), format.rate(stats.receiveRate + stats.originRate));
    setText(element("send-rate", HTMLElement), format.rate(stats.sendRate));
    setText(element("refused", HTMLElement), format.bytes(stats.refused));
    element("refused", HTMLElement).classList.toggle("bad", stats.refused > 0);
    showCopies(stats.copies);
  }
}

function showCopies(copies: number | null): void {
  const meter = element("copies", HTMLElement);
  const shown = Math.min(3, copies ?? 0);
  meter.style.setProperty("--part", String(shown / 3));
  meter.setAttribute("aria-valuenow", shown.toFixed(1));
  setText(element("copies-text", HTMLElement), `Copies of the film among your peers: ${copies === null ? "–" : copies.toFixed(1)}`);
}

function graphOf(peers: readonly PeerStats[], stats: Stats, reports: readonly Report[]): Graph {
  const { fromOrigins, originRate } = stats;
  const roles = new Map(reports.map(({ peerId, role }) => [peerId, role]));
  // Those that do something first, then as they came.
  const shown = peers.toSorted((a, b) => rateOf(b) - rateOf(a) || a.peer - b.peer).slice(0, MAX_NODES).toSorted((a, b) => a.peer - b.peer);
  const key = (peer: PeerStats): string => peer.id ?? `peer ${peer.peer}`;
  const you: Node = { key: stats.peerId, kind: "you", name: "You", detail: `↓ ${format.rate(stats.receiveRate + originRate)}` };
  const origin: Node[] = fromOrigins > 0 ? [{ key: "origin", kind: "origin", name: "origin", detail: "web server" }] : [];
  const nodes = [you, ...origin, ...shown.map((peer) => ({ key: key(peer), ...named(peer, roles.get(key(peer))) }))];
  const links: Link[] = shown.flatMap((peer) => [
    { from: key(peer), to: you.key, rate: peer.receiveRate, label: labelOf(peer) },
    { from: you.key, to: key(peer), rate: peer.sendRate, label: "" },
  ]);
  if (fromOrigins > 0) links.push({ from: "origin", to: you.key, rate: originRate, label: format.bytes(fromOrigins) });
  // Each page tells what it gets; what it gives is told by whoever gets it.
  const known = new Set(nodes.map(({ key }) => key));
  for (const { peerId, links: theirs } of reports) {
    for (const { peerId: from, receiveRate } of theirs) {
      if (known.has(peerId) && known.has(from) && from !== you.key && peerId !== you.key) links.push({ from, to: peerId, rate: receiveRate, label: "" });
    }
  }
  return { nodes, links, more: peers.length - shown.length };
}

const ROLES: Record<Role, { kind: Node["kind"]; name: string }> = {
  liar: { kind: "liar", name: "liar" },
  slow: { kind: "slow", name: "slow peer" },
  tab: { kind: "viewer", name: "another tab" },
  viewer: { kind: "viewer", name: "viewer" },
};

function named(peer: PeerStats, role: Role | undefined): Omit<Node, "key"> {
  const has = peer.seed ? "has all" : peer.snubbed ? "silent" : "";
  if (role) return { ...ROLES[role], detail: has };
  if (isSeeder(peer)) return { kind: "seeder", name: "seeder", detail: "" };
  return { kind: "viewer", name: peer.client.split(/[ /]/)[0] || "viewer", detail: has };
}

function labelOf({ roundTripMs, path }: PeerStats): string {
  return [roundTripMs === null || roundTripMs === undefined ? "" : format.milliseconds(roundTripMs), path ?? ""].filter(Boolean).join(" · ");
}

function rateOf({ receiveRate, sendRate }: PeerStats): number {
  return receiveRate + sendRate;
}
