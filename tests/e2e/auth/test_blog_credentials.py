"""Access: blog accepts a token in a header, in the query or in a cookie, and a session in a header or in the query."""

import pytest

from support.access import blog_job, blog_path, owner_paths, status_of
from support.clients import fetch, send
from support.publishers import Builder


def cookie(stack, subject="alice", **more):
    return {"Cookie": "accessToken=" + stack.token("blog", subject, **more)}


def test_a_blog_token_is_accepted_in_header_query_and_cookie(stack, job):
    blog_job(stack, job, "alice")
    token = stack.token("blog")
    assert status_of(stack, blog_path(job), {"Authorization": f"Bearer {token}"}) == 200
    assert status_of(stack, blog_path(job), params={"token": token}) == 200
    assert status_of(stack, blog_path(job), cookie(stack)) == 200
    assert status_of(stack, blog_path(job) + "/", params={"token": token}) == 200


def test_a_blog_session_is_accepted_in_header_and_query(stack, job):
    blog_job(stack, job, session="0c5e-session")
    assert status_of(stack, blog_path(job), {"x-session-id": "0c5e-session"}) == 200
    assert status_of(stack, blog_path(job), {"X-Session-ID": "0c5e-session"}) == 200
    assert status_of(stack, blog_path(job), params={"sessionId": "0c5e-session"}) == 200
    assert status_of(stack, blog_path(job), params={"sessionid": "0c5e-session"}) == 200


def test_builder_routes_accept_only_a_bearer_header(stack, job):
    Builder(stack.redis, job).create()
    token = stack.token()
    for path, _ in owner_paths(job)[:4]:
        assert (
            status_of(stack, path, {"Cookie": f"accessToken={token}; __session={token}", "x-session-id": "alice"})
            == 401
        )
        assert status_of(stack, path, params={"token": token, "sessionId": "alice"}) == 401


@pytest.mark.parametrize("broken", ["expired", "signature", "malformed", "alg-none"])
def test_an_invalid_explicit_token_gets_401_despite_a_valid_cookie_or_session(stack, job, broken):
    blog_job(stack, job, "alice", "alices-session")
    good, bad = stack.token("blog"), stack.token("blog", broken=broken)
    weaker = {**cookie(stack), "x-session-id": "alices-session"}
    assert status_of(stack, blog_path(job), {**weaker, "Authorization": f"Bearer {bad}"}) == 401
    assert status_of(stack, blog_path(job), {**weaker, "Authorization": f"Bearer {bad}"}, params={"token": good}) == 401
    assert status_of(stack, blog_path(job), weaker, params={"token": bad}) == 401
    assert status_of(stack, blog_path(job), params={"token": bad, "sessionId": "alices-session"}) == 401


@pytest.mark.parametrize("broken", ["expired", "signature", "malformed", "alg-none"])
def test_an_invalid_cookie_is_ignored(stack, job, broken):
    blog_job(stack, job, "alice", "alices-session")
    bad = cookie(stack, broken=broken)
    assert status_of(stack, blog_path(job), {**bad, "x-session-id": "alices-session"}) == 200
    assert status_of(stack, blog_path(job), {**bad, "Authorization": "Bearer " + stack.token("blog")}) == 200
    assert status_of(stack, blog_path(job), bad) == 401
    assert status_of(stack, blog_path(job), {**bad, "x-session-id": "another"}) == 404


def test_credentials_are_tried_in_the_configured_order(stack, job):
    blog_job(stack, job + "a", "alice")
    blog_job(stack, job + "b", "bob")
    alice, bob = stack.token("blog", "alice"), stack.token("blog", "bob")
    orders = [
        ({"Authorization": f"Bearer {alice}"}, {"token": bob}),
        ({"Authorization": f"Bearer {alice}", "Cookie": f"accessToken={bob}"}, None),
        ({"Cookie": f"accessToken={bob}"}, {"token": alice}),
    ]
    for headers, params in orders:
        assert status_of(stack, blog_path(job + "a"), headers, params) == 200
    late = [send(stack, blog_path(job + "b"), headers=headers, params=params) for headers, params in orders]
    assert [answer.wait_head().status for answer in late] == [404] * 3


def test_the_session_header_takes_precedence_over_the_query(stack, job):
    blog_job(stack, job, session="in-header")
    assert status_of(stack, blog_path(job), {"x-session-id": "in-header"}, {"sessionId": "in-query"}) == 200
    assert status_of(stack, blog_path(job), {"x-session-id": "another"}, {"sessionId": "in-header"}) == 404


def test_a_matching_user_or_a_matching_session_suffices(stack, job):
    blog_job(stack, job + "u", "alice", "somebodys")
    blog_job(stack, job + "s", "somebody", "alices-session")
    blog_job(stack, job + "n", "somebody", "somebodys")
    both = {**stack.bearer("alice", "blog"), "x-session-id": "alices-session"}
    assert status_of(stack, blog_path(job + "u"), both) == 200
    assert status_of(stack, blog_path(job + "s"), both) == 200
    assert status_of(stack, blog_path(job + "n"), both) == 404
    by_cookie = {**cookie(stack), "x-session-id": "alices-session"}
    assert status_of(stack, blog_path(job + "s"), by_cookie) == 200


def test_a_token_cookie_may_be_quoted_percent_encoded_or_one_of_several(stack, job):
    blog_job(stack, job, "alice")
    token = stack.token("blog")
    encoded = token.replace(".", "%2E").replace("-", "%2d")
    for text in (
        f'accessToken="{token}"',
        f"accessToken={encoded}",
        f'accessToken="{encoded}"',
        f"theme=dark; accessToken={token}; lang=es",
        f"theme=dark;accessToken={token}",
        f"xaccessToken=no; accessToken = {token} ",
    ):
        assert (text, status_of(stack, blog_path(job), {"Cookie": text})) == (text, 200)
    for text in (
        f"accesstoken={token}",
        f"accessTokenX={token}",
        f"theme=accessToken={token}",
        "accessToken=",
        'accessToken=""',
        'accessToken="',
    ):
        assert (text, status_of(stack, blog_path(job), {"Cookie": text})) == (text, 401)


def test_several_cookie_headers_are_read_as_one(stack, job):
    blog_job(stack, job, "alice")
    pairs = [("cookie", "theme=dark"), ("cookie", "accessToken=" + stack.token("blog")), ("cookie", "lang=es")]
    assert status_of(stack, blog_path(job), pairs, http="2") == 200


def test_a_token_is_found_anywhere_in_the_query(stack, job):
    blog_job(stack, job, "alice")
    token = stack.token("blog")
    for query in (
        f"?a&b=&token={token}",
        f"?token={token}&x=%26token%3Dno",
        f"?&&token={token}&&",
        f"?toke%6e={token}",
        f"?a=b?c&token={token}",
    ):
        assert (query[:12], status_of(stack, blog_path(job) + query)) == (query[:12], 200)


def test_an_expired_token_gets_401_despite_a_valid_session(stack, job):
    blog_job(stack, job, "alice", "alices-session")
    old = stack.token("blog", broken="expired")
    answer = fetch(stack, blog_path(job), params={"token": old, "sessionid": "alices-session"})
    assert answer.status == 401 and "expired" in answer.headers["www-authenticate"]
