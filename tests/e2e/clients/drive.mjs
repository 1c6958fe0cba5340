// Runs clients in Node or in a browser's page.  Prints what each client saw, as one JSON object a line:
// {"key", "at", "name", "data", "id"}.
//
// Under Node, commands come from the standard input, one JSON object a line.  A page calls start(), setToken() and
// stop(), and takes the lines from `lines`.

const tokens = {};
const controllers = {};
const lines = [];
const inPage = typeof window !== "undefined";

function print(line) {
  line.at = Date.now() / 1000;
  if (inPage) lines.push(line);
  else process.stdout.write(JSON.stringify(line) + "\n");
}

async function start({ key, module, url, token }) {
  tokens[key] = token;
  controllers[key] = new AbortController();
  try {
    const { follow } = await import(module);
    await follow(
      url,
      async () => {
        if (tokens[key] === null) throw new TypeError("the token cannot be fetched");
        return tokens[key];
      },
      (name, data, id) => print({ key, name, data, id }),
      controllers[key].signal,
    );
  } catch (error) {
    print({ key, name: "#failed", data: String(error?.stack ?? error), id: "" });
  }
}

function setToken({ key, token }) {
  tokens[key] = token;
}

function stop({ key }) {
  controllers[key].abort();
}

if (inPage) {
  window.drive = { start, setToken, stop, take: () => lines.splice(0) };
} else {
  // A failure inside one client must not end the others.
  for (const kind of ["uncaughtException", "unhandledRejection"]) process.on(kind, (error) => console.error(kind, error));
  const { createInterface } = await import("node:readline");
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.module) start(command);
    else if ("token" in command) setToken(command);
    else stop(command);
  }
  process.exit(0);
}
