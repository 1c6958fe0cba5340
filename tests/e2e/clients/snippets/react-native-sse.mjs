import EventSource from "react-native-sse";

export async function follow(url, token, show, signal) {
  let refused = 0;
  let current = await token();
  if (signal.aborted) return;
  const source = new EventSource(url, { headers: { Authorization: { toString: () => `Bearer ${current}` } } });
  signal.addEventListener("abort", () => source.close());
  source.addEventListener("open", () => (refused = 0));
  source.addEventListener("error", async ({ xhrStatus, xhrState }) => {
    const fresh = await token().catch(() => "");
    current = fresh || current;
    // It does not ask again after a lost connection.
    if (xhrStatus === 0) setTimeout(() => signal.aborted || source.open(), 3000);
    if (xhrState !== XMLHttpRequest.DONE) return;
    const final = xhrStatus >= 400 && xhrStatus < 500 && xhrStatus !== 429;
    if (xhrStatus === 401 ? fresh && refused++ : final) source.close();
  });
  for (const name of ["message", "log", "gap", "resync", "done", "unavailable", "auth-expired"])
    source.addEventListener(name, (event) => {
      show(name, event.data, event.lastEventId ?? "");
      if (/^end(\.|$)/.test(event.lastEventId)) source.close(); // it would ask again after a 204
    });
}
