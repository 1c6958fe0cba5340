"""R3: the gap events, which tell a client that lines of its log were trimmed or deleted before it received them."""

import pytest

from support.clients import NotReceived, fetch, open_stream
from support.log_streams import ids_of, key_of, open_log, path
from support.publishers import Builder


def gap_block(requested, first):
    first = "null" if first is None else f'"{first}"'
    return f'event: gap\ndata: {{"requested":"{requested}","first_available":{first}}}'


@pytest.mark.parametrize("how", ["header", "parameter"])
def test_entries_trimmed_after_the_last_id_cause_a_gap_event(stack, job, how):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(20)
    stack.redis.xtrim(worker.log_key, maxlen=5, approximate=False)
    if how == "header":
        stream = open_log(stack, worker, ids[9])
    else:
        stream = open_stream(stack, path(job), headers=stack.bearer(), params={"last_event_id": ids[9]})
        stream.next_block()
    assert stream.next_block() == gap_block(ids[9], ids[15]), "the gap event comes first and has no id"
    assert ids_of(stream.take_events(6)) == ids[15:]


def test_the_id_0_0_of_a_trimmed_log_causes_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(20)
    stack.redis.xtrim(worker.log_key, maxlen=5, approximate=False)
    stream = open_log(stack, worker, "0-0")
    assert stream.next_block() == gap_block("0-0", ids[15])


def test_a_missing_log_causes_a_gap_event_without_a_first_entry(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, "1700000000000-3")
    assert stream.next_block() == gap_block("1700000000000-3", None)
    entry = worker.log("first")
    assert ids_of([stream.next_event(), stream.next_event()]) == [entry]


def test_a_log_that_ends_below_the_last_id_is_read_from_its_beginning_after_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    old = worker.log_many(5)[-1]
    stack.redis.delete(worker.log_key)
    fresh = [stack.redis.xadd(worker.log_key, {"text": str(n)}, id=f"{1000 + n}-0") for n in range(3)]
    stream = open_log(stack, worker, old)
    assert stream.next_block() == gap_block(old, fresh[0])
    assert ids_of(stream.take_events(4)) == fresh


def test_a_log_emptied_by_trimming_causes_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(5)
    stack.redis.xtrim(worker.log_key, maxlen=0, approximate=False)
    stream = open_log(stack, worker, ids[1])
    assert stream.next_block() == gap_block(ids[1], None)
    entry = worker.log("new")
    assert ids_of([stream.next_event(), stream.next_event()]) == [entry]


def test_a_log_that_is_deleted_and_written_again_causes_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    old = worker.log_many(5)[-1]
    stack.redis.delete(worker.log_key)
    fresh = worker.log_many(3)
    stream = open_log(stack, worker, old)
    events = stream.take_events(4)
    assert events[0].name == "gap" and events[0].json() == {"requested": old, "first_available": fresh[0]}
    assert ids_of(events) == fresh


@pytest.mark.parametrize("keep", [20, 11])
def test_no_gap_event_is_sent_while_the_requested_entry_exists(stack, job, keep):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(20)
    stack.redis.xtrim(worker.log_key, maxlen=keep, approximate=False)
    stream = open_log(stack, worker, ids[9])
    events = stream.take_events(10)
    assert [event.name for event in events] == ["log"] * 10 and ids_of(events) == ids[10:]


