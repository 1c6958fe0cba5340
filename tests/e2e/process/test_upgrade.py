"""Drain, restart and upgrade: the new process serves on the same sockets before the old one exits.

Here the sockets come from `systemd-socket-activate`, or from scripts/keep-sockets, which holds them for
`scripts/stack restart gateway` as systemd's socket units do on a host.
"""

import asyncio
import collections
import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
import redis.asyncio

from support import routes, sse
from support.clients import fetch, open_stream
from support.routes import open_live_stream
from support.seals import seal
from support.stack import DEPLOY
from support.waiting import Deadline, wait_until

SETTLE, DEADLINE = 0.5, 4
DRAIN = {"drain.settle_s": SETTLE, "drain.deadline_s": DEADLINE}
LATE = 1  # seconds that a busy machine and a sanitizer may need to end a process


def dial(address):
    """A connected socket.  `address` is a path or a port of this host."""
    link = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    link.settimeout(10)
    try:
        link.connect(address if isinstance(address, str) else ("127.0.0.1", address))
    except BaseException:
        link.close()
        raise
    return link


class Connection(http.client.HTTPConnection):
    """A connection to a unix socket or a port."""

    def __init__(self, address):
        super().__init__("localhost")
        self.address = address

    def connect(self):
        self.sock = dial(self.address)

    def ask(self, path, headers=None, method="GET"):
        self.request(method, path, headers=headers or {})
        return self.getresponse()


def ask(address, path, headers=None, method="GET"):
    """(status, body)"""
    with contextlib.closing(Connection(address)) as link:
        answer = link.ask(path, headers, method)
        return answer.status, answer.read()


def ask_keeper(stack, **asked):
    facts = json.loads((stack.dir / "stack.json").read_text())
    with dial(facts["keeper_socket"]) as link, link.makefile("rw") as file:
        file.write(json.dumps(asked) + "\n")
        file.flush()
        return json.loads(file.readline())


def exit_status(stack, pid, timeout):
    """Waits for the exit status of a gateway and returns it.  Its parent, scripts/keep-sockets, has read it."""

    def status():
        value = ask_keeper(stack, do="status", pid=pid)["status"]
        return value is not None and (value,)

    return wait_until(status, timeout, f"process {pid} ends")[0]


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


# ---- inherited sockets --------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_sockets_inherited_from_systemd_are_served_and_not_removed(private_stack, job, tmp_path, family):
    stack = private_stack(DRAIN, nginx=False)
    facts = json.loads((stack.dir / "stack.json").read_text())
    entry = facts["processes"]["gateway-0"]
    if family == "unix":
        places = [str(stack.run_dir / f"{name}.activated") for name in ("streams", "auth", "ops")]
    else:
        places = facts["ports"][:3]
    # With these addresses, the gateway could not start if it bound sockets itself.
    env = {
        **entry["env"],
        **{f"TAILGATE_LISTEN_{name}": f"unix:/nonexistent/{name}" for name in ("STREAMS", "AUTH", "OPS")},
    }
    command = ["systemd-socket-activate", "--fdname=streams:auth:ops"]
    for place in places:
        command += ["-l", place if family == "unix" else f"127.0.0.1:{place}"]
    for name in env:
        command += ["-E", name]
    log = tmp_path / "activated.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command + entry["command"], env=env, stderr=out)
    streams, auth, ops = places
    try:

        def first_answer():
            with contextlib.suppress(OSError):
                return ask(ops, "/readyz")

        # The first connection starts the gateway.
        wait_until(lambda: (first_answer() or (0,))[0] == 200, 15, "the gateway is ready")
        assert json.loads(ask(ops, "/readyz")[1])["pid"] == process.pid
        endpoint = routes.Lines(stack, job).create()
        asked = {"X-Tailgate-Uri": endpoint.path, "X-Tailgate-Method": "GET", **endpoint.headers()}
        assert ask(auth, "/auth", asked)[0] == 204
        with contextlib.closing(Connection(streams)) as link:
            answer = link.ask(endpoint.path, seal(stack, "log-stream", job, user="alice", provider="clerk"))
            assert answer.status == 200 and answer.readline() == b"retry: 3000\n"
            endpoint.write_number(1)
            assert any(b"n=1" in answer.readline() for _ in range(10))
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE + LATE) == 0 and time.monotonic() - begin < DEADLINE + LATE
    finally:
        process.kill()
        process.wait()
    assert log.read_text().count('"socket.inherited"') == 3
    if family == "unix":
        assert all(map(os.path.exists, places)), "inherited sockets are not removed"


