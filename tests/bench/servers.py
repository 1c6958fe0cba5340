"""The servers that the benchmark compares: the gateway, the bare loop and the peers.

A server is pinned to one CPU; Redis and the load generator share another.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from support.seals import seal  # noqa: E402
from support.stack import Stack  # noqa: E402
from tailgate_stack import ending, ports  # noqa: E402
from tailgate_stack import gateway as gateways  # noqa: E402

SECRET = "a secret of the benchmark, 32 bytes and more"
CPUS = sorted(os.sched_getaffinity(0))
LOAD_CPU, SERVER_CPU = CPUS[0], CPUS[1 % len(CPUS)]


class Failed(Exception):
    """The reason why a run failed, in a sentence."""


def pids_of_session(leader):
    pids = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(name)) == leader:
                    pids.append(int(name))
    return sorted(pids)


def pin(pid, cpu):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})


class Process:
    """A child process in its own session, pinned to one CPU, with its output in a file."""

    def __init__(self, command, log, *, cpu, env=None, cwd=None):
        self.log = Path(log)
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                ["taskset", "-c", str(cpu), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=cwd,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", **(env or {})},
            )

    def pids(self):
        return pids_of_session(self.popen.pid)

    def wait(self, happened, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not happened():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{what}:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

    def end(self):
        for number, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if self.popen.poll() is not None and not self.pids():
                    return
                time.sleep(0.01)


def accepts(address):
    family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family) as link:
        link.settimeout(1)
        link.connect(address[5:] if family == socket.AF_UNIX else ("127.0.0.1", int(address.rpartition(":")[2])))
        return True
    return False


class Bench:
    """The common resources of all runs: a folder, a Redis, the paths of the programs, and the size of scenarios."""

    def __init__(self, programs, size):
        self.programs = {name: str(Path(path).resolve()) for name, path in programs.items()}
        self.size_name = size
        self.dir = ending.folder("tailgate-bench-")
        self.ports = ports.pick_ports(4, self.dir)
        self.redis_port = self.ports[0]
        self.redis_socket = self.dir / "redis.sock"
        (self.dir / "redis.conf").write_text(
            f'port {self.redis_port}\nbind 127.0.0.1\nunixsocket {self.redis_socket}\nsave ""\nappendonly no\n'
            f"dir {self.dir}\nmaxclients 19000\ntcp-backlog 511\n"
            # No limit: in a closed loop the publisher is faster than its subscribers.
            "client-output-buffer-limit pubsub 0 0 0\n"
        )
        self.redis = Process(["redis-server", self.dir / "redis.conf"], self.dir / "redis.log", cpu=LOAD_CPU)
        self.redis.wait(lambda: accepts(f"unix:{self.redis_socket}"), "redis-server did not start")

    def size(self, full, quick, tiny):
        return {"full": full, "quick": quick, "tiny": tiny}[self.size_name]

    def close(self):
        self.redis.end()
        ports.release_ports(self.ports)
        ending.remove(self.dir)

    def fresh_redis(self, notifications=True):
        events = "Kt" if notifications else ""
        self.redis_cli("FLUSHALL")
        self.redis_cli("CONFIG", "SET", "notify-keyspace-events", events)

    def redis_cli(self, *words, feed=None):
        command = ["redis-cli", "-s", str(self.redis_socket), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, input=feed, check=False)
        if done.returncode != 0 or "ERR" in done.stdout:
            raise Failed(f"redis-cli {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def make_jobs(self, count):
        lines = [f"HSET job:{i} user_id alice status running status_message building\n" for i in range(count)]
        self.redis_cli(feed="".join(lines))

    def make_log(self, key, entries):
        words = ["ts", "2026-01-01T00:00:00Z", "source", "build", "text", "x" * 120, "phase", "compile"]
        line = " ".join(["XADD", key, "*", *words]) + "\n"
        self.redis_cli(feed=line * entries)

    def header_file(self, name, lines):
        path = self.dir / name
        path.write_text("".join(line + "\n" for line in lines))
        return path

    def load(self, mode, *words, watch=(), expect_failure=False):
        """Runs the load generator and returns its result.  Raises Failed if a delivery was missing or wrong."""
        command = ["taskset", "-c", str(LOAD_CPU), self.programs["load"], mode, *map(str, words)]
        for name, pids in watch:
            command += ["--watch", f"{name}={','.join(map(str, pids))}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 and not expect_failure:
            raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout else {}


class Server:
    """One running contestant.  `address` is the address of its streams."""

    def __init__(self, bench, transport="tcp"):
        self.bench = bench
        self.dir = Path(tempfile.mkdtemp(dir=bench.dir))
        self.address = f"unix:{self.dir}/s" if transport == "unix" else f"127.0.0.1:{bench.ports[1]}"
        self.processes = []
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        for process in self.processes:
            process.end()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, command, *, env=None, cpu=SERVER_CPU, cwd=None):
        process = Process(command, self.dir / f"log-{len(self.processes)}", cpu=cpu, env=env, cwd=cwd)
        self.processes.append(process)
        return process

    def watch(self):
        return [("server", self.processes[0].pids()), ("redis", self.bench.redis.pids())]

    def publish(self):
        """The options of the load generator for publishing to bench:<topic>."""
        return ["--publish", f"unix:{self.bench.redis_socket}", "--topic", "bench:{}"]


class Gateway(Server):
    def __init__(self, bench, transport="tcp", settings=()):
        self.settings = settings
        super().__init__(bench, transport)

    def start(self):
        self.auth_address = f"unix:{self.dir}/a"
        ops = f"127.0.0.1:{self.bench.ports[2]}"
        env = {
            "REDIS_URL": f"unix:{self.bench.redis_socket}",
            "JWT_SECRET": SECRET,
            "TAILGATE_LISTEN_STREAMS": self.address,
            "TAILGATE_LISTEN_AUTH": self.auth_address,
            "TAILGATE_LISTEN_OPS": ops,
            "TAILGATE_IDENTITY_KEY_FILE": str(self.dir / "identity.key"),
        }
        command = [self.bench.programs["tailgate"], "--config", HERE / "bench.toml"]
        for setting in self.settings:
            command += ["--set", setting]
        process = self.run(command, env=env)
        process.wait(lambda: gateways.fetch(f"http://{ops}/readyz")[0] == 200, "the gateway was not ready")

    def identities(self, route, count):
        key = bytes.fromhex((self.dir / "identity.key").read_text().split()[0])
        lines = []
        for job in range(count):
            headers = seal(None, route, str(job), user="alice", provider="bench", life_s=3600, key=key)
            lines.append("\t".join(f"{name}: {value}" for name, value in headers.items()))
        return self.bench.header_file(f"identities-{route}", lines)


class Bare(Server):
    def __init__(self, bench, transport="tcp", words=()):
        self.words = words
        super().__init__(bench, transport)

    def start(self):
        redis = f"unix:{self.bench.redis_socket}"
        process = self.run([self.bench.programs["bare_loop"], "--listen", self.address, "--redis", redis, *self.words])
        process.wait(lambda: accepts(self.address), "the bare loop does not listen")


class Node(Server):
    def start(self):
        listen = self.address[5:] if self.address.startswith("unix:") else self.address.rpartition(":")[2]
        env = {"BENCH_NODE_MODULES": self.bench.programs["node_modules"], "NODE_ENV": "production"}
        command = ["node", HERE / "peers/node_server.mjs", listen, self.bench.redis_socket]
        process = self.run(command, env=env)
        process.wait(lambda: accepts(self.address), "Node does not listen")


class FastApi(Server):
    def start(self):
        listen = (
            ["--uds", self.address[5:]]
            if self.address.startswith("unix:")
            else ["--port", self.address.rpartition(":")[2]]
        )
        env = {"REDIS_SOCKET": str(self.bench.redis_socket), "JWT_SECRET": SECRET}
        command = ["/usr/bin/python3", "-m", "uvicorn", "fastapi_server:app", "--loop", "uvloop", "--http", "httptools"]
        command += ["--no-access-log", "--log-level", "warning", "--backlog", "4096", *listen]
        process = self.run(command, env=env, cwd=HERE / "peers")
        process.wait(lambda: accepts(self.address), "uvicorn does not listen")

    def tokens(self):
        return self.bench.header_file("tokens", ["Authorization: Bearer " + hs256({"sub": "alice"})])


class Nchan(Server):
    """Two nginx processes.  One serves the streams and is measured, the other takes the published messages."""

    def start(self):
        self.publisher = f"unix:{self.dir}/p"
        for name, listen, cpu in (("subscribed", self.address, SERVER_CPU), ("published", self.publisher, LOAD_CPU)):
            text = (HERE / "peers/nchan.conf.in").read_text()
            for key, value in (
                ("DIR", self.dir),
                ("NAME", name),
                ("LISTEN", listen),
                ("REDIS_PORT", self.bench.redis_port),
            ):
                text = text.replace(f"@{key}@", str(value))
            conf = self.dir / f"{name}.conf"
            conf.write_text(text)
            command = ["nginx", "-p", self.dir, "-e", self.dir / f"{name}-error.log", "-c", conf]
            process = self.run([*command, "-g", "user root; daemon off;"], cpu=cpu)
            process.wait(lambda: accepts(listen), "Nchan does not listen")
        # Nchan connects to Redis after it has begun to listen.
        process.wait(
            lambda: self.bench.redis_cli("CLIENT", "LIST", "TYPE", "pubsub").count("id=") == 2, "Nchan has no Redis"
        )

    def publish(self):
        return ["--publish", self.publisher, "--verb", "post", "--topic", "/publish/{}"]


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def hs256(claims):
    payload = {"exp": int(time.time()) + 3600, **claims}
    text = base64url(b'{"alg":"HS256","typ":"JWT"}') + b"." + base64url(json.dumps(payload).encode())
    return (text + b"." + base64url(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())).decode()


class WholePath:
    """nginx with TLS, configured by nginx/render, in front of gateways or of a bare loop on a unix socket."""

    def __init__(self, bench, *, instances=1, bare=False, settings=()):
        self.bench = bench
        self.bare = None
        self.dir = Path(tempfile.mkdtemp(dir=bench.dir))
        settings = dict(settings)
        if bare:
            self.bare = Bare(bench, "unix")
            settings["TG_STREAMS"] = self.bare.address
        os.environ["TAILGATE_BINARY"] = bench.programs["tailgate"]
        self.stack = Stack.up(
            self.dir / "stack",
            config=HERE / "bench.toml",
            instances=instances,
            nginx_settings=settings,
            redis_url=f"unix://{bench.redis_socket}",
        )
        pids = self.stack.facts["pids"]
        self.nginx = pids_of_session(pids["nginx"])
        self.gateways = self.bare.processes[0].pids() if bare else pids["gateways"]
        for pid in self.nginx + self.gateways:
            pin(pid, SERVER_CPU)
        self.address = "127.0.0.1:" + self.stack.base_url.rpartition(":")[2]

    def __enter__(self):
        return self

    def __exit__(self, *_what):
        self.stack.down()
        if self.bare:
            self.bare.__exit__()
        shutil.rmtree(self.dir, ignore_errors=True)

    def watch(self):
        return [("server", self.gateways), ("nginx", self.nginx), ("redis", self.bench.redis.pids())]

    def publish(self):
        return ["--publish", f"unix:{self.bench.redis_socket}", "--topic", "bench:{}"]

    def tokens(self):
        token = self.stack.token(provider="bench", subject="alice")
        return self.bench.header_file("tokens", ["Authorization: Bearer " + token])
