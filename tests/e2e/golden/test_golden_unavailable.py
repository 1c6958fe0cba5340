"""The exact bytes of answers while Redis, the gateway, the keys or the application are unavailable, or a limit holds.

support/golden.py explains how to write the golden files again.
"""

import os
import signal

import pytest

from support.application import Application
from support.clients import fetch
from support.golden import Transcript
from support.publishers import Blog, Builder
from support.stack import DEPLOY
from support.waiting import wait_until

QUIET = {f"route.{name}.heartbeat.every_s": 3600 for name in ("events", "status", "log-stream", "spools", "job")}
EVENT_SOURCE = {"Accept": "text/event-stream"}
EVENTS, STATUS, LINES, PAGES = (f"/api/jobs/j/{rest}" for rest in ("events/stream", "stream", "logs/stream", "logs"))
SPOOLS, JOB = "/api/sse/stream", "/api/v1/jobs/j/stream"


def ask_all(book):
    """Sends each route a request of an ordinary client, and one of an EventSource if its answer differs."""
    mine, blog = book.stack.bearer(), book.stack.bearer("alice", "blog")
    asked = [
        book.send("R1", EVENTS, headers=mine),
        book.send("R1: an EventSource", EVENTS, headers={**mine, **EVENT_SOURCE}),
        book.send("R2", STATUS, headers=mine),
        book.send("R2: an EventSource with a header of its own", STATUS, headers={**mine, **EVENT_SOURCE}),
        book.send("R3", LINES, headers=mine),
        book.send("R4", PAGES, headers=mine),
        book.send("R5", SPOOLS),
        book.send("R5: an EventSource", SPOOLS, headers=EVENT_SOURCE),
        book.send("R6", JOB, headers=blog),
        book.send("R6: an EventSource", JOB, params={"token": book.stack.token("blog")}, headers=EVENT_SOURCE),
        book.send("R6: an EventSource with a session", JOB, params={"sessionId": "s"}, headers=EVENT_SOURCE),
    ]
    return [answer.wait_head(15) for answer in asked]


def wait_answered(answers):
    """Waits for the body of each answer, or for its `unavailable` event."""
    for answer in answers:
        if answer.headers["content-type"] == "text/event-stream":
            answer.events_until("unavailable")
        else:
            answer.wait_closed()


# ---- limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["streams", "streams_per_user"])
def test_answers_over_a_limit_match_their_golden_file(stack_with, limit):
    stack = stack_with({**QUIET, f"limits.{limit}": 1})
    Builder(stack.redis, "j").create()
    Blog(stack.redis, "j", user="alice", session="s").create()
    if limit == "streams":
        book = Transcript(stack, "limit-of-all")
        held = [book.open("the only stream that the limit allows", STATUS, headers=stack.bearer())]
    else:
        book = Transcript(stack, "limit-of-a-user")
        held = [
            book.open("the only stream of the user", STATUS, headers=stack.bearer()),
            book.open("the only stream of the session", JOB, params={"sessionId": "s"}),
        ]
    for stream in held:
        stream.next_event()
        if stream is not held[0]:
            stream.events_until("progress-update")
    for number, answer in enumerate(ask_all(book)):
        if limit == "streams_per_user" and number in (5, 6, 7):
            # A page does not count as a stream, and R5 has no users.
            answer.wait_closed() if number == 5 else answer.next_block()
        else:
            wait_answered([answer])
    book.compare()


# ---- Redis ------------------------------------------------------------------------------------------------


def redis_is(stack, up):
    return all(
        stack.metrics()[f'tailgate_redis_up{{link="{link}"}}'] == up
        for link in ("subscriber", "records", "logs", "pages")
    )


def test_answers_without_redis_match_their_golden_file(private_stack):
    stack = private_stack({**QUIET, "redis.wait_s": 0.3})
    book = Transcript(stack, "redis-down")
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: redis_is(stack, 0), 5, "the loss is noticed")
    wait_answered(ask_all(book))
    book.fetch("401", STATUS)
    book.fetch("405", SPOOLS, method="POST")
    book.fetch("422", PAGES, headers=stack.bearer(), params={"limit": 0})
    book.fetch("/readyz", "/readyz", via="ops", hide=["Content-Length"])
    book.fetch("/healthz", "/healthz", via="ops")
    book.compare()


