"""All routes with a job: what a stream does when the record of its job ends, changes, or is missing."""

import contextlib
import threading
import time

import pytest

from support import routes
from support.routes import assert_no_event, numbers_in, open_endpoint, open_live_stream
from support.waiting import wait_until

with_record = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)
with_channel = pytest.mark.parametrize("kind", routes.WITH_CHANNEL, ids=lambda kind: kind.route)
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])

# Seconds.  Without announcements the gateway reads each record once a second; the rest is for a busy machine.
NOTICED_WITHIN = 3.5


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


@contextlib.contextmanager
def looks_at(stack, jobs):
    """Counts the reads of each job's record, by the job's route, until the block ends."""
    counts, commands = {}, []
    with stack.redis.monitor() as monitor:

        def listen():
            for command in monitor.listen():
                commands.append(command["command"])
                if "enough" in command["command"]:
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        yield counts
        stack.redis.echo("enough")
        listener.join(5)
    for endpoint in jobs:
        counts[endpoint.route] = sum(look.startswith(f"HMGET {endpoint.record_key} ") for look in commands)


def open_all(stack, job):
    jobs = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.WITH_RECORD]
    return jobs, [open_live_stream(endpoint) for endpoint in jobs for _ in range(4)]


def test_an_idle_record_is_read_once_after_the_opening_while_redis_tracks_it(stack, job):
    jobs, streams = open_all(stack, job)
    with looks_at(stack, jobs) as counts:
        assert_no_event(streams[0].pump(), 3)
    assert all(count <= 1 for count in counts.values()), counts


def test_an_idle_record_is_read_once_a_second_if_nothing_announces_its_changes(stack_with, job):
    stack = stack_with({"redis.wakeups": "sweep"})
    jobs, streams = open_all(stack, job)
    begin = time.monotonic()
    with looks_at(stack, jobs) as counts:
        assert_no_event(streams[0].pump(), 3)
    seconds = time.monotonic() - begin
    # The first look at a job comes up to a second after its first stream has opened, beside those of the sweep.
    most = 1 + seconds + 1.5
    assert all(1 <= count <= most for count in counts.values()), (counts, seconds)


def test_a_record_that_changes_all_the_time_is_read_once_a_second_after_a_burst(stack, job):
    jobs, _streams = open_all(stack, job)
    begin = time.monotonic()
    with looks_at(stack, jobs) as counts:
        while time.monotonic() < begin + 4:
            pipe = stack.redis.pipeline(transaction=False)
            for endpoint in jobs:
                pipe.hincrby(endpoint.record_key, "beats", 1)
                pipe.hset(endpoint.record_key, "progress", "5")
            pipe.execute()
            began = time.monotonic()
            wait_until(lambda began=began: time.monotonic() > began + 0.02, 5, "20 ms have passed")
    seconds = time.monotonic() - begin
    assert all(count <= 5 + seconds + 1.5 for count in counts.values()), (counts, seconds)


@with_record
def test_a_status_that_is_only_written_ends_a_stream_at_once_while_redis_tracks_it(stack, job, kind):
    waits = 1 if kind is routes.Lines else 0.25  # for late lines, or for a published end
    took = []
    for number in range(5):
        endpoint = kind(stack, f"{job}-{number}").create()
        stream = open_live_stream(endpoint)
        begin = time.monotonic()
        endpoint.finish_silently()
        assert endpoint.is_final(stream.rest(timeout=10)[-1])
        took.append(time.monotonic() - begin - waits)
    assert sorted(took)[2] < 0.35, f"without announcements, the median is about 0.5 s: {took}"


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


@pytest.mark.slow
def test_a_record_that_turns_into_another_type_ends_its_streams_after_ten_seconds(private_stack, job):
    stack = private_stack()
    opened = []
    for kind in routes.WITH_RECORD:
        endpoint = kind(stack, f"{job}-{kind.route}").create()
        opened.append((endpoint, open_live_stream(endpoint)))
    begin = time.monotonic()
    for endpoint, _ in opened:
        pipe = stack.redis.pipeline(transaction=True)
        pipe.delete(endpoint.record_key)
        pipe.set(endpoint.record_key, "no hash any more")
        pipe.execute()
    for endpoint, stream in opened:
        stream.rest(timeout=16)
        assert time.monotonic() - begin > 9
        assert "id: end" not in stream.raw.decode(), "the client must reconnect, and gets 404 then"
        assert open_endpoint(endpoint).status == 404
    wrong = {line["key"] for line in stack.logs("record.wrong_type")}
    assert wrong == {endpoint.record_key for endpoint, _ in opened}
    assert [line["why"] for line in stack.logs("stream.closed")] == ["record_gone"] * len(opened)
