"""CORS: which origins may read an answer.  The answers of the gateway and of nginx follow the same rules."""

import os
import signal

import pytest

from support.clients import fetch, open_stream, send
from support.publishers import Blog, Builder
from support.waiting import wait_until

ORIGIN = "https://app.example.com"
SETTINGS = {
    "cors.origins": [ORIGIN, "http://localhost:3000", "https://*.example.org"],
    "limits.streams_per_user": 2,
}
ALLOWED = [ORIGIN, "http://localhost:3000", "https://a.example.org", "https://a.b-c.example.org"]
FOREIGN_ORIGINS = [
    "https://example.com",
    "https://app.example.com.evil.test",
    "https://evilapp.example.com",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "http://app.example.com",
    "HTTPS://APP.EXAMPLE.COM",
    "http://localhost",
    "http://localhost:30000",
    "https://example.org",
    "https://.example.org",
    "https://evilexample.org",
    "https://a.example.org.evil.test",
    "https://evil.test/.example.org",
    "https://evil.test#.example.org",
    "https://evil.test?.example.org",
    "https://a.example.org:444",
    "http://a.example.org",
    "https://a\\.example.org",
    "https://user@a.example.org",
    "https://a..example.org",
    "https://-\x7f.example.org",
    "null",
    "*",
    "",
    "https://app.example.com, https://evil.test",
]
PATHS = [
    "/api/jobs/{}/events/stream",
    "/api/jobs/{}/stream",
    "/api/jobs/{}/logs/stream",
    "/api/jobs/{}/logs",
    "/api/sse/stream",
    "/api/v1/jobs/{}/stream",
]


@pytest.fixture
def stack(stack_with):
    return stack_with(SETTINGS)


@pytest.fixture(scope="module")
def no_gateway(stack_with):
    """A stack whose gateway was killed."""
    stopped = stack_with({**SETTINGS, "limits.streams_per_user": 3})
    if os.path.exists(f"/proc/{stopped.gateway_pid}"):
        os.kill(stopped.gateway_pid, signal.SIGKILL)
        wait_until(lambda: fetch(stopped, "/api/jobs/x/logs").status == 503, 5, "nginx answers by itself")
    return stopped


def assert_readable(answer, origin=ORIGIN):
    """Checks that a page of `origin` may read the answer, and that `Vary` makes caches distinguish origins."""
    names = [name for name, _ in answer.header_list]
    for name in ("access-control-allow-origin", "access-control-allow-credentials", "vary"):
        assert names.count(name) == 1, (name, answer.status, answer.header_list)
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "origin" in answer.headers["vary"].lower()
    assert "retry-after" in answer.headers["access-control-expose-headers"].lower()


def assert_unreadable(answer, origin=""):
    assert (origin, [name for name, _ in answer.header_list if name.startswith("access-control-")]) == (origin, [])
    assert "origin" in answer.headers["vary"].lower()


