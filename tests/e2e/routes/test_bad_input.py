"""Bad input gets the right status and a clear sentence: requests first, then the configuration."""

import json
import os
import re
import socket
import subprocess

import pytest

from support import routes
from support.clients import dial, fetch, open_stream, raw_answer, sealed
from support.publishers import Blog, Builder
from support.stack import ROOT, default_binary
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
    """The error body of the route, with a sentence in it."""
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


def gateway_lives(stack):
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
    nobodys = PATHS["log-pages"].format(job)
    assert fetch(stack, nobodys + "?limit=x", method="POST").status == 405
    assert fetch(stack, nobodys + "?limit=x").status == 401
    assert fetch(stack, nobodys + "?limit=x", headers=stack.bearer(broken="expired")).status == 401
    assert fetch(stack, nobodys + "?limit=x", headers=stack.bearer()).status == 422
    assert fetch(stack, nobodys, headers=stack.bearer()).status == 404
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
    # Alice's own job, so that whichever way it is read, there would be something to be had.
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
    gateway_lives(stack)


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


# ---- bytes that are no request ------------------------------------------------------------------------


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
    gateway_lives(stack)


def test_a_request_that_nginx_refuses_gets_a_json_body(stack):
    for text, status in (
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 9000 + "\r\n\r\n", 431),
    ):
        head, _, body = raw_answer(stack, text, "plain", head_suffices=True).partition(b"\r\n\r\n")
        assert head.split(b" ")[1] == str(status).encode(), head
        assert set(json.loads(body)) == {"detail"}


@pytest.mark.parametrize("kilobytes", [3, 7, 12, 18, 24])
@pytest.mark.parametrize("http", ["1.1", "2"])
def test_many_cookies_are_accepted_or_get_431(stack, job, kilobytes, http):
    # Four lines of 8 KB pass nginx; what passes it the gateway must not choke on.
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
    gateway_lives(stack)


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
    gateway_lives(stack)


def test_an_oversized_body_gets_413_or_is_cut_off(stack, job):
    answer = fetch(stack, PATHS["status"].format(job), method="POST", body=b"x" * 100_000)
    assert answer.status == 413 and answer.json()["detail"]
    got = raw_answer(
        stack,
        b"POST /api/sse/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000,
        head_suffices=True,
    )
    assert got == b"" or got.startswith(b"HTTP/1.1 4")
    gateway_lives(stack)


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
    gateway_lives(stack)


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


# ---- what the backend may write -----------------------------------------------------------------------


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
    wait_until(lambda: stack.subscribers("spools:updates"), 5, "the dashboard's subscription")
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


# ---- the command line -----------------------------------------------------------------------------

ENV = {
    "PATH": os.environ["PATH"],
    "REDIS_URL": "redis://localhost:6379",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
}


def tailgate(*words, env=None, cwd=None):
    command = [str(default_binary()), *map(str, words)]
    return subprocess.run(
        command, env={**ENV, **(env or {})}, cwd=cwd, capture_output=True, text=True, timeout=20, check=False
    )


def check(config=ROOT / "deploy/all-three.toml", *more, env=None):
    return tailgate("--check", "--config", config, *more, env=env)


@pytest.mark.parametrize("example", ["all-three", "builder", "spools", "blog", "blog-application", "reference"])
def test_each_example_configuration_passes_the_check(example):
    done = check(ROOT / f"deploy/{example}.toml")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_prints_the_number_of_routes():
    assert check(ROOT / "deploy/all-three.toml").stdout.endswith("all-three.toml: good, 6 routes\n")
    assert check(ROOT / "deploy/spools.toml").stdout.endswith("spools.toml: good, 1 route\n")


def test_the_check_creates_no_file(tmp_path):
    sockets = ["--set", f"listen.streams=unix:{tmp_path}/s", "--set", f"identity.key_file={tmp_path}/key"]
    assert check(ROOT / "deploy/all-three.toml", *sockets).returncode == 0
    assert list(tmp_path.iterdir()) == []


