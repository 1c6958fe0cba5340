"""Access: each route answers each kind of credential with the right status."""

import pytest

from support.access import blog_job
from support.clients import open_stream
from support.publishers import Builder
from support.seals import seal

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
