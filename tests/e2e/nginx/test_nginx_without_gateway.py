"""The answers of nginx while the gateway is dead or stalled."""

import os
import signal
import time

import httpx
import pytest

from support.nginx_system import ORIGIN, running
from support.waiting import wait_until


@pytest.fixture(scope="module")
def no_gateway(tmp_path_factory):
    """A system whose gateway was killed; its sockets still exist."""
    with running(tmp_path_factory.mktemp("nginx") / "down") as started:
        os.kill(started.facts["pids"]["gateways"][0], signal.SIGKILL)
        with started.client() as client:
            wait_until(lambda: client.get("/api/jobs/x/stream").status_code == 503, 10)
        yield started


def first_bytes(client, path, **headers):
    with client.stream("GET", path, headers=headers) as stream:
        begin = time.monotonic()
        text = b""
        for chunk in stream.iter_bytes():
            text += chunk
            if b"\n\n: " in text:
                break
        return stream, text.decode(), time.monotonic() - begin


@pytest.mark.parametrize("http2", [False, True])
def test_without_a_gateway_an_event_source_gets_an_unavailable_event_at_once(no_gateway, http2):
    with no_gateway.client(http2) as client:
        # on_unavailable is "sse" for R1.  It is "auto" for R5 and R6, which need a request like that of an EventSource.
        for path, headers in (
            ("/api/jobs/x/events/stream", {"Authorization": "Bearer x"}),
            ("/api/sse/stream", {"Accept": "text/event-stream"}),
            ("/api/v1/jobs/x/stream/?token=x", {"Accept": "text/event-stream"}),
        ):
            answer, text, seconds = first_bytes(client, path, **headers)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Accel-Buffering"] == "no"
            assert text.startswith('retry: 3000\n\nevent: unavailable\ndata: {"reason":"down"}\n\n')
            assert seconds < 1


def test_without_a_gateway_other_clients_get_503_with_the_error_body_of_the_route(no_gateway):
    with no_gateway.client() as client:
        builder = client.get("/api/jobs/x/stream", headers={"Authorization": "Bearer x", "Accept": "text/event-stream"})
        page = client.get("/api/jobs/x/logs", headers={"Accept": "text/event-stream"})
        blog = client.get("/api/v1/jobs/x/stream", headers={"x-session-id": "s", "Accept": "text/event-stream"})
    for answer in (builder, page, blog):
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        assert answer.headers["Content-Type"] == "application/json"
    assert set(builder.json()) == set(page.json()) == {"detail"}
    assert blog.json()["success"] is False


def test_without_a_gateway_only_allowed_origins_may_read_the_answer(no_gateway):
    with no_gateway.client() as client:
        for origin in (ORIGIN, "https://a.b.example.org"):
            answer = client.get("/api/jobs/x/logs", headers={"Origin": origin})
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            preflight = client.options("/api/jobs/x/events/stream", headers=asked)
            assert preflight.status_code == 204
            assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
            assert preflight.headers["Access-Control-Max-Age"] == "86400"
        for origin in (
            "https://example.org",
            "https://evil-example.org",
            "https://app.example.com.evil",
            "null",
            ORIGIN + "/",
        ):
            answer = client.get("/api/jobs/x/logs", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_without_a_gateway_readyz_gets_503_and_the_application_still_answers(no_gateway):
    with no_gateway.client() as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/x").headers["X-Application"] == "yes"


@pytest.mark.slow
def test_an_unavailable_answer_of_nginx_stays_open_for_a_random_time_of_10_to_25_s(no_gateway):
    def seconds(_):
        with no_gateway.client() as client:
            begin = time.monotonic()
            client.get("/api/jobs/x/events/stream", timeout=40)
            return time.monotonic() - begin

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(12) as pool:
        times = list(pool.map(seconds, range(12)))
    assert 9.5 <= min(times) and max(times) <= 25.5
    assert max(times) - min(times) > 2


@pytest.mark.slow
def test_a_stalled_gateway_causes_an_unavailable_event_with_reason_auth(tmp_path):
    with running(tmp_path / "s") as stalled:
        os.kill(stalled.facts["pids"]["gateways"][0], signal.SIGSTOP)
        try:
            with stalled.client() as client:
                _, text, _ = first_bytes(
                    httpx.Client(base_url=stalled.base, verify=stalled.verify, timeout=30), "/api/jobs/x/events/stream"
                )
                assert '{"reason":"auth"}' in text
                assert client.get("/x").status_code == 200
        finally:
            os.kill(stalled.facts["pids"]["gateways"][0], signal.SIGCONT)
