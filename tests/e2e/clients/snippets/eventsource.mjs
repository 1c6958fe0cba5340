import { EventSource } from "eventsource";

export function follow(url, token, show, signal, last = "") {
  if (signal.aborted) return;
  const target = new URL(url, globalThis.document?.baseURI);
  if (last) target.searchParams.set("lastEventId", last);
  const source = new EventSource(target, {
    fetch: async (input, init) =>
      fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${await token()}` } }),
  });
  signal.addEventListener("abort", () => source.close());
  source.onerror = ({ code }) => {
    // It never asks again after an answer other than 200.
    if (code === 429 || code >= 500) setTimeout(() => follow(url, token, show, signal, last), 3000);
  };
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
