"""R3: the end of a log stream, after the end of its job."""

import time

import pytest

from support import sse
from support.clients import open_stream
from support.log_streams import lines_of, open_log, path
from support.publishers import Builder
from support.waiting import wait_until

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@pytest.mark.parametrize("status", ["ready", "failed"])
@ways_in
def test_done_comes_after_all_lines_of_the_log(stack, job, status, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, http=http, via=via)
    pipe = stack.redis.pipeline(transaction=True)  # written at once, but more than one read of the gateway returns
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
    stack.redis.xadd(worker.log_key, {"text": "written long ago"}, id="5-1")
    stream = open_log(stack, worker, http=http, via=via)
    stream.rest(timeout=0.9)
    assert stream.blocks == ["retry: 3000", 'event: done\ndata: {"status":"ready"}\nid: end.5-1']


# Workers flush their last lines after the status.
@ways_in
def test_lines_that_follow_the_status_come_before_done(stack, job, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker, http=http, via=via)
    worker.write_status("failed")
    time.sleep(0.6)
    worker.log("error: disk full")
    time.sleep(0.6)
    last = worker.log("hint: delete something")
    events = stream.rest(timeout=10)
    assert lines_of(events) == ["error: disk full", "hint: delete something"]
    assert events[-1].name == "done" and stream.last_id == f"end.{last}"


def test_lines_that_follow_the_status_come_before_done_for_a_viewer_who_comes_later(stack, job):
    worker = Builder(stack.redis, job).create()
    worker.log("first")
    worker.write_status("failed")
    stream = open_log(stack, worker)
    time.sleep(0.6)
    last = worker.log("late")
    assert [event.last_id for event in stream.rest(timeout=10)] == [last, f"end.{last}"]


# A job that fails at once, such as one whose image is missing, has no line yet when its page opens.
def test_the_first_line_of_a_job_that_failed_at_once_comes_before_done(stack, job):
    worker = Builder(stack.redis, job).create("failed")
    stream = open_log(stack, worker)
    time.sleep(0.4)
    last = worker.log("no such image")
    assert [event.last_id for event in stream.rest(timeout=10)] == [last, f"end.{last}"]


def test_a_job_that_is_queued_again_in_the_grace_gets_no_done(private_stack, job):
    # A stack of its own, so that no other stream looks at a record.  The grace is longer than two looks take.
    stack = private_stack({"route.log-stream.end_grace_ms": 4000})
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    looks = stack.metrics()["tailgate_record_looks_total"]
    worker.write_status("failed")
    # The first look may have begun before the write.
    wait_until(lambda: stack.metrics()["tailgate_record_looks_total"] >= looks + 2)
    worker.write_status("queued")
    time.sleep(4.5)
    worker.log("second attempt")
    assert lines_of(stream.take_events(1)) == ["second attempt"]


def test_done_comes_at_once_with_an_end_grace_of_zero(stack_with, job):
    stack = stack_with({"route.log-stream.end_grace_ms": 0})
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    last = worker.log("last")
    worker.write_status("ready")
    assert [event.last_id for event in stream.rest(timeout=10)] == [last, f"end.{last}"]


@pytest.mark.parametrize("how", ["header", "last_event_id", "lastEventId", "Last-Event-ID"])
def test_a_client_that_saw_the_end_gets_a_line_that_came_later_and_then_204(stack, job, how):
    worker = Builder(stack.redis, job).create("failed")
    first, late = (stack.redis.xadd(worker.log_key, {"text": "x"}, id=id) for id in ("5-1", "6-1"))

    def reconnect(id):
        headers = {**stack.bearer(), **({"Last-Event-ID": id} if how == "header" else {})}
        return open_stream(stack, path(job), headers=headers, params=None if how == "header" else {how: id})

    assert [event.last_id for event in reconnect(f"end.{first}").rest(timeout=10)] == [late, f"end.{late}"]
    assert reconnect(f"end.{late}").status == 204
    assert reconnect("end").status == 204


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
