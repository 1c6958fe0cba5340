"""Access: nginx passes a sealed identity to the gateway, which clients can neither forge nor use for another job."""

import base64

import pytest

from support.access import blog_job, blog_path, each_route, owner_paths, status_of
from support.clients import ask_auth, fetch, open_stream, sealed
from support.publishers import Builder
from support.seals import seal


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
