import { createParser } from "eventsource-parser";

export async function follow(url, token, show, signal) {
  let last = "";
  let pause = 3000;
  let refused = 0;
  const parser = createParser({
    onRetry: (milliseconds) => (pause = milliseconds),
    onEvent({ event, data, id }) {
      last = id || last;
      show(event ?? "message", data, id ?? "");
    },
  });
  const ask = async () => {
    const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}` };
    if (last) headers["Last-Event-ID"] = last;
    return fetch(url, { headers, signal });
  };
  for (; !signal.aborted && !/^end(\.|$)/.test(last); await new Promise((done) => setTimeout(done, pause))) {
    const { status, body } = await ask().catch(() => ({})); // no connection, or no token
    if (status === 401 ? refused++ : status < 500 && status !== 200 && status !== 429) return;
    if (status !== 200) continue;
    refused = 0;
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    const read = () => reader.read().catch(() => ({ done: true })); // the connection was lost
    for (let piece; !(piece = await read()).done; ) parser.feed(piece.value);
    parser.reset();
  }
}
