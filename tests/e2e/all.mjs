// Runs the test files named, one after the other, in this one process: so they share a browser (site.mjs).
//
// `node --test` would give each file a process of its own.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

for (const file of process.argv.slice(2)) await import(pathToFileURL(resolve(file)));
