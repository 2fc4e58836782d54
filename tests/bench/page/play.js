// What all three players are asked: when a frame was shown, and whether the film stood still.

/** A wait that is shorter is not seen: decoders wait so between frames. */
const STALL_MS = 100;

/** How many times the film stood still for want of data, but for the start and the seek. */
let stalls = 0;
let isSeeking = false;

const video = document.createElement("video");
Object.assign(video, { muted: true, playsInline: true, autoplay: true, width: 640 });
document.body.append(video);

const shown = () => new Promise((resolve) => video.requestVideoFrameCallback((_, { mediaTime }) => resolve(mediaTime)));

/** Ms from the navigation to the first frame. */
const first = shown().then(() => performance.now());
video.addEventListener("waiting", () => {
  if (isSeeking || video.currentTime === 0 || video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return;
  const began = performance.now();
  void shown().then(() => (stalls += Number(performance.now() - began > STALL_MS)));
});

export { video };

/** Plays on for so long, seeks, and plays on; answers in ms. */
window.measure = async (part, secondsEach) => {
  const firstFrameMs = await first;
  await played(secondsEach);
  isSeeking = true;
  const target = video.duration * part;
  const start = performance.now();
  video.currentTime = target;
  let at;
  do at = await shown();
  while (Math.abs(at - target) > 1);
  const seekMs = performance.now() - start;
  isSeeking = false;
  await played(secondsEach);
  return { firstFrameMs, seekMs, stalls };
};

/** Until the film has gone on for so long. */
async function played(seconds) {
  const end = video.currentTime + seconds;
  while (video.currentTime < end) await shown();
}
