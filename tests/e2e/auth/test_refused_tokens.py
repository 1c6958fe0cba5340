"""Access: a request without a valid credential gets 401."""

import base64
import json

import pytest

from support.access import blog_job, blog_path, each_route, owner_paths, status_of
from support.clients import fetch
from support.publishers import Builder


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
