import { EventSourcePolyfill } from "event-source-polyfill";

export async function follow(url, token, show, signal, last = "", refused = 0) {
  const again = () => setTimeout(() => follow(url, token, show, signal, last, refused), 3000);
  const current = await token().catch(() => "");
  if (signal.aborted) return;
  if (!current) return again();
  const target = new URL(url, globalThis.document?.baseURI);
  if (last) target.searchParams.set("lastEventId", last);
  const headers = { Authorization: `Bearer ${current}` };
  const source = new EventSourcePolyfill(target.href, { headers });
  signal.addEventListener("abort", () => source.close());
  source.onopen = () => (refused = 0);
  source.onerror = async ({ status }) => {
    // It never asks again after an answer other than 200.
    if (status === 401 ? !refused++ : status === 429 || status >= 500) return again();
    const fresh = await token().catch(() => "");
    if (fresh) headers.Authorization = `Bearer ${fresh}`; // for the connections that it opens again itself
  };
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
