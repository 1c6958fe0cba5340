"""The behaviour of streams that is the same on all routes."""

import json
import threading
import time
import uuid

import pytest

from support import routes, sse
from support.clients import NotReceived, fetch, open_stream, sealed, send
from support.routes import open_live_stream, open_endpoint
from support.waiting import wait_until

on_every_route = pytest.mark.parametrize("kind", routes.ALL, ids=lambda kind: kind.route)
with_record = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)
with_channel = pytest.mark.parametrize("kind", routes.WITH_CHANNEL, ids=lambda kind: kind.route)
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])

# Seconds.  The gateway reads each record once a second; the rest is for a busy machine.
NOTICED_WITHIN = 3.5


def numbers_in(endpoint, events):
    return [number for number in map(endpoint.number_in, events) if number is not None]


def assert_no_event(stream, seconds):
    """Reads for some seconds, and checks that only heartbeats arrive and that the stream stays open."""
    before = len(stream.events)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not stream.ended:
        stream.pump(left)
    assert [event for event in stream.events[before:] if event.name != "heartbeat"] == []
    assert stream.ended is None


# ---- headers and bytes ----------------------------------------------------------------------------


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


# ---- the order of events --------------------------------------------------------------------------


@on_every_route
@ways_in
def test_events_arrive_once_and_in_the_order_of_redis(stack, job, kind, http, via):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint, http=http, via=via)
    pipe = stack.redis.pipeline(transaction=False)
    for number in range(1500):
        endpoint.write_number(number, pipe)
    pipe.execute()
    events = stream.events_until(lambda event: endpoint.number_in(event) == 1499, timeout=20)
    assert numbers_in(endpoint, events) == list(range(1500))


@on_every_route
def test_all_streams_of_one_source_get_every_event(stack, job, kind):
    endpoint = kind(stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(5)]
    for stream in streams:  # read the messages with which the later streams were opened
        stream.pump(0.2)
    for number in range(50):
        endpoint.write_number(number)
    for stream in streams:
        events = stream.events_until(lambda event: endpoint.number_in(event) == 49)
        assert [number for number in numbers_in(endpoint, events) if number >= 0] == list(range(50))


def test_a_stream_gets_only_the_events_of_its_own_job(stack, job):
    both = [routes.Events(stack, f"{job}-{letter}").create() for letter in "ab"]
    streams = [open_live_stream(endpoint) for endpoint in both]
    for number in range(20):
        both[number % 2].write_number(number)
    for endpoint, stream, expected in zip(both, streams, (range(0, 20, 2), range(1, 20, 2))):
        events = stream.take_events(10)
        assert numbers_in(endpoint, events) == list(expected)


# ---- the end of a job in its record -----------------------------------------------------------------


@with_record
def test_a_job_that_ends_only_in_its_record_ends_its_streams_within_two_seconds(stack, job, kind):
    endpoint = kind(stack, job).create()
    streams = [open_live_stream(endpoint), open_live_stream(endpoint, http="2")]
    streams[0].pump(0.1)
    endpoint.finish_silently()
    begin = time.monotonic()
    for stream in streams:
        events = stream.rest(timeout=6)
        assert time.monotonic() - begin < 2.3, "the gateway promises two seconds"
        assert endpoint.is_final(events[-1])
        assert [endpoint.is_final(event) for event in events].count(True) == 1
        assert stream.last_id == endpoint.end_id


@with_record
def test_events_published_before_the_record_ended_arrive_before_the_last_event(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    pipe = stack.redis.pipeline(transaction=True)
    for number in range(300):
        endpoint.write_number(number, pipe)
    key, field, status = endpoint.record_key, "status", "succeeded" if kind is routes.Progress else "ready"
    pipe.hset(key, field, status)
    pipe.execute()
    events = stream.rest(timeout=10)
    assert numbers_in(endpoint, events) == list(range(300))
    assert endpoint.is_final(events[-1])


def test_a_watched_record_is_read_at_most_once_a_second(stack, job):
    jobs = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.WITH_RECORD]
    streams = [open_live_stream(endpoint) for endpoint in jobs for _ in range(4)]
    looks = []
    with stack.redis.monitor() as monitor:

        def listen():
            for command in monitor.listen():
                looks.append(command["command"])
                if "enough" in command["command"]:
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        begin = time.monotonic()
        assert_no_event(streams[0].pump(), 3)
        seconds = time.monotonic() - begin
        stack.redis.echo("enough")
        listener.join(5)
    for endpoint in jobs:
        count = sum(look.startswith("HMGET " + endpoint.record_key + " ") for look in looks)
        assert 1 <= count <= seconds + 1.5, f"{endpoint.route}: {count} looks in {seconds:.1f} s"


