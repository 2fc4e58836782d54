/**
 * The package's own files as part of this module: nothing to serve but the service worker.
 *
 * Stands in for `assets.ts` in `headwater/inline`; the build fills it in.
 */
import { keepSource, makingSource, wasmBase64, workerSource } from "headwater:inlined";

/** The worker that runs the engine. */
export const workerAsset = (): URL => new URL((workerUrl ??= module(workerSource)));

/** What keeps pieces, if the page wants that. */
export const keepAsset = (): URL => new URL((keepUrl ??= module(keepSource)));

/** What makes torrents, if the page seeds files. */
export const makingAsset = (): URL => new URL((makingUrl ??= module(makingSource)));

/** The engine. */
export const wasmAsset = (): URL => new URL(`data:application/wasm;base64,${wasmBase64}`);

let workerUrl: string | undefined;

let keepUrl: string | undefined;

let makingUrl: string | undefined;

function module(source: string): string {
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
}
