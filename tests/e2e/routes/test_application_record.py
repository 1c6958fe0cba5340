"""R6 with the status endpoint of the application instead of a record in Redis.  The application decides on access."""

import json
import time

import pytest

from support.application import Application
from support.clients import NotReceived, fetch, open_stream, send
from support.publishers import Blog
from support.stack import DEPLOY, Stack
from support.waiting import wait_until

CONFIG = DEPLOY / "blog-application.toml"
ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    server = Application(tmp_path_factory.mktemp("application") / "a.sock")
    yield server
    server.close()


@pytest.fixture(scope="module")
def stack(application, tmp_path_factory):
    started = Stack.up(tmp_path_factory.mktemp("stack") / "s", config=CONFIG, application=application.url)
    yield started
    started.down()


def path(job):
    return f"/api/v1/jobs/{job}/stream"


def status_path(job):
    return f"/api/v1/jobs/{job}/status"


RUNNING = {"status": "running", "progress": 35, "currentStep": "Writing", "estimatedTimeRemaining": 12}


# ---- 200 ----------------------------------------------------------------------------------------------


@ways_in
def test_a_200_of_the_application_opens_the_stream_with_the_progress_of_the_job(stack, application, job, http, via):
    application.answers[status_path(job)] = (200, RUNNING)
    stream = open_stream(stack, path(job), http=http, via=via)
    assert stream.status == 200
    events = stream.take_events(2)
    assert [event.name for event in events] == ["connected", "progress-update"]
    assert events[1].data == '{"progress":35,"currentStep":"Writing","estimatedTimeRemaining":12}'
    Blog(stack.redis, job).publish("step-change", {"a": 1})
    assert stream.next_event().json() == {"a": 1}
    Blog(stack.redis, job).publish("complete", {"result": 5})
    assert stream.rest()[-1].json() == {"result": 5}
    assert stream.last_id == "end"


@pytest.mark.parametrize(
    "answer, name, data",
    [
        ({"status": "succeeded", "result": {"b": 1, "a": [1.50]}}, "complete", '{"result":{"b":1,"a":[1.5]}}'),
        ({"status": "succeeded"}, "complete", '{"result":null}'),
        ({"status": "failed", "error": "No", "errorCode": "E"}, "failed", '{"error":"No","errorCode":"E"}'),
        ({"status": "failed", "error": None}, "failed", '{"error":"Job failed","errorCode":null}'),
        ({"status": "cancelled", "error": "x"}, "failed", '{"error":"Cancelled","errorCode":null}'),
    ],
)
def test_an_ended_job_gets_its_last_event_and_the_stream_ends(stack, application, job, answer, name, data):
    application.answers[status_path(job)] = (200, answer)
    stream = open_stream(stack, path(job))
    events = stream.rest()
    assert [event.name for event in events] == ["connected", name]
    assert events[-1].json() == json.loads(data)
    assert stream.last_id == "end"
    again = open_stream(stack, path(job), headers={"Last-Event-ID": "end"})
    assert again.status == 204


def test_missing_or_mistyped_members_get_the_configured_defaults(stack, application, job):
    application.answers[status_path(job)] = (200, {"status": "queued", "progress": "much", "currentStep": None})
    standing = open_stream(stack, path(job)).take_events(2)[1]
    assert standing.json() == {"progress": 0, "currentStep": None, "estimatedTimeRemaining": None}


def test_an_answer_of_megabytes_is_read_whole(stack, application, job):
    application.answers[status_path(job)] = (200, {"status": "succeeded", "result": "R" * 7_000_000})
    stream = open_stream(stack, path(job), timeout=15)
    assert len(stream.rest(timeout=20)[-1].json()["result"]) == 7_000_000


# ---- the request to the application -------------------------------------------------------------------


def headers_at_application(stack, application, job, **more):
    application.answers[status_path(job)] = (200, RUNNING)
    assert open_stream(stack, path(job), **more).status == 200
    [headers] = application.asked_for(status_path(job))
    return headers


def test_the_application_gets_the_credentials_and_the_address_of_the_caller(stack, application, job):
    sent = {
        "Cookie": "accessToken=abc; theme=dark",
        "Authorization": "Bearer not-looked-at-here",
        "X-Session-Id": "s-7",
        "X-Forwarded-For": "203.0.113.9",
        "X-Secret-Of-His": "stays here",
        "X-Tailgate-Identity": "forged",
    }
    headers = headers_at_application(stack, application, job, headers=sent)
    assert headers["cookie"] == sent["Cookie"]
    assert headers["authorization"] == sent["Authorization"]
    assert headers["x-session-id"] == "s-7"
    assert headers["x-forwarded-for"].startswith("203.0.113.9, 127.0.0.1")
    assert "x-secret-of-his" not in headers and "x-tailgate-identity" not in headers