# ---- the id of the end ------------------------------------------------------------------------------


@with_record
@ways_in
def test_the_last_event_ends_with_the_id_of_the_end(stack, job, kind, http, via):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint, http=http, via=via)
    endpoint.finish()
    assert stream.wait_closed()
    assert stream.blocks[-1].split("\n")[-1] == f"id: {endpoint.end_id}"
    assert endpoint.is_final(stream.events[-1])
    assert [block for block in stream.blocks if "id: end" in block] == stream.blocks[-1:]


@with_record
def test_a_reconnect_with_the_id_of_the_end_gets_204(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    endpoint.finish()
    assert stream.wait_closed()
    for http in ("1.1", "2"):
        again = open_endpoint(endpoint, headers={"Last-Event-ID": stream.last_id}, http=http)
        assert (again.status, again.wait_closed(), again.raw) == (204, True, b"")
    assert open_endpoint(endpoint).status == 200, "without the id it gets the last event again"


@with_record
def test_a_reconnect_with_the_id_of_the_end_is_served_if_the_job_runs_again(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    endpoint.finish()
    assert stream.wait_closed()
    endpoint.run_again()
    again = open_live_stream(endpoint, headers={"Last-Event-ID": stream.last_id})
    assert again.status == 200
    endpoint.write_number(7)
    assert endpoint.number_in(again.next_event()) == 7


@with_record
def test_the_id_of_the_end_gives_no_access_to_another_users_job(stack, job, kind):
    endpoint = kind(stack, job).create(user="bob")
    endpoint.finish_silently()
    assert open_endpoint(endpoint, headers={"Last-Event-ID": "end"}).status == 404
    unknown = kind(stack, job + "-unknown")
    assert open_endpoint(unknown, headers={"Last-Event-ID": "end"}).status == 404


@with_channel
def test_a_channel_stream_ignores_a_last_event_id_other_than_end(stack, job, kind):
    endpoint = kind(stack, job).create()
    endpoint.finish_silently()
    for text in ("0-0", "ended", "END", "1700000000000-0", "\u00e9"):
        stream = open_endpoint(endpoint, headers={"Last-Event-ID": text})
        assert stream.status == 200 and endpoint.is_final(stream.rest()[-1])


# ---- the record changes -----------------------------------------------------------------------------


@with_record
def test_a_change_of_owner_ends_the_stream_without_a_last_event(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    endpoint.change_owner("bob")
    assert stream.wait_closed(NOTICED_WITHIN)
    assert "id: end" not in stream.raw.decode() and not any(map(endpoint.is_final, stream.events))
    assert open_endpoint(endpoint).status == 404


def test_a_record_that_is_missing_for_ten_seconds_ends_its_streams(stack, job):
    gone = [kind(stack, job).create() for kind in routes.WITH_RECORD]
    back = [kind(stack, job + "-back").create() for kind in routes.WITH_RECORD]
    gone_streams = [open_live_stream(endpoint) for endpoint in gone]
    back_streams = [open_live_stream(endpoint) for endpoint in back]
    for stream in gone_streams + back_streams:
        stream.pump(0.05)
    begin = time.monotonic()
    kept = {endpoint.record_key: stack.redis.hgetall(endpoint.record_key) for endpoint in back}
    for endpoint in gone + back:
        stack.redis.delete(endpoint.record_key)
    assert_no_event(back_streams[0], 3)
    for key, fields in kept.items():
        stack.redis.hset(key, mapping=fields)
    for endpoint, stream in zip(gone, gone_streams):
        assert stream.wait_closed(begin + 15 - time.monotonic())
        assert time.monotonic() - begin > 8.5
        assert "id: end" not in stream.raw.decode() and not any(map(endpoint.is_final, stream.events))
    for endpoint, stream in zip(back, back_streams):
        stream.pump(0)
        assert stream.ended is None, f"{endpoint.route}: the record was missing for only 3 s"
        stack.redis.delete(endpoint.record_key)
    assert_no_event(back_streams[0], 3)
    for key, fields in kept.items():
        stack.redis.hset(key, mapping=fields)
    for endpoint, stream in zip(back, back_streams):
        stream.pump(0)
        assert stream.ended is None, f"{endpoint.route}: the earlier 3 s do not count"
        endpoint.finish_silently()
    for endpoint, stream in zip(back, back_streams):
        assert endpoint.is_final(stream.rest()[-1])


# ---- wrong types ------------------------------------------------------------------------------------


@with_record
def test_a_record_of_the_wrong_type_gets_404_and_an_error_in_the_log(stack, job, kind):
    endpoint = kind(stack, job)
    stack.redis.set(endpoint.record_key, "no hash")
    assert open_endpoint(endpoint).status == 404
    errors = [line for line in stack.logs("record.wrong_type") if line["level"] == "error"]
    assert any(line["key"] == endpoint.record_key for line in errors)


@with_record
def test_a_record_that_changes_its_type_does_not_end_a_stream_at_once(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_live_stream(endpoint)
    fields = stack.redis.hgetall(endpoint.record_key)
    stack.redis.delete(endpoint.record_key)
    stack.redis.set(endpoint.record_key, "no hash")
    assert_no_event(stream, 2)
    stack.redis.delete(endpoint.record_key)
    stack.redis.hset(endpoint.record_key, mapping=fields)
    endpoint.write_number(5)
    assert endpoint.number_in(stream.next_event()) == 5


# ---- clients that disconnect ------------------------------------------------------------------------


WAYS_TO_CLOSE = [
    ("tls", "1.1", "close"),
    ("tls", "1.1", "reset"),
    ("tls", "2", "close"),
    ("tls", "2", "reset"),
    ("plain", "1.1", "half_close"),
    ("gateway", "1.1", "close"),
    ("gateway", "1.1", "reset"),
    ("gateway", "1.1", "half_close"),
]


def test_a_channel_is_unsubscribed_seconds_after_its_last_stream(stack, job):
    channels = {}
    for kind in routes.WITH_CHANNEL:
        for via, http, close in WAYS_TO_CLOSE:
            name = f"{kind.route}-{via}-{http[0]}-{close}"
            endpoint = kind(stack, f"{job}-{name}").create()
            headers = endpoint.headers()
            if via == "gateway":
                headers = sealed(stack, endpoint.path, headers)
            stream = open_stream(stack, endpoint.path, headers=headers, via=via, http=http)
            assert (name, stream.status, stack.subscribers(endpoint.channel)) == (name, 200, 1)
            getattr(stream, close)()
            channels[name] = endpoint.channel

    def still_subscribed():
        counts = dict(stack.redis.pubsub_numsub(*channels.values()))
        return [name for name, channel in channels.items() if counts[channel]]

    wait_until(lambda: not still_subscribed(), 6, "all channels are unsubscribed")


def test_a_channel_stays_subscribed_once_while_one_stream_is_left(stack, job):
    endpoint = routes.Status(stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(3)]
    assert stack.subscribers(endpoint.channel) == 1
    for stream in streams[1:]:
        stream.close()
    endpoint.write_number(1)
    streams[0].events_until(lambda event: endpoint.number_in(event) == 1)
    assert_no_event(streams[0], 4)  # longer than a channel without streams stays subscribed
    assert stack.subscribers(endpoint.channel) == 1


def test_a_channel_is_still_subscribed_if_a_client_reconnects_at_once(stack, job):
    endpoint = routes.Progress(stack, job).create()
    open_live_stream(endpoint).close()
    for number in range(5):
        stream = open_endpoint(endpoint)
        assert stack.subscribers(endpoint.channel) == 1
        stream.next_event()
        stream.close()
        assert stack.subscribers(endpoint.channel) == 1, number


@on_every_route
def test_a_stream_is_released_at_once_if_its_client_disconnects(stack, job, kind):
    endpoint = kind(stack, job).create()

    def open_now():
        return stack.metrics().get(f'tailgate_streams_open{{route="{endpoint.route}"}}', 0)

    wait_until(lambda: open_now() == 0, 10, "earlier tests' streams are gone")
    stream = open_live_stream(endpoint)
    assert open_now() == 1
    stream.close()
    wait_until(lambda: open_now() == 0, 2, "the stream is released")
    closed = [line for line in stack.logs("stream.closed") if line["route"] == endpoint.route]
    assert closed[-1]["why"] == "client_left"


def test_a_client_that_disconnects_during_its_opening_is_released(stack, job):
    # The gateway looks for the missing record for 800 ms, so the clients disconnect during the opening.
    streams = [send(stack, f"/api/v1/jobs/{job}/stream", headers=stack.bearer("alice", "blog")) for _ in range(10)]
    wait_until(lambda: stack.subscribers(f"jobs:{job}:events") == 1, 5, "the subscription")
    for stream in streams:
        stream.close()
    wait_until(lambda: stack.subscribers(f"jobs:{job}:events") == 0, 6, "the channel is unsubscribed")
    wait_until(lambda: stack.ops("/healthz")[0] == 200, 2, "the gateway lives")


def test_a_log_without_streams_is_no_longer_read(stack, job):
    endpoint = routes.Lines(stack, job).create()
    wait_until(lambda: stack.metrics()["tailgate_logs_followed"] == 0, 10, "the feeds of earlier tests are released")
    streams = [open_live_stream(endpoint) for _ in range(5)]
    assert stack.metrics()["tailgate_logs_followed"] == 1, "one feed for each log"
    for stream in streams:
        stream.close()
    wait_until(lambda: stack.metrics()["tailgate_logs_followed"] == 0, 6, "the feed is released")


# ---- slow clients -----------------------------------------------------------------------------------


def open_directly(endpoint, **more):
    """Opens a stream without nginx and with a small receive buffer, so that it is slow when the test does not read."""
    headers = sealed(endpoint.stack, endpoint.path, endpoint.headers())
    return open_stream(endpoint.stack, endpoint.path, headers=headers, via="gateway", receive_buffer=4096, **more)


@with_channel
def test_a_channel_stream_with_a_full_backlog_is_closed(stack, job, kind):
    endpoint = kind(stack, job).create()
    slow, quick = open_directly(endpoint), open_live_stream(endpoint)
    slow.next_block()
    text = "x" * 100_000
    for number in range(60):
        stack.redis.publish(
            endpoint.channel, json.dumps({"event": "step-change", "data": {"n": number, "text": text}, "n": number})
        )
        quick.events_until(lambda event: endpoint.number_in(event) == number)
    assert slow.wait_closed(10) is False, "the stream is cut, because it has lost events"
    came = [number for number in numbers_in(endpoint, slow.events) if number >= 0]
    assert came == list(range(len(came))), "no event is missing before the cut"
    assert "slow" in {line["why"] for line in stack.logs("stream.closed")}


@with_channel
def test_an_event_larger_than_the_backlog_is_delivered(stack, job, kind):
    endpoint = kind(stack, job).create()
    stream = open_directly(endpoint)
    stream.next_block()
    text = "y" * 1_000_000
    payload = json.dumps({"event": "step-change", "data": {"n": 1, "text": text}, "n": 1})
    wait_until(lambda: stack.redis.publish(endpoint.channel, payload), 5, "a subscriber")
    [event] = [event for event in stream.events_until(lambda event: endpoint.number_in(event) == 1, timeout=10)][-1:]
    assert len(event.data) > 1_000_000


def test_a_log_stream_of_a_slow_client_stays_open_and_catches_up(stack, job):
    endpoint = routes.Lines(stack, job).create()
    slow, quick = open_directly(endpoint), open_live_stream(endpoint)
    text = "z" * 1000
    for begin in range(0, 8000, 500):
        pipe = stack.redis.pipeline(transaction=False)
        for number in range(begin, begin + 500):
            pipe.xadd(endpoint.worker.log_key, {"text": f"n={number}", "phase": text})
        pipe.execute()
        quick.events_until(lambda event: endpoint.number_in(event) == begin + 499, timeout=20)
    assert slow.ended is None
    events = slow.events_until(lambda event: endpoint.number_in(event) == 7999, timeout=30)
    assert [number for number in numbers_in(endpoint, events) if number >= 0] == list(range(8000))
    assert [event.name for event in events if event.name == "gap"] == []
    endpoint.write_number(8000)
    assert endpoint.number_in(slow.next_event()) == 8000, "the stream is live again"


def test_a_slow_log_client_gets_a_gap_event_for_lines_trimmed_meanwhile(stack, job):
    endpoint = routes.Lines(stack, job).create()
    slow = open_directly(endpoint)
    endpoint.write_number(0)
    slow.events_until(lambda event: endpoint.number_in(event) == 0)
    text = "z" * 1000
    for begin in range(1, 6000, 500):
        pipe = stack.redis.pipeline(transaction=False)
        for number in range(begin, begin + 500):
            pipe.xadd(endpoint.worker.log_key, {"text": f"n={number}", "phase": text}, maxlen=100, approximate=False)
        pipe.execute()
    events = slow.events_until(lambda event: endpoint.number_in(event) == 6000, timeout=20)
    gaps = [index for index, event in enumerate(events) if event.name == "gap"]
    assert gaps, "trimmed lines must be announced"
    came = numbers_in(endpoint, events)
    assert came == sorted(set(came)) and len(came) < 6000
    for index in gaps:
        gap, before, after = events[index].json(), (events[index - 1] if index else slow.events[0]), events[index + 1]
        assert gap["requested"] == before.last_id
        # If the first available entry is trimmed before the gateway reads it, another gap event follows.
        assert after.name == "gap" or gap["first_available"] == after.last_id
    numbers = [endpoint.number_in(event) for event in events]
    jumps = [
        i for i in range(1, len(numbers)) if None not in numbers[i - 1 : i + 1] and numbers[i] != numbers[i - 1] + 1
    ]
    assert jumps == [], "a gap event announces each missing line"


def test_slow_clients_do_not_delay_another_client(stack, job):
    endpoint = routes.Lines(stack, job).create()
    slow, quick = [open_directly(endpoint) for _ in range(5)], open_live_stream(endpoint)
    worst = 0
    for number in range(200):
        begin = time.monotonic()
        stack.redis.xadd(endpoint.worker.log_key, {"text": f"n={number}", "phase": "w" * 5000})
        quick.events_until(lambda event: endpoint.number_in(event) == number)
        worst = max(worst, time.monotonic() - begin)
    assert worst < 1.5
    assert [stream.ended for stream in slow] == [None] * 5


@on_every_route
def test_a_client_that_accepts_no_byte_for_the_send_timeout_is_closed(stack_with, job, kind):
    stack = stack_with({f"route.{each.route}.send_timeout_s": 1 for each in routes.ALL})
    endpoint = kind(stack, job).create()
    stalled, quick = open_directly(endpoint), open_live_stream(endpoint)
    stalled.next_block()
    payload = json.dumps({"event": "step-change", "data": {"n": 0, "t": "x" * 150_000}, "n": 0, "t": "x" * 150_000})
    for _ in range(3):  # more than the socket accepts, but less than the backlog
        if kind is routes.Lines:
            stack.redis.xadd(endpoint.worker.log_key, {"text": "n=0", "phase": payload})
        else:
            stack.redis.publish(endpoint.channel, payload)
        quick.events_until(lambda event: endpoint.number_in(event) == 0)
    wait_until(
        lambda: any(
            line["why"] in ("stalled", "slow")
            for line in stack.logs("stream.closed")
            if line["route"] == endpoint.route
        ),
        8,
        "the stalled stream is closed",
    )
    assert stalled.wait_closed() is False
    endpoint.write_number(9)
    quick.events_until(lambda event: endpoint.number_in(event) == 9)


# ---- ids in paths -----------------------------------------------------------------------------------


@with_record
@pytest.mark.parametrize(
    "make",
    [
        lambda: "a",
        lambda: "A.b_c-9." + uuid.uuid4().hex,
        lambda: (uuid.uuid4().hex * 4)[:128],
        lambda: "..." + uuid.uuid4().hex,
    ],
)
def test_a_job_id_may_have_letters_digits_dots_dashes_and_underscores(stack, kind, make):
    endpoint = kind(stack, make()).create()
    assert open_endpoint(endpoint).status == 200


@with_record
@pytest.mark.parametrize("bad", ["a" * 129, "a%20b", "a%2Fb", "a:b", "%C3%A9", "a*", "a,b", "a@b", "%0a"])
def test_any_other_job_id_gets_404_without_a_look_at_redis(stack, kind, bad):
    before = stack.metrics()["tailgate_record_looks_total"]
    endpoint = kind(stack, bad)
    answer = fetch(stack, endpoint.path, headers=endpoint.headers())
    assert answer.status == 404 and isinstance(answer.json(), dict)
    after = stack.metrics()["tailgate_record_looks_total"]
    assert after - before <= 3, "other streams cause one read a second"


@with_record
def test_an_unknown_job_and_another_users_job_get_the_same_404(stack, job, kind):
    foreign, unknown = kind(stack, job).create(user="bob"), kind(stack, job + "-unknown")
    answers = [fetch(stack, endpoint.path, headers=endpoint.headers()) for endpoint in (foreign, unknown)]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].raw == answers[1].raw

    def compared_headers(answer):
        return {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}

    assert compared_headers(answers[0]) == compared_headers(answers[1])


def test_a_whole_stream_parses_like_the_same_stream_in_pieces(stack, job):
    endpoint = routes.Lines(stack, job).create()
    stream = open_live_stream(endpoint)
    with pytest.raises(NotReceived):
        stream.next_event(0.1)
    endpoint.finish()
    assert stream.wait_closed()
    assert [event.data for event in sse.parse(stream.raw)] == [event.data for event in stream.events]
