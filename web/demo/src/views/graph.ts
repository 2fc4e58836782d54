/**
 * Peers on a ring around this page, as SVG. Widths follow rates; what flows moves.
 *
 * Draws; knows nothing of torrents.
 */
import * as format from "../format.js";

export interface Node {
  key: string;
  kind: "liar" | "origin" | "seeder" | "slow" | "viewer" | "you";
  name: string;
  detail: string;
}

export interface Link {
  from: string;
  to: string;
  /** Bytes a second. */
  rate: number;
  label: string;
}

export interface Graph {
  /** The first is in the middle. */
  nodes: readonly Node[];
  links: readonly Link[];
  /** Peers that are there and not drawn. */
  more: number;
}

const [WIDTH, HEIGHT] = [400, 400];
const CENTRE: Point = [WIDTH / 2, HEIGHT / 2 - 14];
const RADII: Point = [168, 154];
const RADIUS = 17;

type Point = [number, number];

const COLOURS: Record<Node["kind"], string> = {
  liar: "var(--refused)",
  origin: "var(--origin)",
  seeder: "var(--seeder)",
  slow: "var(--ink-soft)",
  viewer: "var(--peer)",
  you: "var(--accent)",
};

/** Draws it anew. */
export function drawGraph(svg: SVGSVGElement, { nodes, links, more }: Graph): void {
  svg.setAttribute("aria-label", describe(nodes, links, more));
  const [you, ...others] = nodes;
  if (!you || others.length === 0) {
    const ring = make("ellipse", { cx: String(CENTRE[0]), cy: String(CENTRE[1]), rx: String(RADII[0]), ry: String(RADII[1]), class: "ring" });
    const alone = you ? nodeAt(you, CENTRE) : make("g", {});
    return svg.replaceChildren(ring, alone, text("Nobody is connected", [CENTRE[0], CENTRE[1] + 72], "nobody"));
  }
  const places = new Map<string, Point>([[you.key, CENTRE]]);
  others.forEach(({ key }, at) => places.set(key, onRing(at, others.length)));
  const kinds = new Map(nodes.map(({ key, kind }) => [key, kind]));
  const lines = links.flatMap((link) => lineOf(link, places, kinds));
  const labels = links.flatMap((link) => labelOf(link, places));
  const circles = nodes.flatMap((node) => nodeAt(node, places.get(node.key) ?? CENTRE));
  const rest = more > 0 ? [text(`and ${more} more`, [WIDTH - 40, HEIGHT - 6], "sub")] : [];
  svg.replaceChildren(...lines, ...labels, ...circles, ...rest);
}

function onRing(at: number, count: number): Point {
  // One or two stand beside us, where there is room for what is said of the line; more begin at the top.
  const angle = (count <= 2 ? Math.PI : -Math.PI / 2) + (at / count) * 2 * Math.PI;
  return [CENTRE[0] + RADII[0] * Math.cos(angle), CENTRE[1] + RADII[1] * Math.sin(angle)];
}

function lineOf({ from, to, rate }: Link, places: Map<string, Point>, kinds: Map<string, Node["kind"]>): SVGElement[] {
  const [start, end] = [places.get(from), places.get(to)];
  if (!start || !end) return [];
  const isFlowing = rate >= 1;
  const line = make("path", { d: curve(start, end), class: isFlowing ? "link flow" : "link idle" });
  if (isFlowing) {
    line.setAttribute("stroke", COLOURS[kinds.get(from) ?? "viewer"]);
    // A tenfold rate is two pixels more: 1 kB/s to 100 MB/s stay apart.
    line.setAttribute("stroke-width", Math.max(1.5, 2 * Math.log10(rate / 100)).toFixed(1));
    line.setAttribute("stroke-dasharray", "9 3");
    // In step with the clock, so that a line that is drawn anew goes on where it was.
    line.style.animationDelay = `${-(performance.now() % 1200)}ms`;
  }
  return [line];
}

/** To the right of the straight line, so that both directions are seen, and what is said of them between. */
function curve([x1, y1]: Point, [x2, y2]: Point): string {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = Math.hypot(dx, dy) || 1;
  const bend = 26;
  const [mx, my] = [(x1 + x2) / 2 - (dy / length) * bend, (y1 + y2) / 2 + (dx / length) * bend];
  return `M${x1.toFixed(1)} ${y1.toFixed(1)}Q${mx.toFixed(1)} ${my.toFixed(1)} ${x2.toFixed(1)} ${y2.toFixed(1)}`;
}

function labelOf({ from, to, label }: Link, places: Map<string, Point>): SVGElement[] {
  const [start, end] = [places.get(from), places.get(to)];
  if (!label || !start || !end) return [];
  const at = (part: 0 | 1): number => start[part] + (end[part] - start[part]) * 0.5;
  return [text(label, [at(0), at(1) + 4], "sub")];
}

function nodeAt({ kind, name, detail }: Node, [x, y]: Point): SVGElement {
  const group = make("g", { class: `node ${kind}` });
  const circle = make("circle", { cx: x.toFixed(1), cy: y.toFixed(1), r: String(kind === "you" ? RADIUS + 4 : RADIUS) });
  if (kind !== "you") circle.setAttribute("stroke", COLOURS[kind]);
  const mark = text(MARKS[kind], [x, y + 5], "mark");
  const below = y + RADIUS + (kind === "you" ? 19 : 15);
  group.append(circle, mark, text(name, [x, below], ""), text(detail, [x, below + 14], "sub"));
  return group;
}

const MARKS: Record<Node["kind"], string> = { liar: "✕", origin: "W", seeder: "S", slow: "…", viewer: "▸", you: "▶" };

function text(content: string, [x, y]: Point, name: string): SVGElement {
  const made = make("text", { x: x.toFixed(1), y: y.toFixed(1), class: name });
  made.textContent = content;
  return made;
}

function make(tag: string, attributes: Record<string, string>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function describe(nodes: readonly Node[], links: readonly Link[], more: number): string {
  const [you, ...others] = nodes;
  if (!you || others.length === 0) return "Nobody is connected";
  const of = (node: Node): string => {
    const rate = (from: string, to: string): number => links.find((link) => link.from === from && link.to === to)?.rate ?? 0;
    return `${node.name} sends ${format.rate(rate(node.key, you.key))} and gets ${format.rate(rate(you.key, node.key))}`;
  };
  return [...others.map(of), ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
