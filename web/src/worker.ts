/**
 * The engine's worker: loads the WebAssembly module and hands the thread over to it.
 *
 * Knows one message, `start`. What arrives while the engine loads waits, and is delivered in order.
 */
import init, { start } from "../wasm-pkg/headwater_wasm.js";
import type { Opened } from "./keep.js";
import type { Wish } from "./making.js";
import { Fetcher } from "./origins.js";
import type { KeepOptions, Source } from "./protocol.js";
import type { StorageStats } from "./stats.js";

interface StartMessage {
  kind: "start";
  wasmUrl: string;
  /** The engine, if the page has compiled it. */
  module?: WebAssembly.Module;
  config: object;
}

interface OtherMessage {
  kind: string;
  source?: Source;
}

const scope = self as unknown as DedicatedWorkerGlobalScope;
const early: MessageEvent[] = [];
let isStarting = false;

// Before the engine hears it: files must be made a torrent of first.
scope.addEventListener("message", (event: MessageEvent<StartMessage | OtherMessage>) => {
  const message = event.data;
  if (isStart(message) || message.source?.kind !== "files") return;
  event.stopImmediatePropagation();
  void make(message as Wish);
}, { capture: true });

scope.onmessage = (event: MessageEvent<StartMessage | OtherMessage>) => {
  const message = event.data;
  if (isStart(message) && !isStarting) {
    isStarting = true;
    void run(message);
  } else {
    early.push(event);
  }
};

function isStart(message: StartMessage | OtherMessage): message is StartMessage {
  return message.kind === "start";
}

async function run({ wasmUrl, module, config }: StartMessage): Promise<void> {
  try {
    await init({ module_or_path: module ?? wasmUrl });
    scope.onmessage = null;
    start({ ...config, openShelf, fetcher: new Fetcher() });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    scope.postMessage({ kind: "error", code: "engineFailed", message: `The engine at ${wasmUrl} did not start: ${reason}` });
    return;
  }
  for (const { data, ports } of early.splice(0)) {
    scope.dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
  }
}

/** Loads what makes torrents, and has it make one. */
async function make(wish: Wish): Promise<void> {
  const { makingUrl } = wish.source;
  try {
    const making: typeof import("./making.js") = await import(makingUrl);
    await making.make(wish);
  } catch (error) {
    scope.postMessage({ kind: "error", torrent: wish.torrent, code: "hashFailed", message: `${makingUrl} did not load: ${String(error)}` });
  }
}

/** Loads what keeps pieces, and opens a torrent's. Who reads does not wait for long: it may come later. */
function openShelf(torrent: number, name: string, how: KeepOptions & { url: string }): Promise<Opened | undefined> {
  const opened = loadShelf(torrent, name, how);
  return Promise.race([opened, new Promise<Opened>((resolve) => setTimeout(resolve, SHELF_PATIENCE_MS, { later: opened }))]);
}

async function loadShelf(torrent: number, name: string, how: KeepOptions & { url: string }): Promise<Opened | undefined> {
  try {
    const { open }: typeof import("./keep.js") = await import(how.url);
    return await open(torrent, name, how);
  } catch (error) {
    const storage: Partial<StorageStats> = { state: "off", reason: "failed", message: String(error) };
    scope.postMessage({ kind: "storage", torrent, storage });
  }
}

const SHELF_PATIENCE_MS = 2_000;
