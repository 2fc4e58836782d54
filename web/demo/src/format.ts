/** Figures for people. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** `1536` → `1.5 KiB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** Bytes per second; a dash for none. */
export function rate(perSecond: number): string {
  return perSecond < 1 ? "–" : `${bytes(perSecond)}/s`;
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Math.floor((100 * part) / whole)} %`;
}

/** A host name for an address: what of it matters to a reader. */
export function host(url: string): string {
  return URL.parse(url)?.host ?? url;
}

/** What a tracker counts: those with the whole torrent, and those without. */
export function swarm(complete: number, incomplete: number): string {
  return `${complete} ${complete === 1 ? "seed" : "seeds"}, ${incomplete} ${incomplete === 1 ? "viewer" : "viewers"}`;
}

/** `75` → `1:15`. */
export function time(seconds: number): string {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (count: number): string => String(count).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A part of one, in whole percent; all only if it is all. */
export function share(part: number): string {
  return `${part < 1 ? Math.min(99, Math.round(part * 100)) : 100} %`;
}
