"""R3: a log stream continues after the last id that its client has received."""

import random
import threading

import pytest

from support.clients import fetch, open_stream
from support.log_streams import ids_of, key_of, lines_of, open_log, path
from support.publishers import Builder

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@ways_in
@pytest.mark.parametrize("how", ["header", "last_event_id", "lastEventId", "Last-Event-ID"])
def test_a_resumed_stream_gets_the_lines_after_its_last_id_and_then_live_lines(stack, job, http, via, how):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(250)
    headers, params = stack.bearer(), None
    if how == "header":
        headers["Last-Event-ID"] = ids[99]
    else:
        params = {how: ids[99]}
    stream = open_stream(stack, path(job), headers=headers, params=params, http=http, via=via)
    ids.append(worker.log("live"))
    assert ids_of(stream.take_events(151)) == ids[100:]


def test_the_last_event_id_header_takes_precedence_over_the_parameter(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(10)
    headers = {**stack.bearer(), "Last-Event-ID": ids[7]}
    stream = open_stream(stack, path(job), headers=headers, params={"last_event_id": ids[1]})
    assert ids_of(stream.take_events(2)) == ids[8:]


def test_the_highest_id_of_several_parameters_counts(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(10)
    params = [("last_event_id", ids[1]), ("lastEventId", ids[7]), ("lastEventId", ids[4])]
    stream = open_stream(stack, path(job), headers=stack.bearer(), params=params)
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


@pytest.mark.parametrize("text", [*MALFORMED, "", "1-1,", " 1-1", "1-1 ", "1-\n1"])
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