def test_the_systemd_units_are_valid_and_match_the_configuration(tmp_path):
    names = [path.name for path in DEPLOY.glob("tailgate*.s*") if path.suffix in (".service", ".socket")]
    assert len(names) == 4
    for name in names:
        shutil.copy(DEPLOY / name, tmp_path)
    # An upgrade runs the new version as tailgate-next.service on the same sockets.
    shutil.copy(tmp_path / "tailgate.service", tmp_path / "tailgate-next.service")
    for service in tmp_path.glob("*.service"):
        service.write_text(service.read_text().replace("/usr/local/bin/tailgate", "/bin/true"))

    def verify():
        command = ["systemd-analyze", "verify", *sorted(tmp_path.glob("tailgate*"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert verify() == (0, "")
    # The units name the sockets as the listeners are named, and have the addresses of the configuration.
    units = {name: (tmp_path / name).read_text() for name in names if name.endswith(".socket")}
    reference = (DEPLOY / "reference.toml").read_text()
    for name, text in units.items():
        listener = re.search(r"(?m)^FileDescriptorName=(.*)$", text).group(1)
        place = re.search(r"(?m)^ListenStream=(.*)$", text).group(1)
        assert name == f"tailgate-{listener}.socket"
        assert re.search(rf'(?m)^{listener}\s*= "(unix:)?{re.escape(place)}"$', reference), (listener, place)
        assert name in re.search(r"(?m)^Sockets=(.*)$", (DEPLOY / "tailgate.service").read_text()).group(1).split()
    with open(tmp_path / "tailgate-ops.socket", "a") as file:
        file.write("[Socket]\nFileDescriptorNames=a:b:c\n")
    assert "FileDescriptorNames" in verify()[1], "systemd-analyze finds an unknown setting"


# ---- scripts/stack restart gateway ----------------------------------------------------------------------


def test_a_restart_starts_new_gateways_while_the_old_ones_drain(private_stack, job):
    stack = private_stack(DRAIN, instances=2)
    old = stack.facts["pids"]["gateways"]
    files = [os.stat(path) for path in stack.facts["gateway_sockets"] + stack.facts["auth_sockets"]]
    held = open_live_stream(routes.Lines(stack, job).create())
    stack.restart()
    new = stack.facts["pids"]["gateways"]
    assert len(new) == 2 and not set(old) & set(new)
    assert held.ended is None and any(map(alive, old)), "an open stream is not cut"
    for url, pid in zip(stack.facts["ops_urls"], new):
        port = int(url.rpartition(":")[2])
        for _ in range(20):
            status, body = ask(port, "/readyz")
            assert status == 200 and json.loads(body)["pid"] == pid, "the old gateway gets no new connections"
    assert held.wait_closed(DEADLINE + LATE)
    assert [exit_status(stack, pid, DEADLINE + LATE) for pid in old] == [0, 0]
    now = [os.stat(path) for path in stack.facts["gateway_sockets"] + stack.facts["auth_sockets"]]
    assert [(file.st_dev, file.st_ino) for file in now] == [(file.st_dev, file.st_ino) for file in files]
    stack.restart(wait=True)
    assert not any(map(alive, new))


def test_the_old_gateway_keeps_serving_if_the_new_one_does_not_start(private_stack, tmp_path, job):
    config = tmp_path / "site.toml"
    config.write_text((DEPLOY / "all-three.toml").read_text())
    stack = private_stack(config=config)
    pid = stack.gateway_pid
    held = open_live_stream(routes.Lines(stack, job).create())
    config.write_text(config.read_text() + "\n[nonsense]\nkey = 1\n")
    with pytest.raises(AssertionError, match="nonsense"):
        stack.restart()
    assert json.loads(stack.ops("/readyz")[1]) == {**json.loads(stack.ops("/readyz")[1]), "pid": pid, "status": "ready"}
    config.write_text((DEPLOY / "all-three.toml").read_text())
    assert held.pump(0.1).ended is None
    stack.restart()
    assert stack.gateway_pid != pid


def test_stack_down_leaves_no_process_or_socket_after_kills(private_stack):
    stack = private_stack(DRAIN, instances=2)
    keeper = json.loads((stack.dir / "stack.json").read_text())["processes"]["keeper"]["pid"]
    pids = [keeper, *stack.facts["pids"]["gateways"]]
    os.kill(pids[1], signal.SIGKILL)
    stack.restart()
    pids += stack.facts["pids"]["gateways"]
    os.kill(keeper, signal.SIGKILL)
    assert fetch(stack, "/readyz").status == 200, "gateways serve without the keeper"
    stack.restart()
    stack.restart(kill=True)
    stack.restart()
    facts = json.loads((stack.dir / "stack.json").read_text())
    pids += [facts["processes"]["keeper"]["pid"], *stack.facts["pids"]["gateways"]]
    run_dir = stack.run_dir
    stack.down()
    wait_until(lambda: not any(map(alive, pids)), 3, "all processes have ended")
    assert not run_dir.exists() and not stack.dir.exists()


# ---- shutdown by ECS and by systemd -----------------------------------------------------------------------


def test_an_ecs_shutdown_drains_before_sigterm_and_exits_before_the_deadline(private_stack, job):
    # In a container no other gateway has the same sockets.
    stack = private_stack({"drain.settle_s": 1, "drain.deadline_s": 5}, own_sockets=True)
    pid = stack.gateway_pid
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint) for endpoint in endpoints for _ in range(4)]
    begin = time.monotonic()
    # The load balancer deregisters the task.
    assert stack.ops("/drain", "POST")[0] == 202
    assert stack.ops("/readyz")[0] == 503
    late = open_stream(stack, endpoints[1].path, headers=endpoints[1].headers())
    assert late.next_event().json()["job_id"] == endpoints[1].job, "it serves while it settles"
    # After the settling, new streams are refused, and open ones end one after the other.
    wait_until(
        lambda: fetch(stack, endpoints[1].path, headers=endpoints[1].headers()).status == 503,
        4,
        "new streams are refused",
    )
    assert time.monotonic() - begin > 0.9

    def drained():
        return [line for line in stack.logs("stream.closed") if line["why"] == "drained"]

    wait_until(drained, 5, "the first stream has ended")
    # A SIGTERM after POST /drain counts as the first signal, so the gateway does not exit at once.
    os.kill(pid, signal.SIGTERM)
    for stream in streams:
        stream.wait_closed(6)
    assert {stream.ended for stream in streams} == {"clean"}
    times = [datetime.fromisoformat(line["time"]) for line in drained()]
    assert (max(times) - min(times)).total_seconds() > 0.8, "the ends are spread over time"
    assert all(1000 <= stream.retry <= 15000 for stream in streams)
    assert len({stream.retry for stream in streams}) > len(streams) / 2, "jittered"
    wait_until(
        lambda: not alive(pid) or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(), 3, "the gateway exits"
    )
    assert time.monotonic() - begin < 5 + LATE
    assert stack.logs("stopped")[-1]["streams_cut"] == 0 and not stack.logs("stop.now")


def test_a_systemd_stop_drains_and_a_second_sigterm_exits_at_once(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.3, "drain.deadline_s": 3})
    pid = stack.gateway_pid
    stream = open_live_stream(routes.Events(stack, job).create())
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    assert stream.wait_closed(4) and 1000 <= stream.retry <= 15000
    assert exit_status(stack, pid, 4) == 0
    assert time.monotonic() - begin < 3 + LATE
    # systemd starts the next gateway after the old one has exited.
    stack.restart()
    pid = stack.gateway_pid
    cut = open_live_stream(routes.Lines(stack, job).create())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: len(stack.logs("drain.begun")) == 2, 2, "the gateway drains")
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    assert exit_status(stack, pid, 2) == 0
    assert time.monotonic() - begin < 1
    assert cut.wait_closed() is False, "a client must be able to distinguish a cut from the end"
    assert stack.logs("stop.now")


