// Sends over one channel, counts what another brings, and does nothing with it.

/** Messages and buffer as our pages have them. */
const MESSAGE = new Uint8Array(64 << 10);
const HIGH_BYTES = 256 << 10;
const LOW_BYTES = 64 << 10;

let outgoing;
let left = 0;
let received = 0;
let expected = Infinity;

onmessage = ({ data }) => {
  if (data.channel) take(data.channel, data.bytes);
  if (!data.begin) return;
  expected = data.expected;
  tellIfDone();
  send();
};

function take(channel, bytes) {
  channel.binaryType = "arraybuffer";
  if (bytes === undefined) {
    channel.onmessage = ({ data }) => {
      received += data.byteLength;
      tellIfDone();
    };
    return;
  }
  [outgoing, left] = [channel, bytes];
  channel.bufferedAmountLowThreshold = LOW_BYTES;
  channel.onbufferedamountlow = send;
  channel.onopen = () => postMessage({ kind: "opened" });
}

function send() {
  while (left > 0 && outgoing.bufferedAmount + MESSAGE.length <= HIGH_BYTES) {
    outgoing.send(MESSAGE.subarray(0, left));
    left -= Math.min(left, MESSAGE.length);
  }
}

function tellIfDone() {
  if (received >= expected) postMessage({ kind: "done" });
}