@pytest.mark.parametrize("behind_proxy, expected", [("yes", "for=203.0.113.9, for=127.0.0.1"), ("no", "for=127.0.0.1")])
def test_the_application_gets_the_hop_of_nginx_at_the_end_of_forwarded(
    private_stack, application, job, behind_proxy, expected
):
    stack = private_stack(
        {"record.job.forward": ["forwarded"]},
        config=CONFIG,
        application=application.url,
        nginx_settings={"TG_BEHIND_PROXY": behind_proxy},
    )
    sent = {"Forwarded": "for=203.0.113.9", "X-Tailgate-Hop": "for=198.51.100.1"}
    assert headers_at_application(stack, application, job, headers=sent)["forwarded"] == expected


def test_the_application_gets_no_credentials_if_the_caller_has_none(stack, application, job):
    headers = headers_at_application(stack, application, job)
    assert not {"cookie", "authorization", "x-session-id"} & set(headers)


def test_a_token_in_the_query_reaches_the_application_as_a_bearer_header(stack, application, job):
    headers = headers_at_application(stack, application, job, params={"token": "to.k en"})
    assert headers["authorization"] == "Bearer to.k en"


@pytest.mark.parametrize("name", ["sessionId", "sessionid"])
def test_a_session_in_the_query_reaches_the_application_as_a_header(stack, application, job, name):
    headers = headers_at_application(stack, application, job, params={name: "anon-5"})
    assert headers["x-session-id"] == "anon-5"


def test_a_header_takes_precedence_over_the_query(stack, application, job):
    sent = {"Authorization": "Bearer header", "X-Session-Id": "header"}
    headers = headers_at_application(
        stack, application, job, headers=sent, params={"token": "query", "sessionId": "query"}
    )
    assert (headers["authorization"], headers["x-session-id"]) == ("Bearer header", "header")


@pytest.mark.parametrize("via", ["plain", "tls"])
def test_of_two_session_lines_the_application_gets_the_first(stack, application, job, via):
    """`/auth` reads the first line, too: gateway and application must not see different callers."""
    lines = [("X-Session-Id", "first"), ("X-Session-Id", "second")]
    headers = headers_at_application(stack, application, job, headers=lines, via=via)
    assert headers["x-session-id"] == "first"


def test_of_two_lines_of_a_header_that_the_route_takes_a_session_from_both_use_the_first(
    private_stack, application, job
):
    visitor = {
        "route.job.auth": "gateway",
        "route.job.credentials": ["session-header:x-visitor"],
        "record.job.forward": ["x-visitor"],
    }
    stack = private_stack(visitor, config=CONFIG, application=application.url)
    lines = [("X-Visitor", "first"), ("X-Visitor", "second")]
    assert headers_at_application(stack, application, job, headers=lines)["x-visitor"] == "first"


@pytest.mark.parametrize("sent", ["Basic c3RhZ2luZzpwYXNz", "", "Bearer", "Digest x"])
def test_a_token_in_the_query_reaches_the_application_beside_a_header_without_a_token(stack, application, job, sent):
    headers = headers_at_application(
        stack,
        application,
        job,
        headers={"Authorization": sent, "X-Session-Id": ""},
        params={"token": "T", "sessionId": "S"},
    )
    assert (headers["authorization"], headers["x-session-id"]) == ("Bearer T", "S")


@pytest.mark.parametrize("byte", ["\x01", "\x7f"])
def test_a_control_character_in_a_header_does_not_blame_the_application(stack, application, job, byte):
    sent = {"Cookie": f"a={byte}; sid=mine", "X-Forwarded-For": f"a{byte}"}
    headers = headers_at_application(stack, application, job, headers=sent)
    assert headers["cookie"] == "a= ; sid=mine"


@pytest.mark.parametrize("name, value", [("Authorization", "Bearer a\x01b"), ("X-Session-Id", "a\x01b")])
def test_a_header_that_can_be_no_credential_does_not_let_a_cookie_decide(stack, application, job, name, value):
    application.answers[status_path(job)] = (200, RUNNING)
    assert fetch(stack, path(job), headers={"Cookie": "accessToken=good", name: value}).status == 401
    assert application.asked_for(status_path(job)) == []


