/** Handing the film on: link, QR code, magnet, .torrent; and the code that puts it into a page. */
import { generate } from "lean-qr";
import { toSvgPath } from "lean-qr/extras/svg";
import { element, setText } from "../dom.js";
import type { Film, View } from "../film.js";

/** Modules of white around a QR code: what readers ask for. */
const QUIET_ZONE = 4;

/** Both cards. */
export class ShareCards implements View {
  readonly #link = element("link", HTMLInputElement);
  readonly #buttons = ["copy-link", "copy-magnet"].map((id) => element(id, HTMLButtonElement));
  readonly #saved = element("save-torrent", HTMLAnchorElement);
  readonly #tabs = [...document.querySelectorAll<HTMLButtonElement>('[role="tab"]')];
  #magnet = "";
  #tab = "tab-element";

  constructor() {
    const [copyLink, copyMagnet] = this.#buttons;
    copyLink?.addEventListener("click", () => void copy(this.#link.value, "copied", "The link is on the clipboard."));
    copyMagnet?.addEventListener("click", () => void copy(this.#magnet, "copied", "The magnet link is on the clipboard."));
    this.#link.addEventListener("focus", () => this.#link.select());
    element("copy-code", HTMLButtonElement).addEventListener("click", () => void copy(this.#code(), "code-copied", "Copied."));
    for (const tab of this.#tabs) {
      tab.addEventListener("click", () => this.#choose(tab));
      tab.addEventListener("keydown", (event) => this.#move(event, tab));
    }
    this.close();
  }

  know(film: Film): void {
    this.#show(film);
    const file = film.torrent.torrentFile;
    this.#saved.hidden = !file;
    if (!file) return;
    this.#saved.href = URL.createObjectURL(file);
    this.#saved.download = `${film.torrent.name}.torrent`;
  }

  update(film: Film): void {
    // Trackers may be known later than the name.
    if (film.torrent.magnet !== this.#magnet) this.#show(film);
  }

  #show({ torrent, id }: Film): void {
    this.#magnet = torrent.magnet;
    const page = location.href.replace(/#.*$/s, "");
    // An address is shorter than a magnet link, and so easier to scan.
    this.#link.value = `${page}#${/^https?:/.test(id) ? id : torrent.magnet}`;
    for (const button of this.#buttons) button.disabled = false;
    showQr(this.#link.value);
    setText(element("code", HTMLElement).firstElementChild as HTMLElement, this.#code());
  }

  close(): void {
    URL.revokeObjectURL(this.#saved.href);
    this.#saved.hidden = true;
    this.#magnet = "";
    this.#link.value = "";
    for (const button of this.#buttons) button.disabled = true;
    showQr("");
    setText(element("copied", HTMLElement), "");
    setText(element("code", HTMLElement).firstElementChild as HTMLElement, this.#code());
  }

  #choose(chosen: HTMLButtonElement): void {
    this.#tab = chosen.id;
    for (const tab of this.#tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
    }
    const panel = element("code", HTMLElement);
    panel.setAttribute("aria-labelledby", chosen.id);
    setText(panel.firstElementChild as HTMLElement, this.#code());
    setText(element("code-copied", HTMLElement), "");
  }

  #move(event: KeyboardEvent, from: HTMLButtonElement): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const to = this.#tabs.at((this.#tabs.indexOf(from) + step) % this.#tabs.length);
    if (!to) return;
    this.#choose(to);
    to.focus();
  }

  #code(): string {
    const magnet = this.#magnet || "magnet:?xt=urn:btih:…&tr=wss://…";
    return (CODE[this.#tab] ?? CODE["tab-element"])?.(magnet) ?? "";
  }
}

/** A magnet link has no character that HTML or JavaScript would read otherwise but `&`; its name is encoded. */
const CODE: Record<string, (magnet: string) => string> = {
  "tab-element": (magnet) => `<headwater-video controls src="${magnet.replaceAll("&", "&amp;")}"></headwater-video>\n<script type="module">import "headwater/element";</script>`,
  "tab-attach": (magnet) => `import { attach } from "headwater";\n\nattach(document.querySelector("video"), "${magnet}");`,
  "tab-client": (magnet) => `import { Headwater } from "headwater";\n\nconst torrent = await new Headwater().add("${magnet}").ready;\nconst film = torrent.files.find(({ type }) => type.startsWith("video/"));\nawait film.streamTo(document.querySelector("video"));`,
};

function showQr(text: string): void {
  const svg = element("qr", SVGSVGElement);
  const path = svg.querySelector("path");
  svg.setAttribute("aria-label", text ? "QR code of the link" : "There is no link yet");
  if (!text) return path?.setAttribute("d", "");
  const code = generate(text);
  svg.setAttribute("viewBox", `${-QUIET_ZONE} ${-QUIET_ZONE} ${code.size + 2 * QUIET_ZONE} ${code.size + 2 * QUIET_ZONE}`);
  path?.setAttribute("d", toSvgPath(code));
}

async function copy(text: string, statusId: string, said: string): Promise<void> {
  const status = element(statusId, HTMLElement);
  try {
    await navigator.clipboard.writeText(text);
    setText(status, said);
  } catch {
    setText(status, "This browser lets pages copy only over https; select the text instead.");
  }
}
