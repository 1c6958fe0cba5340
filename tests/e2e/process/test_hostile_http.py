"""Invalid, slow, excessive and too many requests, at the gateway's own socket and through nginx."""

import contextlib
import json
import os
import re
import resource
import select
import socket
import time

import pytest

from support import routes
from support.clients import dial, fetch, open_stream, raw_answer, sealed, send
from support.publishers import Builder
from support.stack import ROOT
from support.waiting import Deadline, wait_until

PAGES = "/api/jobs/{}/logs"
SPOOLS = "/api/sse/stream"


def status_and_body(got):
    head, _, body = got.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] \d{3} ", head), got[:300]
    assert b"content-type: application/json" in head.lower(), head
    return int(head[9:12]), json.loads(body), head


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def connections(stack):
    """The numbers of connections at the streams listener and at the auth listener."""
    metrics = stack.metrics()
    return [metrics[f'tailgate_connections{{listener="{listener}"}}'] for listener in ("streams", "auth")]


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) * 1024


# ---- invalid requests -------------------------------------------------------------------------------

GET = b"GET /api/sse/stream HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/sse/stream HTTP/1.1\r\nHost: localhost\r\n"
INVALID_REQUESTS = {
    # name: bytes, status at the socket, status through nginx (200: nginx repairs the request; None: not tested)
    "a bare LF": (b"GET /api/sse/stream HTTP/1.1\nHost: localhost\n\n", 400, 200),
    "a bare LF behind a header": (GET + b"A: b\n\r\n", 400, 200),
    "a CR in a value": (GET + b"A: b\rc\r\n\r\n", 400, None),
    "a NUL in a value": (GET + b"A: b\0c\r\n\r\n", 400, 400),
    "a folded header": (GET + b"A: b\r\n c\r\n\r\n", 400, 400),
    "a space before the colon": (GET + b"A : b\r\n\r\n", 400, None),
    "no header name": (GET + b": b\r\n\r\n", 400, None),
    "two hosts": (GET + b"Host: other\r\n\r\n", 400, 400),
    "no host": (b"GET /api/sse/stream HTTP/1.1\r\n\r\n", 400, 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, 400),
    "two different lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400, 400),
    "a length with a sign": (POST + b"Content-Length: +1\r\n\r\nx", 400, 400),
    "a length and chunks": (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 400),
    "chunks and a length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400, 400),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, 405),
    "chunks in disguise": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 411, 501),
    "the identity coding": (POST + b"Transfer-Encoding: identity\r\n\r\n", 411, 501),
    "chunks twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, 400),
    "a body to HEAD": (b"HEAD /api/sse/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd", 400, None),
    "a body to an unknown method": (b"PURGE /api/sse/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd", 400, 405),
    "a large body": (POST + b"Content-Length: 100000\r\n\r\n", 413, 413),
    "an endless length": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 413, 400),
    "a strange expectation": (POST + b"Content-Length: 1\r\nExpect: tea\r\n\r\nx", 417, 405),
    "a long address": (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, 404),
    "a long header": (GET + b"A: " + b"a" * 60_000 + b"\r\n\r\n", 431, 431),
    "many headers": (GET + b"A: b\r\n" * 300 + b"\r\n", 431, 431),
    "HTTP/2.0": (b"GET /api/sse/stream HTTP/2.0\r\nHost: x\r\n\r\n", 505, 505),
    "the greeting of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, None),
    "HTTP/1.2": (b"GET /api/sse/stream HTTP/1.2\r\nHost: x\r\n\r\n", 505, 200),
    "no version": (b"GET /api/sse/stream\r\nHost: x\r\n\r\n", 400, None),
    "a version in small letters": (b"GET /api/sse/stream http/1.1\r\nHost: x\r\n\r\n", 400, 400),
    "two spaces": (b"GET  /api/sse/stream HTTP/1.1\r\nHost: x\r\n\r\n", 400, None),
    "an empty line first": (b"\r\n" + GET + b"\r\n", 400, 200),
    "a greeting of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, None),
    "CONNECT": (b"CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n", 501, 400),
    "an invalid port": (b"GET http://localhost:x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400, 400),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID_REQUESTS)
def test_an_invalid_request_gets_a_json_error_at_the_socket(stack, name):
    text, expected, _ = INVALID_REQUESTS[name]
    for via in ("gateway", "auth"):
        got = raw_answer(stack, text, via)
        status, body, head = status_and_body(got)
        assert (via, status) == (via, expected), got
        assert len(body["detail"]) > 8
        assert b"connection: close" in head.lower()
        assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", got)) == 1, "the rest of the bytes is not a second request"


@pytest.mark.parametrize("name", [name for name, (_, _, expected) in INVALID_REQUESTS.items() if expected])
def test_an_invalid_request_gets_one_answer_through_nginx(stack, name):
    text, _, expected = INVALID_REQUESTS[name]
    with dial(stack, "plain") as link:
        link.sendall(text)
        got = b""
        while b"\r\n\r\n" not in got:
            chunk = link.recv(65536)
            assert chunk, got
            got += chunk
    assert int(got[9:12]) == expected, got[:300]
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", got)) == 1


@pytest.mark.parametrize(
    "coding", ["chunked", "Chunked", " chunked", "chunked ", "\tchunked", "identity", "gzip, chunked"]
)
def test_a_request_smuggled_in_a_body_is_never_served(stack, coding):
    hidden = b"GET /api/jobs/hidden/logs HTTP/1.1\r\nHost: x\r\n\r\n"
    for lengths in (
        b"",
        b"Content-Length: 0\r\n",
        b"Content-Length: %d\r\n" % len(hidden),
        b"Content-Length: 3\r\nContent-Length: 0\r\n",
    ):
        for method in (b"GET", b"POST", b"HEAD", b"PURGE", b"OPTIONS", b"TRACE"):
            text = (
                method
                + b" /nothing HTTP/1.1\r\nHost: x\r\n"
                + lengths
                + b"Transfer-Encoding: "
                + coding.encode()
                + b"\r\n\r\n"
            )
            with dial(stack, "gateway") as link:
                link.sendall(text + hidden + b"0\r\n\r\n" + hidden)
                link.shutdown(socket.SHUT_WR)
                got = b""
                with contextlib.suppress(ConnectionError):
                    while chunk := link.recv(65536):
                        got += chunk
            assert got.count(b"HTTP/1.1 ") == 1 and got[9:12] in (b"400", b"411"), got


def test_invalid_utf8_in_a_path_gets_400_or_404(stack, job):
    Builder(stack.redis, job).create()
    for path in (
        f"/api/jobs/{job}%c0%af/stream", f"/api/jobs/%c0%ae%c0%ae/{job}/stream", f"/api/jobs/%e0%80%af{job}/stream",
        f"/api/jobs/%f0%80%80%af{job}/stream", f"/api/jobs/{job}/stream%ed%a0%80", f"/api/%c1%aajobs/{job}/stream",
    ):  # fmt: skip
        for via in ("plain", "gateway"):
            status, _, _ = status_and_body(raw_answer(stack, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), via))
            assert (path, via, status in (400, 404)) == (path, via, True)


