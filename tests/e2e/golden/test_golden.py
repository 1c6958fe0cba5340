"""The exact bytes that a client receives behind nginx on the routes R1 to R6 (support/routes.py names them).

support/golden.py explains how to write the golden files again.  The tests choose the ids of log entries themselves,
so the files contain them.  Heartbeats come once an hour here; test_golden_timed.py tests them.
"""

import json

import pytest


from support.clients import sealed
from support.golden import Transcript
from support.publishers import Blog, Builder

ORIGIN = "https://app.example.com"
QUIET = {
    **{f"route.{name}.heartbeat.every_s": 3600 for name in ("events", "status", "log-stream", "spools", "job")},
    "cors.origins": [ORIGIN, "https://*.example.org"],
}
LINE = {"ts": "2023-11-14T22:13:20+00:00", "source": "stdout", "text": "npm install", "phase": "install"}
EVENT_SOURCE = {"Accept": "text/event-stream"}
END_ID = {"Last-Event-ID": "end"}
RUNS_AGAIN = "reconnect with the id of the end to a job that runs again; end by the record alone"


@pytest.fixture
def stack(stack_with):
    stack = stack_with(QUIET)
    stack.redis.flushall()
    return stack


def entry(number):
    return f"1700000000{number:03}-0"


def write_line(worker, number, **fields):
    """Appends entry 1700000000<number>-0 to the log of the job."""
    worker.redis.xadd(worker.log_key, fields or {**LINE, "text": f"line {number}"}, id=entry(number))


def publish(worker, payload):
    assert worker.redis.publish(worker.channel, payload) > 0, "the channel has no subscriber"


def finish(worker, payload, **fields):
    """Ends a job in its record and by a message, in one transaction.  Otherwise, if the message came late, the
    gateway would end the stream by the record."""
    pipe = worker.redis.pipeline(transaction=True)
    pipe.hset(worker.key, mapping=fields)
    pipe.publish(worker.channel, payload)
    assert pipe.execute()[1] > 0, "the channel has no subscriber"


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


# ---- R3 ---------------------------------------------------------------------------------------------------


def test_r3_log_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r3-log-stream")
    worker = Builder(stack.redis, "r3").create("running")
    path = "/api/jobs/r3/logs/stream"
    mine = stack.bearer()
    absent = book.open("the log does not exist yet", path, headers=mine)
    write_line(worker, 1)
    absent.events_until("log")
    live = book.open("a first connect gets no older entries", path, headers=mine)
    resumed = [
        book.open("resumed by the header", path, headers={**mine, "Last-Event-ID": entry(1)}),
        book.open("resumed by the query", path, headers=mine, params={"last_event_id": entry(1)}),
        book.open("from the beginning", path, headers=mine, params={"last_event_id": "0-0"}),
        book.open(
            "the header wins", path, headers={**mine, "Last-Event-ID": entry(1)}, params={"last_event_id": "0-0"}
        ),
        book.open("a malformed header is ignored", path, headers={**mine, "Last-Event-ID": "x"}),
    ]
    resumed[2].events_until("log")
    write_line(worker, 2, text='all "fields" but one\r\nare missing')
    write_line(worker, 3, ts="", source="stderr", text="\u00e9\u2028\x00", phase="p", more="left out")
    write_line(worker, 4, text=b"\xff is not UTF-8")
    for stream in (absent, live, *resumed):
        stream.events_until(lambda event: event.last_id == entry(4))
    worker.move("ready", "Done")
    for stream in (absent, live, *resumed):
        stream.rest()
    book.fetch("the job is terminal on connect", path, headers=mine)
    book.fetch(
        "the job is terminal on connect, with entries to resume", path, headers={**mine, "Last-Event-ID": entry(3)}
    )
    book.fetch("reconnect with the id of the end", path, headers={**mine, "Last-Event-ID": f"end.{entry(4)}"})
    book.fetch(
        "reconnect with the id of the end in the query", path, headers=mine, params={"last_event_id": f"end.{entry(4)}"}
    )
    book.fetch("reconnect with the id of the end without an entry id", path, headers={**mine, **END_ID})
    worker.write_status("running")
    again = book.open(RUNS_AGAIN, path, headers={**mine, "Last-Event-ID": f"end.{entry(4)}"})
    write_line(worker, 5)
    again.events_until("log")
    worker.write_status("failed")
    again.rest()
    book.compare()


