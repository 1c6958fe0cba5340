import { createSseStream } from "@azure/core-sse";

export async function follow(url, token, show) {
  const { body } = await fetch(url, { headers: { Authorization: `Bearer ${await token()}` } });
  for await (const { event, data, id } of createSseStream(body)) show(event || "message", data, id);
}