SPOILED = [
    # what is replaced, by what, the key that is named, words of the rule
    ('source    = "channel"', 'source = "chanel"', "route.events.source", ['"channel"', '"log"', '"pages"']),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "api/{id}"', "route.events.path", ['begin with "/"']),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "/api/{id}/{id}"', "route.events.path", ["more than one {id}"]),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = 5', "route.events.path", ["not an integer"]),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "/api/jobs/{id}/stream"', "route.status.path", ["events"]),
    ('key       = "job:{id}:events"', 'key = "job:events"', "route.events.key", ["{id}"]),
    ('who       = "owner"', 'who = "everyone"', "route.events.who", ['"owner" or "anyone"']),
    ('record    = "builder-job"', 'record = "another"', "route.events.record", ["another"]),
    ('providers = ["clerk"]', 'providers = ["nobody"]', "route.events.providers", ["nobody"]),
    ('credentials = ["bearer"]', 'credentials = ["basic"]', "route.events.credentials", []),
    ('framing   = "raw"', "", "route.events.framing", ["missing"]),
    ('framing   = "raw"', 'framing = "raw"\ncolour = "blue"', "route.events.colour", ["no key that is known"]),
    ('framing   = "raw"', 'framing = "raw"\nretri_ms = 1', "route.events.retri_ms", ["retry_ms"]),
    ('every_s = 15', 'every_s = 0', "route.events.heartbeat.every_s", ["0.05", "3600"]),
    ('every_s = 15', 'every_s = -1', "route.events.heartbeat.every_s", ["0.05"]),
    ('every_s = 15', 'every_s = "15"', "route.events.heartbeat.every_s", ["not a text"]),
    ('every_s = 15', 'every_s = nan', "route.events.heartbeat.every_s", []),
    ('terminal = ["ready", "failed"]', 'terminal = "ready"', "record.builder-job.terminal", ["text"]),
    ('on_unavailable = "sse"', 'on_unavailable = "events"', "route.events.on_unavailable", ['"status", "sse" or "auto"']),
    ('"status":${status},"job_id":${id}', '"status":${state}', "route.events.ending[0].data", ["state"]),
    ('algorithms = ["RS256"]', 'algorithms = ["none"]', "provider.clerk.algorithms", ["none"]),
    ('algorithms = ["RS256"]', 'algorithms = ["HS256"]', "provider.clerk.algorithms", ["shared secret"]),
    ('algorithms = ["RS256"]', "algorithms = []", "provider.clerk.algorithms", []),
    ('origins = []', 'origins = ["*"]', "cors.origins", ["every site"]),
    ('origins = []', 'origins = ["https://app.example.com/"]', "cors.origins", ['"/"']),
    ('error_body = \'{"success":false,"error":${error},"message":${message}}\'', 'error_body = \'{"success":\'', "route.job.error_body", []),
]  # fmt: skip


@pytest.mark.parametrize(
    "old, new, key, words", SPOILED, ids=lambda value: value if isinstance(value, str) and "." in value else ""
)
def test_a_configuration_error_names_line_key_and_rule(tmp_path, old, new, key, words):
    text = (ROOT / "deploy/all-three.toml").read_text()
    assert old in text
    config = tmp_path / "site.toml"
    config.write_text(text.replace(old, new, 1))
    line = text[: text.index(old)].count("\n") + 1
    done = check(config)
    assert (done.returncode, done.stdout) == (2, "")
    found = [text for text in done.stderr.splitlines() if f": {key}: " in text]
    assert len(found) == 1, done.stderr
    match = re.fullmatch(rf"{re.escape(str(config))}:(\d+): {re.escape(key)}: (.+)", found[0])
    assert match, found[0]
    assert all(word in match[2] for word in words), found[0]
    # A key that is missing is said where its table begins; a route that clashes where the other stands.
    if "missing" not in words and key != "route.status.path":
        assert line <= int(match[1]) <= line + 1, found[0]


def test_all_configuration_errors_are_reported_in_line_order(tmp_path):
    config = tmp_path / "site.toml"
    text = (ROOT / "deploy/all-three.toml").read_text()
    config.write_text(text.replace('who       = "owner"', 'who = "x"').replace('source    = "channel"', 'source = "y"'))
    lines = check(config).stderr.splitlines()
    assert len([line for line in lines if ".who: " in line]) == 5
    assert len([line for line in lines if ".source: " in line]) >= 3
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "text",
    ["[route.x", "a = ", "= 1", 'a = "x', "a = 1\na = 2", "\xff\xfe", "[route.x]\npath = '/a'\n[route.x]\n", "\0"],
)
def test_a_toml_syntax_error_names_its_line(tmp_path, text):
    config = tmp_path / "site.toml"
    config.write_bytes(("# a comment\n" + text + "\n").encode("latin-1"))
    done = check(config)
    assert done.returncode == 2
    assert re.match(rf"{re.escape(str(config))}:[2-5]: TOML: \S", done.stderr), done.stderr


def test_a_missing_or_empty_configuration_file_is_reported(tmp_path):
    done = check(tmp_path / "none.toml")
    assert done.returncode == 2 and "none.toml: No such file" in done.stderr
    (tmp_path / "empty.toml").write_text("")
    done = check(tmp_path / "empty.toml")
    assert done.returncode == 2 and "redis" in done.stderr and "route" in done.stderr
    done = check(tmp_path)
    assert done.returncode == 2 and done.stderr.strip()


