"""R3: the log lines of a builder job, live and resumed; the gap events; the wake-ups of the log feeds."""

import itertools
import json
import os
import random
import threading
import time

import pytest

from support import sse
from support.clients import NotReceived, fetch, open_stream
from support.publishers import Builder
from support.seals import seal
from support.waiting import wait_until

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])
HEARTBEAT = "event: heartbeat\ndata: {}"


def path(job):
    return f"/api/jobs/{job}/logs/stream"


def open_log(stack, worker, resume=None, **more):
    direct = more.get("via") == "gateway"
    headers = seal(stack, "log-stream", worker.job, user=worker.user) if direct else stack.bearer(worker.user)
    if resume is not None:
        headers["Last-Event-ID"] = resume
    stream = open_stream(stack, path(worker.job), headers=headers, **more)
    assert stream.status == 200, (stream.status, stream.raw)
    assert stream.next_block() == "retry: 3000"
    return stream


def lines_of(events):
    return [event.json()["text"] for event in events if event.name == "log"]


def ids_of(events):
    return [event.last_id for event in events if event.name == "log"]


def key_of(entry_id):
    return tuple(map(int, entry_id.split("-")))


def xread_calls(stack):
    """The number of XREAD commands that Redis has got.  The gateway sends one to ask which logs have grown."""
    return stack.redis.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"]


# ---- live ---------------------------------------------------------------------------------------------


@ways_in
def test_each_entry_is_a_log_event_with_its_own_id(stack, job, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, http=http, via=via)
    for text in ("npm install", "", "wrote 3 files"):
        entry = worker.log(text, source="stderr", phase="build")
        fields = stack.redis.xrange(worker.log_key, entry, entry)[0][1]
        block = stream.next_block().split("\n")
        assert block[:2] == [f"id: {entry}", "event: log"] and len(block) == 3
        data = json.loads(block[2].removeprefix("data: "))
        assert list(data) == ["id", "ts", "source", "text", "phase"]
        assert data == {"id": entry, **fields}


def test_a_first_connect_gets_no_older_lines(stack, job):
    worker = Builder(stack.redis, job).create()
    worker.log_many(50)
    stream = open_log(stack, worker)
    worker.log("new")
    assert lines_of([stream.next_event()]) == ["new"]


