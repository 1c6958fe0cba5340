"""The rules about access that the including server block has: they hold for the routes as for any other location."""

import base64
import json
import re

import pytest

from support.clients import fetch, open_stream
from support.publishers import Blog, Builder
from support.site import Site, challenges

ANYONE = "/api/sse/stream"


@pytest.fixture(scope="module")
def site(stack_with):
    return Site(stack_with({"limits.streams": 0}))


@pytest.fixture
def staging(site):
    """auth_basic in the server block."""
    return f'auth_basic "staging"; auth_basic_user_file {site.file_of_passwords()};'


def password(word="secret"):
    return {"Authorization": "Basic " + base64.b64encode(f"alice:{word}".encode()).decode()}


def cookie(stack, subject="42"):
    return {"Cookie": "accessToken=" + stack.token("blog", subject)}


def blog_job(stack, job):
    """The path of a stream that ends at once for its owner, the user 42."""
    Blog(stack.redis, job, user="42").create().complete({"n": 1})
    return f"/api/v1/jobs/{job}/stream"


def ask(site, path, **more):
    return fetch(site.stack, path, via="plain", **more)


def status_of(site, path, **more):
    with open_stream(site.stack, path, via="plain", **more) as answer:
        return answer.status


# ---- auth_basic -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [ANYONE, "/api/jobs/x/stream", "/api/jobs/x/logs", "/api/jobs/x/logs/stream", "/api/v1/jobs/x/stream"]
)
def test_auth_basic_of_the_site_answers_every_route_with_one_401_and_the_challenge_of_the_site(site, staging, path):
    site.use(staging)
    for headers in ({}, password("wrong")):
        answer = ask(site, path, headers=headers)
        assert answer.status == 401
        assert challenges(answer) == ['Basic realm="staging"']
    answer = ask(site, path, headers=site.stack.bearer())
    assert (answer.status, challenges(answer)) == (401, ['Basic realm="staging"'])


def test_with_the_password_of_the_site_a_route_for_anyone_is_open(site, staging):
    site.use(staging)
    assert status_of(site, ANYONE, headers=password()) == 200


def test_with_the_password_of_the_site_the_token_decides(site, staging, job):
    site.use(staging)
    path = blog_job(site.stack, job)
    good = ask(site, path, headers={**password(), **cookie(site.stack)})
    assert good.status == 200 and b"event: complete" in good.raw
    none = ask(site, path, headers=password())
    assert none.status == 401
    assert len(challenges(none)) == 1 and "Basic" not in challenges(none)[0]
    assert ask(site, path, headers={**password(), **cookie(site.stack, "43")}).status == 404


def test_auth_basic_of_the_http_block_does_not_stop_the_requests_of_nginx_itself(site, staging):
    site.use(http=staging)
    answer = ask(site, ANYONE)
    assert (answer.status, challenges(answer)) == (401, ['Basic realm="staging"'])
    assert status_of(site, ANYONE, headers=password()) == 200
    huge = ask(site, "/api/jobs/x/logs", headers={**password(), "X-Large": "x" * 50_000})
    assert (huge.status, huge.json()) == (431, {"detail": "Header too large"})


# ---- allow, deny, satisfy -------------------------------------------------------------------------------


def test_deny_of_the_site_gives_403_on_every_route(site, job):
    site.use("deny all;")
    path = blog_job(site.stack, job)
    for route, headers in ((ANYONE, {}), (path, cookie(site.stack)), (path, {}), ("/api/jobs/x/logs", {})):
        answer = ask(site, route, headers=headers)
        assert (answer.status, challenges(answer)) == (403, [])


def test_allow_of_the_site_opens_the_routes_to_a_network(site, job):
    site.use("allow 127.0.0.0/8; deny all;")
    assert status_of(site, ANYONE) == 200
    assert b"event: complete" in ask(site, blog_job(site.stack, job), headers=cookie(site.stack)).raw
    assert ask(site, "/api/jobs/x/logs").status == 401


def test_with_satisfy_any_a_permitted_network_needs_the_token_but_no_password(site, staging, job):
    site.use(f"satisfy any; allow 127.0.0.0/8; deny all; {staging}")
    path = blog_job(site.stack, job)
    assert b"event: complete" in ask(site, path, headers=cookie(site.stack)).raw
    page = f"/api/jobs/{job}/logs"
    Builder(site.stack.redis, job).create().log("a")
    assert len(ask(site, page, headers=site.stack.bearer()).json()["lines"]) == 1
    for headers in ({}, site.stack.bearer(broken="signature")):
        refused = ask(site, page, headers=headers)
        assert refused.status == 401
        assert len(challenges(refused)) == 1 and "Basic" not in challenges(refused)[0]
    assert status_of(site, ANYONE) == 200


