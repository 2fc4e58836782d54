/**
 * The one client that a page's `attach()` calls and `<headwater-video>` elements share.
 *
 * Made when it is first needed.
 */
import { Headwater, type HeadwaterOptions } from "./client.js";
import { HeadwaterError } from "./errors.js";

let options: HeadwaterOptions = {};
let client: Headwater | null = null;

/** How the shared client is to be made. To be called before it is needed. */
export function configure(how: HeadwaterOptions): void {
  if (client && !client.isDestroyed) throw new HeadwaterError("tooLate", "The shared client is already made.");
  options = how;
}

/** The client of all `attach()` calls and `<headwater-video>` elements that name no other. */
export function sharedClient(): Headwater {
  if (!client || client.isDestroyed) client = new Headwater(options);
  return client;
}
