/**
 * In the service worker: the ports that lead to each page's engine, by the page's token.
 *
 * A browser stops a service worker when it likes, and with it goes this table. An unknown token
 * is therefore asked for at the pages, and the one that has it sends a new port.
 */
import { HeadwaterError } from "../errors.js";
import type { Head, Read } from "../read.js";

/** What leads to one page's engine, and what is known of its files. */
export interface PagePort {
  clientId: string;
  port: MessagePort;
  /** By `<torrent>/<path>`: a file's head does not change. */
  heads: Map<string, Head>;
  /** Reads that are open. */
  reads: Set<Read>;
}

/** What pages say: here is a port, or: the engine is gone. */
type PageMessage = { kind: "headwater-port"; token: string; port: MessagePort } | { kind: "headwater-gone"; token: string };

/** The pages' ports. */
export class PagePorts {
  readonly #ports = new Map<string, PagePort>();
  readonly #waiting = new Map<string, Set<(port: PagePort) => void>>();
  readonly #clients: Clients;

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  /** Hears what a page says of its port; returns the token of a port that was taken. */
  hear(message: unknown, from: WindowClient): string | null {
    if (!isPageMessage(message)) return null;
    const held = this.#ports.get(message.token);
    // A token belongs to the page that came with it first.
    if (held && held.clientId !== from.id) return null;
    if (message.kind === "headwater-gone") {
      this.#forget(message.token);
      return null;
    }
    held?.port.close();
    const { heads = new Map<string, Head>(), reads = new Set<Read>() } = held ?? {};
    const port = { clientId: from.id, port: message.port, heads, reads };
    this.#ports.set(message.token, port);
    for (const settle of [...(this.#waiting.get(message.token) ?? [])]) settle(port);
    this.#waiting.delete(message.token);
    void this.#forgetGonePages();
    return message.token;
  }

  /** The port for `token`, asking the pages for it if need be; null when none of them has it. */
  async find(token: string): Promise<PagePort | null> {
    const port = this.#ports.get(token);
    if (!port) return this.#ask(token);
    if (await this.#clients.get(port.clientId)) return port;
    this.#forget(token);
    return null;
  }

  async #ask(token: string): Promise<PagePort | null> {
    const answer = new Promise<PagePort | null>((resolve) => {
      const timer = setTimeout(() => settle(null), ANSWER_LIMIT_MS);
      const settle = (port: PagePort | null): void => {
        clearTimeout(timer);
        this.#waiting.get(token)?.delete(settle);
        resolve(port);
      };
      this.#waiting.set(token, (this.#waiting.get(token) ?? new Set()).add(settle));
    });
    const pages = await this.#clients.matchAll({ type: "window", includeUncontrolled: true });
    for (const page of pages) page.postMessage({ kind: "headwater-need-port", token });
    return answer;
  }

  async #forgetGonePages(): Promise<void> {
    for (const [token, { clientId }] of [...this.#ports]) {
      if (!(await this.#clients.get(clientId))) this.#forget(token);
    }
  }

  #forget(token: string): void {
    const page = this.#ports.get(token);
    this.#ports.delete(token);
    page?.port.close();
    for (const read of [...(page?.reads ?? [])]) read.fail(new HeadwaterError("destroyed", "The engine is gone."));
  }
}

function isPageMessage(message: unknown): message is PageMessage {
  if (typeof message !== "object" || message === null) return false;
  const { kind, token, port } = message as { kind?: unknown; token?: unknown; port?: unknown };
  if (typeof token !== "string" || !TOKEN.test(token)) return false;
  return kind === "headwater-gone" || (kind === "headwater-port" && port instanceof MessagePort);
}

/** 128 random bits. */
const TOKEN = /^[0-9a-f]{32}$/;

/** Wait for a page to answer with its port. */
const ANSWER_LIMIT_MS = 10_000;
