"""R6: the progress of a blog job whose record is a Redis hash."""

import json
import threading
import time
import uuid

import pytest

from support import sse
from support.clients import NotReceived, fetch, open_stream, send
from support.publishers import Blog
from support.waiting import wait_until

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


def path(job):
    return f"/api/v1/jobs/{job}/stream"


def open_job(stack, job, user="alice", **more):
    stream = open_stream(stack, path(job), headers=stack.bearer(user, "blog"), **more)
    assert stream.status == 200, (stream.status, stream.raw)
    return stream


def open_live(stack, worker, **more):
    """Opens a stream and reads its opening events.  The next block is the next published message."""
    stream = open_job(stack, worker.job, worker.user, **more)
    stream.blocks_until("progress-update")
    stream.events_until("progress-update")
    return stream


# ---- the opening --------------------------------------------------------------------------------------


@ways_in
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_blog_stream_begins_with_ok_connected_and_the_progress(stack, job, http, via, slash):
    Blog(stack.redis, job, user="alice").create(
        "running", progress=40, current_step="Writing...", estimated_seconds_remaining=30
    )
    headers = stack.bearer("alice", "blog")
    stream = open_stream(stack, path(job) + slash, headers=headers, http=http, via=via)
    blocks = [stream.next_block() for _ in range(4)]
    assert blocks[:2] == ["retry: 3000", ": ok"]
    connected, standing = stream.take_events(2)
    assert connected.name == "connected"
    data = connected.json()
    assert list(data) == ["connectionId", "jobId", "maxAgeSeconds", "hint"]
    assert (data["jobId"], data["maxAgeSeconds"]) == (job, 600)
    assert "poll the job status endpoint" in data["hint"] or "poll the status endpoint" in data["hint"]
    assert str(uuid.UUID(data["connectionId"])) == data["connectionId"]
    assert (
        blocks[3]
        == 'event: progress-update\ndata: {"progress":40,"currentStep":"Writing...","estimatedTimeRemaining":30}'
    )
    assert standing.name == "progress-update"


def test_each_stream_has_its_own_connection_id(stack, job):
    Blog(stack.redis, job, user="alice").create()
    ids = {open_job(stack, job).next_event().json()["connectionId"] for _ in range(5)}
    assert len(ids) == 5


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({}, (0, None, None)),
        ({"progress": "100"}, (100, None, None)),
        ({"progress": "12.5", "estimated_seconds_remaining": "0"}, (12.5, None, 0)),
        ({"progress": "", "current_step": ""}, (0, "", None)),
        ({"progress": "much", "estimated_seconds_remaining": "soon"}, (0, None, None)),
        ({"progress": "NaN", "estimated_seconds_remaining": "Infinity"}, (0, None, None)),
        ({"progress": "-1", "estimated_seconds_remaining": "1e3"}, (-1, None, 1000)),
        ({"current_step": 'say "hi"\n\u2028'}, (0, 'say "hi"\n\u2028', None)),
    ],
)
def test_the_progress_of_a_record_has_json_numbers_and_defaults(stack, job, fields, expected):
    Blog(stack.redis, job, user="alice").create("running", **fields)
    standing = open_job(stack, job).events_until("progress-update")[-1].json()
    assert list(standing) == ["progress", "currentStep", "estimatedTimeRemaining"]
    assert tuple(standing.values()) == expected


RESULTS = [
    '{"posts":[1,2,{"title":"T"}],"ok":true}',
    "[]",
    '"text"',
    "5",
    "null",
    ' { "a" : 1.50 } ',
    '{"a":"line\\nline"}',
]


@pytest.mark.parametrize("result", RESULTS)
@ways_in
def test_a_succeeded_job_gets_complete_with_its_result(stack, job, result, http, via):
    Blog(stack.redis, job, user="alice").create("succeeded", result=result)
    stream = open_job(stack, job, http=http, via=via)
    events = stream.rest()
    assert [event.name for event in events] == ["connected", "complete"]
    assert events[-1].json() == {"result": json.loads(result)}
    assert stream.blocks[-1].split("\n")[-1] == "id: end"


@pytest.mark.parametrize("fields", [{}, {"result": ""}, {"result": "{broken"}, {"result": "{} {}"}])
def test_a_missing_or_invalid_result_becomes_null(stack, job, fields):
    Blog(stack.redis, job, user="alice").create("succeeded", **fields)
    assert open_job(stack, job).rest()[-1].json() == {"result": None}


def test_a_result_of_several_lines_is_sent_as_one_event(stack, job):
    result = {"posts": [{"title": "One", "body": "a\nb"}] * 3}
    Blog(stack.redis, job, user="alice").create("succeeded", result=json.dumps(result, indent=2).replace("\n", "\r\n"))
    stream = open_job(stack, job)
    assert stream.rest()[-1].json() == {"result": result}


