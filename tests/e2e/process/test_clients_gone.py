"""Clients that disconnect, lose their network or do not read are released and do not delay others."""

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from support import routes
from support.clients import open_stream, sealed, send
from support.publishers import Builder
from support.stack import DEPLOY, default_binary
from support.waiting import wait_until

CLONE_NEWNET = 0x40000000  # sched.h
# The sanitizer keeps freed memory in its quarantine, which would count as memory of the gateway.
SMALL_QUARANTINE = {"ASAN_OPTIONS": "quarantine_size_mb=1"}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def served(stack):
    """The number of open streams, openings and requests that wait."""
    return stack.metrics()["tailgate_streams"]


def channels(stack):
    return set(stack.redis.pubsub_channels("job*"))


def abort(stream):
    """Resets an HTTP/2 stream and keeps the connection, like a browser."""
    link = stream._link
    link._h2.reset_stream(link._stream)
    link._flush()


def disconnect(stream, way):
    if way == "abort":
        abort(stream)
    else:
        getattr(stream, way)()


def connect(endpoint, via, http="1.1"):
    headers = endpoint.headers()
    if via == "gateway":
        headers = sealed(endpoint.stack, endpoint.path, headers)
    return send(endpoint.stack, endpoint.path, headers=headers, via=via, http=http)


WAYS = [
    ("gateway", "1.1", "close"), ("gateway", "1.1", "reset"), ("gateway", "1.1", "half_close"),
    ("plain", "1.1", "close"), ("plain", "1.1", "reset"), ("plain", "1.1", "half_close"),
    ("tls", "1.1", "close"), ("tls", "1.1", "reset"),
    ("tls", "2", "close"), ("tls", "2", "reset"), ("tls", "2", "abort"),
]  # fmt: skip


# ---- disconnecting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("via, http, way", WAYS)
def test_a_client_that_disconnects_while_its_record_is_awaited_is_released_at_once(stack_with, job, via, http, way):
    stack = stack_with({"route.job.record_grace_ms": 2500})
    endpoint = routes.Progress(stack, job)  # without a record
    wait_until(lambda: served(stack) == 0, 10, "earlier tests' streams are gone")
    stream = connect(endpoint, via, http)
    wait_until(lambda: endpoint.channel in channels(stack), 5, "its channel is subscribed")
    assert served(stack) == 1
    disconnect(stream, way)
    # This is sooner than the gateway would stop looking for the record.
    wait_until(lambda: served(stack) == 0, 1.2, "the opening is released")
    wait_until(lambda: endpoint.channel not in channels(stack), 6, "its channel is unsubscribed")


def test_a_client_that_pipelines_requests_and_disconnects_is_released_at_once(stack_with, job):
    stack = stack_with({"route.job.record_grace_ms": 2500})
    wait_until(lambda: served(stack) == 0, 10, "earlier tests' streams are gone")
    stream = connect(routes.Progress(stack, job), "gateway")
    wait_until(lambda: served(stack) == 1, 5, "the opening has begun")
    stream.socket.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    stream.close()
    wait_until(lambda: served(stack) == 0, 1.2, "the opening is released")


def test_no_stream_channel_or_descriptor_is_left_after_many_clients_disconnect(private_stack, job):
    stack = private_stack()
    pid = stack.gateway_pid
    warm = [connect(kind(stack, f"{job}-warm-{kind.route}").create(), "plain").wait_head() for kind in routes.ALL]
    for stream in warm:
        stream.close()
    wait_until(lambda: served(stack) == 0 and not channels(stack), 10, "the first streams are released")
    before, rounds = descriptors(pid), 3
    for number in range(rounds):
        crowd = []
        for kind in routes.ALL:
            endpoint = kind(stack, f"{job}-{number}-{kind.route}").create()
            crowd += [(connect(endpoint, via, http), way) for via, http, way in WAYS for _ in range(2)]
        for stream, _ in crowd:
            assert stream.wait_head().status == 200
        assert served(stack) == len(crowd) and channels(stack)
        begun = time.monotonic()
        for stream, way in crowd:
            disconnect(stream, way)
        wait_until(lambda: served(stack) == 0, 2, "all streams are released")
        wait_until(lambda: not channels(stack), 6, "all channels are unsubscribed")
        assert time.monotonic() - begun < 6
    metrics = stack.metrics()
    assert all(number == 0 for name, number in metrics.items() if name.startswith("tailgate_streams_open{"))
    # nginx keeps idle connections to the gateway, at most 64 for each worker and upstream.  Its restart closes them.
    stack.restart("nginx")
    wait_until(lambda: descriptors(pid) <= before, 5, "all descriptors are released")


