/**
 * One read of a file: opened at the worker, pulled a chunk at a time.
 *
 * The same on the page and in the service worker. Nothing is asked for ahead of the reader.
 */
import { HeadwaterError } from "./errors.js";
import type { TorrentKey } from "./protocol.js";
import type { ByteRange } from "./range.js";

/** What to read. Without `start` from the first byte, without `end` to the last. */
export interface ReadRequest extends Partial<ByteRange> {
  torrent: TorrentKey;
  /** The file's number in the torrent. */
  file?: number;
  /** Or its folders and name. */
  path?: readonly string[];
}

/** What the worker says of a file before its bytes. */
export interface Head extends ByteRange {
  /** Bytes of the whole file. */
  length: number;
  type: string;
  name: string;
}

type FromReader = { kind: "pull" } | { kind: "cancel" };

type ToReader =
  | ({ kind: "head" } & Head)
  | { kind: "data"; bytes: ArrayBuffer }
  | { kind: "end" }
  | { kind: "error"; code: string; message: string };

/** A read that has been opened. */
export class Read {
  /** Resolves when the worker knows the file; rejects when there is no such file or range. */
  readonly head: Promise<Head>;
  /** Resolves when it is over, however it ended. */
  readonly closed: Promise<void>;
  readonly #port: MessagePort;
  #setClosed!: () => void;
  #head!: { resolve: (head: Head) => void; reject: (error: HeadwaterError) => void };
  #pull: { resolve: (bytes: Uint8Array<ArrayBuffer> | null) => void; reject: (error: HeadwaterError) => void } | null = null;
  #failure: HeadwaterError | null = null;
  #isClosed = false;

  constructor(control: MessagePort, request: ReadRequest) {
    this.closed = new Promise((resolve) => (this.#setClosed = resolve));
    this.head = new Promise((resolve, reject) => (this.#head = { resolve, reject }));
    this.head.catch(() => {});
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    port1.onmessage = (event: MessageEvent<ToReader>) => this.#receive(event.data);
    // Sent where browsers know it, when the worker is gone.
    port1.addEventListener("close", () => this.fail(new HeadwaterError("destroyed", "The engine is gone.")));
    control.postMessage({ kind: "open", ...request, port: port2 }, [port2]);
  }

  /** The next bytes, in order; null after the last. One at a time. */
  pull(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#isClosed) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#pull = { resolve, reject };
      this.#port.postMessage({ kind: "pull" } satisfies FromReader);
    });
  }

  /** Ends the read: nothing more is wanted. */
  cancel(): void {
    if (this.#isClosed) return;
    this.#port.postMessage({ kind: "cancel" } satisfies FromReader);
    this.#close();
  }

  /** Ends the read with an error, which the one who pulls sees. */
  fail(error: HeadwaterError): void {
    if (this.#isClosed) return;
    this.#failure = error;
    this.#head.reject(error);
    this.#pull?.reject(error);
    this.cancel();
  }

  /** The bytes as a stream that pulls when it is read, and only then. */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream(
      {
        pull: async (controller) => {
          const bytes = await this.pull();
          if (bytes) controller.enqueue(bytes);
          else controller.close();
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  #receive(message: ToReader): void {
    switch (message.kind) {
      case "head": return this.#head.resolve(message);
      case "data": return this.#answer(new Uint8Array(message.bytes));
      case "end": this.#answer(null); return this.#close();
      case "error": return this.fail(new HeadwaterError(message.code, message.message));
      default: message satisfies never;
    }
  }

  #answer(bytes: Uint8Array<ArrayBuffer> | null): void {
    const pull = this.#pull;
    this.#pull = null;
    pull?.resolve(bytes);
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#answer(null);
    this.#port.close();
    this.#setClosed();
  }
}
