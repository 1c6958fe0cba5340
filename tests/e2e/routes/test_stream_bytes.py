"""All routes: the headers and the bytes of a stream."""

import time

import pytest

from support import routes, sse
from support.clients import NotReceived, sealed, send
from support.routes import open_directly, open_endpoint, open_live_stream
from support.waiting import wait_until

on_every_route = pytest.mark.parametrize("kind", routes.ALL, ids=lambda kind: kind.route)
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@on_every_route
@ways_in
def test_a_stream_has_headers_that_prevent_buffering_and_caching(stack, job, kind, http, via):
    stream = open_endpoint(kind(stack, job).create(), headers={"Accept-Encoding": "gzip, br"}, http=http, via=via)
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-cache, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers and "content-length" not in stream.headers


@on_every_route
def test_a_request_id_is_echoed(stack, job, kind):
    stream = open_endpoint(
        kind(stack, job).create(), headers={"X-Request-ID": "Root=1-67891233-abcdef012345678912345678"}
    )
    assert stream.headers["x-request-id"] == "Root=1-67891233-abcdef012345678912345678"


@on_every_route
def test_a_request_without_a_request_id_gets_one(stack, job, kind):
    assert len(open_endpoint(kind(stack, job).create()).headers["x-request-id"]) >= 16


@on_every_route
@ways_in
def test_the_retry_field_is_sent_at_once(stack, job, kind, http, via):
    begin = time.monotonic()
    stream = open_endpoint(kind(stack, job).create(), http=http, via=via)
    assert stream.next_block() == "retry: 3000"
    assert time.monotonic() - begin < 2
    assert stream.retry == 3000


@on_every_route
def test_lines_end_with_lf_and_blocks_with_an_empty_line(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    for number in range(3):
        endpoint.write_number(number)
    stream.events_until(lambda event: endpoint.number_in(event) == 2)
    assert b"\r" not in stream.raw
    assert stream.raw.endswith(b"\n\n") and b"\n\n\n" not in stream.raw


@on_every_route
def test_the_retry_field_has_the_configured_time(stack_with, job, kind):
    stack = stack_with({f"route.{each.route}.retry_ms": 1250 for each in routes.ALL})
    assert open_endpoint(kind(stack, job).create()).next_block() == "retry: 1250"


@on_every_route
def test_an_http_1_0_client_gets_the_stream_without_chunked_encoding(stack, job, kind):
    endpoint = kind(stack, job).create()
    headers = sealed(stack, endpoint.path, endpoint.headers())
    lines = [
        f"GET {endpoint.path} HTTP/1.0",
        "Connection: keep-alive",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    with stack.socket_to(stack.gateway_socket) as link:
        link.settimeout(5)
        link.sendall("\r\n".join([*lines, "", ""]).encode())
        raw = b""
        while b"retry: 3000\n\n" not in raw:
            part = link.recv(4096)
            assert part, raw
            raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    assert b"content-length" not in head.lower() and b"transfer-encoding" not in head.lower()
    assert body.startswith(b"retry: 3000\n\n")


@on_every_route
def test_bytes_that_a_client_sends_during_its_stream_are_ignored(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_directly(endpoint)
    stream.next_block()
    stream.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000 + b"\0\xff" * 10_000)
    for number in range(3):
        wait_until(lambda: endpoint.write_number(number), 5, "a subscriber")
        stream.events_until(lambda event: endpoint.number_in(event) == number)
    assert stack.ops("/healthz")[0] == 200


def test_a_request_pipelined_behind_an_opening_does_no_harm(stack, job):
    path = f"/api/v1/jobs/{job}/stream"  # the gateway looks for the missing record for 800 ms
    headers = sealed(stack, path, stack.bearer("alice", "blog"))
    stream = send(stack, path, headers=headers, via="gateway")
    wait_until(lambda: stack.subscribers(f"jobs:{job}:events") == 1, 5, "the opening has begun")
    stream.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
    routes.Progress(stack, job).create()
    assert stream.wait_head().status == 200
    assert stream.next_event().name == "connected"
    assert stack.ops("/healthz")[0] == 200


def test_a_whole_stream_parses_like_the_same_stream_in_pieces(stack, job):
    endpoint = routes.Lines(stack, job).create()
    stream = open_live_stream(endpoint)
    with pytest.raises(NotReceived):
        stream.next_event(0.1)
    endpoint.finish()
    assert stream.wait_closed()
    assert [event.data for event in sse.parse(stream.raw)] == [event.data for event in stream.events]
