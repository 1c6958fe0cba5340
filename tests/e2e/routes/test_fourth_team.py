"""A fourth team with its own conventions, which only fourth_team.toml describes and the C++ code does not know."""

import json
import uuid
from pathlib import Path

import pytest

from support import sse
from support.clients import fetch, open_stream

CONFIG = Path(__file__).with_name("fourth_team.toml")
BEAT = "event: alive\ndata: still rendering"
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@pytest.fixture
def stack(stack_with):
    return stack_with(config=str(CONFIG))


def bearer(stack, who="mia"):
    return stack.bearer(who, "studio")


def write_render(stack, job, phase="RENDERING", **fields):
    stack.redis.hset(f"studio/renders/{job}/state", mapping={"made_by": "mia", "phase": phase, **fields})


def publish_news(stack, job, what, body=None, **more):
    message = {"what": what, **({} if body is None else {"body": body}), **more}
    stack.redis.publish(f"studio/{job}/news", json.dumps(message, separators=(",", ":")))


def without_beats(blocks):
    return [block for block in blocks if block not in (BEAT, ": tick", ": still there")]


@ways_in
def test_a_render_stream_runs_from_welcome_to_its_last_event(stack, job, http, via):
    write_render(stack, job, frames=12, scene_name="Opening", preview_json='{"url":"p.png"}')
    headers = {**bearer(stack), "X-Request-ID": "req-9"}
    stream = open_stream(stack, f"/studio/renders/{job}/follow", headers=headers, http=http, via=via)
    assert stream.status == 200
    stream.blocks_until("event: frames")
    publish_news(stack, job, "frame", {"n": 13})
    publish_news(stack, job, "note", "two\nlines")
    publish_news(stack, job, "finished", {"frames": 240})
    events = [event for event in stream.rest() if event.name != "alive"]
    assert stream.blocks[:2] == ["retry: 750", ": studio, route render-progress"]
    assert [event.name for event in events] == ["welcome", "frames", "frame", "note", "finished"]
    welcome = events[0].json()
    assert str(uuid.UUID(welcome.pop("connection")))
    assert welcome == {"render": job, "route": "render-progress", "request": "req-9", "oldest": 0}
    assert events[1].json() == {"frames": 12, "scene": "Opening", "phase": "RENDERING", "preview": {"url": "p.png"}}
    assert (events[2].data, events[3].data, events[4].data) == ('{"n":13}', "two\nlines", '{"frames":240}')
    assert stream.last_id == "end"


def test_the_first_standing_event_that_fits_the_status_is_sent(stack, job):
    write_render(stack, job, "WAITING", scene_name="Two\nlines")
    stream = open_stream(stack, f"/studio/renders/{job}/follow", headers=bearer(stack))
    assert stream.events_until("queue")[-1].data == "Two\nlines waits"


def test_missing_fields_get_the_configured_defaults(stack, job):
    write_render(stack, job)
    stream = open_stream(stack, f"/studio/renders/{job}/follow", headers=bearer(stack))
    standing = stream.events_until("frames")[-1].json()
    assert standing == {"frames": 0, "scene": "unnamed", "phase": "RENDERING", "preview": "none yet"}


@pytest.mark.parametrize(
    "phase, name, data",
    [
        ("DONE", "finished", '{"frames":0,"preview":"none yet"}'),
        ("STOPPED", "broke", "stopped by hand"),
        ("BROKEN", "broke", '{"phase":"BROKEN"}'),
    ],
)
def test_each_terminal_status_has_its_own_last_event(stack, job, phase, name, data):
    write_render(stack, job, phase)
    path = f"/studio/renders/{job}/follow"
    stream = open_stream(stack, path, headers=bearer(stack))
    assert stream.rest()[-1] == sse.Event(name, data, "end")
    again = open_stream(stack, path, headers={**bearer(stack), "Last-Event-ID": "end"})
    assert again.status == 204


def test_a_terminal_status_of_another_team_does_not_end_the_stream(stack, job):
    write_render(stack, job, "ready")
    stream = open_stream(stack, f"/studio/renders/{job}/follow", headers=bearer(stack))
    stream.events_until("frames")
    publish_news(stack, job, "complete", 1)
    assert stream.events_until("complete")[-1].data == "1"
    write_render(stack, job, "DONE")
    assert stream.events_until("finished")[-1].last_id == "end"


@pytest.mark.parametrize("how", ["cookie", "bearer", "key", "guest-header", "guest-query"])
def test_each_configured_credential_opens_the_stream(stack, job, how):
    write_render(stack, job, guest="g-1")
    token = stack.token("studio", "mia")
    headers, params = {
        "cookie": ({"Cookie": f"studio={token}"}, None),
        "bearer": ({"Authorization": f"Bearer {token}"}, None),
        "key": ({}, {"key": token}),
        "guest-header": ({"X-Guest": "g-1"}, None),
        "guest-query": ({}, {"guest": "g-1"}),
    }[how]
    assert open_stream(stack, f"/studio/renders/{job}/follow", headers=headers, params=params).status == 200