def test_an_absolute_request_target_is_treated_like_its_path(stack, job):
    path = PAGES.format(job)
    for target in (f"http://localhost{path}?limit=x", f"https://user@other.example:81{path}?limit=x"):
        text = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
        got = raw_answer(stack, f"{text}\r\n".encode())
        assert status_and_body(got)[0] == 401
    got = raw_answer(stack, b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status_and_body(got)[0] == 404


# ---- methods ------------------------------------------------------------------------------------------

UNKNOWN_METHODS = ["PURGE", "PROPFIND", "M-SEARCH", "get", "Get", "TRACE", "X" * 5000]


@pytest.mark.parametrize(
    "kind", [routes.Events, routes.Lines, routes.Updates, routes.Progress], ids=lambda kind: kind.route
)
@pytest.mark.parametrize("method", UNKNOWN_METHODS, ids=lambda method: method[:10])
def test_an_unknown_method_gets_405_with_the_allowed_methods_at_the_socket(stack, job, kind, method):
    got = raw_answer(stack, f"{method} {kind(stack, job).path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    status, _, head = status_and_body(got)
    assert status == 405
    assert b"\r\nallow: get, options\r\n" in head.lower() + b"\r\n"


def test_an_unknown_method_on_an_unknown_path_gets_404(stack):
    for method in UNKNOWN_METHODS:
        assert status_and_body(raw_answer(stack, f"{method} /nothing HTTP/1.1\r\nHost: x\r\n\r\n".encode()))[0] == 404


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE"])
def test_the_allow_header_of_nginx_names_the_methods_of_the_route(stack, job, method):
    for path, allowed in (
        (f"/api/jobs/{job}/events/stream", "GET, OPTIONS"), (f"/api/jobs/{job}/events/stream?a=/b", "GET, OPTIONS"),
        (f"/api/jobs/{job}/logs/stream", "GET, OPTIONS"), (f"/api/v1/jobs/{job}/stream/", "GET, OPTIONS"),
        (SPOOLS, "GET, OPTIONS"), (f"/api/jobs/{job}/logs", "GET, HEAD, OPTIONS"), (f"/api/jobs/{job}/logs?limit=5", "GET, HEAD, OPTIONS"),
    ):  # fmt: skip
        status, _, head = status_and_body(
            raw_answer(stack, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), "plain")
        )
        assert (path, status) == (path, 405)
        assert re.search(rb"(?im)^allow: (.*?)\r?$", head)[1].decode() == allowed, (path, head)


# ---- slow requests ------------------------------------------------------------------------------------


def test_silent_and_slow_clients_are_closed_within_twenty_seconds(private_stack):
    stack = private_stack(nginx=False)
    pid = stack.gateway_pid
    assert raw_answer(stack, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: len(stack.connections()) >= 4, 5, "all links to Redis")
    wait_until(lambda: connections(stack) == [0, 0], 5, "the first connection is closed")
    before = descriptors(pid)
    kept = dial(stack, "gateway")
    kept.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(65536).startswith(b"HTTP/1.1 404 ")
    begun = time.monotonic()
    slow = {}
    for via in ("gateway", "auth"):
        for text in (
            b"",
            b"G",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc",
        ):
            for _ in range(5):
                link = dial(stack, via)
                link.sendall(text)
                slow[link] = text
    wait_until(lambda: connections(stack) == [26, 25], 5, "all connections are accepted")
    busy = cpu_seconds(pid)
    left = set(slow)
    while left and time.monotonic() - begun < 25:
        readable = select.select(left, [], [], 0.5)[0]
        for link in readable:
            try:
                got = link.recv(65536)
            except ConnectionError:
                got = b""
            # A client that has sent a part of its request gets an answer.
            if got:
                assert slow[link] and got.startswith(b"HTTP/1.1 408 "), got
            else:
                left.discard(link)
        for link in left - set(readable):
            if slow[link]:
                with contextlib.suppress(OSError):
                    link.send(b"a")
    spent = time.monotonic() - begun
    assert not left and 9 < spent < 20, (len(left), spent)
    assert cpu_seconds(pid) - busy < 3
    # Only the clients that had sent a part of a request count as refused requests.
    assert stack.metrics()['tailgate_requests_refused_total{listener="streams"}'] == 20
    # The connection `kept`, which is idle between two requests, stays open.
    wait_until(lambda: connections(stack) == [1, 0], 5, "all slow connections are closed")
    wait_until(lambda: descriptors(pid) <= before + 1, 5, "all their descriptors are released")
    kept.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(65536).startswith(b"HTTP/1.1 404 ")
    kept.close()
    for link in slow:
        link.close()
    wait_until(lambda: descriptors(pid) <= before, 5, "the last descriptor is released")


# ---- excessive pipelining -----------------------------------------------------------------------------


def test_pipelined_requests_of_a_client_that_does_not_read_wait_in_the_kernel(private_stack, job):
    stack = private_stack(nginx=False)
    Builder(stack.redis, job).create().log_many(500, "x" * 4000)
    path = PAGES.format(job) + "?limit=500"
    identity = sealed(stack, path, stack.bearer())
    head = "".join(f"{name}: {value}\r\n" for name, value in identity.items())
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode()
    fetch(stack, path, headers=identity, via="gateway", timeout=20)
    before = resident(stack.gateway_pid)
    links = [dial(stack, "gateway") for _ in range(10)]
    sent = dict.fromkeys(links, 0)
    for link in links:
        link.settimeout(0)
    # Send until the gateway has read nothing for half a second.
    still = Deadline(0.5)
    limit = Deadline(30)
    while not still.over() and not limit.over():
        for link in select.select([], links, [], 0.05)[1]:
            try:
                more = link.send((one * 200)[sent[link] % len(one) :])
            except BlockingIOError:
                continue
            sent[link] += more
            still = Deadline(0.5)
    assert max(sent.values()) < 1_000_000, "the gateway limits how far it reads ahead"
    # One answer of 2 MB for each connection, not thousands.  AddressSanitizer keeps 256 MB of freed memory.
    assert resident(stack.gateway_pid) - before < 400_000_000
    # When the client reads, all complete requests are answered in order.
    first = links[0]
    first.settimeout(20)
    answers = got = 0
    tail = b""
    while answers < 3:
        chunk = first.recv(1 << 20)
        assert chunk
        got += len(chunk)
        tail = tail[-20:] + chunk
        answers += tail.count(b"HTTP/1.1 200 OK") - tail[:20].count(b"HTTP/1.1 200 OK")
    assert got > 2_000_000
    for link in links:
        link.close()


# ---- no free descriptors and no memory ----------------------------------------------------------------


def limit_descriptors(pid, number):
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, old[1]))
    return old


