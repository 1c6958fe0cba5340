"""Hundreds of openings at random moments: no event is missed, and many streams share few Redis connections."""

import asyncio
import contextlib
import json
import random
import resource
import time

import pytest
import redis.asyncio

from support import routes, sse
from support.waiting import wait_until

ATTEMPTS = 1000
AT_ONCE = 40
ENDED_WITHIN = 2.5  # seconds after the end of the job: the promised two, and a little for a busy machine


@pytest.fixture(autouse=True)
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))


class Viewer:
    """A client of one stream over plain HTTP/1.1.  Many of them run in one event loop."""

    def __init__(self, stack, path, headers):
        self.port = stack.facts["nginx_port_plain"]
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
        self.request = "\r\n".join([*lines, "", ""]).encode()
        self.events = []
        self.retry = asyncio.Event()
        self.status = None
        self.clean = False
        self._parser = sse.Parser()

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(self.request)

    async def read_head(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.status = int(head.split(b" ", 2)[1])

    async def read_some(self):
        """Reads one chunk.  False at the end of the stream."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        part = await self.reader.readexactly(size + 2)
        self.events += self._parser.feed(part[:-2])
        self.clean = size == 0
        return size > 0

    async def read_to_end(self):
        while await self.read_some():
            pass

    async def read_until(self, done):
        while not done(self.events):
            assert await self.read_some(), f"the stream ended with {self.events[-2:]}"

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


# ---- a job that ends while its stream is being opened -------------------------------------------------


class Attempt:
    """One job that publishes some messages and ends, and one viewer that opens its stream at the same time."""

    def __init__(self, stack, job, dice):
        self.kind = dice.choice(routes.WITH_RECORD)
        self.endpoint = self.kind(stack, job)
        self.stack, self.dice = stack, dice
        self.silent = dice.random() < 0.2  # only the record has the end, and no message announces it
        # Jobs without messages end at the intended time even on a slow machine.
        self.messages = dice.choice([0, dice.randrange(25), dice.randrange(25)])
        self.pause = dice.choice([0, 0.0005, 0.001, 0.002])
        # The intended time from the request to the end of the job.  An opening takes about ten milliseconds.
        ends_after = dice.uniform(-0.030, 0.060)
        self.head_start = ends_after - self.messages * (self.pause + 0.001)
        self.heard = []  # the numbers of the messages that Redis delivered to a subscriber
        self.written = 0  # the number of messages or log lines
        self.ended_at = None
        self.ended_in_opening = None

    async def work(self, link):
        endpoint = self.endpoint
        for number in range(self.messages):
            if self.kind is routes.Lines:
                await link.xadd(endpoint.worker.log_key, {"text": f"n={number}"})
            else:
                if self.kind is routes.Progress:
                    message = {"event": "step-change", "data": {"n": number}}
                else:
                    message = {"type": "snapshot.updated", "n": number}
                if await link.publish(endpoint.channel, json.dumps(message)):
                    self.heard.append(number)
            self.written += 1
            await asyncio.sleep(self.pause)
        if self.kind is routes.Progress:
            await link.hset(endpoint.record_key, mapping={"status": "succeeded", "result": '{"ok":1}'})
            last = json.dumps({"event": "complete", "data": {"result": {"ok": 1}}})
        else:
            await link.hset(endpoint.record_key, mapping={"status": "ready", "status_message": "Done"})
            last = json.dumps({"type": "build.stage.started", "job_id": endpoint.job, "status": "ready", "n": None})
        self.ended_at = time.monotonic()
        if not self.silent and self.kind is not routes.Lines:
            await link.publish(endpoint.channel, last)

    async def run(self, link, headers):
        viewer = Viewer(self.stack, self.endpoint.path, headers[self.kind])

        async def work():
            await asyncio.sleep(max(0, self.head_start))
            await self.work(link)

        worker = asyncio.ensure_future(work())
        try:
            await asyncio.sleep(max(0, -self.head_start))
            await viewer.open()
            await asyncio.wait_for(viewer.read_head(), 10)
            assert viewer.status == 200
            await asyncio.wait_for(viewer.read_to_end(), 10)
            seen_at = time.monotonic()
            await worker
        finally:
            worker.cancel()
            await viewer.close()
        self.check(viewer, seen_at)
        return viewer

    def check(self, viewer, seen_at):
        endpoint = self.endpoint
        where = f"{self.kind.route} silent={self.silent} {self.heard=} {viewer.events}"
        assert viewer.clean, where
        finals = [event for event in viewer.events if endpoint.is_final(event)]
        assert finals == viewer.events[-1:], f"one last event, and nothing after it: {where}"
        assert finals[0].last_id.startswith("end"), where
        assert seen_at - self.ended_at < ENDED_WITHIN, f"{seen_at - self.ended_at:.2f} s after the end: {where}"
        seen = [n for n in map(endpoint.number_in, viewer.events) if n is not None]
        assert seen == sorted(set(seen)), where
        if self.kind is routes.Lines:
            # A stream without an id to resume from begins at some line, and has every line from there on.
            assert seen == list(range(self.written))[self.written - len(seen) :], where
        else:
            # If the job had ended when its record was read, the last event replaces the held messages.  If not, every
            # message that reached the subscription arrives.
            self.ended_in_opening = not self.began_live(viewer.events) and seen == []
            assert self.ended_in_opening or seen == self.heard, where

    def began_live(self, events):
        """True if the events show that the job had not ended when its record was read."""
        if self.kind is routes.Status:
            return events[0].json()["status"] == "running"
        if self.kind is routes.Progress:
            return events[1].name == "progress-update"
        return "n" in events[-1].json()  # the published last message, not the one that the gateway makes


@pytest.mark.parametrize("seed", range(4))
def test_a_job_that_ends_during_an_opening_ends_the_stream_without_a_missed_event(stack, job, seed):
    dice = random.Random(seed)
    headers = {kind: kind(stack, job).headers() for kind in routes.WITH_RECORD}
    attempts = [Attempt(stack, f"{job}-{number}", dice) for number in range(ATTEMPTS // 4)]
    for one in attempts:
        one.endpoint.create()

    async def run_all():
        link = redis.asyncio.Redis(
            unix_socket_path=stack.facts["redis_socket"], client_name="test", max_connections=AT_ONCE
        )
        waiting = iter(attempts)

        async def run_in_turn():
            for one in waiting:
                await one.run(link, headers)

        try:
            await asyncio.gather(*(run_in_turn() for _ in range(AT_ONCE)))
        finally:
            await link.close()
            await link.connection_pool.disconnect()

    asyncio.run(asyncio.wait_for(run_all(), 120))
    # Some jobs ended before the gateway read the record, some after that.
    outcomes = [one.ended_in_opening for one in attempts if one.ended_in_opening is not None]
    heard = [len(one.heard) for one in attempts if one.kind is not routes.Lines and one.messages]
    assert True in outcomes and False in outcomes
    assert heard.count(0) and len(heard) > heard.count(0), "some jobs published before the subscription, some after it"


def test_no_message_published_after_the_subscription_is_missed_during_an_opening(stack, job):
    """The jobs do not end here.  Every message that Redis delivered to a subscriber must reach the viewer."""
    dice = random.Random(11)
    kinds = [dice.choice(routes.WITH_CHANNEL) for _ in range(200)]
    endpoints = [kind(stack, f"{job}-{number}").create() for number, kind in enumerate(kinds)]
    headers = {kind: kind(stack, job).headers() for kind in routes.WITH_CHANNEL}

    async def one(endpoint, link):
        viewer = Viewer(stack, endpoint.path, headers[type(endpoint)])
        heard = []

        async def publish():
            await asyncio.sleep(dice.uniform(0, 0.02))
            for number in range(100):
                body = {"n": number}
                message = {"event": "step-change", "data": body, **body}
                if await link.publish(endpoint.channel, json.dumps(message)):
                    heard.append(number)
                if len(heard) == 10:
                    return
                await asyncio.sleep(0.002)

        publisher = asyncio.ensure_future(publish())
        try:
            await viewer.open()
            await asyncio.wait_for(viewer.read_head(), 10)
            await publisher

            def all_there(events):
                seen = [n for n in map(endpoint.number_in, events) if n is not None]
                return len(seen) >= len(heard)

            await asyncio.wait_for(viewer.read_until(all_there), 10)
            assert [n for n in map(endpoint.number_in, viewer.events) if n is not None] == heard
        finally:
            publisher.cancel()
            await viewer.close()

    async def run_all():
        link = redis.asyncio.Redis(
            unix_socket_path=stack.facts["redis_socket"], client_name="test", max_connections=AT_ONCE
        )
        waiting = iter(endpoints)

        async def run_in_turn():
            for endpoint in waiting:
                await one(endpoint, link)

        try:
            await asyncio.gather(*(run_in_turn() for _ in range(AT_ONCE)))
        finally:
            await link.close()
            await link.connection_pool.disconnect()

    asyncio.run(asyncio.wait_for(run_all(), 120))


# ---- the connections of many streams ------------------------------------------------------------------


def without_examples(stack):
    """Waits until the channels that the check before the first readiness has asked for are gone."""
    wait_until(lambda: not stack.redis.pubsub_channels("job*:0:events"), 10, "the channels of the check are gone")
    return stack


def test_a_thousand_streams_of_two_hundred_jobs_use_at_most_six_redis_connections(private_stack):
    stack = without_examples(private_stack())
    jobs = [f"job-{number}" for number in range(200)]
    kinds = [routes.Events, routes.Status, routes.Progress, routes.Lines, routes.Events]
    endpoints = [[kind(stack, job) for kind in kinds] for job in jobs]
    for of_job in endpoints:
        for endpoint in {type(one): one for one in of_job}.values():
            endpoint.create()
    headers = {kind: kind(stack, "x").headers() for kind in kinds}
    channels = {endpoint.channel for of_job in endpoints for endpoint in of_job if endpoint.channel}

    async def view():
        viewers = []

        async def open_all(of_job):
            for endpoint in of_job:
                viewer = Viewer(stack, endpoint.path, headers[type(endpoint)])
                await viewer.open()
                await viewer.read_head()
                assert viewer.status == 200
                viewers.append((endpoint, viewer))

        for begin in range(0, len(endpoints), 20):
            await asyncio.gather(*(open_all(of_job) for of_job in endpoints[begin : begin + 20]))
        assert len(viewers) == 1000

        connections = stack.connections()
        assert len(connections) <= 6, [(client["name"], client["cmd"]) for client in connections]
        subscribed = {channel for channel in stack.redis.pubsub_channels() if channel.startswith("job")}
        assert subscribed == channels, "one subscription for each channel that has a stream"
        assert {count for _, count in stack.redis.pubsub_numsub(*channels)} == {1}

        pipe = stack.redis.pipeline(transaction=False)
        for of_job in endpoints:
            for endpoint in {type(one): one for one in of_job}.values():
                if type(endpoint) is not routes.Status:  # it shares its channel with Events
                    endpoint.write_number(1, pipe)
                    endpoint.write_number(2, pipe)
        pipe.execute()

        async def receives_both(endpoint, viewer):
            def both(events):
                return [n for n in map(endpoint.number_in, events) if n is not None][-1:] == [2]

            await viewer.read_until(both)
            assert [n for n in map(endpoint.number_in, viewer.events) if n is not None] == [1, 2]

        await asyncio.gather(*(receives_both(*pair) for pair in viewers))
        assert len(stack.connections()) <= 6
        await asyncio.gather(*(viewer.close() for _, viewer in viewers))

    asyncio.run(asyncio.wait_for(view(), 90))


def test_a_thousand_streams_of_two_hundred_jobs_use_one_subscription_per_channel(private_stack):
    stack = without_examples(private_stack())
    jobs = [f"job-{number}" for number in range(200)]
    for job in jobs:
        routes.Events(stack, job).create()
    headers = routes.Events(stack, "x").headers()

    async def view():
        viewers = [Viewer(stack, routes.Events(stack, jobs[number % 200]).path, headers) for number in range(1000)]
        for begin in range(0, 1000, 50):
            await asyncio.gather(*(viewer.open() for viewer in viewers[begin : begin + 50]))
            await asyncio.gather(*(viewer.read_head() for viewer in viewers[begin : begin + 50]))
        assert {viewer.status for viewer in viewers} == {200}
        assert len(stack.connections()) <= 6
        [subscriber] = [client for client in stack.connections() if int(client["sub"]) > 0]
        assert len(stack.redis.pubsub_channels("job:*")) == 200
        assert int(subscriber["sub"]) <= 202, "the channels of the jobs, and a control channel"
        for job in jobs:
            routes.Events(stack, job).finish_silently()
        begin = time.monotonic()
        await asyncio.gather(*(viewer.read_to_end() for viewer in viewers))
        assert time.monotonic() - begin < ENDED_WITHIN + 1
        assert all(viewer.clean and viewer.events[-1].last_id == "end" for viewer in viewers)
        await asyncio.gather(*(viewer.close() for viewer in viewers))

    asyncio.run(asyncio.wait_for(view(), 90))
