"""nginx in front of a gateway and an application, for tests that look at nginx itself."""

import contextlib
import http.server
import json
import os
import socketserver
import ssl
import subprocess
import threading
from pathlib import Path

import httpx

from support.stack import ROOT

ORIGIN = "https://app.example.com"
ENV = {
    "PATH": os.environ["PATH"],
    "REDIS_URL": "redis://localhost:6379",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
}
BINARY = os.environ.get("TAILGATE_BINARY", str(ROOT / "build/release/tailgate"))


def render(out, *more, config="all-three.toml", env=ENV):
    command = [ROOT / "nginx/render", "--tailgate", BINARY, "--config", ROOT / "deploy" / config, "--out", out, *more]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


class Application(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The application behind nginx.  By default it answers with the request that it got."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path):
        super().__init__(str(path), Echo)
        self.begun = threading.Event()  # set when the first byte of a request body has arrived
        # path: the JSON value to answer instead of the request, None for 404, or a function that gets the headers and
        # returns a status and a JSON value.
        self.answers = {}
        self.headers = {}  # further headers of the answer to each path
        self.asked = {}  # path: the headers of the last request
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.send_header("Connection", "upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.read(5)[::-1])
            self.close_connection = True
            return
        size = 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(length))
                self.server.begun.set()
                self.rfile.readline()
            self.rfile.readline()
        else:
            size = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        seen = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked[self.path] = seen
        status, body = (
            418 if self.path == "/teapot" else 200,
            json.dumps({"method": self.command, "target": self.path, "headers": seen, "size": size}).encode(),
        )
        if self.path in self.server.answers:
            known = self.server.answers[self.path]
            status, value = known(seen) if callable(known) else (404, {}) if known is None else (200, known)
            body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("X-Application", "yes")
        for name, value in self.server.headers.get(self.path, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"


class System:
    def __init__(self, directory, *more):
        self.dir = directory
        self.application = Application(directory.parent / f"{directory.name}.sock")
        command = ["up", "--application", f"unix:{self.application.server_address}", "--binary", BINARY]
        command += ["--set", f'cors.origins=["{ORIGIN}", "https://*.example.org"]']
        self.facts = json.loads(self.stack(*command, *more))
        self.base = self.facts["base_url"]
        self.verify = ssl.create_default_context(cafile=self.facts["ca_file"])

    def stack(self, verb, *more):
        command = [ROOT / "scripts/stack", verb, "--dir", self.dir, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self, provider="builder", subject="alice"):
        command = [ROOT / "scripts/mint-token", "--dir", self.dir, "--provider", provider, "--subject", subject]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def client(self, http2=False, base=None, **more):
        return httpx.Client(
            base_url=base or self.base, verify=self.verify, http2=http2, timeout=10, trust_env=False, **more
        )

    def redis(self, *words):
        command = ["redis-cli", "-s", self.facts["redis_socket"], *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def logs(self):
        return {path.name: path.read_text(errors="replace") for path in Path(self.facts["log_dir"]).iterdir()}

    def end(self):
        self.stack("down")
        self.application.shutdown()
        self.application.server_close()


@contextlib.contextmanager
def running(directory, *more):
    system = System(directory, *more)
    try:
        yield system
    finally:
        system.end()
