/** Typed events: `on`, `once`, `off`, by `kind`. */

/** Called with what happened. */
export type Listener<T> = (event: T) => void;

/** Emits the kinds of event that `Events` maps to their payloads. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  /** Calls `listener` at each event of this kind; returns what takes it away again. */
  on<K extends keyof Events>(kind: K, listener: Listener<Events[K]>): () => void {
    const listeners = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, listeners.add(listener));
    return () => this.off(kind, listener);
  }

  /** Calls `listener` at the next event of this kind, then no more. */
  once<K extends keyof Events>(kind: K, listener: Listener<Events[K]>): () => void {
    const off = this.on(kind, (event) => {
      off();
      listener(event);
    });
    return off;
  }

  /** Calls `listener` no more. */
  off<K extends keyof Events>(kind: K, listener: Listener<Events[K]>): void {
    this.#listeners.get(kind)?.delete(listener);
  }

  /** @internal */
  emit<K extends keyof Events>(kind: K, event: Events[K]): void {
    for (const listener of [...(this.#listeners.get(kind) ?? [])]) {
      try {
        (listener as Listener<Events[K]>)(event);
      } catch (error) {
        // A listener's mistake is the page's to see, and must not stop the others.
        reportError(error);
      }
    }
  }
}
