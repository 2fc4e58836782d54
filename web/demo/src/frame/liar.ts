/**
 * A liar: joins a swarm, claims to have everything, and answers each request with bytes that are wrong.
 *
 * Speaks just enough of the tracker's and the peers' protocol for that, with no engine. It does to
 * this page what a stranger could do; nothing in the page makes it easy.
 */
import { Voice, type Confession } from "../neighbours.js";
import type { Order } from "./orders.js";

/** Offers brought to the tracker: as many peers may answer. */
const OFFERS = 5;
/** `-LI0001-`, then luck. */
const CLIENT = "-LI0001-";
const HANDSHAKE_BYTES = 68;
const MAX_REQUEST = 16 * 1024;
/** Who is silent for longer is taken for gone. */
const REPORT_EVERY_MS = 1_000;

/** Message numbers (BEP 3, BEP 6). */
const UNCHOKE = 1;
const REQUEST = 6;
const PIECE = 7;
const HAVE_ALL = 14;

/** Lies until its frame is gone. */
export async function lie({ tracker, swarm }: Extract<Order, { kind: "liar" }>): Promise<void> {
  const infoHash = Uint8Array.from(swarm.slice(0, 40).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const peerId = new Uint8Array(20);
  crypto.getRandomValues(peerId).set(Array.from(CLIENT, (letter) => letter.charCodeAt(0)));
  const deeds = new Deeds(swarm, hex(peerId));
  const handshake = greeting(infoHash, peerId);
  const offers = await Promise.all(Array.from({ length: OFFERS }, () => makeOffer((channel) => serve(channel, handshake, deeds))));
  const socket = new WebSocket(tracker);
  const say = (message: object): void => socket.send(JSON.stringify({ action: "announce", info_hash: latin1(infoHash), peer_id: latin1(peerId), ...message }));
  socket.addEventListener("open", () => {
    const brought = offers.map(({ id, sdp }) => ({ offer_id: id, offer: { type: "offer", sdp } }));
    // What it says it has is believed by nobody; `left` is how a tracker tells seeds.
    say({ event: "started", numwant: OFFERS, uploaded: 0, downloaded: 0, left: 0, offers: brought });
  });
  socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
    const { answer, offer_id: id } = JSON.parse(data) as { answer?: { sdp: string }; offer_id?: string };
    const offer = offers.find((offer) => offer.id === id);
    if (answer && offer) void offer.connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
  });
}

/** What it did, told as it happens. */
class Deeds {
  readonly #voice = new Voice();
  readonly #said: Confession;

  constructor(swarm: string, peerId: string) {
    this.#said = { kind: "confession", swarm, peerId, asked: 0, lied: 0, dropped: 0 };
    // So that the page knows it from the others.
    const report = { kind: "report" as const, swarm, peerId, role: "liar" as const, links: [], fromViewers: 0 };
    this.#voice.say(report);
    setInterval(() => this.#voice.say(report), REPORT_EVERY_MS);
  }

  count(what: "asked" | "dropped" | "lied"): void {
    this.#said[what] += 1;
    this.#voice.say(this.#said);
  }
}

interface MadeOffer {
  connection: RTCPeerConnection;
  id: string;
  sdp: string;
}

async function makeOffer(opened: (channel: RTCDataChannel) => void): Promise<MadeOffer> {
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel("liar");
  channel.binaryType = "arraybuffer";
  channel.addEventListener("open", () => opened(channel));
  await connection.setLocalDescription();
  if (connection.iceGatheringState !== "complete") {
    await new Promise<void>((resolve) => {
      connection.addEventListener("icegatheringstatechange", () => connection.iceGatheringState === "complete" && resolve());
    });
  }
  return { connection, id: latin1(crypto.getRandomValues(new Uint8Array(20))), sdp: connection.localDescription?.sdp ?? "" };
}

/** The handshake with the Fast extension and v2; then: I have all, ask me. */
function greeting(infoHash: Uint8Array, peerId: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HANDSHAKE_BYTES + 10);
  bytes.set([19, ...Array.from("BitTorrent protocol", (letter) => letter.charCodeAt(0))]);
  bytes[27] = 0x04 | 0x10;
  bytes.set(infoHash, 28);
  bytes.set(peerId, 48);
  bytes.set([0, 0, 0, 1, HAVE_ALL, 0, 0, 0, 1, UNCHOKE], HANDSHAKE_BYTES);
  return bytes;
}

function serve(channel: RTCDataChannel, handshake: Uint8Array<ArrayBuffer>, deeds: Deeds): void {
  let heard = new Uint8Array(0);
  let isGreeted = false;
  channel.send(handshake);
  channel.addEventListener("close", () => deeds.count("dropped"));
  channel.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => {
    heard = joined(heard, new Uint8Array(data));
    if (!isGreeted && heard.length >= HANDSHAKE_BYTES) {
      heard = heard.slice(HANDSHAKE_BYTES);
      isGreeted = true;
    }
    for (let frame = isGreeted ? nextFrame(heard) : null; frame; frame = nextFrame(heard)) {
      heard = heard.slice(4 + frame.length);
      if (frame[0] !== REQUEST) continue;
      deeds.count("asked");
      channel.send(wrongAnswer(frame));
      deeds.count("lied");
    }
  });
}

function nextFrame(heard: Uint8Array): Uint8Array | null {
  if (heard.length < 4) return null;
  const length = new DataView(heard.buffer, heard.byteOffset).getUint32(0);
  return heard.length < 4 + length ? null : heard.slice(4, 4 + length);
}

/** A block of the length that was asked for, at the place that was asked for. */
function wrongAnswer(request: Uint8Array): Uint8Array<ArrayBuffer> {
  const length = Math.min(new DataView(request.buffer, request.byteOffset).getUint32(9), MAX_REQUEST);
  const answer = new Uint8Array(13 + length).fill(0xaa);
  new DataView(answer.buffer).setUint32(0, 9 + length);
  answer[4] = PIECE;
  answer.set(request.subarray(1, 9), 5);
  return answer;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Bytes as trackers write them: a character each. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
