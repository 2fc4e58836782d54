// What the tests call in the page, on top of the package's public face.

import { Headwater, HeadwaterError } from "/pkg/headwater.js";

const KINDS = ["blockRefused", "completed", "originFailed", "peerClosed", "peerOpened", "pieceRefused", "trackerState", "warning"];
const film = document.getElementById("film");

Object.assign(window, { Headwater, HeadwaterError, film });

/** Joins a swarm; `window.torrent` is it, `window.seen` what happened in it. */
window.join = async (id, { add = {}, ...options } = {}) => {
  window.client ??= new Headwater(options);
  window.torrent = client.add(id, add);
  window.seen = [];
  window.peaks = { windowPeak: 0, wasmMemory: 0 };
  for (const kind of KINDS) torrent.on(kind, (event) => seen.push({ kind, ...event }));
  torrent.on("error", (error) => seen.push({ kind: "error", code: error.code, message: error.message, hint: error.hint }));
  torrent.on("stats", (stats) => {
    for (const key in peaks) peaks[key] = Math.max(peaks[key], stats[key] ?? 0);
  });
  await torrent.ready;
  window.file = torrent.files[0];
  await file.ready;
  return describe();
};

/** As `join`, but what is wrong with the torrent is the result. */
window.joinBadly = (id, options) =>
  new Promise((resolve) => {
    const torrent = new Headwater(options).add(id);
    torrent.on("error", ({ code, message, hint }) => resolve({ code, message, hint }));
    torrent.ready.then(() => resolve({ code: "none" }), ({ code, message, hint }) => resolve({ code, message, hint }));
  });

function describe() {
  const { name, infoHashV1, infoHashV2, length, pieceLength, pieceCount } = torrent;
  const files = torrent.files.map(({ name, path, length, type }) => ({ name, path, length, type }));
  return { name, infoHashV1, infoHashV2, length, pieceLength, pieceCount, files };
}

/** Hex SHA-256 of what a request answers. */
window.sha256 = async (url) => digest(await (await fetch(url)).arrayBuffer());

/** Hex SHA-256 of a file read without the service worker. */
window.sha256OfFile = async (index = 0, range = {}) => digest(await torrent.files[index].arrayBuffer(range));

async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Status, headers and length of the body that a request answers. */
window.request = async (headers, url = file.url) => {
  const response = await fetch(url, { headers });
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: Object.fromEntries(response.headers), length: body.length, first: body[0], last: body.at(-1) };
};

/** Plays the file to its end; answers where playback had to wait for bytes, and what it had by then. */
window.play = async (rate) => {
  let isPlaying = false;
  const stalls = [];
  film.addEventListener("playing", () => (isPlaying = true), { once: true });
  film.addEventListener("waiting", () => {
    if (isPlaying && !film.ended && !isBufferedAhead()) stalls.push(whereabouts());
  });
  await file.streamTo(film);
  film.defaultPlaybackRate = rate;
  film.playbackRate = rate;
  const ended = occurs("ended");
  await film.play();
  await ended;
  return { stalls, played: film.currentTime, duration: film.duration, isEnded: film.ended, frames: film.getVideoPlaybackQuality().totalVideoFrames };
};

function whereabouts() {
  const buffered = Array.from({ length: film.buffered.length }, (_, at) => [film.buffered.start(at), film.buffered.end(at)]);
  return { at: film.currentTime, buffered, readyState: film.readyState, pieces: torrent.stats.piecesHere };
}

/** Whether the bytes are there; then it is the decoder that is late, on a machine with other work. */
function isBufferedAhead() {
  const wanted = Math.min(film.currentTime + 0.5, film.duration - 0.05);
  const { currentTime, buffered } = film;
  return Array.from({ length: buffered.length }, (_, at) => buffered.start(at) <= currentTime && buffered.end(at) >= wanted).some(Boolean);
}

/** Seeks there while it plays; answers the time of the frame that is shown then, and how much of it is not black. */
window.seek = async (part) => {
  await file.streamTo(film);
  await film.play();
  const target = film.duration * part;
  const shown = new Promise((resolve) => {
    const look = (_, frame) => (frame.mediaTime > target - 0.5 ? resolve(frame.mediaTime) : film.requestVideoFrameCallback(look));
    film.requestVideoFrameCallback(look);
  });
  const sought = occurs("seeked");
  film.currentTime = target;
  await sought;
  const mediaTime = await shown;
  film.pause();
  return { target, mediaTime, lit: litPart() };
};

function litPart() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 36 });
  const context = canvas.getContext("2d");
  context.drawImage(film, 0, 0, 64, 36);
  const { data } = context.getImageData(0, 0, 64, 36);
  let lit = 0;
  for (let at = 0; at < data.length; at += 4) lit += data[at] + data[at + 1] + data[at + 2] > 60 ? 1 : 0;
  return lit / (data.length / 4);
}

function occurs(event) {
  return new Promise((resolve, reject) => {
    film.addEventListener(event, resolve, { once: true });
    film.addEventListener("error", () => reject(new Error(film.error?.message ?? "the film failed")), { once: true });
  });
}

window.isLoaded = true;
