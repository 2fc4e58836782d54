// What the engine is made of: bytes of code by the crate and module they come from.
//
// `node scripts/parts.mjs FILE` reads the names that are in a compiled engine before wasm-bindgen takes
// them out: target/web/wasm32-unknown-unknown/wasm/headwater_wasm.wasm.
import { readFileSync } from "node:fs";

/** Sections of a WebAssembly module. */
const SECTION = { custom: 0, imports: 2, code: 10 };

/** The first that fits a function's name, counted under the second. */
const PARTS = [
  // Read by wasm-bindgen, and then left out.
  [/describe/, null],
  [/__invoke|js_sys|web_sys|wasm_bindgen/, "the browser's interfaces"],
  [/json|[sS]eriali[sz]e/, "JSON"],
  [/metainfo|bencode|layout|merkle/, "metadata: torrents, proofs, paths"],
  [/headwater_core.*tracker/, "trackers"],
  [/headwater_core.*(swarm|peer|window|picker|assembler|cache|choker|grid|selector|availability|wire)/, "the swarm and its peers"],
  [/headwater_wasm/, "the worker: streams, channels, reports"],
  [/sha1|sha2|4sha[12]|digest/, "hashes"],
  [/btree|vec|alloc|dlmalloc/, "vectors, maps, memory"],
];

/** The functions of a module, by name. */
function functions(module) {
  const reader = new Reader(module, 8);
  let imported = 0;
  let sizes = [];
  let names = new Map();
  while (reader.at < module.length) {
    const id = reader.byte();
    const length = reader.number();
    const end = reader.at + length;
    if (id === SECTION.imports) imported = reader.importedFunctions();
    if (id === SECTION.code) sizes = reader.list(() => reader.skip(reader.number()));
    if (id === SECTION.custom && reader.text() === "name") names = reader.functionNames(end);
    reader.at = end;
  }
  return sizes.map((bytes, index) => ({ name: names.get(index + imported) ?? "", bytes }));
}

class Reader {
  constructor(bytes, at) {
    Object.assign(this, { bytes, at });
  }

  byte() {
    return this.bytes[this.at++];
  }

  /** LEB128. */
  number() {
    let [number, shift, byte] = [0, 0, 0];
    do {
      byte = this.byte();
      number += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
    return number;
  }

  text() {
    const length = this.number();
    return this.bytes.toString("utf8", this.at, (this.at += length));
  }

  skip(bytes) {
    this.at += bytes;
    return bytes;
  }

  list(read) {
    return Array.from({ length: this.number() }, read);
  }

  importedFunctions() {
    const kinds = this.list(() => {
      this.text();
      this.text();
      const kind = this.byte();
      if (kind === 0) this.number();
      // wasm-bindgen's modules import functions alone.
      else throw new Error(`an import of kind ${kind}`);
      return kind;
    });
    return kinds.length;
  }

  functionNames(end) {
    while (this.at < end) {
      const [kind, length] = [this.byte(), this.number()];
      if (kind === 1) return new Map(this.list(() => [this.number(), this.text()]));
      this.skip(length);
    }
    return new Map();
  }
}

const parts = new Map();
for (const { name, bytes } of functions(readFileSync(process.argv[2]))) {
  const [, part] = PARTS.find(([pattern]) => pattern.test(name)) ?? [null, "the rest"];
  if (part) parts.set(part, (parts.get(part) ?? 0) + bytes);
}
const all = [...parts.values()].reduce((sum, bytes) => sum + bytes, 0);
for (const [part, bytes] of [...parts].sort(([, a], [, b]) => b - a)) {
  console.log(`${part.padEnd(40)} ${String(bytes).padStart(8)} B ${String(Math.round((100 * bytes) / all)).padStart(4)} %`);
}
