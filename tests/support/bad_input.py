"""The path of each route, and checks of the answers to bad input."""

import os

PATHS = {
    "events": "/api/jobs/{}/events/stream",
    "status": "/api/jobs/{}/stream",
    "log-stream": "/api/jobs/{}/logs/stream",
    "log-pages": "/api/jobs/{}/logs",
    "spools": "/api/sse/stream",
    "job": "/api/v1/jobs/{}/stream",
}


def assert_body_of(route, answer):
    """Checks that the answer has the error body of the route, and returns the sentence in it."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    if route == "job":
        assert set(body) == {"success", "error", "message"} and body["success"] is False and body["error"]
        sentence = body["message"]
    else:
        assert set(body) == {"detail"}
        sentence = body["detail"]
    assert len(sentence) > 8 and sentence == sentence.strip()
    return sentence


def bearer_of(stack, route, user="alice"):
    if route == "spools":
        return {}
    return stack.bearer(user, "blog" if route == "job" else "builder")


def assert_gateway_lives(stack):
    assert stack.ops("/healthz")[0] == 200
    os.kill(stack.gateway_pid, 0)
