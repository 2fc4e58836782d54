// The binary `headwater`, started for a test and ended with it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const CACHE = join(ROOT, ".cache");
export const SAMPLE = {
  mp4: join(ROOT, "tests/sample/headwater-sample.mp4"),
  webm: join(ROOT, "tests/sample/headwater-sample.webm"),
};
/** The address on which peers meet: one that the browser offers, too. Pages are served on loopback. */
export const ADDRESS = process.env.HEADWATER_ADDRESS ?? "127.0.0.1";

export const BINARY = process.env.HEADWATER ?? join(ROOT, "target/debug/headwater");

/** A program that prints JSON lines. */
export class JsonProcess {
  #child;
  #waiting = [];
  /** Everything it has said, oldest first. */
  lines = [];
  log = "";

  constructor(program, args) {
    this.#child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stderr.on("data", (text) => {
      this.log += text;
      if (process.env.VERBOSE) process.stderr.write(text);
    });
    this.#child.on("error", (error) => this.#end(error.message));
    this.#child.on("close", (code, signal) => this.#end(`ended with ${code ?? signal}`));
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#line(line));
  }

  get pid() {
    return this.#child.pid;
  }

  /** The first line, past or to come, for which `test` holds. */
  async line(test = () => true, { withinMs = 120_000 } = {}) {
    const found = this.lines.find(test);
    if (found !== undefined) return found;
    if (this.ended) throw new Error(this.#reason());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such line within ${withinMs} ms\n${this.log}`)), withinMs);
      this.#waiting.push({
        test,
        resolve: (line) => (clearTimeout(timer), resolve(line)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
    });
  }

  /** The next line said from now on. */
  next() {
    const said = this.lines.length;
    return this.line((line) => this.lines.indexOf(line) >= said);
  }

  async stop(signal = "SIGTERM") {
    if (this.ended || this.#child.exitCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5_000);
    await closed;
    clearTimeout(timer);
  }

  #line(text) {
    let line;
    try {
      line = JSON.parse(text);
    } catch {
      this.log += `${text}\n`;
      return;
    }
    this.lines.push(line);
    const [met, unmet] = [[], []];
    for (const waiting of this.#waiting) (waiting.test(line) ? met : unmet).push(waiting);
    this.#waiting = unmet;
    for (const waiting of met) waiting.resolve(line);
  }

  #end(how) {
    this.ended ??= how;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new Error(this.#reason()));
  }

  #reason() {
    return `the program ${this.ended}\n${this.log}`;
  }
}

/** Seeds `paths`, to peers alone, and answers when the swarm can be joined. */
export function seed(paths, ...flags) {
  return seedAsOrigin(paths, "--no-web-seed", ...flags);
}

/** The same, and as a web seed of what it makes. */
export async function seedAsOrigin(paths, ...flags) {
  const seeder = new JsonProcess(BINARY, ["seed", ...[paths].flat(), "--listen", "127.0.0.1:0", "--webrtc", `${ADDRESS}:0`, "--json", ...flags]);
  const ready = await seeder.line((line) => "magnet" in line).catch(async (error) => {
    await seeder.stop();
    throw error;
  });
  return Object.assign(seeder, { ready });
}

/** A seeder for the length of `body`. */
export async function withSeeder(paths, flags, body) {
  const seeder = await seed(paths, ...flags);
  try {
    return await body(seeder);
  } finally {
    await seeder.stop();
  }
}