# ---- requests during a restart --------------------------------------------------------------------------


class Asker(threading.Thread):
    """Sends the same request again and again, each time on a new connection, or, if `kept`, on one connection for as
    long as the server keeps it."""

    def __init__(self, kind, address, path, headers, *, kept, wanted=b""):
        super().__init__()
        self.kind, self.address, self.path, self.headers, self.kept = kind, address, path, headers, kept
        self.wanted = wanted  # a text that a good answer must contain
        self.counts, self.failures = collections.Counter(), []
        self.moved = 0  # the number of answers with "Connection: close"
        self.stop = threading.Event()
        self.pids = set()

    def run(self):
        link = None
        while not self.stop.wait(0.002):
            try:
                link = link or Connection(self.address)
                answer = link.ask(self.path, self.headers)
                # A stream does not end, so read only until the wanted text.
                if answer.headers.get_content_type() == "text/event-stream":
                    body = b""
                    while self.wanted not in body and b"unavailable" not in body:
                        line = answer.readline()
                        assert line, f"the stream ended: {body!r}"
                        body += line
                else:
                    body = answer.read()
                good = answer.status in (200, 204) and self.wanted in body
                # /readyz may answer "starting" while the new process has not reached Redis, or "draining" if the old
                # process accepted the connection before SIGTERM.
                not_ready = self.kind == "readyz" and (b'"starting"' in body or b'"draining"' in body)
                self.counts["not ready" if not_ready else answer.status if good else f"bad {answer.status}"] += 1
                if not good and not not_ready:
                    self.failures.append((answer.status, body[:200]))
                self.moved += self.kept and answer.headers.get("connection") == "close"
                if self.kind == "readyz":
                    self.pids.add(json.loads(body)["pid"])
                if not self.kept or answer.will_close:
                    link.close()
                    link = None
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.counts["failed"] += 1
                self.failures.append(repr(error))
                if link:
                    link.close()
                link = None
        if link:
            link.close()


