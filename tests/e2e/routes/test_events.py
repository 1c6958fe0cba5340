"""R1 and R2: the events of a builder job, and its older status stream."""

import json
import time

import pytest

from support import sse
from support.clients import NotReceived, open_stream, send
from support.publishers import Builder
from support.seals import seal
from support.waiting import wait_until


def events_path(job):
    return f"/api/jobs/{job}/events/stream"


def status_path(job):
    return f"/api/jobs/{job}/stream"


both = pytest.mark.parametrize("path_of", [events_path, status_path])
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


def open_live(stack, worker, path_of, **more):
    """Opens a stream and reads its opening blocks.  The next block is the next published message."""
    stream = open_stream(stack, path_of(worker.job), headers=stack.bearer(worker.user), **more)
    assert stream.status == 200, (stream.status, stream.raw)
    stream.next_block()
    if path_of is status_path:
        stream.next_block()
    return stream


# ---- messages ---------------------------------------------------------------------------------------


@both
@ways_in
def test_each_message_is_passed_raw_as_data_without_an_event_name(stack, job, path_of, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of, http=http, via=via)
    for kind in ("build.stage.started", "build.stage.completed", "snapshot.updated", "documentation.updated"):
        payload = worker.publish(kind, stage="install", snapshot_url="https://x.example/?a=1&b=%20")
        assert stream.next_block() == f"data: {payload}"
        assert stream.next_event().name == "message"


@both
@pytest.mark.parametrize("status", ["ready", "failed"])
@ways_in
def test_a_terminal_status_in_a_message_ends_the_stream(stack, job, path_of, status, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of, http=http, via=via)
    first = worker.move("scaffold")
    last = worker.move(status, "It is over")
    assert stream.wait_closed()
    assert stream.blocks[-2:] == [f"data: {first}", f"data: {last}\nid: end"]


@both
def test_the_builder_hook_reads_every_message(stack, job, path_of):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    published = [worker.publish("snapshot.updated", n=n) for n in range(3)] + [worker.move("ready")]
    assert stream.wait_closed()
    seen = sse.builder_events(stream.raw)[-4:]
    assert seen == [("message", json.loads(payload)) for payload in published]


HARMLESS = [
    "ready",
    '"ready"',
    '{"status":"ready"',
    '{"status":"ready"} trailing',
    '["ready"]',
    '[{"status":"ready"}]',
    "null",
    "17",
    "{}",
    '{"status":null}',
    '{"status":["ready"]}',
    '{"status":{"status":"ready"}}',
    '{"Status":"ready"}',
    '{"status":"READY"}',
    '{"status":"ready "}',
    '{"job":{"status":"failed"}}',
    "{'status': 'ready'}",
    "status: ready",
]


@both
def test_messages_without_a_terminal_status_do_not_end_the_stream(stack, job, path_of):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    for payload in HARMLESS:
        stack.redis.publish(worker.channel, payload)
        assert stream.next_block() == f"data: {payload}"
    last = worker.move("ready")
    assert stream.rest()[-1].data == last


@both
@pytest.mark.parametrize(
    "payload",
    [' {"status" : "ready"} ', '{"a":[1,{"b":null}],"status":"failed","z":1.5e3}', '{"status":"\\u0072eady"}'],
)
def test_a_terminal_status_is_found_in_any_json_object(stack, job, path_of, payload):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    stack.redis.publish(worker.channel, payload)
    assert stream.wait_closed()
    assert stream.blocks[-1] == f"data: {payload}\nid: end"


FORGERIES = [
    "a\nb",
    "a\rb",
    "a\r\nb",
    "\n",
    "\r\r\n\n",
    "a\n",
    "\na",
    "x\n\nevent: done\ndata: forged\n\n",
    "x\r\revent: done\rdata: forged\r\r",
    "x\nid: end",
    "x\nretry: 1",
    "x\n: comment",
    "\nevent: heartbeat",
    ": not a comment",
    "data: data: x",
    " leading space",
    "  two",
    "nul \0 inside",
    "\u2028\u2029\u0085\v\f",
    "\ufeffbom",
    "schön \U0001f680",
]


