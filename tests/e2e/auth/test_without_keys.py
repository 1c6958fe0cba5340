"""The answers that a client gets while its token cannot be verified: without keys, or without the auth socket."""

import os

import pytest

from support import routes
from support.clients import fetch, open_stream, sealed
from support.publishers import Builder
from support.unavailable import PATHS, assert_refused, assert_unavailable


@pytest.fixture(scope="module")
def keyless(stack_with):
    """A stack whose gateway could never read the public keys of builder."""
    return stack_with(
        {"provider.clerk.jwks": "file:/nonexistent/jwks.json", "provider.clerk.refresh_s": 1}, wait="alive"
    )


def test_without_keys_a_token_gets_503_and_not_401(keyless, job):
    Builder(keyless.redis, job).create()
    for path in PATHS[1:4]:
        assert_refused(fetch(keyless, path.format(job), headers=keyless.bearer()))
    assert_unavailable(open_stream(keyless, PATHS[0].format(job), headers=keyless.bearer()), "auth")
    assert fetch(keyless, PATHS[1].format(job)).status == 401, "a request without a token needs no keys"


def test_without_the_keys_of_one_provider_other_routes_are_served(keyless, job):
    endpoint = routes.Progress(keyless, job).create()
    assert open_stream(keyless, endpoint.path, headers=endpoint.headers()).status == 200
    assert open_stream(keyless, "/api/sse/stream").status == 200


def test_without_keys_the_gateway_is_not_ready_and_reports_missing_keys(keyless):
    status, body = keyless.ops("/readyz")
    assert status == 503 and '"keys":"missing"' in body
    assert fetch(keyless, "/readyz").status == 503
    assert keyless.metrics()['tailgate_provider_keys{provider="clerk"}'] == 0


def test_without_the_auth_socket_nginx_serves_only_routes_for_anyone(private_stack, job):
    stack = private_stack()
    Builder(stack.redis, job).create()
    # The streams socket exists, the auth socket does not.
    os.rename(stack.auth_socket, stack.auth_socket + ".away")
    try:
        answer = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
        event = answer.next_event()
        assert event.name == "unavailable" and event.json()["reason"] in ("auth", "down")
        assert_refused(fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()))
        assert open_stream(stack, "/api/sse/stream").status == 200, "a route for anyone needs no verdict"
        direct = seal_or_none(stack, f"/api/jobs/{job}/stream")
        assert direct is None
    finally:
        os.rename(stack.auth_socket + ".away", stack.auth_socket)
    assert open_stream(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()).status == 200


def seal_or_none(stack, path):
    try:
        return sealed(stack, path, stack.bearer())
    except (FileNotFoundError, ConnectionError):
        return None
