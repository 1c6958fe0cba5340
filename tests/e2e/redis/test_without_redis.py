"""The answers that a client gets while the gateway has no Redis."""

import json
import os
import signal
import time

import pytest

from support.clients import fetch, open_stream, sealed, send
from support.publishers import Builder
from support.unavailable import (
    EVENT_SOURCE,
    PATHS,
    QUICK,
    WAIT,
    assert_refused,
    assert_unavailable,
    headers_for,
    kill_redis,
    restart_redis,
)
from support.waiting import wait_until


@pytest.fixture(scope="module")
def redis_down(stack_with):
    """A stack whose Redis was killed."""
    stack = stack_with({**QUICK, "redis.connect_timeout_s": 1})
    if stack.metrics()['tailgate_redis_up{link="records"}']:
        kill_redis(stack)
    return stack


def test_without_redis_a_request_waits_and_then_gets_503_with_the_error_body_of_its_route(redis_down, job):
    begin = time.monotonic()
    asked = [(path, send(redis_down, path.format(job), headers=headers_for(redis_down, path))) for path in PATHS[1:]]
    for path, answer in asked:
        answer.wait_head().wait_closed()
        assert time.monotonic() - begin >= WAIT - 0.05
        assert_refused(answer, blog="/v1/" in path)
    assert time.monotonic() - begin < WAIT + 8


def test_without_redis_r1_always_answers_with_an_unavailable_event(redis_down, job):
    path = f"/api/jobs/{job}/events/stream"
    asked = []
    for headers in (redis_down.bearer(), {**redis_down.bearer(), "Accept": "application/json"}):
        asked += [send(redis_down, path, headers=headers, http=http) for http in ("1.1", "2")]
    for answer in asked:
        assert_unavailable(answer.wait_head(), "redis")


def test_without_redis_an_event_source_gets_an_unavailable_event(redis_down, job):
    token = redis_down.token("blog")
    paths = ("/api/sse/stream", f"/api/v1/jobs/{job}/stream?token={token}", f"/api/v1/jobs/{job}/stream?sessionId=s")
    asked = [send(redis_down, path, headers=EVENT_SOURCE) for path in paths]
    asked.append(send(redis_down, "/api/sse/stream", headers={"Accept": "text/html, Text/Event-Stream;q=0.9"}))
    for answer in asked:
        assert_unavailable(answer.wait_head(), "redis")


def test_without_redis_an_event_source_behind_a_password_of_nginx_gets_an_unavailable_event(redis_down):
    """A browser sends the password for auth_basic with every request."""
    native = {**EVENT_SOURCE, "Authorization": "Basic YWxpY2U6c2VjcmV0"}
    assert_unavailable(open_stream(redis_down, "/api/sse/stream", headers=native), "redis")


def test_without_redis_a_client_with_a_custom_header_gets_503_instead_of_an_event(redis_down, job):
    asked = [
        send(redis_down, path, headers=headers)
        for path, headers in (
            (f"/api/jobs/{job}/stream", {**redis_down.bearer(), **EVENT_SOURCE}),
            (f"/api/jobs/{job}/logs/stream", {**redis_down.bearer(), **EVENT_SOURCE}),
            (f"/api/v1/jobs/{job}/stream", {"x-session-id": "s", **EVENT_SOURCE}),
            ("/api/sse/stream", {"Authorization": "Bearer x", **EVENT_SOURCE}),
            ("/api/sse/stream", {"Accept": "*/*"}),
            (f"/api/jobs/{job}/logs", {**redis_down.bearer(), **EVENT_SOURCE}),
        )
    ]
    assert [answer.wait_head().status for answer in asked] == [503] * 6


def assert_answered_at_once(status, stack, path, **more):
    """Checks that the answer does not wait for Redis.  Only one of five answers must be quick, because the machine may
    be slow."""
    for _ in range(5):
        begin = time.monotonic()
        assert fetch(stack, path, **more).status == status
        if time.monotonic() - begin < WAIT:
            return
    raise AssertionError(f"{path} waits for Redis")


