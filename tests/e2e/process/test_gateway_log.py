"""The log of the gateway: JSON lines without secrets, and not too many."""

import json
import os
import re
import signal
from pathlib import Path

from support import routes
from support.clients import fetch, open_stream
from support.draining import DRAIN, wait_gone
from support.publishers import Blog, Builder, Spools
from support.routes import open_live_stream
from support.waiting import wait_until


def test_logs_are_json_lines_without_secrets(private_stack, job):
    stack = private_stack({**DRAIN, "limits.streams_per_user": 50})
    session = "sess-5e55105e55105e55"
    tokens = [
        stack.token(),
        stack.token("blog"),
        stack.token(broken="expired"),
        stack.token("blog", broken="signature"),
        stack.token(broken="malformed"),
    ]
    Builder(stack.redis, job).create()
    Blog(stack.redis, job, "alice", session).create("running")
    blog, status = f"/api/v1/jobs/{job}/stream", f"/api/jobs/{job}/stream"
    for token in tokens:
        for headers, query in (
            ({"Authorization": f"Bearer {token}"}, ""),
            ({"Cookie": f"accessToken={token}"}, ""),
            ({}, f"?token={token}"),
            ({"Authorization": f"Bearer {token}"}, f"?token={token}&limit=x&last_event_id={token}"),
        ):
            for path in (
                blog,
                status,
                f"/api/jobs/{job}/logs",
                "/api/sse/stream",
                f"/nothing/{job}",
                "/api/jobs/a%20b/stream",
            ):
                open_stream(stack, path + query, headers=headers, via="plain").close()
            open_stream(stack, status + query, headers=headers, method="POST", http="2").close()
            open_stream(stack, status + query, headers=headers, via="gateway").close()
    for headers, query in (
        ({"x-session-id": session}, ""),
        ({}, f"?sessionId={session}"),
        ({}, f"?sessionid={session}"),
    ):
        open_stream(stack, blog + query, headers=headers).close()
    open_stream(stack, blog + f"?token={tokens[0]}" + "&x=" * 3000, headers={}).close()
    open_stream(stack, "/" + "x" * 8000 + f"?token={tokens[0]}").close()
    # During failures nginx and the gateway log more.
    stack.redis.set(f"jobs:{job}x", "of another type")
    fetch(stack, f"/api/v1/jobs/{job}x/stream?token={tokens[1]}")
    os.kill(stack.redis_pid, signal.SIGKILL)
    fetch(stack, f"{blog}?token={tokens[1]}&sessionId={session}")
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_gone(stack.gateway_pid, 5)
    for path in (blog, status, "/api/sse/stream"):
        open_stream(
            stack,
            f"{path}?token={tokens[0]}&sessionId={session}",
            headers={"Authorization": f"Bearer {tokens[0]}", "x-session-id": session},
        ).close()
    os.unlink(stack.gateway_socket)
    os.unlink(stack.auth_socket)
    for path in (blog, status, "/api/sse/stream"):
        open_stream(
            stack, f"{path}?token={tokens[0]}&sessionId={session}", headers={"Cookie": f"accessToken={tokens[1]}"}
        ).close()

    providers = json.loads((stack.dir / "stack.json").read_text())["providers"]
    secrets = [
        session,
        providers["blog"]["secret"],
        Path(stack.facts["identity_key_file"]).read_text().strip(),
        "v1.NT",
    ]
    secrets += [part for token in tokens for part in token.split(".") if len(part) > 40]
    texts = {path.name: path.read_text(errors="replace") for path in Path(stack.facts["log_dir"]).iterdir()}
    assert {"gateway-0.log", "nginx-access.log"} <= set(texts)
    assert len(texts["nginx-access.log"]) > 5000 and len(texts["gateway-0.log"]) > 1000
    for name, text in texts.items():
        for secret in secrets:
            at = text.find(secret)
            assert at < 0, f"{name}: ...{text[max(0, at - 150):at + 60]!r}"
    for name in ("gateway-0.log", "nginx-access.log"):
        for line in texts[name].splitlines():
            assert isinstance(json.loads(line), dict), line


def test_each_log_line_has_a_time_a_level_and_an_event_name(stack, job):
    open_live_stream(routes.Status(stack, job).create()).close()
    lines = wait_until(lambda: stack.logs("stream.closed") and stack.logs(), 3, "a stream was closed")
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", line["event"])


def test_each_stream_is_logged_in_one_line_at_its_end(private_stack, job):
    stack = private_stack()
    endpoint = routes.Status(stack, job).create()
    other = routes.Status(stack, job + "b").create("bob")
    stream = open_live_stream(endpoint)
    endpoint.finish()
    stream.rest()
    again = open_stream(stack, other.path, headers=other.headers("bob"))
    again.next_event()
    again.close()
    closed = wait_until(lambda: len(stack.logs("stream.closed")) >= 2 and stack.logs("stream.closed"), 3, "both lines")
    assert len(closed) == 2
    first, second = closed
    assert (first["route"], first["why"], second["why"]) == ("status", "terminal", "client_left")
    assert first["events"] == len(stream.events) and first["bytes"] == len(stream.raw)
    assert 0 <= first["seconds"] < 10
    assert first["subject"] and first["subject"] != second["subject"] and "alice" not in json.dumps(closed)


def test_refused_requests_and_bad_messages_do_not_fill_the_log(private_stack, job):
    stack = private_stack()
    before = len(stack.log_text())
    for n in range(60):
        fetch(stack, f"/api/jobs/{job}-{n}/stream", headers=stack.bearer(broken="malformed"))
        fetch(stack, f"/api/jobs/{job}-{n}/logs", headers=stack.bearer())
        fetch(stack, "/nothing", via="gateway")
        stack.redis.set(f"job:{job}-{n}", "x")
        fetch(stack, f"/api/jobs/{job}-{n}/logs", headers=stack.bearer())
        stack.redis.publish(Spools.CHANNEL, "nonsense")
    assert len(stack.log_text()) - before < 60 * 60
