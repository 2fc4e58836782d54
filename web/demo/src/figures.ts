/** The figures beside the film: the window against its budget, totals, trackers. */
import type { Stats, TrackerState } from "headwater";
import { element, make, setText } from "./dom.js";
import * as format from "./format.js";

const output = (id: string): HTMLElement => element(id, HTMLElement);

/** Shows one torrent's figures. */
export function showStats(stats: Stats): void {
  showWindow(stats);
  setText(output("wasm-text"), format.bytes(stats.wasmMemory));
  setText(output("receive-rate"), format.rate(stats.receiveRate));
  setText(output("send-rate"), format.rate(stats.sendRate));
  setText(output("received"), `${format.bytes(stats.received)} so far`);
  setText(output("sent"), `${format.bytes(stats.sent)} so far`);
  setText(output("verified"), format.bytes(stats.verified));
  setText(output("refused"), format.bytes(stats.refused));
  output("refused").classList.toggle("bad", stats.refused > 0);
  setText(output("wasted"), format.bytes(stats.wasted));
  setText(output("copies"), stats.copies.toFixed(1));
  setText(output("peer-count"), String(stats.peers));
}

/** Shows what each tracker said last. */
export function showTrackers(trackers: readonly TrackerState[]): void {
  const items = trackers.map(({ url, state, complete, incomplete, message }) => {
    const item = make("li", "");
    item.dataset["state"] = state;
    const counts = complete === undefined ? WORDS[state] : format.swarm(complete, incomplete ?? 0);
    item.append(make("span", format.host(url), "host"), make("span", counts, "muted small"));
    if (message) item.title = message;
    return item;
  });
  output("trackers").replaceChildren(...(items.length > 0 ? items : [make("li", "None yet", "muted")]));
}

const WORDS = { announced: "answers", connected: "answers", lost: "down, tried again", warning: "answers" } as const;

function showWindow({ windowUsed, windowCap, windowPeak }: Stats): void {
  const meter = output("window-meter");
  setText(output("window-text"), `${format.bytes(windowUsed)} of ${format.bytes(windowCap)}`);
  meter.setAttribute("aria-valuemax", String(windowCap));
  meter.setAttribute("aria-valuenow", String(windowUsed));
  meter.setAttribute("aria-valuetext", `${format.bytes(windowUsed)} of ${format.bytes(windowCap)}`);
  const part = (bytes: number): string => `${Math.min(100, (100 * bytes) / Math.max(1, windowCap))}%`;
  meter.style.setProperty("--used", part(windowUsed));
  meter.style.setProperty("--peak", part(windowPeak));
}
