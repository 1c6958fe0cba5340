"""R3: how the gateway learns of new lines: by notifications, by tracking or by a sweep."""

import itertools
import time

import pytest

from support.log_streams import lines_of, open_log, xread_calls
from support.publishers import Builder
from support.waiting import wait_until


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
