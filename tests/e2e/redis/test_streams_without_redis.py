"""What open streams receive while Redis is lost, and after it has come back."""

import os
import signal
import time

import pytest

from support import routes
from support.clients import NotReceived, open_stream, send
from support.publishers import Spools
from support.routes import open_live_stream
from support.unavailable import BEAT, EVENT_SOURCE, QUICK, kill_redis, restart_redis, wait_up
from support.waiting import wait_until

with_record = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)
with_resync = pytest.mark.parametrize(
    "kind", [routes.Events, routes.Status, routes.Updates], ids=lambda kind: kind.route
)


@pytest.fixture
def outage(own_stack):
    """Kills the Redis of `own_stack` and starts it again with its data."""

    class Outage:
        stack = own_stack

        def begin(self):
            own_stack.redis.save()
            kill_redis(own_stack)

        def end(self):
            restart_redis(own_stack)

    yield Outage()
    if not os.path.exists(f"/proc/{own_stack.redis_pid}"):
        restart_redis(own_stack)


def test_open_streams_get_heartbeats_without_redis_and_then_resync_close_or_continue(outage, job):
    endpoints = [kind(outage.stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint, http="2") for endpoint in endpoints]
    outage.begin()
    begin = time.monotonic()
    while time.monotonic() - begin < 3 * BEAT:
        for stream in streams:
            stream.pump(0.02)
    for stream in streams:
        before = len(stream.raw)
        stream.wait(lambda stream=stream, before=before: len(stream.raw) > before, 2, "a heartbeat")
        assert stream.ended is None
    outage.end()
    for endpoint, stream in zip(endpoints, streams):
        if endpoint.route == "job":
            assert stream.wait_closed(5), "the blog page polls the status when its stream ends"
            assert "resync" not in {event.name for event in stream.events} and "id: end" not in stream.raw.decode()
            continue
        if endpoint.route != "log-stream":
            event = stream.events_until("resync")[-1]
            assert (event.json(), event.last_id) == ({"reason": "redis-reconnected"}, "")
        endpoint.write_number(11)
        assert endpoint.number_in(stream.events_until(lambda event: endpoint.number_in(event) == 11)[-1]) == 11
        names = [event.name for event in stream.events]
        assert names.count("resync") == (0 if endpoint.route == "log-stream" else 1) and "gap" not in names


def test_a_link_that_is_closed_for_its_silence_causes_a_resync_event(own_stack, job):
    endpoints = [
        kind(own_stack, f"{job}-{kind.route}").create() for kind in (routes.Events, routes.Status, routes.Updates)
    ]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    closed = open_live_stream(routes.Progress(own_stack, job).create())
    os.kill(own_stack.redis_pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: not own_stack.metrics()['tailgate_redis_up{link="subscriber"}'], 5, "the silent link is closed"
        )
    finally:
        os.kill(own_stack.redis_pid, signal.SIGCONT)
    wait_up(own_stack)
    for endpoint, stream in zip(endpoints, streams):
        stream.events_until("resync")
        endpoint.write_number(4)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 4)
    assert closed.wait_closed()


@with_resync
def test_a_killed_subscriber_link_causes_a_resync_event_on_each_stream(own_stack, job, kind):
    endpoint = kind(own_stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(3)]
    for number in range(2):
        own_stack.redis.client_kill_filter(_type="pubsub")
        for stream in streams:
            stream.events_until("resync")
        endpoint.write_number(number)
        for stream in streams:
            stream.events_until(lambda event, number=number: endpoint.number_in(event) == number)


def test_a_blog_stream_is_closed_when_its_subscription_is_lost(own_stack, job):
    endpoint = routes.Progress(own_stack, job).create()
    stream = open_live_stream(endpoint)
    own_stack.redis.client_kill_filter(_type="pubsub")
    assert stream.wait_closed()
    assert "id: end" not in stream.raw.decode()
    closed = [line for line in own_stack.logs("stream.closed") if line["route"] == "job"]
    assert closed[-1]["why"] == "gap"


@with_record
def test_a_job_that_ended_just_before_a_redis_loss_ends_its_streams_with_their_last_event(outage, job, kind):
    endpoint = kind(outage.stack, job).create()
    stream = open_live_stream(endpoint)
    # No message announces the end of the job.  Only the record has it, and Redis saves the record before the outage.
    endpoint.finish_silently()
    outage.begin()
    before = stream.pump(0.1).ended
    outage.end()
    events = stream.events + stream.rest(8)
    assert before == "clean" or endpoint.is_final(events[-1])
    assert f"id: {endpoint.end_id}" in stream.raw.decode()
    assert "resync" not in {event.name for event in events}


