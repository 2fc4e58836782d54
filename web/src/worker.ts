/**
 * The engine's worker: loads the WebAssembly module and hands the thread over to it.
 *
 * Knows one message, `start`. What arrives while the engine loads waits, and is delivered in order.
 */
import init, { start } from "../wasm-pkg/headwater_wasm.js";

interface StartMessage {
  kind: "start";
  wasmUrl: string;
  config: unknown;
}

const scope = self as unknown as DedicatedWorkerGlobalScope;
const early: MessageEvent[] = [];
let isStarting = false;

scope.onmessage = (event: MessageEvent<StartMessage | { kind: string }>) => {
  const message = event.data;
  if (isStart(message) && !isStarting) {
    isStarting = true;
    void run(message);
  } else {
    early.push(event);
  }
};

function isStart(message: StartMessage | { kind: string }): message is StartMessage {
  return message.kind === "start";
}

async function run({ wasmUrl, config }: StartMessage): Promise<void> {
  try {
    await init({ module_or_path: wasmUrl });
    scope.onmessage = null;
    start(config);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    scope.postMessage({ kind: "error", code: "engineFailed", message: `The engine at ${wasmUrl} did not start: ${reason}` });
    return;
  }
  for (const { data, ports } of early.splice(0)) {
    scope.dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
  }
}
