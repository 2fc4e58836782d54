/**
 * Where the package's own files are: beside this module.
 *
 * Bundlers find and copy them by these very expressions. `headwater/inline` is built with
 * `inline-assets.ts` in this module's place.
 */

/** The worker that runs the engine. */
export const workerAsset = (): URL => new URL("./worker.js", import.meta.url);

/** What keeps pieces, if the page wants that. */
export const keepAsset = (): URL => new URL("./keep.js", import.meta.url);

/** What makes torrents, if the page seeds files. */
export const makingAsset = (): URL => new URL("./making.js", import.meta.url);

/** The engine. */
export const wasmAsset = (): URL => new URL("./headwater_wasm_bg.wasm", import.meta.url);
