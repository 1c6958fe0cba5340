"""R3: wake-ups by tracking (Redis's client-side caching), and what the gateway does when tracking does not work."""

import os
import time

import pytest

from support.log_streams import lines_of, open_log, xread_calls
from support.publishers import Builder
from support.waiting import wait_until


def wakeup_kinds(stack):
    return [line["by"] for line in stack.logs("log.wakeups")]


def links(stack):
    return {client["name"].removeprefix("tailgate-"): client for client in stack.connections()}


def logs_are_tracked(stack):
    return links(stack)["logs"]["redir"] != "-1"


def line_arrives_without_a_sweep(stack, worker, stream):
    """Writes a line and receives it.  True if it arrived without a sweep: without an XREAD and within a second."""
    before, begin = xread_calls(stack), time.monotonic()
    text = os.urandom(4).hex()
    worker.log(text)
    assert lines_of(stream.events_until(lambda event: text in event.data))[-1] == text
    return xread_calls(stack) == before and time.monotonic() - begin < 1


def test_logs_are_tracked_if_redis_sends_no_notifications(stack_with, job):
    stack = stack_with()
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    # The read at the beginning can bring the first line, too.  So one line without a sweep is not enough.
    wait_until(
        lambda: line_arrives_without_a_sweep(stack, worker, stream) and wakeup_kinds(stack)[-1:] == ["tracking"],
        10,
        "tracking wakes the log up",
    )
    assert links(stack)["logs"]["redir"] == links(stack)["subscriber"]["id"]


def test_tracking_is_off_while_notifications_arrive(private_stack, job):
    stack = private_stack(redis_conf=["notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)

    def notified():
        worker.log("line")
        stream.next_event()
        return wakeup_kinds(stack)[-1:] == ["notifications"]

    wait_until(notified, 10, "a notification came before the sweep")
    wait_until(lambda: not logs_are_tracked(stack), 5, "tracking is off")
    stack.redis.config_set("notify-keyspace-events", "")
    wait_until(
        lambda: line_arrives_without_a_sweep(stack, worker, stream) and wakeup_kinds(stack)[-1] == "tracking",
        15,
        "the log is tracked after notifications have stopped",
    )


@pytest.mark.parametrize("lost", ["subscriber", "logs"])
def test_tracking_is_enabled_again_after_either_link_is_lost(stack_with, job, lost):
    stack = stack_with()
    worker = Builder(stack.redis, job).create()
    stream, took = open_log(stack, worker), []
    for _ in range(5):
        wait_until(lambda: line_arrives_without_a_sweep(stack, worker, stream), 10, "lines are tracked")
        old = links(stack)[lost]["id"]
        text = os.urandom(4).hex()
        pipe = stack.redis.pipeline(transaction=True)
        pipe.client_kill_filter(_id=old)
        pipe.xadd(worker.log_key, {"text": text})
        begin = time.monotonic()
        pipe.execute()
        assert lines_of(stream.events_until(lambda event, text=text: text in event.data))[-1] == text
        took.append(time.monotonic() - begin)
        wait_until(lambda: links(stack).get(lost, {"id": old})["id"] != old, 5, "the link has reconnected")
    assert sorted(took)[2] < 1.5, f"a sweep would take 2 s or more: {took}"
    wait_until(
        lambda: links(stack)["logs"]["redir"] == links(stack)["subscriber"]["id"],
        5,
        "tracking is redirected again",
    )


def test_flushall_causes_a_gap_event_at_once(stack_with, job):
    """The invalidation message of FLUSHALL names no keys."""
    stack = stack_with()
    took = []
    for number in range(3):
        worker = Builder(stack.redis, f"{job}-{number}").create()
        stream = open_log(stack, worker)
        wait_until(lambda: line_arrives_without_a_sweep(stack, worker, stream), 10, "lines are tracked")  # noqa: B023
        begin = time.monotonic()
        stack.redis.flushall()
        stream.events_until("gap")
        took.append(time.monotonic() - begin)
    assert sorted(took)[1] < 1.5, f"a sweep would take 2 s or more: {took}"


def test_notifications_of_other_commands_are_not_mistaken_for_xadd(stack_with, job):
    stack = stack_with(redis_conf=["notify-keyspace-events Kg"])
    expiring, plain = (Builder(stack.redis, f"{job}-{name}").create() for name in ("expiring", "plain"))
    streams = [open_log(stack, worker, via="gateway") for worker in (expiring, plain)]
    for _ in range(10):
        pipe = stack.redis.pipeline(transaction=True)
        pipe.xadd(expiring.log_key, {"text": "line"})
        pipe.expire(expiring.log_key, 1000)
        pipe.execute()
        assert lines_of([streams[0].next_event()]) == ["line"]
        line_arrives_without_a_sweep(stack, plain, streams[1])
    assert set(wakeup_kinds(stack)) <= {"tracking", "sweep"}
    assert "tracking" in wakeup_kinds(stack)


def test_notifications_are_not_trusted_for_a_while_after_one_was_missing(private_stack, job):
    """Redis sends notifications of stream commands only, so a COPY to the key of a log is not announced."""
    stack = private_stack(redis_conf=["notify-keyspace-events Kt"])
    renamed, plain = (Builder(stack.redis, f"{job}-{name}").create() for name in ("renamed", "plain"))
    streams = [open_log(stack, worker, via="gateway") for worker in (renamed, plain)]

    def notified():
        plain.log("line")
        streams[1].next_event()
        return "notifications" in wakeup_kinds(stack)

    wait_until(notified, 5, "the gateway relies on notifications")
    # While tracking is on, Redis would announce the copy by an invalidation.
    wait_until(lambda: not logs_are_tracked(stack), 5, "tracking is off")
    for number in range(3):
        pipe = stack.redis.pipeline(transaction=True)
        pipe.xadd(renamed.log_key + ":new", {"text": str(number)})
        pipe.copy(renamed.log_key + ":new", renamed.log_key, replace=True)
        pipe.execute()
        assert lines_of([streams[0].next_event(10)]) == [str(number)]
        wait_until(lambda: wakeup_kinds(stack)[-1] != "notifications", 5, "the missing notification is noticed")
        for _ in range(3):
            notified()
    assert wakeup_kinds(stack).count("notifications") == 1


def test_logs_are_swept_if_the_tracking_table_is_too_small(stack_with, job):
    """With a small table, Redis evicts one log for another and each time announces the evicted one as changed."""
    stack = stack_with(redis_conf=["tracking-table-max-keys 2"])
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(20)]
    streams = [open_log(stack, worker, via="gateway") for worker in workers]

    def lines_come():
        for number, (worker, stream) in enumerate(zip(workers, streams, strict=True)):
            worker.log(str(number))
            assert lines_of([stream.next_event()]) == [str(number)]

    def given_up():
        lines_come()
        return any("tracking-table-max-keys" in line["why"] for line in stack.logs("log.wakeups_refused"))

    wait_until(given_up, 15, "the gateway gives up tracking")
    wait_until(lambda: not logs_are_tracked(stack), 5, "tracking is off")
    lines_come()
    assert wakeup_kinds(stack)[-1:] in ([], ["sweep"])

    def reads():
        return stack.redis.info("commandstats")["cmdstat_xrange"]["calls"]

    def reads_in_a_second():
        begin, before = time.monotonic(), reads()
        wait_until(lambda: time.monotonic() - begin > 1, 5, "a second has passed")
        return (reads() - before) / (time.monotonic() - begin)

    wait_until(lambda: reads_in_a_second() < 100, 10, "logs without new lines are read less often")
