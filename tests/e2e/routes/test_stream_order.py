"""All routes: each event arrives once, in the order of Redis, and only at the streams of its own job."""

import pytest

from support import routes
from support.routes import numbers_in, open_live_stream

on_every_route = pytest.mark.parametrize("kind", routes.ALL, ids=lambda kind: kind.route)
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


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