def answer_of(stack, kind, job, **headers):
    """Makes a request that gets an answer of this kind."""
    Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}"
    bearer = {**stack.bearer(), **headers}
    if kind == "stream":
        return open_stream(stack, path + "/events/stream", headers=bearer)
    if kind == "h2 stream":
        return open_stream(stack, "/api/sse/stream", headers=headers, http="2")
    if kind == "204":
        stack.redis.hset(f"job:{job}", "status", "ready")
        return fetch(stack, path + "/stream", headers={**bearer, "Last-Event-ID": "end"})
    if kind == "page":
        return fetch(stack, path + "/logs", headers=bearer)
    if kind == "head":
        return fetch(stack, path + "/logs", headers=bearer, method="HEAD")
    if kind == "401":
        return fetch(stack, path + "/stream", headers=headers)
    if kind == "401 of a bad token":
        return fetch(stack, path + "/stream", headers={**stack.bearer(broken="expired"), **headers})
    if kind == "404":
        return fetch(stack, path + "x/stream", headers=bearer)
    if kind == "404 of an id":
        return fetch(stack, "/api/jobs/a%20b/stream", headers=bearer)
    if kind == "404 of no route":
        return fetch(stack, "/api/jobs", headers=bearer)
    if kind == "405":
        return fetch(stack, path + "/stream", headers=bearer, method="POST")
    if kind == "413":
        return fetch(stack, path + "/stream", headers=bearer, method="POST", body=b"x" * 50_000)
    if kind == "422":
        return fetch(stack, path + "/logs?limit=x", headers=bearer)
    if kind == "429":
        own = {**stack.bearer(job), **headers}
        Builder(stack.redis, job, job).create()
        held = [open_stream(stack, path + "/stream", headers=own).wait_head() for _ in range(2)]
        assert [stream.status for stream in held] == [200, 200]
        return fetch(stack, path + "/stream", headers=own)
    if kind == "500":
        stack.redis.set(f"job:{job}:logs", "no stream")
        return fetch(stack, path + "/logs", headers=bearer)
    if kind == "431":
        return fetch(stack, "/", headers={**headers, "X-Long": "a" * 70_000})
    if kind == "blog's 401":
        return fetch(stack, f"/api/v1/jobs/{job}/stream", headers=headers)
    raise AssertionError(kind)


KINDS = ["stream", "h2 stream", "204", "page", "head", "401", "401 of a bad token", "404", "404 of an id", "404 of no route", "405", "413", "422", "429", "500", "431", "blog's 401"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_allowed_origin_may_read_every_answer(stack, job, kind):
    for number, origin in enumerate((ORIGIN, "https://a.example.org")):
        answer = answer_of(stack, kind, f"{job}{number}", Origin=origin)
        if kind[0] in "24":
            assert str(answer.status) == kind[:3] or kind.startswith("h2")
        assert_readable(answer, origin)


@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_origin_may_read_no_answer(stack, job, kind):
    assert_unreadable(answer_of(stack, kind, job, Origin="https://evil.test"))


@pytest.mark.parametrize("kind", ["page", "401", "404 of no route", "413"])
def test_a_request_without_origin_gets_vary_but_no_permission(stack, job, kind):
    assert_unreadable(answer_of(stack, kind, job))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ALLOWED)
def test_a_preflight_needs_no_token(stack, job, path, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id",
    }
    for via, http in (("tls", "1.1"), ("tls", "2")):
        answer = fetch(stack, path.format(job), method="OPTIONS", headers=headers, via=via, http=http)
        assert answer.status == 204 and answer.raw == b""
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-max-age"] == "86400"
        assert "GET" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
        assert {"authorization", "last-event-id", "x-session-id", "cache-control"} <= set(allowed)
        assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("path", PATHS)
def test_the_preflight_of_a_foreign_origin_gets_no_permission(stack, job, path):
    for origin in FOREIGN_ORIGINS[:6]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert_unreadable(fetch(stack, path.format(job), method="OPTIONS", headers=headers))


@pytest.mark.parametrize("via", ["plain", "gateway"])
def test_no_foreign_origin_is_mistaken_for_an_allowed_one(stack, via):
    for origin in FOREIGN_ORIGINS:
        with open_stream(stack, "/api/sse/stream", headers={"Origin": origin}, via=via) as answer:
            assert (origin, answer.status) == (origin, 200)
            assert_unreadable(answer, origin)
    for origin in ALLOWED:
        with open_stream(stack, "/api/sse/stream", headers={"Origin": origin}, via=via) as answer:
            assert_readable(answer, origin)


def test_the_preflight_answer_of_the_gateway_has_all_cors_headers(stack, job):
    # The request bypasses nginx, so the answer is surely the gateway's own.
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = fetch(stack, f"/api/jobs/{job}/stream", method="OPTIONS", headers=headers, via="gateway")
    permissions = {name for name in answer.headers if name.startswith("access-control-")}
    assert permissions == {
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "access-control-allow-methods",
        "access-control-allow-headers",
        "access-control-max-age",
    }


