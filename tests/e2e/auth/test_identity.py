"""Access: 401 without a valid credential, and the same 404 for an unknown job and for the job of another user."""

import base64
import json
import time
import urllib.parse

import pytest

from support import routes
from support.clients import ask_auth, fetch, open_stream, sealed, send
from support.publishers import Blog, Builder
from support.seals import seal
from support.waiting import wait_until

GRACE = 0.8  # seconds for which the gateway looks for a missing record of blog


def pages_path(job):
    return f"/api/jobs/{job}/logs"


def blog_path(job):
    return f"/api/v1/jobs/{job}/stream"


def owner_paths(job):
    """(path, provider of its tokens) of each route with who = "owner"."""
    return [
        (f"/api/jobs/{job}/events/stream", "builder"),
        (f"/api/jobs/{job}/stream", "builder"),
        (f"/api/jobs/{job}/logs/stream", "builder"),
        (pages_path(job), "builder"),
        (blog_path(job), "blog"),
    ]


each_route = pytest.mark.parametrize("number", range(5), ids=["events", "status", "log-stream", "log-pages", "job"])


def status_of(stack, path, headers=None, params=None, **more):
    """The status of an answer, which may be a stream."""
    with open_stream(stack, path, headers=headers, params=params, **more) as answer:
        return answer.status


def blog_job(stack, job, user=None, session=None, **fields):
    return Blog(stack.redis, job, user=user, session=session).create("running", **fields)


# ---- each route with each kind of credential ------------------------------------------------------

FASTAPI = {number: {"detail": text} for number, text in (
    (401, "Authentication is required"),
    (404, "Job not found"),
)}  # fmt: skip
EXPRESS = {
    401: {"success": False, "error": "Unauthorized", "message": "Authentication is required"},
    404: {"success": False, "error": "Not found", "message": "Job not found or access denied"},
}
BAD_SIGNATURE, EXPIRED = "The token's signature is wrong", "The token has expired"

# route: path, provider of its tokens, error bodies, first blocks of a stream
ROUTES = {
    "R1": ("/api/jobs/{}/events/stream", "builder", FASTAPI, ["retry: 3000"]),
    "R2": ("/api/jobs/{}/stream", "builder", FASTAPI, ["retry: 3000", 'data: {"job_id":"ID","status":"running","message":"m"}']),
    "R3": ("/api/jobs/{}/logs/stream", "builder", FASTAPI, ["retry: 3000"]),
    "R4": ("/api/jobs/{}/logs", "builder", FASTAPI, None),
    "R5": ("/api/sse/stream", None, FASTAPI, ["retry: 3000"]),
    "R6": ("/api/v1/jobs/{}/stream", "blog", EXPRESS, ["retry: 3000", ": ok"]),
}  # fmt: skip
PAGE = {"lines": [], "has_more": False, "oldest_id": None}

# caller: the statuses of R1 to R4, of R5 and of R6
SERVED = 200
MATRIX = {
    "no token": (401, SERVED, 401),
    "bad token": (401, SERVED, 401),
    "expired token": (401, SERVED, 401),
    "other user": (404, SERVED, 404),
    "right user": (SERVED, SERVED, SERVED),
    "session": (401, SERVED, SERVED),
    "other session": (401, SERVED, 404),
    "forged identity": (401, SERVED, 401),
    "forged identity beside another's token": (404, SERVED, 404),
    "straight to the socket": (401, SERVED, 401),
    "straight to the socket, with a token": (401, SERVED, 401),
    "straight to the socket, with a session": (401, SERVED, 401),
    "straight to the socket, forged": (401, SERVED, 401),
    "straight to the socket, sealed for another job": (401, SERVED, 401),
    "straight to the socket, sealed": (SERVED, SERVED, SERVED),
}


