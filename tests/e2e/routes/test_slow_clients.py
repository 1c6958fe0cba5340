"""All routes: a client that reads too slowly is closed or catches up, and does not delay other clients."""

import json
import time

import pytest

from support import routes
from support.routes import numbers_in, open_directly, open_live_stream
from support.waiting import wait_until

on_every_route = pytest.mark.parametrize("kind", routes.ALL, ids=lambda kind: kind.route)
with_channel = pytest.mark.parametrize("kind", routes.WITH_CHANNEL, ids=lambda kind: kind.route)


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
