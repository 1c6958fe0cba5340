"""Modules of nginx that a site may have and that the rendered files do not know.  site.conf turns them off."""

import pytest

from support import routes
from support.clients import fetch, open_stream
from support.site import Site

MODULES = "/usr/lib/nginx/modules"
ANYONE = "/api/sse/stream"


@pytest.fixture(scope="module")
def site(stack_with):
    return Site(stack_with({"limits.streams": 0}))


def load(name):
    return f"load_module {MODULES}/ngx_http_{name}_module.so;"


def assert_unchanged_stream(site, job):
    stack = site.stack
    lines = routes.Lines(stack, job).create()
    headers = {**lines.headers(), "Accept-Encoding": "br, gzip"}
    with open_stream(stack, lines.path, headers=headers, via="plain") as stream:
        assert "content-encoding" not in stream.headers
        lines.write_number(7)
        event = stream.next_event()
        assert (event.name, lines.number_in(event)) == ("log", 7)


@pytest.mark.parametrize(
    "module, server, off",
    [
        ("brotli_filter", "brotli on; brotli_types *; brotli_min_length 20;", "brotli off;"),
        ("subs_filter", "subs_filter_types *; subs_filter log lag;", "subs_filter_types text/x-none;"),
    ],
)
def test_a_module_that_changes_streams_is_named_by_the_doctor_and_turned_off_in_site_conf(
    site, job, module, server, off
):
    site.use(server, head=load(module))
    status, output = site.doctor()
    assert status == 1 and f"Write `{off}` into {site.nginx_dir}/site.conf." in output
    with pytest.raises(AssertionError):
        assert_unchanged_stream(site, job + "-before")
    site.use(server, head=load(module), mine=off)
    assert site.doctor()[0] == 0
    assert_unchanged_stream(site, job)


def test_headers_of_more_set_headers_are_on_each_answer(site):
    site.use("more_set_headers 'Strict-Transport-Security: max-age=1';", head=load("headers_more_filter"))
    assert site.doctor()[0] == 0
    with open_stream(site.stack, ANYONE, via="plain") as stream:
        assert stream.headers["strict-transport-security"] == "max-age=1"
    for path in ("/api/jobs/x/logs", "/other"):
        assert fetch(site.stack, path, via="plain").headers["strict-transport-security"] == "max-age=1"
    site.use("more_set_headers 'Cache-Control: public';", head=load("headers_more_filter"))
    assert site.doctor()[0] == 1