def test_a_result_of_megabytes_arrives_whole(stack, job):
    Blog(stack.redis, job, user="alice").create("succeeded", result=json.dumps({"post": "P" * 3_000_000}))
    assert len(open_job(stack, job).rest(timeout=15)[-1].json()["result"]["post"]) == 3_000_000


@pytest.mark.parametrize(
    "status, fields, expected",
    [
        (
            "failed",
            {"error": "Out of credits", "error_code": "CREDITS"},
            {"error": "Out of credits", "errorCode": "CREDITS"},
        ),
        ("failed", {}, {"error": "Job failed", "errorCode": None}),
        ("cancelled", {}, {"error": "Cancelled", "errorCode": None}),
        ("cancelled", {"error": "by hand", "error_code": "X"}, {"error": "Cancelled", "errorCode": "X"}),
    ],
)
def test_a_failed_or_cancelled_job_gets_failed(stack, job, status, fields, expected):
    Blog(stack.redis, job, user="alice").create(status, **fields)
    stream = open_job(stack, job)
    events = stream.rest()
    assert [event.name for event in events] == ["connected", "failed"]
    assert events[-1].json() == expected
    assert stream.last_id == "end"


# ---- messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["event", "type"])
@ways_in
def test_a_message_becomes_an_event_named_by_its_event_or_type_member(stack, job, key, http, via):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker, http=http, via=via)
    data = {"progress": 50, "currentStep": "Writing...", "estimatedTimeRemaining": 30}
    worker.publish("progress-update", data, key=key)
    worker.publish("step-change", {"progress": 0, "currentStep": None, "estimatedTimeRemaining": None}, key=key)
    assert [stream.next_block(), stream.next_block()] == [
        'event: progress-update\ndata: {"progress":50,"currentStep":"Writing...","estimatedTimeRemaining":30}',
        'event: step-change\ndata: {"progress":0,"currentStep":null,"estimatedTimeRemaining":null}',
    ]


@pytest.mark.parametrize(
    "data",
    [
        '{"b":1,"a":2}',
        "[1,2]",
        "7",
        "1.0",
        "1e5",
        "-0",
        "12345678901234567890123",
        "0.1000",
        "true",
        "null",
        '{"x":{"y":[{}]}}',
        "{}",
        '{"k":"\\u00e9\\ud83d\\ude80"}',
    ],
)
def test_data_is_passed_exactly_as_published(stack, job, data):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    stack.redis.publish(worker.channel, f'{{"event":"step-change","data":{data}}}')
    assert stream.next_block() == f"event: step-change\ndata: {data}"


@pytest.mark.parametrize(
    "text",
    ["plain", "", "two\nlines", "cr\rlf\r\nend", "x\n\nevent: complete\ndata: {}\n\n", '"quoted"', "{}", "é\u2028"],
)
def test_string_data_is_sent_unquoted(stack, job, text):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    worker.publish("step-change", text)
    event = stream.next_event()
    assert (event.name, event.data) == ("step-change", text.replace("\r\n", "\n").replace("\r", "\n"))


def test_missing_data_becomes_an_empty_object(stack, job):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    worker.publish("step-change")
    assert stream.next_block() == "event: step-change\ndata: {}"


def test_the_event_member_takes_precedence_over_the_type_member(stack, job):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    stack.redis.publish(worker.channel, '{"type":"t","event":"e","data":1}')
    assert stream.next_event() == sse.Event("e", "1", "")


def skipped(stack):
    return stack.metrics()['tailgate_payloads_skipped_total{route="job"}']


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "hello",
        '{"event":"complete"',
        "[]",
        '["complete"]',
        "null",
        "{}",
        '{"data":1}',
        '{"event":null,"data":1}',
        '{"event":5,"data":1}',
        '{"event":"a\\nb","data":1}',
        '{"event":"a\\rdata: x","data":1}',
        '{"event":"a\\u0000b","data":1}',
        '{"event":"complete\\n","data":1}',
    ],
)
def test_an_invalid_message_is_skipped_and_counted(stack, job, payload):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    before = skipped(stack)
    stack.redis.publish(worker.channel, payload)
    worker.publish("step-change", 1)
    assert stream.next_event() == sse.Event("step-change", "1", "")
    assert skipped(stack) == before + 1


@ways_in
def test_complete_and_failed_end_the_stream(stack, job, http, via):
    ends = {"complete": lambda worker: worker.complete({"id": 3}), "failed": lambda worker: worker.fail("No", "E1")}
    for name, end in ends.items():
        worker = Blog(stack.redis, f"{job}-{name}", user="alice").create("running")
        stream = open_live(stack, worker, http=http, via=via)
        end(worker)
        events = stream.rest()
        assert [event.name for event in events] == [name]
        assert stream.blocks[-1].split("\n")[0] == f"event: {name}"
        assert stream.blocks[-1].split("\n")[-1] == "id: end"


