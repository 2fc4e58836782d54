/**
 * The ribbon under the film: every second of it, coloured by where it came from, and the window as
 * a bracket on it.
 *
 * Draws; decides nothing.
 */
import { PieceSource, PieceState, type PieceMap, type Stats } from "headwater";
import { colours, onColours, type Palette } from "../colours.js";
import { element, setText } from "../dom.js";
import type { Film, View } from "../film.js";
import * as format from "../format.js";

const BAND_TOP = 20;
const BAND_HEIGHT = 32;
const BRACKET_TOP = BAND_TOP + BAND_HEIGHT + 5;
const LABEL_TOP = BRACKET_TOP + 12;
const HEIGHT = 92;
const LABEL_GAP = 12;

/** Pieces narrower than this many pixels get no gap between them. */
const GAP_FROM_WIDTH = 5;
/** How much is left of a colour when the piece was let go. */
const GONE = 0.35;
/** Narrowest time between two marks, in pixels. */
const MARK_EVERY = 72;
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/** A map of the film on a canvas. */
export class Ribbon implements View {
  readonly #canvas = element("ribbon", HTMLCanvasElement);
  readonly #video: HTMLVideoElement;
  #map: PieceMap | null = null;
  #pieceLength = 0;
  /** Whether the film is all of the torrent: then bytes are seconds, nearly. */
  #isTimed = false;
  #isDue = false;
  #stripes: { colour: string; pattern: CanvasPattern | null } = { colour: "", pattern: null };

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    new ResizeObserver(() => this.#drawSoon()).observe(this.#canvas);
    onColours(() => this.#drawSoon());
    video.addEventListener("timeupdate", () => this.#drawSoon());
  }

  open({ torrent }: Film): void {
    torrent.on("pieceVerified", ({ piece }) => this.#setState(piece, PieceState.verified));
    torrent.on("pieceRefused", ({ piece }) => this.#setState(piece, PieceState.refused));
    torrent.on("blockRefused", ({ piece }) => this.#setState(piece, PieceState.refused));
  }

  update({ torrent }: Film, stats: Stats): void {
    this.#map = torrent.pieces;
    this.#pieceLength = torrent.pieceLength;
    this.#isTimed = torrent.files.length === 1;
    setText(element("window-text", HTMLElement), `Window: ${format.bytes(stats.windowUsed)} of ${format.bytes(stats.windowCap)}, at most ${format.bytes(stats.windowPeak)} so far`);
    if (this.#map) this.#canvas.setAttribute("aria-label", describe(this.#map));
    this.#drawSoon();
  }

  close(): void {
    this.#map = null;
    this.#canvas.setAttribute("aria-label", "Nothing of a film yet");
    setText(element("window-text", HTMLElement), "Window: nothing yet");
    this.#drawSoon();
  }

  #setState(piece: number, state: number): void {
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
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "top";
    const palette = colours();
    context.save();
    context.beginPath();
    context.roundRect(0, BAND_TOP, width, BAND_HEIGHT, 5);
    context.clip();
    context.fillStyle = palette.missing;
    context.fillRect(0, BAND_TOP, width, BAND_HEIGHT);
    const map = this.#map;
    if (map && map.states.length > 0) drawBand(context, map, width, palette, this.#stripesOf(context, palette));
    context.restore();
    if (!map || map.states.length === 0) return;
    this.#drawBrackets(context, map, width, palette);
    this.#drawTime(context, width, palette);
  }

  #drawBrackets(context: CanvasRenderingContext2D, map: PieceMap, width: number, palette: Palette): void {
    const count = map.states.length;
    // Pieces behind every reader are kept to share; so are all of them when nobody reads.
    const head = map.heads.length > 0 ? Math.min(...map.heads) : map.states.lastIndexOf(PieceState.verified) + 1;
    const first = map.states.indexOf(PieceState.verified);
    const x = (piece: number): number => (piece / count) * width;
    const label = (word: string, pieces: number): string => `${word} ${format.bytes(pieces * this.#pieceLength)}`;
    // Labels side by side must not run into each other: what is ahead is what one looks for, and goes first.
    let limit = width;
    for (const { start, end } of map.window.toReversed()) {
      limit = drawBracket(context, [x(start), x(end)], label("ahead", end - start), palette.ink, [limit, width]);
    }
    if (first < 0 || first >= head) return;
    const kept = map.states.subarray(first, head).reduce((sum, state) => sum + Number(state === PieceState.verified), 0);
    drawBracket(context, [x(first), x(head)], label("kept", kept), palette["ink-soft"], [limit, width]);
  }

  /** The film's time above the band, and where it plays. */
  #drawTime(context: CanvasRenderingContext2D, width: number, palette: Palette): void {
    const { duration, currentTime } = this.#video;
    if (!this.#isTimed || !Number.isFinite(duration) || duration <= 0) return;
    const x = (seconds: number): number => (seconds / duration) * width;
    const step = STEPS_S.find((seconds) => x(seconds) >= MARK_EVERY) ?? duration;
    context.fillStyle = palette["ink-soft"];
    for (let at = step; x(at) < width - 32; at += step) {
      const text = format.time(at);
      context.fillText(text, x(at) - context.measureText(text).width / 2, 3);
      context.fillRect(x(at) - 0.5, BAND_TOP - 3, 1, 3);
    }
    const now = Math.max(1, Math.min(width - 1, x(currentTime)));
    context.fillStyle = palette.ink;
    context.fillRect(now - 1, BAND_TOP - 6, 2, BAND_HEIGHT + 8);
    context.beginPath();
    context.arc(now, BAND_TOP - 6, 4, 0, 2 * Math.PI);
    context.fill();
  }

  #stripesOf(context: CanvasRenderingContext2D, palette: Palette): CanvasPattern | string {
    if (this.#stripes.colour !== palette.peer) this.#stripes = { colour: palette.peer, pattern: stripes(context, palette) };
    return this.#stripes.pattern ?? palette.peer;
  }
}

/** What shows of a piece, from least to most telling. */
const enum Look { missing, gone, here, flight, refused }

function look(state: number, source: number): Look {
  if (state === PieceState.refused) return Look.refused;
  if (state === PieceState.inFlight) return Look.flight;
  if (state === PieceState.verified) return Look.here;
  return source === 0 ? Look.missing : Look.gone;
}

function drawBand(context: CanvasRenderingContext2D, { states, sources }: PieceMap, width: number, palette: Palette, inFlight: CanvasPattern | string): void {
  const pieceWidth = width / states.length;
  const gap = pieceWidth >= GAP_FROM_WIDTH ? 1 : 0;
  // One column a piece, or where pieces are narrower than that one a pixel: the most telling of them shows.
  const columns = Math.min(states.length, Math.ceil(width));
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column / columns) * states.length);
    const to = Math.max(from + 1, Math.floor(((column + 1) / columns) * states.length));
    let [best, source] = [Look.missing, 0];
    for (let piece = from; piece < to; piece += 1) {
      const of = look(states[piece] ?? 0, sources[piece] ?? 0);
      if (of >= best) [best, source] = [of, sources[piece] ?? 0];
    }
    const left = Math.round((column / columns) * width);
    const right = Math.round(((column + 1) / columns) * width);
    drawPiece(context, best, source, [left, Math.max(1, right - left - gap)], palette, inFlight);
  }
}

function drawPiece(context: CanvasRenderingContext2D, look: Look, source: number, [left, width]: [number, number], palette: Palette, inFlight: CanvasPattern | string): void {
  if (look === Look.missing) return;
  if (look === Look.refused || look === Look.flight) {
    context.fillStyle = look === Look.refused ? palette.refused : inFlight;
    return context.fillRect(left, BAND_TOP, width, BAND_HEIGHT);
  }
  context.globalAlpha = look === Look.gone ? GONE : 1;
  const parts = SOURCES.filter(([bit]) => (source & bit) !== 0);
  // What is here and of which nobody knows whence came with the last event; the next figures tell.
  const shown = parts.length > 0 ? parts : SOURCES.slice(0, 1);
  shown.forEach(([, role], at) => {
    context.fillStyle = palette[role];
    context.fillRect(left, BAND_TOP + (at * BAND_HEIGHT) / shown.length, width, BAND_HEIGHT / shown.length);
  });
  context.globalAlpha = 1;
}

const SOURCES = [
  [PieceSource.peers, "peer"],
  [PieceSource.origin, "origin"],
  [PieceSource.storage, "cache"],
] as const;

function stripes(context: CanvasRenderingContext2D, palette: Palette): CanvasPattern | null {
  const tile = document.createElement("canvas");
  [tile.width, tile.height] = [8, 8];
  const ink = tile.getContext("2d");
  if (!ink) return null;
  ink.strokeStyle = palette.peer;
  ink.lineWidth = 2.5;
  ink.beginPath();
  for (const x of [-8, 0, 8]) {
    ink.moveTo(x - 1, 9);
    ink.lineTo(x + 9, -1);
  }
  ink.stroke();
  return context.createPattern(tile, "repeat");
}

/** Draws it, with its label to the left of `limit`; answers where the label begins. */
function drawBracket(context: CanvasRenderingContext2D, [from, to]: [number, number], label: string, colour: string, [limit, width]: [number, number]): number {
  const [left, right] = [Math.max(0.75, from), Math.min(width - 0.75, Math.max(to, from + 2))];
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(left, BRACKET_TOP);
  context.lineTo(left, BRACKET_TOP + 6);
  context.lineTo(right, BRACKET_TOP + 6);
  context.lineTo(right, BRACKET_TOP);
  context.stroke();
  const labelWidth = context.measureText(label).width;
  const middle = (left + right - labelWidth) / 2;
  const at = Math.max(0, Math.min(limit - labelWidth, middle));
  // Where there is no room to the left either, the bracket has to do.
  if (at + labelWidth > limit) return limit;
  context.fillStyle = colour;
  context.fillText(label, at, LABEL_TOP);
  return at - LABEL_GAP;
}

function describe({ states, sources, window }: PieceMap): string {
  const count = (state: number): number => states.reduce((sum, each) => sum + Number(each === state), 0);
  const from = (bit: number): number => sources.reduce((sum, each) => sum + Number((each & bit) !== 0), 0);
  const runs = window.map(({ start, end }) => `${start} to ${end - 1}`).join(" and ");
  const parts = [
    `${count(PieceState.verified)} of ${states.length} pieces verified`,
    `${count(PieceState.inFlight)} on the way`,
    `${from(PieceSource.peers)} came from peers`,
    ...(from(PieceSource.origin) > 0 ? [`${from(PieceSource.origin)} from the origin`] : []),
    ...(from(PieceSource.storage) > 0 ? [`${from(PieceSource.storage)} were here`] : []),
    ...(runs ? [`the window is at pieces ${runs}`] : []),
  ];
  return parts.join(", ");
}
