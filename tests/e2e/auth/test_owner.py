"""Access: only a job's owner reads it.  Everyone else gets the same 404 as for an unknown job."""

import time
import urllib.parse

import pytest

from support.access import blog_job, blog_path, each_route, owner_paths, status_of
from support.clients import fetch, send
from support.publishers import Builder

GRACE = 0.8  # seconds for which the gateway looks for a missing record of blog


# ---- jobs of others -------------------------------------------------------------------------------


@each_route
@pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2")])
def test_an_unknown_job_and_another_users_job_get_the_same_404(stack, job, number, via, http):
    foreign, unknown = job, job + "x"
    Builder(stack.redis, foreign, "bob").create()
    blog_job(stack, foreign, "bob", "bobs-session")
    answers, seconds = [], []
    for name in (foreign, unknown):
        path, provider = owner_paths(name)[number]
        headers = {**stack.bearer("alice", provider), "Accept": "text/event-stream", "X-Request-ID": "r-1"}
        begin = time.monotonic()
        answers.append(fetch(stack, path, headers=headers, via=via, http=http))
        seconds.append(time.monotonic() - begin)
    first, second = answers
    assert (first.status, second.status) == (404, 404)
    assert first.raw == second.raw
    kept = [[pair for pair in answer.header_list if pair[0] != "date"] for answer in answers]
    assert kept[0] == kept[1]
    if number == 4:
        wanted = {"success": False, "error": "Not found", "message": "Job not found or access denied"}
        assert min(seconds) > GRACE - 0.05 and max(seconds) < GRACE + 1.5
    else:
        wanted = {"detail": "Job not found"}
        assert max(seconds) < 1.5
    assert first.json() == wanted


def test_the_404_takes_as_long_for_another_users_job_as_for_an_unknown_job(stack, job):
    foreign = [blog_job(stack, f"{job}-{n}", "bob").job for n in range(4)]
    unknown = [f"{job}-{n}" for n in range(4, 8)]

    def seconds(names):
        begin = time.monotonic()
        answers = [(send(stack, blog_path(name), headers=stack.bearer("alice", "blog"), via="plain")) for name in names]
        taken = []
        for answer in answers:
            assert answer.wait_head().status == 404
            taken.append(time.monotonic() - begin)
        return sorted(taken)[len(taken) // 2]

    theirs, nobodys = seconds(foreign), seconds(unknown)
    assert min(theirs, nobodys) > GRACE - 0.05
    assert abs(theirs - nobodys) < 0.3


def test_a_record_created_within_the_grace_time_is_found(stack, job):
    answer = send(stack, blog_path(job), headers=stack.bearer("alice", "blog"))
    begin = time.monotonic()
    while time.monotonic() - begin < 0.3:
        answer.pump(0.05)
    assert answer.status is None
    blog_job(stack, job, "alice")
    assert answer.wait_head().status == 200
    assert answer.next_event().name == "connected"


# ---- subject and owner ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [{"user_id": ""}, {}, {"user_id": " "}, {"user_id": "ALICE"}, {"user_id": "alice "}, {"user_id": "alic"}]
)
def test_an_owner_must_match_exactly_and_an_empty_owner_matches_nobody(stack, job, fields):
    stack.redis.hset(f"job:{job}", mapping={"status": "running", **fields})
    for path, provider in owner_paths(job)[:4]:
        assert (path, status_of(stack, path, stack.bearer("alice", provider))) == (path, 404)


@pytest.mark.parametrize("record", [{}, {"user_id": "", "session_id": ""}, {"user_id": "", "session_id": " "}])
@pytest.mark.parametrize("session", ["", " ", "%20", "null", "undefined"])
def test_a_record_without_an_owner_is_refused_to_every_session(stack, job, record, session):
    stack.redis.hset(f"jobs:{job}", mapping={"status": "running", **record})
    answers = [
        send(stack, blog_path(job), headers={"x-session-id": session}),
        send(stack, f"{blog_path(job)}?sessionId={urllib.parse.quote(session)}"),
        send(stack, f"{blog_path(job)}?sessionid={urllib.parse.quote(session)}&sessionId="),
    ]
    assert {answer.wait_head().status for answer in answers} <= {401, 404}


def test_an_empty_subject_gets_401_even_if_the_owner_is_empty(stack, job):
    blog_job(stack, job)
    for provider, path in (("blog", blog_path(job)), ("builder", f"/api/jobs/{job}/stream")):
        assert status_of(stack, path, stack.bearer("", provider)) == 401


@pytest.mark.parametrize("number", [42, 0, 9007199254740993, 18446744073709551615])
def test_a_numeric_subject_is_compared_as_text(stack, job, number):
    blog_job(stack, job, str(number))
    headers = stack.bearer("x", "blog", claims={"userId": number})
    assert status_of(stack, blog_path(job), headers) == 200


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_a_subject_of_maximum_length_passes_nginx(stack, job, letter):
    longest = letter * (256 // len(letter.encode()))
    blog_job(stack, job, longest)
    headers = stack.bearer("x", "blog", claims={"userId": longest}) | {"X-Request-ID": "r" * 128}
    assert status_of(stack, blog_path(job), headers) == 200


@pytest.mark.parametrize(
    "owner, subject",
    [
        ("42", 42.5),
        ("042", 42),
        ("42", -42),
        ("9007199254740992", 9007199254740993),
        ("1", True),
        ("null", None),
        ("[]", []),
        ("a", ["a"]),
    ],
)
def test_a_subject_that_only_resembles_the_owner_is_refused(stack, job, owner, subject):
    blog_job(stack, job, owner)
    headers = stack.bearer("x", "blog", claims={"userId": subject})
    assert status_of(stack, blog_path(job), headers) in (401, 404)


def test_a_user_and_a_session_with_the_same_name_do_not_match_each_other(stack, job):
    blog_job(stack, job + "a", user="same")
    blog_job(stack, job + "b", session="same")
    answers = [
        send(stack, blog_path(job + "a"), headers={"x-session-id": "same"}),
        send(stack, blog_path(job + "b"), headers=stack.bearer("same", "blog")),
    ]
    assert [answer.wait_head().status for answer in answers] == [404, 404]