def test_an_empty_token_in_the_query_does_not_hide_a_second_one(stack, application, job):
    application.answers[status_path(job)] = (200, RUNNING)
    answer = fetch(stack, path(job) + "?token=&token=a%0d%0aX:1", headers={"Cookie": "accessToken=good"})
    assert answer.status == 401
    headers = headers_at_application(stack, application, job, params=[("token", ""), ("token", "T")])
    assert headers["authorization"] == "Bearer T"


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b"])
def test_a_query_cannot_forge_a_header(stack, application, job, value):
    application.answers[status_path(job)] = (200, RUNNING)
    open_stream(stack, path(job), params={"sessionId": value})
    for headers in application.asked_for(status_path(job)):
        assert not {"x-injected", "authorization", "x-session-id"} & set(headers)


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\0b", " ", "\t"])
@pytest.mark.parametrize("name", ["token", "sessionId"])
def test_a_credential_that_cannot_be_one_does_not_let_a_cookie_decide(stack, application, job, name, value):
    application.answers[status_path(job)] = (200, RUNNING)
    answer = fetch(stack, path(job), headers={"Cookie": "accessToken=good"}, params={name: value})
    assert answer.status == 401
    assert application.asked_for(status_path(job)) == []


def test_the_application_gets_all_cookie_lines_of_a_request(stack, application, job):
    sent = [("Cookie", "a=b"), ("Cookie", ""), ("Cookie", "accessToken=abc")]
    headers = headers_at_application(stack, application, job, headers=sent)
    assert headers["cookie"] == "a=b; accessToken=abc"


def test_the_application_does_not_get_the_query(stack, application, job):
    headers_at_application(stack, application, job, params={"token": "t", "other": "x"})
    assert [asked for asked, _ in application.asked if job in asked] == [status_path(job)]


def test_the_application_is_asked_separately_for_each_caller(stack, application, job):
    def answer(headers):
        return (200, RUNNING) if headers.get("authorization") == "Bearer alice" else (403, {})

    application.answers[status_path(job)] = answer
    streams = [send(stack, path(job), headers={"Authorization": f"Bearer {who}"}) for who in ("alice", "bob", "alice")]
    assert [stream.wait_head().status for stream in streams] == [200, 404, 200]


# ---- other answers of the application -----------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404])
def test_403_and_404_of_the_application_become_the_same_404(stack, application, job, status):
    application.answers[status_path(job)] = (status, {"error": "any"})
    answer = fetch(stack, path(job))
    assert answer.status == 404
    assert answer.json() == {"success": False, "error": "Not found", "message": "Job not found or access denied"}


def test_the_application_is_asked_again_about_an_unknown_job(stack, application, job):
    answers = iter([(404, {}), (200, RUNNING)])
    application.answers[status_path(job)] = lambda headers: next(answers)
    assert open_stream(stack, path(job)).status == 200


def test_a_401_of_the_application_becomes_a_401(stack, application, job):
    application.answers[status_path(job)] = (401, {"error": "who are you"})
    answer = fetch(stack, path(job))
    assert answer.status == 401 and "www-authenticate" in answer.headers
    assert (answer.json()["success"], answer.json()["error"]) == (False, "Unauthorized")
    assert len(application.asked_for(status_path(job))) == 1


def test_a_429_of_the_application_becomes_a_429(stack, application, job):
    application.answers[status_path(job)] = (429, {"error": "slowly"})
    answer = fetch(stack, path(job))
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
    assert answer.json()["success"] is False
    assert len(application.asked_for(status_path(job))) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_applications_own_delay_and_the_true_reason_reach_the_caller(stack, application, job, status):
    application.answers[status_path(job)] = (status, {}, {"Retry-After": "77"})
    answer = fetch(stack, path(job))
    assert (answer.status, answer.headers["retry-after"]) == (status, "77")
    assert answer.json()["message"].startswith("The application ")


