"""Requests that are too large, unusual or not HTTP get a clear answer and do not harm the gateway."""

import json
import re
import socket

import pytest

from support.bad_input import PATHS, assert_gateway_lives
from support.clients import dial, fetch, open_stream, raw_answer, sealed
from support.publishers import Builder


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
