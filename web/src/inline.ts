/** All of `headwater` in one file, worker and engine within: nothing to serve beside it but the service worker. */
export * from "./headwater.js";
