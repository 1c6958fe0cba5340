"""Requests with invalid parameters get 422 and a sentence that names the parameter."""

import pytest

from support.bad_input import PATHS, assert_body_of, bearer_of
from support.clients import fetch, open_stream, sealed
from support.publishers import Blog, Builder


@pytest.mark.parametrize("name, value", [
    ("limit", "0"), ("limit", "501"), ("limit", "-1"), ("limit", "1e2"), ("limit", "10%20"), ("limit", "%0d%0a1"), ("limit", "1%00"),
    ("limit", "99999999999999999999"), ("limit", "0x10"), ("limit", ""),
    ("before_id", "5"), ("before_id", "-"), ("before_id", "(5-1"), ("before_id", "5-1%0d%0aX-Evil: 1"), ("before_id", "$"), ("before_id", "+"),
    ("before_id", "18446744073709551616-0"), ("before_id", "5-1-1"), ("before_id", "5-1%00"),
    ("limit", "5&limit=6"), ("before_id", "5-1&before_id=5-1"),
])  # fmt: skip
@pytest.mark.parametrize("via", ["tls", "gateway"])
def test_an_invalid_page_parameter_gets_422_with_its_name(stack, job, name, value, via):
    Builder(stack.redis, job).create()
    path = PATHS["log-pages"].format(job)
    headers = sealed(stack, path, stack.bearer()) if via == "gateway" else stack.bearer()
    answer = fetch(stack, f"{path}?{name}={value}".replace(" ", "%20"), headers=headers, via=via)
    assert answer.status == 422
    assert assert_body_of("log-pages", answer).startswith(name)
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "5",
        "$",
        "0",
        "5-",
        "-5",
        "5-1%0a",
        "end.5",
        "end.5-x",
        "5-1%0d%0aevent:%20done",
        "",
    ],
)
def test_an_invalid_last_event_id_parameter_gets_422_with_its_name(stack, job, value):
    Builder(stack.redis, job).create()
    answer = fetch(stack, f"{PATHS['log-stream'].format(job)}?last_event_id={value}", headers=stack.bearer())
    assert answer.status == 422
    assert assert_body_of("log-stream", answer).startswith("last_event_id")


@pytest.mark.parametrize("query", ["limit=%", "limit=%z1", "%=1", "limit=5&x=%"])
def test_a_query_that_cannot_be_decoded_gets_422(stack, job, query):
    Builder(stack.redis, job).create()
    answer = fetch(stack, f"{PATHS['log-pages'].format(job)}?{query}", headers=stack.bearer())
    assert answer.status == 422
    assert_body_of("log-pages", answer)


@pytest.mark.parametrize("query", ["", "&", "=", "&&=&", "a", "a=b=c", "?", "limit", "x=%", "%00", "a=" + "b" * 4000])
def test_a_route_without_parameters_ignores_the_query(stack, job, query):
    Builder(stack.redis, job).create()
    for path, headers in ((PATHS["status"].format(job), stack.bearer()), (PATHS["spools"], {})):
        with open_stream(stack, f"{path}?{query}", headers=headers) as stream:
            assert (path, stream.status) == (path, 200)


@pytest.mark.parametrize("route", ["events", "status", "spools", "job"])
@pytest.mark.parametrize("text", ["x", "1-1", "\u00e9", "a" * 4000, "end.", "end.x", " ", "-1"])
def test_a_malformed_last_event_id_header_is_ignored(stack, job, route, text):
    Builder(stack.redis, job).create()
    Blog(stack.redis, job, "alice").create("running")
    headers = {**bearer_of(stack, route), "Last-Event-ID": text}
    with open_stream(stack, PATHS[route].format(job), headers=headers) as stream:
        assert stream.status == 200
