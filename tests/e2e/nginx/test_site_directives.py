"""Other directives that the including server block may set: they change no byte of a stream and delay none."""

import pytest

from support import routes
from support.clients import fetch, open_stream
from support.publishers import Builder
from support.site import DISTURBING, Site
from support.waiting import wait_until

ANYONE = "/api/sse/stream"
ORIGIN = "https://app.example.com"

SERVER_RULES = 'if ($http_x_maintenance) { return 503; } rewrite ^/v2(/.*)$ $1; set $tg_mine "x";'
DIRECTIVES = {
    **{f"{name}-{place}": {place: line} for name, line in DISTURBING.items() for place in ("server", "http")},
    "server_rules": {"server": SERVER_RULES},
}


@pytest.fixture(scope="module")
def site(stack_with):
    return Site(stack_with({"limits.streams": 0, "cors.origins": [ORIGIN]}))


@pytest.mark.parametrize(
    "name, http",
    [
        # The routes inherit a directive of the http block in the same way for both protocols.  So over HTTP/2 these
        # cases run only as slow tests.
        pytest.param(name, http, marks=[pytest.mark.slow] if name.endswith("-http") and http == "2" else [])
        for name in DIRECTIVES
        for http in ("1.1", "2")
    ],
)
def test_a_directive_of_the_site_does_not_change_streams_and_pages(site, job, name, http):
    site.use(**DIRECTIVES[name], before="location = /mirror { internal; return 204; }")
    stack, via = site.stack, "tls" if http == "2" else "plain"
    gzip = {"Accept-Encoding": "gzip", "Accept": "text/event-stream", "Origin": ORIGIN}
    lines = routes.Lines(stack, job).create()
    bearer = {**lines.headers(), **gzip}
    with open_stream(stack, lines.path, headers=bearer, via=via, http=http) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-cache, no-transform"
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["access-control-allow-origin"] == ORIGIN
        assert "content-encoding" not in stream.headers
        for number in range(1, 4):
            lines.write_number(number)
            event = stream.next_event(timeout=2)
            assert (event.name, lines.number_in(event)) == ("log", number)
        assert stream.raw.startswith(b"retry: 3000\n\n")
        lines.finish()
        assert stream.rest(timeout=10)[-1].name == "done"
    page = fetch(stack, f"/api/jobs/{job}/logs", headers=bearer, via=via, http=http)
    assert [line["text"] for line in page.json()["lines"]] == ["n=1", "n=2", "n=3"]
    assert "content-encoding" not in page.headers
    refused = fetch(stack, f"/api/jobs/{job}/logs", headers=gzip, via=via, http=http)
    assert refused.status == 401 and set(refused.json()) == {"detail"}
    assert fetch(stack, "/readyz", via=via, http=http).status == 200


def test_a_header_that_the_gateway_refuses_gets_the_same_answer_on_every_route(site):
    site.use("ignore_invalid_headers off;")
    for path in (ANYONE, "/api/jobs/x/logs"):
        answer = fetch(site.stack, path, headers={"X@y": "1", **site.stack.bearer()}, via="plain")
        assert (answer.status, answer.json()) == (
            400,
            {"detail": "A header line is not a name, a colon and a value"},
        ), path
    large = {"X-Large": "x" * 50_000, **site.stack.bearer()}
    assert fetch(site.stack, "/api/jobs/x/logs", headers=large, via="plain").status == 431


@pytest.mark.parametrize("name", ["proxy_ignore_client_abort", "proxy_buffering", "mirror"])
def test_the_gateway_notices_at_once_that_a_client_has_gone(site, job, name):
    site.use(DISTURBING[name], before="location = /mirror { internal; return 204; }")
    gone = f'tailgate_streams_open{{route="{routes.Lines.route}"}}'
    before = site.stack.metrics().get(gone, 0)
    lines = routes.Lines(site.stack, job).create()
    with open_stream(site.stack, lines.path, headers=lines.headers(), via="plain"):
        wait_until(lambda: site.stack.metrics().get(gone, 0) == before + 1, 5, "the stream is open")
    wait_until(lambda: site.stack.metrics().get(gone, 0) == before, 3, "the stream has ended")


def test_a_mirror_of_the_site_gets_each_request_once(site, job):
    log = site.stack.dir / "mirror.log"
    mirror = f"location = /mirror {{ internal; log_subrequest on; access_log {log}; return 204; }}"
    site.use("mirror /mirror;", before=mirror)
    Builder(site.stack.redis, job).create()
    for path, headers in ((f"/api/jobs/{job}/logs", site.stack.bearer()), ("/api/jobs/none/logs", site.stack.bearer())):
        fetch(site.stack, path, headers=headers, via="plain")
    with open_stream(site.stack, ANYONE, via="plain"):
        pass
    wait_until(lambda: log.read_text().count("\n") >= 3, 5, "three requests are mirrored")
    assert log.read_text().count("\n") == 3


def test_a_rewrite_of_the_site_leads_to_a_route_and_the_token_is_checked_for_its_path(site, job):
    site.use("rewrite ^/v2(/.*)$ $1;")
    Builder(site.stack.redis, job).create().log("a")
    path = f"/v2/api/jobs/{job}/logs?limit=1"
    assert len(fetch(site.stack, path, headers=site.stack.bearer(), via="plain").json()["lines"]) == 1
    assert fetch(site.stack, path, headers=site.stack.bearer("bob"), via="plain").status == 404
    assert fetch(site.stack, path, via="plain").status == 401
    with open_stream(site.stack, "/v2" + ANYONE, via="plain") as stream:
        assert stream.status == 200


def test_return_and_if_of_the_site_come_before_the_routes(site):
    site.use("if ($http_x_maintenance) { return 503; } if ($request_method = PUT) { return 405; }")
    assert fetch(site.stack, ANYONE, headers={"X-Maintenance": "1"}, via="plain").status == 503
    assert fetch(site.stack, ANYONE, method="PUT", via="plain").status == 405
    site.use("return 301 https://elsewhere.example$request_uri;")
    answer = fetch(site.stack, ANYONE, via="plain")
    assert (answer.status, answer.headers["location"]) == (301, f"https://elsewhere.example{ANYONE}")


def test_without_a_limit_of_the_site_a_huge_body_is_refused_before_it_is_read(site):
    site.use("client_max_body_size 0;")
    headers = {"Content-Length": str(10**12)}
    with open_stream(site.stack, ANYONE, method="POST", headers=headers, via="plain") as answer:
        assert answer.status == 413
    assert fetch(site.stack, ANYONE, method="POST", body=b"x" * 1000, via="plain").status == 405


def test_with_merge_slashes_off_a_path_with_two_slashes_belongs_to_the_site(site):
    site.use("merge_slashes off;")
    assert fetch(site.stack, "//api/sse/stream", via="plain").raw == b"the site"


def test_no_token_reaches_the_access_log_of_the_site(site):
    site.use("deny 127.0.0.9;")
    for path in (ANYONE + "?token=s3cr3t", "/api/v1/jobs/x/stream?token=s3cr3t", "/api/jobs/x/logs?token=s3cr3t"):
        with open_stream(site.stack, path, via="plain"):
            pass
    huge = fetch(site.stack, ANYONE + "?token=s3cr3t", method="POST", body=b"x" * 40_000, http="2")
    assert huge.status == 413
    fetch(site.stack, "/other", via="plain")
    wait_until(lambda: "/other" in site.stack.log_text("site-access"), 5, "the log is written")
    for name in ("site-access", "nginx-error", "nginx-access"):
        assert "s3cr3t" not in site.stack.log_text(name), name
