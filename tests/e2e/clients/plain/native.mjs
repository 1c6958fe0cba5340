export async function follow(url, token, show) {
  const target = new URL(url);
  target.searchParams.set("token", await token());
  const source = new EventSource(target);
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => show(name, event.data, event.lastEventId));
}
