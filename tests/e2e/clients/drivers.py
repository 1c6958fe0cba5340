"""Runs clients in Node, in Chromium, and in Python and shells.  The drivers have a common interface:

    start(key, client, mode, url, token)   starts a client; `mode` is "plain" or "snippets"
    set_token(key, token)                  the client's next call of token() returns this token, or fails for NO_TOKEN
    stop(key)                              stops a client of snippets/, but not curl
    collect()                              fetches the lines that the clients have printed
    shown                                  from a key to that client's lines, as dicts
"""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import defaultdict
from pathlib import Path

from support.stack import ROOT

HERE = Path(__file__).resolve().parent
MODULES = ROOT / "build/clients/node_modules"
NO_TOKEN = None  # token() fails
PAGE_POLL = 0.2  # seconds
# Several versions of this package are installed, each under a name of its own.
VERSIONS = ("eventsource3", "eventsource4", "eventsource5")


def module_of(client):
    """The stem of the client's file: all versions of `eventsource` from 3 on share one."""
    return "eventsource" if client in VERSIONS else client


def copy_modules(folder):
    """Copies the clients' files to `folder`, one for each version of `eventsource`, with the name under which that
    version is installed."""
    for mode in ("plain", "snippets"):
        (folder / mode).mkdir(parents=True)
        for source in (HERE / mode).iterdir():
            text = source.read_text()
            for client in VERSIONS if source.stem == "eventsource" else [source.stem]:
                mine = re.sub(r'from "eventsource"', f'from "{client}"', text)
                (folder / mode / f"{client}{source.suffix}").write_text(mine)
    shutil.copy(HERE / "drive.mjs", folder)


class ProcessDriver:
    """A driver that is a process.  It takes commands from its standard input and prints lines."""

    def __init__(self, command, folder, log, suffixes, env=None):
        self._folder, self._suffixes = folder, suffixes
        self.shown = defaultdict(list)
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for text in self._process.stdout:
            line = json.loads(text)
            self.shown[line["key"]].append(line)

    def _send(self, **command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def start(self, key, client, mode, url, token):
        files = (self._folder / mode / f"{client}{suffix}" for suffix in self._suffixes)
        module = next(file for file in files if file.exists())
        self._send(key=key, module=str(module), url=url, token=token)

    def set_token(self, key, token):
        self._send(key=key, token=token)

    def stop(self, key):
        self._send(key=key)

    def collect(self):
        """Nothing to do: a thread reads the lines."""

    def close(self):
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()


def node_driver(folder, work, ca_file):
    """`folder` must lie beside node_modules, where Node looks for packages."""
    env = {"NODE_EXTRA_CA_CERTS": str(ca_file), "NODE_NO_WARNINGS": "1"}
    return ProcessDriver(["node", folder / "drive.mjs"], folder, work / "node.log", [".mjs"], env)


def script_driver(folder, work, ca_file):
    tokens = work / "tokens"
    tokens.mkdir()
    env = {"SSL_CERT_FILE": str(ca_file), "CURL_CA_BUNDLE": str(ca_file)}
    command = ["/usr/bin/python3", HERE / "drive.py", tokens]
    return ProcessDriver(command, folder, work / "script.log", [".py", ".sh"], env)


class PageDriver:
    """A page of Chromium.  The application behind the stack serves the modules (serve_modules)."""

    def __init__(self, browser, lock, stack):
        self._lock = lock  # the browser's pages share one pipe
        self._next_collect = 0.0
        self.shown = defaultdict(list)
        with lock:
            self._page = browser.page(stack.base_url + "/clients/page", newWindow=True)
            self._page.run(
                "new Promise(done => { const wait = () => window.drive ? done() : setTimeout(wait, 10); wait(); })"
            )

    def _run(self, script):
        with self._lock:
            return self._page.run(script)

    def start(self, key, client, mode, url, token):
        module = f"/clients/run/{mode}/{client}.mjs"
        command = {"key": key, "module": module, "url": url, "token": token}
        self._run(f"void drive.start({json.dumps(command)})")

    def set_token(self, key, token):
        self._run(f"drive.setToken({json.dumps({'key': key, 'token': token})})")

    def stop(self, key):
        self._run(f"drive.stop({json.dumps({'key': key})})")

    def collect(self):
        if time.monotonic() < self._next_collect:
            return  # several scenarios share the page, and each look costs the browser time
        self._next_collect = time.monotonic() + PAGE_POLL
        with self._lock:
            for line in self._page.run("drive.take()"):
                self.shown[line["key"]].append(line)

    def close(self):
        with self._lock:
            self._page.close()


# Where a page finds the packages.  Two of them are CommonJS, which no browser understands: serve_modules wraps them.
IMPORTS = {
    "@azure/core-sse": "@azure/core-sse/dist/browser/index.js",
    "@microsoft/fetch-event-source": "@microsoft/fetch-event-source/lib/esm/index.js",
    "event-source-polyfill": "event-source-polyfill/src/eventsource.js",
    "eventsource-parser": "eventsource-parser/dist/index.js",
    "eventsource-parser/stream": "eventsource-parser/dist/stream.js",
    "eventsource5": "eventsource5/dist/index.js",
    "extended-eventsource": "extended-eventsource/dist/index.esm.js",
    "react-native-sse": "react-native-sse/src/EventSource.js",
    "sse.js": "sse.js/lib/sse.js",
}
WRAPPED = {"event-source-polyfill/src/eventsource.js": "EventSourcePolyfill"}
PAGE = """<!doctype html><title>clients</title>
<script type="importmap">{"imports": %s}</script>
<script type="module" src="/clients/run/drive.mjs"></script>
"""


def serve_modules(application, folder):
    """Lets `application` serve the page, the clients' files in `folder`, and the installed packages."""

    def serve(path, text, kind="text/javascript"):
        application.answers[path] = (200, text, {"Content-Type": kind})

    imports = {name: f"/clients/packages/{path}" for name, path in IMPORTS.items()}
    serve("/clients/page", PAGE % json.dumps(imports), "text/html")
    for file in folder.rglob("*.mjs"):
        serve(f"/clients/run/{file.relative_to(folder)}", file.read_text())
    for start in {path.rpartition("/")[0] for path in IMPORTS.values()}:
        for file in (MODULES / start).rglob("*.*js"):
            path = str(file.relative_to(MODULES))
            text = file.read_text()
            if path in WRAPPED:
                text = f"const exports = {{}}, module = {{ exports }};\n{text}\nexport const {{ {WRAPPED[path]} }} = exports;"
            serve(f"/clients/packages/{path}", text)
            if path.startswith("@microsoft/"):  # it imports its files without their extension
                serve(f"/clients/packages/{path.removesuffix('.js')}", text)
