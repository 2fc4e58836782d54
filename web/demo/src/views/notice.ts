/** The notice over the page: what went wrong, and what to do. */
import type { HeadwaterError } from "headwater";
import { element, setText } from "../dom.js";

const TITLES: Record<string, string> = {
  badMagnet: "This magnet link is not right",
  badTorrent: "This is not a torrent",
  badTorrentId: "This is neither a magnet link nor an address",
  engineFailed: "The engine did not start",
  fetchFailed: "The torrent could not be fetched",
  hashFailed: "The film could not be read",
  mediaFailed: "This file does not play",
  noTracker: "No tracker",
  serviceWorkerFailed: "The service worker did not start",
  serviceWorkerForeign: "Another service worker is in the way",
  serviceWorkerUnsupported: "No service worker here",
  tooLarge: "This torrent is too large",
  trackerDown: "The tracker is down",
};

const notice = (): HTMLElement => element("notice", HTMLElement);

/** Binds its buttons, and the line that says that the machine is offline. */
export function bindNotice(retry: () => void): void {
  element("notice-close", HTMLElement).addEventListener("click", () => hideNotice());
  element("notice-retry", HTMLElement).addEventListener("click", () => {
    hideNotice();
    retry();
  });
  const showOffline = (): void => void (element("offline", HTMLElement).hidden = navigator.onLine);
  addEventListener("online", showOffline);
  addEventListener("offline", showOffline);
  showOffline();
}

/** Shows `error` until it is hidden. */
export function showNotice({ code, message, hint }: HeadwaterError): void {
  notice().dataset["code"] = code;
  setText(element("notice-title", HTMLElement), TITLES[code] ?? "Something went wrong");
  setText(element("notice-message", HTMLElement), message);
  setText(element("notice-hint", HTMLElement), hint);
  notice().hidden = false;
}

/** Hides the notice; with a code, only if it is about that. */
export function hideNotice(code?: string): void {
  if (code === undefined || notice().dataset["code"] === code) notice().hidden = true;
}
