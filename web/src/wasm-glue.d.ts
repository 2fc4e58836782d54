// What wasm-bindgen makes of the engine, for type checking where it has not been built.
declare module "*/headwater_wasm.js" {
  /** Fetches, compiles and instantiates the engine. */
  export default function init(options: { module_or_path: string | URL }): Promise<unknown>;
  /** Hands the worker over to the engine: it sets `self.onmessage`. */
  export function start(config: unknown): void;
}
