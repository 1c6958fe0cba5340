"""The limits on the number of open streams: of a user, of an address and of all clients."""

import pytest

from support import routes
from support.clients import fetch, open_stream
from support.unavailable import EVENT_SOURCE, PAGES, assert_refused, assert_unavailable
from support.waiting import wait_until


def test_a_user_over_the_stream_limit_gets_429_with_the_error_body_of_the_route(stack_with, job):
    stack = stack_with({"limits.streams_per_user": 2})
    for kind in (routes.Status, routes.Lines, routes.Progress):
        user = f"{job}-of-{kind.route}"
        endpoint = kind(stack, f"{job}-{kind.route}").create(user=user)
        held = [open_stream(stack, endpoint.path, headers=endpoint.headers(user)) for _ in range(2)]
        assert [stream.status for stream in held] == [200, 200]
        assert_refused(fetch(stack, endpoint.path, headers=endpoint.headers(user)), 429, blog=kind is routes.Progress)
        # The limit of one user does not apply to another user.
        assert open_stream(stack, endpoint.path, headers=endpoint.headers("somebody-else")).status == 404
        held[0].close()
        wait_until(lambda: can_open(endpoint, user), 5, "a new stream is allowed")


def can_open(endpoint, user="alice"):
    return open_stream(endpoint.stack, endpoint.path, headers=endpoint.headers(user)).status == 200


def test_an_event_source_over_the_limit_gets_an_unavailable_event(stack_with, job):
    stack = stack_with({"limits.streams_per_user": 1})
    endpoint = routes.Events(stack, job).create(user=job)
    first = open_as(endpoint, job)
    assert_unavailable(open_stream(stack, endpoint.path, headers=endpoint.headers(job)), "limit")
    assert first.ended is None
    blog = routes.Progress(stack, job).create(user=job + "b")
    token = {"token": stack.token("blog", job + "b")}
    first_of_blog = open_stream(stack, blog.path, params=token, headers=EVENT_SOURCE)
    assert first_of_blog.next_event().name == "connected"
    assert_unavailable(open_stream(stack, blog.path, params=token, headers=EVENT_SOURCE), "limit")


def open_as(endpoint, user):
    stream = open_stream(endpoint.stack, endpoint.path, headers=endpoint.headers(user))
    assert stream.status == 200 and stream.next_block() == "retry: 3000"
    return stream


def test_the_total_stream_limit_counts_the_streams_of_all_clients(private_stack, job):
    stack = private_stack({"limits.streams": 3, "route.spools.on_unavailable": "status"})
    held = [open_stream(stack, "/api/sse/stream") for _ in range(3)]
    assert_refused(fetch(stack, "/api/sse/stream"), 429)
    endpoint = routes.Lines(stack, job).create()
    assert_refused(fetch(stack, endpoint.path, headers=endpoint.headers()), 429)
    assert (
        fetch(stack, PAGES.format(job), headers=endpoint.headers()).status == 200
    ), "a page does not count as a stream"
    held.pop().close()
    wait_until(lambda: can_open(endpoint), 5, "a new stream is allowed")


def test_the_client_address_is_the_rightmost_hop_that_is_not_a_trusted_proxy(private_stack):
    stack = private_stack(
        {
            "limits.streams_per_address": 1,
            "limits.trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8", "::1"],
            "route.spools.on_unavailable": "status",
        }
    )

    held = []  # keeps the streams open

    def status(forwarded):
        held.append(open_stream(stack, "/api/sse/stream", headers={"X-Forwarded-For": forwarded}))
        return held[-1].status

    assert status("198.51.100.1") == 200
    assert status("198.51.100.1") == 429
    assert status("198.51.100.2") == 200
    assert status("198.51.100.1, 198.51.100.3") == 200, "an address that the client itself sent is ignored"
    assert status("198.51.100.3, 10.1.2.3") == 429
    assert status("nonsense, 198.51.100.4, 10.1.2.3, 10.3.2.1") == 200
    assert status("2001:db8::1") == 200
    assert status("2001:db8::1") == 429


@pytest.mark.slow
def test_without_trusted_proxies_the_client_address_is_the_peer_of_nginx(private_stack):
    stack = private_stack({"limits.streams_per_address": 1, "route.spools.on_unavailable": "status"})
    first = open_stream(stack, "/api/sse/stream", headers={"X-Forwarded-For": "198.51.100.1"})
    second = open_stream(stack, "/api/sse/stream", headers={"X-Forwarded-For": "198.51.100.2"})
    assert (first.status, second.status) == (200, 429)