def test_streams_over_a_redis_restart_match_their_golden_file(private_stack):
    stack = private_stack(QUIET)
    book = Transcript(stack, "redis-restarted")
    builder = Builder(stack.redis, "j").create("running")
    Blog(stack.redis, "j", user="alice").create("running")
    stack.redis.xadd(builder.log_key, {"text": "before"}, id="1700000000001-0")
    streams = {
        path: book.open(title, path, headers=headers)
        for title, path, headers in (
            ("R1", EVENTS, stack.bearer()),
            ("R2", STATUS, stack.bearer()),
            ("R3", LINES, {**stack.bearer(), "Last-Event-ID": "0-0"}),
            ("R5", SPOOLS, None),
            ("R6", JOB, stack.bearer("alice", "blog")),
        )
    }
    streams[STATUS].next_event()
    streams[LINES].events_until("log")
    streams[JOB].events_until("progress-update")
    stack.redis.save()
    stack.restart("redis", kill=True)
    wait_until(lambda: redis_is(stack, 1), 10, "Redis is back")
    for path in (EVENTS, STATUS, SPOOLS):
        streams[path].events_until("resync", 10)
    streams[JOB].rest(10)
    stack.redis.xadd(builder.log_key, {"text": "after"}, id="1700000000002-0")
    streams[LINES].events_until("log", 10)
    stack.redis.publish(builder.channel, '{"after":1}')
    stack.redis.publish("spools:updates", '{"after":1}')
    for path in (EVENTS, STATUS, SPOOLS):
        streams[path].next_event()
    book.compare()


# ---- the gateway ------------------------------------------------------------------------------------------


def test_answers_of_nginx_without_a_gateway_match_their_golden_file(private_stack):
    origin = {"Origin": "https://app.example.com"}
    stack = private_stack({**QUIET, "cors.origins": [origin["Origin"]]})
    book = Transcript(stack, "gateway-down")
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_until(lambda: fetch(stack, PAGES, headers=stack.bearer()).status == 503, 5, "nginx answers by itself")
    mine = stack.bearer()
    # nginx sends padding after the event, slowly.  It is not recorded.
    for title, path, headers in (
        ("R1", EVENTS, mine),
        ("R5: an EventSource", SPOOLS, EVENT_SOURCE),
        ("R6: an EventSource", JOB, EVENT_SOURCE),
        ("R1: from another origin", EVENTS, {**mine, **origin}),
    ):
        book.open(title, path, headers=headers, blocks=2).events_until("unavailable")
    for title, path, headers in (
        ("R2", STATUS, mine),
        ("R3: an EventSource with a header of its own", LINES, {**mine, **EVENT_SOURCE}),
        ("R4", PAGES, mine),
        ("R5", SPOOLS, None),
        ("R6", JOB, {"x-session-id": "s"}),
        ("R6: from another origin", JOB, {"x-session-id": "s", **origin}),
    ):
        book.fetch(title, path, headers=headers)
    book.fetch("preflight", STATUS, method="OPTIONS", headers={**origin, "Access-Control-Request-Method": "GET"})
    book.fetch("POST", STATUS, method="POST", headers=mine)
    book.fetch("not a route", "/nothing")
    book.fetch("/healthz behind nginx", "/healthz")
    book.compare()