def test_without_redis_401_404_405_and_422_are_answered_at_once(redis_down, job):
    good, expired = redis_down.bearer(), redis_down.bearer(broken="expired")
    assert_answered_at_once(401, redis_down, f"/api/jobs/{job}/events/stream", headers=EVENT_SOURCE)
    assert_answered_at_once(401, redis_down, f"/api/jobs/{job}/stream", headers=expired)
    assert_answered_at_once(404, redis_down, "/api/jobs/a%20b/stream", headers=good)
    assert_answered_at_once(405, redis_down, "/api/sse/stream", method="POST")
    assert_answered_at_once(422, redis_down, f"/api/jobs/{job}/logs?limit=x", headers=good)


def test_without_redis_the_gateway_is_ready_and_reports_redis_down(redis_down):
    assert redis_down.ops("/healthz")[0] == 200
    status, body = redis_down.ops("/readyz")
    assert status == 200 and '"redis":"down"' in body
    assert fetch(redis_down, "/readyz").status == 200
    assert {
        redis_down.metrics()[f'tailgate_redis_up{{link="{link}"}}']
        for link in ("subscriber", "records", "logs", "pages")
    } == {0}


def test_a_waiting_request_is_served_when_redis_comes_back_in_time(private_stack, job):
    stack = private_stack({"redis.wait_s": 8})
    Builder(stack.redis, job).create()
    stack.redis.save()
    kill_redis(stack)
    paths = [path.format(job) for path in PATHS[:5]]
    asked = [send(stack, path, headers=headers_for(stack, path)) for path in paths]
    for answer in asked:
        answer.pump(0.1)
        assert answer.status is None
    restart_redis(stack)
    assert [answer.wait_head(9).status for answer in asked] == [200] * 5
    assert asked[1].next_event().json()["job_id"] == job


@pytest.mark.slow
def test_a_request_waits_three_seconds_for_redis_by_default(private_stack, job):
    stack = private_stack(gateway_redis="redis://127.0.0.1:1", wait="alive", nginx=False)
    path = f"/api/jobs/{job}/stream"
    identity = sealed(stack, path, stack.bearer())
    begin = time.monotonic()
    assert_refused(fetch(stack, path, headers=identity, via="gateway"))
    assert 2.8 < time.monotonic() - begin < 4.5


@pytest.mark.slow
def test_an_unavailable_answer_stays_open_for_a_random_time_of_10_to_25_s(private_stack):
    stack = private_stack({"redis.wait_s": 0.1})
    kill_redis(stack)
    begin = time.monotonic()
    held = [open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE) for _ in range(12)]
    ends = {}
    while len(ends) < len(held):
        assert time.monotonic() - begin < 28
        for number, stream in enumerate(held):
            if number not in ends:
                stream.pump(0.01)
                if stream.ended:
                    ends[number] = time.monotonic() - begin
    assert {stream.ended for stream in held} == {"clean"}
    assert min(ends.values()) > 9.8 and max(ends.values()) < 26.5
    assert max(ends.values()) - min(ends.values()) > 2


def test_a_client_that_disconnects_while_it_waits_for_redis_is_released(redis_down, job):
    before = redis_down.metrics()["tailgate_streams"]
    asked = [
        send(redis_down, PATHS[n % 5].format(job), headers=headers_for(redis_down, PATHS[n % 5])) for n in range(20)
    ]
    wait_until(lambda: redis_down.metrics()["tailgate_streams"] > before, 2, "requests wait")
    for answer in asked:
        answer.close()
    wait_until(lambda: redis_down.metrics()["tailgate_streams"] <= before, 3, "no request waits")


def test_without_redis_nginx_does_not_retry_a_503_at_a_second_gateway(private_stack, job):
    stack = private_stack(instances=2)
    Builder(stack.redis, job).create()
    headers = stack.bearer()
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: stack.logs("redis.lost"), 5, "the loss is noticed")
    assert fetch(stack, f"/api/jobs/{job}/stream", headers=headers, timeout=12).status == 503

    def refused():
        lines = [json.loads(line) for line in stack.log_text("nginx-access").splitlines()]
        return [line["upstream_status"] for line in lines if line.get("status") in (503, "503")]

    wait_until(refused, 5, "nginx has logged its answer")
    assert refused() == ["503"]
