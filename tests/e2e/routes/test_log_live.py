"""R3: the lines that a job writes while a client reads its log stream."""

import json
import time

import pytest

from support.clients import NotReceived, fetch, open_stream
from support.log_streams import ids_of, lines_of, open_log, path
from support.publishers import Builder

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])
HEARTBEAT = "event: heartbeat\ndata: {}"


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
