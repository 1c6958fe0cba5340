"""A drain: the gateway refuses new streams, ends the open ones and exits in time."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

from support import routes
from support.clients import fetch, open_stream, sealed, send
from support.draining import DEADLINE, DRAIN, LATE, SETTLE, wait_gone
from support.publishers import Builder
from support.routes import open_live_stream
from support.waiting import wait_until


def test_a_drain_settles_refuses_new_streams_ends_open_ones_and_exits_in_time(private_stack, job):
    settle, deadline = 2, 7
    stack = private_stack({"drain.settle_s": settle, "drain.deadline_s": deadline}, own_sockets=True)
    pid = stack.gateway_pid
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = {endpoint.route: [open_live_stream(endpoint) for _ in range(3)] for endpoint in endpoints}
    everyone = [stream for group in streams.values() for stream in group]
    for stream in everyone:
        stream.pump(0.01)
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)

    # While it settles, it is not ready, but it serves everything.
    wait_until(lambda: stack.ops("/readyz")[0] == 503, settle, "the gateway is not ready")
    assert json.loads(stack.ops("/readyz")[1])["status"] == "draining" and stack.ops("/healthz")[0] == 200
    assert fetch(stack, "/readyz").status == 503
    late = open_stream(stack, endpoints[0].path, headers=endpoints[0].headers())
    late.next_block()
    settled = time.monotonic() - begin
    endpoints[0].write_number(77)
    assert endpoints[0].number_in(late.events_until(lambda event: endpoints[0].number_in(event) == 77)[-1]) == 77
    assert settled < settle, "the machine is too slow for this test"

    # After that, it refuses new streams.
    def status():
        with open_stream(stack, endpoints[1].path, headers=endpoints[1].headers()) as stream:
            return stream.status

    wait_until(lambda: status() == 503, 3, "new streams are refused")
    assert time.monotonic() - begin > settle - 0.1
    answer = fetch(stack, endpoints[1].path, headers={**endpoints[1].headers(), "Connection": "keep-alive"})
    assert int(answer.headers["retry-after"]) >= 1
    refused = open_stream(stack, endpoints[0].path, headers=endpoints[0].headers())
    event = refused.next_event()
    assert (event.name, event.json()) == ("unavailable", {"reason": "draining"})

    # Open streams end one after the other.
    ends = {}
    while len(ends) < len(everyone):
        assert time.monotonic() - begin < deadline + 1
        for number, stream in enumerate(everyone):
            if number not in ends:
                stream.pump(0.005)
                if stream.ended:
                    ends[number] = time.monotonic() - begin
    assert {stream.ended for stream in everyone} == {"clean"}
    wait_gone(pid, deadline)
    assert time.monotonic() - begin < deadline + LATE
    retries = set()
    for stream in everyone:
        last = stream.raw.rstrip(b"\n").split(b"\n\n")[-1]
        assert re.fullmatch(rb"retry: \d+", last), stream.raw[-200:]
        assert 1000 <= stream.retry <= 15000
        assert b"id: end" not in stream.raw
        retries.add(stream.retry)
    assert len(retries) > 5, "jittered"
    # The times of the first ends are measured late, because of the requests above.
    assert min(ends.values()) > settle and max(ends.values()) - settle > (deadline - settle) / 4, "spread over the time"
    order = [entry["route"] for entry in stack.logs("stream.closed") if entry["why"] == "drained"]
    assert sorted(order[-4:]) == ["events"] + 3 * ["log-stream"], "logs last, apart from the unavailable one"
    assert stack.logs("drain.begun") and stack.logs("stopped")[-1]["streams_cut"] == 0


def test_streams_still_open_at_the_drain_deadline_end_like_the_others(private_stack, job):
    # The gateway reserves the last quarter of the deadline for the last bytes.  Here that begins while it settles.
    stack = private_stack({"drain.settle_s": 1.9, "drain.deadline_s": 2}, own_sockets=True)
    streams = [open_live_stream(kind(stack, f"{job}-{kind.route}").create()) for kind in routes.ALL for _ in range(2)]
    os.kill(stack.gateway_pid, signal.SIGTERM)
    for stream in streams:
        assert stream.wait_closed()
        assert re.fullmatch(rb"retry: \d+", stream.raw.rstrip(b"\n").split(b"\n\n")[-1]), stream.raw[-200:]
        assert 1000 <= stream.retry <= 15000
    assert len({stream.retry for stream in streams}) > 5, "jittered"


@contextlib.contextmanager
def child_gateway(stack):
    """Starts the stack's gateway again as a child of this process, and yields the child."""
    entry = json.loads((stack.dir / "stack.json").read_text())["processes"]["gateway-0"]
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_gone(stack.gateway_pid, 5)
    child = subprocess.Popen(
        entry["command"], env=entry["env"], cwd=stack.dir, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:

        def ready():
            try:
                return stack.ops("/readyz")[0] == 200
            except OSError:
                return False

        wait_until(ready, 10, "the gateway is ready")
        yield child
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


@pytest.fixture
def own_gateway(private_stack):
    """(stack, child): a stack whose gateway is a child of this process, so that the test can read its exit status."""
    stack = private_stack(DRAIN, own_sockets=True)
    with child_gateway(stack) as child:
        yield stack, child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_without_streams_exits_with_0_after_settling(own_gateway, number):
    _, child = own_gateway
    begin = time.monotonic()
    child.send_signal(number)
    assert child.wait(DEADLINE) == 0
    assert SETTLE - 0.1 < time.monotonic() - begin < SETTLE + 2


def test_a_drain_with_streams_exits_with_0_before_the_deadline(own_gateway, job):
    stack, child = own_gateway
    streams = [open_live_stream(kind(stack, f"{job}-{kind.route}").create()) for kind in routes.ALL]
    # A client that reads nothing does not delay the exit.
    stalled = routes.Lines(stack, job + "-stalled").create()
    stuck = open_stream(stack, stalled.path, headers=stalled.headers(), receive_buffer=4096)
    stack.redis.xadd(stalled.worker.log_key, {"text": "x" * 4_000_000})
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(DEADLINE + 1) == 0
    assert time.monotonic() - begin < DEADLINE + LATE
    for stream in streams:
        assert stream.wait_closed()
    assert stuck.status == 200


def test_a_second_sigterm_exits_at_once(own_gateway, job):
    stack, child = own_gateway
    open_live_stream(routes.Status(stack, job).create())
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    wait_until(lambda: stack.ops("/readyz")[0] == 503, 2, "the gateway drains")
    child.send_signal(signal.SIGTERM)
    assert child.wait(2) == 0
    assert time.monotonic() - begin < SETTLE + 1


def test_a_job_that_ends_during_a_drain_ends_its_streams_with_their_last_event(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.2, "drain.deadline_s": 6})
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.WITH_RECORD]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    stack.ops("/drain", "POST")
    for endpoint in endpoints:
        endpoint.finish()
    for endpoint, stream in zip(endpoints, streams):
        assert stream.wait_closed(6)
        assert endpoint.is_final([event for event in stream.events if event.name != "heartbeat"][-1])
        assert f"id: {endpoint.end_id}" in stream.blocks[-1]


