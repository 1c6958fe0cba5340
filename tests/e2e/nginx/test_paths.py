"""nginx decodes and shortens a path before it looks for a route.  The gateway gets the same path."""

import pytest

from support.clients import fetch, open_stream
from support.publishers import Builder

ANYONE = "/api/sse/stream"


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize(
    "path",
    [
        "//api/sse/stream",
        "/api//sse///stream",
        "/api/./sse/stream",
        "/api/other/../sse/stream",
        "/api/%73se/stream",
        "/%61pi/sse%2Fstream",
        "/api/sse/%2e/stream",
        "/api/sse/stream?a=//b&c=%2e",
        "/api/sse/stream?",
    ],
)
def test_a_path_that_nginx_normalises_to_a_route_is_served_by_the_route(stack, path, http):
    with open_stream(stack, path, http=http) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize(
    "form", ["//api/jobs/{}/logs", "/api/jobs/./{}/logs", "/api/jobs/x/../{}/logs", "/api//jobs/{}/%6cogs"]
)
def test_the_token_is_checked_for_the_job_in_the_normalised_path(stack, job, form):
    Builder(stack.redis, job).create().log("a")
    for path in (form.format(job), form.format(job.replace("-", "%2D"))):
        path += "?limit=1"
        assert len(fetch(stack, path, headers=stack.bearer()).json()["lines"]) == 1
        assert fetch(stack, path, headers=stack.bearer("bob")).status == 404
        assert fetch(stack, path).status == 401


@pytest.mark.parametrize(
    "id_", ["a%20b", "a%00b", "a%0ab", "%c3%a9", "a%3Fb", "a%23b", "a%25b", "%2e%2e%2e!", "a%22b", "é"]
)
def test_an_id_with_a_character_that_must_be_encoded_is_404_at_the_route(stack, id_):
    answer = fetch(stack, f"/api/jobs/{id_}/logs", headers=stack.bearer())
    assert answer.status in (400, 404)
    assert "text/event-stream" not in answer.headers.get("content-type", "")


@pytest.mark.parametrize("path", ["/api/sse/stream%0a", "/api/sse/stream%0d%0aX-A:%20b", "/api/v1/jobs/x/stream%0a"])
def test_a_line_feed_after_the_path_of_a_route_makes_it_another_path(stack, path):
    answer = fetch(stack, path, headers=stack.bearer())
    assert (answer.status, answer.json()) == (404, {"detail": "Not Found"})


def test_an_encoded_slash_in_an_id_leads_to_no_job(stack, job):
    Builder(stack.redis, job).create()
    # nginx sees two segments there, which is the path of no route.
    for path in (f"/api/jobs/x%2F{job}/logs", f"/api/jobs/{job}%2Flogs%2Fmore"):
        assert fetch(stack, path, headers=stack.bearer()).json() == {"detail": "Not Found"}
