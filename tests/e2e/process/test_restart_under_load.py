"""A restart under thousands of streams: every client reconnects, and none loses a line."""

import asyncio
import collections
import contextlib
import itertools
import json
import resource
import time

import pytest
import redis.asyncio

from support import routes, sse
from support.restarts import exit_status
from support.seals import seal
from support.waiting import Deadline


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
