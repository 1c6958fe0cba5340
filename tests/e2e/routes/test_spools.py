"""R5: the broadcast for the spools dashboards."""

import datetime
import json
import re
import time

import pytest

from support import sse
from support.clients import NotReceived, open_stream
from support.publishers import Spools
from support.waiting import wait_until

PATH = "/api/sse/stream"
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


def open_live(stack, **more):
    stream = open_stream(stack, PATH, **more)
    assert stream.status == 200, (stream.status, stream.raw)
    assert stream.next_block() == "retry: 3000"
    return stream


@ways_in
@pytest.mark.parametrize("kind", ["TOMAR", "PAUSAR", "COMPLETAR", "STATE_CHANGE"])
def test_each_payload_becomes_a_spool_update_with_its_timestamp_as_id(stack, kind, http, via):
    stream = open_live(stack, http=http, via=via)
    payload = Spools(stack.redis).update(kind, timestamp="2026-01-27T22:17:36.123456+00:00")
    block = stream.next_block()
    assert sorted(block.split("\n")) == [
        f"data: {payload}",
        "event: spool_update",
        "id: 2026-01-27T22:17:36.123456+00:00",
    ]
    assert stream.next_event() == sse.Event("spool_update", payload, "2026-01-27T22:17:36.123456+00:00")


@pytest.mark.parametrize(
    "timestamp, expected",
    [('"1"', "1"), ("1769552256123", "1769552256123"), ("-5", "-5"), ('"a b:c"', "a b:c"), ('"\\u00e9"', "é")],
)
def test_a_string_or_number_timestamp_becomes_the_id(stack, timestamp, expected):
    stream = open_live(stack)
    payload = f'{{"event_type":"TOMAR","timestamp":{timestamp}}}'
    stack.redis.publish(Spools.CHANNEL, payload)
    assert stream.next_event() == sse.Event("spool_update", payload, expected)


@pytest.mark.parametrize(
    "member",
    [
        '"timestamp":"1\\nid: 2"',
        '"timestamp":"1\\r2"',
        '"timestamp":"1\\u00002"',
        '"timestamp":null',
        '"timestamp":true',
        '"timestamp":["1"]',
        '"timestamp":{"a":1}',
        '"time":"1"',
    ],
)
def test_an_event_with_any_other_timestamp_has_no_id(stack, member):
    stream = open_live(stack)
    payload = f'{{"event_type":"TOMAR",{member}}}'
    stack.redis.publish(Spools.CHANNEL, payload)
    assert sorted(stream.next_block().split("\n")) == [f"data: {payload}", "event: spool_update"]


def skipped(stack):
    return stack.metrics()['tailgate_payloads_skipped_total{route="spools"}']


@pytest.mark.parametrize(
    "payload", ["", "hello", "[]", '[{"event_type":"TOMAR"}]', '"x"', "5", "null", "{", '{"a":1}x', "{'a':1}"]
)
def test_a_payload_that_is_not_a_json_object_is_skipped_and_counted(stack, payload):
    stream = open_live(stack)
    before = skipped(stack)
    stack.redis.publish(Spools.CHANNEL, payload)
    good = Spools(stack.redis).update()
    assert stream.next_event().data == good
    assert skipped(stack) == before + 1


def test_a_payload_of_several_lines_is_sent_as_one_event(stack):
    stream = open_live(stack)
    payload = json.dumps({"event_type": "TOMAR", "timestamp": "1", "note": "two\nlines"}, indent=2)
    stack.redis.publish(Spools.CHANNEL, payload)
    event = stream.next_event()
    assert event.data == payload and event.last_id == "1"


def test_no_message_ends_a_spools_stream(stack):
    stream = open_live(stack)
    for more in ({"status": "ready"}, {"status": "failed"}, {"event": "complete"}, {"type": "done"}):
        payload = Spools(stack.redis).update("COMPLETAR", **more)
        assert stream.next_event().data == payload
    assert stream.ended is None and "id: end" not in stream.raw.decode()


def test_the_spools_hook_reads_every_update(stack):
    streams = [open_live(stack, http=http) for http in ("1.1", "2", "1.1")]
    updates = [json.loads(Spools(stack.redis).update(kind)) for kind in ("TOMAR", "PAUSAR", "TOMAR", "COMPLETAR")]
    for stream in streams:
        stream.take_events(4)
        assert sse.spools_events(stream.raw) == updates


def test_all_spools_streams_share_one_subscription(stack):
    streams = [open_live(stack) for _ in range(6)]
    assert stack.subscribers(Spools.CHANNEL) == 1
    payload = Spools(stack.redis).update()
    assert [stream.next_event().data for stream in streams] == [payload] * 6


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Cookie": "accessToken=nonsense"},
        {"X-Session-Id": "s"},
        {"Last-Event-ID": "2026"},
        {"Last-Event-ID": "end"},
    ],
)
def test_anyone_may_open_the_stream_with_any_credential(stack, headers):
    stream = open_live(stack, headers=headers)
    payload = Spools(stack.redis).update()
    assert stream.next_event().data == payload


def test_a_token_in_the_query_is_ignored(stack):
    assert open_stream(stack, PATH, params={"token": "nonsense"}).status == 200


def test_a_dashboard_that_reopens_its_stream_on_each_event_misses_none(stack):
    for number in range(20):
        stream = open_live(stack)
        wait_until(lambda: stack.subscribers(Spools.CHANNEL) == 1, 2, "the subscription")
        payload = Spools(stack.redis).update(n=number)
        assert stream.next_event().data == payload
        stream.close()


# ---- heartbeats ---------------------------------------------------------------------------------------


@ways_in
def test_pings_with_the_time_continue_between_events(stack_with, http, via):
    stack = stack_with({"route.spools.heartbeat.every_s": 0.5})
    stream = open_live(stack, http=http, via=via)
    stamps = []
    begin = time.monotonic()
    while len(stamps) < 4:
        Spools(stack.redis).update()
        try:
            block = stream.next_block(0.1)
        except NotReceived:
            continue
        if found := re.fullmatch(r": ping - (.+)", block):
            stamps.append(datetime.datetime.fromisoformat(found[1].replace("Z", "+00:00")))
    assert 1.4 < time.monotonic() - begin < 4, "events do not postpone a ping"
    now = datetime.datetime.now(datetime.timezone.utc)
    assert all(abs((now - stamp).total_seconds()) < 10 for stamp in stamps)
    assert stamps == sorted(stamps)


def test_streams_opened_together_get_heartbeats_at_different_times(stack_with):
    stack = stack_with({"route.spools.heartbeat.every_s": 2})
    streams = [open_stream(stack, PATH, via="gateway") for _ in range(400)]

    def stamps(stream):
        return [
            datetime.datetime.fromisoformat(text.removeprefix("ping - ").replace("Z", "+00:00"))
            for text in stream.comments
        ]

    wait_until(lambda: min(len(stream.pump().comments) for stream in streams) >= 2, 20, "two pings for each")
    intervals = [(second - first).total_seconds() for first, second, *_ in map(stamps, streams)]
    assert min(intervals) > 1.7
    assert max(intervals) - min(intervals) > 0.06, "the jitter is a tenth of the interval, and timers round to 20 ms"
