// Builds the package into dist/: three bundles, the engine, the types. `--types` stops before bundling.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { brotliCompressSync } from "node:zlib";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const web = join(dirname(fileURLToPath(import.meta.url)), "..");
const dist = join(web, "dist");
const engine = join(web, "wasm-pkg", "headwater_wasm_bg.wasm");
const BUNDLES = [
  { input: "src/headwater.ts", file: "headwater.js", format: "es" },
  { input: "src/worker.ts", file: "worker.js", format: "es" },
  { input: "src/service-worker/headwater-sw.ts", file: "headwater-sw.js", format: "iife" },
];

if (!existsSync(engine)) {
  console.error(`The engine is not built: ${engine} is missing.\nBuild it with \`cargo xtask wasm\` at the root of the repository, then run this again.`);
  process.exit(1);
}
rmSync(dist, { recursive: true, force: true });
tsc("tsconfig.json");
tsc("tsconfig.worker.json");
tsc("tsconfig.types.json");
for (const { input, file, format } of BUNDLES) {
  const bundle = await rolldown({ input: join(web, input), platform: "browser", plugins: [withoutOwnUrl()] });
  await bundle.write({ file: join(dist, file), format, minify: true, comments: false });
  await bundle.close();
}
copyFileSync(engine, join(dist, "headwater_wasm_bg.wasm"));
for (const file of [...BUNDLES.map((bundle) => bundle.file), "headwater_wasm_bg.wasm"]) report(file);

function tsc(project) {
  execFileSync(process.execPath, [join(web, "node_modules/typescript/bin/tsc"), "-p", join(web, project)], { stdio: "inherit" });
}

/** wasm-bindgen's glue falls back to a URL beside itself; the page always passes one. */
function withoutOwnUrl() {
  return {
    name: "without-own-url",
    transform(code, id) {
      if (!id.endsWith("headwater_wasm.js")) return null;
      return { code: code.replaceAll(/new URL\(\s*['"]headwater_wasm_bg\.wasm['"]\s*,\s*import\.meta\.url\s*\)/g, "undefined"), map: null };
    },
  };
}

function report(file) {
  const path = join(dist, file);
  const brotli = brotliCompressSync(readFileSync(path)).length;
  console.log(`${file.padEnd(26)} ${String(statSync(path).size).padStart(8)} B  ${String(brotli).padStart(7)} B brotli`);
}
