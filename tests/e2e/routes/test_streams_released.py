"""All routes: the gateway releases a stream and its source when the client disconnects."""

import pytest

from support import routes
from support.clients import open_stream, sealed, send
from support.routes import assert_no_event, open_endpoint, open_live_stream
from support.waiting import wait_until

on_every_route = pytest.mark.parametrize("kind", routes.ALL, ids=lambda kind: kind.route)
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