def test_r3_gap_events_match_their_golden_file(stack):
    book = Transcript(stack, "r3-gaps")
    worker = Builder(stack.redis, "r3").create("running")
    path = "/api/jobs/r3/logs/stream"
    mine = stack.bearer()
    nothing = book.open("the log does not exist", path, headers={**mine, "Last-Event-ID": "5-1"})
    nothing.events_until("gap")
    for number in range(1, 6):
        write_line(worker, number)
    nothing.events_until(lambda event: event.last_id == entry(5))
    stack.redis.xtrim(worker.log_key, maxlen=2, approximate=False)
    for title, last in (
        ("trimmed", entry(1)),
        ("the beginning of a trimmed log", "0-0"),
        ("the requested id is above the last id of the log", "1800000000000-0"),
        ("no gap", entry(4)),
    ):
        stream = book.open(title, path, headers={**mine, "Last-Event-ID": last})
        stream.events_until(lambda event: event.last_id == entry(5))
        stream.close()
    book.open("requested in the query", path, headers=mine, params={"last_event_id": "5-1"}).events_until(
        lambda event: event.last_id == entry(5)
    )
    nothing.close()
    book.compare()


# ---- R4 ---------------------------------------------------------------------------------------------------


def test_r4_log_pages_match_their_golden_file(stack):
    book = Transcript(stack, "r4-pages")
    worker = Builder(stack.redis, "r4").create("running")
    path = "/api/jobs/r4/logs"
    mine = stack.bearer()
    book.fetch("the log does not exist", path, headers=mine)
    write_line(worker, 1)
    write_line(worker, 2, text='all "fields" but one\r\nare missing')
    write_line(worker, 3, ts="", source="stderr", text="\u00e9\u2028\x00", phase="p", more="left out")
    write_line(worker, 4, text=b"\xff is not UTF-8")
    book.fetch("the first page", path, headers=mine)
    book.fetch("has_more", path, headers=mine, params={"limit": 2})
    book.fetch("before an id", path, headers=mine, params={"limit": 2, "before_id": entry(3)})
    book.fetch("before an id that does not exist", path, headers=mine, params={"before_id": "1700000000002-5"})
    book.fetch("before the first entry", path, headers=mine, params={"before_id": entry(1)})
    book.fetch("before 0-0", path, headers=mine, params={"before_id": "0-0"})
    book.fetch("HEAD", path, headers=mine, method="HEAD")
    book.fetch("HEAD without a token", path, method="HEAD")
    book.fetch("an unknown parameter", path, headers=mine, params={"limit": 1, "x": "y"})
    for query in (
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "limit=-1",
        "limit=1.5",
        "before_id=x",
        "before_id=",
        "before_id=1",
        "before_id=1-2-3",
        "before_id=0-0&before_id=0-0",
        "limit=%zz",
        "limit=x&before_id=x",
    ):
        book.fetch(f"422: {query}", f"{path}?{query}", headers=mine)
    stack.redis.set("job:r4b:logs", "no log")
    Builder(stack.redis, "r4b").create("running")
    book.fetch("the key of the log has the wrong type", "/api/jobs/r4b/logs", headers=mine)
    book.fetch("the key of the log has the wrong type: R3", "/api/jobs/r4b/logs/stream", headers=mine)
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


# ---- errors -------------------------------------------------------------------


BROKEN = "alg-none early expired hs-confusion issuer kid malformed other-key signature subject azp truncated".split()