def try_open(stack, path):
    """An open stream, or None if the connection was closed without an answer."""
    link = None
    with contextlib.suppress(ConnectionError):
        link = send(stack, path, via="gateway")
        link.wait(lambda: link.status or link.ended, 5, "an answer or the end")
    if link and link.status is None:
        assert link.ended == "cut"
    return link if link and link.status == 200 else None


def test_without_free_descriptors_open_streams_are_served_and_new_ones_are_closed(private_stack, job):
    stack = private_stack(nginx=False)
    endpoint = routes.Updates(stack, job)
    old = limit_descriptors(stack.gateway_pid, 128)
    served = [link for link in [try_open(stack, endpoint.path) for _ in range(200)] if link]
    # If the limit is this small, the gateway reserves half of it for the ops listener and for Redis.
    assert 20 < len(served) <= 64
    # Further attempts are still refused at once, and the ops listener still answers.
    busy, begun = cpu_seconds(stack.gateway_pid), time.monotonic()
    while time.monotonic() - begun < 2:
        assert try_open(stack, endpoint.path) is None
        assert stack.ops("/healthz")[0] == 200
        select.select([], [], [], 0.05)
    assert cpu_seconds(stack.gateway_pid) - busy < 1.5
    metrics = stack.metrics()
    assert metrics['tailgate_connections{listener="streams"}'] == len(served)
    assert metrics['tailgate_connections_turned_away_total{listener="streams"}'] >= 200 - len(served)
    assert metrics['tailgate_connections_turned_away_total{listener="ops"}'] == 0
    lines = stack.logs("connection.turned_away") + stack.logs("accept.failed")
    assert 1 <= len(lines) <= 8 and sum(1 + line["held_back"] for line in lines) <= 250
    # The gateway reconnects to Redis although clients use all their descriptors.
    stack.restart("redis")
    wait_until(lambda: json.loads(stack.ops("/readyz")[1])["redis"] == "up", 15, "the links to Redis")
    wait_until(lambda: stack.subscribers(endpoint.channel) == 1, 10, "the subscription")
    endpoint.write_number(7)
    for link in served:
        assert endpoint.number_in(link.events_until("spool_update", timeout=10)[-1]) == 7
    for link in served[:20]:
        link.close()
    wait_until(lambda: try_open(stack, endpoint.path), 5, "a new client is served")
    resource.prlimit(stack.gateway_pid, resource.RLIMIT_NOFILE, old)
    again = [open_stream(stack, endpoint.path, via="gateway") for _ in range(100)]
    assert {link.status for link in again} == {200}


