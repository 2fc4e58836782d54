/**
 * What a site gives in a month, all its tabs together: counted in its localStorage.
 *
 * Counts; whether anything is given is decided elsewhere. Where there is no storage it counts for this page alone.
 */
export class MonthlyBudget {
  readonly #bytes: number;
  #given: Given = { month: "", bytes: 0 };

  /** So many bytes a month; Infinity for no limit, and then nothing is written. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** Whether no more is to be given this month. */
  get isSpent(): boolean {
    return this.#bytes !== Infinity && this.#read().bytes >= this.#bytes;
  }

  /** Counts bytes that were given. */
  spend(bytes: number): void {
    if (bytes <= 0 || this.#bytes === Infinity) return;
    const { month, bytes: before } = this.#read();
    this.#given = { month, bytes: before + bytes };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#given));
    } catch {
      // No storage here, or no room in it.
    }
  }

  #read(): Given {
    const month = new Date().toISOString().slice(0, "2026-11".length);
    let given: Partial<Given> | null = this.#given;
    try {
      given = JSON.parse(localStorage.getItem(KEY) ?? "null") ?? given;
    } catch {
      // No storage here, or somebody else's words in it.
    }
    return given?.month === month && Number.isFinite(given.bytes) ? (given as Given) : { month, bytes: 0 };
  }
}

interface Given {
  /** Of UTC: `2026-11`. */
  month: string;
  bytes: number;
}

const KEY = "headwater.given";
