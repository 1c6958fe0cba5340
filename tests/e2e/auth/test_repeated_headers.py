"""Headers that a request sends in several lines, as HTTP/1.1 clients and proxies may, or in several fields of HTTP/2."""

import pytest

from support.application import Application
from support.clients import ask_auth, fetch, open_stream, sealed
from support.publishers import Blog, Builder
from support.stack import DEPLOY
from support.waiting import wait_until

VIAS = pytest.mark.parametrize("via, http", [("plain", "1.1"), ("tls", "1.1"), ("tls", "2")])


@pytest.fixture
def progress(stack, job):
    """The path of alice's blog job."""
    Blog(stack.redis, job, "alice").create("running")
    return f"/api/v1/jobs/{job}/stream"


def cookie(stack, subject="alice", **more):
    return "accessToken=" + stack.token("blog", subject, **more)


# ---- cookies --------------------------------------------------------------------------------------------


@VIAS
def test_a_token_in_any_of_several_cookie_lines_is_found(stack, progress, via, http):
    token = cookie(stack)
    for lines in (["a=b", token], [token, "a=b"], ["a=b", "c=d; " + token, "e=f"]):
        pairs = [("Cookie", line) for line in lines]
        with open_stream(stack, progress, headers=pairs, via=via, http=http) as answer:
            assert answer.status == 200, [line == token for line in lines]
            assert answer.next_event().name == "connected"


@VIAS
def test_of_two_cookie_lines_with_a_token_the_first_decides(stack, progress, via, http):
    mine, other = cookie(stack), cookie(stack, "mallory")
    first, last = [("Cookie", mine), ("Cookie", other)], [("Cookie", other), ("Cookie", mine)]
    assert open_stream(stack, progress, headers=first, via=via, http=http).status == 200
    assert open_stream(stack, progress, headers=last, via=via, http=http).status == 404


def test_the_gateway_itself_reads_every_cookie_line(stack, progress):
    pairs = [("X-Tailgate-Uri", progress), ("X-Tailgate-Method", "GET"), ("Cookie", "a=b"), ("Cookie", cookie(stack))]
    answer = fetch(stack, "/auth", headers=pairs, via="auth")
    assert (answer.status, answer.headers["x-tailgate-verdict"]) == (204, "ok")


# ---- Authorization ----------------------------------------------------------------------------------------


@VIAS
def test_a_request_with_two_authorization_lines_is_refused(stack, progress, via, http):
    """nginx refuses it, so the gateway and the application never read different tokens."""
    good = ("Authorization", "Bearer " + stack.token("blog"))
    bad = ("Authorization", "Bearer " + stack.token("blog", broken="expired"))
    for pairs in ([good, bad], [bad, good], [good, good]):
        assert open_stream(stack, progress, headers=pairs, via=via, http=http).status == 400


def test_the_application_gets_the_cookies_of_every_line(tmp_path_factory, private_stack, job):
    application = Application(tmp_path_factory.mktemp("application") / "a.sock")
    try:
        stack = private_stack(config=DEPLOY / "blog-application.toml", application=application.url)
        status = f"/api/v1/jobs/{job}/status"
        application.answers[status] = (200, {"status": "running"})
        for http in ("1.1", "2"):
            pairs = [("Authorization", "Bearer one"), ("Cookie", "a=b"), ("Cookie", "c=d")]
            assert open_stream(stack, f"/api/v1/jobs/{job}/stream", headers=pairs, http=http).status == 200
        asked = application.asked_for(status)
        assert [(each["authorization"], each["cookie"]) for each in asked] == [("Bearer one", "a=b; c=d")] * 2
    finally:
        application.close()


# ---- other headers ----------------------------------------------------------------------------------------


