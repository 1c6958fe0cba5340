import { EventSourceParserStream } from "eventsource-parser/stream";

export async function follow(url, token, show) {
  const { body } = await fetch(url, { headers: { Authorization: `Bearer ${await token()}` } });
  const events = body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { event, data, id } of events) show(event ?? "message", data, id ?? "");
}
