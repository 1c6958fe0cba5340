"""The EventSource of a real browser, through nginx with TLS and HTTP/2."""

import json

import pytest

from support.application import Application
from support.browser import Browser, EventSource
from support.clients import open_stream
from support.publishers import Blog, Builder, Spools
from support.waiting import wait_until

RETRY_MS = 200
SETTINGS = {
    "drain.settle_s": 0.1,
    "drain.deadline_s": 2,
    **{f"route.{name}.retry_ms": RETRY_MS for name in ("job", "spools", "log-stream")},
    # A script cannot set the headers of an EventSource, so here the log stream also accepts a token in the query.
    "route.log-stream.credentials": ["bearer", "query:token"],
}
BLOG_EVENTS = ("connected", "progress-update", "complete", "failed", "unavailable", "stream-timeout")
# Seconds.  A draining gateway sends each client a `retry:` of up to 15 s.
RECONNECTED_WITHIN = 30


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def site(browser, private_stack, tmp_path):
    """site(settings) returns (a stack, a page of the application behind it)."""
    opened = []

    def start(settings=None):
        application = Application(tmp_path / "application.sock")
        opened.append(application)
        application.answers["/app"] = (200, {"page": "of the application"})
        stack = private_stack({**SETTINGS, **(settings or {})}, application=application.url)
        page = browser.page(stack.base_url + "/app")
        opened.append(page)
        return stack, page

    yield start
    for thing in reversed(opened):
        thing.close()


def blog_path(stack, job, user):
    return f"/api/v1/jobs/{job}/stream?token={stack.token('blog', user)}"


def assert_no_reconnect(page, source):
    """Checks that the EventSource is closed and makes no request in the time of five reconnects."""
    source.wait_state(EventSource.CLOSED)
    before = len(page.requests)
    page.run(f"new Promise(done => setTimeout(done, {5 * RETRY_MS}))")
    assert len(page.requests) == before
    assert source.state == EventSource.CLOSED


@pytest.mark.parametrize("who", ["user", "session"])
def test_an_event_source_follows_a_job_to_its_end_and_does_not_reconnect(site, job, who):
    stack, page = site()
    if who == "user":
        worker = Blog(stack.redis, job, user="alice").create()
        path = blog_path(stack, job, "alice")
    else:
        worker = Blog(stack.redis, job, session="some-session").create()
        path = f"/api/v1/jobs/{job}/stream?sessionId=some-session"
    source = page.event_source(path, *BLOG_EVENTS)
    source.wait_events(2)
    worker.progress(40, "Schreibt Überschriften", 12)
    source.wait_events(3)
    worker.complete({"title": "Grüße\nan alle"})
    source.wait_event("complete")
    assert_no_reconnect(page, source)

    assert source.names == ["connected", "progress-update", "progress-update", "complete"]
    data = [json.loads(event["data"]) for event in source.events]
    assert data[0]["jobId"] == job
    assert data[1] == {"progress": 0, "currentStep": None, "estimatedTimeRemaining": None}
    assert data[2] == {"progress": 40, "currentStep": "Schreibt Überschriften", "estimatedTimeRemaining": 12}
    assert data[3] == {"result": {"title": "Grüße\nan alle"}}
    assert [request["status"] for request in page.requests] == [200, 204]
    assert page.requests[1]["headers"]["last-event-id"] == "end"


def test_an_event_source_with_a_forged_token_is_closed_at_once(site, job):
    stack, page = site()
    Blog(stack.redis, job, user="alice").create()
    forged = stack.token("blog", "alice", broken="signature")
    source = page.event_source(f"/api/v1/jobs/{job}/stream?token={forged}", *BLOG_EVENTS)
    assert_no_reconnect(page, source)
    assert (source.opened, source.events) == (0, [])
    assert [request["status"] for request in page.requests] == [401]


