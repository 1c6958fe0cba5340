"""All routes with a job: which ids a job may have, and the 404 for all others."""

import uuid

import pytest

from support import routes
from support.clients import fetch
from support.routes import open_endpoint

with_record = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)


@with_record
@pytest.mark.parametrize(
    "make",
    [
        lambda: "a",
        lambda: "A.b_c-9." + uuid.uuid4().hex,
        lambda: (uuid.uuid4().hex * 4)[:128],
        lambda: "..." + uuid.uuid4().hex,
    ],
)
def test_a_job_id_may_have_letters_digits_dots_dashes_and_underscores(stack, kind, make):
    endpoint = kind(stack, make()).create()
    assert open_endpoint(endpoint).status == 200


@with_record
@pytest.mark.parametrize("bad", ["a" * 129, "a%20b", "a%2Fb", "a:b", "%C3%A9", "a*", "a,b", "a@b", "%0a"])
def test_any_other_job_id_gets_404_without_a_look_at_redis(stack, kind, bad):
    before = stack.metrics()["tailgate_record_looks_total"]
    endpoint = kind(stack, bad)
    answer = fetch(stack, endpoint.path, headers=endpoint.headers())
    assert answer.status == 404 and isinstance(answer.json(), dict)
    after = stack.metrics()["tailgate_record_looks_total"]
    assert after - before <= 3, "other streams cause one read a second"


@with_record
def test_an_unknown_job_and_another_users_job_get_the_same_404(stack, job, kind):
    foreign, unknown = kind(stack, job).create(user="bob"), kind(stack, job + "-unknown")
    answers = [fetch(stack, endpoint.path, headers=endpoint.headers()) for endpoint in (foreign, unknown)]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].raw == answers[1].raw

    def compared_headers(answer):
        return {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}

    assert compared_headers(answers[0]) == compared_headers(answers[1])
