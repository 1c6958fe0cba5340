import { EventSource } from "extended-eventsource";

export async function follow(url, token, show) {
  const source = new EventSource(url, { headers: { Authorization: `Bearer ${await token()}` } });
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => show(name, event.data, event.lastEventId));
}