def broken_bearer(stack, how):
    """The header with a token that has the given defect.  This function makes the defects "signature" and "truncated"
    itself: mint-token changes the last characters of the signature, and only sometimes is the result valid base64."""
    if how not in ("signature", "truncated"):
        return stack.bearer(broken=how)
    text, _, signature = stack.token().rpartition(".")
    changed = ("B" if signature[0] == "A" else "A") + signature[1:]
    truncated = signature[: len(signature) // 4 * 4 - 3]
    return {"Authorization": f"Bearer {text}.{changed if how == 'signature' else truncated}"}


PATHS = [
    ("R1", "/api/jobs/{}/events/stream"),
    ("R2", "/api/jobs/{}/stream"),
    ("R3", "/api/jobs/{}/logs/stream"),
    ("R4", "/api/jobs/{}/logs"),
    ("R6", "/api/v1/jobs/{}/stream"),
]


def headers_of(stack, path, user="alice"):
    return stack.bearer(user, "blog" if "/v1/" in path else "builder")


def test_401_answers_match_their_golden_file(stack):
    book = Transcript(stack, "401")
    for route, path in PATHS:
        book.fetch(f"{route}: no token", path.format("j"))
    book.fetch("R1: an EventSource without a token", PATHS[0][1].format("j"), headers=EVENT_SOURCE)
    for broken in BROKEN:
        book.fetch(f"broken token: {broken}", PATHS[1][1].format("j"), headers=broken_bearer(stack, broken))
    book.fetch("an empty token", PATHS[1][1].format("j"), headers={"Authorization": "Bearer"})
    book.fetch("another authentication scheme", PATHS[1][1].format("j"), headers={"Authorization": "Basic YTpi"})
    blog = PATHS[4][1].format("j")
    book.fetch("R6: a bad token in the query", blog, params={"token": "x"}, headers={"x-session-id": "s"})
    book.fetch("R6: a bad cookie", blog, headers={"Cookie": "accessToken=x"})
    book.fetch("R6: an expired token", blog, headers=stack.bearer("alice", "blog", broken="expired"))
    book.fetch(
        "R6: a token with another key's signature", blog, headers=stack.bearer("alice", "blog", broken="other-key")
    )
    book.compare()


def test_404_answers_match_their_golden_file(stack):
    book = Transcript(stack, "404")
    Builder(stack.redis, "hers", "bob").create()
    Blog(stack.redis, "hers", user="bob").create()
    for route, path in PATHS:
        book.fetch(f"{route}: unknown job", path.format("none"), headers=headers_of(stack, path))
        book.fetch(f"{route}: another user's job", path.format("hers"), headers=headers_of(stack, path))
        book.fetch(f"{route}: invalid id", path.format("a%20b"), headers=headers_of(stack, path))
    book.fetch("an id that is too long", "/api/jobs/" + "x" * 129 + "/stream", headers=stack.bearer())
    stack.redis.set("job:text", "no hash")
    book.fetch("the key of the record has the wrong type", "/api/jobs/text/stream", headers=stack.bearer())
    book.fetch("not a route: nginx answers", "/api/jobs")
    book.fetch("not a route: a request with an Origin", "/", headers={"Origin": ORIGIN})
    book.fetch("not a route: the gateway answers", "/nothing", via="gateway")
    book.compare()


def test_405_answers_match_their_golden_file(stack):
    book = Transcript(stack, "405")
    for route, path in [*PATHS, ("R5", "/api/sse/stream")]:
        book.fetch(f"{route}: POST", path.format("j"), method="POST", body=b"{}")
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FROBNICATE"):
        book.fetch(method, "/api/jobs/j/stream", method=method, headers=stack.bearer())
    book.fetch("DELETE of a page", "/api/jobs/j/logs", method="DELETE")
    book.compare()


def test_422_answers_match_their_golden_file(stack):
    """r4-pages.txt has the invalid parameters of R4."""
    book = Transcript(stack, "422")
    Builder(stack.redis, "j").create()
    for value in ("x", "", "1", "1-2-3", "-1-0", "end.x", "end", "18446744073709551616-0", "1%zz"):
        book.fetch(f"R3: {value}", f"/api/jobs/j/logs/stream?last_event_id={value}", headers=stack.bearer())
    book.fetch("R3: twice", "/api/jobs/j/logs/stream?last_event_id=1-0&last_event_id=1-0", headers=stack.bearer())
    book.fetch(
        "R3: invalid although the header wins",
        "/api/jobs/j/logs/stream?last_event_id=x",
        headers={**stack.bearer(), "Last-Event-ID": "1-0"},
    )
    book.fetch("422 comes before 404", "/api/jobs/none/logs?limit=x", headers=stack.bearer())
    book.compare()


def test_413_and_431_answers_match_their_golden_file(stack):
    book = Transcript(stack, "other-refusals")
    book.fetch("413", "/api/jobs/j/stream", method="POST", body=b"x" * 50_000)
    book.fetch("431", "/api/jobs/j/stream", headers={"X-Large": "y" * 50_000})
    book.compare()


# ---- CORS ----------------------------------------------------------------------------------------


def test_cors_headers_match_their_golden_file(stack):
    book = Transcript(stack, "cors")
    Builder(stack.redis, "c").create("ready")
    own, other = {"Origin": ORIGIN}, {"Origin": "https://evil.example.net"}
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for route, path in [*PATHS, ("R5", "/api/sse/stream")]:
        book.fetch(f"{route}: preflight", path.format("c"), method="OPTIONS", headers={**own, **asked})
    path = "/api/jobs/c/stream"
    book.fetch(
        "preflight: an origin that matches the suffix",
        path,
        method="OPTIONS",
        headers={"Origin": "https://a.b.example.org", **asked},
    )
    book.fetch("preflight: an origin that is not allowed", path, method="OPTIONS", headers={**other, **asked})
    book.fetch("preflight: no origin", path, method="OPTIONS", headers=asked)
    book.fetch("OPTIONS without the preflight headers", path, method="OPTIONS", headers=own)
    mine = stack.bearer()
    for title, headers in (("allowed origin", own), ("other origin", other)):
        book.fetch(f"{title}: a stream", path, headers={**mine, **headers})
        book.fetch(f"{title}: a page", "/api/jobs/c/logs", headers={**mine, **headers})
        book.fetch(f"{title}: 204", path, headers={**mine, **headers, **END_ID})
        book.fetch(f"{title}: 401", path, headers=headers)
        book.fetch(f"{title}: 404", "/api/jobs/none/stream", headers={**mine, **headers})
        book.fetch(f"{title}: 405", path, method="POST", headers=headers)
        book.fetch(f"{title}: 413", path, method="POST", headers=headers, body=b"x" * 50_000)
        book.fetch(f"{title}: 422", "/api/jobs/c/logs?limit=x", headers={**mine, **headers})
    book.compare()


# ---- the gateway's own listeners -------------------------------------------------------------------------


def test_answers_of_the_auth_and_streams_listeners_match_their_golden_file(stack):
    """The answers that nginx gets from the gateway, and the answers to requests that bypass nginx."""
    book = Transcript(stack, "listeners")
    Builder(stack.redis, "l").create("ready")
    mine = stack.bearer()

    def ask(title, uri, method="GET", headers=None):
        asked = {"X-Tailgate-Uri": uri, "X-Tailgate-Method": method, **(headers or {})}
        book.fetch("/auth: " + title, "/auth", headers=asked, via="auth")

    ask("a valid token", "/api/jobs/l/stream", headers=mine)
    ask("HEAD of a page", "/api/jobs/l/logs", "HEAD", headers=mine)
    ask("a route for anyone", "/api/sse/stream")
    ask("no token", "/api/jobs/l/stream")
    for broken in BROKEN:
        ask(f"broken token: {broken}", "/api/jobs/l/stream", headers=broken_bearer(stack, broken))
    ask("POST", "/api/jobs/l/stream", "POST")
    ask("not a route", "/nothing")
    ask("an invalid id", "/api/jobs/a%20b/stream")
    ask("a session", "/api/v1/jobs/l/stream?sessionId=s")
    book.fetch("/auth without X-Tailgate headers", "/auth", via="auth")
    book.fetch("a path that is not /auth", "/other", via="auth")

    path = "/api/jobs/l/stream"
    book.fetch("a sealed identity", path, headers=sealed(stack, path, mine), via="gateway")
    book.fetch(
        "a sealed identity for another route", path, via="gateway", headers=sealed(stack, "/api/jobs/l/logs", mine)
    )
    book.fetch("no identity", path, headers=mine, via="gateway")
    book.fetch("a forged identity", path, headers={"X-Tailgate-Identity": "x"}, via="gateway")
    book.fetch("a forged verdict: 401-expired", path, headers={"X-Tailgate-Verdict": "401-expired"}, via="gateway")
    book.fetch("a forged verdict: 503-keys", path, headers={"X-Tailgate-Verdict": "503-keys"}, via="gateway")
    book.fetch("a page", "/api/jobs/l/logs", via="gateway", headers=sealed(stack, "/api/jobs/l/logs", mine))
    book.compare()


def test_answers_of_the_ops_listener_match_their_golden_file(stack):
    book = Transcript(stack, "operators")
    for path in ("/healthz", "/readyz"):
        # The body contains the process id, whose length differs.
        hide = ["Content-Length"] if path == "/readyz" else []
        book.fetch(f"{path} behind nginx", path, hide=hide)
        book.fetch(f"HEAD {path} behind nginx", path, method="HEAD", hide=hide)
        for method in ("GET", "HEAD", "POST"):
            book.fetch(f"{method} {path}", path, method=method, via="ops", hide=hide)
    book.fetch("HEAD /metrics", "/metrics", method="HEAD", via="ops", hide=["Content-Length"])
    book.fetch("POST /metrics", "/metrics", method="POST", via="ops")
    book.fetch("GET /drain", "/drain", via="ops")
    book.fetch("an unknown path", "/nothing", via="ops")
    book.compare()
