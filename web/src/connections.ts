/**
 * The page's RTCPeerConnections: made, answered and closed when the engine says so.
 *
 * Connections only. Each has one data channel, which leaves for the worker before it is used;
 * where the browser cannot move a channel, {@link ForwardedChannel} carries its messages.
 */
import { ForwardedChannel } from "./forwarded-channel.js";
import type { ConnectionOrder, PeerKey, ToWorker } from "./protocol.js";
import type { PathKind } from "./stats.js";

/** How connections are made. */
export interface ConnectionOptions {
  /** Passed to every RTCPeerConnection. No ICE servers unless they are given here. */
  rtcConfig?: RTCConfiguration;
  /** Carry messages through the page even where channels can be moved. */
  forwardMessages?: boolean;
  /** Rewrites every session description: ours before it is sent, theirs before it is applied. */
  mapSdp?: (sdp: string, direction: "local" | "remote") => string;
}

type Post = (message: ToWorker, transfer?: Transferable[]) => void;

/**
 * How far a connection came: an offer of ours made (nobody may ever answer it), both descriptions known,
 * a path found (ICE), and the path encrypted (DTLS), on which the channel opens at once.
 */
export type ConnectionStep = "offered" | "described" | "reached" | "encrypted";

/** What becomes of connections, as it happens. */
export interface ConnectionWatcher {
  stepped(peer: PeerKey, step: ConnectionStep): void;
  failed(peer: PeerKey, after: ConnectionStep | null, reason: string): void;
}

interface Connection {
  pc: RTCPeerConnection;
  step: ConnectionStep | null;
  path?: PathKind;
  forwarded?: ForwardedChannel;
}

/** Every connection of one engine, one per peer. */
export class Connections {
  readonly #connections = new Map<PeerKey, Connection>();
  readonly #options: ConnectionOptions;
  readonly #post: Post;
  readonly #watcher: ConnectionWatcher;
  #isForwarding: boolean;
  /** While the page is away: what the engine ordered meanwhile. */
  #postponed: ConnectionOrder[] | null = null;

  constructor(options: ConnectionOptions, post: Post, watcher: ConnectionWatcher) {
    this.#options = options;
    this.#post = post;
    this.#watcher = watcher;
    this.#isForwarding = options.forwardMessages === true;
  }

  /** Connections that are open or being made. */
  get count(): number {
    return this.#connections.size;
  }

  /** Whether messages pass through the page: asked for, or found to be the only way here. */
  get isForwarding(): boolean {
    return this.#isForwarding;
  }

  /** Whether the page is away. */
  get isSuspended(): boolean {
    return this.#postponed !== null;
  }

  /** What the path to a peer is, once it is known: a browser may be connected before it says by which pair of candidates. */
  path(peer: PeerKey): PathKind | undefined {
    const connection = this.#connections.get(peer);
    if (connection && !connection.path) void this.#learnPath(connection);
    return connection?.path;
  }