def test_nginx_answers_unavailable_for_a_gateway_without_free_descriptors(private_stack, job):
    stack = private_stack()
    limit_descriptors(stack.gateway_pid, 64)
    full = []
    while (link := try_open(stack, SPOOLS)) is not None:
        full.append(link)
        assert len(full) < 60
    answer = fetch(stack, SPOOLS)
    assert answer.status == 503 and answer.headers["retry-after"]
    native = open_stream(stack, SPOOLS, headers={"Accept": "text/event-stream"})
    event = native.next_event()
    assert (native.status, event.name, event.json()) == (200, "unavailable", {"reason": "down"})


@pytest.mark.release
def test_a_gateway_out_of_memory_serves_or_exits_but_never_hangs(private_stack, job, monkeypatch):
    # The release build, because the allocator of a sanitizer behaves differently without memory.
    monkeypatch.setenv("TAILGATE_BINARY", str(ROOT / "build/release/tailgate"))
    stack = private_stack(nginx=False)
    pid = stack.gateway_pid
    Builder(stack.redis, job).create().log_many(500, "x" * 8000)
    used = int(re.search(r"VmSize:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) * 1024
    resource.prlimit(pid, resource.RLIMIT_AS, (used + 4_000_000, used + 4_000_000))
    path = PAGES.format(job) + "?limit=500"
    with contextlib.suppress(OSError, AssertionError):
        links = [send(stack, path, headers=sealed(stack, path, stack.bearer()), via="gateway") for _ in range(30)]
        for link in links:
            link.wait(lambda link=link: link.status or link.ended, 10, "an answer or the end")

    def outcome_of():
        with contextlib.suppress(OSError):
            if stack.ops("/healthz")[0] == 200:
                return "alive"
        state = (
            open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] if os.path.exists(f"/proc/{pid}") else "Z"
        )
        return "dead" if state == "Z" else None

    outcome = wait_until(outcome_of, 15, "the gateway answers or has exited")
    print(f"with 4 MB left and 30 requests for pages of 4 MB, the gateway is {outcome}")
    if outcome == "alive":
        assert fetch(stack, "/nothing", via="gateway").status == 404