@pytest.mark.parametrize("setting, words", [
    ("route.events.heartbeat.every_s=abc", ["route.events.heartbeat.every_s", "0.05"]),
    ("route.events.retry_ms=0", ["route.events.retry_ms", "from 1 to"]),
    ("route.nothing.retry_ms=5", ["route.nothing"]),
    ("rediss.url=x", ["rediss"]),
    ("listen.ops=nonsense", ["listen.ops", "unix:/path"]),
    ("limits.streams=-1", ["limits.streams", "from 0"]),
    ("limits.trusted_proxies=[\"10.0.0.0/40\"]", ["limits.trusted_proxies", "10.0.0.0/40"]),
    ("drain.settle_s=30", ["drain.settle_s", "shorter than"]),
    ("identity.life_s=5", ["identity.life_s", "from 60"]),
    ("listen.socket_mode=0999", ["listen.socket_mode", "octal"]),
    ("", ["key=value"]),
    ("novalue", ["key=value"]),
    ("=x", []),
])  # fmt: skip
def test_an_invalid_set_option_is_reported(setting, words):
    done = check(ROOT / "deploy/all-three.toml", "--set", setting)
    assert done.returncode == 2
    assert all(word in done.stderr for word in ["--set", *words]), done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost",
        "redis://",
        "redis://localhost:0",
        "redis://localhost:99999",
        "redis://localhost/x",
        "redis://:%zz@localhost",
        "rediss://localhost",
        "unix:relative",
        "unix:" + "/x" * 60,
        "redis://[::1",
        "redis://a b",
    ],
)
def test_an_invalid_redis_url_is_reported_without_its_password(url):
    secret = "pa55w0rd"
    shown = url.replace("redis://", f"redis://user:{secret}@") if url.count("@") == 0 and len(url) > 8 else url
    done = check(env={"REDIS_URL": shown})
    assert done.returncode == 2
    assert ": redis.url_env: " in done.stderr
    assert secret not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "missing, key",
    [
        ("REDIS_URL", "redis.url_env"),
        ("JWT_SECRET", "provider.blog.secret_env"),
        ("CLERK_PUBLISHABLE_KEY", "provider.clerk.clerk_publishable_key_env"),
    ],
)
def test_a_missing_environment_variable_is_reported_with_its_key(missing, key):
    env = {name: value for name, value in ENV.items() if name != missing}
    command = [str(default_binary()), "--check", "--config", str(ROOT / "deploy/all-three.toml")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert f": {key}: the environment variable {missing} is not set" in done.stderr
    assert f": {key}: the environment variable {missing} is empty" in check(env={missing: ""}).stderr


@pytest.mark.parametrize("secret", ["pa55w0rd-15byte", "x"])
def test_a_short_secret_is_refused_without_printing_it(secret):
    done = check(env={"JWT_SECRET": secret})
    assert done.returncode == 2
    assert "16 bytes" in done.stderr and (len(secret) == 1 or secret not in done.stderr)


@pytest.mark.parametrize(
    "key", ["pk_test_", "pk_live_!!!!", "sk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20"]
)
def test_an_invalid_publishable_key_is_reported(key):
    done = check(env={"CLERK_PUBLISHABLE_KEY": key})
    assert done.returncode == 2
    assert "provider.clerk.clerk_publishable_key_env" in done.stderr and "publishable key" in done.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["--check"], ["--config"], ["--nonsense"], ["--print", "all", "--config", "x"], ["serve"], ["--set", "a=b"]],
)
def test_an_invalid_command_line_prints_the_usage(words):
    done = tailgate(*words)
    assert done.returncode == 2
    assert "usage: tailgate --config FILE" in done.stderr and done.stdout == ""


def test_an_address_that_cannot_be_bound_exits_with_1(tmp_path):
    (tmp_path / "file").write_text("no socket")
    base = [
        "--config",
        ROOT / "deploy/all-three.toml",
        "--set",
        f"identity.key_file={tmp_path}/key",
        "--set",
        f"listen.auth=unix:{tmp_path}/auth",
    ]
    for place, words in (
        (f"unix:{tmp_path}/file", "is not a socket"),
        (f"unix:{tmp_path}/none/s", "cannot bind"),
        ("203.0.113.1:2345", "cannot bind"),
    ):
        done = tailgate(*base, "--set", f"listen.streams={place}")
        assert done.returncode == 1
        assert done.stderr.startswith("listen.streams: ") and words in done.stderr


def test_an_identity_key_file_that_others_may_read_or_that_has_no_key_is_refused(tmp_path):
    key = tmp_path / "key"
    base = ["--config", ROOT / "deploy/all-three.toml", "--set", f"identity.key_file={key}"]
    key.write_text("ab" * 32)
    key.chmod(0o644)
    done = tailgate(*base)
    assert done.returncode == 1 and "chmod 600" in done.stderr
    key.write_text("not a key")
    key.chmod(0o600)
    done = tailgate(*base)
    assert done.returncode == 1 and "not a key" in done.stderr.replace("is ", "")
    assert "ab" * 32 not in done.stderr


def test_a_socket_in_use_by_another_process_is_not_taken_over(stack, tmp_path):
    base = [
        "--config",
        ROOT / "deploy/all-three.toml",
        "--set",
        f"identity.key_file={tmp_path}/key",
        "--set",
        f"listen.auth=unix:{tmp_path}/auth",
    ]
    done = tailgate(*base, "--set", f"listen.streams=unix:{stack.gateway_socket}")
    assert done.returncode == 1 and "another process listens there" in done.stderr
    assert fetch(stack, "/nothing", via="gateway").status == 404
