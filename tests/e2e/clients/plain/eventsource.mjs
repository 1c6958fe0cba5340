import { EventSource } from "eventsource";

export async function follow(url, token, show) {
  const Authorization = `Bearer ${await token()}`;
  const source = new EventSource(url, {
    fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, Authorization } }),
  });
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => show(name, event.data, event.lastEventId));
}