def credentials_of(stack, caller, route, job):
    """(headers of `caller` on `route`, sentence of the 401 or None)."""
    provider = ROUTES[route][1] or "builder"
    # Sealed like an identity of the gateway, but with another key.
    name = {"R1": "events", "R2": "status", "R3": "log-stream", "R4": "log-pages", "R5": "spools", "R6": "job"}[route]
    forged = seal(stack, name, job, user="alice", session="alices-session", key=b"k" * 32)
    return {
        "no token": lambda: ({}, None),
        "bad token": lambda: (stack.bearer("alice", provider, broken="signature"), BAD_SIGNATURE),
        "expired token": lambda: (stack.bearer("alice", provider, broken="expired"), EXPIRED),
        "other user": lambda: (stack.bearer("mallory", provider), None),
        "right user": lambda: (stack.bearer("alice", provider), None),
        "session": lambda: ({"x-session-id": "alices-session"}, None),
        "other session": lambda: ({"x-session-id": "mallorys-session"}, None),
        "forged identity": lambda: (forged, None),
        # Even a valid identity counts only if nginx adds it.
        "forged identity beside another's token": lambda: (
            {**stack.bearer("mallory", provider), **seal(stack, name, job, user="alice")}, None),
        "straight to the socket": lambda: ({}, None),
        "straight to the socket, with a token": lambda: (stack.bearer("alice", provider), None),
        "straight to the socket, with a session": lambda: ({"x-session-id": "alices-session"}, None),
        "straight to the socket, forged": lambda: (forged, None),
        "straight to the socket, sealed for another job": lambda: (seal(stack, name, job + "x", user="alice"), None),
        "straight to the socket, sealed": lambda: (seal(stack, name, job, user="alice"), None),
    }[caller]()  # fmt: skip


@pytest.mark.parametrize("caller", MATRIX)
@pytest.mark.parametrize("route", ROUTES)
def test_each_route_answers_each_kind_of_credential_with_the_right_status(stack, job, route, caller):
    path, provider, bodies, first_blocks = ROUTES[route]
    for name in (job, job + "x"):
        Builder(stack.redis, name, "alice").create("running", "m")
        blog_job(stack, name, "alice", "alices-session")
    builder_status, spools_status, blog_status = MATRIX[caller]
    expected = spools_status if provider is None else blog_status if provider == "blog" else builder_status
    headers, sentence = credentials_of(stack, caller, route, job)
    direct = caller.startswith("straight")
    for via, http in [("gateway", "1.1")] if direct else [("tls", "1.1"), ("tls", "2"), ("plain", "1.1")]:
        answer = open_stream(stack, path.format(job), headers=headers, via=via, http=http)
        assert (via, http, answer.status) == (via, http, expected)
        if expected != SERVED:
            body = dict(bodies[expected])
            if sentence:
                body["detail" if "detail" in body else "message"] = sentence
            assert answer.wait_closed()
            assert (answer.json(), answer.headers["content-type"]) == (body, "application/json")
            challenge = answer.headers.get("www-authenticate", "")
            assert challenge.startswith("Bearer") == (expected == 401) and ("invalid_token" in challenge) == bool(
                sentence
            )
        elif first_blocks is None:
            assert answer.wait_closed() and answer.json() == PAGE
        else:
            assert answer.headers["content-type"] == "text/event-stream"
            assert [answer.next_block() for _ in first_blocks] == [block.replace("ID", job) for block in first_blocks]
            answer.close()


# ---- without a valid credential -------------------------------------------------------------------


@each_route
def test_a_request_without_credentials_gets_401_with_one_challenge(stack, job, number):
    Builder(stack.redis, job).create()
    blog_job(stack, job, "alice")
    path, _ = owner_paths(job)[number]
    answer = fetch(stack, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="tailgate"'
    assert [name for name, _ in answer.header_list].count("www-authenticate") == 1
    assert answer.headers["content-type"] == "application/json"


@each_route
@pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("plain", "1.1")])
def test_a_401_has_the_error_body_of_its_route(stack, job, number, via, http):
    path, _ = owner_paths(job)[number]
    body = fetch(stack, path, via=via, http=http).json()
    if number == 4:
        assert set(body) == {"success", "error", "message"}
        assert body["success"] is False and body["error"] == "Unauthorized" and body["message"]
    else:
        assert set(body) == {"detail"} and body["detail"]


