/**
 * What happened in a session, in order: for a bug report, or to look at later.
 *
 * Keeps the last {@link MAX_ENTRIES}. No addresses, no session descriptions, no bytes.
 */

/** One thing that happened. */
export interface TraceEntry {
  /** Milliseconds since the client was made. */
  atMs: number;
  /** The torrent's number, if it is of a torrent. */
  torrent?: number;
  kind: string;
  [detail: string]: unknown;
}

/** A session, as {@link Headwater.trace} exports it. */
export interface Trace {
  version: 1;
  /** When the client was made: ISO 8601. */
  began: string;
  userAgent: string;
  /** What was left out at the beginning to stay within bounds. */
  dropped: number;
  entries: TraceEntry[];
}

/** Writes entries down. */
export class Recorder {
  readonly #start = performance.now();
  readonly #began = new Date().toISOString();
  readonly #entries: TraceEntry[] = [];
  #dropped = 0;

  add(kind: string, details: Record<string, unknown> = {}): void {
    this.#entries.push({ ...details, kind, atMs: Math.round(performance.now() - this.#start) });
    if (this.#entries.length > MAX_ENTRIES) {
      this.#entries.splice(0, CHUNK);
      this.#dropped += CHUNK;
    }
  }

  export(): Trace {
    return { version: 1, began: this.#began, userAgent: navigator.userAgent, dropped: this.#dropped, entries: [...this.#entries] };
  }
}

const MAX_ENTRIES = 5_000;
const CHUNK = 500;
