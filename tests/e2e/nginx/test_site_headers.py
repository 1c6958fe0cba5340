"""Headers that the site adds to its answers are on each answer of a route, whoever writes it."""

import os
import signal

import pytest

from support import routes
from support.clients import fetch, open_stream
from support.publishers import Builder
from support.site import Site
from support.waiting import wait_until

ORIGIN = "https://app.example.com"
ANYONE = "/api/sse/stream"
EVENTS = "/api/jobs/x/events/stream"
HSTS = "max-age=63072000"
ADDED = f'add_header Strict-Transport-Security "{HSTS}" always; add_header X-Frame-Options DENY always;'
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
PLACES = {"server": {"server": ADDED}, "http": {"http": ADDED}}


@pytest.fixture(scope="module")
def site(stack_with):
    return Site(stack_with({"limits.streams": 0, "cors.origins": [ORIGIN]}))


@pytest.fixture(scope="module")
def dead(stack_with):
    """A site whose gateway was killed."""
    stack = stack_with({"cors.origins": [ORIGIN], "limits.streams": 1})
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_until(lambda: fetch(stack, "/api/jobs/x/stream", via="plain").status == 503, 10, "nginx answers by itself")
    return Site(stack)


def assert_headers(answer, status, cors=True):
    """The site's headers are there once, and so are those of Tailgate."""
    assert answer.status == status
    names = [name.lower() for name, _ in answer.header_list]
    for name, value in (("strict-transport-security", HSTS), ("x-frame-options", "DENY")):
        assert answer.headers.get(name) == value, (status, name)
    if cors:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "cache-control" in names or status == 204
        assert "x-request-id" in names
    assert len(names) == len(set(names)), names


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("place", PLACES)
def test_each_answer_of_the_gateway_has_the_headers_of_the_site(site, job, place, http):
    site.use(**PLACES[place])
    stack, via = site.stack, "tls" if http == "2" else "plain"
    Builder(stack.redis, job).create().log("a")
    bearer = {**stack.bearer(), "Origin": ORIGIN}
    page = f"/api/jobs/{job}/logs"
    for path, headers, status, method in (
        (ANYONE, {"Origin": ORIGIN}, 200, "GET"),
        (routes.Lines(stack, job).path, bearer, 200, "GET"),
        (page, bearer, 200, "GET"),
        (page, {"Origin": ORIGIN}, 401, "GET"),
        ("/api/jobs/none/logs", bearer, 404, "GET"),
        (f"{page}?limit=0", bearer, 422, "GET"),
        (page, bearer, 405, "POST"),
        (page, PREFLIGHT, 204, "OPTIONS"),
    ):
        with open_stream(stack, path, headers=headers, method=method, via=via, http=http) as answer:
            assert_headers(answer, status)


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_of_nginx_beside_a_running_gateway_has_the_headers_of_the_site(site, place):
    site.use(**PLACES[place])
    # Over HTTP/2 the request does not tell the length of its body.
    huge = {"method": "POST", "body": b"x" * 40_000, "headers": {"Origin": ORIGIN}}
    assert_headers(fetch(site.stack, ANYONE, http="2", **huge), 413)
    token = {"Authorization": "Bearer " + "a" * 50_000, "Origin": ORIGIN}
    for path in (ANYONE, "/api/jobs/x/logs"):
        assert fetch(site.stack, path, headers=token, via="plain").status == 431
    assert_headers(fetch(site.stack, "/api/jobs/x/logs", headers=token, via="plain"), 431)
    # This path is nginx's own, and this stack has no application.
    assert_headers(fetch(site.stack, "/_tailgate/auth", headers={"Origin": ORIGIN}, via="plain"), 404)


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("place", PLACES)
def test_each_answer_of_nginx_without_a_gateway_has_the_headers_of_the_site(dead, place, http):
    dead.use(**PLACES[place])
    stack, via = dead.stack, "tls" if http == "2" else "plain"
    for path, headers, status, method in (
        (EVENTS, {"Origin": ORIGIN}, 200, "GET"),
        (ANYONE, {"Origin": ORIGIN, "Accept": "text/event-stream"}, 200, "GET"),
        (ANYONE, {"Origin": ORIGIN}, 503, "GET"),
        ("/api/jobs/x/logs", {"Origin": ORIGIN}, 503, "GET"),
        ("/api/jobs/x/logs", {"Origin": ORIGIN}, 503, "HEAD"),
        (EVENTS, {"Origin": ORIGIN}, 405, "POST"),
        (EVENTS, PREFLIGHT, 204, "OPTIONS"),
    ):
        with open_stream(stack, path, headers=headers, method=method, via=via, http=http) as answer:
            assert_headers(answer, status)
    assert_headers(fetch(stack, "/healthz", via=via, http=http), 503, cors=False)
    assert_headers(fetch(stack, "/readyz", via=via, http=http), 503, cors=False)


def test_without_a_gateway_another_method_gets_the_405_of_its_route(dead, stack):
    """Compares the answers of `dead` with those of `stack`, which has a gateway."""
    dead.restore()
    for path in (EVENTS, "/api/jobs/x/logs", ANYONE, "/api/v1/jobs/x/stream"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "FROBNICATE"):
            own, gateway = (fetch(one, path, method=method, via="plain") for one in (dead.stack, stack))
            assert own.status == gateway.status == 405, (method, path)
            assert own.headers["allow"] == gateway.headers["allow"]
            assert own.json() == gateway.json()
    for path, status in ((EVENTS, 405), ("/api/jobs/x/logs", 503)):
        assert fetch(dead.stack, path, method="HEAD", via="plain").status == status


def test_an_event_source_behind_the_password_of_the_site_gets_an_unavailable_event(dead):
    """A browser sends the password for auth_basic with every request, even with that of an EventSource."""
    dead.restore()
    native = {"Accept": "text/event-stream", "Authorization": "Basic YWxpY2U6c2VjcmV0"}
    with open_stream(dead.stack, ANYONE, headers=native, via="plain") as answer:
        assert answer.status == 200
        assert answer.next_event().name == "unavailable"
    fetcher = {"Accept": "text/event-stream", "Authorization": "Bearer abc"}
    assert fetch(dead.stack, ANYONE, headers=fetcher, via="plain").status == 503


def test_the_answer_of_nginx_trickles_through_a_site_with_gzip(dead):
    dead.use("gzip on; gzip_types *; gzip_min_length 0; limit_rate 1m;")
    native = {"Accept": "text/event-stream", "Accept-Encoding": "gzip"}
    with open_stream(dead.stack, ANYONE, headers=native, via="plain") as answer:
        assert "content-encoding" not in answer.headers
        assert answer.next_event().json() == {"reason": "down"}
        answer.pump(3)
        assert answer.ended is None


def test_nginx_answers_503_even_if_its_own_answers_cannot_be_reached(dead):
    dead.restore()
    (dead.stack.run_dir / "nginx-answers.sock").unlink()
    answer = fetch(dead.stack, ANYONE, via="plain")
    assert (answer.status, set(answer.json())) == (503, {"detail"})
