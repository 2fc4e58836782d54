/**
 * The demo page: opens the torrent its address names, or gives a film of the visitor's own, and tells
 * its parts.
 *
 * The address after `#` is a magnet link or the URL of a .torrent file; without one, the server's
 * `config.json` may name a film. It needs no server of ours: any static host and any tracker do.
 */
import { Headwater, HeadwaterError, type Torrent, type TorrentFile } from "headwater";
import { bindTheme } from "./colours.js";
import { bindDrop } from "./drop.js";
import { element } from "./dom.js";
import type { Film, View } from "./film.js";
import { Ledger } from "./ledger.js";
import { Neighbours, reportOf, Voice } from "./neighbours.js";
import { BreakIt } from "./views/break.js";
import { Chart } from "./views/chart.js";
import { Details } from "./views/details.js";
import { Doctor } from "./views/doctor.js";
import { Limits } from "./views/limits.js";
import { bindNotice, hideNotice, showNotice } from "./views/notice.js";
import { Player } from "./views/player.js";
import { Ribbon } from "./views/ribbon.js";
import { ShareCards } from "./views/share.js";
import { Swarm } from "./views/swarm.js";

interface Demo {
  client: Headwater | null;
  film: Film | null;
}

declare global {
  interface Window {
    /** For tests and for the curious: what the page works with. */
    headwaterDemo: Demo;
  }
}

const demo: Demo = { client: null, film: null };
window.headwaterDemo = demo;

bindTheme(element("theme", HTMLButtonElement));
const ledger = new Ledger();
const neighbours = new Neighbours();
const voice = new Voice();
const player = new Player();
const limits = new Limits();
const breakIt = new BreakIt(player.video, neighbours, () => limits.options.windowBytes);
const views: readonly View[] = [
  player,
  new Ribbon(player.video),
  new Swarm(neighbours, ledger),
  new Chart(ledger),
  new Doctor(),
  limits,
  breakIt,
  new ShareCards(),
  new Details(),
];
const input = element("torrent-id", HTMLInputElement);
const tracker = element("tracker", HTMLInputElement);
/** Trackers of the server the page came from, if it has any. */
let served: string[] = [];

element("open", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const id = input.value.trim();
  // The same address again is a wish to try again.
  if (id === addressed()) open(id);
  else location.hash = id;
});
element("skip", HTMLAnchorElement).addEventListener("click", (event) => {
  // What stands after `#` is a film's address here.
  event.preventDefault();
  element("film", HTMLElement).focus();
});
addEventListener("hashchange", () => open(addressed()));
bindDrop(give);
bindNotice(() => (demo.film?.isOurs ? undefined : open(input.value.trim())));
player.onChoice = (number) => void play(demo.film?.torrent.files.find(({ index }) => index === number));
player.video.addEventListener("error", () => {
  // An emptied element fails as well.
  const { error } = player.video;
  if (player.video.getAttribute("src") && error) fail(new HeadwaterError("mediaFailed", `The browser gave up on this file: ${error.message || "no reason given"}.`));
});
limits.onMemory = () => {
  const { film } = demo;
  if (film && !film.isOurs) open(film.id, player.video.currentTime);
};
limits.onMonth = () => {
  const { client, film } = demo;
  const at = player.video.currentTime;
  close();
  demo.client = null;
  void client?.destroy();
  if (film) open(film.id, at);
};

void start();

async function start(): Promise<void> {
  const config = await serverConfig();
  served = config.trackers;
  element("tracker-choice", HTMLElement).hidden = served.length > 0;
  if (config.controls) void breakIt.bindServer();
  const id = addressed() || config.id;
  if (id) open(id);
}

/** The torrent in the page's address, if any: browsers may have encoded it, magnet links are full of `%`. */
function addressed(): string {
  const text = location.hash.slice(1);
  return /^(magnet|https?)%3a/i.test(text) ? decodeURIComponent(text) : text;
}

/** What the server the page came from has: a film, and trackers. A static host may have such a file, too. */
async function serverConfig(): Promise<{ id: string; trackers: string[]; controls: boolean }> {
  const response = await fetch("config.json").catch(() => null);
  const config: unknown = response?.ok ? await response.json().catch(() => null) : null;
  const { torrent, magnet, trackers, controls } = (config ?? {}) as Partial<Record<"controls" | "magnet" | "torrent" | "trackers", unknown>>;
  return {
    id: typeof torrent === "string" ? new URL(torrent, document.baseURI).href : typeof magnet === "string" ? magnet : "",
    controls: controls === true,
    trackers: Array.isArray(trackers) ? trackers.filter((url) => typeof url === "string") : [],
  };
}

function open(id: string, atSeconds = 0): void {
  close();
  input.value = id;
  if (!id) return;
  begin(() => client().add(id, limits.options), { id, isOurs: false }, atSeconds);
}

