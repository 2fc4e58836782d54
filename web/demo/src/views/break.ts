/**
 * "Try to break it": real peers in frames of this page, the server's switches, and a storm of seeks.
 *
 * What it says of each is what was measured.
 */
import type { Stats } from "headwater";
import { serverState, turn, type ServerState } from "../controls.js";
import { element, setText } from "../dom.js";
import { swarmOf, type Film, type View } from "../film.js";
import * as format from "../format.js";
import { frameUrl, type Order } from "../frame/orders.js";
import type { Confession, Neighbours } from "../neighbours.js";

/** Frames at the most: each has an engine, and this machine has only so much. */
const MAX_FRAMES = 12;
const VIEWERS = 5;
/** What one of them holds at the most, however long the film. */
const MAX_HELD = 64 * 1024 * 1024;
const SEEKS = 20;
const SEEK_EVERY_MS = 200;
/** For the picture after the last seek. */
const PATIENCE_MS = 30_000;

/** Six buttons and what came of them. */
export class BreakIt implements View {
  readonly #video: HTMLVideoElement;
  readonly #windowBytes: () => number;
  readonly #frames = element("frames", HTMLElement);
  readonly #sendAway = element("send-away", HTMLButtonElement);
  readonly #kill = element("kill-seeder", HTMLButtonElement);
  readonly #hide = element("hide-origin", HTMLButtonElement);
  #film: Film | null = null;
  #server: ServerState | null = null;
  /** What the liar said last, until it has been told. */
  #confession: Confession | null = null;