@pytest.mark.parametrize("kill", [False, True], ids=["with a drain", "by a kill"])
def test_an_event_source_reconnects_after_a_restart_of_the_gateway(site, job, kill):
    stack, page = site()
    worker = Blog(stack.redis, job, user="alice").create()
    path = blog_path(stack, job, "alice")
    # Several, because the `retry:` of each is random and the first one should reconnect soon.
    sources = [page.event_source(path, *BLOG_EVENTS) for _ in range(4)]
    for source in sources:
        source.wait_events(2)
    worker.progress(10, "before")
    for source in sources:
        source.wait_events(3)
    stack.restart("gateway", kill=kill)
    source = wait_until(
        lambda: next((one for one in sources if one.names.count("connected") == 2), None),
        RECONNECTED_WITHIN,
        "an EventSource is connected again",
    )
    # The new connection begins with the progress of the job, so it makes up for missed events.
    again = source.names.index("connected", 1)
    standing = source.wait_events(again + 2)[again + 1]
    assert (standing["name"], json.loads(standing["data"])["currentStep"]) == ("progress-update", "before")
    worker.progress(90, "after")
    wait_until(lambda: json.loads(source.events[-1]["data"]).get("currentStep") == "after", 5, "the stream continues")
    assert all(EventSource.CLOSED not in one.errors for one in sources)
    worker.complete({"posts": 3})
    source.wait_event("complete")
    source.wait_state(EventSource.CLOSED)


def test_an_event_source_gets_spool_updates_with_their_timestamps_as_ids(site):
    stack, page = site()
    source = page.event_source("/api/sse/stream", "spool_update")
    source.wait_opened(1)
    stack.wait_subscribed(Spools.CHANNEL)
    spools = Spools(stack.redis)
    payloads = [
        spools.update("TOMAR", "MK-1", "2026-01-19T10:00:00.000001+00:00"),
        spools.update("PAUSAR", "MK-2 “ñ”", "2026-01-19T10:00:01.000002+00:00"),
        spools.update("STATE_CHANGE", "MK-3", "2026-01-19T10:00:02.000003+00:00"),
    ]
    events = source.wait_events(3)
    assert [event["name"] for event in events] == ["spool_update"] * 3
    assert [event["data"] for event in events] == payloads
    assert [event["last_id"] for event in events] == [json.loads(payload)["timestamp"] for payload in payloads]


def test_an_event_source_gets_each_log_line_once_over_three_cuts(site, job):
    stack, page = site()
    worker = Builder(stack.redis, job).create("building")
    ids = worker.log_many(300, "from the beginning")
    token = stack.token("builder", "alice")
    source = page.event_source(f"/api/jobs/{job}/logs/stream?token={token}&last_event_id=0-0", "log", "gap", "done")
    source.wait_events(len(ids))
    for number in range(3):
        ids += worker.log_many(200, f"before cut {number}")  # in transmission when the stream is cut
        stack.restart("nginx", kill=True)
        ids += worker.log_many(50, f"after cut {number}")
        source.wait_events(len(ids), RECONNECTED_WITHIN)
    worker.move("ready", "Done")
    source.wait_event("done")
    assert_no_reconnect(page, source)
    assert source.names == ["log"] * len(ids) + ["done"]
    logged = source.events[:-1]
    assert [event["last_id"] for event in logged] == ids
    assert [json.loads(event["data"])["id"] for event in logged] == ids
    assert EventSource.CLOSED not in source.errors[:-1]
    assert page.requests[-1]["status"] == 204 and page.requests[-1]["headers"]["last-event-id"] == f"end.{ids[-1]}"


def test_an_event_source_over_the_limit_connects_after_another_stream_ends(site, job):
    stack, page = site({"limits.streams_per_user": 1})
    Blog(stack.redis, job, user="alice").create()
    path = blog_path(stack, job, "alice")
    held = open_stream(stack, path)
    assert held.next_event().name == "connected"
    # Several, because the `retry:` of each is random and the first one should reconnect soon.
    sources = [page.event_source(path, *BLOG_EVENTS) for _ in range(4)]
    for source in sources:
        assert json.loads(source.wait_event("unavailable")["data"]) == {"reason": "limit"}
    held.close()
    wait_until(
        lambda: any("connected" in source.names for source in sources),
        RECONNECTED_WITHIN,
        "an EventSource is connected",
    )
    assert all(source.state != EventSource.CLOSED and EventSource.CLOSED not in source.errors for source in sources)
    # Each `unavailable` answer stays open for at least 10 s, so there are few requests.
    assert len(page.requests) <= 2 * len(sources)
