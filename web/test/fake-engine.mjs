// Answers reads as the engine does, of files whose bytes follow from their offsets.

/** The byte at `offset` of every fake file. */
export const byteAt = (offset) => (offset * 31 + (offset >> 8)) & 0xff;

/** Bytes `start` to `end` of a fake file. */
export const bytesOf = (start, end) => Uint8Array.from({ length: end - start }, (_, i) => byteAt(start + i));

/** Serves `files` (name, type, length) on a control port; counts what it did. */
export function serveReads(control, files, chunkBytes = 1000) {
  const ports = [];
  const close = () => ports.forEach((port) => port.close());
  const counts = { opened: 0, pulls: 0, cancelled: 0, bytes: 0, close };
  control.onmessage = ({ data }) => {
    ports.push(data.port);
    open(files.find(({ name }) => name.toWellFormed() === data.path.join("/")), data, chunkBytes, counts);
  };
  return counts;
}

function open(file, { start = 0, end, port }, chunkBytes, counts) {
  counts.opened += 1;
  if (!file) return port.postMessage({ kind: "error", code: "noFile", message: "There is no such file." });
  const stop = end ?? file.length;
  let at = start;
  port.onmessage = ({ data }) => {
    if (data.kind === "cancel") {
      counts.cancelled += 1;
      return port.close();
    }
    counts.pulls += 1;
    if (at >= stop) return port.postMessage({ kind: "end" });
    const until = Math.min(at + chunkBytes, stop);
    const { buffer } = bytesOf(at, until);
    counts.bytes += until - at;
    at = until;
    port.postMessage({ kind: "data", bytes: buffer }, [buffer]);
  };
  port.postMessage({ kind: "head", length: file.length, type: file.type, name: file.name, start, end: stop });
}
