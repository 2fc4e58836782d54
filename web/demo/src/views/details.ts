/** The fold at the end: peers, trackers, what happened. */
import type { Stats, TrackerState } from "headwater";
import { element, make } from "../dom.js";
import type { Film, View } from "../film.js";
import * as format from "../format.js";
import { EventLog } from "./event-log.js";
import { PeersTable } from "./peers-table.js";

const WORDS = { announced: "answers", connected: "answers", lost: "down, tried again", warning: "answers" } as const;

/** Table and lists. */
export class Details implements View {
  readonly #peers = new PeersTable(element("peers", HTMLElement));
  readonly #log = new EventLog(element("log", HTMLElement));

  open({ torrent }: Film): void {
    this.#log.follow(torrent);
    torrent.on("trackerState", () => showTrackers(torrent.trackers));
  }

  update({ torrent }: Film, _stats: Stats): void {
    this.#peers.show(torrent.peers, torrent.pieceCount);
  }

  close(): void {
    this.#peers.show([], 0);
    showTrackers([]);
  }
}

function showTrackers(trackers: readonly TrackerState[]): void {
  const items = trackers.map(({ url, state, complete, incomplete, message }) => {
    const item = make("li", "");
    const counts = complete === undefined ? WORDS[state] : format.swarm(complete, incomplete ?? 0);
    item.append(make("span", format.host(url)), make("span", counts, "muted"));
    if (message) item.title = message;
    return item;
  });
  element("trackers", HTMLElement).replaceChildren(...(items.length > 0 ? items : [make("li", "None yet", "muted")]));
}
