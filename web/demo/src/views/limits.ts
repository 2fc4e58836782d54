/** Limits and consent: what is given, how much of it, and what leaves this machine. */
import type { Share, Sharing, Stats, UploadLimits } from "headwater";
import { element, make, setText } from "../dom.js";
import type { Figures, Film, View } from "../film.js";
import * as format from "../format.js";

const REASONS: Record<Sharing["reason"], string> = {
  asked: "as you chose",
  budgetSpent: "the budget is used up",
  cellular: "this is a mobile connection",
  default: "nothing speaks against it",
  paused: "it is paused",
  saveData: "this device saves data",
};

const WORDS: Record<Share, string> = {
  share: "Pieces are taken from other viewers and given to them",
  download: "Pieces are taken, none is given",
  off: "No tracker and no peer is spoken to",
};

/** The card of that name. */
export class Limits implements View {
  readonly #rate = element("upload-rate", HTMLSelectElement);
  readonly #bytes = element("upload-bytes", HTMLSelectElement);
  readonly #window = element("window-bytes", HTMLSelectElement);
  readonly #radios = [...document.querySelectorAll<HTMLInputElement>('input[name="share"]')];
  #film: Film | null = null;
  #asked: Share | undefined;
  /** Called when what a torrent is opened with became another. */
  onMemory: () => void = () => {};

  constructor() {
    for (const radio of this.#radios) {
      radio.addEventListener("change", () => {
        this.#asked = radio.value as Share;
        this.#film?.torrent.setShare(this.#asked);
      });
    }
    for (const select of [this.#rate, this.#bytes]) {
      select.addEventListener("change", () => this.#film?.torrent.setLimits(this.upload));
    }
    this.#window.addEventListener("change", () => this.onMemory());
  }

  /** What a torrent is to be opened with; share is left to the device until the visitor says. */
  get options(): UploadLimits & { windowBytes: number; share?: Share } {
    return { ...this.upload, windowBytes: Number(this.#window.value), ...(this.#asked && { share: this.#asked }) };
  }

  private get upload(): UploadLimits {
    return { uploadRate: Number(this.#rate.value), uploadBytes: this.#bytes.value === "" ? Infinity : Number(this.#bytes.value) };
  }

  open(film: Film): void {
    this.#film = film;
    film.torrent.on("sharing", (sharing) => this.#showSharing(sharing));
    film.torrent.on("trackerState", () => this.#showLeaves(film));
    this.#showSharing(film.torrent.sharing);
    this.#showLeaves(film);
  }

  update(film: Film, { sent, uploadLeft }: Stats): void {
    setText(element("budget-text", HTMLElement), `${format.bytes(sent)} given${uploadLeft === null || uploadLeft === undefined ? "" : `, ${format.bytes(uploadLeft)} left of the budget`}.`);
    this.#showLeaves(film);
  }

  close(): void {
    this.#film = null;
    setText(element("budget-text", HTMLElement), "");
    element("leaves", HTMLElement).replaceChildren(make("li", "Nothing yet."));
  }

  #showSharing({ share, reason }: Sharing): void {
    for (const radio of this.#radios) radio.checked = radio.value === share;
    setText(element("sharing-text", HTMLElement), `${WORDS[share]}: ${REASONS[reason]}.`);
  }

  #showLeaves({ torrent, id, isOurs }: Film): void {
    const { share } = torrent.sharing;
    const trackers = torrent.trackers.map(({ url }) => format.host(url)).join(", ") || "the tracker";
    const lines = share === "off" ? ["Nothing: sharing is off."] : [
      `To ${trackers}: this machine’s address, and which film.`,
      `To ${torrent.peers.length === 1 ? "the one peer" : `the ${torrent.peers.length} peers`} connected: the same, and which pieces you want.`,
      ...(share === "share" ? [isOurs ? "To those who ask: pieces of your film." : "To those who ask: pieces you have watched."] : []),
      ...(((torrent.stats as Figures | null)?.fromOrigins ?? 0) > 0 ? ["To the film’s web server: this machine’s address, and requests for parts of the film."] : []),
      ...(/^https?:/.test(id) ? [`To ${format.host(id)}: the request for the .torrent file.`] : []),
      "To nobody else: no STUN or TURN server, no statistics.",
    ];
    const list = element("leaves", HTMLElement);
    if (lines.join() !== [...list.children].map(({ textContent }) => textContent).join()) list.replaceChildren(...lines.map((line) => make("li", line)));
  }
}
