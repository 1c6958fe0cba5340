"""Paths, jobs and statuses for the tests of access."""

import pytest

from support.clients import open_stream
from support.publishers import Blog


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
