// What npm would publish: packed, looked at by others' linters, installed, and imported where there is no page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { BUDGET, weigh } from "../scripts/weigh.mjs";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const run = (program, args, cwd) => execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const project = mkdtempSync(join(tmpdir(), "headwater-packed-"));
const installed = join(project, "node_modules/headwater");
let tarball;
let packed;

before(() => {
  [packed] = JSON.parse(run("npm", ["pack", "--json", "--silent", "--ignore-scripts", "--pack-destination", project], WEB));
  tarball = join(project, packed.filename);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  run("npm", ["install", "--no-audit", "--no-fund", "--offline", "--loglevel=error", tarball], project);
});
after(() => rmSync(project, { recursive: true, force: true }));

test("it holds what a page needs, and nothing else", () => {
  const files = packed.files.map(({ path }) => path);
  const needed = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", ...["doctor.js", "element.d.ts", "element.js", "headwater-sw.js", "headwater.d.ts", "headwater.js", "headwater_wasm_bg.wasm", "inline.d.ts", "inline.js", "keep.js", "making.js", "storage.js", "THIRD-PARTY.md", "worker.js"].map((file) => `dist/${file}`)];
  for (const file of needed) assert.ok(files.includes(file), `${file} is missing`);
  const others = files.filter((file) => !needed.includes(file) && !/^dist\/[a-z-]+\.d\.ts$/.test(file) && !/^docs\/[a-z-]+\.md$/.test(file));
  assert.deepEqual(others, []);
});

test("it depends on nothing and runs nothing when it is installed", () => {
  const { dependencies, optionalDependencies, peerDependencies, scripts } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  assert.deepEqual([dependencies, optionalDependencies, peerDependencies], [undefined, undefined, undefined]);
  assert.deepEqual(Object.keys(scripts ?? {}).filter((name) => /install|prepare|prepublish/.test(name)), []);
});

test("it weighs no more than its budget", () => {
  const { page, firstPlay, table } = weigh(join(installed, "dist"));
  assert.ok(page <= BUDGET.page, `the page's own JavaScript: ${page} of ${BUDGET.page} B\n${table}`);
  assert.ok(firstPlay <= BUDGET.firstPlay, `all at first play: ${firstPlay} of ${BUDGET.firstPlay} B\n${table}`);
});

test("publint finds nothing", async () => {
  const { messages, pkg } = await publint({ pkgDir: installed, strict: true, pack: false });
  assert.deepEqual(messages.map((message) => formatMessage(message, pkg, { color: false })), []);
});

test("the types are not wrong", async () => {
  const assets = ["./keep.js", "./making.js", "./worker.js", "./headwater-sw.js", "./headwater_wasm_bg.wasm", "./package.json"];
  const { problems, types } = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(tarball))), { excludeEntrypoints: assets });
  assert.ok(types);
  // It is for pages, and pages have modules: there is nothing for require(), and no `main` for Node 10.
  const meant = ({ kind, resolutionKind }) => kind === "CJSResolvesToESM" || (kind === "NoResolution" && resolutionKind === "node10");
  assert.deepEqual(problems.filter((problem) => !meant(problem)), []);
});

for (const entry of ["headwater", "headwater/element", "headwater/inline"]) {
  test(`importing ${entry} where there is no page does nothing`, () => {
    const script = `const before = Object.keys(globalThis).length; const it = await import("${entry}"); console.log(JSON.stringify([Object.keys(it).length > 0, Object.keys(globalThis).length - before]))`;
    assert.deepEqual(JSON.parse(run(process.execPath, ["--input-type=module", "-e", script], project)), [true, 0]);
  });
}

test("its types hold on their own, for the strictest of readers", () => {
  writeFileSync(
    join(project, "page.ts"),
    `import { attach, Headwater, HeadwaterError, type Diagnosis, type Torrent } from "headwater";
     import { HeadwaterVideoElement } from "headwater/element";
     const client = new Headwater({ share: "download", uploadRate: 1e6 });
     const torrent: Torrent = client.add("magnet:?xt=urn:btih:0");
     torrent.on("stats", ({ verified }) => verified.toFixed());
     const diagnosis: Diagnosis = await torrent.doctor();
     attach(document.createElement("video"), torrent.magnet).ready.catch((error: HeadwaterError) => error.hint + diagnosis.stoppedAt);
     const element: HeadwaterVideoElement = document.createElement("headwater-video");
     element.torrent?.pause();
     // @ts-expect-error There is no such thing.
     new Headwater({ uplaod: true });`,
  );
  const options = ["--noEmit", "--strict", "--skipLibCheck", "false", "--module", "nodenext", "--target", "es2022", "--lib", "es2023,dom,dom.iterable,dom.asynciterable", "page.ts"];
  run(process.execPath, [fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url)), ...options], project);
});
