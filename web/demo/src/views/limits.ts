/** Limits and consent: what is given, how much of it, and what leaves this machine. */
import type { HeadwaterOptions, Share, Sharing, Stats, UploadLimits } from "headwater";
import { element, make, setText } from "../dom.js";
import type { Film, View } from "../film.js";
import * as format from "../format.js";

const REASONS: Record<Sharing["reason"], string> = {
  asked: "as you chose",
  away: "this page is not shown",
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

const MONTH_KEY = "headwater-month";

/** The card of that name. */
export class Limits implements View {
  readonly #rate = element("upload-rate", HTMLSelectElement);
  readonly #bytes = element("upload-bytes", HTMLSelectElement);
  readonly #month = element("upload-month", HTMLSelectElement);
  readonly #window = element("window-bytes", HTMLSelectElement);
  readonly #radios = [...document.querySelectorAll<HTMLInputElement>('input[name="share"]')];
  #film: Film | null = null;
  #asked: Share | undefined;
  /** Called when what a torrent is opened with became another. */
  onMemory: () => void = () => {};
  /** Called when what a client is made with became another. */
  onMonth: () => void = () => {};

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
    // A month is longer than a visit.
    this.#month.value = localStorage.getItem(MONTH_KEY) ?? "";
    this.#month.addEventListener("change", () => {
      localStorage.setItem(MONTH_KEY, this.#month.value);
      this.onMonth();
    });
  }

  /** What a torrent is to be opened with; share is left to the device until the visitor says. */
  get options(): UploadLimits & { windowBytes: number; share?: Share } {
    return { ...this.upload, windowBytes: Number(this.#window.value), ...(this.#asked && { share: this.#asked }) };
  }

  /** What a client is to be made with. */
  get clientOptions(): Pick<HeadwaterOptions, "uploadBytesPerMonth"> {
    return { uploadBytesPerMonth: bytesOf(this.#month) };
  }

  private get upload(): UploadLimits {
    return { uploadRate: Number(this.#rate.value), uploadBytes: bytesOf(this.#bytes) };
  }

  open(film: Film): void {
    this.#film = film;
    // Another client would not have this tab's files.
    this.#month.disabled = film.isOurs;
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
    this.#month.disabled = false;
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
      `To ${torrent.peers.length === 0 ? "peers, once there are any" : torrent.peers.length === 1 ? "the one peer connected" : `the ${torrent.peers.length} peers connected`}: the same, and which pieces you want.`,
      ...(share === "share" ? [isOurs ? "To those who ask: pieces of your film." : "To those who ask: pieces you have watched."] : []),
      ...((torrent.stats?.fromOrigins ?? 0) > 0 ? ["To the film’s web server: this machine’s address, and requests for parts of the film."] : []),
      ...(/^https?:/.test(id) ? [`To ${format.host(id)}: the request for the .torrent file.`] : []),
      "To nobody else: no STUN or TURN server, no statistics.",
    ];
    const list = element("leaves", HTMLElement);
    if (lines.join() !== [...list.children].map(({ textContent }) => textContent).join()) list.replaceChildren(...lines.map((line) => make("li", line)));
  }
}

/** The bytes chosen; Infinity for no limit. */
function bytesOf({ value }: HTMLSelectElement): number {
  return value === "" ? Infinity : Number(value);
}
