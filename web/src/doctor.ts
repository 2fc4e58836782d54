/**
 * Why am I alone? The ladder from the engine to the first verified block, and where it ends.
 *
 * Reads what the torrent has noted; asks nobody anything.
 */
import type { ConnectionStep } from "./connections.js";
import type { Stats } from "./stats.js";
import type { Sharing } from "./sharing.js";
import type { TrackerState } from "./torrent.js";

/** The rungs, lowest first. */
export type Rung = "engine" | "sharing" | "origin" | "tracker" | "offer" | "ice" | "dtls" | "handshake" | "metadata" | "block";

/** One rung. */
export interface RungState {
  rung: Rung;
  /** `waiting`: it may come yet. `failed`: it was tried, and failed every time. `idle`: nobody asked for it. */
  state: "failed" | "idle" | "passed" | "waiting";
  /** A word for programs, if it has not passed. */
  code?: DoctorCode;
  /** What was seen, for people. */
  detail: string;
  /** What to do. */
  hint?: string;
}

/** Why a rung has not been passed. */
export type DoctorCode = keyof typeof HINTS;

/**
 * All rungs up to the first that has not been passed, and that one. That of the origin, if there is one, stands among
 * them without being in the way of peers; where peers are not needed, theirs are left out.
 */
export interface Diagnosis {
  rungs: RungState[];
  /** Where it stopped; null when a block was verified. */
  stoppedAt: Rung | null;
  code: DoctorCode | null;
}

/** How often connections came how far. */
export interface ConnectionCounts {
  steps: Partial<Record<ConnectionStep, number>>;
  failures: { after: ConnectionStep | null; reason: string }[];
}

/** What a torrent has noted. */
export interface Findings {
  isEngineReady: boolean;
  sharing: Sharing;
  trackers: readonly TrackerState[];
  connections: ConnectionCounts;
  stats: Stats | null;
  /** Peers that ever said their name. */
  greeted: number;
  hasMetadata: boolean;
  /** Whether its bytes are this page's own. */
  isSeed: boolean;
  /** Whether anything was ever read. */
  isRead: boolean;
}

type Climb = (found: Findings) => RungState;

/** Climbs the ladder. */
export function diagnose(found: Findings): Diagnosis {
  const rungs: RungState[] = [];
  for (const climb of ladder(found)) {
    const state = climb(found);
    rungs.push(state.code ? { ...state, hint: HINTS[state.code] } : state);
    const isPassable = climb === origin && needsPeers(found);
    if (state.state !== "passed" && !isPassable) return { rungs, stoppedAt: state.rung, code: state.code ?? null };
  }
  return { rungs, stoppedAt: null, code: null };
}

function ladder(found: Findings): readonly Climb[] {
  const origins = found.stats?.origins.length ? [origin] : [];
  return [...START, ...origins, ...(needsPeers(found) ? PEERS : []), ...END];
}

/** Whether peers have to bring it: where nobody is heard of but an origin, that does. */
function needsPeers({ stats, trackers }: Findings): boolean {
  if (!stats?.origins.length || stats.peers > 0) return true;
  return trackers.length > 0 && stats.fromOrigins === 0;
}

/** The web servers that have it. */
const origin: Climb = ({ stats }) => {
  const { origins = [], fromOrigins = 0 } = stats ?? {};
  const troubled = origins.filter(({ trouble }) => trouble !== null);
  const said = troubled.map(({ url, trouble }) => `${url}: ${trouble}.`).join(" ");
  if (origins.length > 0 && troubled.length === origins.length) return { rung: "origin", state: "failed", code: "originFailed", detail: said };
  return fromOrigins > 0
    ? passed("origin", `${fromOrigins} bytes came from web servers. ${said}`.trim())
    : passed("origin", `What peers bring too late comes from ${counted(origins.length, "web server")}. ${said}`.trim());
};

const START: readonly Climb[] = [
  ({ isEngineReady }) =>
    isEngineReady ? passed("engine", "The engine runs.") : waiting("engine", "engineLoading", "The engine is not there yet."),
  ({ sharing: { share, reason } }) =>
    share === "off"
      ? { rung: "sharing", state: "idle", code: reason === "paused" ? "paused" : "shareOff", detail: `Nobody is spoken to (${reason}).` }
      : passed("sharing", `${share} (${reason}).`),
];

