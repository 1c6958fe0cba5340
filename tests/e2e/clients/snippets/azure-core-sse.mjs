import { createSseStream } from "@azure/core-sse";

export async function follow(url, token, show, signal) {
  let last = "";
  let pause = 3000;
  let refused = 0;
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
    const events = createSseStream(body)[Symbol.asyncIterator]();
    const next = () => events.next().catch(() => ({ done: true })); // the connection was lost
    for (let step; !(step = await next()).done; ) {
      const { event, data, id, retry } = step.value;
      pause = retry ?? pause; // it comes with the next event
      last = id || last;
      show(event || "message", data, id);
    }
  }
}