# ---- without a gateway ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_without_a_gateway_allowed_origins_may_read_the_answers_of_nginx(no_gateway, path):
    for style in ({"Accept": "application/json"}, {"Accept": "text/event-stream"}):
        for origin in ALLOWED:
            with open_stream(no_gateway, path.format("j"), headers={**style, "Origin": origin}) as answer:
                assert_readable(answer, origin)


def test_without_a_gateway_no_foreign_origin_is_mistaken_for_an_allowed_one(no_gateway):
    for origin in FOREIGN_ORIGINS:
        with open_stream(no_gateway, "/api/jobs/j/logs", headers={"Origin": origin}, via="plain") as answer:
            assert (origin, answer.status) == (origin, 503)
            assert_unreadable(answer, origin)


def test_without_a_gateway_the_preflight_answer_is_the_same(stack, no_gateway, job):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    of_nginx = fetch(no_gateway, f"/api/jobs/{job}/stream", method="OPTIONS", headers=headers)
    of_gateway = fetch(stack, f"/api/jobs/{job}/stream", method="OPTIONS", headers=headers)
    assert of_nginx.status == of_gateway.status == 204
    for name in ("origin", "credentials", "headers"):
        name = f"access-control-allow-{name}"
        assert of_nginx.headers[name] == of_gateway.headers[name]
    assert of_nginx.headers["access-control-max-age"] == of_gateway.headers["access-control-max-age"] == "86400"


# ---- other settings -----------------------------------------------------------------------------------


def test_no_origin_is_allowed_by_default(stack_with, job):
    closed = stack_with()
    for path in ("/api/sse/stream", f"/api/jobs/{job}/stream"):
        with open_stream(closed, path, headers={"Origin": ORIGIN}) as answer:
            assert [name for name in answer.headers if name.startswith("access-control-")] == []
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = fetch(closed, f"/api/jobs/{job}/stream", method="OPTIONS", headers=asked)
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


# The headers that the browser libraries of OpenTelemetry, Sentry and Datadog add to every request.  A browser refuses
# the request if one of them is not allowed.
TRACING = [
    "traceparent", "tracestate", "baggage", "sentry-trace",
    "x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-origin", "x-datadog-sampling-priority",
]  # fmt: skip


def test_headers_that_tracing_libraries_add_are_allowed_by_default(stack, job):
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ",".join(TRACING),
    }
    for path in PATHS:
        answer = fetch(stack, path.format(job), method="OPTIONS", headers=asked)
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert set(TRACING) <= set(allowed), path
    headers = {**stack.bearer(), "Origin": ORIGIN, **{name: "a" for name in TRACING}}
    Builder(stack.redis, job).create()
    assert_readable(open_stream(stack, f"/api/jobs/{job}/stream", headers=headers), ORIGIN)


def test_the_allowed_headers_are_configurable(stack_with, job):
    own = stack_with({"cors.origins": [ORIGIN], "cors.allowed_headers": ["authorization", "x-session-id", "x-mine"]})
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = fetch(own, f"/api/jobs/{job}/stream", method="OPTIONS", headers=asked)
    assert answer.headers["access-control-allow-headers"].lower() == "authorization, x-session-id, x-mine"


def test_the_environment_can_set_the_allowed_origins(stack_with, job):
    told = stack_with(env={"TAILGATE_CORS_ORIGINS": "https://one.example.com https://*.two.example.com"})
    Blog(told.redis, job, "alice").create("running")
    for origin in ("https://one.example.com", "https://x.two.example.com"):
        answer = send(told, f"/api/v1/jobs/{job}/stream", headers={**told.bearer("alice", "blog"), "Origin": origin})
        assert_readable(answer.wait_head(), origin)
        assert_readable(fetch(told, "/", headers={"Origin": origin, "X-Long": "a" * 70_000}), origin)
