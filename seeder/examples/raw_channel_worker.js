// Counts what the channel brings; the sender stops at a number of bytes, then nothing comes.
let bytes = 0;
let firstAt = 0;
let lastAt = 0;
let total = 0;

onmessage = ({ data }) => {
  if (!data.channel) return;
  const { channel } = data;
  channel.binaryType = "arraybuffer";
  const opened = () => postMessage({ kind: "opened" });
  if (channel.readyState === "open") opened();
  channel.onopen = opened;
  channel.onmessage = ({ data: message }) => {
    if (typeof message === "string") return;
    lastAt = performance.now();
    if (bytes === 0) {
      firstAt = lastAt;
      postMessage({ kind: "first" });
      total = new DataView(message).getFloat64(0);
    }
    bytes += message.byteLength;
    if (bytes >= total) {
      postMessage({ kind: "done", bytes, seconds: (lastAt - firstAt) / 1000 });
    }
  };
};
