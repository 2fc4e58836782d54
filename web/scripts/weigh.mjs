// What the package weighs on the wire, brotli, and what it may weigh.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

/** What a page has downloaded when its first film plays. */
const FIRST_PLAY = ["headwater.js", "worker.js", "headwater_wasm_bg.wasm", "headwater-sw.js"];

/** What of it runs in the page itself, the element among it. */
const PAGE = ["headwater.js", "element.js"];

/** Bytes, brotli at its best. */
export const BUDGET = { page: 12_000, firstPlay: 150_000 };

/** The bytes of each file of `dist`, and a table of them. */
export function weigh(dist) {
  const of = (file) => {
    const bytes = readFileSync(join(dist, file));
    return { file, raw: bytes.length, brotli: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }).length };
  };
  const files = [...FIRST_PLAY, "element.js", "doctor.js", "storage.js", "keep.js", "making.js", "inline.js"].map(of);
  const page = files.filter(({ file }) => PAGE.includes(file)).reduce((sum, { brotli }) => sum + brotli, 0);
  const firstPlay = files.filter(({ file }) => FIRST_PLAY.includes(file)).reduce((sum, { brotli }) => sum + brotli, 0);
  const line = (name, raw, brotli) => `${name.padEnd(26)} ${String(raw).padStart(8)} B ${String(brotli).padStart(8)} B brotli`;
  const table = [
    ...files.map(({ file, raw, brotli }) => line(file, raw, brotli)),
    line("at first play", files.filter(({ file }) => FIRST_PLAY.includes(file)).reduce((sum, { raw }) => sum + raw, 0), firstPlay),
  ].join("\n");
  return { files, page, firstPlay, table };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { page, firstPlay, table } = weigh(fileURLToPath(new URL("../dist", import.meta.url)));
  console.log(table);
  const over = [
    ...(page > BUDGET.page ? [`the page's own JavaScript: ${page} of ${BUDGET.page} B`] : []),
    ...(firstPlay > BUDGET.firstPlay ? [`all at first play: ${firstPlay} of ${BUDGET.firstPlay} B`] : []),
  ];
  if (over.length > 0) {
    console.error(`over the budget: ${over.join("; ")}`);
    process.exit(1);
  }
}
