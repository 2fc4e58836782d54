/**
 * Keeps pieces in the origin-private file system, for the engine's worker. Loaded when a page asks for it.
 *
 * It has slots and no hashes: the engine looks at all that it gives back before anybody sees it. One tab
 * at a time has the place; the others wait in line, and go on without.
 */
import { FOLDER, LOCK, patiently, sleep } from "./place.js";
import type { KeepOptions } from "./protocol.js";
import type { StorageStats } from "./stats.js";

/** What became of opening: a shelf, or word that there may be one later. */
export interface Opened {
  shelf?: Shelf;
  later?: Promise<Opened | undefined>;
}

/** What {@link Shelf.write} answers: as `Taken` of `wasm/src/keep.rs`. */
const Taken = { yes: 0, full: 1, lost: 2 } as const;

/** Opens the shelf of this name. Never rejects: what is wrong is told, and there is no shelf. */
export async function open(torrent: number, name: string, { maxBytes = Infinity }: KeepOptions): Promise<Opened> {
  const tell = (storage: Partial<StorageStats>): void => postMessage({ kind: "storage", torrent, storage: { ...NOTHING, ...storage } });
  const opening = async (): Promise<Opened> => {
    try {
      return { shelf: await (await place()).shelf(name, maxBytes, tell) };
    } catch (error) {
      const isAble = "locks" in navigator && "getDirectory" in (navigator.storage ?? {});
      tell({ state: "off", reason: isAble ? "failed" : "unsupported", message: String(error) });
      return {};
    }
  };
  const opened = opening();
  const isHeld = held?.then(() => true, () => true) ?? true;
  if (await Promise.race([isHeld, sleep(PATIENCE_MS)])) return opened;
  tell({ state: "waiting", reason: "otherTab" });
  return { later: opened };
}

/** The place while it is ours, or while we are in line for it. */
let held: Promise<Place> | undefined;

function place(): Promise<Place> {
  return (held ??= new Promise<Place>((resolve, reject) => {
    let mine: Place | undefined;
    const over = (error: unknown): void => {
      held = undefined;
      mine?.end("cleared");
      reject(error);
    };
    navigator.locks
      .request(LOCK, async () => {
        mine = await Place.open();
        resolve(mine);
        await mine.released;
      })
      .then(() => (held = undefined), over);
  }));
}

/** A torrent of the site that nobody has open. */
interface Idle {
  name: string;
  bytes: number;
  /** Milliseconds since 1970. */
  usedAt: number;
}

/** The site's folder. */
class Place {
  readonly released: Promise<void>;
  readonly #folder: FileSystemDirectoryHandle;
  readonly #open = new Set<Shelf>();
  #idle: Idle[] = [];
  #release!: () => void;
  /** Most bytes that are kept: a share of what the rest of the site leaves of the quota. */
  cap = Infinity;
  quota = 0;

