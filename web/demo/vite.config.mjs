import { copyFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));
const out = fileURLToPath(new URL("dist/", import.meta.url));

const page = (name) => fileURLToPath(new URL(name, import.meta.url));

export default defineConfig({
  // Relative addresses: the page runs from any folder of any static host.
  base: "./",
  resolve: { alias: { headwater: `${dist}headwater.js` } },
  build: { outDir: out, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0, modulePreload: false, reportCompressedSize: false, rolldownOptions: { input: [page("index.html"), page("frame.html")] } },
  plugins: [
    {
      name: "service-worker-beside-the-page",
      closeBundle: () => copyFileSync(`${dist}headwater-sw.js`, `${out}headwater-sw.js`),
    },
  ],
});
