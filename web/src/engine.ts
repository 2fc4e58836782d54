/**
 * The worker that runs the engine, as the page sees it: typed messages out, typed messages in.
 *
 * Knows nothing of torrents or connections.
 */
import { HeadwaterError } from "./errors.js";
import type { FromWorker, StartConfig, ToWorker } from "./protocol.js";

/** Where the engine's files are, and what it starts with. */
export interface EngineOptions {
  workerUrl: URL;
  wasmUrl: URL;
  config: StartConfig;
}

/** The engine's worker. */
export class Engine {
  /** Resolves when the engine runs; rejects when it cannot be loaded. */
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #onMessage: (message: FromWorker) => void;
  readonly #onFailed: (error: HeadwaterError) => void;
  #settle!: { resolve: () => void; reject: (error: HeadwaterError) => void };

  constructor(
    { workerUrl, wasmUrl, config }: EngineOptions,
    onMessage: (message: FromWorker) => void,
    onFailed: (error: HeadwaterError) => void,
  ) {
    this.#onMessage = onMessage;
    this.#onFailed = onFailed;
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Whoever awaits `ready` sees the failure; nobody has to.
    this.ready.catch(() => {});
    this.#worker = makeWorker(workerUrl);
    this.#worker.onmessage = (event: MessageEvent<FromWorker>) => this.#receive(event.data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(event.message ? `The worker failed: ${event.message}` : `The worker at ${workerUrl.href} did not load.`);
    };
    void this.#start(wasmUrl.href, config);
  }

  /** Compiles the engine while its worker starts. What cannot be done here the worker tries itself, and says why not. */
  async #start(wasmUrl: string, config: StartConfig): Promise<void> {
    const module = await WebAssembly.compileStreaming(fetch(wasmUrl)).catch(() => undefined);
    this.post({ kind: "start", wasmUrl, module, config });
  }

  post = (message: ToWorker, transfer: Transferable[] = []): void => {
    this.#worker.postMessage(message, transfer);
  };

  terminate(): void {
    this.#worker.onmessage = null;
    this.#worker.onerror = null;
    this.#worker.terminate();
    this.#settle.reject(new HeadwaterError("destroyed", "The client was destroyed."));
  }

  #receive(message: FromWorker): void {
    if (message.kind === "ready") return this.#settle.resolve();
    if (message.kind === "error" && message.code === "engineFailed") return this.#fail(message.message);
    this.#onMessage(message);
  }

  #fail(reason: string): void {
    const error = new HeadwaterError("engineFailed", reason);
    this.#settle.reject(error);
    this.terminate();
    this.#onFailed(error);
  }
}

function makeWorker(url: URL): Worker {
  if (typeof Worker === "undefined") throw new HeadwaterError("noWorker", "There are no web workers here.");
  if (url.origin === location.origin || url.protocol === "blob:") return new Worker(url, { type: "module", name: "headwater" });
  // A worker must be of the page's origin; a module it imports need not be.
  const blob = URL.createObjectURL(new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" }));
  const worker = new Worker(blob, { type: "module", name: "headwater" });
  setTimeout(() => URL.revokeObjectURL(blob), 60_000);
  return worker;
}
