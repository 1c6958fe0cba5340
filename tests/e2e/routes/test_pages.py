"""R4: the history of a log in pages."""

import threading

import pytest

from support.clients import fetch, open_stream
from support.publishers import Builder

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])
EMPTY = {"lines": [], "has_more": False, "oldest_id": None}


def page(stack, job, user="alice", via="tls", http="1.1", timeout=15, **params):
    path = f"/api/jobs/{job}/logs"
    return fetch(stack, path, headers=stack.bearer(user), params=params, via=via, http=http, timeout=timeout)


def ids_of(answer):
    return [line["id"] for line in answer.json()["lines"]]


@ways_in
def test_a_page_has_the_newest_lines_in_order(stack, job, http, via):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(5)
    answer = page(stack, job, http=http, via=via, limit=3)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    first = stack.redis.xrange(worker.log_key, ids[2], ids[2])[0][1]
    body = answer.json()
    assert list(body) == ["lines", "has_more", "oldest_id"]
    assert list(body["lines"][0]) == ["id", "ts", "source", "text", "phase"]
    assert body["lines"][0] == {"id": ids[2], **first}
    assert ids_of(answer) == ids[2:]
    assert (body["has_more"], body["oldest_id"]) == (True, ids[2])


def test_before_id_is_exclusive(stack, job):
    ids = Builder(stack.redis, job).create().log_many(10)
    answer = page(stack, job, limit=4, before_id=ids[5])
    assert ids_of(answer) == ids[1:5]
    assert answer.json()["oldest_id"] == ids[1]
    last = page(stack, job, limit=4, before_id=ids[1])
    assert ids_of(last) == ids[:1] and last.json()["has_more"] is False


def test_the_default_limit_is_100_and_the_highest_500(stack, job):
    ids = Builder(stack.redis, job).create().log_many(600)
    assert ids_of(page(stack, job)) == ids[-100:]
    assert ids_of(page(stack, job, limit=500)) == ids[-500:]
    assert ids_of(page(stack, job, limit=1)) == ids[-1:]


@pytest.mark.parametrize(
    "count, limit, more",
    [
        (100, 100, False),
        (101, 100, True),
        (3, 3, False),
        (4, 3, True),
        (500, 500, False),
        (127, 127, False),
        (128, 128, False),
        (129, 128, True),
        (256, 255, True),
    ],
)
def test_has_more_is_true_only_if_older_lines_exist(stack, job, count, limit, more):
    ids = Builder(stack.redis, job).create().log_many(count)
    answer = page(stack, job, limit=limit)
    assert ids_of(answer) == ids[-limit:]
    assert answer.json()["has_more"] is more


def test_a_page_without_entries_is_empty(stack, job):
    worker = Builder(stack.redis, job).create()
    assert page(stack, job).json() == EMPTY
    entry = worker.log("one")
    assert page(stack, job, before_id="0-0").json() == EMPTY
    assert page(stack, job, before_id=entry).json() == EMPTY
    stack.redis.xtrim(worker.log_key, maxlen=0, approximate=False)
    assert page(stack, job).json() == EMPTY


@pytest.mark.parametrize("before", ["18446744073709551615-18446744073709551615", "9999999999999-0", "0-1", "1-0"])
def test_before_id_need_not_be_the_id_of_an_entry(stack, job, before):
    ids = Builder(stack.redis, job).create().log_many(3)
    assert ids_of(page(stack, job, before_id=before)) == (ids if before.startswith(("18", "99")) else [])


