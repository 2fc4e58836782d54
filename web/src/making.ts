/**
 * Makes torrents of files of the page, for the engine's worker. Loaded when a page seeds.
 *
 * A module of its own plans and hashes, `wasm/making`; the files are read here. The engine hears of the
 * torrent when it is made: until then what the page says of it waits, and removing it ends the making.
 */
import init, { Making } from "../wasm-pkg/headwater_making.js";
import { wasmBase64 } from "headwater:making";
import type { Source, ToWorker } from "./protocol.js";

/** What the page wants seeded. */
export type Wish = Extract<ToWorker, { kind: "add" }> & { source: Extract<Source, { kind: "files" }> };

/** Makes the torrent and hands it to the engine, with all that was said of it meanwhile. */
export async function make(wish: Wish): Promise<void> {
  const { torrent, source, trackers = [] } = wish;
  const held: unknown[] = [];
  const over = new AbortController();
  const hold = (event: MessageEvent<{ kind: string; torrent?: number }>): void => {
    if (event.data.torrent !== torrent) return;
    event.stopImmediatePropagation();
    held.push(event.data);
    if (event.data.kind === "remove" || event.data.kind === "add") over.abort();
  };
  // Before the engine hears it.
  addEventListener("message", hold, { capture: true });
  try {
    await (ready ??= init({ module_or_path: bytesOf(wasmBase64) }));
    const files = await hashed(torrent, source, trackers, over.signal);
    held.unshift({ ...wish, source: files });
  } catch (error) {
    if (!over.signal.aborted) {
      const reason = error instanceof Error ? error.message : String(error);
      postMessage({ kind: "error", torrent, code: "hashFailed", message: `No torrent can be made: ${reason}.` });
    }
  }
  removeEventListener("message", hold, { capture: true });
  for (const data of held) dispatchEvent(new MessageEvent("message", { data }));
}

let ready: Promise<unknown> | undefined;

/** Reads the files and hashes them; the torrent, and what it is made of, as the engine takes it. */
async function hashed(torrent: number, { name, files, pieceLength }: Wish["source"], trackers: readonly string[], signal: AbortSignal): Promise<object> {
  const { folder, paths } = laidOut(files.map(({ path }) => path));
  // A path may have folders in it, a name may not.
  const first = paths[0]?.split("/").at(-1) ?? "";
  const title = name ?? folder ?? (files.length === 1 ? first : `${first} and ${files.length - 1} more`);
  const making = new Making(title, paths, Float64Array.from(files, ({ file }) => file.size), [...trackers], pieceLength);
  try {
    const total = making.length();
    const reading: Promise<Uint8Array>[] = [];
    const readOn = (piece: number): void => {
      const parts = making.parts(piece);
      if (parts.length === 0) return;
      const bytes = read(files, parts);
      // Whoever takes it hears of it; what nobody takes any more may fail.
      bytes.catch(() => {});
      reading.push(bytes);
    };
    let [done, told] = [0, 0];
    for (let piece = 0; piece < AHEAD; piece += 1) readOn(piece);
    for (let piece = 0; reading.length > 0; piece += 1) {
      const bytes = await reading.shift()!;
      signal.throwIfAborted();
      readOn(piece + AHEAD);
      making.hash(piece, bytes);
      done += bytes.length;
      if (done < told + NEWS_EVERY_BYTES && done < total) continue;
      told = done;
      postMessage({ kind: "hashing", torrent, done, total });
    }
    const metainfo = making.finish();
    const sources = Array.from(making.sources(), (source) => (source < 0 ? null : source));
    postMessage({ kind: "hashed", torrent, metainfo, sources });
    return { kind: "seeded", bytes: metainfo, files: sources.map((source) => files[source ?? -1]?.file) };
  } finally {
    making.free();
  }
}

/** What was chosen as a folder has the folder's name at the start of all its paths: that is the torrent's. */
function laidOut(paths: string[]): { folder?: string; paths: string[] } {
  const [first = ""] = paths;
  const folder = first.slice(0, first.indexOf("/") + 1);
  if (!folder || !paths.every((path) => path.startsWith(folder))) return { paths };
  return { folder: folder.slice(0, -1), paths: paths.map((path) => path.slice(folder.length)) };
}

/** A piece's bytes: of three numbers a part, as {@link Making.parts} has them. */
async function read(files: readonly { file: Blob }[], parts: Float64Array): Promise<Uint8Array> {
  const spans = Array.from({ length: parts.length / 3 }, (_, part) => parts.slice(3 * part, 3 * part + 3) as unknown as [number, number, number]);
  const bytes = new Uint8Array(spans.reduce((sum, [, , length]) => sum + length, 0));
  const found = spans.map(([file, start, length]) => files[file]?.file.slice(start, start + length).arrayBuffer());
  let at = 0;
  for (const [index, [, , length]] of spans.entries()) {
    const part = await found[index]?.catch(() => Promise.reject(new Error("a file cannot be read")));
    if (part && part.byteLength !== length) throw new Error("a file became shorter");
    if (part) bytes.set(new Uint8Array(part), at);
    at += length;
  }
  return bytes;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Pieces read ahead. */
const AHEAD = 8;

/** Bytes between two words on how far it is. */
const NEWS_EVERY_BYTES = 4 << 20;
