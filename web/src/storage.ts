/**
 * What pages may do with what is kept, whichever tab keeps it. Loaded when it is asked for.
 *
 * It removes; `keep.ts`, in the worker, is what writes.
 */
import { FOLDER, LOCK, patiently } from "./place.js";

/** Removes all that is kept. The tab that keeps goes on in memory. */
export async function clear(): Promise<void> {
  await navigator.locks.request(LOCK, { steal: true }, async () => {
    const root = await navigator.storage.getDirectory();
    const remove = (): Promise<void> =>
      root.removeEntry(FOLDER, { recursive: true }).catch((error: Error) => {
        if (error.name !== "NotFoundError") throw error;
      });
    // Whoever has files open is closing them.
    await patiently(remove, () => true);
  });
}
