/**
 * The `Range` header (RFC 9110 §14), for one range of bytes.
 *
 * Anything else a header may say is ignored, as the RFC allows: the whole is served.
 */

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  start: number;
  end: number;
}

/** What part of a file a request asks for. */
export type RangeRequest = { kind: "whole" } | ({ kind: "part" } & ByteRange) | { kind: "unsatisfiable" };

/** What `header` asks of a file of `length` bytes. */
export function parseRange(header: string | null, length: number): RangeRequest {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "");
  if (!match) return { kind: "whole" };
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? { kind: "whole" } : suffix(Number(last), length);
  const start = Number(first);
  const end = last === "" ? length : Number(last) + 1;
  if (end <= start && last !== "") return { kind: "whole" };
  if (start >= length) return { kind: "unsatisfiable" };
  return { kind: "part", start, end: Math.min(end, length) };
}

function suffix(count: number, length: number): RangeRequest {
  if (count === 0 || length === 0) return { kind: "unsatisfiable" };
  return { kind: "part", start: Math.max(0, length - count), end: length };
}