BROKEN = [
    "alg-none",
    "early",
    "expired",
    "issuer",
    "kid",
    "malformed",
    "other-key",
    "signature",
    "subject",
    "truncated",
]


@pytest.mark.parametrize("broken", [*BROKEN, "hs-confusion", "azp"])
def test_an_invalid_builder_token_gets_401(stack, job, broken):
    Builder(stack.redis, job).create()
    for path, provider in owner_paths(job)[:4]:
        answer = fetch(stack, path, headers=stack.bearer("alice", provider, broken=broken))
        assert (path, answer.status) == (path, 401)
        assert answer.headers["www-authenticate"].startswith('Bearer realm="tailgate", error="invalid_token"')


# Blog's provider has a shared secret without a key id, and its configuration names no issuer.
@pytest.mark.parametrize("broken", [name for name in BROKEN if name not in ("kid", "issuer")])
def test_an_invalid_blog_token_gets_401(stack, job, broken):
    blog_job(stack, job, "alice")
    answer = fetch(stack, blog_path(job), headers=stack.bearer("alice", "blog", broken=broken))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.json()["error"] == "Unauthorized"


@pytest.mark.parametrize("missing", ["sub", "exp", "nbf", "iat", "azp"])
def test_a_token_without_a_required_claim_gets_401(stack, job, missing):
    Builder(stack.redis, job).create()
    answer = fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer(without=(missing,)))
    assert answer.status == 401


def test_a_token_of_one_system_is_refused_by_the_routes_of_another(stack, job):
    Builder(stack.redis, job).create()
    blog_job(stack, job, "alice")
    for path, provider in owner_paths(job):
        other = "blog" if provider == "builder" else "builder"
        assert status_of(stack, path, stack.bearer("alice", other)) == 401


@pytest.mark.parametrize(
    "value",
    [
        "Bearer null",
        "Bearer undefined",
        "Bearer a.b.c",
        "Bearer ....",
        "Bearer " + "a" * 6000,
        "bearer {}.{}.{}",
        "Bearer a b c",
    ],
)
def test_a_malformed_bearer_token_gets_401(stack, job, value):
    Builder(stack.redis, job).create()
    blog_job(stack, job, session="s-1")
    for path, _ in owner_paths(job):
        assert status_of(stack, path, {"Authorization": value, "x-session-id": "s-1"}) == 401


@pytest.mark.parametrize("value", ["Basic YWxpY2U6YQ==", "Digest x", "Bearer", "Bearertoken", ""])
def test_another_authorization_scheme_is_ignored(stack, job, value):
    Builder(stack.redis, job).create()
    assert status_of(stack, f"/api/jobs/{job}/stream", {"Authorization": value}) == 401
    blog_job(stack, job, session="s-1")
    assert status_of(stack, blog_path(job), {"Authorization": value, "x-session-id": "s-1"}) == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_bearer_scheme_is_case_insensitive(stack, job, scheme):
    Builder(stack.redis, job).create()
    assert status_of(stack, f"/api/jobs/{job}/stream", {"Authorization": f"{scheme} {stack.token()}"}) == 200


def test_a_token_with_a_padded_signature_or_an_empty_part_gets_401(stack, job):
    Builder(stack.redis, job).create()
    head, payload, signature = stack.token().split(".")
    for other in (
        f"{head}.{payload}.{signature}=",
        f"{head}.{payload}.{signature}==",
        f"{head}.{payload}.",
        f" .{payload}.{signature}",
    ):
        assert status_of(stack, f"/api/jobs/{job}/stream", {"Authorization": f"Bearer {other}"}) == 401