def test_no_request_is_refused_while_the_gateway_restarts(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.5, "drain.deadline_s": 3})
    endpoint = routes.Lines(stack, job).create()
    endpoint.write_number(1)
    # Open streams, so that the old process drains until its deadline.
    held = [open_live_stream(routes.Lines(stack, f"{job}-{n}").create()) for n in range(10)]
    page, tail = f"/api/jobs/{job}/logs", f"{endpoint.path}?last_event_id=0-0"
    bearer, plain, direct = endpoint.headers(), stack.facts["nginx_port_plain"], stack.gateway_socket
    page_seal = seal(stack, "log-pages", job, user="alice", provider="clerk")
    tail_seal = seal(stack, "log-stream", job, user="alice", provider="clerk")
    question = {"X-Tailgate-Uri": page, "X-Tailgate-Method": "GET", **bearer}
    first_line = b'"text":"n=1"'
    ops = int(stack.ops_url.rpartition(":")[2])
    askers = [
        Asker("pages through nginx, kept", plain, page, bearer, kept=True, wanted=first_line),
        Asker("pages through nginx", plain, page, bearer, kept=False, wanted=first_line),
        Asker("streams through nginx", plain, tail, bearer, kept=False, wanted=first_line),
        Asker("pages, kept", direct, page, page_seal, kept=True, wanted=first_line),
        Asker("pages", direct, page, page_seal, kept=False, wanted=first_line),
        Asker("streams", direct, tail, tail_seal, kept=False, wanted=first_line),
        Asker("auth, kept", stack.auth_socket, "/auth", question, kept=True),
        Asker("auth", stack.auth_socket, "/auth", question, kept=False),
        Asker("readyz", ops, "/readyz", {}, kept=False, wanted=b'"ready"'),
    ]
    pids = {stack.gateway_pid}
    for asker in askers:
        asker.start()
    try:
        for _ in range(3):
            before = [sum(asker.counts.values()) for asker in askers]
            stack.restart(wait=True)
            pids.add(stack.gateway_pid)
            wait_until(
                lambda before=before: all(
                    sum(asker.counts.values()) > count + 20 for asker, count in zip(askers, before)
                ),
                20,
                "each asker has got 20 more answers",
            )
    finally:
        for asker in askers:
            asker.stop.set()
        for asker in askers:
            asker.join()
    for asker in askers:
        print(f"{asker.kind}: {dict(asker.counts)}, moved {asker.moved}")
    assert {asker.kind: asker.failures for asker in askers if asker.failures} == {}
    for asker in askers:
        if asker.kept and "nginx" not in asker.kind:
            assert asker.moved >= 3, f"{asker.kind}: a kept-alive connection is closed at each restart"
    assert askers[-1].counts["not ready"] < askers[-1].counts[200] / 20
    assert {asker.kind: asker.pids for asker in askers if asker.pids} == {"readyz": pids}
    assert {stream.wait_closed(1) for stream in held} == {True}


