"""Rules that the site has in its http block do not reach the servers of http.conf, which only nginx itself uses."""

import os
import re
import signal

import pytest

from support import routes
from support.clients import fetch, open_stream
from support.nginx_system import Application
from support.site import DISTURBING, Site
from support.stack import ROOT
from support.waiting import wait_until

ORIGIN = "https://app.example.com"
STREAM = "/api/v1/jobs/{}/stream"
MIRROR = "location = /mirror { internal; return 204; }"


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """An application that tells the status of a job to its owner only."""
    server = Application(tmp_path_factory.mktemp("application") / "a.sock")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def asking(stack_with, application):
    """A site with a gateway that asks the application who may see a job."""
    config = ROOT / "deploy/blog-application.toml"
    return Site(stack_with(config=config, application=f"unix:{application.server_address}"))


@pytest.fixture(scope="module")
def dead(stack_with):
    """A site whose gateway was killed."""
    stack = stack_with({"cors.origins": [ORIGIN], "limits.streams": 1})
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_until(lambda: fetch(stack, STREAM.format("x"), via="plain").status == 503, 10, "nginx answers by itself")
    return Site(stack)


def only_for_the_owner(headers):
    user = headers.get("cookie", "")
    if "user=owner" in user:
        return 200, {"status": "succeeded", "result": {"text": "data"}}
    return (404, {}) if user else (401, {})


@pytest.mark.parametrize("name", DISTURBING)
def test_an_application_behind_a_site_with_this_directive_is_asked_for_each_caller(asking, application, job, name):
    application.answers[f"/api/v1/jobs/{job}/status"] = only_for_the_owner
    application.asked.clear()
    asking.use(http=DISTURBING[name], before=MIRROR)
    for _ in range(2):
        for cookie, status in (({"Cookie": "user=owner"}, 200), ({"Cookie": "user=mallory"}, 404), ({}, 401)):
            answer = fetch(asking.stack, STREAM.format(job), headers=cookie, via="plain")
            assert answer.status == status, cookie
            if status == 200:
                assert b"event: complete\n" in answer.raw and b'"text": "data"' in answer.raw
    assert set(application.asked) == {f"/api/v1/jobs/{job}/status"}


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTURBING)
def test_a_directive_of_the_http_block_does_not_change_the_answers_that_nginx_gives_by_itself(dead, name):
    dead.use(http=DISTURBING[name], before=MIRROR)
    native = {"Accept": "text/event-stream", "Accept-Encoding": "gzip", "Origin": ORIGIN}
    with open_stream(dead.stack, "/api/sse/stream", headers=native, via="plain") as answer:
        assert answer.status == 200
        event = answer.next_event(timeout=5)
        assert (event.name, event.json()) == ("unavailable", {"reason": "down"})
        assert answer.raw.startswith(b"retry: ")
        assert answer.headers["content-type"] == "text/event-stream"
        assert_own_headers(answer)
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    for path, method, headers, status in (
        ("/api/jobs/x/logs", "GET", native, 503),
        ("/api/jobs/x/logs", "POST", native, 405),
        ("/api/jobs/x/logs", "OPTIONS", preflight, 204),
    ):
        answer = fetch(dead.stack, path, method=method, headers=headers, via="plain")
        assert answer.status == status
        assert_own_headers(answer)
        if status != 204:
            assert set(answer.json()) == {"detail"}


def assert_own_headers(answer):
    names = [name.lower() for name, _ in answer.header_list if name.lower() != "set-cookie"]
    assert len(names) == len(set(names)), names
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "expires" not in names and "content-encoding" not in names
    assert sum(name.lower() == "set-cookie" for name, _ in answer.header_list) <= 1


def test_a_client_that_the_canary_sends_to_the_application_passes_the_rules_of_the_site_once(asking):
    log = asking.stack.dir / "site-auth.log"
    canary = asking.nginx_dir / "canary.conf"
    text = canary.read_text()
    rule = f"location = /site-auth {{ internal; log_subrequest on; access_log {log}; return 204; }}"
    try:
        canary.write_text(re.sub(r"(?m)\{ 100% tailgate; \* application; \}$", "{ * application; }", text))
        asking.use("auth_request /site-auth;", before=rule)
        for _ in range(3):
            assert fetch(asking.stack, STREAM.format("x"), via="plain").headers["x-application"] == "yes"
        assert log.read_text().count("\n") == 3
    finally:
        canary.write_text(text)


def test_the_redis_leg_does_not_inherit_the_rules_of_the_site_for_its_stream_block(private_stack):
    stack = private_stack(redis_tls=True)
    Site(stack).use_in_stream(
        'limit_conn_zone "x" zone=x:32k; limit_conn x 1; allow 192.0.2.1; deny all; proxy_protocol on;'
        " proxy_download_rate 1; proxy_upload_rate 1; proxy_ssl_protocols TLSv1; proxy_ssl_ciphers NULL; tcp_nodelay off;"
    )
    stack.restart("gateway")
    updates = routes.Updates(stack, "x")
    with routes.open_live_stream(updates) as stream:
        updates.write_number(1)
        assert updates.number_in(stream.next_event()) == 1
