export async function follow(url, token, show, signal, last = "", refused = 0) {
  const again = () => setTimeout(() => follow(url, token, show, signal, last, refused), 3000);
  const current = await token().catch(() => "");
  if (signal.aborted) return;
  if (!current) return again();
  const target = new URL(url, document.baseURI);
  target.searchParams.set("token", current);
  if (last) target.searchParams.set("lastEventId", last);
  const source = new EventSource(target);
  signal.addEventListener("abort", () => source.close());
  source.onopen = () => (refused = 0);
  source.onerror = () => {
    // Closed by an answer other than 200.  Once more, with a new token.
    if (source.readyState === EventSource.CLOSED && !refused++) again();
  };
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
