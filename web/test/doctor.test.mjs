// The ladder of "why am I alone?", rung by rung: where it stops, by which code, and that it says what to do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose } from "../dist/doctor.js";

const URL = "wss://tracker.example/announce";
const ANNOUNCED = { url: URL, state: "announced", complete: 1, incomplete: 1 };
const ORIGIN = { origin: 0, url: "https://films.example/film.mp4", received: 0, refused: 0, rate: null, fetching: 0, trouble: null, rests: false };
/** A torrent that has come all the way, in the steps it took; each test holds it up at one. */
const START = { isEngineReady: false, sharing: { share: "share", reason: "default" }, trackers: [], connections: { steps: {}, failures: [] }, stats: null, greeted: 0, hasMetadata: false, isSeed: false, isRead: false };
const RUNNING = { ...START, isEngineReady: true };
const HEARD_OF = { ...RUNNING, trackers: [ANNOUNCED] };
const ANSWERED = { ...HEARD_OF, connections: { steps: { offered: 5, described: 1 }, failures: [] } };
const REACHED = { ...ANSWERED, connections: { steps: { offered: 5, described: 1, reached: 1 }, failures: [] } };
const ENCRYPTED = { ...REACHED, connections: { steps: { offered: 5, described: 1, reached: 1, encrypted: 1 }, failures: [] } };
const MET = { ...ENCRYPTED, greeted: 1, stats: { peers: 1, verified: 0, refused: 0, copies: 1, origins: [], fromOrigins: 0 } };
const KNOWN = { ...MET, hasMetadata: true };
const READ = { ...KNOWN, isRead: true };

const failures = (after) => ({ ...ANSWERED.connections, failures: [{ after, reason: "the connection failed" }] });
const withStats = (found, stats) => ({ ...found, stats: { ...MET.stats, ...stats } });

const STOPS = [
  ["while the engine loads", START, "engine", "waiting", "engineLoading"],
  ["when the torrent is paused", { ...RUNNING, sharing: { share: "off", reason: "paused" } }, "sharing", "idle", "paused"],
  ["when the page wants nobody spoken to", { ...RUNNING, sharing: { share: "off", reason: "asked" } }, "sharing", "idle", "shareOff"],
  ["before any tracker answered", { ...RUNNING, trackers: [{ url: URL, state: "connecting" }] }, "tracker", "waiting", "trackerSilent"],
  ["when all trackers are lost", { ...RUNNING, trackers: [{ url: URL, state: "lost", message: "refused" }] }, "tracker", "failed", "trackerDown"],
  ["when the trackers know of nobody else", { ...RUNNING, trackers: [{ ...ANNOUNCED, complete: 0 }] }, "tracker", "waiting", "nobodyThere"],
  ["while nobody answers our offers", HEARD_OF, "offer", "waiting", "unanswered"],
  ["while a path is looked for", ANSWERED, "ice", "waiting", "noPath"],
  ["when no path was found", { ...ANSWERED, connections: failures("described") }, "ice", "failed", "noPath"],
  ["when the path could not be encrypted", { ...REACHED, connections: { ...REACHED.connections, failures: failures("reached").failures } }, "dtls", "failed", "notEncrypted"],
  ["when nobody speaks of this torrent", ENCRYPTED, "handshake", "waiting", "noHandshake"],
  ["while nobody has told what the torrent holds", MET, "metadata", "waiting", "noMetadata"],
  ["when nothing is read", KNOWN, "block", "idle", "notRead"],
  ["when all that came was wrong", withStats(READ, { refused: 16_384 }), "block", "failed", "refused"],
  ["when the peers have not all of it", withStats(READ, { copies: 0.4 }), "block", "waiting", "incomplete"],
  ["before the first block is verified", READ, "block", "waiting", "noBlock"],
];

for (const [when, found, rung, state, code] of STOPS) {
  test(`it stops ${when}, and says what to do`, () => {
    const diagnosis = diagnose(found);
    assert.deepEqual([diagnosis.stoppedAt, diagnosis.code], [rung, code]);
    const last = diagnosis.rungs.at(-1);
    assert.deepEqual([last.rung, last.state, last.code], [rung, state, code]);
    assert.ok(last.detail.length > 10 && last.hint.length > 10, `${last.detail} ${last.hint}`);
    // All below it have been passed.
    assert.ok(diagnosis.rungs.slice(0, -1).every(({ state }) => state === "passed"));
  });
}

test("it says whom it could not reach, how often, and why", () => {
  const { detail } = diagnose({ ...ANSWERED, connections: failures("described") }).rungs.at(-1);
  assert.match(detail, /tried once; the last time, the connection failed/);
});

test("it ends at the first verified block, and with bytes of the page's own", () => {
  for (const found of [withStats(READ, { verified: 16_384 }), { ...KNOWN, isSeed: true }]) {
    const { stoppedAt, code, rungs } = diagnose(found);
    assert.deepEqual([stoppedAt, code], [null, null]);
    assert.deepEqual(rungs.map(({ rung }) => rung), ["engine", "sharing", "tracker", "offer", "ice", "dtls", "handshake", "metadata", "block"]);
  }
});

test("where only a web server is, peers are not asked about; where it fails, that is said and peers are", () => {
  const alone = { ...RUNNING, hasMetadata: true, isRead: true };
  const served = diagnose(withStats(alone, { peers: 0, verified: 1, fromOrigins: 1, origins: [ORIGIN] }));
  assert.deepEqual([served.stoppedAt, served.rungs.map(({ rung }) => rung)], [null, ["engine", "sharing", "origin", "metadata", "block"]]);
  const failed = diagnose(withStats({ ...alone, trackers: [ANNOUNCED] }, { peers: 0, origins: [{ ...ORIGIN, trouble: "it answered 404" }] }));
  assert.deepEqual(failed.rungs.map(({ rung, code }) => [rung, code]).slice(2, 3), [["origin", "originFailed"]]);
  assert.deepEqual([failed.stoppedAt, failed.code], ["offer", "unanswered"]);
});