def test_changed_claims_under_an_old_signature_get_401(stack, job):
    Builder(stack.redis, job, "bob").create()
    head, payload, signature = stack.token(subject="alice").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "bob"}).encode()).rstrip(b"=").decode()
    answer = fetch(stack, f"/api/jobs/{job}/stream", headers={"Authorization": f"Bearer {head}.{forged}.{signature}"})
    assert answer.status == 401


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


# ---- credentials of blog --------------------------------------------------------------------------


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


# ---- sealed identities ----------------------------------------------------------------------------


def status_at_socket(stack, path, headers=None):
    return status_of(stack, path, headers, via="gateway")


@each_route
def test_the_streams_socket_accepts_only_a_sealed_identity(stack, job, number):
    Builder(stack.redis, job).create()
    blog_job(stack, job, "alice", "alices-session")
    path, provider = owner_paths(job)[number]
    assert status_at_socket(stack, path) == 401
    assert status_at_socket(stack, path, stack.bearer("alice", provider)) == 401
    for claim in (
        "alice",
        "ok",
        '{"user":"alice"}',
        "v1..",
        "v1.e30.",
        "v1.YWxpY2U.AAAA",
        "v2.YWxpY2U.AAAA",
        "v1." + "A" * 5000 + ".A",
        "\xff",
    ):
        assert status_at_socket(stack, path, {"X-Tailgate-Identity": claim, "X-Tailgate-Verdict": "ok"}) == 401
    assert status_at_socket(stack, path, {"X-Tailgate-Verdict": "ok", "X-Tailgate-User": "alice"}) == 401
    assert status_at_socket(stack, path, {"X-Tailgate-Verdict": "open"}) == 401
    good = sealed(stack, path, stack.bearer("alice", provider))
    assert status_at_socket(stack, path, good) == 200


def test_an_identity_sealed_with_another_key_gets_401(stack, job):
    Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/stream"
    assert status_at_socket(stack, path, seal(stack, "status", job, user="alice")) == 200
    assert status_at_socket(stack, path, seal(stack, "status", job, user="alice", key=b"k" * 32)) == 401
    assert status_at_socket(stack, path, seal(stack, "status", job, user="alice", key=b"")) == 401


def test_a_changed_sealed_identity_gets_401(stack, job):
    Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/stream"
    good = sealed(stack, path, stack.bearer())["X-Tailgate-Identity"]
    version, payload, mac = good.split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    assert b"alice" in text
    other = base64.urlsafe_b64encode(text.replace(b"alice", b"alicf")).rstrip(b"=").decode()
    flipped = ("B" if mac[0] == "A" else "A") + mac[1:]
    for bad in (
        f"{version}.{other}.{mac}",
        f"{version}.{payload}.{flipped}",
        f"{version}.{payload}.{mac[:-2]}",
        f"{version}.{payload}.{mac}A",
        f"{version}.{payload}",
        f"{payload}.{mac}",
    ):
        assert (bad, status_at_socket(stack, path, {"X-Tailgate-Identity": bad})) == (bad, 401)


def test_a_sealed_identity_is_valid_for_one_route_and_one_job(stack, job):
    for name in (job, job + "x"):
        Builder(stack.redis, name).create()
    here, there = owner_paths(job)[:4], owner_paths(job + "x")[:4]
    for path, provider in here:
        identity = sealed(stack, path, stack.bearer("alice", provider))
        assert status_at_socket(stack, path, identity) == 200
        for other, _ in here + there:
            if other != path:
                assert (path, other, status_at_socket(stack, other, identity)) == (path, other, 401)


