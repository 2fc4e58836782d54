/**
 * What pages may do with what is kept, whichever tab keeps it. Loaded when it is asked for.
 *
 * It removes; `keep.ts`, in the worker, is what writes.
 */

/** Removes all that is kept. The tab that keeps goes on in memory. */
export async function clear(): Promise<void> {
  await navigator.locks.request("headwater-keep", { steal: true }, async () => {
    const root = await navigator.storage.getDirectory();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await root.removeEntry("headwater", { recursive: true });
      } catch (error) {
        if ((error as Error).name === "NotFoundError") return;
        // Whoever has files open is closing them.
        if (attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, ATTEMPT_MS));
      }
    }
  });
}

const ATTEMPTS = 40;

const ATTEMPT_MS = 50;