  constructor(video: HTMLVideoElement, neighbours: Neighbours, windowBytes: () => number) {
    this.#video = video;
    this.#windowBytes = windowBytes;
    neighbours.onConfession = (confession) => this.#hear(confession);
    this.#on("add-viewers", (film) => this.#addViewers(film));
    this.#on("add-slow", (film) => this.#addSlow(film));
    this.#on("add-liar", (film) => this.#addLiar(film));
    this.#on("seek-storm", (film) => void this.#storm(film));
    this.#kill.addEventListener("click", () => void this.#turn("seeder"));
    this.#hide.addEventListener("click", () => void this.#turn("origin"));
    this.#sendAway.addEventListener("click", () => {
      this.#clear();
      this.#say("They are gone, without a word to anybody.");
    });
    this.#showServer();
  }

  /** The server says that it has switches. */
  async bindServer(): Promise<void> {
    this.#server = await serverState();
    this.#showServer();
  }

  open(film: Film): void {
    this.#film = film;
    film.torrent.on("blockRefused", ({ name, piece }) => this.#say(`A wrong block of piece ${piece} was refused; ${name} is out. The film never saw it.`));
    film.torrent.on("pieceRefused", ({ piece, peers }) => this.#say(`Piece ${piece} was wrong and is fetched again; it came from ${peers.join(", ")}.`));
  }

  update(_film: Film, { refused }: Stats): void {
    if (!this.#confession || refused === 0) return;
    const { asked, lied, dropped } = this.#confession;
    this.#confession = null;
    this.#say(`The liar was asked ${times(asked)}, lied ${times(lied)}, and was dropped by ${dropped === 1 ? "one peer" : `${dropped} peers`}. ${format.bytes(refused)} were refused here; nothing of it reached the film.`);
  }

  close(): void {
    this.#film = null;
    this.#confession = null;
    this.#clear();
  }

  #on(id: string, act: (film: Film) => void): void {
    element(id, HTMLButtonElement).addEventListener("click", () => {
      if (this.#film?.torrent.name) act(this.#film);
      else this.#say("First open a film.");
    });
  }

  #addViewers(film: Film): void {
    const seconds = Number.isFinite(this.#video.duration) ? this.#video.duration : 60;
    const at = this.#video.currentTime / seconds;
    const file = film.file?.index ?? 0;
    // All over the film, one where the visitor is, each with room for half of it: between them they soon hold most of
    // it, though none of them does.
    const windowBytes = Math.max(this.#windowBytes(), Math.min((film.file?.length ?? 0) / 2, MAX_HELD));
    const added = Array.from({ length: VIEWERS }, (_, number) =>
      this.#add({ kind: "viewer", magnet: film.torrent.magnet, file, from: (at + number / VIEWERS) % 1, seconds, windowBytes }),
    ).filter(Boolean).length;
    if (added > 0) this.#say(`${added} viewers joined; they take from the swarm and give to it.`);
  }

  #addSlow({ torrent, file }: Film): void {
    const isAdded = this.#add({ kind: "slow", magnet: torrent.magnet, file: file?.index ?? 0, windowBytes: this.#windowBytes() });
    if (isAdded) this.#say("A slow peer joined. Its line shows what is asked of it; the film does not wait for that.");
  }

  #addLiar(film: Film): void {
    const tracker = film.torrent.trackers.find(({ state }) => state !== "lost")?.url;
    if (!tracker) return this.#say("No tracker answers, so the liar would find nobody.");
    if (this.#add({ kind: "liar", tracker, swarm: swarmOf(film) })) this.#say("A liar joined, and waits to be asked. Seek somewhere to need pieces.");
  }

  #add(order: Order): boolean {
    if (this.#frames.childElementCount >= MAX_FRAMES) {
      this.#say(`${MAX_FRAMES} peers in one tab are enough; send them away first.`);
      return false;
    }
    const frame = document.createElement("iframe");
    frame.src = frameUrl(order);
    frame.title = `One more peer: ${order.kind}`;
    frame.tabIndex = -1;
    this.#frames.append(frame);
    this.#sendAway.hidden = false;
    return true;
  }

  #clear(): void {
    this.#frames.replaceChildren();
    this.#sendAway.hidden = true;
  }

  #hear(confession: Confession): void {
    // With the next figures, which say what was refused here.
    if (this.#film && confession.swarm === swarmOf(this.#film) && confession.dropped > 0) this.#confession = confession;
  }

  async #storm({ torrent }: Film): Promise<void> {
    const { duration } = this.#video;
    if (!Number.isFinite(duration)) return this.#say("The film has not begun yet.");
    const began: number[] = [];
    const tookMs: number[] = [];
    // A seek that is overtaken by the next never ends; the times are those of the others.
    const onSeeked = (): void => void tookMs.push(performance.now() - (began.at(-1) ?? 0));
    this.#video.addEventListener("seeked", onSeeked);
    for (let seek = 1; seek <= SEEKS; seek += 1) {
      this.#say(`Seek ${seek} of ${SEEKS}…`);
      began.push(performance.now());
      // Golden steps: far from the last one each time, and never the same.
      this.#video.currentTime = duration * 0.95 * ((seek * 0.618) % 1);
      await pause(SEEK_EVERY_MS);
    }
    const limit = performance.now() + PATIENCE_MS;
    while (this.#video.seeking && performance.now() < limit) await pause(20);
    this.#video.removeEventListener("seeked", onSeeked);
    const pictures = this.#video.seeking ? "the picture is not back yet" : `${tookMs.length} pictures came in time, the slowest after ${Math.round(Math.max(...tookMs))} ms`;
    this.#say(`${SEEKS} seeks: ${pictures}; ${held(torrent.stats)}.`);
  }

  async #turn(what: keyof ServerState): Promise<void> {
    if (!this.#server) return;
    const isOn = !this.#server[what];
    const state = await turn({ [what]: isOn });
    if (!state) return this.#say("The server did not answer.");
    this.#server = state;
    this.#showServer();
    this.#say(SAID[what][isOn ? "on" : "off"]);
  }

  #showServer(): void {
    for (const [button, what, [off, does], [on, did]] of [
      [this.#kill, "seeder", ["Kill the seeder", "It leaves the swarm and hangs up on all its peers"], ["Bring the seeder back", "It is out of the swarm"]],
      [this.#hide, "origin", ["Hide the origin", "The web server answers 503 for the film"], ["Show the origin again", "The web server answers 503 until then"]],
    ] as const) {
      const isOff = this.#server?.[what] === false;
      // A static host has nothing to kill.
      button.disabled = this.#server === null;
      button.title = this.#server ? "" : "Only where the server lets you: headwater seed --demo-controls";
      button.setAttribute("aria-pressed", String(isOff));
      setText(button.querySelector("strong") as HTMLElement, isOff ? on : off);
      setText(button.querySelector("span") as HTMLElement, isOff ? did : does);
    }
  }

  #say(what: string): void {
    setText(element("outcome", HTMLElement), what);
  }
}

const SAID = {
  seeder: { off: "The seeder is gone. Whatever viewers hold between them goes on playing.", on: "The seeder is back." },
  origin: { off: "The web server answers 503 for the film now.", on: "The web server serves the film again." },
} as const;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function held(stats: Stats | null): string {
  return stats ? `the window held ${format.bytes(stats.windowPeak)} at the most, of ${format.bytes(stats.windowCap)}` : "nothing was fetched";
}