BROKEN = {
    "500": (500, {"error": "oops"}),
    "502": (502, "<html>"),
    "redirect": (302, ""),
    "400": (400, {}),
    "201": (201, RUNNING),
    "no JSON": (200, "<html>login</html>"),
    "empty": (200, ""),
    "an array": (200, [RUNNING]),
    "half": (200, '{"status":"running"'),
    "too large": (200, {"status": "succeeded", "result": "R" * 9_000_000}),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_any_other_answer_of_the_application_becomes_a_503(stack, application, job, answer):
    application.answers[status_path(job)] = answer
    got = fetch(stack, path(job), timeout=10)
    assert got.status == 503 and int(got.headers["retry-after"]) >= 1
    assert list(got.json()) == ["success", "error", "message"] and got.json()["success"] is False


def test_an_application_that_does_not_answer_causes_a_503(stack, application, job):
    application.answers[status_path(job)] = None
    begin = time.monotonic()
    got = fetch(stack, path(job), timeout=8)
    assert got.status == 503
    assert 2 < time.monotonic() - begin < 5


@pytest.mark.parametrize("status, reason", [(500, "application"), (429, "limit")])
def test_an_event_source_learns_that_the_application_is_the_cause(stack, application, job, status, reason):
    application.answers[status_path(job)] = (status, {})
    stream = open_stream(stack, path(job), headers={"Accept": "text/event-stream"}, params={"token": "t"})
    assert stream.status == 200
    event = stream.next_event()
    assert (event.name, event.json()) == ("unavailable", {"reason": reason})
    with pytest.raises(NotReceived):
        stream.wait_closed(1)


@pytest.mark.parametrize("status", [429, 503])
def test_an_event_source_gets_the_applications_own_delay_as_retry(stack, application, job, status):
    for delay, expected in (("77", 77_000), ("86400", 600_000), ("soon", 3000), ("0", 3000)):
        application.answers[status_path(job)] = (status, {}, {"Retry-After": delay})
        with open_stream(stack, path(job), headers={"Accept": "text/event-stream"}) as stream:
            assert stream.next_event().name == "unavailable"
            assert stream.retry == expected


# ---- the times of the requests ------------------------------------------------------------------------


def test_the_application_is_asked_once_and_never_polled(stack, application, job):
    application.answers[status_path(job)] = (200, RUNNING)
    stream = open_stream(stack, path(job))
    stream.take_events(2)
    with pytest.raises(NotReceived):
        stream.next_event(3)
    assert len(application.asked_for(status_path(job))) == 1


def test_a_message_published_while_the_application_answers_is_not_lost(stack, application, job):
    worker = Blog(stack.redis, job)

    def answer(_headers):
        assert worker.redis.publish(worker.channel, '{"event":"step-change","data":1}') == 1
        return (200, RUNNING)

    application.answers[status_path(job)] = answer
    stream = open_stream(stack, path(job))
    assert [event.name for event in stream.take_events(3)] == ["connected", "progress-update", "step-change"]


def test_a_client_that_disconnects_while_the_application_answers_is_released(stack, application, job):
    application.answers[status_path(job)] = None
    stream = send(stack, path(job))
    wait_until(lambda: application.asked_for(status_path(job)), 2, "the request to the application")
    stream.close()
    wait_until(lambda: stack.subscribers(f"jobs:{job}:events") == 0, 6, "the channel is unsubscribed")


@pytest.mark.parametrize(
    "on_gap, answer, expected",
    [
        ("close", (200, RUNNING), []),
        ("close", (200, {"status": "succeeded", "result": 1}), ["complete"]),
        ("event", (200, RUNNING), ["resync"]),
        ("event", (200, {"status": "failed"}), ["failed"]),
        ("event", (404, {}), []),
    ],
)
def test_the_application_is_asked_again_after_a_redis_loss(private_stack, application, job, on_gap, answer, expected):
    stack = private_stack({"route.job.on_gap": on_gap}, config=CONFIG, application=application.url)
    application.answers[status_path(job)] = (200, RUNNING)
    stream = open_stream(stack, path(job), headers={"Authorization": "Bearer mine"})
    stream.take_events(2)

    def slowly(_headers):  # like an application while all of its users reconnect
        application.release.wait(0.5)
        return answer

    application.answers[status_path(job)] = slowly
    stack.restart("redis", kill=True)
    if expected == ["resync"]:
        event = stream.next_event(10)
        assert (event.name, event.json()) == ("resync", {"reason": "redis-reconnected"})
        Blog(stack.redis, job).publish("step-change", 1)
        assert stream.next_event().name == "step-change"
    else:
        assert [event.name for event in stream.rest(timeout=10)] == expected
        assert ("id: end" in stream.raw.decode()) == bool(expected)
    asked = application.asked_for(status_path(job))
    assert {headers.get("authorization") for headers in asked} == {"Bearer mine"}
    assert len(asked) == 2, "once at the opening, and once after the loss, because applications limit rates"


def test_an_unreachable_application_causes_a_503(private_stack, tmp_path, job):
    stack = private_stack(config=CONFIG, application=f"unix:{tmp_path}/nobody.sock")
    assert fetch(stack, path(job)).status == 503
