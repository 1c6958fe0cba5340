import net from "node:net";
import { createRequire } from "node:module";
const { fetchEventSource } = createRequire("/tmp/w/keys2/build/clients/")("@microsoft/fetch-event-source");
const [,, port, path, token, saved] = process.argv;
globalThis.window = globalThis; globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false };
let links = [];
const relay = net.createServer((c) => {
  const up = net.connect(port, "127.0.0.1"); links.push(c);
  let head = "";
  c.on("data", (d) => { head += d; const m = /last-event-id: .*/i.exec(head); if (m) { console.log("HEADER", m[0]); head = ""; } up.write(d); });
  up.on("data", (d) => c.write(d)); up.on("end", () => c.end()); c.on("error", () => up.destroy()); up.on("error", () => c.destroy()); c.on("close", () => up.destroy());
}).listen(0, "127.0.0.1", () => {
  fetchEventSource(`http://127.0.0.1:${relay.address().port}${path}`, {
    openWhenHidden: true,
    headers: { Authorization: `Bearer ${token}`, "Last-Event-ID": saved },
    onmessage: ({ event, id, data }) => data && console.log("EVENT", event, id),
    onerror: () => 1500,
  });
});
process.stdin.on("data", () => { console.log("CUT"); for (const l of links) l.resetAndDestroy(); links = []; });
setTimeout(() => process.exit(0), 6000);
