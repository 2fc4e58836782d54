/**
 * The screen: the video with its controls, and what hangs before it while there is no picture.
 */
import "media-chrome/media-control-bar";
import "media-chrome/media-controller";
import "media-chrome/media-fullscreen-button";
import "media-chrome/media-loading-indicator";
import "media-chrome/media-mute-button";
import "media-chrome/media-pip-button";
import "media-chrome/media-play-button";
import "media-chrome/media-time-display";
import "media-chrome/media-time-range";
import "media-chrome/media-volume-range";
import type { TorrentFile } from "headwater";
import { element, make, setText } from "../dom.js";
import type { Film, View } from "../film.js";
import * as format from "../format.js";

export type ScreenState = "empty" | "failed" | "loading" | "playing";

/** The film's screen, title and choice of files. */
export class Player implements View {
  readonly video = element("video", HTMLVideoElement);
  readonly #screen = element("curtain", HTMLElement).parentElement as HTMLElement;
  readonly #choice = element("file", HTMLSelectElement);
  readonly #hashing = element("hashing", HTMLProgressElement);
  /** Called with the file that was chosen, of several. */
  onChoice: (index: number) => void = () => {};

  constructor() {
    this.#choice.addEventListener("change", () => this.onChoice(Number(this.#choice.value)));
    this.video.addEventListener("loadeddata", () => this.setState("playing"));
  }

  setState(state: ScreenState, phase = ""): void {
    this.#screen.dataset["state"] = state;
    this.#hashing.hidden = true;
    if (phase) this.setPhase(phase);
  }

  get state(): ScreenState {
    return this.#screen.dataset["state"] as ScreenState;
  }

  setPhase(phase: string): void {
    setText(element("phase", HTMLElement), phase);
  }

  setTitle(title: string, subtitle: string): void {
    setText(element("title", HTMLElement), title);
    setText(element("subtitle", HTMLElement), subtitle);
    document.title = `${title} · Headwater`;
  }

  open({ torrent, isOurs }: Film): void {
    this.setTitle(isOurs ? "Reading your film…" : "Opening…", "Every second is checked before it is shown.");
    torrent.on("hashing", ({ done, total }) => {
      this.#hashing.hidden = false;
      this.#hashing.value = done / total;
      this.setPhase(`Hashing: ${format.bytes(done)} of ${format.bytes(total)}`);
    });
  }

  know({ torrent }: Film): void {
    const kind = torrent.infoHashV1 && torrent.infoHashV2 ? "hybrid" : torrent.infoHashV2 ? "v2" : "v1";
    this.setTitle(torrent.name, `${format.bytes(torrent.length)} in ${torrent.pieceCount} pieces of ${format.bytes(torrent.pieceLength)}, ${kind}`);
    const option = (file: TorrentFile): HTMLElement =>
      Object.assign(make("option", `${file.path} (${format.bytes(file.length)})`), { value: String(file.index) });
    this.#choice.replaceChildren(...torrent.files.map(option));
    element("file-choice", HTMLElement).hidden = torrent.files.length < 2;
  }

  close(): void {
    this.video.removeAttribute("src");
    this.video.load();
    this.setTitle("No film yet", "Every second is checked before it is shown.");
    document.title = "Headwater";
    element("file-choice", HTMLElement).hidden = true;
    this.setState("empty");
  }

  /** Plays a file; from `atSeconds` on, if it is to. */
  async play(file: TorrentFile, atSeconds = 0): Promise<void> {
    this.#choice.value = String(file.index);
    this.setState("loading", "Fetching the first pieces…");
    await file.streamTo(this.video);
    if (atSeconds > 0) this.video.addEventListener("loadedmetadata", () => (this.video.currentTime = atSeconds), { once: true });
    // Browsers want a click before sound; the controls are there.
    await this.video.play().catch(() => {});
  }
}
