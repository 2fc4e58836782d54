/** The notice at the top of the page: what went wrong, and what to do. */
import type { HeadwaterError } from "headwater";
import { element, setText } from "./dom.js";

const TITLES: Record<string, string> = {
  badMagnet: "This magnet link is not right",
  badTorrent: "This is not a torrent",
  badTorrentId: "This is neither a magnet link nor an address",
  engineFailed: "The engine did not start",
  fetchFailed: "The torrent could not be fetched",
  mediaFailed: "This file does not play",
  noTracker: "No tracker",
  serviceWorkerFailed: "The service worker did not start",
  serviceWorkerForeign: "Another service worker is in the way",
  serviceWorkerUnsupported: "No service worker here",
  tooLarge: "This torrent is too large",
  trackerDown: "The tracker is down",
};

/** Shows `error` until it is hidden. */
export function showProblem(error: HeadwaterError): void {
  const notice = element("problem", HTMLElement);
  notice.dataset["code"] = error.code;
  setText(element("problem-title", HTMLElement), TITLES[error.code] ?? "Something went wrong");
  setText(element("problem-message", HTMLElement), error.message);
  setText(element("problem-hint", HTMLElement), error.hint);
  notice.hidden = false;
}

/** Hides the notice; with a code, only if it is about that. */
export function hideProblem(code?: string): void {
  const notice = element("problem", HTMLElement);
  if (code === undefined || notice.dataset["code"] === code) notice.hidden = true;
}
