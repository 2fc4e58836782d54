/**
 * A data channel that stays on the page, its messages passed to and from the worker.
 *
 * The way for browsers that cannot transfer an RTCDataChannel: the same engine, slower.
 */
import type { PeerKey, ToWorker } from "./protocol.js";

type Post = (message: ToWorker, transfer?: Transferable[]) => void;

/** Passes on what the channel does, and sends what the engine wants sent. */
export class ForwardedChannel {
  readonly #peer: PeerKey;
  readonly #channel: RTCDataChannel;
  readonly #post: Post;
  #isOpen = false;

  constructor(peer: PeerKey, channel: RTCDataChannel, post: Post) {
    this.#peer = peer;
    this.#channel = channel;
    this.#post = post;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.onopen = () => this.#open();
    channel.onmessage = (event: MessageEvent<unknown>) => this.#receive(event.data);
    channel.onbufferedamountlow = () => this.#report();
    channel.onclose = () => post({ kind: "channelClosed", peer });
    post({ kind: "channelForwarded", peer });
    // Browsers differ in whether an answered channel, open when it comes, still says that it opens.
    if (channel.readyState === "open") this.#open();
  }

  send(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): void {
    if (this.#channel.readyState !== "open") return;
    try {
      // One call for both: the overloads do not take the union.
      this.#channel.send(bytes as ArrayBuffer);
    } catch {
      // The browser's own buffer is full, which closes nothing but loses this message: give up.
      this.#channel.close();
      return;
    }
    // One report for every message: the engine counts what is on its way to us by them.
    this.#report();
  }

  close(): void {
    const channel = this.#channel;
    channel.onopen = channel.onmessage = channel.onbufferedamountlow = channel.onclose = null;
    channel.close();
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#post({ kind: "channelOpened", peer: this.#peer });
  }

  #receive(data: unknown): void {
    // Text is not of this protocol; the engine would only drop it.
    if (data instanceof ArrayBuffer) this.#post({ kind: "received", peer: this.#peer, bytes: data }, [data]);
  }

  #report(): void {
    this.#post({ kind: "buffered", peer: this.#peer, amount: this.#channel.bufferedAmount });
  }
}

/** Buffered bytes under which the engine is told that there is room again. */
const LOW_BYTES = 64 * 1024;
