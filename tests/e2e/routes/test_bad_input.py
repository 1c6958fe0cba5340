"""Requests with bad input get the right status and a clear sentence.  Data of workers cannot forge fields."""

import json
import os
import re
import socket

import pytest

from support import routes
from support.clients import dial, fetch, open_stream, raw_answer, sealed
from support.publishers import Blog, Builder
from support.waiting import wait_until

PATHS = {
    "events": "/api/jobs/{}/events/stream",
    "status": "/api/jobs/{}/stream",
    "log-stream": "/api/jobs/{}/logs/stream",
    "log-pages": "/api/jobs/{}/logs",
    "spools": "/api/sse/stream",
    "job": "/api/v1/jobs/{}/stream",
}
each_route = pytest.mark.parametrize("route", PATHS)
ways_in = pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("gateway", "1.1")])


def assert_body_of(route, answer):
    """Checks that the answer has the error body of the route, and returns the sentence in it."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if route == "job":
        assert set(body) == {"success", "error", "message"} and body["success"] is False and body["error"]
        sentence = body["message"]
    else:
        assert set(body) == {"detail"}
        sentence = body["detail"]
    assert len(sentence) > 8 and sentence == sentence.strip()
    return sentence


def bearer_of(stack, route, user="alice"):
    if route == "spools":
        return {}
    return stack.bearer(user, "blog" if route == "job" else "builder")


def assert_gateway_lives(stack):
    assert stack.ops("/healthz")[0] == 200
    os.kill(stack.gateway_pid, 0)


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
        f"/api/v1/jobs/{job}/stream//",
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
    "one dot": "%2e",
    "two dots": "%2e%2e",
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


@pytest.mark.parametrize("via", ["plain", "gateway"])
@pytest.mark.parametrize(
    "path",
    [
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
    ],
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


# ---- parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, value", [
    ("limit", "0"), ("limit", "501"), ("limit", "-1"), ("limit", "1e2"), ("limit", "10%20"), ("limit", "%0d%0a1"), ("limit", "1%00"),
    ("limit", "99999999999999999999"), ("limit", "0x10"), ("limit", ""),
    ("before_id", "5"), ("before_id", "-"), ("before_id", "(5-1"), ("before_id", "5-1%0d%0aX-Evil: 1"), ("before_id", "$"), ("before_id", "+"),
    ("before_id", "18446744073709551616-0"), ("before_id", "5-1-1"), ("before_id", "5-1%00"),
    ("limit", "5&limit=6"), ("before_id", "5-1&before_id=5-1"),
])  # fmt: skip
@pytest.mark.parametrize("via", ["tls", "gateway"])
def test_an_invalid_page_parameter_gets_422_with_its_name(stack, job, name, value, via):
    Builder(stack.redis, job).create()
    path = PATHS["log-pages"].format(job)
    headers = sealed(stack, path, stack.bearer()) if via == "gateway" else stack.bearer()
    answer = fetch(stack, f"{path}?{name}={value}".replace(" ", "%20"), headers=headers, via=via)
    assert answer.status == 422
    assert assert_body_of("log-pages", answer).startswith(name)
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "5",
        "$",
        "0",
        "5-",
        "-5",
        "5-1%0a",
        "end",
        "end.5",
        "end.5-x",
        "5-1%0d%0aevent:%20done",
        "",
        "5-1&last_event_id=5-1",
    ],
)
def test_an_invalid_last_event_id_parameter_gets_422_with_its_name(stack, job, value):
    Builder(stack.redis, job).create()
    answer = fetch(stack, f"{PATHS['log-stream'].format(job)}?last_event_id={value}", headers=stack.bearer())
    assert answer.status == 422
    assert assert_body_of("log-stream", answer).startswith("last_event_id")


@pytest.mark.parametrize("query", ["limit=%", "limit=%z1", "%=1", "limit=5&x=%"])
def test_a_query_that_cannot_be_decoded_gets_422(stack, job, query):
    Builder(stack.redis, job).create()
    answer = fetch(stack, f"{PATHS['log-pages'].format(job)}?{query}", headers=stack.bearer())
    assert answer.status == 422
    assert_body_of("log-pages", answer)


@pytest.mark.parametrize("query", ["", "&", "=", "&&=&", "a", "a=b=c", "?", "limit", "x=%", "%00", "a=" + "b" * 4000])
def test_a_route_without_parameters_ignores_the_query(stack, job, query):
    Builder(stack.redis, job).create()
    for path, headers in ((PATHS["status"].format(job), stack.bearer()), (PATHS["spools"], {})):
        with open_stream(stack, f"{path}?{query}", headers=headers) as stream:
            assert (path, stream.status) == (path, 200)


@pytest.mark.parametrize("route", ["events", "status", "spools", "job"])
@pytest.mark.parametrize("text", ["x", "1-1", "\u00e9", "a" * 4000, "end.", "end.x", " ", "-1"])
def test_a_malformed_last_event_id_header_is_ignored(stack, job, route, text):
    Builder(stack.redis, job).create()
    Blog(stack.redis, job, "alice").create("running")
    headers = {**bearer_of(stack, route), "Last-Event-ID": text}
    with open_stream(stack, PATHS[route].format(job), headers=headers) as stream:
        assert stream.status == 200


# ---- invalid requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /api/sse/stream HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /api/sse/stream HTTP/1.1\r\n\r\n",
        b"GET /api/sse/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/sse/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /api/sse/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/sse/stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"GET /api/sse/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n" * 100,
    ],
)
@pytest.mark.parametrize("via", ["plain", "gateway", "auth"])
def test_bytes_that_are_not_http_do_not_harm_the_gateway(stack, text, via):
    link = dial(stack, via)
    with link:
        link.sendall(text)
        link.shutdown(socket.SHUT_WR)
        link.settimeout(5)
        try:
            got = link.recv(65536)
        except ConnectionError:
            got = b""
    assert got == b"" or got.startswith(b"HTTP/1.1 "), got
    assert_gateway_lives(stack)


def test_a_request_that_nginx_refuses_gets_a_json_body(stack):
    for text, status in (
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET /" + "a" * 70_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 70_000 + "\r\n\r\n", 431),
    ):
        head, _, body = raw_answer(stack, text, "plain", head_suffices=True).partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == str(status).encode(), head
        assert set(json.loads(body)) == {"detail"}


@pytest.mark.parametrize("kilobytes", [3, 7, 12, 18, 24])
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_many_cookies_are_accepted_or_get_431(stack, job, kilobytes, http):
    # nginx accepts four header lines of 8 KB, so the gateway must handle them.
    Builder(stack.redis, job).create()
    crumbs, left = [], kilobytes * 1024
    while left > 0:
        crumbs.append(("Cookie", f"c{left}=" + "x" * min(left, 6000)))
        left -= 6000
    for path, headers in (
        (PATHS["log-pages"].format(job), stack.bearer()),
        (PATHS["spools"], {"Accept": "text/event-stream"}),
    ):
        with open_stream(stack, path, headers=[*headers.items(), *crumbs], http=http) as answer:
            assert (path, answer.status in (200, 431)) == (path, True), (answer.status, answer.headers)
            if path == PATHS["spools"] and answer.status == 200:
                assert "unavailable" not in answer.next_block() + answer.raw.decode()
    assert_gateway_lives(stack)


@pytest.mark.parametrize("via", ["gateway", "auth"])
def test_an_endless_request_head_is_cut_off_at_the_socket(stack, via):
    link = dial(stack, via)
    with link:
        link.settimeout(5)
        sent = 0
        try:
            link.sendall(b"GET /api/sse/stream HTTP/1.1\r\n")
            while sent < 4_000_000:
                link.sendall(b"X-More: " + b"y" * 4000 + b"\r\n")
                sent += 4000
            while link.recv(65536):
                pass
        except (ConnectionError, BrokenPipeError):
            pass
    assert sent < 4_000_000 or link.fileno() == -1
    assert_gateway_lives(stack)


def test_an_oversized_body_gets_413_or_is_cut_off(stack, job):
    answer = fetch(stack, PATHS["status"].format(job), method="POST", body=b"x" * 100_000)
    assert answer.status == 413 and answer.json()["detail"]
    got = raw_answer(
        stack,
        b"POST /api/sse/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000,
        head_suffices=True,
    )
    assert got == b"" or got.startswith(b"HTTP/1.1 4")
    assert_gateway_lives(stack)


def test_a_request_sent_byte_by_byte_is_served(stack):
    text = b"GET /api/sse/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    link = dial(stack, "gateway")
    with link:
        for byte in text:
            link.sendall(bytes([byte]))
        assert link.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_on_an_open_stream_are_ignored(stack, job):
    worker = Builder(stack.redis, job).create()
    path = PATHS["status"].format(job)
    stream = open_stream(stack, path, headers=sealed(stack, path, stack.bearer()), via="gateway")
    stream.next_event()
    other = sealed(stack, path, stack.bearer())["X-Tailgate-Identity"]
    for _ in range(20):
        stream.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nX-Tailgate-Identity: {other}\r\n\r\n".encode() + b"\x00" * 2000
        )
    payload = worker.publish("snapshot.updated")
    assert stream.next_event().data == payload
    assert stream.raw.count(b"retry:") == 1
    assert_gateway_lives(stack)


def test_pipelined_requests_are_all_answered(stack, job):
    one = f"GET /nothing/{job} HTTP/1.1\r\nHost: x\r\n\r\n"
    link = dial(stack, "gateway")
    with link:
        link.sendall((one * 3).encode())
        got = b""
        while got.count(b"HTTP/1.1 404 ") < 3:
            chunk = link.recv(65536)
            assert chunk, got
            got += chunk


@pytest.mark.parametrize("text", ["a\tb", "x" * 200, "\u00e9", "a b", "", '"', "<script>"])
def test_an_invalid_request_id_is_replaced(stack, job, text):
    answer = fetch(stack, PATHS["status"].format(job), headers={"X-Request-ID": text})
    assert answer.headers["x-request-id"] != text
    assert re.fullmatch(r"[\x21-\x7e]{8,128}", answer.headers["x-request-id"])


# ---- data of workers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("evil", ["x\nid: end", "x\r\rdata: forged", "x\0y", "\n\nevent: complete\ndata: {}\n\n"])
def test_a_name_or_id_from_redis_cannot_forge_a_field(stack, job, evil):
    blog = Blog(stack.redis, job, user="alice").create("running", current_step=evil)
    stream = open_stream(stack, PATHS["job"].format(job), headers=stack.bearer("alice", "blog"))
    standing = stream.events_until("progress-update")[-1]
    assert standing.json()["currentStep"] == evil
    blog.publish(evil, {"a": 1})
    blog.publish("step-change", {"text": evil})
    event = stream.next_event()
    assert (event.name, event.json()) == ("step-change", {"text": evil})
    assert stream.last_id == ""
    spools = open_stream(stack, PATHS["spools"])
    wait_until(lambda: stack.subscribers("spools:updates"), 5, "the subscription of the spools stream")
    marker = f"{job}-{len(evil)}"
    stack.redis.publish("spools:updates", json.dumps({"event_type": "TOMAR", "timestamp": evil, "tag": marker}))
    came = spools.events_until(lambda event: json.loads(event.data).get("tag") == marker)[-1]
    assert came.name == "spool_update" and came.json()["timestamp"] == evil
    assert "id:" not in [block for block in spools.blocks if marker in block][0].replace(json.dumps(evil), "")


@pytest.mark.parametrize("kind", [routes.Status, routes.Progress], ids=lambda kind: kind.route)
def test_a_record_with_arbitrary_bytes_gives_valid_json(stack, job, kind):
    endpoint = kind(stack, job).create()
    for field in ("status_message", "progress", "current_step", "estimated_seconds_remaining", "result"):
        stack.redis.hset(endpoint.record_key, field, b'\xff\x00\n\r"\\{}')
    stream = open_stream(stack, endpoint.path, headers=endpoint.headers())
    events = stream.events_until(lambda event: event.name in ("message", "progress-update"))
    for event in events:
        event.json()
