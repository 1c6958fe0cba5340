import { SSE } from "sse.js";

export async function follow(url, token, show) {
  let refused = 0;
  const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}` };
  const source = new SSE(url, { headers, autoReconnect: true });
  source.addEventListener("open", ({ responseCode }) => {
    if (responseCode === 200) refused = 0;
  });
  source.addEventListener("error", async ({ responseCode }) => {
    if (responseCode === 401 && refused++) source.close();
    headers.Authorization = `Bearer ${await token()}`;
  });
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      show(name, event.data, event.id ?? "");
      if (/^end(\.|$)/.test(event.id)) source.close(); // it would ask again after a 204
    });
}