@VIAS
def test_an_event_source_is_known_by_any_of_several_accept_lines_if_the_gateway_answers(stack_with, via, http):
    full = stack_with({"limits.streams": 1})
    held = open_stream(full, "/api/sse/stream")
    assert held.status == 200
    for accepted in (["application/json", "text/event-stream"], ["text/event-stream", "application/json"]):
        pairs = [("Accept", one) for one in accepted]
        answer = open_stream(full, "/api/sse/stream", headers=pairs, via=via, http=http)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.next_event().name == "unavailable"
    pairs = [("Accept", "application/json"), ("Accept", "text/html")]
    assert fetch(full, "/api/sse/stream", headers=pairs, via=via, http=http).status == 429


def limited(stack_with, source, behind_proxy):
    settings = {
        "limits.streams_per_address": 1,
        "limits.trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"] if behind_proxy == "yes" else [],
        "limits.address_from": source.lower(),
        "route.spools.on_unavailable": "status",
    }
    return stack_with(settings, nginx_settings={"TG_BEHIND_PROXY": behind_proxy})


@VIAS
@pytest.mark.parametrize("source", ["X-Forwarded-For", "Forwarded"])
def test_the_hops_of_several_forwarded_lines_count_as_one_list(stack_with, source, via, http):
    stack = limited(stack_with, source, "yes")
    held = []  # keeps the streams open

    def status(*lines):
        written = lines if source == "X-Forwarded-For" else [line.replace("1", "for=1", 1) for line in lines]
        pairs = [(source, line.replace(", ", ", for=") if source == "Forwarded" else line) for line in written]
        held.append(open_stream(stack, "/api/sse/stream", headers=pairs, via=via, http=http))
        return held[-1].status

    try:
        assert status("198.51.100.1", "10.0.0.1") == 200
        assert status("198.51.100.1, 10.0.0.1") == 429
        assert status("198.51.100.1", "198.51.100.2", "10.0.0.1, 10.0.0.2") == 200
        assert status("198.51.100.2") == 429
        assert status("198.51.100.9", "198.51.100.2") == 429, "a line that the client itself sent is ignored"
    finally:
        for stream in held:
            stream.close()
        wait_until(lambda: stack.metrics()['tailgate_streams_open{route="spools"}'] == 0, 5, "no stream is open")


def test_without_an_outer_proxy_a_clients_own_forwarded_lines_are_ignored(stack_with):
    stack = limited(stack_with, "Forwarded", "no")
    forged = {"X-Tailgate-Hop": "for=198.51.100.8"}
    first = open_stream(stack, "/api/sse/stream", headers=[("Forwarded", "for=198.51.100.1"), *forged.items()])
    pairs = [("Forwarded", "for=198.51.100.2"), ("Forwarded", "for=198.51.100.3")]
    second = open_stream(stack, "/api/sse/stream", headers=pairs)
    assert (first.status, second.status) == (200, 429)


@VIAS
def test_of_several_last_event_ids_the_highest_decides(stack, job, via, http):
    ids = Builder(stack.redis, job).create().log_many(6)
    path = f"/api/jobs/{job}/logs/stream"
    for lines in (
        [ids[0], ids[1]],
        [ids[1], ids[0]],
        [f"{ids[0]}, {ids[1]}"],  # fetch() joins the id of the page and the id of a library
        ["", ids[1]],
        ["garbage", ids[1]],
    ):
        pairs = [*stack.bearer().items(), *(("Last-Event-ID", line) for line in lines)]
        with open_stream(stack, path, headers=pairs, via=via, http=http) as stream:
            assert [event.last_id for event in stream.take_events(4)] == ids[2:], lines


def test_a_session_is_read_from_the_first_of_two_lines(stack, job):
    Blog(stack.redis, job, "alice", "session-1").create("running")
    path = f"/api/v1/jobs/{job}/stream"
    answer = ask_auth(stack, path, {"x-session-id": "session-1"})
    assert answer.headers["x-tailgate-verdict"] == "ok"
    pairs = [("x-session-id", "session-1"), ("x-session-id", "session-2")]
    assert open_stream(stack, path, headers=pairs).status == 200
    assert open_stream(stack, path, headers=pairs[::-1]).status == 404
    assert (
        open_stream(stack, path, headers=sealed(stack, path, {"x-session-id": "session-1"}), via="gateway").status
        == 200
    )