  handle(order: ConnectionOrder): void {
    if (this.#postponed) return void this.#postponed.push(order);
    switch (order.kind) {
      case "makeOffer": return this.#attempt(order.peer, this.#makeOffer(order.peer));
      case "acceptOffer": return this.#attempt(order.peer, this.#acceptOffer(order));
      case "applyAnswer": return this.#attempt(order.peer, this.#applyAnswer(order.peer, order.sdp));
      case "drop": return this.#drop(order.peer);
      case "send": return this.#connections.get(order.peer)?.forwarded?.send(order.bytes);
      default: order satisfies never;
    }
  }

  /** Closes every connection, tells the engine that they are gone, and makes no more until {@link resume}. */
  suspend(reason: string): void {
    this.#postponed ??= [];
    for (const peer of [...this.#connections.keys()]) this.#fail(peer, reason);
  }

  /** Does what was ordered since {@link suspend}. */
  resume(): void {
    const orders = this.#postponed ?? [];
    this.#postponed = null;
    for (const order of orders) this.handle(order);
  }

  async #makeOffer(peer: PeerKey): Promise<void> {
    const pc = this.#open(peer);
    // The channel must leave in the task that made it.
    this.#handOver(peer, pc.createDataChannel("headwater", { ordered: true }));
    await pc.setLocalDescription(await pc.createOffer());
    const sdp = await this.#localSdp(pc);
    if (!this.#isCurrent(peer, pc)) return;
    this.#step(peer, "offered");
    this.#post({ kind: "offerMade", peer, sdp });
  }

  async #acceptOffer({ peer, sdp, forward }: Extract<ConnectionOrder, { kind: "acceptOffer" }>): Promise<void> {
    const pc = this.#open(peer);
    let isTaken = false;
    pc.ondatachannel = ({ channel }) => {
      if (isTaken) return channel.close();
      isTaken = true;
      // What arrives while a channel moves is lost. Headwater waits until it is spoken to; others may not.
      this.#handOver(peer, channel, forward);
    };
    await pc.setRemoteDescription({ type: "offer", sdp: this.#map(sdp, "remote") });
    await pc.setLocalDescription(await pc.createAnswer());
    const answer = await this.#localSdp(pc);
    if (!this.#isCurrent(peer, pc)) return;
    this.#step(peer, "described");
    this.#post({ kind: "answerMade", peer, sdp: answer });
  }

  async #applyAnswer(peer: PeerKey, sdp: string): Promise<void> {
    const pc = this.#connections.get(peer)?.pc;
    await pc?.setRemoteDescription({ type: "answer", sdp: this.#map(sdp, "remote") });
    this.#step(peer, "described");
  }

  #open(peer: PeerKey): RTCPeerConnection {
    this.#drop(peer);
    const pc = new RTCPeerConnection(this.#options.rtcConfig);
    this.#connections.set(peer, { pc, step: null });
    pc.oniceconnectionstatechange = () => {
      if (/^(connected|completed)$/.test(pc.iceConnectionState)) this.#step(peer, "reached");
    };
    pc.onconnectionstatechange = () => {
      const state = pc.connectionState;
      if (state === "connected") this.#step(peer, "encrypted");
      if ((state === "failed" || state === "closed") && this.#isCurrent(peer, pc)) {
        this.#fail(peer, `the connection ${state === "failed" ? "failed" : "was closed"}`);
      }
    };
    return pc;
  }

  #handOver(peer: PeerKey, channel: RTCDataChannel, forward = false): void {
    if (!this.#isForwarding && !forward) {
      try {
        // The DOM types do not list RTCDataChannel among transferables yet.
        return this.#post({ kind: "channel", peer, channel }, [channel as unknown as Transferable]);
      } catch (error) {
        if (!(error instanceof DOMException && error.name === "DataCloneError") && !(error instanceof TypeError)) throw error;
        // This browser cannot move a channel; it is still ours to use, and so are all after it.
        this.#isForwarding = true;
      }
    }
    const connection = this.#connections.get(peer);
    if (connection) connection.forwarded = new ForwardedChannel(peer, channel, this.#post);
  }

  async #localSdp(pc: RTCPeerConnection): Promise<string> {
    await gathered(pc, (this.#options.rtcConfig?.iceServers?.length ?? 0) > 0);
    return this.#map(pc.localDescription?.sdp ?? "", "local");
  }

  #map(sdp: string, direction: "local" | "remote"): string {
    return this.#options.mapSdp?.(sdp, direction) ?? sdp;
  }

  #attempt(peer: PeerKey, step: Promise<void>): void {
    step.catch((error: unknown) => this.#fail(peer, error instanceof Error ? error.message : String(error)));
  }

  async #learnPath(connection: Connection): Promise<void> {
    const path = await pathOf(connection.pc).catch(() => undefined);
    if (path) connection.path = path;
  }

  #step(peer: PeerKey, step: ConnectionStep): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    // A browser may say that it is connected before it says that it took the answer: what was passed over counts.
    // Before the first it is at -1.
    const passed = STEPS.slice(STEPS.indexOf(connection.step as ConnectionStep) + 1, STEPS.indexOf(step) + 1);
    if (passed.length > 0) connection.step = step;
    for (const each of passed) {
      if (each === step || each !== "offered") this.#watcher.stepped(peer, each);
    }
  }

  #fail(peer: PeerKey, reason: string): void {
    const step = this.#connections.get(peer)?.step ?? null;
    this.#drop(peer);
    this.#watcher.failed(peer, step, reason);
    this.#post({ kind: "connectionFailed", peer, reason });
  }

  #drop(peer: PeerKey): void {
    const connection = this.#connections.get(peer);
    if (!connection) return;
    this.#connections.delete(peer);
    const { pc, forwarded } = connection;
    forwarded?.close();
    pc.onconnectionstatechange = pc.oniceconnectionstatechange = pc.ondatachannel = null;
    pc.close();
  }

  #isCurrent(peer: PeerKey, pc: RTCPeerConnection): boolean {
    return this.#connections.get(peer)?.pc === pc;
  }
}

const STEPS: readonly ConnectionStep[] = ["offered", "described", "reached", "encrypted"];

async function pathOf(pc: RTCPeerConnection): Promise<PathKind | undefined> {
  // The DOM types do not know it for the map it is.
  const reports = (await pc.getStats()) as unknown as ReadonlyMap<string, Record<string, unknown>>;
  for (const { type, nominated, state, localCandidateId, remoteCandidateId } of reports.values()) {
    if (type !== "candidate-pair" || !nominated || state !== "succeeded") continue;
    const kinds = [localCandidateId, remoteCandidateId].map((id) => reports.get(id as string)?.["candidateType"]);
    return kinds.includes("relay") ? "relayed" : kinds.join() === "host,host" ? "local" : "direct";
  }
  return undefined;
}

/**
 * Resolves when the local description is as complete as it is worth waiting for.
 *
 * Without ICE servers, when no candidate has come for a moment: all there will be come at once, but
 * Chromium takes 120 ms to say so. With servers, when all have come, or after a second if any has.
 */
function gathered(pc: RTCPeerConnection, hasServers: boolean): Promise<void> {
  const listening = new AbortController();
  const began = performance.now();
  let patience: ReturnType<typeof setTimeout>;
  return new Promise<void>((resolve) => {
    const isOver = (): boolean => pc.iceGatheringState === "complete";
    const wait = (ms: number): void => {
      clearTimeout(patience);
      patience = setTimeout(resolve, ms);
    };
    // A null or empty candidate ends the list.
    pc.addEventListener("icecandidate", ({ candidate }) => (candidate?.candidate ? wait(hasServers ? began + SERVER_PATIENCE_MS - performance.now() : QUIET_MS) : resolve()), listening);
    pc.addEventListener("icegatheringstatechange", () => isOver() && resolve(), listening);
    wait(isOver() ? 0 : GATHERING_LIMIT_MS);
  }).finally(() => {
    clearTimeout(patience);
    listening.abort();
  });
}

/** Wait for what STUN and TURN servers add. */
const SERVER_PATIENCE_MS = 1_000;

/** Wait for one more candidate of this machine's own; they come within a few milliseconds. */
const QUIET_MS = 20;

/** Wait for a first candidate: a relay-only page may need it. */
const GATHERING_LIMIT_MS = 10_000;
