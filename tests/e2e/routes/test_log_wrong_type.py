"""R3: a log whose key in Redis is not a stream."""

import json

import pytest

from support.clients import fetch
from support.log_streams import lines_of, open_log, path
from support.publishers import Builder


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


def test_a_log_that_turns_into_another_type_gets_a_gap_and_the_end(private_stack, job):
    stack = private_stack()  # the gateway logs at most five such errors at once
    worker = Builder(stack.redis, job).create()
    stream = open_log(stack, worker)
    line = worker.log("old")
    stream.next_event()
    stack.redis.set(worker.log_key, "no stream any more")
    [gap] = stream.rest(timeout=10)
    assert (gap.name, gap.json()) == ("gap", {"requested": line, "first_available": None})
    assert stream.last_id == line
    refused = [entry for entry in stack.logs("log.refused") if entry["key"] == worker.log_key]
    assert refused and refused[0]["why"].startswith("WRONGTYPE")
    answer = fetch(stack, path(job), headers=stack.bearer())
    assert (answer.status, answer.json()) == (500, {"detail": "The log cannot be read"})


# The log is lost, but not the end of the job.
def test_a_log_of_the_wrong_type_at_the_end_of_its_job_sends_a_gap_and_done(stack_with, job):
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
    assert [event.name for event in stream.rest()] == ["gap", "done"]
    assert fetch(stack, path(job), headers=stack.bearer()).status == 500
