// What the build puts into `headwater/inline`.
declare module "headwater:inlined" {
  export const workerSource: string;
  export const keepSource: string;
  export const makingSource: string;
  export const wasmBase64: string;
}
