import { EventSource } from "extended-eventsource";

export function follow(url, token, show, last = "") {
  const source = new EventSource(url, {
    async fetch(request) {
      request.headers.set("Authorization", `Bearer ${await token()}`);
      request.headers.delete("Last-Event-ID"); // it may be that of an event that arrived only in part
      if (last) request.headers.set("Last-Event-ID", last);
      return fetch(request);
    },
  });
  source.onerror = ({ response }) => {
    // It never asks again after an answer other than 200.
    if ([429, 503].includes(response?.status)) setTimeout(follow, 3000, url, token, show, last);
  };
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      if (!event.data) return; // a comment, or the block with `retry:`
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
