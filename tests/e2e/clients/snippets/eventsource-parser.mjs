import { createParser } from "eventsource-parser";

export async function follow(url, token, show) {
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
  for (; !/^end(\.|$)/.test(last); await new Promise((done) => setTimeout(done, pause))) {
    const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}` };
    if (last) headers["Last-Event-ID"] = last;
    try {
      const { status, body } = await fetch(url, { headers });
      if (status === 204 || (status === 401 && refused++)) return;
      if (status !== 200) continue;
      refused = 0;
      for await (const text of body.pipeThrough(new TextDecoderStream())) parser.feed(text);
    } catch {
      // The connection was lost.
    }
    parser.reset();
  }
}