def test_an_expired_sealed_identity_gets_503_and_not_401(stack, job):
    Builder(stack.redis, job).create()
    blog_job(stack, job, "alice")
    old = fetch(
        stack, f"/api/jobs/{job}/stream", headers=seal(stack, "status", job, user="alice", life_s=-1), via="gateway"
    )
    assert old.status == 503 and int(old.headers["retry-after"]) >= 1 and set(old.json()) == {"detail"}
    blog = fetch(stack, blog_path(job), headers=seal(stack, "job", job, user="alice", life_s=-1), via="gateway")
    assert blog.status == 503 and blog.json()["success"] is False
    events = open_stream(
        stack,
        f"/api/jobs/{job}/events/stream",
        headers=seal(stack, "events", job, user="alice", life_s=-1),
        via="gateway",
    )
    assert events.status == 200
    event = events.next_event()
    assert (event.name, event.json()) == ("unavailable", {"reason": "auth"})


FORGED = [
    {"X-Tailgate-Verdict": "ok"},
    {"X-Tailgate-Uri": "/api/sse/stream"},
    {"X-Tailgate-Method": "POST"},
    {"X-Tailgate-Method": "OPTIONS", "X-Tailgate-Uri": "/nothing"},
    {"x-tailgate-identity": "anything"},
    {"X_Tailgate_Identity": "anything", "X-Original-URI": "/api/sse/stream", "X-Rewrite-URL": "/api/sse/stream"},
]


@each_route
@pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("plain", "1.1")])
def test_identity_headers_of_the_client_are_ignored_through_nginx(stack, job, number, via, http):
    Builder(stack.redis, job).create()
    blog_job(stack, job, "alice")
    path, _ = owner_paths(job)[number]
    genuine = ["events", "status", "log-stream", "log-pages", "job"][number]
    for forged in [*FORGED, seal(stack, genuine, job, user="alice")]:
        answer = fetch(stack, path, headers=forged, via=via, http=http)
        assert (forged, answer.status) == (forged, 401)


def test_an_identity_header_of_the_client_does_not_replace_its_token(stack, job):
    Builder(stack.redis, job, "bob").create()
    headers = {**stack.bearer("alice"), **seal(stack, "status", job, user="bob")}
    assert status_of(stack, f"/api/jobs/{job}/stream", headers) == 404


def test_the_auth_socket_seals_an_identity_only_for_a_valid_token(stack, job):
    def verdict(path, headers=None, method="GET"):
        answer = ask_auth(stack, path, headers, method)
        return answer.status, answer.headers["x-tailgate-verdict"], "x-tailgate-identity" in answer.headers

    path = f"/api/jobs/{job}/stream"
    assert verdict(path, stack.bearer()) == (204, "ok", True)
    assert verdict(path) == (401, "401-missing", False)
    assert verdict(path, stack.bearer(broken="expired")) == (401, "401-expired", False)
    assert verdict(path, method="POST") == (204, "open", False)
    assert verdict("/nothing") == (204, "open", False)
    assert verdict("/api/sse/stream", {"Authorization": "Bearer no"}) == (204, "open", False)
    assert fetch(stack, "/other", via="auth").status == 404


def test_a_uri_header_of_the_client_does_not_reach_the_auth_socket(stack, job):
    # If the header did, alice would get an identity for her own job and use it for bob's.
    Builder(stack.redis, job + "a", "alice").create()
    Builder(stack.redis, job + "b", "bob").create()
    headers = {**stack.bearer("alice"), "X-Tailgate-Uri": f"/api/jobs/{job}a/stream"}
    assert status_of(stack, f"/api/jobs/{job}b/stream", headers) == 404


# ---- routes for anyone ----------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["expired", "signature", "malformed"])
def test_a_route_for_anyone_ignores_tokens(stack, broken):
    bad = stack.token(broken=broken)
    headers = {"Authorization": f"Bearer {bad}", "Cookie": f"accessToken={bad}", "x-session-id": "x\ty"}
    for via in ("tls", "plain", "gateway"):
        assert status_of(stack, "/api/sse/stream", headers, {"token": bad}, via=via) == 200
    assert status_at_socket(stack, "/api/sse/stream", {"X-Tailgate-Identity": "nonsense"}) == 200


# ---- expiry of a token ------------------------------------------------------------------------------

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