def test_errors_have_the_configured_form(stack, job):
    nobody = fetch(stack, f"/studio/renders/{job}/follow")
    assert nobody.status == 401
    assert list(nobody.json()) == ["code", "title", "explanation"] and nobody.json()["code"] == 401
    stranger = fetch(stack, f"/studio/renders/{job}/follow", headers=bearer(stack, "noah"))
    assert stranger.status == 404
    assert stranger.json() == {"code": 404, "title": "Not found", "explanation": "No such render"}
    wrong = fetch(stack, f"/studio/renders/{job}/follow", headers=bearer(stack), method="POST", body=b"")
    assert wrong.status == 405 and wrong.json()["code"] == 405


@ways_in
def test_a_raw_stream_has_the_configured_event_names_ids_and_end(stack, job, http, via):
    write_render(stack, job)
    stream = open_stream(stack, f"/studio/renders/{job}/raw", headers=bearer(stack), http=http, via=via)
    assert stream.next_block() == "retry: 3000"
    publish_news(stack, job, "frame", 1, no=7)
    publish_news(stack, job, "broke", status="DONE")
    blocks = [
        sorted(block.split("\n")) for block in without_beats([stream.next_block(), *stream.blocks_until("broke")])
    ]
    assert blocks == [
        ['data: {"what":"frame","body":1,"no":7}', "event: news", "id: 7"],
        ['data: {"what":"broke","status":"DONE"}', "event: news", "id: end"],
    ]
    assert stream.wait_closed()


def test_a_raw_stream_of_an_ended_render_gets_the_configured_text(stack, job):
    write_render(stack, job, "DONE")
    stream = open_stream(stack, f"/studio/renders/{job}/raw", headers=bearer(stack))
    assert stream.rest() == [sse.Event("message", "over: DONE", "end")]


@ways_in
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_console_log_is_followed_resumed_and_closed(stack, job, http, via, slash):
    write_render(stack, job)
    path, key = f"/studio/renders/{job}/console{slash}", f"studio/{job}/console"
    stream = open_stream(stack, path, headers=bearer(stack), http=http, via=via)
    hello, phase = stream.take_events(2)
    assert (hello.name, hello.json(), phase.name, phase.data) == ("console", {"of": job}, "phase", "RENDERING")
    first = stack.redis.xadd(key, {"level": "W", "line": "hot", "other": "x"})
    event = stream.next_event()
    assert event == sse.Event("printed", f'{{"id":"{first}","level":"W","line":"hot"}}', first)
    stream.close()
    last = stack.redis.xadd(key, {"line": "cold"})
    headers = {**bearer(stack), "Last-Event-ID": first}
    stream = open_stream(stack, path, headers=headers, http=http, via=via)
    assert stream.events_until("printed")[-1].json() == {"id": last, "level": None, "line": "cold"}
    write_render(stack, job, "DONE")
    closed = stream.rest()[-1]
    assert (closed.name, closed.last_id) == ("closed", f"end.{last}")
    assert closed.json() == {"phase": "DONE", "after": last}


def test_pages_have_the_configured_limits(stack, job):
    write_render(stack, job)
    ids = [stack.redis.xadd(f"studio/{job}/console", {"line": str(n)}) for n in range(10)]
    path = f"/studio/renders/{job}/console/history"
    first = fetch(stack, path, headers=bearer(stack)).json()
    assert [line["id"] for line in first["lines"]] == ids[-3:] and first["has_more"]
    assert first["lines"][0] == {"id": ids[7], "level": None, "line": "7"}
    assert len(fetch(stack, path, headers=bearer(stack), params={"limit": 7}).json()["lines"]) == 7
    assert fetch(stack, path, headers=bearer(stack), params={"limit": 8}).status == 422


@ways_in
def test_the_lobby_stream_is_open_to_anyone_and_ends_with_goodbye(stack, http, via):
    stream = open_stream(stack, "/studio/lobby", http=http, via=via)
    assert stream.next_block() == "retry: 3000"
    stack.redis.publish("studio:lobby", '{"what":"hi","body":{"who":"mia"}}')
    assert stream.next_event() == sse.Event("hi", '{"who":"mia"}', "")
    assert [event.name for event in stream.rest()] == ["goodbye"]


def test_anyone_may_read_the_announcements_log(stack):
    ids = [stack.redis.xadd("studio:announcements", {"text": str(n)}) for n in range(3)]
    stream = open_stream(stack, "/studio/announcements", headers={"Last-Event-ID": ids[0]})
    ids.append(stack.redis.xadd("studio:announcements", {"text": "live"}))
    assert [event.last_id for event in stream.take_events(3)] == ids[1:]


def test_paths_of_other_teams_get_404(stack, job):
    for path in (
        f"/api/jobs/{job}/stream",
        "/api/sse/stream",
        f"/studio/renders/{job}",
        f"/studio/renders/{job}/follow/",
    ):
        assert fetch(stack, path, headers=bearer(stack)).status == 404