@both
@ways_in
def test_a_payload_cannot_forge_a_field_or_an_event(stack, job, path_of, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of, http=http, via=via)
    before = len(stream.events)
    for payload in FORGERIES:
        stack.redis.publish(worker.channel, payload)
    worker.publish("snapshot.updated")
    events = stream.take_events(before + len(FORGERIES) + 1)[before:]
    lines = [payload.replace("\r\n", "\n").replace("\r", "\n") for payload in FORGERIES]
    assert [event.data for event in events[:-1]] == lines
    assert {(event.name, event.last_id) for event in events} == {("message", "")}
    assert stream.retry == 3000 and stream.comments == []
    for block in stream.blocks[-len(FORGERIES) - 1 :]:
        assert all(line.startswith("data: ") for line in block.split("\n"))


@both
def test_bytes_that_are_not_utf8_are_passed_unchanged(stack, job, path_of):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    payload = bytes(byte for byte in range(256) if byte not in (10, 13))
    stack.redis.publish(worker.channel, payload)
    stream.next_block()
    assert b"data: " + payload + b"\n\n" in stream.raw


@both
def test_an_empty_payload_becomes_an_event_with_empty_data(stack, job, path_of):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    stack.redis.publish(worker.channel, "")
    assert stream.next_block().rstrip() == "data:"


@both
@ways_in
def test_a_message_of_megabytes_arrives_whole(stack, job, path_of, http, via):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of, http=http, via=via)
    payload = worker.publish("snapshot.updated", image="A" * 3_000_000)
    assert stream.next_block(15) == f"data: {payload}"


# ---- the opening and the end of a job -----------------------------------------------------------------


@pytest.mark.parametrize("status", ["ready", "failed"])
@ways_in
def test_r1_sends_the_last_event_of_an_ended_job_and_ends(stack, job, status, http, via):
    Builder(stack.redis, job).create(status)
    stream = open_stream(stack, events_path(job), headers=stack.bearer(), http=http, via=via)
    assert stream.wait_closed()
    block = f'data: {{"type":"build.stage.started","status":"{status}","job_id":"{job}"}}\nid: end'
    assert stream.blocks == ["retry: 3000", block]