  private constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
    this.released = new Promise((resolve) => (this.#release = resolve));
  }

  static async open(): Promise<Place> {
    const root = await navigator.storage.getDirectory();
    const place = new Place(await root.getDirectoryHandle(FOLDER, { create: true }));
    for await (const [name, handle] of place.#folder.entries()) {
      if (handle.kind === "directory") place.#idle.push(await idle(name, handle as FileSystemDirectoryHandle));
    }
    await place.measure();
    return place;
  }

  /** Bytes kept, of all torrents. */
  get used(): number {
    const sum = (all: Iterable<{ bytes: number }>): number => Array.from(all).reduce((sum, { bytes }) => sum + bytes, 0);
    return sum(this.#idle) + sum(this.#open);
  }

  /** Asks the browser what there is. */
  async measure(): Promise<void> {
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    this.quota = quota;
    this.cap = SHARE * (quota - Math.max(0, usage - this.used));
  }

  async shelf(name: string, maxBytes: number, tell: (storage: Partial<StorageStats>) => void): Promise<Shelf> {
    const files: FileSystemSyncAccessHandle[] = [];
    this.#idle = this.#idle.filter((idle) => idle.name !== name);
    try {
      const folder = await this.#folder.getDirectoryHandle(name, { create: true });
      for (const file of FILES) files.push(await handleOf(folder, file));
    } catch (error) {
      for (const file of files) file.close();
      // Another tab may have more luck.
      if (this.#open.size === 0) this.#release();
      throw error;
    }
    const shelf = new Shelf(this, name, files as [FileSystemSyncAccessHandle, FileSystemSyncAccessHandle, FileSystemSyncAccessHandle], maxBytes, tell);
    this.#open.add(shelf);
    while (await this.dropIdle(Math.min(this.cap, maxBytes) - RESERVE_BYTES)) await this.measure();
    return shelf;
  }

  /** Removes the torrent that was not used for longest, if more than so many bytes are kept; how many it had. */
  async dropIdle(most: number): Promise<number> {
    if (this.used <= most) return 0;
    const [oldest] = this.#idle.sort((one, other) => one.usedAt - other.usedAt);
    if (!oldest) return 0;
    this.#idle.shift();
    await this.#folder.removeEntry(oldest.name, { recursive: true });
    return oldest.bytes;
  }

  async close(shelf: Shelf, isForgotten: boolean): Promise<void> {
    if (!this.#open.delete(shelf)) return;
    if (isForgotten) await this.#folder.removeEntry(shelf.name, { recursive: true }).catch(() => {});
    else this.#idle.push({ name: shelf.name, bytes: shelf.bytes, usedAt: Date.now() });
    if (this.#open.size === 0) this.#release();
  }

  /** It is taken from us. */
  end(reason: "cleared"): void {
    for (const shelf of this.#open) shelf.end(reason);
    this.#open.clear();
  }
}

/** One torrent's pieces: a file of slots, a file that says what is in them, and the torrent itself. */
export class Shelf {
  readonly name: string;
  readonly #place: Place;
  readonly #torrent: FileSystemSyncAccessHandle;
  readonly #index: FileSystemSyncAccessHandle;
  readonly #pieces: FileSystemSyncAccessHandle;
  readonly #maxBytes: number;
  readonly #tell: (storage: Partial<StorageStats>) => void;
  readonly #slots = new Map<number, number>();
  readonly #free: number[] = [];
  #slotCount = 0;
  #pieceLength = 0;
  /** What the browser refused to go beyond. */
  #roof = Infinity;
  #evicted = 0;
  #refused = 0;
  #trouble: { reason: StorageStats["reason"]; message?: string } = { reason: null };
  #isClosed = false;
  #writes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    place: Place,
    name: string,
    [torrent, index, pieces]: [FileSystemSyncAccessHandle, FileSystemSyncAccessHandle, FileSystemSyncAccessHandle],
    maxBytes: number,
    tell: (storage: Partial<StorageStats>) => void,
  ) {
    this.name = name;
    this.#place = place;
    [this.#torrent, this.#index, this.#pieces] = [torrent, index, pieces];
    this.#maxBytes = maxBytes;
    this.#tell = tell;
    this.#say();
  }

  /** Bytes that the file of slots takes. */
  get bytes(): number {
    return this.#slotCount * this.#pieceLength;
  }

  /** The .torrent file as it was remembered; empty if it was not. */
  torrent(): Uint8Array {
    return contents(this.#torrent);
  }

  remember(torrent: Uint8Array): void {
    try {
      // What was known before may be more: the hashes of v2 pieces come later.
      if (torrent.length < this.#torrent.getSize()) return;
      this.#torrent.truncate(torrent.length);
      this.#torrent.write(torrent, { at: 0 });
    } catch {
      // A reload asks peers for it.
    }
  }

  /** Makes it ready for this torrent; what it has, as a `bitfield` message. */
  begin(torrent: Uint8Array, pieceLength: number, pieceCount: number): Uint8Array {
    this.remember(torrent);
    this.#pieceLength = pieceLength;
    const have = new Uint8Array(Math.ceil(pieceCount / 8));
    try {
      const bytes = contents(this.#index);
      const index = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
      const slots = Math.min(index.length - 1, Math.floor(this.#pieces.getSize() / pieceLength));
      if (index[0] === pieceLength) this.#slotCount = slots;
      else for (const file of [this.#index, this.#pieces]) file.truncate(0);
      // The time at which it was written is when the torrent was used last.
      this.#index.write(Uint32Array.of(pieceLength), { at: 0 });
      for (let slot = 0; slot < this.#slotCount; slot += 1) {
        const piece = (index[slot + 1] ?? 0) - 1;
        if (piece < 0 || piece >= pieceCount || this.#slots.has(piece)) this.#free.push(slot);
        else {
          this.#slots.set(piece, slot);
          have[piece >> 3]! |= 0x80 >> (piece & 7);
        }
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#say();
    return have;
  }

  /** Fills `into`; whether it could. */
  read(piece: number, begin: number, into: Uint8Array): boolean {
    const slot = this.#slots.get(piece);
    if (slot === undefined) return false;
    try {
      return this.#pieces.read(into, { at: slot * this.#pieceLength + begin }) === into.length;
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  write(piece: number, bytes: Uint8Array): number {
    if (this.#isClosed) return Taken.lost;
    if (++this.#writes % MEASURE_EVERY === 0) this.#place.measure().catch(() => {});
    const slot = this.#free.pop() ?? (this.#hasRoom() ? this.#slotCount : -1);
    if (slot < 0) return this.#full();
    const isNew = slot === this.#slotCount;
    try {
      if (!isNew) this.#mark(slot, 0);
      // The last slot, too, is a whole one: that is how they are counted.
      if (isNew) this.#pieces.truncate((slot + 1) * this.#pieceLength);
      if (this.#pieces.write(bytes, { at: slot * this.#pieceLength }) !== bytes.length) throw new Error("not all of a piece was written");
      this.#mark(slot, piece + 1);
    } catch (error) {
      if (!isNew) return this.#fail(error);
      // The browser has no room, whatever it estimated: from now on only what is there is used anew.
      this.#roof = this.bytes;
      return this.#full(String(error));
    }
    if (isNew) this.#slotCount += 1;
    this.#slots.set(piece, slot);
    this.#trouble = { reason: null };
    this.#saySoon();
    return Taken.yes;
  }

  /** Lets a piece go, to make room or because it is wrong. */
  release(piece: number, isWrong: boolean): void {
    const slot = this.#slots.get(piece);
    if (slot === undefined) return;
    this.#slots.delete(piece);
    this.#free.push(slot);
    if (isWrong) this.#refused += 1;
    else this.#evicted += this.#pieceLength;
    try {
      this.#mark(slot, 0);
    } catch (error) {
      this.#fail(error);
    }
    this.#saySoon();
  }

  /** Closes it. `isForgotten`: nothing of it stays. */
  close(isForgotten: boolean): void {
    this.#shut();
    this.#say();
    void this.#place.close(this, isForgotten);
  }

  /** @internal It is taken from us. */
  end(reason: "cleared"): void {
    this.#trouble = { reason };
    this.#slots.clear();
    this.#shut();
    this.#say();
  }

  #hasRoom(): boolean {
    const most = Math.min(this.#place.cap, this.#maxBytes);
    const after = this.#place.used + this.#pieceLength;
    // Others go before this one has to let go of pieces.
    if (after > most - RESERVE_BYTES) void this.#place.dropIdle(most - RESERVE_BYTES).then((bytes) => (this.#evicted += bytes), () => {});
    return after <= most && this.bytes + this.#pieceLength <= this.#roof;
  }

  /** What a slot holds: a piece's number and one, or 0 for nothing. */
  #mark(slot: number, value: number): void {
    if (this.#index.write(Uint32Array.of(value), { at: 4 * (slot + 1) }) !== 4) throw new Error("the index was not written");
  }

  #full(message = "There is no room for more pieces."): number {
    this.#trouble = { reason: "full", message };
    return Taken.full;
  }

  #fail(error: unknown): number {
    this.#trouble = { reason: "failed", message: String(error) };
    return Taken.lost;
  }

  #shut(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const file of [this.#torrent, this.#index, this.#pieces]) file.close();
  }

  #saySoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#say();
    }, SAY_AFTER_MS);
  }

  #say(): void {
    const { used, quota, cap } = this.#place;
    const limit = Math.max(0, Math.floor(Math.min(cap, this.#maxBytes)));
    const kept = this.#slots.size * this.#pieceLength;
    const state = this.#isClosed ? "off" : "keeping";
    this.#tell({ state, kept, used, limit, quota, evicted: this.#evicted, refused: this.#refused, ...(this.#isClosed && this.#trouble) });
  }
}

async function idle(name: string, folder: FileSystemDirectoryHandle): Promise<Idle> {
  const file = async (name: string): Promise<Pick<File, "lastModified" | "size">> =>
    folder.getFileHandle(name).then((handle) => handle.getFile()).catch(() => ({ lastModified: 0, size: 0 }));
  const [index, pieces] = [await file("index"), await file("pieces")];
  return { name, bytes: pieces.size, usedAt: index.lastModified };
}

/** A file for ourselves; of a page that was just left, the browser may not have closed it yet. */
async function handleOf(folder: FileSystemDirectoryHandle, name: string): Promise<FileSystemSyncAccessHandle> {
  const file = await folder.getFileHandle(name, { create: true });
  return patiently(() => file.createSyncAccessHandle(), ({ name }) => name === "NoModificationAllowedError");
}

function contents(file: FileSystemSyncAccessHandle): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(file.getSize());
  return bytes.subarray(0, file.read(bytes, { at: 0 }));
}

const NOTHING: StorageStats = { state: "off", reason: null, message: "", kept: 0, used: 0, limit: 0, quota: 0, evicted: 0, refused: 0 };

const FILES = ["torrent", "index", "pieces"] as const;

/** Of what the rest of the site leaves of the quota: a page has other things to store. */
const SHARE = 0.5;

/** Bytes that other torrents make room for before it is needed. */
const RESERVE_BYTES = 8 * 1024 * 1024;

/** How long reading waits for another tab: a page that was reloaded has its own place again sooner. */
const PATIENCE_MS = 300;

/** Pieces written between two looks at the quota. */
const MEASURE_EVERY = 64;

const SAY_AFTER_MS = 250;
