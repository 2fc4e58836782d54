// Files to transfer, made when they are needed and kept out of the repository.

import { execFileSync } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { existsSync, mkdirSync, renameSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CACHE, ROOT } from "./headwater.mjs";

const MIB = 2 ** 20;

/** A file of noise, the same on every machine. */
export function noise(mebibytes) {
  return made(`noise-${mebibytes}.bin`, mebibytes * MIB, (path) => {
    const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
    for (let done = 0; done < mebibytes; done += 1) {
      writeFileSync(path, cipher.update(Buffer.alloc(MIB)), { flag: "a" });
    }
  });
}

/** A file that takes no room on disk. */
export function sparse(mebibytes) {
  return made(`sparse-${mebibytes}.bin`, mebibytes * MIB, (path) => truncateSync(path, mebibytes * MIB));
}

/** A film with a grain that costs bytes. */
export function film(seconds, kilobits = 1_450) {
  const path = join(CACHE, "content", `film-${seconds}-${kilobits}.mp4`);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  execFileSync(join(ROOT, "tests/sample/film.sh"), [path, String(seconds), String(kilobits)], { stdio: "inherit" });
  return path;
}

function made(name, size, fill) {
  const path = join(CACHE, "content", name);
  if (existsSync(path) && statSync(path).size === size) return path;
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  writeFileSync(unfinished, "");
  fill(unfinished);
  renameSync(unfinished, path);
  return path;
}
