"""The event streams of the three example systems with a common interface, for tests that run on every stream.

The tests number the routes of deploy/all-three.toml: R1 events, R2 status, R3 log-stream, R4 log-pages (not here,
because it is no stream), R5 spools, R6 job.
"""

import json
import time

from support.clients import open_stream, sealed
from support.publishers import Blog, Builder, Spools
from support.waiting import wait_until


class _Endpoint:
    """One URL of one job, and the worker that writes to the channel or log behind it.

    `write_number(n)` publishes a message, or appends a log line, with the number n.  `number_in(event)` returns it.
    """

    params = None

    def __init__(self, stack, job):
        self.stack, self.job = stack, job

    def headers(self, user="alice"):
        return self.stack.bearer(user)


class _Builder(_Endpoint):
    provider = "builder"
    final_status = "ready"

    def __init__(self, stack, job):
        super().__init__(stack, job)
        self.worker = Builder(stack.redis, job)
        self.record_key, self.channel = self.worker.key, self.worker.channel

    def create(self, user="alice", status="running"):
        self.worker.user = user
        self.worker.create(status)
        return self

    def finish(self):
        self.worker.move(self.final_status, "Done")

    def finish_silently(self):
        self.worker.write_status(self.final_status, "Done")

    def run_again(self):
        self.worker.write_status("running")

    def change_owner(self, user):
        self.stack.redis.hset(self.record_key, "user_id", user)


class Events(_Builder):
    """R1: the events of a builder job."""

    route = "events"
    end_id = "end"

    @property
    def path(self):
        return f"/api/jobs/{self.job}/events/stream"

    def write_number(self, number, redis=None):
        return (redis or self.stack.redis).publish(self.channel, json.dumps({"type": "snapshot.updated", "n": number}))

    def number_in(self, event):
        return json.loads(event.data).get("n") if event.name == "message" else None

    def is_final(self, event):
        return event.name == "message" and json.loads(event.data).get("status") == self.final_status


class Status(Events):
    """R2: the older status stream of a builder job."""

    route = "status"

    @property
    def path(self):
        return f"/api/jobs/{self.job}/stream"


class Lines(_Builder):
    """R3: the log lines of a builder job."""

    route = "log-stream"
    channel = None

    def __init__(self, stack, job):
        super().__init__(stack, job)
        self.channel = None

    @property
    def path(self):
        return f"/api/jobs/{self.job}/logs/stream"

    @property
    def end_id(self):
        newest = self.stack.redis.xrevrange(self.worker.log_key, count=1)
        return "end." + (newest[0][0] if newest else "0-0")

    def write_number(self, number, redis=None):
        return (redis or self.stack.redis).xadd(self.worker.log_key, {"text": f"n={number}"})

    def number_in(self, event):
        return int(json.loads(event.data)["text"].removeprefix("n=")) if event.name == "log" else None

    def is_final(self, event):
        return event.name == "done"


class Updates(_Endpoint):
    """R5: the updates of all spools."""

    route = "spools"
    path = "/api/sse/stream"
    channel = Spools.CHANNEL

    def headers(self, user=None):
        return {}

    def create(self, user=None):
        return self

    def write_number(self, number, redis=None):
        return (redis or self.stack.redis).publish(self.channel, json.dumps({"event_type": "TOMAR", "n": number}))

    def number_in(self, event):
        return json.loads(event.data)["n"] if event.name == "spool_update" else None


class Progress(_Endpoint):
    """R6: the progress of a blog job."""

    route = "job"
    end_id = "end"

    def __init__(self, stack, job):
        super().__init__(stack, job)
        self.worker = Blog(stack.redis, job, user="alice")
        self.record_key, self.channel = self.worker.key, self.worker.channel

    @property
    def path(self):
        return f"/api/v1/jobs/{self.job}/stream"

    def headers(self, user="alice"):
        return self.stack.bearer(user, "blog")

    def create(self, user="alice", status="running"):
        self.worker.user = user
        self.worker.create(status)
        return self

    def write_number(self, number, redis=None):
        message = json.dumps({"event": "step-change", "data": {"n": number}})
        return (redis or self.stack.redis).publish(self.channel, message)

    def number_in(self, event):
        return json.loads(event.data)["n"] if event.name == "step-change" else None

    def is_final(self, event):
        return event.name == "complete"

    def finish(self):
        self.worker.complete({"posts": 3})

    def finish_silently(self):
        self.worker.write(status="succeeded", result='{"posts":3}')

    def run_again(self):
        self.worker.write(status="running")

    def change_owner(self, user):
        self.worker.write(user_id=user)


WITH_RECORD = [Events, Status, Lines, Progress]
WITH_CHANNEL = [Events, Status, Progress]
ALL = [*WITH_RECORD, Updates]


# ---- opening streams ----------------------------------------------------------------------------------


def open_endpoint(endpoint, user="alice", headers=None, **more):
    """Opens a stream and waits for the head of the answer.  `more` is passed to open_stream."""
    return open_stream(endpoint.stack, endpoint.path, headers={**endpoint.headers(user), **(headers or {})}, **more)


def open_live_stream(endpoint, **more):
    """Opens a stream and waits until a message has arrived through it.  No event is unread after that."""
    stream = open_endpoint(endpoint, **more)
    assert stream.status == 200, (stream.status, stream.raw)
    if endpoint.channel:
        wait_until(lambda: endpoint.stack.subscribers(endpoint.channel), 5, f"a subscriber of {endpoint.channel}")
    endpoint.write_number(-1)
    stream.events_until(lambda event: endpoint.number_in(event) == -1)
    return stream


def open_directly(endpoint, **more):
    """Opens a stream without nginx and with a small receive buffer, so that it is slow when the test does not read."""
    headers = sealed(endpoint.stack, endpoint.path, endpoint.headers())
    return open_stream(endpoint.stack, endpoint.path, headers=headers, via="gateway", receive_buffer=4096, **more)


# ---- reading streams ----------------------------------------------------------------------------------


def numbers_in(endpoint, events):
    return [number for number in map(endpoint.number_in, events) if number is not None]


def assert_no_event(stream, seconds):
    """Reads for some seconds, and checks that only heartbeats arrive and that the stream stays open."""
    before = len(stream.events)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stream.ended:
        stream.pump(left)
    assert [event for event in stream.events[before:] if event.name != "heartbeat"] == []
    assert stream.ended is None