def test_a_log_that_does_not_exist_yet_is_followed_from_its_first_entry(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    with pytest.raises(NotReceived):
        stream.next_block(0.3)
    worker.log("first")
    worker.log("second")
    assert lines_of(stream.take_events(2)) == ["first", "second"]


def test_every_line_written_after_the_head_of_the_answer_arrives(stack, job):
    for number in range(30):
        worker = Builder(stack.redis, f"{job}-{number}").create()
        if number % 2:
            worker.log("old")
        stream = open_stream(stack, path(worker.job), headers=stack.bearer())
        worker.log("new")
        assert lines_of([stream.next_event()]) == ["new"]


def test_a_line_arrives_at_once(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    took = []
    for number in range(20):
        begin = time.monotonic()
        worker.log(str(number))
        stream.next_event()
        took.append(time.monotonic() - begin)
    assert sorted(took)[10] < 0.25, took


@pytest.mark.parametrize("missing", ["ts", "source", "text", "phase"])
def test_a_missing_field_of_an_entry_is_null(stack, job, missing):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    fields = {"ts": "t", "source": "s", "text": "x", "phase": "p", "other": "left out"}
    entry = stack.redis.xadd(worker.log_key, {name: value for name, value in fields.items() if name != missing})
    expected = {"id": entry, "ts": "t", "source": "s", "text": "x", "phase": "p", missing: None}
    assert stream.next_event().json() == expected


@pytest.mark.parametrize(
    "text",
    [
        "two\nlines",
        "cr\rlf\r\n",
        "\n\nevent: done\ndata: {}\n\n",
        "\0\x1b[31mred",
        'q"\\',
        "\u2028 ü \U0001f680",
        " " * 5,
    ],
)
def test_any_text_of_an_entry_stays_in_one_event(stack, job, text):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    entry = worker.log(text)
    event = stream.next_event()
    assert (event.name, event.last_id, event.json()["text"]) == ("log", entry, text)
    assert event.data.count("\n") == 0


def test_invalid_utf8_in_an_entry_is_replaced(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    stack.redis.xadd(worker.log_key, {"text": b"caf\xe9 \xff\xfe ok"})
    assert stream.next_event().json()["text"] == "caf\ufffd \ufffd\ufffd ok"
    stream.raw.decode("utf-8", "strict")


@pytest.mark.parametrize("size", ["2k", "8k"])
def test_streams_pages_and_errors_pass_the_smallest_and_the_largest_nginx_buffers(stack_with, job, size):
    stack = stack_with(nginx_settings={"TG_STREAM_BUFFER": size})
    worker = Builder(stack.redis, job).create()
    ids = [worker.log(f"{n} " + "x" * (n * 40)) for n in range(100)]
    stream = open_log(stack, worker, resume="0-0")
    assert ids_of(stream.take_events(100)) == ids
    page = fetch(
        stack, f"/api/jobs/{job}/logs?limit=100", headers={**stack.bearer(), "Origin": "https://app.example.com"}
    )
    assert [line["id"] for line in page.json()["lines"]] == ids
    assert fetch(stack, f"/api/jobs/{job}/logs").status == 401


def test_a_line_of_megabytes_arrives_whole(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    worker.log("L" * 2_000_000)
    worker.log("after")
    events = stream.take_events(2, timeout=15)
    assert [len(line) for line in lines_of(events)] == [2_000_000, 5]


def test_each_of_many_log_streams_gets_only_its_own_lines(stack, job):
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(30)]
    streams = [open_log(stack, worker) for worker in workers]
    for turn in range(5):
        for worker in workers:
            worker.log(f"{worker.job} {turn}")
    for worker, stream in zip(workers, streams):
        assert lines_of(stream.take_events(5)) == [f"{worker.job} {turn}" for turn in range(5)]


# ---- the end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["ready", "failed"])
@ways_in
def test_done_comes_after_all_lines_of_the_log(stack, job, status, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, http=http, via=via)
    pipe = stack.redis.pipeline(transaction=True)  # all at once, and more than one read returns
    for number in range(1000):
        pipe.xadd(worker.log_key, {"text": f"line {number}"})
    pipe.hset(worker.key, "status", status)
    last = pipe.execute()[-2]
    events = stream.rest(timeout=15)
    assert lines_of(events) == [f"line {number}" for number in range(1000)]
    assert stream.blocks[-1] == f'event: done\ndata: {{"status":"{status}"}}\nid: end.{last}'


@ways_in
def test_a_log_stream_of_an_ended_job_gets_done_at_once(stack, job, http, via):
    worker = Builder(stack.redis, job).create("ready")
    last = worker.log_many(30)[-1]
    stream = open_log(stack, worker, http=http, via=via)
    stream.rest()
    assert stream.blocks == ["retry: 3000", f'event: done\ndata: {{"status":"ready"}}\nid: end.{last}']


def test_a_job_that_ended_without_a_line_gets_done(stack, job):
    worker = Builder(stack.redis, job).create("failed")
    stream = open_log(stack, worker)
    stream.rest()
    assert stream.blocks[1:] == ['event: done\ndata: {"status":"failed"}\nid: end.0-0']


def test_the_builder_hook_reads_every_line_and_done(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    texts = [f"step {number}\nof it" for number in range(20)]
    for text in texts:
        worker.log(text)
    worker.move("ready")
    assert stream.wait_closed()
    seen = [event for event in sse.builder_events(stream.raw) if event[0] != "heartbeat"]
    assert [data["text"] for name, data in seen if name == "log"] == texts
    assert seen[-1] == ("done", {"status": "ready"})


def test_a_reconnect_to_a_job_that_runs_again_gets_the_lines_after_its_end(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    worker.log("first run")
    worker.move("failed")
    assert stream.wait_closed()
    worker.log("second run: before the reconnect")
    worker.move("queued")
    again = open_log(stack, worker, stream.last_id)
    worker.log("second run: live")
    events = again.take_events(2)
    assert lines_of(events) == ["second run: before the reconnect", "second run: live"]
    worker.move("ready")
    assert [event.name for event in again.rest()] == ["done"]


# ---- resume -------------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize("how", ["header", "parameter"])
def test_a_resumed_stream_gets_the_lines_after_its_last_id_and_then_live_lines(stack, job, http, via, how):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(250)
    headers, params = stack.bearer(), None
    if how == "header":
        headers["Last-Event-ID"] = ids[99]
    else:
        params = {"last_event_id": ids[99]}
    stream = open_stream(stack, path(job), headers=headers, params=params, http=http, via=via)
    ids.append(worker.log("live"))
    assert ids_of(stream.take_events(151)) == ids[100:]


def test_the_last_event_id_header_takes_precedence_over_the_parameter(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(10)
    headers = {**stack.bearer(), "Last-Event-ID": ids[7]}
    stream = open_stream(stack, path(job), headers=headers, params={"last_event_id": ids[1]})
    assert ids_of(stream.take_events(2)) == ids[8:]


def test_the_id_of_the_end_as_a_parameter_gets_204_until_the_job_runs_again(stack, job):
    worker = Builder(stack.redis, job).create()
    worker.log_many(3)
    stream = open_log(stack, worker, "0-0")
    worker.move("ready")
    end_id = stream.rest()[-1].last_id
    assert end_id.startswith("end.")

    def reconnect(**headers):
        return open_stream(stack, path(job), headers={**stack.bearer(), **headers}, params={"last_event_id": end_id})

    assert reconnect().status == 204
    assert [event.name for event in reconnect(**{"Last-Event-ID": "0-0"}).rest()] == ["log"] * 3 + [
        "done"
    ], "the header wins"
    worker.write_status("building")
    again = reconnect()
    line = worker.log("new")
    assert ids_of([again.next_event()]) == [line]


def test_the_id_0_0_resumes_from_the_beginning(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(10)
    by_header = open_log(stack, worker, "0-0")
    by_parameter = open_stream(stack, path(job), headers=stack.bearer(), params={"last_event_id": "0-0"})
    for stream in (by_header, by_parameter):
        assert ids_of(stream.take_events(10)) == ids


def test_the_newest_id_resumes_with_new_lines_only(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(10)
    stream = open_log(stack, worker, ids[-1])
    ids.append(worker.log("new"))
    assert ids_of([stream.next_event()]) == ids[-1:]


def test_a_resumed_stream_of_an_ended_job_gets_the_rest_and_done(stack, job):
    worker = Builder(stack.redis, job).create("ready")
    ids = worker.log_many(700)
    stream = open_log(stack, worker, ids[9])
    events = stream.rest()
    assert ids_of(events) == ids[10:] and events[-1].name == "done"


MALFORMED = [
    "5",
    "5-",
    "-5",
    "a-b",
    "1-1-1",
    "$",
    "+",
    "1-18446744073709551616",
    "18446744073709551616-0",
    "1--1",
    "0x1-0",
    "1.0-0",
    "1-1,",
    "+1-1",
    "１-１",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_last_event_id_header_is_ignored(stack, job, text):
    worker = Builder(stack.redis, job).create()
    worker.log_many(3)
    stream = open_log(stack, worker, text)
    worker.log("new")
    assert lines_of([stream.next_event()]) == ["new"]


@pytest.mark.parametrize("text", [*MALFORMED, "", " 1-1", "1-1 ", "1-\n1"])
def test_a_malformed_last_event_id_parameter_gets_422_with_its_name(stack, job, text):
    worker = Builder(stack.redis, job).create()
    worker.log_many(3)
    answer = fetch(stack, path(job), headers=stack.bearer(), params={"last_event_id": text})
    assert answer.status == 422
    assert "last_event_id" in answer.json()["detail"]


def test_the_parameter_applies_if_the_last_event_id_header_is_malformed(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(3)
    headers = {**stack.bearer(), "Last-Event-ID": "nonsense"}
    stream = open_stream(stack, path(job), headers=headers, params={"last_event_id": ids[1]})
    assert ids_of([stream.next_event()]) == ids[2:]


def test_the_largest_possible_id_is_accepted(stack, job):
    worker = Builder(stack.redis, job).create()
    worker.log_many(3)
    stream = open_log(stack, worker, "18446744073709551615-18446744073709551615")
    assert stream.next_event().name == "gap", "all entries of the log have lower ids"


def test_a_client_that_reconnects_often_gets_every_line_once(stack, job):
    worker = Builder(stack.redis, job).create()
    lines, seen, last = 3000, [], "0-0"

    def write():
        for begin in range(0, lines, 10):
            pipe = stack.redis.pipeline(transaction=False)
            for number in range(begin, begin + 10):
                pipe.xadd(worker.log_key, {"text": str(number)})
            pipe.execute()
        worker.write_status("ready")

    writer = threading.Thread(target=write)
    writer.start()
    dice = random.Random(7)
    while True:
        stream = open_log(stack, worker, last, http=dice.choice(["1.1", "2"]))
        wanted = dice.randrange(1, 200)
        try:
            while wanted:
                event = stream.next_event()
                assert event.name in ("log", "done")
                if event.name == "done":
                    break
                seen.append(event)
                last = event.last_id
                wanted -= 1
        finally:
            stream.close()
        if wanted:
            break
    writer.join()
    assert lines_of(seen) == [str(number) for number in range(lines)]
    assert [key_of(one) for one in ids_of(seen)] == sorted({key_of(one) for one in ids_of(seen)})


# ---- gap ----------------------------------------------------------------------------------------------


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
    # With notifications of XADD only, nothing announces that the log was deleted before the job ends.
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


def test_a_log_of_the_wrong_type_at_the_end_of_its_job_gets_a_gap_event_and_no_done(stack_with, job):
    stack = stack_with({"redis.wakeups": "notifications"}, redis_conf=["notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    worker.log("old")
    stream.next_event()
    pipe = stack.redis.pipeline(transaction=True)
    pipe.delete(worker.log_key)
    pipe.set(worker.log_key, "no stream")
    pipe.execute()
    worker.move("ready")
    assert [event.name for event in stream.rest()] == ["gap"]
    assert fetch(stack, path(job), headers=stack.bearer()).status == 500


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


# ---- heartbeats ---------------------------------------------------------------------------------------


@ways_in
def test_heartbeats_continue_between_lines(stack_with, job, http, via):
    stack = stack_with({"route.log-stream.heartbeat.every_s": 0.5})
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, http=http, via=via)
    begin, beats = time.monotonic(), 0
    while beats < 4:
        worker.log("busy")
        try:
            beats += stream.next_block(0.1) == HEARTBEAT
        except NotReceived:
            continue
    assert 1.4 < time.monotonic() - begin < 4


# ---- wrong types, wake-ups ----------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [None, "0-0", "5-5"])
def test_a_log_of_the_wrong_type_gets_500_and_an_error_in_the_log(stack, job, resume):
    worker = Builder(stack.redis, job).create()
    stack.redis.set(worker.log_key, "no stream")
    headers = {**stack.bearer(), **({"Last-Event-ID": resume} if resume else {})}
    answer = fetch(stack, path(job), headers=headers)
    assert answer.status == 500 and isinstance(answer.json()["detail"], str)
    assert any(worker.log_key in json.dumps(line) for line in stack.logs() if line["level"] == "error")


def test_a_log_of_the_wrong_type_does_not_disturb_other_logs(stack, job):
    good, bad = (Builder(stack.redis, f"{job}-{name}").create() for name in ("good", "bad"))
    streams = [open_log(stack, worker) for worker in (good, bad)]
    bad.log("one")
    streams[1].next_event()
    stack.redis.delete(bad.log_key)
    stack.redis.set(bad.log_key, "no stream any more")
    for number in range(20):
        good.log(str(number))
        assert lines_of([streams[0].next_event()]) == [str(number)]
    assert fetch(stack, path(bad.job), headers=stack.bearer()).status == 500


@pytest.mark.parametrize(
    "wakeups, redis_conf",
    [
        ("auto", ["notify-keyspace-events Kt"]),
        ("auto", ["notify-keyspace-events KA"]),
        ("notifications", ["notify-keyspace-events Kt"]),
        ("auto", []),
        ("sweep", []),
    ],
)
def test_lines_arrive_at_once_with_each_kind_of_wakeup(stack_with, job, wakeups, redis_conf):
    stack = stack_with({"redis.wakeups": wakeups}, redis_conf=redis_conf)
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    took = []
    for number in range(30):
        begin = time.monotonic()
        worker.log(str(number))
        assert lines_of([stream.next_event()]) == [str(number)]
        took.append(time.monotonic() - begin)
    assert sorted(took)[15] < 0.25, took
    by = "notifications" if redis_conf else "sweep" if wakeups == "sweep" else "tracking"
    woken = {name: value for name, value in stack.metrics().items() if name.startswith("tailgate_log_wakeups")}
    assert woken == {f'tailgate_log_wakeups{{by="{one}"}}': one == by for one in ("notifications", "tracking", "sweep")}


def test_a_sweep_reads_many_logs_in_one_command_despite_one_of_the_wrong_type(stack_with, job):
    stack = stack_with({"redis.wakeups": "sweep"})
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(120)]
    streams = [open_log(stack, worker, via="gateway") for worker in workers]
    wait_until(lambda: stack.metrics()["tailgate_logs_followed"] == 120, 5, "all logs are followed")

    begin, before = time.monotonic(), xread_calls(stack)
    wait_until(lambda: xread_calls(stack) > before + 20, 5, "some sweeps")
    assert xread_calls(stack) - before < 2 * (time.monotonic() - begin) / 0.02 + 4, "two commands each 22 ms"
    pipe = stack.redis.pipeline(transaction=True)
    pipe.set(workers[50].log_key, "no stream")
    for worker in workers[:50] + workers[51:]:
        pipe.xadd(worker.log_key, {"text": "line"})
    pipe.execute()
    for stream in streams[:50] + streams[51:]:
        assert lines_of([stream.next_event()]) == ["line"]


def test_a_log_without_new_lines_is_swept_less_often(stack_with, job):
    stack = stack_with({"redis.wakeups": "sweep"})
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)

    def seconds_for_ten_reads():
        begin, before = time.monotonic(), xread_calls(stack)
        wait_until(lambda: xread_calls(stack) >= before + 10, 10, "ten reads")
        return time.monotonic() - begin

    wait_until(lambda: seconds_for_ten_reads() > 1, 20, "the log is read less often")
    numbers = itertools.count()

    def read_often_after_a_line():
        text = str(next(numbers))
        worker.log(text)
        assert lines_of([stream.next_event()]) == [text]
        return seconds_for_ten_reads() < 1

    wait_until(read_often_after_a_line, 20, "the log is read often again")


def test_a_redis_without_the_config_command_is_supported(stack_with, job):
    stack = stack_with(redis_conf=['rename-command CONFIG ""', "notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    worker.log("line")
    assert lines_of([stream.next_event()]) == ["line"]


# ---- tracking -----------------------------------------------------------------------------------------


def wakeup_kinds(stack):
    return [line["by"] for line in stack.logs("log.wakeups")]


def links(stack):
    return {client["name"].removeprefix("tailgate-"): client for client in stack.connections()}


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
    wait_until(lambda: line_arrives_without_a_sweep(stack, worker, stream), 10, "logs are not swept")
    assert wakeup_kinds(stack)[-1] == "tracking"
    assert links(stack)["logs"]["redir"] == links(stack)["subscriber"]["id"]


def test_tracking_is_off_while_notifications_arrive(stack_with, job):
    stack = stack_with(redis_conf=["notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)

    def notified():
        worker.log("line")
        stream.next_event()
        return wakeup_kinds(stack)[-1:] == ["notifications"]

    wait_until(notified, 10, "a notification came before the sweep")
    wait_until(lambda: stack.redis.info("clients")["tracking_clients"] == 0, 5, "tracking is off")
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


def test_notifications_are_not_trusted_for_a_while_after_one_was_missing(stack_with, job):
    """Redis sends notifications of XADD only, so a log that is copied to another key is not announced."""
    stack = stack_with(redis_conf=["notify-keyspace-events Kt"])
    renamed, plain = (Builder(stack.redis, f"{job}-{name}").create() for name in ("renamed", "plain"))
    streams = [open_log(stack, worker, via="gateway") for worker in (renamed, plain)]

    def notified():
        plain.log("line")
        streams[1].next_event()
        return "notifications" in wakeup_kinds(stack)

    wait_until(notified, 5, "the gateway relies on notifications")
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
    wait_until(lambda: stack.redis.info("clients")["tracking_clients"] == 0, 5, "tracking is off")
    lines_come()
    assert wakeup_kinds(stack)[-1:] in ([], ["sweep"])

    def reads():
        return stack.redis.info("commandstats")["cmdstat_xrange"]["calls"]

    def reads_in_a_second():
        begin, before = time.monotonic(), reads()
        wait_until(lambda: time.monotonic() - begin > 1, 5, "a second has passed")
        return (reads() - before) / (time.monotonic() - begin)

    wait_until(lambda: reads_in_a_second() < 100, 10, "logs without new lines are read less often")