# ---- a restart under thousands of streams -------------------------------------------------------------


class Tab(asyncio.Protocol):
    """A client like an EventSource: it reconnects with its last id after the time in `retry:`."""

    def __init__(self, crowd, path, headers, line=None):
        self.crowd, self.path, self.headers, self.line = crowd, path, headers, line
        self.parser = sse.Parser()
        self.numbers, self.last_id, self.broadcasts = [], "0-0" if line else "", []
        self.visits = 0
        self.troubles = []
        self.left_at = None
        self.back_after = []  # for each reconnect: (time in `retry:` in ms or None, seconds that it took)

    def connect(self):
        self.buffer, self.status, self.clean, self.named_retry = bytearray(), None, False, None
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        lines = [f"GET {self.path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in self.headers.items())]
        if self.last_id:
            lines.append(f"Last-Event-ID: {self.last_id}")
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, raw):
        self.buffer += raw
        if self.status is None:
            head, mark, rest = bytes(self.buffer).partition(b"\r\n\r\n")
            if not mark:
                return
            self.status, self.buffer = int(head.split(b" ", 2)[1]), bytearray(rest)
            self.visits += self.status == 200
            if not self.opened.done():
                self.opened.set_result(self.status)
        while True:
            line, mark, rest = self.buffer.partition(b"\r\n")
            if not mark:
                return
            size = int(line, 16)
            if size == 0:
                self.clean = True
                self.transport.close()
                return
            if len(rest) < size + 2:
                return
            self.take(bytes(rest[:size]))
            self.buffer = rest[size + 2 :]

    def take(self, raw):
        self.parser.retry = None
        for event in self.parser.feed(raw):
            if event.name == "log":
                self.numbers.append(int(json.loads(event.data)["text"].removeprefix("n=")))
                self.last_id = event.last_id
            elif event.name in ("message", "spool_update"):
                self.broadcasts.append(json.loads(event.data)["n"])
            elif event.name not in ("heartbeat",):
                self.troubles.append(event)
        self.named_retry = self.parser.retry or self.named_retry

    def connection_lost(self, _error):
        if not self.opened.done():
            self.opened.set_result(None)
        if not self.crowd.over:
            self.crowd.tasks.add(asyncio.ensure_future(self.reconnect()))

    async def reconnect(self):
        begin = time.monotonic()
        if not self.clean:
            self.troubles.append("cut")
        await asyncio.sleep((self.named_retry or 3000) / 1000)
        retry = self.named_retry
        if await self.crowd.open(self) != 200:
            self.troubles.append(f"reconnect answered with {self.status}")
        self.back_after.append((retry, time.monotonic() - begin))


