import { withBrowser } from "../e2e/browser.mjs";
import { writeFileSync } from "node:fs";
import { seed } from "../e2e/headwater.mjs";
import { film } from "../e2e/content.mjs";
import { serve } from "../e2e/server.mjs";
const f = film(152, 4100);
const server = await serve({ folders: { "/": "/work/wt-wasm/tests/bench/page/", "/film.torrent": "/tmp/w6/film.torrent" } });
const s = await seed(f, "--v1", "--piece-length", "256KiB");
writeFileSync("/tmp/w6/film.torrent", Buffer.from(await (await fetch(s.ready.torrent)).arrayBuffer()));
for (let i = 0; i < 3; i++) await withBrowser(async (b) => {
  const tab = await b.open(server.url + "blank.html");
  await tab.goto(server.url + "play-headwater.html?" + new URLSearchParams({ torrent: "/film.torrent", tracker: new URL(s.ready.magnet).searchParams.get("tr") }));
  await tab.waitForFunction("window.measure !== undefined");
  const r = await tab.evaluate(async () => {
    const m = await window.measure(0.75, 2);
    const { sharedClient } = await import("/pkg/headwater.js");
    const t = sharedClient().trace();
    const off = Date.parse(t.began) - performance.timeOrigin;
    return { m, off, res: performance.getEntriesByType("resource").map((e) => [e.name.split("/").pop().slice(0, 40), Math.round(e.startTime), Math.round(e.responseEnd)]), tr: t.entries.filter((e) => e.kind !== "stats").slice(0, 40).map((e) => `${Math.round(e.atMs + off)} ${e.kind} ${e.step ?? e.state ?? ""} ${e.peer ?? ""}`) };
  });
  console.log(JSON.stringify(r.m), "client at", Math.round(r.off)); console.log(r.res.map(String).join(" | ")); console.log(r.tr.join("\n"));
});
await s.stop(); await server.close();