@pytest.mark.slow
def test_post_drain_drains_like_sigterm_and_may_be_repeated(private_stack, job):
    stack = private_stack(DRAIN)
    pid = stack.gateway_pid
    stream = open_live_stream(routes.Events(stack, job).create())
    begin = time.monotonic()
    assert [stack.ops("/drain", "POST")[0] for _ in range(2)] == [202, 202]
    assert stack.ops("/readyz")[0] == 503
    assert stream.wait_closed(DEADLINE + 1)
    wait_gone(pid, DEADLINE)
    assert time.monotonic() - begin < DEADLINE + LATE
    assert len(stack.logs("drain.begun")) == 1


def test_answers_during_a_drain_close_their_connection(private_stack, job):
    stack = private_stack({"drain.settle_s": 0, "drain.deadline_s": 4}, own_sockets=True)
    held = open_live_stream(routes.Lines(stack, job).create())  # keeps the process alive
    stack.ops("/drain", "POST")

    def refused_answer():
        return fetch(stack, "/api/sse/stream", via="gateway", headers={"Accept": "*/*"})

    wait_until(lambda: refused_answer().status == 503, 2, "the gateway refuses requests")
    assert refused_answer().headers["connection"] == "close"
    for path in (f"/api/jobs/{job}/stream", f"/api/jobs/{job}/logs", "/nothing"):
        assert fetch(stack, path, via="gateway").headers.get("connection") == "close", path
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    preflight = fetch(stack, "/api/sse/stream", method="OPTIONS", headers=asked, via="gateway")
    assert (preflight.status, preflight.headers.get("connection")) == (204, "close")
    assert (
        fetch(stack, "/auth", via="auth", headers={"X-Tailgate-Uri": "/x", "X-Tailgate-Method": "GET"}).headers[
            "connection"
        ]
        == "close"
    )
    assert held.ended is None


def test_a_page_in_transmission_is_completed_before_the_process_exits(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.2}, own_sockets=True, nginx=False)
    worker = Builder(stack.redis, job).create()
    for _ in range(70):
        worker.log("x" * 100_000)
    path = f"/api/jobs/{job}/logs"
    page = open_stream(stack, path, via="gateway", headers=sealed(stack, path, stack.bearer()), receive_buffer=16384)
    os.kill(stack.gateway_pid, signal.SIGTERM)
    with pytest.raises(AssertionError):
        wait_until(lambda: stack.logs("stopped"), 1.5, "the gateway has stopped")
    assert page.wait_closed(15) and len(page.json()["lines"]) == 70
    wait_until(lambda: stack.logs("stopped"), 5, "the gateway has stopped")


def test_one_of_two_gateways_serves_while_the_other_drains(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.1, "drain.deadline_s": 5}, instances=2, own_sockets=True)
    endpoints = [routes.Status(stack, f"{job}-{n}").create() for n in range(30)]  # nginx distributes them by their ids
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    os.kill(stack.facts["pids"]["gateways"][0], signal.SIGTERM)
    wait_until(lambda: any(stream.pump(0.01).ended for stream in streams), 5, "some streams have ended")
    for endpoint, stream in zip(endpoints, streams):
        again = open_stream(stack, endpoint.path, headers=endpoint.headers())
        assert again.status == 200, "the other gateway serves it"
        assert again.next_event().json()["job_id"] == endpoint.job
    assert {stream.ended for stream in streams} <= {None, "clean"}


def test_a_pending_request_is_answered_during_a_drain(private_stack, job):
    stack = private_stack({"drain.settle_s": 0, "drain.deadline_s": 4})
    # The gateway looks for the missing record for 800 ms.  Without nginx, because nginx would retry after a cut.
    path = f"/api/v1/jobs/{job}/stream"
    headers = sealed(stack, path, stack.bearer("alice", "blog"))
    asked = [send(stack, path, headers=headers, via="gateway") for _ in range(8)]
    wait_until(lambda: stack.metrics()["tailgate_streams"] == 8, 3, "the openings have begun")
    stack.ops("/drain", "POST")
    assert {answer.wait_head().status for answer in asked} <= {404, 503}