/** Gives files of the visitor's own, from where they lie. */
function give(files: readonly File[]): void {
  if (files.length === 0) return;
  const trackers = served.length > 0 ? served : [tracker.value.trim()].filter(Boolean);
  if (trackers.length === 0) {
    showNotice(new HeadwaterError("noTracker", "Viewers need a tracker to find this tab.", { hint: "Name one in the field under the button: your own (headwater track), or a public one." }));
    return tracker.focus();
  }
  close();
  input.value = "";
  begin(() => client().seed(files, { ...limits.options, share: "share", trackers }), { id: "", isOurs: true });
}

function client(): Headwater {
  if (demo.client) return demo.client;
  demo.client = new Headwater(limits.clientOptions);
  demo.client.on("error", fail);
  void demo.client.ready.then(() => demo.film && !demo.film.torrent.name && player.setPhase(demo.film.isOurs ? "Hashing…" : "Asking the tracker…"), () => {});
  return demo.client;
}

function begin(join: () => Torrent, { id, isOurs }: Pick<Film, "id" | "isOurs">, atSeconds = 0): void {
  try {
    player.setState("loading", demo.client ? "Asking the tracker…" : "Loading the engine…");
    const film: Film = { torrent: join(), id, isOurs, file: null };
    demo.film = film;
    follow(film, atSeconds);
    for (const view of views) view.open?.(film);
  } catch (error) {
    fail(error);
  }
}

function close(): void {
  hideNotice();
  demo.film?.torrent.remove();
  demo.film = null;
  ledger.clear();
  for (const view of views) view.close?.();
}

function follow(film: Film, atSeconds: number): void {
  const { torrent } = film;
  torrent.on("stats", (stats) => {
    ledger.add(torrent.peers, stats);
    for (const view of views) view.update?.(film, stats);
    voice.say(reportOf(torrent, stats, "tab", ledger));
  });
  torrent.on("trackerState", ({ state, complete, incomplete }) => {
    if (state !== "lost") hideNotice("trackerDown");
    else if (!torrent.name && areAllLost(torrent.trackers)) player.setPhase("No tracker answers; it is tried again…");
    if (state === "announced" && !torrent.name) player.setPhase((complete ?? 0) + (incomplete ?? 0) > 1 ? "Connecting to peers…" : "Nobody else is here yet; waiting for a peer…");
  });
  torrent.on("peerOpened", () => {
    hideNotice("trackerDown");
    if (!torrent.name) player.setPhase("Reading what the torrent holds…");
  });
  torrent.on("error", (error) => isWorthANotice(error, torrent) && fail(error));
  torrent.on("metadata", () => know(film, atSeconds));
}

function know(film: Film, atSeconds: number): void {
  const { torrent } = film;
  if (film.isOurs) {
    film.id = torrent.magnet;
    // The address is one that can be handed on; a film of this tab is not opened anew by it.
    history.replaceState(null, "", `#${torrent.magnet}`);
  }
  for (const view of views) view.know?.(film);
  const chosen = playable(torrent.files);
  if (chosen) void play(chosen, atSeconds);
  else fail(new HeadwaterError("mediaFailed", "No file in this torrent plays in a browser."));
}

/** The file that is meant: the largest that plays. */
function playable(files: readonly TorrentFile[]): TorrentFile | undefined {
  return files.filter(({ type }) => /^(video|audio)\//.test(type)).toSorted((a, b) => b.length - a.length)[0];
}

async function play(file: TorrentFile | undefined, atSeconds = 0): Promise<void> {
  if (!file || !demo.film) return;
  demo.film.file = file;
  await player.play(file, atSeconds).catch(fail);
}

/** One tracker of several that is down, or one that has done its work, is a matter for the list of trackers. */
function isWorthANotice({ code }: HeadwaterError, { trackers, peers }: Torrent): boolean {
  return code !== "trackerDown" || (peers.length === 0 && areAllLost(trackers));
}

function areAllLost(trackers: Torrent["trackers"]): boolean {
  return trackers.every(({ state }) => state === "lost");
}

function fail(error: unknown): void {
  const known = error instanceof HeadwaterError ? error : new HeadwaterError("engineFailed", String(error));
  // What is down may come back.
  if (known.code === "trackerDown") return showNotice(known);
  const isKnown = Boolean(demo.film?.torrent.name);
  // Of a torrent that never will be known there is nothing to show, and nobody to look for.
  if (!isKnown) close();
  // Whoever tries again needs another.
  if (known.code === "engineFailed") demo.client = null;
  showNotice(known);
  player.setState("failed", "This film does not play.");
  if (!isKnown) player.setTitle("No film", known.message);
}
