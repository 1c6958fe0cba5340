"""Answers of a gateway that cannot serve a client, and losses of Redis, for the tests of both."""

import os
import signal

from support.waiting import wait_until

EVENT_SOURCE = {"Accept": "text/event-stream"}
WAIT = 0.6
BEAT = 0.3
QUICK = {
    "redis.wait_s": WAIT,
    "redis.probe_every_s": 0.5,
    **{f"route.{name}.heartbeat.every_s": BEAT for name in ("events", "status", "log-stream", "spools", "job")},
    # Large, so that a stream is not closed as slow if a test reads it late.
    **{f"route.{name}.backlog_bytes": 4_000_000 for name in ("events", "status", "log-stream", "spools", "job")},
}
PAGES = "/api/jobs/{}/logs"
PATHS = [
    "/api/jobs/{}/events/stream",
    "/api/jobs/{}/stream",
    "/api/jobs/{}/logs/stream",
    PAGES,
    "/api/sse/stream",
    "/api/v1/jobs/{}/stream",
]


def headers_for(stack, path):
    return {} if "sse" in path else stack.bearer("alice", "blog" if "/v1/" in path else "builder")


def assert_unavailable(answer, reason, retry=3000):
    """Checks the answer for an EventSource: status 200, one event, and the stream stays open."""
    assert answer.status == 200, (answer.status, answer.raw)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    event = answer.next_event()
    assert (event.name, event.json(), event.last_id) == ("unavailable", {"reason": reason}, "")
    assert answer.retry == retry and answer.blocks[0] == f"retry: {retry}"
    answer.pump(0.2)
    assert answer.ended is None
    assert [event.name for event in answer.events if event.name != "heartbeat"] == ["unavailable"]


def assert_refused(answer, status=503, blog=False):
    assert answer.status == status, (answer.status, answer.raw)
    assert answer.headers["content-type"] == "application/json"
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    body = answer.json()
    if blog:
        assert set(body) == {"success", "error", "message"} and body["success"] is False
    else:
        assert set(body) == {"detail"}


def kill_redis(stack):
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: stack.metrics()['tailgate_redis_up{link="records"}'] == 0, 5, "the loss is noticed")


def restart_redis(stack):
    stack.restart("redis")
    wait_up(stack)


def wait_up(stack):
    links = ("subscriber", "records", "logs", "pages")
    wait_until(
        lambda: all(stack.metrics()[f'tailgate_redis_up{{link="{link}"}}'] for link in links), 8, "Redis is back"
    )


def wait_lost(stack, link, before):
    name = f'tailgate_redis_lost_total{{link="{link}"}}'
    wait_until(lambda: stack.metrics()[name] > before, 8, f"the loss of {link} is noticed")


def loss_count(stack, link):
    return stack.metrics()[f'tailgate_redis_lost_total{{link="{link}"}}']
