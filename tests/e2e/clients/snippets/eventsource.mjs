import { EventSource } from "eventsource";

export function follow(url, token, show, last = "") {
  const target = new URL(url);
  if (last) target.searchParams.set("lastEventId", last);
  const source = new EventSource(target, {
    fetch: async (input, init) =>
      fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${await token()}` } }),
  });
  source.onerror = ({ code }) => {
    // It never asks again after an answer other than 200.
    if ([429, 503].includes(code)) setTimeout(follow, 3000, url, token, show, last);
  };
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