def test_no_line_is_lost_if_the_requested_entry_is_the_newest_trimmed_one(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(20)
    stack.redis.xtrim(worker.log_key, maxlen=10, approximate=False)
    stream = open_log(stack, worker, ids[9])
    assert ids_of(stream.events_until(lambda event: event.last_id == ids[-1])) == ids[10:]


def test_a_gap_event_in_the_middle_of_a_stream_has_no_id(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    old = worker.log("old")
    assert ids_of([stream.next_event()]) == [old]
    pipe = stack.redis.pipeline(transaction=True)
    pipe.delete(worker.log_key)
    for number in range(3):
        pipe.xadd(worker.log_key, {"text": str(number)}, id=f"{2000 + number}-0")
    pipe.execute()
    assert stream.next_block() == f"id: {old}\nevent: log\ndata: {stream.events[0].data}"
    assert stream.next_block() == gap_block(old, "2000-0")
    assert ids_of(stream.take_events(4)) == ["2000-0", "2001-0", "2002-0"]


def test_lines_trimmed_before_they_are_read_cause_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    first = worker.log("first")
    stream.next_event()
    pipe = stack.redis.pipeline(transaction=True)
    for number in range(100):
        pipe.xadd(worker.log_key, {"text": str(number)}, maxlen=10, approximate=False)
    ids = pipe.execute()
    events = stream.take_events(11)
    assert events[0].name == "gap"
    assert events[0].json() == {"requested": first, "first_available": ids[90]}
    assert ids_of(events) == ids[90:]


def test_a_deleted_log_does_not_end_its_streams(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    worker.log("old")
    stream.next_event()
    stack.redis.delete(worker.log_key)
    with pytest.raises(NotReceived):
        stream.events_until("log", 1)
    new = worker.log("new")
    assert ids_of(stream.events_until("log")) == [new]
    worker.move("ready")
    assert stream.rest()[-1].name == "done"


@pytest.mark.parametrize("left", [0, 3])
def test_a_log_lost_just_before_its_job_ends_causes_a_gap_event_before_done(stack_with, job, left):
    """Lines may have been written after the last one that the stream got, so `done` alone would hide a loss."""
    # Redis sends notifications of stream commands only, so nothing announces that the log was deleted before the job
    # ends.
    stack = stack_with({"redis.wakeups": "notifications"}, redis_conf=["notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    old = worker.log("old")
    stream.next_event()
    pipe = stack.redis.pipeline(transaction=True)
    pipe.delete(worker.log_key)
    # The new log is renamed, because an XADD to the key itself would send a notification.
    fresh = [f"{3000 + number}-0" for number in range(left)]
    for one in fresh:
        pipe.xadd(worker.log_key + ":new", {"text": one}, id=one)
    if left:
        pipe.rename(worker.log_key + ":new", worker.log_key)
    pipe.execute()
    worker.move("ready")
    events = stream.rest()
    assert [event.name for event in events] == ["gap", *["log"] * left, "done"]
    assert events[0].json() == {"requested": old, "first_available": fresh[0] if fresh else None}
    assert ids_of(events) == fresh
    assert events[-1].last_id == (f"end.{fresh[-1]}" if fresh else "end.0-0")


def test_approximate_trimming_causes_no_gap_event_for_a_client_that_keeps_up(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    ids = []
    for _ in range(20):
        pipe = stack.redis.pipeline(transaction=False)
        for number in range(100):
            pipe.xadd(worker.log_key, {"text": str(number)}, maxlen=300, approximate=True)
        new = pipe.execute()
        ids += new
        stream.events_until(lambda event: event.last_id == new[-1], timeout=10)
    assert [event.name for event in stream.events if event.name == "gap"] == []
    assert ids_of(stream.events) == ids


def replace_log(stack, worker):
    """Replaces the worker's log by a log with lower ids in one transaction.  Returns the ids of the new entries."""
    pipe = stack.redis.pipeline(transaction=True)
    pipe.delete(worker.log_key)
    for n in range(3):
        pipe.xadd(worker.log_key, {"text": str(n)}, id=f"{3000 + n}-0")
    return pipe.execute()[1:]


def test_an_emptied_log_replaced_by_lower_ids_is_read_from_its_beginning_after_a_gap_event(stack, job):
    worker = Builder(stack.redis, job).create()
    old = worker.log("old")
    stack.redis.xtrim(worker.log_key, maxlen=0, approximate=False)
    stream = open_log(stack, worker)
    with pytest.raises(NotReceived):
        stream.next_block(0.2)
    fresh = replace_log(stack, worker)
    assert stream.next_block(8) == gap_block(old, fresh[0])
    assert ids_of(stream.take_events(4)) == fresh


def test_a_slow_client_gets_one_gap_event_if_its_log_is_replaced(stack, job):
    worker = Builder(stack.redis, job).create()
    fast = open_log(stack, worker)
    slow = open_log(stack, worker, via="gateway")
    worker.log_many(6000, prefix="x" * 200)
    fast.events_until(lambda event: "5999" in event.data, timeout=20)
    fresh = replace_log(stack, worker)
    fast.events_until("gap")
    assert ids_of(fast.take_events(3)) == fresh
    events = slow.events_until(lambda event: event.last_id == fresh[-1], timeout=20)
    assert [event.name for event in events].count("gap") == 1
    assert ids_of(events)[-3:] == fresh
    assert len(set(ids_of(events))) == len(ids_of(events)), "each line once"


def test_clients_that_resume_while_the_log_is_trimmed_get_no_line_twice(stack, job):
    worker = Builder(stack.redis, job).create()
    streams, last = [open_log(stack, worker)], "0-0"
    for turn in range(20):
        pipe = stack.redis.pipeline(transaction=True)
        for number in range(50):
            pipe.xadd(worker.log_key, {"text": f"{turn} {number}"}, maxlen=20, approximate=False)
        before, last = last, pipe.execute()[-1]
        streams.append(open_log(stack, worker, before))
    for stream in streams:
        stream.events_until(lambda event: event.last_id == last, timeout=10)
        keys = [key_of(one) for one in ids_of(stream.events)]
        assert keys == sorted(set(keys)), "the ids are strictly increasing"


def test_entries_over_the_output_buffer_limit_of_redis_are_read_in_smaller_parts(private_stack, job):
    stack = private_stack(redis_conf=["client-output-buffer-limit normal 8mb 0 0"])
    worker = Builder(stack.redis, job).create()
    ids = [stack.redis.xadd(worker.log_key, {"text": str(n) + "L" * 1_000_000}) for n in range(40)]
    stream = open_log(stack, worker, "0-0")
    assert ids_of(stream.take_events(40, timeout=60)) == ids
    page = fetch(stack, f"/api/jobs/{job}/logs?limit=3", headers=stack.bearer(), timeout=30)
    assert [line["id"] for line in page.json()["lines"]] == ids[-3:]
