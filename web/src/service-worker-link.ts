/**
 * The page's side of the service worker: registered, in control of this page, and with a port to the engine.
 *
 * Knows no torrents; it makes stream URLs work.
 */
import { asHeadwaterError, HeadwaterError } from "./errors.js";

/** Registers the service worker and keeps it supplied with ports. */
export class ServiceWorkerLink {
  readonly #url: URL | null;
  readonly #token = randomToken();
  readonly #makePort: () => MessagePort;
  readonly #abort = new AbortController();
  #ready: Promise<void> | null = null;
  #isReady = false;

  /** `makePort` makes a port on which the engine answers reads. */
  constructor(url: URL | null, makePort: () => MessagePort) {
    this.#url = url;
    this.#makePort = makePort;
  }

  /** Whether stream URLs work now. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Resolves when stream URLs work; a failed attempt is made anew by the next call. */
  ready(): Promise<void> {
    this.#ready ??= this.#start().catch((error: unknown) => {
      this.#ready = null;
      throw asHeadwaterError(error, "serviceWorkerFailed");
    });
    return this.#ready;
  }

  /** The URL under which the page reads `path` (`<torrent>/<file>/<name>`). */
  streamUrl(path: string): string {
    return new URL(`headwater/${this.#token}/${path}`, this.#scope()).href;
  }

  /** The engine is gone: what still reads from it fails, and stream URLs work no more. */
  close(error: HeadwaterError): void {
    this.#abort.abort();
    if (this.#isReady) navigator.serviceWorker.controller?.postMessage({ kind: "headwater-gone", token: this.#token });
    this.#isReady = false;
    this.#ready = Promise.reject(error);
    this.#ready.catch(() => {});
  }

  #scope(): URL {
    if (!this.#url) throw new HeadwaterError("serviceWorkerOff", "This client was made without a service worker.");
    return new URL("./", this.#url);
  }

  async #start(): Promise<void> {
    const scope = this.#scope();
    const container = supportedContainer();
    if (!location.href.startsWith(scope.href)) {
      throw new HeadwaterError("serviceWorkerFailed", `The service worker's folder ${scope.href} does not hold this page.`);
    }
    const registration = await register(container, this.#url as URL, scope);
    await activated(registration);
    await inControl(container, registration);

    const { signal } = this.#abort;
    signal.throwIfAborted();
    container.addEventListener("message", (event) => this.#handle(event), { signal });
    container.addEventListener("controllerchange", () => this.#supply(container.controller), { signal });
    container.startMessages();
    await this.#handshake(container);
    this.#isReady = true;
  }

  async #handshake(container: ServiceWorkerContainer): Promise<void> {
    const taken = within(HANDSHAKE_LIMIT_MS, (resolve, signal) =>
      container.addEventListener(
        "message",
        ({ data }: MessageEvent<{ kind?: string; token?: string } | null>) => {
          if (data?.kind === "headwater-port-taken" && data.token === this.#token) resolve();
        },
        { signal },
      ),
    );
    this.#supply(container.controller);
    if (await taken) return;
    const script = container.controller?.scriptURL ?? "none";
    throw new HeadwaterError("serviceWorkerForeign", `The service worker that controls this page (${script}) is not ours.`);
  }

  #handle({ data, source }: MessageEvent<{ kind?: string; token?: string } | null>): void {
    if (data?.kind === "headwater-need-port" && data.token === this.#token) this.#supply(source as ServiceWorker | null);
  }

  #supply(worker: ServiceWorker | null): void {
    if (!worker) return;
    const port = this.#makePort();
    worker.postMessage({ kind: "headwater-port", token: this.#token, port }, [port]);
  }
}

function supportedContainer(): ServiceWorkerContainer {
  if (typeof navigator !== "undefined" && "serviceWorker" in navigator) return navigator.serviceWorker;
  const where = typeof location === "undefined" ? "here" : `at ${location.protocol}//${location.host}`;
  throw new HeadwaterError("serviceWorkerUnsupported", `This browser has no service workers ${where}.`);
}

async function register(container: ServiceWorkerContainer, url: URL, scope: URL): Promise<ServiceWorkerRegistration> {
  const existing = await container.getRegistration(location.href);
  const script = existing && (existing.active ?? existing.waiting ?? existing.installing)?.scriptURL;
  // A site's own service worker is not replaced: it may have imported ours.
  if (existing?.scope === scope.href && script && fileName(new URL(script)) !== fileName(url)) return existing;
  try {
    return await container.register(url, { scope: scope.href, updateViaCache: "none" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HeadwaterError("serviceWorkerFailed", `The service worker ${url.href} was not registered: ${reason}`, { cause });
  }
}

function fileName({ pathname }: URL): string {
  return pathname.slice(pathname.lastIndexOf("/") + 1);
}

async function activated(registration: ServiceWorkerRegistration): Promise<void> {
  if (registration.active) return;
  const worker = registration.installing ?? registration.waiting;
  const isDone = (): boolean => worker?.state === "activated" || worker?.state === "redundant";
  if (worker && !isDone()) {
    await within(ACTIVATION_LIMIT_MS, (resolve, signal) =>
      worker.addEventListener("statechange", () => isDone() && resolve(), { signal }),
    );
  }
  if (!registration.active) throw new HeadwaterError("serviceWorkerFailed", "The service worker did not start.");
}

async function inControl(container: ServiceWorkerContainer, registration: ServiceWorkerRegistration): Promise<void> {
  if (container.controller) return;
  const changed = within(CLAIM_LIMIT_MS, (resolve, signal) =>
    container.addEventListener("controllerchange", resolve as () => void, { signal }),
  );
  // After a forced reload a page stays without a controller until it is claimed.
  registration.active?.postMessage({ kind: "headwater-claim" });
  if (!(await changed) && !container.controller) {
    throw new HeadwaterError("serviceWorkerFailed", "The service worker did not take control of this page.", {
      hint: "Reload the page (not a forced reload).",
    });
  }
}

/** Whether what `listen` waits for came in time. */
function within(ms: number, listen: (resolve: () => void, signal: AbortSignal) => void): Promise<boolean> {
  const abort = new AbortController();
  const isDone = new Promise<boolean>((resolve) => {
    setTimeout(resolve, ms, false);
    listen(() => resolve(true), abort.signal);
  });
  return isDone.finally(() => abort.abort());
}

/** 128 bits that nobody guesses: who has a stream URL reads the file. */
function randomToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const ACTIVATION_LIMIT_MS = 10_000;
const CLAIM_LIMIT_MS = 5_000;
const HANDSHAKE_LIMIT_MS = 5_000;
