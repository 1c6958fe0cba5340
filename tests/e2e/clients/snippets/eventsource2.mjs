import EventSource from "eventsource";

export async function follow(url, token, show, last = "", refused = 0) {
  const headers = { Authorization: `Bearer ${await token()}`, "Last-Event-ID": last };
  // Without `rejectUnauthorized: true` it accepts every certificate as soon as it gets headers.
  const source = new EventSource(url, { headers, rejectUnauthorized: true });
  source.onopen = () => (refused = 0);
  source.onerror = ({ status }) => {
    source.close(); // its own id may be that of an event that arrived only in part
    if (status === 204 || (status === 401 && refused++)) return;
    setTimeout(follow, source.reconnectInterval, url, token, show, last, refused);
  };
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
