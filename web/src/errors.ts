/** Errors a page can meet: a stable code, what happened, and what to do about it. */

import { HINTS } from "./hints.js";

/** Codes of our own; the engine adds those it sends (`trackerDown`, `tooLarge`, …). */
export type ErrorCode = keyof typeof HINTS | (string & {});

/** What went wrong (`message`), under which name (`code`), and what to do (`hint`). */
export class HeadwaterError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super(message, options);
    this.name = "HeadwaterError";
    this.code = code;
    this.hint = options?.hint ?? (HINTS as Record<string, string>)[code] ?? "";
  }
}

/** Anything thrown, as one of ours. */
export function asHeadwaterError(error: unknown, code: ErrorCode): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HeadwaterError(code, message, { cause: error });
}
