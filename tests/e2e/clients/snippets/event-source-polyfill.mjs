import { EventSourcePolyfill } from "event-source-polyfill";

export async function follow(url, token, show, last = "", refused = 0) {
  const target = last ? `${url}?lastEventId=${encodeURIComponent(last)}` : url;
  const headers = { Authorization: `Bearer ${await token()}` };
  const source = new EventSourcePolyfill(target, { headers });
  source.onopen = () => (refused = 0);
  source.onerror = async ({ status }) => {
    // It never asks again after an answer other than 200.
    const again = status === 401 ? !refused++ : [429, 503].includes(status);
    if (again) setTimeout(follow, 3000, url, token, show, last, refused);
    headers.Authorization = `Bearer ${await token()}`; // for the connections that it opens again itself
  };
  for (const name of ["message", "log", "gap", "done", "unavailable"])
    source.addEventListener(name, (event) => {
      last = event.lastEventId || last;
      show(name, event.data, event.lastEventId);
      if (/^end(\.|$)/.test(event.lastEventId)) source.close();
    });
}
