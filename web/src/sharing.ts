/**
 * Whether a page gives and takes: what was asked for, and what the visitor's connection asks for.
 *
 * Decides; the engine does it.
 */

/**
 * `share`: pieces are fetched from viewers and given to viewers. `download`: they are fetched, none is
 * given. `off`: no tracker and no peer is spoken to.
 */
export type Share = "off" | "download" | "share";

/** What a torrent does, and why. */
export interface Sharing {
  share: Share;
  /**
   * `default`: nobody asked for anything. `asked`: the page did. `saveData`, `cellular`: the visitor's
   * device did. `budgetSpent`: `uploadBytes` are used up, or the month's. `paused`: the torrent is.
   * `away`: the page is in the back/forward cache.
   */
  reason: "asked" | "away" | "budgetSpent" | "cellular" | "default" | "paused" | "saveData";
}

/** How much is given. */
export interface UploadLimits {
  /** Bytes a second given at the most, 0 for no limit. */
  uploadRate?: number;
  /** Bytes given at the most, in all; then no more are. Infinity. */
  uploadBytes?: number;
}

interface NetworkInformation extends EventTarget {
  readonly saveData?: boolean;
  readonly type?: string;
}

/** What to do when `asked` is what the page wants, if it wants anything. */
export function decideSharing(asked: Share | undefined): Sharing {
  if (asked) return { share: asked, reason: "asked" };
  const { saveData, type } = connection() ?? {};
  // Fetching is what the visitor came for; giving is what costs them without being seen.
  if (saveData) return { share: "download", reason: "saveData" };
  return type === "cellular" ? { share: "download", reason: "cellular" } : { share: "share", reason: "default" };
}

/** Calls `listener` when the visitor's connection becomes another, where browsers tell. */
export function onConnectionChange(listener: () => void, signal: AbortSignal): void {
  connection()?.addEventListener("change", listener, { signal });
}

function connection(): NetworkInformation | undefined {
  return (navigator as { connection?: NetworkInformation }).connection;
}