# ---- a lost network -----------------------------------------------------------------------------------


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def in_namespace(host):
    """Sockets that are opened and processes that are started in this context belong to the host's network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{host}", "rb") as away:
        assert libc.setns(away.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert libc.setns(home.fileno(), CLONE_NEWNET) == 0


class Cable:
    """Two network namespaces as hosts, and a virtual cable between them.  `pull` cuts it."""

    def __init__(self):
        number = os.getpid() % 16384
        self.server, self.client = f"tg{number}s", f"tg{number}c"
        ends = {self.server: f"tgs{number}", self.client: f"tgc{number}"}
        base = number * 4
        self.address, far = (f"10.213.{base >> 8}.{(base & 255) + host}" for host in (1, 2))
        self._far_end = ends[self.client]
        try:
            for host in ends:
                run("ip", "netns", "add", host)
                run("ip", "-n", host, "link", "set", "lo", "up")
            run("ip", "-n", self.server, "link", "add", ends[self.server], "type", "veth",
                "peer", "name", self._far_end, "netns", self.client)  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            self.remove()
            pytest.skip(f"not here: no network namespace can be made (it takes CAP_SYS_ADMIN): {error}")
        for host, address in ((self.server, self.address), (self.client, far)):
            run("ip", "-n", host, "addr", "add", f"{address}/30", "dev", ends[host])
            run("ip", "-n", host, "link", "set", ends[host], "up")

    def dial(self, port):
        """A connection from the client's host to the server's host."""
        with in_namespace(self.client):
            link = socket.socket(socket.AF_INET)
        link.settimeout(5)
        link.connect((self.address, port))
        return link

    def pull(self):
        run("ip", "-n", self.client, "link", "set", self._far_end, "down")

    def remove(self):
        for host in (self.server, self.client):
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


@pytest.fixture
def cable():
    made = Cable()
    yield made
    made.remove()


class TcpGateway:
    """A gateway that clients reach by TCP without nginx.  It serves deploy/spools.toml from the stack's Redis."""

    def __init__(self, stack, directory, host, settings):
        self.log = directory / "gateway.log"
        self.port, self.ops_port = free_ports(2)
        listen = {
            "streams": f"{host}:{self.port}",
            "auth": f"unix:{directory}/auth",
            "ops": f"127.0.0.1:{self.ops_port}",
        }
        words = (
            {f"listen.{name}": place for name, place in listen.items()}
            | {"identity.key_file": directory / "key"}
            | settings
        )
        command = [str(default_binary()), "--config", str(DEPLOY / "spools.toml")]
        for name, value in words.items():
            command += ["--set", f"{name}={value}"]
        env = {**os.environ, "REDIS_URL": "unix:" + stack.facts["redis_socket"]}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log)
        wait_until(lambda: self.ready(), 10, "the gateway is ready")

    def ops(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops_port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def ready(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError):
            return "ready" in self.ops("/readyz")
        return False

    def served(self):
        return int(re.search(r"^tailgate_streams (\d+)", self.ops("/metrics"), re.MULTILINE)[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 0, self.log.read_text()
        assert "Sanitizer" not in self.log.read_text()


def free_ports(count):
    ports = []
    for port in range(2000 + os.getpid() % 5000, 10000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no port is free")


@pytest.fixture
def tcp_gateway(stack, tmp_path):
    started = []

    def start(host="127.0.0.1", **settings):
        started.append(TcpGateway(stack, tmp_path, host, settings))
        return started[-1]

    yield start
    for gateway in started:
        gateway.end()


OPEN = b"GET /api/sse/stream HTTP/1.1\r\nHost: x\r\n\r\n"


def open_spools(link):
    link.sendall(OPEN)
    assert link.recv(65536).startswith(b"HTTP/1.1 200 ")
    return link


def test_a_client_whose_network_is_lost_is_released(cable, tcp_gateway):
    quick = {"route.spools.send_timeout_s": 2, "route.spools.heartbeat.every_s": 0.5}
    with in_namespace(cable.server):
        gateway = tcp_gateway(cable.address, **quick)
        alone = descriptors(gateway.process.pid)
        links = [open_spools(cable.dial(gateway.port)) for _ in range(5)]
        with socket.create_connection((cable.address, gateway.port), timeout=5) as near:
            open_spools(near)
            assert gateway.served() == 6
            cable.pull()
            begun = time.monotonic()
            wait_until(lambda: gateway.served() == 1, 20, "only the other stream is left")
            print(f"found after {time.monotonic() - begun:.1f} s")
            wait_until(lambda: descriptors(gateway.process.pid) <= alone + 1, 5, "their descriptors are released")
    for link in links:
        link.close()


def test_a_client_behind_nginx_whose_network_is_lost_is_released_after_tcp_retries2(cable, private_stack):
    run("ip", "netns", "exec", cable.server, "sysctl", "-qw", "net.ipv4.tcp_retries2=3")
    with in_namespace(cable.server):
        stack = private_stack(
            {"route.spools.heartbeat.every_s": 0.5}, nginx_settings={"TG_LISTEN_PLAIN": "0.0.0.0:8080"}
        )
        links = [open_spools(cable.dial(8080)) for _ in range(5)]
        near = open_stream(stack, "/api/sse/stream")
        assert served(stack) == 6
        cable.pull()
        begun = time.monotonic()
        wait_until(lambda: served(stack) == 1, 60, "only the other stream is left")
        print(f"found after {time.monotonic() - begun:.1f} s with tcp_retries2=3")
        assert near.ended is None
    for link in links:
        link.close()


def send_queues(port):
    """The sizes of the send queues of the gateway's connections in bytes, from /proc/net/tcp."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "01":
            found.append(int(fields[4].partition(":")[0], 16))
    return found


# ---- clients that do not read -------------------------------------------------------------------------


def test_the_kernel_queues_little_for_a_client_that_does_not_read(stack, tcp_gateway):
    gateway = tcp_gateway()
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.settimeout(5)
        link.connect(("127.0.0.1", gateway.port))
        link.sendall(OPEN)
        assert link.recv(100).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: stack.subscribers("spools:updates") >= 1, 5, "the subscription")
        payload = json.dumps({"event_type": "TOMAR", "text": "x" * 16_000})
        for _ in range(100):
            stack.redis.publish("spools:updates", payload)

        def delivered():
            return int(re.search(r"(?m)^tailgate_messages_received_total (\d+)", gateway.ops("/metrics"))[1])

        wait_until(lambda: delivered() >= 100, 10, "the gateway has received all messages")
        queued = max(send_queues(gateway.port))
        print(f"the kernel holds {queued} bytes of 1,600,000")
        assert 0 < queued < 300_000
        assert gateway.served() == 1


def latencies(stack, reader, endpoint, count=150):
    taken = []
    for number in range(count):
        begun = time.monotonic()
        endpoint.write_number(number)
        reader.events_until(lambda event, number=number: endpoint.number_in(event) == number)
        taken.append(time.monotonic() - begun)
    return taken


def test_a_hundred_clients_that_never_read_do_not_delay_another_client(private_stack, job):
    stack = private_stack(nginx=False)
    endpoint = routes.Updates(stack, job)
    reader = open_stream(stack, endpoint.path, via="gateway")
    wait_until(lambda: stack.subscribers(endpoint.channel) == 1, 5, "the subscription")
    alone = latencies(stack, reader, endpoint)
    never = [open_stream(stack, endpoint.path, via="gateway", receive_buffer=4096) for _ in range(100)]
    # Publish until their sockets are full and each stream has a backlog.
    payload = json.dumps({"event_type": "TOMAR", "n": 1, "text": "x" * 10_000})
    for _ in range(40):
        stack.redis.publish(endpoint.channel, payload)
    endpoint.write_number(-1)
    reader.events_until(lambda event: endpoint.number_in(event) == -1)
    among = latencies(stack, reader, endpoint)
    assert served(stack) == 101 and all(stream.ended is None for stream in never)
    ratio = statistics.median(among) / statistics.median(alone)
    print(
        f"median {statistics.median(alone) * 1e3:.2f} ms alone, {statistics.median(among) * 1e3:.2f} ms among them: {ratio:.2f}"
    )
    assert ratio < 3 or statistics.median(among) < 0.01


def test_a_hundred_log_clients_that_never_read_cost_little_memory(private_stack, job):
    stack = private_stack({"route.log-stream.backlog_bytes": 65536}, nginx=False, env=SMALL_QUARANTINE)
    endpoint = routes.Lines(stack, job).create()
    headers = sealed(stack, endpoint.path, endpoint.headers())
    reader = open_stream(stack, endpoint.path, headers=headers, via="gateway")
    for _ in range(2):
        endpoint.worker.log_many(2000, "y" * 1000)
    reader.events_until(lambda event: "1999" in event.data, timeout=20)
    begun = resident(stack.gateway_pid)
    never = [open_stream(stack, endpoint.path, headers=headers, via="gateway", receive_buffer=4096) for _ in range(100)]
    for _ in range(5):
        endpoint.worker.log_many(2000, "x" * 1000)
    # 10 MB for each client, so 1 GB if the gateway kept it.
    for _ in range(5):
        reader.events_until(lambda event: "x 1999" in event.data, timeout=60)
    grown = resident(stack.gateway_pid) - begun
    print(f"grown by {grown / 1e6:.1f} MB with 100 viewers that never read 10 MB")
    assert grown < 100 * (65536 + 65536) + 40_000_000
    assert served(stack) == 101
    assert all(stream.ended is None for stream in never)


# ---- the timeout of nginx -----------------------------------------------------------------------------


def test_the_send_timeout_of_nginx_is_longer_than_that_of_the_gateway(stack):
    text = (Path(stack.facts["nginx_dir"]) / "server.conf").read_text()
    found = dict(re.findall(r'set \$tg_route +"([^"]+)";.*?send_timeout (\d+)s;', text, re.DOTALL))
    assert {name: int(seconds) for name, seconds in found.items()} == {
        "events": 90, "status": 90, "log-stream": 660, "log-pages": 90, "spools": 90, "job": 90,
    }  # fmt: skip


def test_a_stalled_client_behind_nginx_is_closed_after_the_send_timeout_of_the_gateway(stack_with, job):
    stack = stack_with({"route.log-stream.send_timeout_s": 2})
    worker = Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/logs/stream"
    stalled = open_stream(stack, path, headers=stack.bearer(), via="plain", receive_buffer=4096)
    reader = open_stream(stack, path, headers=stack.bearer())
    worker.log_many(4000, "x" * 1000)
    reader.events_until(lambda event: "3999" in event.data, timeout=30)
    closed = wait_until(
        lambda: [line for line in stack.logs("stream.closed") if line["why"] == "stalled"],
        20,
        "the stalled stream is closed",
    )
    assert closed[0]["route"] == "log-stream"
    assert stalled.wait_closed(timeout=30) is False
