/**
 * The package's own files as part of this module: nothing to serve but the service worker.
 *
 * Stands in for `assets.ts` in `headwater/inline`; the build fills it in.
 */
import { wasmBase64, workerSource } from "headwater:inlined";

/** The worker that runs the engine. */
export const workerAsset = (): URL => new URL((workerUrl ??= URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }))));

/** The engine. */
export const wasmAsset = (): URL => new URL(`data:application/wasm;base64,${wasmBase64}`);

let workerUrl: string | undefined;