def test_r1_sends_no_opening_event_for_a_running_job(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_stream(stack, events_path(job), headers=stack.bearer())
    assert stream.next_block() == "retry: 3000"
    payload = worker.publish("snapshot.updated")
    assert stream.next_block() == f"data: {payload}"


@ways_in
def test_r2_begins_with_the_status_of_the_job(stack, job, http, via):
    worker = Builder(stack.redis, job).create("queued", "Waiting for a worker")
    stream = open_stream(stack, status_path(job), headers=stack.bearer(), http=http, via=via)
    assert stream.next_block() == "retry: 3000"
    block = f'data: {{"job_id":"{job}","status":"queued","message":"Waiting for a worker"}}'
    assert stream.next_block() == block
    payload = worker.move("scaffold", "Writing files")
    assert stream.next_block() == f"data: {payload}"


@pytest.mark.parametrize("status", ["ready", "failed"])
def test_r2_sends_the_status_of_an_ended_job_and_ends(stack, job, status):
    Builder(stack.redis, job).create(status, "Done")
    stream = open_stream(stack, status_path(job), headers=stack.bearer())
    assert stream.wait_closed()
    block = f'data: {{"job_id":"{job}","status":"{status}","message":"Done"}}\nid: end'
    assert stream.blocks == ["retry: 3000", block]


def test_r2_sends_an_empty_message_if_the_record_has_none(stack, job):
    Builder(stack.redis, job).create("queued", None)
    stream = open_stream(stack, status_path(job), headers=stack.bearer())
    assert stream.next_event().json() == {"job_id": job, "status": "queued", "message": ""}


@pytest.mark.parametrize(
    "message", ['say "hi"\\', "two\nlines\r\n", "\0\x01\x1f\x7f", "\u2028 ü \U0001f680", "</script>"]
)
def test_r2_quotes_a_status_message_as_json(stack, job, message):
    Builder(stack.redis, job).create("queued", message)
    stream = open_stream(stack, status_path(job), headers=stack.bearer())
    event = stream.next_event()
    assert event.json()["message"] == message
    assert "\n" not in event.data


@pytest.mark.parametrize(
    "raw, text", [(b"a\xffb", "a\ufffdb"), (b"\xed\xa0\x80", None), (b"\xc3", "\ufffd"), (b"\xf4\x90\x80\x80", None)]
)
def test_r2_replaces_invalid_utf8_of_the_record(stack, job, raw, text):
    worker = Builder(stack.redis, job).create("queued")
    stack.redis.hset(worker.key, "status_message", raw)
    stream = open_stream(stack, status_path(job), headers=stack.bearer())
    message = stream.next_event().json()["message"]
    stream.raw.decode("utf-8", "strict")
    assert "\ufffd" in message and (text is None or message == text)


def test_r2_ends_with_the_status_of_a_job_whose_end_was_not_published(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, status_path)
    worker.write_status("failed", "The worker died")
    assert stream.wait_closed()
    block = f'data: {{"job_id":"{job}","status":"failed","message":"The worker died"}}\nid: end'
    assert stream.blocks[-1] == block


def test_r1_ends_with_the_last_event_of_a_job_whose_end_was_not_published(stack, job):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, events_path)
    worker.write_status("failed", "The worker died")
    assert stream.wait_closed()
    block = f'data: {{"type":"build.stage.started","status":"failed","job_id":"{job}"}}\nid: end'
    assert stream.blocks[-1] == block


@both
def test_a_new_status_that_is_not_terminal_sends_no_event(stack, job, path_of):
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    worker.write_status("scaffold", "quietly")
    with pytest.raises(NotReceived):
        stream.next_block(1.5)


# ---- heartbeats ---------------------------------------------------------------------------------------

BEAT = {events_path: "event: heartbeat\ndata: {}", status_path: ": heartbeat"}
QUICK = {"route.events.heartbeat.every_s": 0.8, "route.status.heartbeat.every_s": 0.8}


@both
@ways_in
def test_a_silent_stream_gets_heartbeats(stack_with, job, path_of, http, via):
    stack = stack_with(QUICK)
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of, http=http, via=via)
    begin = time.monotonic()
    assert [stream.next_block(3), stream.next_block(3)] == [BEAT[path_of]] * 2
    assert 1.2 < time.monotonic() - begin < 2.6


@both
def test_events_postpone_the_heartbeat(stack_with, job, path_of):
    stack = stack_with(QUICK)
    worker = Builder(stack.redis, job).create()
    stream = open_live(stack, worker, path_of)
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        payload = worker.publish("snapshot.updated")
        assert stream.next_block() == f"data: {payload}"
        with pytest.raises(NotReceived):
            stream.next_block(0.1)
    begin = time.monotonic()
    assert stream.next_block(3) == BEAT[path_of]
    assert time.monotonic() - begin > 0.3


def test_simultaneous_heartbeats_name_their_own_jobs(stack_with, job):
    """The gateway encodes a heartbeat without a job id once for all streams that are due.  Here fifty streams are due
    at the same times."""
    stack = stack_with(
        {
            "route.events.heartbeat.every_s": 0.2,
            "route.events.heartbeat.data": "${id}",
            "route.status.heartbeat.every_s": 0.2,
            "route.status.heartbeat.comment": "on ${route}",
        }
    )
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(25)]
    streams = [
        (path_of, worker, open_live(stack, worker, path_of))
        for worker in workers
        for path_of in (events_path, status_path)
    ]
    for path_of, worker, stream in streams:
        own = f'event: heartbeat\ndata: "{worker.job}"' if path_of is events_path else ": on status"
        assert [stream.next_block(3) for _ in range(3)] == [own] * 3


