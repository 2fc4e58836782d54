import assert from "node:assert/strict";
import { test } from "node:test";

test("importing the package on a server does nothing, and works", async () => {
  const before = Object.keys(globalThis);
  const { Headwater, HeadwaterError } = await import("headwater");
  assert.deepEqual(Object.keys(globalThis), before);
  assert.throws(() => new Headwater(), (error) => error instanceof HeadwaterError && error.code === "noWorker" && error.hint !== "");
});
