import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

test("importing the package on a server does nothing, and works", async () => {
  const before = Object.keys(globalThis);
  const { Headwater, HeadwaterError } = await import("headwater");
  assert.deepEqual(Object.keys(globalThis), before);
  assert.throws(() => new Headwater(), (error) => error instanceof HeadwaterError && error.code === "noWorker" && error.hint !== "");
});

test("every error that the engine or the page makes says what to do", async () => {
  const { HeadwaterError } = await import("headwater");
  const made = /(?:Refusal::new\(|HeadwaterError\(|kind: "error", (?:torrent: [\w.]+, )?code: |handleError\(\{ code: )\s*"([a-zA-Z]+)"/g;
  const codes = new Set(["../src", "../../wasm/src"].flatMap((folder) => {
    const path = fileURLToPath(new URL(folder, import.meta.url));
    const files = readdirSync(path, { recursive: true }).filter((name) => /\.(rs|ts)$/.test(name));
    return files.flatMap((name) => [...readFileSync(join(path, name), "utf8").matchAll(made)].map(([, code]) => code));
  }));
  assert.ok(codes.size > 20, [...codes].join());
  assert.deepEqual([...codes].filter((code) => new HeadwaterError(code, "").hint === ""), []);
});