class Crowd:
    def __init__(self, stack, direct):
        self.stack, self.direct = stack, direct
        self.tabs, self.tasks, self.over = [], set(), False
        self.at_once = asyncio.Semaphore(100)

    def add(self, endpoint, provider="clerk"):
        headers = endpoint.headers()
        if self.direct and headers:
            headers = seal(self.stack, endpoint.route, endpoint.job, user="alice", provider=provider)
        self.tabs.append(Tab(self, endpoint.path, headers, line=endpoint.route == "log-stream"))

    async def open(self, tab):
        loop = asyncio.get_running_loop()
        async with self.at_once:
            tab.connect()
            try:
                if self.direct:
                    await loop.create_unix_connection(lambda: tab, self.stack.gateway_socket)
                else:
                    await loop.create_connection(lambda: tab, "127.0.0.1", self.stack.facts["nginx_port_plain"])
            except OSError as error:
                tab.troubles.append(repr(error))
                return None
            return await tab.opened

    async def all(self, done, timeout, what):
        deadline = Deadline(timeout)
        while not all(map(done, self.tabs)):
            assert (
                not deadline.over()
            ), f"not within {timeout} s: {what}: {sum(not done(tab) for tab in self.tabs)} tabs"
            await asyncio.sleep(0.1)


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 20_000), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.parametrize("count, direct", [(5000, True), (500, False)])
def test_a_restart_under_thousands_of_streams_loses_no_line_and_every_client_reconnects(
    private_stack, many_files, count, direct
):
    deadline_s = 12
    stack = private_stack({"drain.settle_s": 1, "drain.deadline_s": deadline_s, "redis.wait_s": 3})
    old = stack.gateway_pid
    logs = [routes.Lines(stack, f"log-{n}").create() for n in range(20)]
    jobs = [routes.Events(stack, f"job-{n}").create() for n in range(20)]
    spools = routes.Updates(stack, "")
    written = itertools.count()

    async def run():
        crowd = Crowd(stack, direct)
        for number in range(count):
            # Of ten clients, five open the broadcast, three a log, and two a job.
            place = number % 10
            crowd.add(spools if place < 5 else logs[number // 10 % 20] if place < 8 else jobs[number // 10 % 20])
        link = redis.asyncio.Redis(unix_socket_path=stack.facts["redis_socket"], client_name="test")

        async def write_to_all(number):
            for endpoint in (*logs, *jobs, spools):
                await endpoint.write_number(number, link)

        async def write():
            while not stop.is_set():
                await write_to_all(next(written))
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1)

        stop = asyncio.Event()
        begin = time.monotonic()
        assert set(await asyncio.gather(*map(crowd.open, crowd.tabs))) == {200}
        opened = time.monotonic() - begin
        writer = asyncio.ensure_future(write())
        await crowd.all(lambda tab: tab.numbers or tab.broadcasts, 20, "all clients have received an event")
        begin = time.monotonic()
        await asyncio.to_thread(stack.restart)
        # The last stream ends at the deadline, and its `retry:` is at most 15 s.
        await crowd.all(lambda tab: tab.back_after, deadline_s + 15 + 10, "all clients have reconnected")
        took = time.monotonic() - begin
        stop.set()
        await writer
        last = next(written)
        total = last + 1
        await write_to_all(last)
        await crowd.all(lambda tab: (tab.numbers or tab.broadcasts)[-1:] == [last], 20, "the last event has arrived")
        assert await asyncio.to_thread(exit_status, stack, old, 5) == 0
        metrics = await asyncio.to_thread(stack.metrics)
        crowd.over = True
        for tab in crowd.tabs:
            tab.transport.abort()
        await asyncio.gather(*crowd.tasks)
        await link.close()
        await link.connection_pool.disconnect()
        return crowd, opened, took, total, metrics

    crowd, opened, took, total, metrics = asyncio.run(asyncio.wait_for(run(), 120))
    tabs = crowd.tabs
    viewers = [tab for tab in tabs if tab.line]
    retries = [back[0] for tab in tabs for back in tab.back_after]
    late = [back[1] - back[0] / 1000 for tab in tabs for back in tab.back_after if back[0]]
    exact = sum(tab.numbers == list(range(total)) for tab in viewers)
    print(
        f"{count} streams opened in {opened:.1f} s, all reconnected {took:.1f} s after the restart began; "
        f"retry {min(filter(None, retries))} to {max(filter(None, retries))} ms, {len(set(retries))} of them different; "
        f"reconnected at most {max(late):.2f} s after that time; {exact} of {len(viewers)} log viewers have "
        f"each of {total} lines once; troubles {collections.Counter(str(t) for tab in tabs for t in tab.troubles)}"
    )
    assert [trouble for tab in tabs for trouble in tab.troubles] == []
    assert {tab.visits for tab in tabs} == {2}, "each client reconnected once"
    assert all(retry is not None and 1000 <= retry <= 15000 for retry in retries) and len(set(retries)) > count / 5
    assert max(late) < 3
    assert exact == len(viewers)
    for tab in tabs:
        assert tab.broadcasts == sorted(set(tab.broadcasts)), "each event once and in order"
    assert metrics["tailgate_streams"] == count
