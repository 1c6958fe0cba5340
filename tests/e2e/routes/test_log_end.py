"""R3: the end of a log stream, after the end of its job."""

import pytest

from support import sse
from support.log_streams import lines_of, open_log
from support.publishers import Builder

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


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
