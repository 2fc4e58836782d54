/**
 * The ribbon under the film: every piece in its state, and the window as a bracket on it.
 *
 * Draws; decides nothing.
 */
import { PieceState, type PieceMap } from "headwater";
import * as format from "./format.js";

const RIBBON_TOP = 22;
const RIBBON_HEIGHT = 26;
const BRACKET_TOP = RIBBON_TOP + RIBBON_HEIGHT + 6;
const HEIGHT = BRACKET_TOP + 26;

/** Pieces narrower than this many pixels get no gap between them. */
const GAP_FROM_WIDTH = 5;

/** Where states differ within one pixel, the later of these shows. */
const ORDER = [PieceState.missing, PieceState.verified, PieceState.inFlight, PieceState.refused] as const;

interface Palette {
  byState: string[];
  ink: string;
  muted: string;
  head: string;
}

/** A map of pieces on a canvas. */
export class PieceMapView {
  readonly #canvas: HTMLCanvasElement;
  #map: PieceMap | null = null;
  #pieceLength = 0;
  #isDue = false;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#drawSoon()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawSoon());
  }

  /** Shows this map, or none. */
  show(map: PieceMap | null, pieceLength: number): void {
    this.#map = map;
    this.#pieceLength = pieceLength;
    this.#drawSoon();
  }

  /** Changes one piece between two maps. */
  setState(piece: number, state: number): void {
    if (!this.#map || piece >= this.#map.states.length) return;
    this.#map.states[piece] = state;
    this.#drawSoon();
  }

  #drawSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  #draw(): void {
    const scale = devicePixelRatio;
    const width = this.#canvas.clientWidth;
    const [pixelWidth, pixelHeight] = [Math.round(width * scale), Math.round(HEIGHT * scale)];
    if (this.#canvas.width !== pixelWidth) this.#canvas.width = pixelWidth;
    if (this.#canvas.height !== pixelHeight) this.#canvas.height = pixelHeight;
    const context = this.#canvas.getContext("2d");
    if (!context || width === 0) return;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, HEIGHT);
    const palette = readPalette(this.#canvas);
    const map = this.#map;
    if (!map || map.states.length === 0) {
      context.fillStyle = palette.byState[PieceState.missing] ?? "";
      context.fillRect(0, RIBBON_TOP, width, RIBBON_HEIGHT);
      return;
    }
    drawRibbon(context, map.states, width, palette);
    drawHeads(context, map, width, palette);
    this.#drawBrackets(context, map, width, palette);
    this.#canvas.setAttribute("aria-label", describe(map));
  }

  #drawBrackets(context: CanvasRenderingContext2D, map: PieceMap, width: number, palette: Palette): void {
    const count = map.states.length;
    // Pieces behind every reader are kept to share; so are all of them when nobody reads.
    const head = map.heads.length > 0 ? Math.min(...map.heads) : map.states.lastIndexOf(PieceState.verified) + 1;
    const first = map.states.indexOf(PieceState.verified);
    const bytes = (pieces: number): string => format.bytes(pieces * this.#pieceLength);
    const x = (piece: number): number => (piece / count) * width;
    if (first >= 0 && first < head) {
      const kept = map.states.subarray(first, head).reduce((sum, state) => sum + Number(state === PieceState.verified), 0);
      drawBracket(context, x(first), x(head), `kept ${bytes(kept)}`, palette.muted, width);
    }
    for (const { start, end } of map.window) drawBracket(context, x(start), x(end), `ahead ${bytes(end - start)}`, palette.ink, width);
  }
}

function drawRibbon(context: CanvasRenderingContext2D, states: Uint8Array, width: number, palette: Palette): void {
  const pieceWidth = width / states.length;
  if (pieceWidth >= 1) {
    const gap = pieceWidth >= GAP_FROM_WIDTH ? 1 : 0;
    for (let piece = 0; piece < states.length; piece += 1) {
      context.fillStyle = palette.byState[states[piece] ?? 0] ?? "";
      const left = Math.round(piece * pieceWidth);
      context.fillRect(left, RIBBON_TOP, Math.max(1, Math.round((piece + 1) * pieceWidth) - left - gap), RIBBON_HEIGHT);
    }
    return;
  }
  for (let column = 0; column < width; column += 1) {
    const from = Math.floor((column / width) * states.length);
    const to = Math.max(from + 1, Math.floor(((column + 1) / width) * states.length));
    let rank = 0;
    for (let piece = from; piece < to; piece += 1) rank = Math.max(rank, ORDER.indexOf((states[piece] ?? 0) as (typeof ORDER)[number]));
    context.fillStyle = palette.byState[ORDER[rank] ?? 0] ?? "";
    context.fillRect(column, RIBBON_TOP, 1, RIBBON_HEIGHT);
  }
}

function drawHeads(context: CanvasRenderingContext2D, map: PieceMap, width: number, palette: Palette): void {
  context.fillStyle = palette.head;
  for (const head of map.heads) {
    const x = Math.max(1, Math.min(width - 1, (head / map.states.length) * width));
    context.fillRect(x - 1, RIBBON_TOP - 5, 2, RIBBON_HEIGHT + 8);
    context.beginPath();
    context.moveTo(x - 5, RIBBON_TOP - 12);
    context.lineTo(x + 5, RIBBON_TOP - 12);
    context.lineTo(x, RIBBON_TOP - 4);
    context.fill();
  }
}

function drawBracket(context: CanvasRenderingContext2D, from: number, to: number, label: string, colour: string, width: number): void {
  const [left, right] = [Math.max(0.75, from), Math.min(width - 0.75, Math.max(to, from + 2))];
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(left, BRACKET_TOP);
  context.lineTo(left, BRACKET_TOP + 6);
  context.lineTo(right, BRACKET_TOP + 6);
  context.lineTo(right, BRACKET_TOP);
  context.stroke();
  context.font = "12px system-ui, sans-serif";
  const labelWidth = context.measureText(label).width;
  // A label that does not fit under its bracket would run into its neighbour's.
  if (labelWidth > Math.max(right - left, width * 0.2)) return;
  context.fillStyle = colour;
  context.textBaseline = "top";
  const middle = (left + right - labelWidth) / 2;
  context.fillText(label, Math.max(0, Math.min(width - labelWidth, middle)), BRACKET_TOP + 10);
}

function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const byState: string[] = [];
  byState[PieceState.missing] = colour("--missing");
  byState[PieceState.inFlight] = colour("--in-flight");
  byState[PieceState.verified] = colour("--verified");
  byState[PieceState.refused] = colour("--refused");
  return { byState, ink: colour("--ink"), muted: colour("--muted"), head: colour("--head") };
}

function describe({ states, window }: PieceMap): string {
  const counts = [0, 0, 0, 0];
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1;
  const runs = window.map(({ start, end }) => `${start} to ${end - 1}`).join(" and ");
  const windowText = runs ? `; the window is at pieces ${runs}` : "";
  return `${counts[PieceState.verified]} of ${states.length} pieces verified, ${counts[PieceState.inFlight]} on the way${windowText}`;
}
