/** The place in the browser's storage where pieces are kept: its names, and what both that write and that clear it need. */

/** The lock of whoever has the place. */
export const LOCK = "headwater-keep";

/** The folder in the origin-private file system. */
export const FOLDER = "headwater";

/** Tries again, for two seconds, while what is wrong may pass: the browser may not have closed another page's files yet. */
export async function patiently<T>(attempt: () => Promise<T>, mayPass: (error: Error) => boolean): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (count === ATTEMPTS || !mayPass(error as Error)) throw error;
      await sleep(ATTEMPT_MS);
    }
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const ATTEMPTS = 40;

const ATTEMPT_MS = 50;
