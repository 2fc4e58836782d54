/** What happened, newest first, in words. */
import type { HeadwaterError, Torrent } from "headwater";
import { make } from "../dom.js";
import * as format from "../format.js";

/** Lines kept; older ones go. */
const MAX_LINES = 60;

/** A list that events are written into. */
export class EventLog {
  readonly #list: HTMLElement;
  #isEmpty = true;

  constructor(list: HTMLElement) {
    this.#list = list;
  }

  /** Writes down what happens to `torrent`. */
  follow(torrent: Torrent): void {
    torrent.on("metadata", () => this.add(`“${torrent.name}”: ${torrent.pieceCount} pieces of ${format.bytes(torrent.pieceLength)}`));
    torrent.on("peerOpened", ({ name, client }) => this.add(`${client || name} is connected`));
    torrent.on("peerClosed", ({ name, fault, reason }) => this.add(`${name} is gone: ${reason}`, fault ? "bad" : ""));
    torrent.on("blockRefused", ({ name, piece }) => this.add(`A wrong block of piece ${piece} from ${name} was refused`, "bad"));
    torrent.on("pieceRefused", ({ piece, peers }) => this.add(`Piece ${piece} was refused; it came from ${peers.join(", ")}`, "bad"));
    torrent.on("contradiction", ({ piece }) => this.add(`The torrent contradicts itself at piece ${piece}; nothing more is fetched`, "bad"));
    torrent.on("trackerState", ({ url, state, message, complete, incomplete }) => {
      if (state === "connected") this.add(`Tracker ${format.host(url)} answers`);
      else if (state === "announced") this.replaceOrAdd(`Tracker ${format.host(url)} knows of ${format.swarm(complete ?? 0, incomplete ?? 0)}`);
      else this.add(`Tracker ${format.host(url)}: ${message ?? state}`, state === "lost" ? "bad" : "");
    });
    torrent.on("error", (error: HeadwaterError) => error.code === "trackerDown" || this.add(error.message, "bad"));
  }

  add(text: string, className = ""): void {
    if (this.#isEmpty) this.#list.replaceChildren();
    this.#isEmpty = false;
    const line = make("li", "", className);
    line.append(make("time", new Date().toLocaleTimeString()), make("span", text));
    this.#list.prepend(line);
    while (this.#list.childElementCount > MAX_LINES) this.#list.lastElementChild?.remove();
  }

  /** The same line twice in a row says nothing new. */
  replaceOrAdd(text: string): void {
    if (this.#list.firstElementChild?.lastElementChild?.textContent !== text) this.add(text);
  }
}
