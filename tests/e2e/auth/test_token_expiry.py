"""Access: what happens to an open stream when the token that opened it expires."""

import time

import pytest

from support import routes
from support.access import blog_job, blog_path, status_of
from support.clients import fetch, open_stream
from support.waiting import wait_until

KINDS = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)
ENDING = {"provider.clerk.at_expiry": "end", "provider.blog.at_expiry": "end",
          "provider.clerk.leeway_s": 0, "provider.blog.leeway_s": 0}  # fmt: skip


def token_of(stack, kind, **more):
    return stack.bearer("alice", "blog" if kind is routes.Progress else "builder", **more)


@KINDS
def test_a_stream_outlives_its_token_by_default(stack, job, kind):
    endpoint = kind(stack, job).create()
    # The leeway is 5 s, so a token that expired a second ago is valid for some more seconds.
    headers = token_of(stack, kind, claims={"exp": int(time.time()) - 1, "keep": 1})
    stream = open_stream(stack, endpoint.path, headers=headers)
    assert stream.status == 200
    wait_until(lambda: status_of(stack, endpoint.path, headers) == 401, 10, "the token has expired")
    endpoint.write_number(1)
    stream.events_until(lambda event: endpoint.number_in(event) == 1)
    assert stream.ended is None


@KINDS
def test_a_stream_with_at_expiry_end_ends_with_an_auth_expired_event(stack_with, job, kind):
    stack = stack_with(ENDING)
    endpoint = kind(stack, job).create()
    end = int(time.time()) + 3
    headers = token_of(stack, kind, claims={"exp": end})
    stream = open_stream(stack, endpoint.path, headers=headers)
    assert stream.status == 200
    endpoint.write_number(1)
    stream.events_until(lambda event: endpoint.number_in(event) == 1)
    events = stream.rest(timeout=10)
    assert (events[-1].name, events[-1].data) == ("auth-expired", "{}")
    assert end - 0.1 <= time.time() < end + 3
    assert not stream.raw.rstrip().endswith(b"id: end"), "the job has not ended"
    wait_until(
        lambda: stack.logs("stream.closed") and stack.logs("stream.closed")[-1]["why"] == "token_expired",
        3,
        "the reason is logged",
    )
    answer = fetch(stack, endpoint.path, headers=headers)
    assert answer.status == 401 and "expired" in answer.headers["www-authenticate"]


def test_an_expired_token_ends_the_stream_despite_a_valid_session(stack_with, job):
    stack = stack_with(ENDING)
    blog_job(stack, job, "alice", "alices-session")
    headers = {**stack.bearer("alice", "blog", claims={"exp": int(time.time()) + 2}), "x-session-id": "alices-session"}
    stream = open_stream(stack, blog_path(job), headers=headers)
    assert stream.status == 200
    assert stream.rest(timeout=10)[-1].name == "auth-expired"
    assert status_of(stack, blog_path(job), headers) == 401, "an invalid explicit token is not ignored"


@KINDS
@pytest.mark.parametrize("year", [2262, 2263, 2400, 9999, 100000])
def test_a_token_that_expires_in_centuries_does_not_end_its_stream(stack_with, job, kind, year):
    stack = stack_with(ENDING)
    endpoint = kind(stack, job).create()
    stream = open_stream(stack, endpoint.path, headers=token_of(stack, kind, claims={"exp": (year - 1970) * 31556952}))
    assert stream.status == 200
    for number in (1, 2):
        endpoint.write_number(number)
        stream.events_until(lambda event, number=number: endpoint.number_in(event) == number)
    assert stream.ended is None
