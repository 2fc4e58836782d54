/**
 * `<headwater-video src="magnet:…" controls>`: a media element whose source may be a torrent.
 *
 * Everything else is that of `<video>`: attributes, properties, methods, events. What skins and
 * control bars expect of a media element (media-chrome, Vidstack) they find.
 * Importing this module defines the element.
 */
import { CustomVideoElement } from "custom-media-element";
import { attach, HeadwaterError, type Attachment, type AttachOptions, type Headwater, type Share, type Torrent } from "./headwater.js";

/** A `<video>` that can be derived from: it has a native one within. */
export interface MediaElement extends HTMLVideoElement {
  /** The `<video>` within. */
  readonly nativeEl: HTMLVideoElement;
  attributeChangedCallback(name: string, old?: string | null, value?: string | null): void;
  connectedCallback(): void;
  disconnectedCallback(): void;
}

/** What media elements say of an error, and the whole of it, if it is of a torrent. */
export interface TorrentMediaError extends MediaError {
  readonly cause?: HeadwaterError;
}

const Base = CustomVideoElement as unknown as {
  new (): MediaElement;
  readonly observedAttributes: string[];
  getTemplateHTML(attributes: Record<string, string>): string;
};

/** The element's class. */
export class HeadwaterVideoElement extends Base {
  static override getTemplateHTML(attributes: Record<string, string>): string {
    const { src, ...others } = attributes;
    return Base.getTemplateHTML(src === undefined || isTorrent(src) ? others : attributes);
  }

  static override get observedAttributes(): string[] {
    return [...super.observedAttributes, "file", "share"];
  }

  /** Whose torrents its own are to be. The page's shared client. */
  client: Headwater | undefined = undefined;
  #attachment: Attachment | null = null;
  #error: HeadwaterError | null = null;
  #isQueued = false;

  /** What it plays; null before that, and when the source is no torrent. */
  get torrent(): Torrent | null {
    return this.#attachment?.torrent ?? null;
  }

  /** What went wrong, as media elements say it. `cause` is the whole of it. */
  override get error(): TorrentMediaError | null {
    const cause = this.#error;
    return cause ? { ...MEDIA_ERRORS, code: MEDIA_ERRORS.MEDIA_ERR_SRC_NOT_SUPPORTED, message: `${cause.message} ${cause.hint}`.trim(), cause } : this.nativeEl.error;
  }

  override attributeChangedCallback(name: string, old: string | null = null, value: string | null = null): void {
    if (name === "file" || name === "share") {
      if (old !== value) this.#reload();
    } else if (name !== "src") {
      super.attributeChangedCallback(name, old, value);
    } else if (old !== value) {
      if (value === null || !isTorrent(value)) super.attributeChangedCallback(name, old, value);
      this.#reload();
    }
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (!this.#attachment) this.#reload();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    // An element that is moved comes back at once.
    queueMicrotask(() => this.isConnected || this.#detach());
  }

  override load(): void {
    const { src } = this;
    if (src && isTorrent(src)) this.#reload();
    else this.nativeEl.load();
  }

  /** Once for all attributes that are set together. */
  #reload(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    queueMicrotask(() => {
      this.#isQueued = false;
      this.#detach();
      if (this.isConnected) this.#attach();
    });
  }

  #attach(): void {
    const { src } = this;
    if (!src || !isTorrent(src)) return;
    try {
      const attachment = attach(this.nativeEl, src, this.#options());
      this.#attachment = attachment;
      attachment.torrent.on("error", (error) => this.#report(error));
      attachment.ready.catch((error: HeadwaterError) => this.#attachment === attachment && this.#fail(error));
      this.dispatchEvent(new CustomEvent("torrent", { detail: attachment.torrent }));
    } catch (error) {
      this.#fail(error instanceof HeadwaterError ? error : new HeadwaterError("engineFailed", String(error)));
    }
  }

  #options(): AttachOptions {
    const file = this.getAttribute("file");
    const share = this.getAttribute("share");
    return {
      ...(this.client && { client: this.client }),
      ...(file && { file: /^\d+$/.test(file) ? Number(file) : file }),
      ...(isShare(share) && { share }),
    };
  }

  #detach(): void {
    this.#error = null;
    this.#attachment?.detach();
    this.#attachment = null;
  }

  /** Something that may pass: a tracker that is down. */
  #report(error: HeadwaterError): void {
    this.dispatchEvent(new CustomEvent("torrenterror", { detail: error }));
  }

  #fail(error: HeadwaterError): void {
    this.#error = error;
    this.dispatchEvent(new CustomEvent("error", { detail: error }));
  }
}

/** What is no torrent plays as in a plain `<video>`. */
function isTorrent(src: string): boolean {
  return /^(magnet:|[0-9a-f]{40}$|[0-9a-f]{64}$)/i.test(src) || /\.torrent$/i.test(src.replace(/[?#].*$/s, ""));
}

function isShare(text: string | null): text is Share {
  return text === "off" || text === "download" || text === "share";
}

/** A native MediaError cannot be made. */
const MEDIA_ERRORS = { MEDIA_ERR_ABORTED: 1, MEDIA_ERR_NETWORK: 2, MEDIA_ERR_DECODE: 3, MEDIA_ERR_SRC_NOT_SUPPORTED: 4 } as const;

declare global {
  interface HTMLElementTagNameMap {
    "headwater-video": HeadwaterVideoElement;
  }
}

// Not on a server, and once only.
if (globalThis.customElements && !customElements.get("headwater-video")) {
  customElements.define("headwater-video", HeadwaterVideoElement as unknown as CustomElementConstructor);
}
