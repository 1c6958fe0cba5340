import { SSE } from "sse.js";

export async function follow(url, token, show, signal) {
  let refused = 0;
  const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}` };
  if (signal.aborted) return;
  const source = new SSE(url, { headers, autoReconnect: true });
  signal.addEventListener("abort", () => source.close());
  source.addEventListener("open", ({ responseCode }) => {
    if (responseCode === 200) refused = 0;
  });
  source.addEventListener("error", async ({ responseCode }) => {
    const fresh = await token().catch(() => "");
    if (fresh) headers.Authorization = `Bearer ${fresh}`;
    const final = responseCode >= 400 && responseCode < 500 && responseCode !== 429;
    if (responseCode === 401 ? fresh && refused++ : final) source.close();
  });
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      show(name, event.data, event.id ?? "");
      if (/^end(\.|$)/.test(event.id)) source.close(); // it would ask again after a 204
    });
}