def test_with_satisfy_any_a_token_does_not_replace_the_password_of_the_site(site, staging, job):
    site.use(f"satisfy any; deny 127.0.0.0/8; {staging}")
    path = blog_job(site.stack, job)
    for headers in ({}, cookie(site.stack)):
        answer = ask(site, path, headers=headers)
        assert (answer.status, challenges(answer)) == (401, ['Basic realm="staging"'])
    assert b"event: complete" in ask(site, path, headers={**cookie(site.stack), **password()}).raw
    assert status_of(site, ANYONE) == 401
    assert status_of(site, ANYONE, headers=password()) == 200


def test_with_satisfy_all_network_and_password_are_both_needed(site, staging):
    site.use(f"allow 127.0.0.0/8; deny all; {staging}")
    assert status_of(site, ANYONE) == 401
    assert status_of(site, ANYONE, headers=password()) == 200
    site.use(f"deny all; {staging}")
    assert status_of(site, ANYONE, headers=password()) == 403


def test_an_auth_request_of_the_site_is_asked_before_that_of_tailgate(site, job):
    site.use(
        "auth_request /site-auth;",
        before="location = /site-auth { internal; if ($http_x_site = yes) { return 204; } return 401; }",
    )
    path = blog_job(site.stack, job)
    for route in (ANYONE, path):
        refused = ask(site, route, headers=cookie(site.stack))
        assert (refused.status, challenges(refused)) == (401, [])
    assert status_of(site, ANYONE, headers={"X-Site": "yes"}) == 200
    assert b"event: complete" in ask(site, path, headers={"X-Site": "yes", **cookie(site.stack)}).raw
    assert ask(site, path, headers={"X-Site": "yes"}).status == 401


# ---- limits, error pages --------------------------------------------------------------------------------


def test_limit_req_of_the_site_counts_a_request_of_a_route_once(site, job):
    zone = "limit_req_zone $server_name zone=r{}:32k rate=1r/m;"
    # Each round has its own zone, because nginx keeps the counts of a zone when it reloads.
    for number, path in enumerate((ANYONE, f"/api/jobs/{job}/logs")):
        site.use(f"limit_req zone=r{number} burst=1 nodelay;", http=zone.format(number))
        statuses = [status_of(site, path) for _ in range(3)]
        assert statuses[:2] == ([200, 200] if path == ANYONE else [401, 401])
        assert statuses[2] == 503


def test_limit_req_of_the_http_block_does_not_limit_the_requests_of_nginx_itself(site):
    # The key is the scheme, which is the same for the requests of clients and those of nginx itself.
    site.use(http="limit_req_zone $scheme zone=h:32k rate=1r/m; limit_req zone=h burst=9 nodelay;")
    huge = [ask(site, "/api/jobs/x/logs", headers={"X-Large": "x" * 50_000}) for _ in range(8)]
    assert {answer.status for answer in huge} == {431}
    assert {json.dumps(answer.json()) for answer in huge} == {'{"detail": "Header too large"}'}


def test_the_rules_of_the_site_hold_for_clients_that_the_canary_sends_to_the_application(site, staging):
    canary = site.nginx_dir / "canary.conf"
    text = canary.read_text()
    try:
        canary.write_text(re.sub(r"(?m)\{ 100% tailgate; \* application; \}$", "{ * application; }", text))
        limit = "limit_req zone=a burst=1 nodelay;"
        site.use(staging + limit, http="limit_req_zone $server_name zone=a:32k rate=1r/m;")
        refused = ask(site, ANYONE)
        assert (refused.status, challenges(refused)) == (401, ['Basic realm="staging"'])
        # This stack has no application.
        assert ask(site, ANYONE, headers=password()).json() == {"detail": "Not Found"}
        assert ask(site, ANYONE, headers=password()).status == 503
    finally:
        canary.write_text(text)


def test_limit_conn_of_the_site_counts_open_streams(site):
    site.use("limit_conn c 2;", http="limit_conn_zone $server_name zone=c:32k;")
    with open_stream(site.stack, ANYONE, via="plain"), open_stream(site.stack, ANYONE, via="plain"):
        assert status_of(site, ANYONE) == 503


def test_error_pages_of_the_site_replace_its_own_answers_and_none_of_tailgate(site, staging, job):
    pages = "error_page 400 401 403 404 405 422 500 502 503 504 /page; proxy_intercept_errors on;"
    site.use(pages)
    assert ask(site, "/api/jobs/x/logs").json() == {"detail": ask(site, "/api/jobs/x/logs").json()["detail"]}
    Builder(site.stack.redis, job).create()
    bearer = site.stack.bearer()
    assert ask(site, "/api/jobs/none/logs", headers=bearer).json() == {"detail": "Job not found"}
    assert ask(site, f"/api/jobs/{job}/logs?limit=0", headers=bearer).status == 422
    assert "detail" in ask(site, f"/api/jobs/{job}/logs?limit=0", headers=bearer).json()
    assert "detail" in ask(site, ANYONE, method="POST").json()
    site.use(f"{pages} deny all;", before="location = /deny { deny all; }")
    for path in (ANYONE, "/deny"):
        answer = ask(site, path)
        assert answer.status == 403
    site.use(f"error_page 403 /page; {staging}")
    assert ask(site, ANYONE).status == 401
