"""The exact bytes that a client receives behind nginx on the routes that follow a channel (R1, R2, R5, R6).

support/golden.py explains how to write the golden files again.  support/routes.py names the routes.
"""

import json

from support.golden import Transcript
from support.golden_jobs import END_ID, EVENT_SOURCE, ORIGIN, RUNS_AGAIN, finish, publish
from support.publishers import Blog, Builder


# ---- R1 ---------------------------------------------------------------------------------------------------

PAYLOADS = [
    '{"type":"build.stage.started","stage":"install","status":"running"}',
    '{ "spaces" : "stay" , "unicode": "\u00e9\u2028" }',
    "no JSON",
    "",
    " begins with a space",
    "two\nlines",
    "carriage\rreturn",
    "both\r\nof them, and one at the end\r\n",
    "id: 7\nevent: forged\n\nretry: 1",
    b"\xff\x00 not UTF-8",
    '["ready"]',
    '{"status":7}',
    '{"status":"READY"}',
]


def test_r1_event_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r1-events")
    worker = Builder(stack.redis, "r1").create("queued")
    path = "/api/jobs/r1/events/stream"
    mine = stack.bearer()
    first = book.open("first connect, live events, end by a published message", path, headers=mine)
    also = book.open(
        "the same for an EventSource that sends a request id",
        path,
        headers={**mine, **EVENT_SOURCE, "X-Request-ID": "mine-1"},
    )
    for payload in PAYLOADS:
        publish(worker, payload)
    finish(worker, '{"type":"build.stage.completed","job_id":"r1","status":"ready"}', status="ready")
    for stream in (first, also):
        stream.rest()
    book.fetch("the job is terminal on connect", path, headers=mine)
    book.fetch("reconnect with the id of the end", path, headers={**mine, **END_ID})
    book.fetch("reconnect with another id", path, headers={**mine, "Last-Event-ID": "7"})
    worker.write_status("failed")
    book.fetch("the job has failed", path, headers=mine)
    worker.write_status("running")
    again = book.open(RUNS_AGAIN, path, headers={**mine, **END_ID})
    worker.write_status("failed")
    again.rest()
    book.compare()


# ---- R2 ---------------------------------------------------------------------------------------------------


def test_r2_status_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r2-status")
    worker = Builder(stack.redis, "r2").create("queued", 'Waiting for "a"\nworker')
    path = "/api/jobs/r2/stream"
    mine = stack.bearer()
    stream = book.open("first connect, live events, end by a published message", path, headers=mine)
    publish(worker, '{"type":"snapshot.updated","n":1}')
    publish(worker, "no JSON")
    finish(worker, '{"status":"failed","message":"Broken"}', status="failed", status_message="Broken")
    stream.rest()
    book.fetch("the job is terminal on connect", path, headers=mine)
    book.fetch("reconnect with the id of the end", path, headers={**mine, **END_ID})
    stack.redis.hdel(worker.key, "status_message")
    worker.redis.hset(worker.key, "status", "running")
    stream = book.open("record without a status message; end by the record alone", path, headers=mine)
    stream.next_event()
    worker.redis.hset(worker.key, "status", "ready")
    stream.rest()
    worker.redis.hset(worker.key, mapping={"status": "running", "user_id": "alice"})
    stream = book.open("the owner of the job changes", path, headers=mine)
    stream.next_event()
    worker.redis.hset(worker.key, "user_id", "bob")
    stream.rest()
    book.compare()


# ---- R5 ---------------------------------------------------------------------------------------------------


def test_r5_broadcast_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r5-spools")
    path = "/api/sse/stream"
    streams = [
        book.open("a request without a token", path),
        book.open("a native EventSource from another origin", path, headers={**EVENT_SOURCE, "Origin": ORIGIN}),
        book.open(
            "an invalid token and a Last-Event-ID are ignored", path, headers={"Authorization": "Bearer x", **END_ID}
        ),
    ]
    payloads = [
        {"event_type": "TOMAR", "tag_spool": "MK-1335", "timestamp": "2023-11-14T22:13:20+00:00"},
        {"event_type": "PAUSAR", "tag_spool": "\u00e9", "timestamp": 1700000000.5},
        {"event_type": "STATE_CHANGE"},
        {"event_type": "COMPLETAR", "timestamp": "1\r\ndata: forged"},
        {"event_type": "COMPLETAR", "timestamp": None},
        {"event_type": "COMPLETAR", "timestamp": ""},
        ["no object"],
        "no object",
    ]
    for payload in [json.dumps(each, ensure_ascii=False) for each in payloads] + ["no JSON", "", '{\n"pretty": 1\n}']:
        stack.redis.publish("spools:updates", payload)
    for stream in streams:
        stream.blocks_until("pretty")
    book.compare()


# ---- R6 ---------------------------------------------------------------------------------------------------


def test_r6_progress_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r6-blog")
    path = "/api/v1/jobs/r6/stream"
    mine = stack.bearer("alice", "blog")
    worker = Blog(stack.redis, "r6", user="alice", session="s-1").create("queued")
    streams = [
        book.open("token in the Authorization header", path, headers=mine),
        book.open("path with a trailing slash", path + "/", headers=mine),
        book.open("token in the query", path, params={"token": stack.token("blog")}, headers=EVENT_SOURCE),
        book.open("token in a cookie", path, headers={"Cookie": f"a=b; accessToken={stack.token('blog')}"}),
        book.open("session in a header", path, headers={"x-session-id": "s-1"}),
        book.open("session in the query", path, params={"sessionId": "s-1"}),
    ]
    for stream in streams:
        stream.events_until("progress-update")
    worker.progress(40, 'Writing "a"\nb', 30)
    worker.publish("step-change", key="type")
    worker.publish("step-change", "a text\nof two lines")
    worker.publish("step-change", [1, 2.50, None])
    publish(worker, '{"event":"as-published","data":{ "a" : 1.50 }}')
    for skipped in ("no JSON", "[]", '{"data":1}', '{"event":"","data":1}', '{"event":"a\\nb"}', '{"event":5}'):
        publish(worker, skipped)
    finish(worker, '{"event":"complete","data":{"result":{"posts":[ 1 ]}}}', status="succeeded", result='{"posts":[1]}')
    for stream in streams:
        stream.rest()
    book.fetch("the job has succeeded", path, headers=mine)
    book.fetch("reconnect with the id of the end", path, headers={**mine, **END_ID})
    worker.write(status="running", progress="12.5", current_step="Step", estimated_seconds_remaining="90")
    stream = book.open("first connect to a running job, end by a published message", path, headers=mine)
    stream.events_until("progress-update")
    finish(
        worker,
        '{"type":"failed","data":{ "error":"As published" }}',
        status="failed",
        error="Out of credits",
        error_code="CREDITS",
    )
    stream.rest()
    book.fetch("the job has failed", path, headers=mine)
    stack.redis.hdel(worker.key, "error", "error_code")
    book.fetch("the job has failed without an error", path, headers=mine)
    worker.write(status="cancelled", error="by hand")
    book.fetch("the job was cancelled", path, headers=mine)
    worker.write(status="running")
    stream = book.open("end by the record alone", path, headers=mine)
    stream.events_until("progress-update")
    worker.write(status="cancelled")
    stream.rest()
    worker.write(status="succeeded", result="{broken")
    book.fetch("the result is not JSON", path, headers=mine)
    book.compare()
