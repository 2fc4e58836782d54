// Builds the package into dist/: the bundles, the engine, the types, and what they weigh.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { weigh } from "./weigh.mjs";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
// Built aside and put in place whole, so that nobody ever finds half of it.
const dist = join(web, "dist.new");
const engine = join(web, "wasm-pkg", "headwater_wasm_bg.wasm");
const making = join(web, "wasm-pkg", "headwater_making_bg.wasm");
const BUNDLES = [
  { input: "src/headwater.ts", file: "headwater.js", external: /\/(doctor|storage)\.js$/ },
  { input: "src/doctor.ts", file: "doctor.js" },
  { input: "src/storage.ts", file: "storage.js" },
  { input: "src/keep.ts", file: "keep.js" },
  { input: "src/making.ts", file: "making.js" },
  { input: "src/element.ts", file: "element.js", external: /\/headwater\.js$/, banner: "/*! With custom-media-element, MIT, by Mux: THIRD-PARTY.md */" },
  { input: "src/worker.ts", file: "worker.js" },
  { input: "src/service-worker/headwater-sw.ts", file: "headwater-sw.js", format: "iife" },
  // Last: it has the others within.
  { input: "src/inline.ts", file: "inline.js" },
];
/** What else is put into some of them, or left out. */
const INLINED = { "inline.js": inlined, "making.js": withMaking, "headwater-sw.js": withoutHints };

for (const module of [engine, making].filter((module) => !existsSync(module))) {
  console.error(`The engine is not built: ${module} is missing.\nBuild it with \`cargo xtask wasm\` at the root of the repository, then run this again.`);
  process.exit(1);
}
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
tsc("tsconfig.json");
tsc("tsconfig.worker.json");
tsc("tsconfig.types.json", "--outDir", dist);
copyFileSync(engine, join(dist, "headwater_wasm_bg.wasm"));
for (const { input, file, format = "es", external, banner } of BUNDLES) {
  const bundle = await rolldown({
    input: join(web, input),
    platform: "browser",
    plugins: [withoutOwnUrl(), ...(INLINED[file] ? [INLINED[file]()] : [])],
    ...(external && { external }),
  });
  await bundle.write({ file: join(dist, file), format, minify: true, comments: false, codeSplitting: false, ...(external && { paths: (id) => `./${id.split("/").at(-1)}` }) });
  await bundle.close();
  if (file === "headwater.js") writeFileSync(join(dist, file), withQuotedUrls(readFileSync(join(dist, file), "utf8")));
  if (banner) writeFileSync(join(dist, file), `${banner}\n${readFileSync(join(dist, file), "utf8")}`);
}
copyFileSync(join(web, "src/THIRD-PARTY.md"), join(dist, "THIRD-PARTY.md"));
const final = join(web, "dist");
rmSync(final, { recursive: true, force: true });
renameSync(dist, final);
console.log(weigh(final).table);

function tsc(project, ...more) {
  execFileSync(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "-p", join(web, project), ...more], { stdio: "inherit" });
}

/** wasm-bindgen's glue falls back to a URL beside itself; the page always passes one. */
function withoutOwnUrl() {
  return {
    name: "without-own-url",
    transform(code, id) {
      if (!/headwater_(wasm|making)\.js$/.test(id)) return null;
      return { code: code.replaceAll(/new URL\(\s*['"]headwater_\w+_bg\.wasm['"]\s*,\s*import\.meta\.url\s*\)/g, "undefined"), map: null };
    },
  };
}

/** Bundlers look for these expressions; a minifier's template strings are not what all of them know. */
function withQuotedUrls(code) {
  const quoted = code.replaceAll(/new URL\(`([^`$]*)`,import\.meta\.url\)/g, 'new URL("$1",import.meta.url)');
  if (quoted.match(/new URL\("[^"]*",import\.meta\.url\)/g)?.length !== 4) throw new Error("headwater.js should name four files beside itself");
  return quoted.replaceAll(/import\(`([^`$]*)`\)/g, 'import("$1")');
}

/** Puts the other files where `assets.ts` names them. */
function inlined() {
  const text = (file) => readFileSync(join(dist, file), "utf8");
  const sources = () => ({ workerSource: text("worker.js"), keepSource: text("keep.js"), makingSource: text("making.js"), wasmBase64: base64(engine) });
  return provided("headwater:inlined", sources, (id) => id.endsWith("/assets.js") && join(web, "src/inline-assets.ts"));
}

/** Puts the module that makes torrents into what drives it: one file to serve. */
function withMaking() {
  return provided("headwater:making", () => ({ wasmBase64: base64(making) }));
}

/** Hints are for people; whatever the service worker answers is read by the browser. */
function withoutHints() {
  return { name: "headwater:without-hints", load: (id) => (id === join(web, "src/hints.ts") ? "export const HINTS = {};" : null) };
}

/** A module of strings, and other files for some. */
function provided(name, strings, replaced = () => false) {
  return {
    name,
    resolveId: (id) => (id === name ? id : replaced(id) || null),
    load: (id) => (id === name ? Object.entries(strings()).map(([key, value]) => `export const ${key} = ${JSON.stringify(value)};`).join("\n") : null),
  };
}

function base64(file) {
  return readFileSync(file).toString("base64");
}