def test_lines_written_while_redis_links_are_cut_arrive_once_and_in_order(own_stack, job):
    endpoint = routes.Lines(own_stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(3)]
    for number in range(300):
        endpoint.write_number(number)
        if number % 60 == 30:
            own_stack.redis.client_kill_filter(_type="normal", skipme=True)
        if number % 100 == 70:
            own_stack.redis.client_kill_filter(_type="pubsub")
    for stream in streams:
        events = stream.events_until(lambda event: endpoint.number_in(event) == 299, timeout=10)
        numbers = [endpoint.number_in(event) for event in events if event.name == "log"]
        assert [number for number in numbers if number >= 0] == list(range(300))
        ids = [event.last_id for event in stream.events if event.name == "log"]
        assert len(set(ids)) == len(ids)
        assert "gap" not in {event.name for event in events}


def test_a_redis_that_comes_back_empty_causes_a_gap_event(own_stack, job):
    endpoint = routes.Lines(own_stack, job).create()
    stream = open_live_stream(endpoint)
    last = stream.last_id
    own_stack.redis.flushall()
    os.kill(own_stack.redis_pid, signal.SIGKILL)
    dump = own_stack.dir / "redis" / "dump.rdb"
    dump.unlink(missing_ok=True)
    own_stack.restart("redis")
    wait_up(own_stack)
    endpoint.create()
    # The new ids are higher than the old ones, because Redis makes them from the clock.
    endpoint.write_number(1)
    events = stream.events_until(lambda event: endpoint.number_in(event) == 1, timeout=8)
    gap = [event for event in events if event.name == "gap"]
    assert gap and gap[0].json()["requested"] == last
    assert gap[0].last_id == last, "a gap event has no id"


def test_messages_published_after_a_resync_arrive_once_and_in_order(own_stack, job):
    endpoint = routes.Events(own_stack, job).create()
    stream = open_live_stream(endpoint)
    for round_ in range(3):
        own_stack.redis.client_kill_filter(_type="pubsub")
        stream.events_until("resync")
        for number in range(100):
            endpoint.write_number(round_ * 1000 + number)
        events = stream.events_until(lambda event: endpoint.number_in(event) == round_ * 1000 + 99)
        numbers = [endpoint.number_in(event) for event in events if event.name == "message"]
        assert numbers == [round_ * 1000 + number for number in range(100)]


def test_an_opening_that_a_redis_loss_interrupts_starts_again(private_stack, job):
    stack = private_stack({"redis.wait_s": 9})
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    stack.redis.save()
    stack.wait_idle()  # otherwise a stream of a channel that is still subscribed would open at once
    os.kill(stack.redis_pid, signal.SIGSTOP)
    answers = [send(stack, endpoint.path, headers=endpoint.headers()) for endpoint in endpoints for _ in range(2)]
    wait_until(lambda: stack.metrics()["tailgate_streams"] == len(answers), 5, "the openings have begun")
    assert [answer.pump(0.01).status for answer in answers] == [None] * len(answers)
    stack.restart("redis", kill=True)
    for answer in answers:
        assert answer.wait_head(9).status == 200
    for number, answer in enumerate(answers):
        endpoint = endpoints[number // 2]
        if endpoint.channel:
            stack.wait_subscribed(endpoint.channel)
        endpoint.write_number(number)
        answer.events_until(lambda event, endpoint=endpoint, number=number: endpoint.number_in(event) == number)
        assert "resync" not in {event.name for event in answer.events}


@pytest.mark.slow
def test_a_dashboard_stream_survives_two_redis_restarts(private_stack):
    stack = private_stack(QUICK)
    stream = open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE)
    stack.wait_subscribed(Spools.CHANNEL)
    for kill in (True, False):
        stack.restart("redis", kill=kill)
        stream.events_until("resync", 8)
        stack.wait_subscribed(Spools.CHANNEL)
        payload = Spools(stack.redis).update()
        assert stream.events_until("spool_update")[-1].data == payload
    assert stream.ended is None
    with pytest.raises(NotReceived):
        stream.events_until("resync", 0.5)
