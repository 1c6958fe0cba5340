import EventSource from "eventsource";

export async function follow(url, token, show, signal, last = "", refused = 0) {
  const again = (pause) => setTimeout(() => follow(url, token, show, signal, last, refused), pause);
  const current = await token().catch(() => "");
  if (signal.aborted) return;
  if (!current) return again(3000);
  const headers = { Authorization: `Bearer ${current}`, "Last-Event-ID": last };
  // Without `rejectUnauthorized: true` it accepts every certificate as soon as it gets headers.
  const source = new EventSource(url, { headers, rejectUnauthorized: true });
  signal.addEventListener("abort", () => source.close());
  source.onopen = () => (refused = 0);
  source.onerror = ({ status }) => {
    source.close(); // its own id may be that of an event that arrived only in part
    // A lost connection and a clean end have no status.
    if (status === 401 ? !refused++ : !status || status === 429 || status >= 500) again(source.reconnectInterval);
  };
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
