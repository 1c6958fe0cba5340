// A straightforward SSE server in Node: one shared Redis subscriber, and a set of responses for each channel.
//   node node_server.mjs <port or socket path> <Redis socket path>
import http from 'node:http';
import { createRequire } from 'node:module';

// `make bench` installs the packages in another folder.
const Redis = createRequire(process.env.BENCH_NODE_MODULES + '/')('ioredis');

const [listen, redis] = process.argv.slice(2);
const subscriber = new Redis(redis);
const viewers = new Map();

subscriber.on('message', (channel, payload) => {
  const frame = `data: ${payload}\n\n`;
  for (const response of viewers.get(channel) ?? []) response.write(frame);
});

const server = http.createServer(async (request, response) => {
  const channel = 'bench:' + request.url.slice('/bench/'.length);
  let all = viewers.get(channel);
  if (!all) {
    all = new Set();
    all.ready = subscriber.subscribe(channel);
    viewers.set(channel, all);
  }
  all.add(response);
  request.on('close', () => {
    all.delete(response);
    if (all.size === 0 && viewers.get(channel) === all) {
      viewers.delete(channel);
      subscriber.unsubscribe(channel);
    }
  });
  await all.ready;
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache, no-transform' });
  response.write('retry: 3000\n\n');
});

setInterval(() => {
  for (const all of viewers.values()) for (const response of all) response.write(': heartbeat\n\n');
}, 15000);

server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.listen({ ...(listen.startsWith('/') ? { path: listen } : { host: '127.0.0.1', port: Number(listen) }), backlog: 4096 });
