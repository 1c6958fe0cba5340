"""Requests with a wrong method, path or job id get the right status and a clear sentence."""

import json
import re

import pytest

from support.bad_input import PATHS, assert_body_of, assert_gateway_lives, bearer_of
from support.clients import fetch, open_stream, raw_answer, sealed
from support.publishers import Builder

each_route = pytest.mark.parametrize("route", PATHS)
ways_in = pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("gateway", "1.1")])


# ---- methods --------------------------------------------------------------------------------------


@each_route
@ways_in
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_an_unsupported_method_gets_405_with_the_allowed_methods(stack, job, route, via, http, method):
    answer = fetch(stack, PATHS[route].format(job), method=method, via=via, http=http)
    assert answer.status == 405
    allowed = {"GET", "HEAD", "OPTIONS"} if route == "log-pages" else {"GET", "OPTIONS"}
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert_body_of(route, answer)


@each_route
@ways_in
def test_head_gets_405_except_on_pages(stack, job, route, via, http):
    Builder(stack.redis, job).create()
    headers = bearer_of(stack, route)
    if via == "gateway" and route == "log-pages":
        headers = sealed(stack, PATHS[route].format(job), headers)
    answer = fetch(stack, PATHS[route].format(job), method="HEAD", headers=headers, via=via, http=http)
    assert answer.status == (200 if route == "log-pages" else 405)
    assert answer.raw == b""


@each_route
@pytest.mark.parametrize("body", [b"", b"x" * 700, b'{"a":1}'])
def test_a_post_with_any_body_gets_405(stack, job, route, body):
    for via in ("tls", "plain"):
        answer = fetch(stack, PATHS[route].format(job), method="POST", body=body, via=via)
        assert answer.status == 405
        assert_body_of(route, answer)


@each_route
def test_options_without_preflight_headers_gets_405(stack, job, route):
    answer = fetch(stack, PATHS[route].format(job), method="OPTIONS")
    assert answer.status == 405 and "OPTIONS" in answer.headers["allow"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "FOO", "PROPFIND"])
@pytest.mark.parametrize("route", ["status", "job"])
def test_an_unusual_method_gets_405_through_nginx(stack, job, route, method):
    got = raw_answer(
        stack, f"{method} {PATHS[route].format(job)} HTTP/1.1\r\nHost: localhost\r\n\r\n", "plain", head_suffices=True
    )
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 "), got
    assert b"allow: get" in head.lower()
    assert isinstance(json.loads(body), dict)


def test_the_body_of_a_get_is_ignored(stack, job):
    Builder(stack.redis, job).create()
    for via in ("tls", "plain"):
        answer = fetch(stack, PATHS["log-pages"].format(job), headers=stack.bearer(), body=b"x" * 500, via=via)
        assert answer.status == 200 and answer.json()["lines"] == []


# ---- the order of the checks ------------------------------------------------------------------------


@ways_in
def test_a_path_outside_the_routes_gets_404_with_any_method(stack, job, via, http):
    for path in (
        "/api/jobs",
        "/api/jobs/",
        f"/api/jobs/{job}",
        f"/api/jobs/{job}/",
        f"/api/jobs/{job}/stream/",
        f"/api/jobs/{job}/logs/",
        "/api/sse/stream/",
        "/api/sse",
        "/",
        f"/api/jobs/{job}/events",
        f"/api/v1/jobs/{job}/stream/x",
        f"/API/jobs/{job}/stream",
    ):
        for method in ("GET", "DELETE"):
            answer = fetch(stack, path, method=method, via=via, http=http)
            assert (path, answer.status) == (path, 404)
            assert "detail" in answer.json()


def test_405_comes_before_401_and_401_before_422_and_422_before_404(stack, job):
    unknown = PATHS["log-pages"].format(job)
    assert fetch(stack, unknown + "?limit=x", method="POST").status == 405
    assert fetch(stack, unknown + "?limit=x").status == 401
    assert fetch(stack, unknown + "?limit=x", headers=stack.bearer(broken="expired")).status == 401
    assert fetch(stack, unknown + "?limit=x", headers=stack.bearer()).status == 422
    assert fetch(stack, unknown, headers=stack.bearer()).status == 404
    lines = PATHS["log-stream"].format(job)
    assert fetch(stack, lines + "?last_event_id=x").status == 401
    assert fetch(stack, lines + "?last_event_id=x", headers=stack.bearer()).status == 422
    assert fetch(stack, lines, headers=stack.bearer()).status == 404


