/** "Why am I alone?": the doctor's ladder, live. */
import type { Diagnosis, Rung, RungState } from "headwater";
import { element, make, setText } from "../dom.js";
import type { Film, View } from "../film.js";

const RUNGS: readonly (readonly [Rung, string])[] = [
  ["engine", "Engine runs"],
  ["sharing", "Sharing is on"],
  ["origin", "A web server has it, too"],
  ["tracker", "Tracker knows of others"],
  ["offer", "Somebody answers"],
  ["ice", "A path is found"],
  ["dtls", "The path is encrypted"],
  ["handshake", "Peers say who they are"],
  ["metadata", "The torrent is known"],
  ["block", "A block is verified"],
];

/** How often it is looked at while no figures come. */
const LOOK_MS = 1_000;

/** The rungs, and one sentence. */
export class Doctor implements View {
  readonly #ladder = element("ladder", HTMLElement);
  readonly #rows = new Map<Rung, { item: HTMLElement; name: HTMLElement; detail: HTMLElement }>();
  #looking: ReturnType<typeof setInterval> | undefined;
  #film: Film | null = null;

  constructor() {
    for (const [rung, title] of RUNGS) {
      const [item, text, name, detail] = [make("li", ""), make("div", ""), make("span", title), make("p", "")];
      text.append(name, detail);
      item.append(text);
      this.#rows.set(rung, { item, name, detail });
      this.#ladder.append(item);
    }
    this.close();
  }

  open(film: Film): void {
    this.#film = film;
    clearInterval(this.#looking);
    this.#looking = setInterval(() => void this.#look(film), LOOK_MS);
    // What is said of trackers elsewhere on the page is said here in the same moment.
    film.torrent.on("trackerState", () => void this.#look(film));
    void this.#look(film);
  }

  close(): void {
    this.#film = null;
    clearInterval(this.#looking);
    for (const [rung, title] of RUNGS) {
      const row = this.#rows.get(rung);
      if (row) show(row, title, undefined, NOTHING);
    }
    setText(element("verdict", HTMLElement), "There is no film to look for.");
  }

  async #look(film: Film): Promise<void> {
    const { torrent, isOurs } = film;
    const diagnosis = await torrent.doctor();
    if (film !== this.#film) return;
    const states = new Map(diagnosis.rungs.map((rung) => [rung.rung, rung]));
    for (const [rung, title] of RUNGS) {
      const row = this.#rows.get(rung);
      if (row) show(row, title, states.get(rung), diagnosis);
    }
    setText(element("verdict", HTMLElement), verdict(diagnosis, torrent.peers.length, isOurs));
  }
}

function show({ item, name, detail }: { item: HTMLElement; name: HTMLElement; detail: HTMLElement }, title: string, state: RungState | undefined, { stoppedAt }: Diagnosis): void {
  item.dataset["state"] = state?.state ?? "unknown";
  setText(name, state ? `${title}: ${WORDS[state.state]}` : title);
  // What has passed needs no explanation.
  setText(detail, state && state.rung === stoppedAt ? [state.detail, state.hint].filter(Boolean).join(" ") : "");
}

const NOTHING: Diagnosis = { rungs: [], stoppedAt: null, code: null };

const WORDS: Record<RungState["state"], string> = { failed: "no", idle: "not asked for", passed: "yes", waiting: "waiting" };

function verdict({ stoppedAt, rungs }: Diagnosis, peers: number, isOurs: boolean): string {
  if (peers > 0) return peers === 1 ? "You are not alone: one peer is connected." : `You are not alone: ${peers} peers are connected.`;
  if (isOurs && stoppedAt === "tracker") return "Nobody has opened your link yet.";
  if (stoppedAt === null && rungs.some(({ rung, state }) => rung === "origin" && state === "passed")) return "Nobody else is here: the film comes from its web server.";
  if (stoppedAt === null) return "You were not alone; now nobody is connected.";
  return `You are alone: ${rungs.at(-1)?.detail ?? "it is not known why."}`;
}
