import { fetchEventSource } from "@microsoft/fetch-event-source";

export async function follow(url, token, show) {
  await fetchEventSource(url, {
    headers: { Authorization: `Bearer ${await token()}` },
    onmessage: ({ event, data, id }) => show(event || "message", data, id),
  });
}
