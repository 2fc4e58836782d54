// What wasm-bindgen makes of the modules, for type checking where they have not been built.
declare module "*/headwater_wasm.js" {
  /** Fetches, compiles and instantiates the engine. */
  export default function init(options: { module_or_path: string | URL }): Promise<unknown>;
  /** Hands the worker over to the engine: it sets `self.onmessage`. */
  export function start(config: unknown): void;
}

declare module "*/headwater_making.js" {
  /** Compiles and instantiates it. */
  export default function init(options: { module_or_path: Uint8Array<ArrayBuffer> }): Promise<unknown>;
  /** A torrent that is being made: see `wasm/making`. Throws reasons in words. */
  export class Making {
    constructor(name: string, paths: string[], lengths: Float64Array, trackers: string[], pieceLength?: number);
    sources(): Int32Array;
    length(): number;
    parts(piece: number): Float64Array;
    hash(piece: number, bytes: Uint8Array): void;
    finish(): Uint8Array<ArrayBuffer>;
    free(): void;
  }
}

// What the build puts into `making.js`.
declare module "headwater:making" {
  export const wasmBase64: string;
}
