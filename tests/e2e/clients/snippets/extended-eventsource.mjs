import { EventSource } from "extended-eventsource";

export function follow(url, token, show, signal, last = "") {
  if (signal.aborted) return;
  const source = new EventSource(url, {
    async fetch(request) {
      request.headers.set("Authorization", `Bearer ${await token()}`);
      request.headers.delete("Last-Event-ID"); // it may be that of an event that arrived only in part
      if (last) request.headers.set("Last-Event-ID", last);
      return fetch(request);
    },
  });
  signal.addEventListener("abort", () => source.close());
  source.onerror = ({ response }) => {
    // It never asks again after an answer other than 200.
    const status = response?.status;
    if (status === 429 || status >= 500) setTimeout(() => follow(url, token, show, signal, last), 3000);
  };
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      if (!event.data) return; // a comment, or the block with `retry:`
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