def test_events_with_other_names_do_not_end_the_stream(stack, job):
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker)
    for name in ("completed", "Complete", "failed ", "done", "end"):
        worker.publish(name, {"status": "failed"})
        assert stream.next_event().json() == {"status": "failed"}


def test_the_blog_page_reads_a_job_from_start_to_end(stack, job):
    worker = Blog(stack.redis, job, session="s-1").create()
    stream = open_stream(stack, path(job), params={"sessionId": "s-1"}, http="2")
    stream.events_until("progress-update")
    said = [worker.progress(10, "Thinking"), worker.progress(60, "Writing", 20)]
    worker.complete({"posts": 2})
    assert stream.wait_closed()
    seen = sse.blog_events(stream.raw)[2:]
    assert seen == [("progress-update", said[0]), ("progress-update", said[1]), ("complete", {"result": {"posts": 2}})]


# ---- access -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["bearer", "token", "cookie", "session-header", "sessionId", "sessionid"])
def test_each_kind_of_blog_credential_opens_the_stream_of_its_owner(stack, job, how):
    Blog(stack.redis, job, user="alice", session="sess-1").create()
    token = stack.token("blog", "alice")
    headers, params = {
        "bearer": ({"Authorization": f"Bearer {token}"}, None),
        "token": ({}, {"token": token}),
        "cookie": ({"Cookie": f"theme=dark; accessToken={token}"}, None),
        "session-header": ({"x-session-id": "sess-1"}, None),
        "sessionId": ({}, {"sessionId": "sess-1"}),
        "sessionid": ({}, {"sessionid": "sess-1"}),
    }[how]
    stream = open_stream(stack, path(job), headers=headers, params=params)
    assert stream.status == 200 and stream.next_event().name == "connected"


def test_errors_have_the_form_of_blog(stack, job):
    Blog(stack.redis, job, user="bob").create()
    nobody = fetch(stack, path(job))
    assert nobody.status == 401 and "www-authenticate" in nobody.headers
    assert list(nobody.json()) == ["success", "error", "message"]
    assert (nobody.json()["success"], nobody.json()["error"]) == (False, "Unauthorized")
    assert nobody.json()["message"]
    stranger = fetch(stack, path(job), headers=stack.bearer("alice", "blog"))
    assert stranger.status == 404
    assert stranger.json() == {"success": False, "error": "Not found", "message": "Job not found or access denied"}


# ---- a missing record ---------------------------------------------------------------------------------


def test_a_record_created_within_the_grace_time_is_found(stack, job):
    worker = Blog(stack.redis, job, user="alice")
    stream = send(stack, path(job), headers=stack.bearer("alice", "blog"))
    wait_until(lambda: stack.subscribers(worker.channel) == 1, 2, "the opening has begun")
    worker.create("running", progress=5)
    assert stream.wait_head().status == 200
    assert stream.events_until("progress-update")[-1].json()["progress"] == 5


def test_the_404_takes_as_long_for_another_users_job_as_for_an_unknown_job(stack, job):
    Blog(stack.redis, job, user="bob").create()
    took = {}

    def ask(name, which):
        begin = time.monotonic()
        assert fetch(stack, path(which), headers=stack.bearer("alice", "blog")).status == 404
        took[name] = time.monotonic() - begin

    stack.bearer("alice", "blog")
    threads = [threading.Thread(target=ask, args=pair) for pair in (("foreign", job), ("unknown", job + "-x"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.75 < took["foreign"] < 1.6 and 0.75 < took["unknown"] < 1.6, took


# ---- time ---------------------------------------------------------------------------------------------


@ways_in
def test_keepalives_continue_between_events(stack_with, job, http, via):
    stack = stack_with({"route.job.heartbeat.every_s": 0.5})
    worker = Blog(stack.redis, job, user="alice").create("running")
    stream = open_live(stack, worker, http=http, via=via)
    begin, beats = time.monotonic(), 0
    while beats < 4:
        worker.publish("step-change", 1)
        try:
            beats += stream.next_block(0.1) == ": keepalive"
        except NotReceived:
            continue
    assert 1.4 < time.monotonic() - begin < 4


@ways_in
def test_a_stream_at_its_maximum_age_gets_a_notice_and_ends_cleanly(stack_with, job, http, via):
    stack = stack_with({"route.job.max_age_s": 2.5, "route.job.age_notice.before_s": 1})
    worker = Blog(stack.redis, job, user="alice").create("running")
    begin = time.monotonic()
    stream = open_live(stack, worker, http=http, via=via)
    notice = stream.next_event()
    noticed = time.monotonic() - begin
    assert notice.name == "stream-timeout"
    assert list(notice.json()) == ["jobId", "message"] and notice.json()["jobId"] == job
    assert stream.rest() == []
    ended = time.monotonic() - begin
    assert 1.2 < noticed < 2.3 and 2.2 < ended < 4
    assert "id: end" not in stream.raw.decode()
    assert open_job(stack, job).status == 200, "the client may reconnect"