# ---- viewers ------------------------------------------------------------------------------------------


def test_all_streams_of_one_job_share_one_subscription(stack, job):
    worker = Builder(stack.redis, job).create()
    streams = [open_live(stack, worker, path_of) for path_of in (events_path, status_path) for _ in range(5)]
    wait_until(lambda: stack.subscribers(worker.channel) == 1, 2, "one subscription")
    payload = worker.move("ready")
    for stream in streams:
        assert stream.wait_closed()
        assert stream.blocks[-1] == f"data: {payload}\nid: end"


# ---- published messages and the record ----------------------------------------------------------------


def test_a_last_message_published_right_after_its_record_is_delivered(stack, job):
    """The gateway may read the record before it gets the message.  Then it waits a moment for the message."""
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(40)]
    streams = [open_live(stack, worker, events_path) for worker in workers]
    in_time = []
    for worker, stream in zip(workers, streams):
        worker.write_status("ready")
        begin = time.monotonic()
        stream.pump(0.05)
        payload = worker.publish("build.finished", status="ready", own_words=True)
        if time.monotonic() - begin < 0.15:
            in_time.append((stream, payload))
    assert in_time, "the machine is too slow for this test"
    for stream, payload in in_time:
        assert stream.rest()[-1].data == payload


PUBLIC = {
    "record.public.kind": "hash",
    "record.public.key": "public:{id}",
    "record.public.status": "status",
    "record.public.terminal": ["ready"],
    **{
        f"route.public-{name}.{key}": value
        for name, kind, more in [
            ("events", "channel", {"framing": "raw"}),
            ("lines", "log", {"entry": ["text"]}),
            ("pages", "pages", {"entry": ["text"]}),
        ]
        for key, value in {
            "path": f"/public/{{id}}/{name}",
            "source": kind,
            "key": f"public:{{id}}:{name}",
            "record": "public",
            "who": "anyone",
            **more,
        }.items()
    },
    "route.public-events.ending": '[{ event = "over", text = "it is" }]',
    "route.public-lines.ending": '[{ event = "over", text = "it is" }]',
}


def test_a_route_for_anyone_may_have_a_record(stack_with, job):
    stack = stack_with(PUBLIC)
    stack.redis.hset(f"public:{job}", mapping={"status": "building"})
    stream = open_stream(stack, f"/public/{job}/events")
    lines = open_stream(stack, f"/public/{job}/lines")
    assert (stream.status, lines.status) == (200, 200)
    assert open_stream(stack, f"/public/{job}/pages").json()["lines"] == []
    assert open_stream(stack, f"/public/{job}-nobody/events").status == 404
    stack.redis.publish(f"public:{job}:events", "hello")
    assert stream.next_event().data == "hello"
    stack.redis.hset(f"public:{job}", "status", "ready")
    assert [event.name for event in stream.rest() + lines.rest()] == ["over", "over"]


def test_refused_openings_during_a_fan_out_do_not_disturb_open_streams(stack, job):
    """A refused opening receives the channel's messages until its record has been read.  It is destroyed at the end of
    that turn of the loop."""
    worker = Builder(stack.redis, job).create()
    streams = [open_live(stack, worker, events_path) for _ in range(6)]
    mallory = seal(stack, "events", job, user="mallory", provider="builder")
    sent = []
    for number in range(60):
        pipe = stack.redis.pipeline(transaction=False)
        payloads = [f"{number}-{one}" for one in range(20)]
        for payload in payloads:
            pipe.publish(worker.channel, payload)
        refused = [send(stack, events_path(job), headers=mallory, via="gateway") for _ in range(3)]
        pipe.execute()
        sent += payloads
        assert [answer.wait_head().status for answer in refused] == [404] * 3
    for stream in streams:
        assert [stream.next_event().data for _ in sent] == sent