# ---- ids and paths --------------------------------------------------------------------------------

BAD_IDS = {
    "too long": "a" * 129,
    "far too long": "a" * 3000,
    "a space": "a%20b",
    "a slash": "a%2Fb",
    "a slash twice encoded": "a%252Fb",
    "a backslash": "a%5Cb",
    "a colon": "a:b",
    "CR LF": "a%0d%0aX-Evil:%201",
    "dots and a plus": "..+",
    "a star": "*",
    "a brace": "%7Bid%7D",
    "a plus": "a+b",
    "no UTF-8": "%ff",
    "UTF-8": "%C3%A9",
    "a quote": "%22",
    "a percent": "%25",
    "a semicolon": "a;b",
}


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("route", [name for name in PATHS if name != "spools"])
def test_an_invalid_job_id_gets_404_with_and_without_a_token(stack, route, bad):
    path = PATHS[route].format(BAD_IDS[bad])
    for via, http in (("tls", "1.1"), ("tls", "2"), ("gateway", "1.1")):
        for headers in (bearer_of(stack, route), {}):
            answer = fetch(stack, path, headers=headers, via=via, http=http)
            assert (via, answer.status) == (via, 404)
            assert isinstance(answer.json(), dict)
            assert "x-evil" not in answer.headers


# nginx turns these paths into paths of routes (tests/e2e/nginx/test_paths.py); the gateway does not.
PATHS_FOR_NGINX = [
    "/api/jobs/{0}/../{0}/stream",
    "/api/jobs/./{0}/stream",
    "/api/x/../jobs/{0}/stream",
    "/api/jobs/{0}/%2e%2e/{0}/stream",
    "//api/jobs/{0}/stream",
    "/api//jobs/{0}/stream",
    "/api/jobs//{0}/stream",
    "/api/jobs/{0}//stream",
    "/api/jobs/{0}%2Fstream",
    "/api%2Fjobs/{0}/stream",
    "/api/v1/jobs/{0}/stream//",
    "/api/jobs/%2e/stream",
    "/api/jobs/%2e%2e/stream",
]
MANIPULATED_PATHS = [
    "/api/jobs/{0}/stream%2F",
    "/api/jobs/{0}/stream%00",
    "/api/jobs/{0}%00/stream",
    "/api/jobs/%00{0}/stream",
    "/api/jobs/{0}/stream;x=1",
    "/api/jobs/{0}/stream%3Fx=1",
    "/api/jobs/{0}/stream%",
    "/api/jobs/{0}/stre%zzam",
    "/api/jobs/../../etc/passwd",
    "/_tailgate/auth",
    "/_tailgate/400",
    "/auth",
]


@pytest.mark.parametrize(
    "via, path",
    [("gateway", path) for path in PATHS_FOR_NGINX + MANIPULATED_PATHS]
    + [("plain", path) for path in MANIPULATED_PATHS],
)
def test_a_manipulated_path_matches_no_route(stack, job, via, path):
    # A job of alice with her credentials, so that the request would succeed if the path matched a route.
    Builder(stack.redis, job).create()
    target = path.format(job)
    token = stack.bearer()["Authorization"]
    identity = sealed(stack, f"/api/jobs/{job}/stream", stack.bearer())["X-Tailgate-Identity"]
    head = (
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\nX-Tailgate-Identity: {identity}\r\n\r\n"
    )
    got = raw_answer(stack, head, via, head_suffices=True)
    assert re.match(rb"HTTP/1\.1 (404|400) ", got), got[:300]
    assert b"<html" not in got.lower(), got


def test_a_needlessly_percent_encoded_path_matches_its_route(stack, job):
    Builder(stack.redis, job).create()
    encoded = "".join(f"%{ord(c):02x}" for c in job)
    stream = open_stream(stack, f"/api/jobs/{encoded}/%73tream", headers=stack.bearer())
    assert stream.status == 200
    assert stream.next_event().json()["job_id"] == job


@pytest.mark.parametrize(
    "target", ["http://localhost/api/sse/stream", "http://other.example/api/sse/stream", "*", "api/sse/stream", ""]
)
@pytest.mark.parametrize("via", ["plain", "gateway"])
def test_an_unusual_request_target_does_not_harm_the_gateway(stack, target, via):
    got = raw_answer(
        stack, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", via, head_suffices=True
    )
    assert got == b"" or re.match(rb"HTTP/1\.1 (200|400|404) ", got), got
    assert_gateway_lives(stack)
