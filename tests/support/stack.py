"""A private system for tests, started by scripts/stack: redis-server, nginx with TLS, and gateways."""

import contextlib
import json
import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import redis

from support.waiting import wait_until
from tailgate_stack import ending

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def default_binary():
    named = os.environ.get("TAILGATE_BINARY")
    if named:
        return Path(named).resolve()
    release = ROOT / "build/release/tailgate"
    return release if release.exists() else ROOT / "build/asan/tailgate"


def toml(value):
    """The text of a value for `--set`.  Text is unchanged, so that a test can pass TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(json.dumps(item) if isinstance(item, str) else toml(item) for item in value) + "]"
    return str(value)


class Stack:
    """One running system.  `facts` is the JSON object that `scripts/stack up` printed.  Its common members are
    attributes."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.facts = {}
        self._tokens = {}
        self._redis = None

    @classmethod
    def up(
        cls,
        directory,
        settings=None,
        *,
        config=None,
        env=None,
        instances=1,
        redis_conf=(),
        application="",
        nginx_settings=None,
        nginx=True,
        wait="ready",
        redis_url=None,
        gateway_redis=None,
        redis_tls=False,
        own_sockets=False,
    ):
        """Starts a system.  `settings`, `env` and `nginx_settings` are dicts for --set, --env and --nginx-set.  In
        values, "{run}" stands for the folder of the sockets.  `config` is a file; the default is all-three.toml.

        With `own_sockets`, gateways bind their sockets themselves, as in a container, and a draining gateway still
        answers.  Otherwise they inherit their sockets, and a draining gateway leaves new connections to its
        successor."""
        stack = cls(directory)
        more = ["--binary", default_binary(), "--instances", instances, "--wait", wait]
        if config:
            more += ["--config", config]
        for option, values in (("--set", settings), ("--env", env), ("--nginx-set", nginx_settings)):
            for key, value in (values or {}).items():
                more += [option, f"{key}={toml(value)}"]
        for line in redis_conf:
            more += ["--redis-conf", line]
        if application:
            more += ["--application", application]
        if not nginx:
            more += ["--no-nginx"]
        if redis_url:
            more += ["--redis", redis_url]
        if gateway_redis:
            more += ["--gateway-redis", gateway_redis]
        if redis_tls:
            more += ["--redis-tls"]
        if own_sockets:
            more += ["--own-sockets"]
        ending.keep_stack(stack.dir)
        try:
            stack.facts = json.loads(stack._script("up", *more))
        except BaseException:
            if not ending.is_ending():
                ending.forget_stack(stack.dir)  # scripts/stack has ended what it had started
            raise
        return stack

    def _script(self, verb, *more):
        assert not ending.is_ending(), f"scripts/stack {verb}: this process ends all its stacks"
        command = [str(ROOT / "scripts/stack"), verb, "--dir", str(self.dir), *map(str, more)]
        # In a session of its own, because Ctrl-C is for this process, which then ends its children in order.
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        assert done.returncode == 0, f"scripts/stack {verb}: {done.stderr}"
        return done.stdout

    def down(self):
        """Ends the system.  Fails if a gateway's log has a sanitizer's report."""
        if self._redis:
            self._redis.close()
            self._redis.connection_pool.disconnect()
        if self.facts and not ending.is_ending():
            self.facts = {}
            try:
                self._script("down")
            finally:
                ending.forget_stack(self.dir)

    def restart(self, what="gateway", kill=False, wait=False):
        """Restarts `what` (gateway, redis or nginx) and waits until it is ready.  `wait`: also until the old gateways
        have ended."""
        more = (["--kill"] if kill else []) + (["--wait"] if wait else [])
        self.facts = json.loads(self._script("restart", what, *more))

    def reload(self, what="nginx", **nginx_settings):
        more = [word for name, value in nginx_settings.items() for word in ("--nginx-set", f"{name}={value}")]
        self.facts = json.loads(self._script("reload", what, *more))

    # ---- addresses and processes ----

    @property
    def base_url(self):
        return self.facts["base_url"]

    @property
    def plain_url(self):
        return self.facts["plain_url"]

    @property
    def ops_url(self):
        return self.facts["ops_urls"][0]

    @property
    def ca_file(self):
        return self.facts["ca_file"]

    @property
    def run_dir(self):
        return Path(self.facts["run_dir"])

    @property
    def gateway_socket(self):
        return self.facts["gateway_sockets"][0]

    @property
    def auth_socket(self):
        return self.facts["auth_sockets"][0]

    @property
    def gateway_pid(self):
        return self.facts["pids"]["gateways"][0]

    @property
    def redis_pid(self):
        return self.facts["pids"]["redis"]

    @property
    def nginx_pid(self):
        return self.facts["pids"]["nginx"]

    # ---- clients and tokens ----

    @property
    def redis(self):
        """A client of the stack's Redis.  It takes and returns text."""
        if self._redis is None:
            self._redis = redis.Redis(
                unix_socket_path=self.facts["redis_socket"],
                decode_responses=True,
                encoding_errors="surrogateescape",
                client_name="test",
            )
        return self._redis

    def token(self, provider="builder", subject="alice", *, expires_in=None, claims=None, without=(), broken=None):
        """A token that the stack accepts, or, if `broken`, one that it must refuse."""
        more = ["--provider", provider, "--subject", subject]
        if expires_in is not None:
            more += ["--expires-in", str(expires_in)]
        for name, value in (claims or {}).items():
            more += ["--claim", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        for name in without:
            more += ["--without", name]
        if broken:
            more += ["--broken", broken]
        if tuple(more) not in self._tokens:
            command = [str(ROOT / "scripts/mint-token"), "--dir", str(self.dir), *more]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            self._tokens[tuple(more)] = done.stdout.strip()
        return self._tokens[tuple(more)]

    def bearer(self, subject="alice", provider="builder", **more):
        """The Authorization header with such a token."""
        return {"Authorization": "Bearer " + self.token(provider, subject, **more)}

    # ---- logs and metrics ----

    def log_text(self, name="gateway-0"):
        """The text of a log: gateway-0, redis, nginx, nginx-error or nginx-access."""
        with contextlib.suppress(FileNotFoundError):
            return (Path(self.facts["log_dir"]) / f"{name}.log").read_text(errors="replace")
        return ""

    def logs(self, event=None):
        """The log lines of gateway-0 as dicts, all or those of one `event`."""
        lines = []
        for line in self.log_text().splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return [line for line in lines if event is None or line.get("event") == event]

    def ops(self, path, method="GET"):
        """(status, text) of a request to the ops listener."""
        request = urllib.request.Request(self.ops_url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """The metrics, as {'name{label="value"}': number}."""
        values = {}
        for line in self.ops("/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, _, number = line.rpartition(" ")
                values[name] = float(number)
        return values

    # ---- the view of Redis ----

    def subscribers(self, channel):
        return self.redis.pubsub_numsub(channel)[0][1]

    def wait_idle(self):
        """Waits until no channel is watched.  A channel is watched for three seconds after its last stream, and after the
        gateway has started."""
        wait_until(lambda: self.metrics()["tailgate_channels_watched"] == 0, 8, "no channel is watched")

    def wait_subscribed(self, channel, count=1, timeout=5):
        wait_until(lambda: self.subscribers(channel) == count, timeout, f"{count} subscriber(s) of {channel}")

    def connections(self):
        """The gateway's connections in CLIENT LIST."""
        return [client for client in self.redis.client_list() if client["name"] != "test"]

    def socket_to(self, path):
        link = socket.socket(socket.AF_UNIX)
        link.connect(str(path))
        return link