const PEERS: readonly Climb[] = [
  ({ trackers, connections }) => {
    const announced = trackers.filter(({ state }) => state === "announced");
    const others = announced.reduce((sum, { complete = 0, incomplete = 0 }) => sum + complete + incomplete, 0) - 1;
    if (announced.length > 0 && (others > 0 || connections.steps.described)) return passed("tracker", `${counted(announced.length, "tracker")} of ${trackers.length} told of ${counted(Math.max(0, others), "other")}.`);
    if (announced.length > 0) return waiting("tracker", "nobodyThere", "The trackers know of nobody else in this swarm.");
    const lost = trackers.find(({ state }) => state === "lost");
    return lost && trackers.every(({ state }) => state === "lost")
      ? { rung: "tracker", state: "failed", code: "trackerDown", detail: `${lost.url}: ${lost.message ?? "lost"}.` }
      : waiting("tracker", "trackerSilent", "No tracker has answered yet.");
  },
  ({ connections: { steps } }) =>
    steps.described
      ? passed("offer", `${counted(steps.described, "offer")} got an answer.`)
      : waiting("offer", "unanswered", `${counted(steps.offered ?? 0, "offer")} out, none answered yet.`),
  ({ connections }) => rung(connections, "ice", "reached", "described", "noPath", "A path was found to"),
  ({ connections }) => rung(connections, "dtls", "encrypted", "reached", "notEncrypted", "The path was encrypted to"),
  ({ greeted, stats }) =>
    greeted > 0 || (stats?.peers ?? 0) > 0
      ? passed("handshake", `${counted(greeted, "peer")} spoke of this torrent.`)
      : waiting("handshake", "noHandshake", "Connected, but no peer has spoken of this torrent."),
];

const END: readonly Climb[] = [
  ({ hasMetadata }) =>
    hasMetadata ? passed("metadata", "What the torrent holds is known.") : waiting("metadata", "noMetadata", "No peer has told what the torrent holds."),
  ({ stats, isSeed, isRead }) => {
    if (isSeed) return passed("block", "The bytes are this page's own.");
    if (stats && stats.verified > 0) return passed("block", `${stats.verified} bytes are verified.`);
    if (!isRead) return { rung: "block", state: "idle", code: "notRead", detail: "Nothing has been read yet, so nothing was fetched." };
    if (stats && stats.refused > 0) return { rung: "block", state: "failed", code: "refused", detail: `${stats.refused} bytes came, and were wrong.` };
    return waiting("block", stats && stats.copies < 1 ? "incomplete" : "noBlock", "No block has been verified yet.");
  },
];

function rung({ steps, failures }: ConnectionCounts, name: Rung, step: ConnectionStep, before: ConnectionStep, code: DoctorCode, said: string): RungState {
  const count = steps[step];
  if (count) return passed(name, `${said} ${counted(count, "peer")}.`);
  const failed = failures.filter(({ after }) => after === before);
  const last = failed.at(-1);
  return last
    ? { rung: name, state: "failed", code, detail: `It was tried ${failed.length === 1 ? "once" : `${failed.length} times`}; the last time, ${last.reason}.` }
    : waiting(name, code, "It is being tried.");
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;
const passed = (rung: Rung, detail: string): RungState => ({ rung, state: "passed", detail });
const waiting = (rung: Rung, code: DoctorCode, detail: string): RungState => ({ rung, state: "waiting", code, detail });

const HINTS = {
  engineLoading: "Wait; if it stays so, look at the network panel for worker.js and headwater_wasm_bg.wasm.",
  incomplete: "The peers connected have not all of the torrent: somebody who has must come.",
  noBlock: "Peers may be busy or choke us; look at torrent.peers.",
  noHandshake: "The peer may be full, or of another torrent.",
  noMetadata: "Wait for a peer that has the torrent, or add the .torrent file instead of the magnet link.",
  noPath: "Firewalls or routers stand between: give STUN and TURN servers in rtcConfig.iceServers.",
  nobodyThere: "Somebody has to seed it: headwater seed FILE, or open the page that seeds.",
  notEncrypted: "UDP is let through but not DTLS: some company networks do that. A TURN server over TLS may help.",
  notRead: "Play the file, or read file.stream().",
  originFailed: "Open the address in a tab; from another site it must allow CORS, and it must answer Range, uncompressed.",
  paused: "Call torrent.resume().",
  refused: "A peer sends wrong bytes and was dropped; another is needed.",
  shareOff: 'Set share to "download" or "share".',
  trackerDown: "Check that the tracker runs and that its address starts with wss:// (ws:// only from http pages).",
  trackerSilent: "Wait; if it stays so, check the tracker's address.",
  unanswered: "The others may be full, or gone without saying so: they are offered to again in a moment.",
} as const;
