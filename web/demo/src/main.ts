/**
 * The demo page: opens the torrent its address names, plays it, and shows how it comes.
 *
 * The address after `#` is a magnet link or the URL of a .torrent file; without one, the server's
 * `config.json` may name a film.
 */
import { Headwater, HeadwaterError, PieceState, type Torrent, type TorrentFile } from "headwater";
import { element, make, setText } from "./dom.js";
import { EventLog } from "./event-log.js";
import { showStats, showTrackers } from "./figures.js";
import * as format from "./format.js";
import { PeersTable } from "./peers-table.js";
import { PieceMapView } from "./piece-map.js";
import { hideProblem, showProblem } from "./problem.js";

interface Demo {
  client: Headwater | null;
  torrent: Torrent | null;
  file: TorrentFile | null;
}

declare global {
  interface Window {
    /** For tests and for the curious: what the page works with. */
    headwaterDemo: Demo;
  }
}

const demo: Demo = { client: null, torrent: null, file: null };
window.headwaterDemo = demo;

const video = element("video", HTMLVideoElement);
const screen = video.parentElement as HTMLElement;
const input = element("torrent-id", HTMLInputElement);
const choice = element("file", HTMLSelectElement);
const map = new PieceMapView(element("pieces", HTMLCanvasElement));
const peers = new PeersTable(element("peers", HTMLElement));
const log = new EventLog(element("log", HTMLElement));

element("open", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const id = input.value.trim();
  // The same address again is a wish to try again.
  if (id === addressed()) open(id);
  else location.hash = id;
});
addEventListener("hashchange", () => open(addressed()));
choice.addEventListener("change", () => {
  const file = demo.torrent?.files.find(({ index }) => index === Number(choice.value));
  if (file) void play(file);
});
video.addEventListener("error", () => {
  // An emptied element fails as well.
  if (!video.getAttribute("src") || !video.error) return;
  showProblem(new HeadwaterError("mediaFailed", `The browser gave up on this file: ${video.error.message || "no reason given"}.`));
});
video.addEventListener("loadeddata", () => setScreen("playing"));

void start();

async function start(): Promise<void> {
  const id = addressed() || (await served());
  if (id) open(id);
}

/** The torrent in the page's address, if any: browsers may have encoded it, magnet links are full of `%`. */
function addressed(): string {
  const text = location.hash.slice(1);
  return /^(magnet|https?)%3a/i.test(text) ? decodeURIComponent(text) : text;
}

/** The film of the server the page came from, if it has one. */
async function served(): Promise<string> {
  const response = await fetch("config.json").catch(() => null);
  if (!response?.ok) return "";
  const config: unknown = await response.json().catch(() => null);
  const { torrent, magnet } = (config ?? {}) as { torrent?: unknown; magnet?: unknown };
  return typeof torrent === "string" ? torrent : typeof magnet === "string" ? magnet : "";
}

function open(id: string): void {
  close();
  input.value = id;
  if (!id) return;
  try {
    setScreen("loading", demo.client ? "Asking the tracker…" : "Loading the engine…");
    setText(element("title", HTMLElement), "Opening…");
    demo.client ??= makeClient();
    demo.torrent = demo.client.add(id);
    follow(demo.torrent);
  } catch (error) {
    fail(error);
  }
}

function makeClient(): Headwater {
  const client = new Headwater();
  client.on("error", fail);
  void client.ready.then(() => setPhase("Asking the tracker…"), () => {});
  return client;
}

function close(): void {
  hideProblem();
  video.removeAttribute("src");
  video.load();
  demo.torrent?.remove();
  demo.torrent = null;
  demo.file = null;
  map.show(null, 0);
  peers.show([], 0);
  showTrackers([]);
  setText(element("title", HTMLElement), "No film yet");
  setText(element("subtitle", HTMLElement), "");
  element("file-choice", HTMLElement).hidden = true;
  setScreen("empty", "Open a magnet link to watch a film.");
}

function follow(torrent: Torrent): void {
  log.follow(torrent);
  torrent.on("stats", (stats) => {
    showStats(stats);
    map.show(torrent.pieces, torrent.pieceLength);
    peers.show(torrent.peers, torrent.pieceCount);
  });
  torrent.on("pieceVerified", ({ piece }) => map.setState(piece, PieceState.verified));
  torrent.on("pieceEvicted", ({ piece }) => map.setState(piece, PieceState.missing));
  torrent.on("pieceRefused", ({ piece }) => map.setState(piece, PieceState.refused));
  torrent.on("trackerState", ({ state, complete, incomplete }) => {
    showTrackers(torrent.trackers);
    if (state !== "lost") hideProblem("trackerDown");
    if (state === "announced" && !torrent.name) setPhase((complete ?? 0) + (incomplete ?? 0) > 1 ? "Connecting to peers…" : "Nobody else is here yet; waiting for a peer…");
  });
  torrent.on("peerOpened", () => {
    hideProblem("trackerDown");
    if (!torrent.name) setPhase("Reading what the torrent holds…");
  });
  torrent.on("error", (error) => isWorthANotice(error, torrent) && fail(error));
  torrent.on("metadata", () => showTorrent(torrent));
}

/** One tracker of several that is down, or one that has done its work, is a matter for the list of trackers. */
function isWorthANotice({ code }: HeadwaterError, { trackers, peers }: Torrent): boolean {
  return code !== "trackerDown" || (peers.length === 0 && trackers.every(({ state }) => state === "lost"));
}

function showTorrent(torrent: Torrent): void {
  document.title = `${torrent.name} · Headwater`;
  setText(element("title", HTMLElement), torrent.name);
  const kind = torrent.infoHashV1 && torrent.infoHashV2 ? "hybrid" : torrent.infoHashV2 ? "v2" : "v1";
  setText(element("subtitle", HTMLElement), `${format.bytes(torrent.length)} in ${torrent.pieceCount} pieces of ${format.bytes(torrent.pieceLength)}, ${kind}`);
  choice.replaceChildren(
    ...torrent.files.map((file) => Object.assign(make("option", `${file.path} (${format.bytes(file.length)})`), { value: String(file.index) })),
  );
  element("file-choice", HTMLElement).hidden = torrent.files.length < 2;
  const file = film(torrent.files);
  if (file) void play(file);
  else fail(new HeadwaterError("mediaFailed", "There is no file in this torrent that a browser plays."));
}

/** The file that is meant: the largest that plays. */
function film(files: readonly TorrentFile[]): TorrentFile | undefined {
  return files.filter(({ type }) => /^(video|audio)\//.test(type)).toSorted((a, b) => b.length - a.length)[0];
}

async function play(file: TorrentFile): Promise<void> {
  demo.file = file;
  choice.value = String(file.index);
  setScreen("loading", "Fetching the first pieces…");
  try {
    await file.streamTo(video);
  } catch (error) {
    return fail(error);
  }
  // Browsers want a click before sound; the controls are there.
  await video.play().catch(() => {});
}

function fail(error: unknown): void {
  const known = error instanceof HeadwaterError ? error : new HeadwaterError("engineFailed", String(error));
  showProblem(known);
  // What is down may come back; the rest stays as it is.
  if (known.code === "trackerDown") return;
  setScreen("failed", "This film does not play.");
  if (!demo.torrent?.name) setText(element("title", HTMLElement), "No film");
}

function setScreen(state: "empty" | "failed" | "loading" | "playing", phase = ""): void {
  screen.dataset["state"] = state;
  if (phase) setPhase(phase);
}

function setPhase(phase: string): void {
  setText(element("phase", HTMLElement), phase);
}
