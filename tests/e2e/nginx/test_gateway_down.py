"""The answers of nginx while the gateway is down: the same as the gateway's own answers while it has no Redis."""

import os
import signal
import time

import pytest

from support.clients import fetch, open_stream
from support.unavailable import EVENT_SOURCE, PAGES, PATHS, assert_refused, assert_unavailable, headers_for
from support.waiting import wait_until


@pytest.fixture(scope="module")
def no_gateway(stack_with):
    """A stack whose gateway was killed; its sockets still exist."""
    stopped = stack_with({"route.events.retry_ms": 4321})
    if os.path.exists(f"/proc/{stopped.gateway_pid}"):
        os.kill(stopped.gateway_pid, signal.SIGKILL)
        wait_until(lambda: fetch(stopped, "/api/jobs/x/logs").status == 503, 5, "nginx answers by itself")
    return stopped


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("plain", "1.1")])
def test_without_a_gateway_nginx_gives_the_same_unavailable_answers(no_gateway, path, via, http):
    target, headers = path.format("j"), headers_for(no_gateway, path)
    answer = open_stream(no_gateway, target, headers=headers, via=via, http=http)
    if "events" in path:
        assert_unavailable(answer, "down", 4321)
    else:
        answer.wait_closed()
        assert_refused(answer, blog="/v1/" in path)
        with_type = open_stream(no_gateway, target, headers={**headers, **EVENT_SOURCE}, via=via, http=http)
        if headers:
            with_type.wait_closed()
            assert_refused(with_type, blog="/v1/" in path)
        else:
            assert_unavailable(with_type, "down")
    session = open_stream(no_gateway, target, headers={"X-Session-ID": "s", **EVENT_SOURCE}, via=via, http=http)
    assert session.status == (200 if "events" in path else 503)
    alone = open_stream(no_gateway, target, headers=EVENT_SOURCE, via=via, http=http)
    if path == PAGES:
        assert alone.status == 503
    else:
        assert_unavailable(alone, "down", 4321 if "events" in path else 3000)


@pytest.mark.slow
def test_without_a_gateway_the_unavailable_answer_of_nginx_stays_open(no_gateway):
    streams = [open_stream(no_gateway, "/api/sse/stream", headers=EVENT_SOURCE) for _ in range(8)]
    begin = time.monotonic()
    while time.monotonic() - begin < 1:
        for stream in streams:
            stream.pump(0.05)
    assert {stream.ended for stream in streams} == {None}
    assert all([event.name for event in stream.events] == ["unavailable"] for stream in streams)


def test_nginx_gives_unavailable_answers_if_the_sockets_of_the_gateway_are_missing(private_stack, job):
    stack = private_stack(own_sockets=True)
    os.kill(stack.gateway_pid, signal.SIGTERM)
    wait_until(lambda: stack.ops("/readyz")[0] == 503, 5, "the gateway drains")
    os.kill(stack.gateway_pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(stack.gateway_socket), 10, "the sockets are gone")
    assert_refused(fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()))
    assert_unavailable(open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer()), "down")
    assert_unavailable(open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE), "down")
    stack.restart("gateway")
    assert open_stream(stack, "/api/sse/stream").status == 200
