export async function follow(url, token, show, last = "", refused = 0) {
  const target = new URL(url);
  target.searchParams.set("token", await token());
  if (last) target.searchParams.set("lastEventId", last);
  const source = new EventSource(target);
  source.onopen = () => (refused = 0);
  source.onerror = () => {
    // Closed by an answer other than 200.  Once more, with a new token.
    if (source.readyState === EventSource.CLOSED && !refused) setTimeout(follow, 3000, url, token, show, last, 1);
  };
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