def test_before_id_distinguishes_entries_of_one_millisecond(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = [stack.redis.xadd(worker.log_key, {"text": str(n)}, id=f"5-{n}") for n in range(1, 8)]
    assert ids_of(page(stack, job, limit=2, before_id="5-4")) == ids[1:3]
    ids.append(stack.redis.xadd(worker.log_key, {"text": "8"}, id="6-0"))
    assert ids_of(page(stack, job, limit=2, before_id="6-0")) == ids[5:7]


@pytest.mark.parametrize(
    "limit", ["0", "-1", "501", "", "ten", "1.5", "1e2", "+5", " 5", "5 ", "0x10", "99999999999999999999", "１"]
)
def test_an_invalid_limit_gets_422_with_its_name(stack, job, limit):
    Builder(stack.redis, job).create()
    answer = page(stack, job, limit=limit)
    assert answer.status == 422 and "limit" in answer.json()["detail"]


@pytest.mark.parametrize(
    "before", ["", "5", "5-", "-5", "a-b", "1-1-1", "+", "-", "(1-1", "$", "1-18446744073709551616", " 1-1", "1-1\n"]
)
def test_an_invalid_before_id_gets_422_with_its_name(stack, job, before):
    Builder(stack.redis, job).create()
    answer = page(stack, job, before_id=before)
    assert answer.status == 422 and "before_id" in answer.json()["detail"]


def test_a_missing_field_of_an_entry_is_null(stack, job):
    worker = Builder(stack.redis, job).create()
    entry = stack.redis.xadd(worker.log_key, {"text": "only this", "more": "left out"})
    line = {"id": entry, "ts": None, "source": None, "text": "only this", "phase": None}
    assert page(stack, job).json()["lines"] == [line]


def test_a_page_is_valid_json_with_any_text(stack, job):
    worker = Builder(stack.redis, job).create()
    texts = ['q"\\', "two\nlines\r\n", "\0\x1b[0m", "\u2028 ü \U0001f680"]
    for text in texts:
        worker.log(text)
    stack.redis.xadd(worker.log_key, {"text": b"caf\xe9"})
    answer = page(stack, job)
    answer.raw.decode("utf-8", "strict")
    assert [line["text"] for line in answer.json()["lines"]] == [*texts, "caf\ufffd"]


@ways_in
def test_head_gets_the_headers_of_a_page_without_its_body(stack, job, http, via):
    Builder(stack.redis, job).create().log_many(5)
    path, headers = f"/api/jobs/{job}/logs", stack.bearer()
    head = fetch(stack, path, headers=headers, method="HEAD", http=http, via=via)
    got = fetch(stack, path, headers=headers, http=http, via=via)
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers.get("content-length", str(len(got.raw))) == str(len(got.raw))


def test_a_request_id_is_echoed(stack, job):
    Builder(stack.redis, job).create()
    headers = {**stack.bearer(), "X-Request-ID": "page-1"}
    assert fetch(stack, f"/api/jobs/{job}/logs", headers=headers).headers["x-request-id"] == "page-1"


def test_a_page_stops_at_eight_megabytes_with_has_more(stack, job):
    worker = Builder(stack.redis, job).create()
    ids = [worker.log(f"{number:02}" + "B" * 1_000_000) for number in range(20)]
    answer = page(stack, job, limit=500)
    assert 6_500_000 < len(answer.raw) <= 8 * 1024 * 1024 + 2000
    body = answer.json()
    assert body["has_more"] is True and ids_of(answer) == ids[-len(body["lines"]) :]
    seen = ids_of(answer)
    while body["has_more"]:
        answer = page(stack, job, limit=500, before_id=body["oldest_id"])
        body = answer.json()
        seen = ids_of(answer) + seen
    assert seen == ids


def test_a_line_larger_than_a_page_is_sent_as_one_page(stack, job):
    worker = Builder(stack.redis, job).create()
    worker.log("small")
    worker.log("C" * 9_000_000)
    answer = page(stack, job)
    assert [len(line["text"]) for line in answer.json()["lines"]] == [9_000_000]
    assert answer.json()["has_more"] is True
    assert page(stack, job, before_id=answer.json()["oldest_id"]).json()["lines"][0]["text"] == "small"


def test_an_unknown_job_and_another_users_job_get_the_same_404(stack, job):
    Builder(stack.redis, job, user="bob").create().log_many(3)
    foreign, unknown = page(stack, job), page(stack, job + "-x")
    assert (foreign.status, unknown.status) == (404, 404)
    assert foreign.json() == unknown.json() == {"detail": "Job not found"}


def test_a_record_of_the_wrong_type_gets_404_and_a_log_of_the_wrong_type_500(stack, job):
    stack.redis.set(f"job:{job}-r", "no hash")
    assert page(stack, job + "-r").status == 404
    worker = Builder(stack.redis, job).create()
    stack.redis.set(worker.log_key, "no stream")
    answer = page(stack, job)
    assert answer.status == 500 and isinstance(answer.json()["detail"], str)
    assert any(worker.log_key in str(line) for line in stack.logs() if line["level"] == "error")


def test_an_ended_job_still_has_its_pages(stack, job):
    worker = Builder(stack.redis, job).create("ready")
    ids = worker.log_many(3)
    assert ids_of(page(stack, job)) == ids


@pytest.mark.parametrize("limit", [1, 7, 100, 500])
def test_paging_back_gives_every_line_once(stack, job, limit):
    count = 25 if limit == 1 else 730
    ids = Builder(stack.redis, job).create().log_many(count)
    seen, before = [], None
    while True:
        body = page(stack, job, limit=limit, **({"before_id": before} if before else {})).json()
        seen = [line["id"] for line in body["lines"]] + seen
        before = body["oldest_id"]
        if not body["has_more"]:
            break
    assert seen == ids


@pytest.mark.parametrize("already", [0, 350])
def test_pages_and_the_live_stream_together_give_every_line_exactly_once(stack, job, already):
    worker = Builder(stack.redis, job).create()
    ids = worker.log_many(already) if already else []

    def write():
        for _ in range(40):
            ids.extend(worker.log_many(10))
        worker.write_status("ready")

    writer = threading.Thread(target=write)
    first = page(stack, job).json()
    writer.start()
    newest = first["lines"][-1]["id"] if first["lines"] else "0-0"
    params = {"last_event_id": newest}
    stream = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer(), params=params)
    seen, body = [line["id"] for line in first["lines"]], first
    while body["has_more"]:
        body = page(stack, job, before_id=body["oldest_id"]).json()
        seen = [line["id"] for line in body["lines"]] + seen
    events = stream.rest(timeout=20)
    writer.join()
    assert {event.name for event in events} <= {"log", "done", "heartbeat"}
    assert seen + [event.last_id for event in events if event.name == "log"] == ids