def test_answers_during_a_drain_match_their_golden_file(private_stack):
    stack = private_stack({**QUIET, "drain.settle_s": 0.5, "drain.deadline_s": 6}, own_sockets=True)
    book = Transcript(stack, "drain")
    Builder(stack.redis, "j").create("running")
    Blog(stack.redis, "j", user="alice").create("running")
    mine = stack.bearer()
    streams = [
        book.open("R1", EVENTS, headers=mine),
        book.open("R2", STATUS, headers=mine),
        book.open("R3", LINES, headers=mine),
        book.open("R5", SPOOLS),
        book.open("R6", JOB, headers=stack.bearer("alice", "blog")),
    ]
    streams[1].next_event()
    streams[4].events_until("progress-update")
    stack.token("blog")  # the drain leaves little time to mint one
    book.fetch("POST /drain", "/drain", method="POST", via="ops")
    book.fetch("POST /drain again", "/drain", method="POST", via="ops")
    for via in ("ops", "tls"):
        book.fetch("/readyz", "/readyz", via=via, hide=["Content-Length"])
        book.fetch("/healthz", "/healthz", via=via)
    wait_until(lambda: fetch(stack, PAGES, headers=mine).status == 503, 5, "the gateway refuses requests")
    answers = ask_all(book)
    book.fetch("R5, sent directly to the gateway", SPOOLS, via="gateway")
    book.fetch("not a route: the gateway answers", "/nothing", via="gateway")
    book.fetch(
        "preflight, sent directly to the gateway",
        SPOOLS,
        method="OPTIONS",
        via="gateway",
        headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"},
    )
    book.fetch("/auth", "/auth", via="auth", headers={"X-Tailgate-Uri": STATUS, "X-Tailgate-Method": "GET", **mine})
    for stream in [*streams, *answers]:
        stream.wait_closed(15)
    wait_until(lambda: stack.logs("stopped"), 10, "the gateway has stopped")
    book.compare()


# ---- keys ----------------------------------------------------------------------------------------


def test_answers_without_keys_match_their_golden_file(private_stack):
    stack = private_stack({**QUIET, "provider.clerk.jwks": "file:/nonexistent/jwks.json"}, wait="alive")
    book = Transcript(stack, "keys-missing")
    wait_until(lambda: redis_is(stack, 1), 10, "Redis is up")
    mine = stack.bearer()
    book.open("R1", EVENTS, headers=mine).events_until("unavailable")
    for title, path in (("R2", STATUS), ("R3", LINES), ("R4", PAGES)):
        book.fetch(title, path, headers=mine)
    book.fetch("no token", STATUS)
    book.fetch("/readyz", "/readyz", via="ops", hide=["Content-Length"])
    book.fetch("/readyz behind nginx", "/readyz", hide=["Content-Length"])
    book.fetch("/auth", "/auth", via="auth", headers={"X-Tailgate-Uri": STATUS, "X-Tailgate-Method": "GET", **mine})
    book.compare()


# ---- the application ----------------------------------------------------------------------------------------


@pytest.fixture
def application(tmp_path):
    server = Application(tmp_path / "a.sock")
    yield server
    server.close()


def test_answers_for_each_answer_of_the_application_match_their_golden_file(private_stack, application):
    stack = private_stack(
        {"route.job.heartbeat.every_s": 3600, "record.job.timeout_s": 1.5, "redis.wait_s": 4},
        config=DEPLOY / "blog-application.toml",
        application=application.url,
    )
    book = Transcript(stack, "application")
    status, path = "/api/v1/jobs/j/status", JOB
    running = {"status": "running", "progress": 35, "currentStep": "Writing", "estimatedTimeRemaining": 12}
    application.answers[status] = (200, running)
    stream = book.open("200: running", path, headers={"Cookie": "a=b"})
    stream.events_until("progress-update")
    assert stack.redis.publish("jobs:j:events", '{"event":"complete","data":{"result":5}}')
    stream.rest()
    for title, answer in (
        ("succeeded", (200, {"status": "succeeded", "result": {"a": [1, None]}})),
        ("failed", (200, {"status": "failed", "error": "No", "errorCode": "X"})),
        ("failed without an error", (200, {"status": "failed"})),
        ("cancelled", (200, {"status": "cancelled"})),
    ):
        application.answers[status] = answer
        book.fetch(f"200: {title}", path)
    book.fetch("200: reconnect with the id of the end", path, headers={"Last-Event-ID": "end"})
    for code in (401, 403, 404, 429, 500, 302):
        application.answers[status] = (code, {"error": "whatever"})
        book.fetch(f"{code}", path)
        if code in (401, 429, 500):
            answer = book.open(f"{code}: an EventSource", path, headers=EVENT_SOURCE)
            answer.events_until("unavailable") if answer.status == 200 else answer.wait_closed()
    application.answers[status] = (200, "no JSON")
    book.fetch("200 with a body that is not JSON", path)
    application.answers[status] = None
    book.fetch("no answer", path)
    book.fetch("not a route: the application answers", "/elsewhere", hide=["Date", "Server"])
    book.compare()
