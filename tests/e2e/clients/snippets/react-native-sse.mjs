import EventSource from "react-native-sse";

export async function follow(url, token, show) {
  let refused = 0;
  let current = await token();
  const source = new EventSource(url, { headers: { Authorization: { toString: () => `Bearer ${current}` } } });
  source.addEventListener("open", () => (refused = 0));
  source.addEventListener("error", async ({ xhrStatus, xhrState }) => {
    current = await token();
    if (xhrStatus === 401 && xhrState === XMLHttpRequest.DONE && refused++) source.close();
    if (xhrStatus === 0) setTimeout(() => source.open(), 3000); // it does not ask again after a lost connection
  });
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      show(name, event.data, event.lastEventId ?? "");
      if (/^end(\.|$)/.test(event.lastEventId)) source.close(); // it would ask again after a 204
    });
}
