import { fetchEventSource } from "@microsoft/fetch-event-source";

class Final extends Error {}

export async function follow(url, token, show, signal) {
  let last = "";
  let refused = 0;
  const following = fetchEventSource(url, {
    signal,
    openWhenHidden: true, // else a tab that is hidden and shown again while it waits opens two streams
    async fetch(input, init) {
      const headers = { Accept: "text/event-stream", Authorization: `Bearer ${await token()}` };
      if (last) headers["Last-Event-ID"] = last; // its own id may be that of an event that arrived only in part
      return fetch(input, { ...init, headers });
    },
    async onopen({ status, headers }) {
      if (status === 401 ? refused++ : status !== 200 && status !== 429 && status < 500) throw new Final();
      if (status !== 200)
        throw Object.assign(new Error(`status ${status}`), { pause: 1000 * headers.get("Retry-After") || 3000 });
      refused = 0;
    },
    onmessage({ event, data, id }) {
      last = id || last; // a drain sends an id without data
      if (!data) return; // this id, a comment, or the block with `retry:`
      show(event || "message", data, id);
      if (/^end(\.|$)/.test(id)) throw new Final();
    },
    onclose() {
      throw new Error("the stream ended, the job did not");
    },
    onerror(error) {
      if (error instanceof Final) throw error;
      return error.pause; // undefined: the pause that `retry:` has set
    },
  });
  await following.catch((error) => {
    if (!(error instanceof Final)) throw error;
  });
}
