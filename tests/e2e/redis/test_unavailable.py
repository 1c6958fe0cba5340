"""The answers that a client gets while it cannot be served, and the events that open streams get after a Redis loss."""

import json
import os
import signal
import time

import pytest
import redis

from support import routes
from support.clients import NotReceived, fetch, open_stream, sealed, send
from support.publishers import Builder, Spools
from support.routes import open_live_stream
from support.waiting import wait_until

EVENT_SOURCE = {"Accept": "text/event-stream"}
WAIT = 0.6
BEAT = 0.3
QUICK = {
    "redis.wait_s": WAIT,
    "redis.probe_every_s": 0.5,
    **{f"route.{name}.heartbeat.every_s": BEAT for name in ("events", "status", "log-stream", "spools", "job")},
    # Large, so that a stream is not closed as slow if a test reads it late.
    **{f"route.{name}.backlog_bytes": 4_000_000 for name in ("events", "status", "log-stream", "spools", "job")},
}
PAGES = "/api/jobs/{}/logs"
PATHS = [
    "/api/jobs/{}/events/stream",
    "/api/jobs/{}/stream",
    "/api/jobs/{}/logs/stream",
    PAGES,
    "/api/sse/stream",
    "/api/v1/jobs/{}/stream",
]

with_record = pytest.mark.parametrize("kind", routes.WITH_RECORD, ids=lambda kind: kind.route)
with_resync = pytest.mark.parametrize(
    "kind", [routes.Events, routes.Status, routes.Updates], ids=lambda kind: kind.route
)


def headers_for(stack, path):
    return {} if "sse" in path else stack.bearer("alice", "blog" if "/v1/" in path else "builder")


def assert_unavailable(answer, reason, retry=3000):
    """Checks the answer for an EventSource: status 200, one event, and the stream stays open."""
    assert answer.status == 200, (answer.status, answer.raw)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    event = answer.next_event()
    assert (event.name, event.json(), event.last_id) == ("unavailable", {"reason": reason}, "")
    assert answer.retry == retry and answer.blocks[0] == f"retry: {retry}"
    answer.pump(0.2)
    assert answer.ended is None
    assert [event.name for event in answer.events if event.name != "heartbeat"] == ["unavailable"]


def assert_refused(answer, status=503, blog=False):
    assert answer.status == status, (answer.status, answer.raw)
    assert answer.headers["content-type"] == "application/json"
    assert 1 <= int(answer.headers["retry-after"]) <= 30
    body = answer.json()
    if blog:
        assert set(body) == {"success", "error", "message"} and body["success"] is False
    else:
        assert set(body) == {"detail"}


def kill_redis(stack):
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: stack.metrics()['tailgate_redis_up{link="records"}'] == 0, 5, "the loss is noticed")


def restart_redis(stack):
    stack.restart("redis")
    wait_up(stack)


def wait_up(stack):
    links = ("subscriber", "records", "logs", "pages")
    wait_until(
        lambda: all(stack.metrics()[f'tailgate_redis_up{{link="{link}"}}'] for link in links), 8, "Redis is back"
    )


def wait_lost(stack, link, before):
    name = f'tailgate_redis_lost_total{{link="{link}"}}'
    wait_until(lambda: stack.metrics()[name] > before, 8, f"the loss of {link} is noticed")


def loss_count(stack, link):
    return stack.metrics()[f'tailgate_redis_lost_total{{link="{link}"}}']


@pytest.fixture(scope="module")
def file_stack(stack_with):
    return stack_with(QUICK, redis_conf=["enable-debug-command yes"])


@pytest.fixture
def own_stack(file_stack):
    """A stack of this file, whose Redis the tests may stop or restart.  When a test begins, Redis is up."""
    wait_up(file_stack)
    return file_stack


@pytest.fixture(scope="module")
def redis_down(stack_with):
    """A stack whose Redis was killed."""
    stack = stack_with({**QUICK, "redis.connect_timeout_s": 1})
    if stack.metrics()['tailgate_redis_up{link="records"}']:
        kill_redis(stack)
    return stack


# ---- without Redis ----------------------------------------------------------------------------------


def test_without_redis_a_request_waits_and_then_gets_503_with_the_error_body_of_its_route(redis_down, job):
    begin = time.monotonic()
    asked = [(path, send(redis_down, path.format(job), headers=headers_for(redis_down, path))) for path in PATHS[1:]]
    for path, answer in asked:
        answer.wait_head().wait_closed()
        assert time.monotonic() - begin >= WAIT - 0.05
        assert_refused(answer, blog="/v1/" in path)
    assert time.monotonic() - begin < WAIT + 8


def test_without_redis_r1_always_answers_with_an_unavailable_event(redis_down, job):
    path = f"/api/jobs/{job}/events/stream"
    asked = []
    for headers in (redis_down.bearer(), {**redis_down.bearer(), "Accept": "application/json"}):
        asked += [send(redis_down, path, headers=headers, http=http) for http in ("1.1", "2")]
    for answer in asked:
        assert_unavailable(answer.wait_head(), "redis")


def test_without_redis_an_event_source_gets_an_unavailable_event(redis_down, job):
    token = redis_down.token("blog")
    paths = ("/api/sse/stream", f"/api/v1/jobs/{job}/stream?token={token}", f"/api/v1/jobs/{job}/stream?sessionId=s")
    asked = [send(redis_down, path, headers=EVENT_SOURCE) for path in paths]
    asked.append(send(redis_down, "/api/sse/stream", headers={"Accept": "text/html, Text/Event-Stream;q=0.9"}))
    for answer in asked:
        assert_unavailable(answer.wait_head(), "redis")


def test_without_redis_a_client_with_a_custom_header_gets_503_instead_of_an_event(redis_down, job):
    asked = [
        send(redis_down, path, headers=headers)
        for path, headers in (
            (f"/api/jobs/{job}/stream", {**redis_down.bearer(), **EVENT_SOURCE}),
            (f"/api/jobs/{job}/logs/stream", {**redis_down.bearer(), **EVENT_SOURCE}),
            (f"/api/v1/jobs/{job}/stream", {"x-session-id": "s", **EVENT_SOURCE}),
            ("/api/sse/stream", {"Authorization": "Bearer x", **EVENT_SOURCE}),
            ("/api/sse/stream", {"Accept": "*/*"}),
            (f"/api/jobs/{job}/logs", {**redis_down.bearer(), **EVENT_SOURCE}),
        )
    ]
    assert [answer.wait_head().status for answer in asked] == [503] * 6


def assert_answered_at_once(status, stack, path, **more):
    """Checks that the answer does not wait for Redis.  Only one of five answers must be quick, because the machine may
    be slow."""
    for _ in range(5):
        begin = time.monotonic()
        assert fetch(stack, path, **more).status == status
        if time.monotonic() - begin < WAIT:
            return
    raise AssertionError(f"{path} waits for Redis")


def test_without_redis_401_404_405_and_422_are_answered_at_once(redis_down, job):
    good, expired = redis_down.bearer(), redis_down.bearer(broken="expired")
    assert_answered_at_once(401, redis_down, f"/api/jobs/{job}/events/stream", headers=EVENT_SOURCE)
    assert_answered_at_once(401, redis_down, f"/api/jobs/{job}/stream", headers=expired)
    assert_answered_at_once(404, redis_down, "/api/jobs/a%20b/stream", headers=good)
    assert_answered_at_once(405, redis_down, "/api/sse/stream", method="POST")
    assert_answered_at_once(422, redis_down, f"/api/jobs/{job}/logs?limit=x", headers=good)


def test_without_redis_the_gateway_is_ready_and_reports_redis_down(redis_down):
    assert redis_down.ops("/healthz")[0] == 200
    status, body = redis_down.ops("/readyz")
    assert status == 200 and '"redis":"down"' in body
    assert fetch(redis_down, "/readyz").status == 200
    assert {
        redis_down.metrics()[f'tailgate_redis_up{{link="{link}"}}']
        for link in ("subscriber", "records", "logs", "pages")
    } == {0}


def test_a_waiting_request_is_served_when_redis_comes_back_in_time(private_stack, job):
    stack = private_stack({"redis.wait_s": 8})
    Builder(stack.redis, job).create()
    stack.redis.save()
    kill_redis(stack)
    paths = [path.format(job) for path in PATHS[:5]]
    asked = [send(stack, path, headers=headers_for(stack, path)) for path in paths]
    for answer in asked:
        answer.pump(0.1)
        assert answer.status is None
    restart_redis(stack)
    assert [answer.wait_head(9).status for answer in asked] == [200] * 5
    assert asked[1].next_event().json()["job_id"] == job


@pytest.mark.slow
def test_a_request_waits_three_seconds_for_redis_by_default(private_stack, job):
    stack = private_stack(gateway_redis="redis://127.0.0.1:1", wait="alive", nginx=False)
    path = f"/api/jobs/{job}/stream"
    identity = sealed(stack, path, stack.bearer())
    begin = time.monotonic()
    assert_refused(fetch(stack, path, headers=identity, via="gateway"))
    assert 2.8 < time.monotonic() - begin < 4.5


@pytest.mark.slow
def test_an_unavailable_answer_stays_open_for_a_random_time_of_10_to_25_s(private_stack):
    stack = private_stack({"redis.wait_s": 0.1})
    kill_redis(stack)
    begin = time.monotonic()
    held = [open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE) for _ in range(12)]
    ends = {}
    while len(ends) < len(held):
        assert time.monotonic() - begin < 28
        for number, stream in enumerate(held):
            if number not in ends:
                stream.pump(0.01)
                if stream.ended:
                    ends[number] = time.monotonic() - begin
    assert {stream.ended for stream in held} == {"clean"}
    assert min(ends.values()) > 9.8 and max(ends.values()) < 26.5
    assert max(ends.values()) - min(ends.values()) > 2


def test_a_client_that_disconnects_while_it_waits_for_redis_is_released(redis_down, job):
    before = redis_down.metrics()["tailgate_streams"]
    asked = [
        send(redis_down, PATHS[n % 5].format(job), headers=headers_for(redis_down, PATHS[n % 5])) for n in range(20)
    ]
    wait_until(lambda: redis_down.metrics()["tailgate_streams"] > before, 2, "requests wait")
    for answer in asked:
        answer.close()
    wait_until(lambda: redis_down.metrics()["tailgate_streams"] <= before, 3, "no request waits")


# ---- Redis refuses or does not answer ---------------------------------------------------------------


def test_a_stopped_redis_gives_503_and_is_detected_by_its_silence(own_stack, job):
    Builder(own_stack.redis, job).create()
    lost = loss_count(own_stack, "records")
    os.kill(own_stack.redis_pid, signal.SIGSTOP)
    try:
        assert_refused(fetch(own_stack, f"/api/jobs/{job}/stream", headers=own_stack.bearer()))
        wait_lost(own_stack, "records", lost)
        assert_refused(fetch(own_stack, f"/api/jobs/{job}/stream", headers=own_stack.bearer()))
    finally:
        os.kill(own_stack.redis_pid, signal.SIGCONT)
    wait_up(own_stack)
    assert open_stream(own_stack, f"/api/jobs/{job}/stream", headers=own_stack.bearer()).status == 200


def test_a_replica_without_its_primary_gives_503_until_it_is_promoted(own_stack, job):
    endpoint = routes.Status(own_stack, job).create()
    stream = open_live_stream(endpoint)
    lost = loss_count(own_stack, "records")
    own_stack.redis.config_set("replica-serve-stale-data", "no")
    own_stack.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        wait_lost(own_stack, "records", lost)
        assert_refused(fetch(own_stack, endpoint.path, headers=endpoint.headers()))
        assert_refused(fetch(own_stack, PAGES.format(job), headers=endpoint.headers()))
    finally:
        own_stack.redis.execute_command("REPLICAOF", "NO", "ONE")
        own_stack.redis.config_set("replica-serve-stale-data", "yes")
    wait_up(own_stack)
    assert open_stream(own_stack, endpoint.path, headers=endpoint.headers()).status == 200
    stream.events_until("resync")
    endpoint.write_number(7)
    stream.events_until(lambda event: endpoint.number_in(event) == 7)
    whys = {line.get("why", "") for line in own_stack.logs()}
    assert any("MASTERDOWN" in why or "does not follow its primary" in why for why in whys)


def test_a_log_stream_continues_without_a_gap_after_redis_has_loaded_its_data(private_stack, job):
    stack = private_stack(
        {**QUICK, "redis.wait_s": 6}, redis_conf=["key-load-delay 3000", "loading-process-events-interval-bytes 1024"]
    )
    endpoint = routes.Lines(stack, job).create()
    pipe = stack.redis.pipeline(transaction=False)
    for number in range(500):
        pipe.set(f"filler:{number}", "x" * 100)
    pipe.execute()
    stream = open_live_stream(endpoint)
    stack.redis.save()
    before = loss_count(stack, "logs")
    stack.restart("redis", kill=True)
    assert loss_count(stack, "logs") > before
    wait_up(stack)
    endpoint.write_number(1)
    assert endpoint.number_in(stream.events_until("log")[-1]) == 1
    assert not [event for event in stream.events if event.name == "gap"]
    assert any("LOADING" in line.get("why", "") for line in stack.logs("redis.unreachable")), stack.logs(
        "redis.unreachable"
    )


def test_a_password_set_at_run_time_gives_503_until_it_is_removed(own_stack, job):
    Builder(own_stack.redis, job).create()
    lost = loss_count(own_stack, "records")
    own_stack.redis.config_set("requirepass", "secret")
    try:
        own_stack.redis.client_kill_filter(_type="normal", skipme=True)
        wait_lost(own_stack, "records", lost)
        assert_refused(fetch(own_stack, f"/api/jobs/{job}/stream", headers=own_stack.bearer()))
    finally:
        own_stack.redis.execute_command("CONFIG", "SET", "requirepass", "")
    wait_up(own_stack)
    assert open_stream(own_stack, f"/api/jobs/{job}/stream", headers=own_stack.bearer()).status == 200


@pytest.mark.parametrize("url", ["unix://nobody:wr0ng-pa55@{run}/redis.sock", "unix://{run}/redis.sock?db=99"])
def test_a_redis_that_refuses_the_user_or_database_gives_503_and_not_ready(private_stack, job, url):
    stack = private_stack(QUICK, gateway_redis=url, wait="alive")
    assert stack.ops("/readyz")[0] == 503
    assert_refused(fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()))
    assert_unavailable(open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE), "redis")
    said = stack.logs("redis.unreachable")
    assert said and all(line["why"] for line in said)
    assert "wr0ng-pa55" not in stack.log_text()
    assert len(said) < 12, "one or two log lines for each link, not one for each attempt"


def test_the_user_password_and_database_of_the_redis_url_are_used(private_stack, job):
    stack = private_stack(
        gateway_redis="unix://gate:s%3Acret@{run}/redis.sock?db=3",
        redis_conf=["user gate on >s:cret allcommands allkeys allchannels"],
    )
    with redis.Redis(unix_socket_path=stack.facts["redis_socket"], db=3, client_name="test") as third:
        worker = Builder(third, job).create()
        stream = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
        stream.next_block()
        worker.log("hello")
        assert stream.next_event().json()["text"] == "hello"
        worker.move("ready")
        assert stream.rest()[-1].name == "done"
    assert {client["user"] for client in stack.connections()} == {"gate"}


# ---- open streams while Redis is lost ---------------------------------------------------------------


@pytest.fixture
def outage(own_stack):
    """Kills the Redis of `own_stack` and starts it again with its data."""

    class Outage:
        stack = own_stack

        def begin(self):
            own_stack.redis.save()
            kill_redis(own_stack)

        def end(self):
            restart_redis(own_stack)

    yield Outage()
    if not os.path.exists(f"/proc/{own_stack.redis_pid}"):
        restart_redis(own_stack)


def test_open_streams_get_heartbeats_without_redis_and_then_resync_close_or_continue(outage, job):
    endpoints = [kind(outage.stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint, http="2") for endpoint in endpoints]
    outage.begin()
    begin = time.monotonic()
    while time.monotonic() - begin < 3 * BEAT:
        for stream in streams:
            stream.pump(0.02)
    for stream in streams:
        before = len(stream.raw)
        stream.wait(lambda stream=stream, before=before: len(stream.raw) > before, 2, "a heartbeat")
        assert stream.ended is None
    outage.end()
    for endpoint, stream in zip(endpoints, streams):
        if endpoint.route == "job":
            assert stream.wait_closed(5), "the blog page polls the status when its stream ends"
            assert "resync" not in {event.name for event in stream.events} and "id: end" not in stream.raw.decode()
            continue
        if endpoint.route != "log-stream":
            event = stream.events_until("resync")[-1]
            assert (event.json(), event.last_id) == ({"reason": "redis-reconnected"}, "")
        endpoint.write_number(11)
        assert endpoint.number_in(stream.events_until(lambda event: endpoint.number_in(event) == 11)[-1]) == 11
        names = [event.name for event in stream.events]
        assert names.count("resync") == (0 if endpoint.route == "log-stream" else 1) and "gap" not in names


def test_a_link_that_is_closed_for_its_silence_causes_a_resync_event(own_stack, job):
    endpoints = [
        kind(own_stack, f"{job}-{kind.route}").create() for kind in (routes.Events, routes.Status, routes.Updates)
    ]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    closed = open_live_stream(routes.Progress(own_stack, job).create())
    os.kill(own_stack.redis_pid, signal.SIGSTOP)
    try:
        wait_until(
            lambda: not own_stack.metrics()['tailgate_redis_up{link="subscriber"}'], 5, "the silent link is closed"
        )
    finally:
        os.kill(own_stack.redis_pid, signal.SIGCONT)
    wait_up(own_stack)
    for endpoint, stream in zip(endpoints, streams):
        stream.events_until("resync")
        endpoint.write_number(4)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 4)
    assert closed.wait_closed()


@with_resync
def test_a_killed_subscriber_link_causes_a_resync_event_on_each_stream(own_stack, job, kind):
    endpoint = kind(own_stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(3)]
    for number in range(2):
        own_stack.redis.client_kill_filter(_type="pubsub")
        for stream in streams:
            stream.events_until("resync")
        endpoint.write_number(number)
        for stream in streams:
            stream.events_until(lambda event, number=number: endpoint.number_in(event) == number)


def test_a_blog_stream_is_closed_when_its_subscription_is_lost(own_stack, job):
    endpoint = routes.Progress(own_stack, job).create()
    stream = open_live_stream(endpoint)
    own_stack.redis.client_kill_filter(_type="pubsub")
    assert stream.wait_closed()
    assert "id: end" not in stream.raw.decode()
    closed = [line for line in own_stack.logs("stream.closed") if line["route"] == "job"]
    assert closed[-1]["why"] == "gap"


@with_record
def test_a_job_that_ended_just_before_a_redis_loss_ends_its_streams_with_their_last_event(outage, job, kind):
    endpoint = kind(outage.stack, job).create()
    stream = open_live_stream(endpoint)
    # The record that Redis saves has the end of the job, and no message announces it.
    endpoint.finish_silently()
    outage.begin()
    before = stream.pump(0.1).ended
    outage.end()
    events = stream.events + stream.rest(8)
    assert before == "clean" or endpoint.is_final(events[-1])
    assert f"id: {endpoint.end_id}" in stream.raw.decode()
    assert "resync" not in {event.name for event in events}


def test_lines_written_while_redis_links_are_cut_arrive_once_and_in_order(own_stack, job):
    endpoint = routes.Lines(own_stack, job).create()
    streams = [open_live_stream(endpoint) for _ in range(3)]
    for number in range(300):
        endpoint.write_number(number)
        if number % 60 == 30:
            own_stack.redis.client_kill_filter(_type="normal", skipme=True)
        if number % 100 == 70:
            own_stack.redis.client_kill_filter(_type="pubsub")
    for stream in streams:
        events = stream.events_until(lambda event: endpoint.number_in(event) == 299, timeout=10)
        numbers = [endpoint.number_in(event) for event in events if event.name == "log"]
        assert [number for number in numbers if number >= 0] == list(range(300))
        ids = [event.last_id for event in stream.events if event.name == "log"]
        assert len(set(ids)) == len(ids)
        assert "gap" not in {event.name for event in events}


def test_a_redis_that_comes_back_empty_causes_a_gap_event(own_stack, job):
    endpoint = routes.Lines(own_stack, job).create()
    stream = open_live_stream(endpoint)
    last = stream.last_id
    own_stack.redis.flushall()
    os.kill(own_stack.redis_pid, signal.SIGKILL)
    dump = own_stack.dir / "redis" / "dump.rdb"
    dump.unlink(missing_ok=True)
    own_stack.restart("redis")
    wait_up(own_stack)
    endpoint.create()
    # The new ids are higher than the old ones, because Redis makes them from the clock.
    endpoint.write_number(1)
    events = stream.events_until(lambda event: endpoint.number_in(event) == 1, timeout=8)
    gap = [event for event in events if event.name == "gap"]
    assert gap and gap[0].json()["requested"] == last
    assert gap[0].last_id == last, "a gap event has no id"


def test_messages_published_after_a_resync_arrive_once_and_in_order(own_stack, job):
    endpoint = routes.Events(own_stack, job).create()
    stream = open_live_stream(endpoint)
    for round_ in range(3):
        own_stack.redis.client_kill_filter(_type="pubsub")
        stream.events_until("resync")
        for number in range(100):
            endpoint.write_number(round_ * 1000 + number)
        events = stream.events_until(lambda event: endpoint.number_in(event) == round_ * 1000 + 99)
        numbers = [endpoint.number_in(event) for event in events if event.name == "message"]
        assert numbers == [round_ * 1000 + number for number in range(100)]


def test_an_opening_that_a_redis_loss_interrupts_starts_again(private_stack, job):
    stack = private_stack({"redis.wait_s": 9})
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    stack.redis.save()
    os.kill(stack.redis_pid, signal.SIGSTOP)
    answers = [send(stack, endpoint.path, headers=endpoint.headers()) for endpoint in endpoints for _ in range(2)]
    wait_until(lambda: stack.metrics()["tailgate_streams"] == len(answers), 5, "the openings have begun")
    assert [answer.pump(0.01).status for answer in answers] == [None] * len(answers)
    stack.restart("redis", kill=True)
    for answer in answers:
        assert answer.wait_head(9).status == 200
    for number, answer in enumerate(answers):
        endpoint = endpoints[number // 2]
        if endpoint.channel:
            stack.wait_subscribed(endpoint.channel)
        endpoint.write_number(number)
        answer.events_until(lambda event, endpoint=endpoint, number=number: endpoint.number_in(event) == number)
        assert "resync" not in {event.name for event in answer.events}


# ---- limits -----------------------------------------------------------------------------------------


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


def test_without_redis_nginx_does_not_retry_a_503_at_a_second_gateway(private_stack, job):
    stack = private_stack(instances=2)
    Builder(stack.redis, job).create()
    headers = stack.bearer()
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: stack.logs("redis.lost"), 5, "the loss is noticed")
    assert fetch(stack, f"/api/jobs/{job}/stream", headers=headers, timeout=12).status == 503

    def refused():
        lines = [json.loads(line) for line in stack.log_text("nginx-access").splitlines()]
        return [line["upstream_status"] for line in lines if line.get("status") in (503, "503")]

    wait_until(refused, 5, "nginx has logged its answer")
    assert refused() == ["503"]


# ---- without a gateway ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def no_gateway(stack_with):
    """A stack whose gateway was killed; its sockets still exist."""
    stopped = stack_with({"route.events.retry_ms": 4321})
    if os.path.exists(f"/proc/{stopped.gateway_pid}"):
        os.kill(stopped.gateway_pid, signal.SIGKILL)
        wait_until(lambda: fetch(stopped, "/api/jobs/x/logs").status == 503, 5, "nginx answers by itself")
    return stopped


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("via, http", [("tls", "1.1"), ("tls", "2"), ("plain", "1.1")])
def test_without_a_gateway_nginx_gives_the_same_unavailable_answers(no_gateway, path, via, http):
    target, headers = path.format("j"), headers_for(no_gateway, path)
    answer = open_stream(no_gateway, target, headers=headers, via=via, http=http)
    if "events" in path:
        assert_unavailable(answer, "down", 4321)
    else:
        answer.wait_closed()
        assert_refused(answer, blog="/v1/" in path)
        with_type = open_stream(no_gateway, target, headers={**headers, **EVENT_SOURCE}, via=via, http=http)
        if headers:
            with_type.wait_closed()
            assert_refused(with_type, blog="/v1/" in path)
        else:
            assert_unavailable(with_type, "down")
    session = open_stream(no_gateway, target, headers={"X-Session-ID": "s", **EVENT_SOURCE}, via=via, http=http)
    assert session.status == (200 if "events" in path else 503)
    alone = open_stream(no_gateway, target, headers=EVENT_SOURCE, via=via, http=http)
    if path == PAGES:
        assert alone.status == 503
    else:
        assert_unavailable(alone, "down", 4321 if "events" in path else 3000)


@pytest.mark.slow
def test_without_a_gateway_the_unavailable_answer_of_nginx_stays_open(no_gateway):
    streams = [open_stream(no_gateway, "/api/sse/stream", headers=EVENT_SOURCE) for _ in range(8)]
    begin = time.monotonic()
    while time.monotonic() - begin < 1:
        for stream in streams:
            stream.pump(0.05)
    assert {stream.ended for stream in streams} == {None}
    assert all([event.name for event in stream.events] == ["unavailable"] for stream in streams)


def test_nginx_gives_unavailable_answers_if_the_sockets_of_the_gateway_are_missing(private_stack, job):
    stack = private_stack(own_sockets=True)
    os.kill(stack.gateway_pid, signal.SIGTERM)
    wait_until(lambda: stack.ops("/readyz")[0] == 503, 5, "the gateway drains")
    os.kill(stack.gateway_pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(stack.gateway_socket), 10, "the sockets are gone")
    assert_refused(fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()))
    assert_unavailable(open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer()), "down")
    assert_unavailable(open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE), "down")
    stack.restart("gateway")
    assert open_stream(stack, "/api/sse/stream").status == 200


# ---- without keys or the auth socket ------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyless(stack_with):
    """A stack whose gateway could never read the public keys of builder."""
    return stack_with(
        {"provider.clerk.jwks": "file:/nonexistent/jwks.json", "provider.clerk.refresh_s": 1}, wait="alive"
    )


def test_without_keys_a_token_gets_503_and_not_401(keyless, job):
    Builder(keyless.redis, job).create()
    for path in PATHS[1:4]:
        assert_refused(fetch(keyless, path.format(job), headers=keyless.bearer()))
    assert_unavailable(open_stream(keyless, PATHS[0].format(job), headers=keyless.bearer()), "auth")
    assert fetch(keyless, PATHS[1].format(job)).status == 401, "a request without a token needs no keys"


def test_without_the_keys_of_one_provider_other_routes_are_served(keyless, job):
    endpoint = routes.Progress(keyless, job).create()
    assert open_stream(keyless, endpoint.path, headers=endpoint.headers()).status == 200
    assert open_stream(keyless, "/api/sse/stream").status == 200


def test_without_keys_the_gateway_is_not_ready_and_reports_missing_keys(keyless):
    status, body = keyless.ops("/readyz")
    assert status == 503 and '"keys":"missing"' in body
    assert fetch(keyless, "/readyz").status == 503
    assert keyless.metrics()['tailgate_provider_keys{provider="clerk"}'] == 0


def test_without_the_auth_socket_nginx_serves_only_routes_for_anyone(private_stack, job):
    stack = private_stack()
    Builder(stack.redis, job).create()
    # The streams socket exists, the auth socket does not.
    os.rename(stack.auth_socket, stack.auth_socket + ".away")
    try:
        answer = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
        event = answer.next_event()
        assert event.name == "unavailable" and event.json()["reason"] in ("auth", "down")
        assert_refused(fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()))
        assert open_stream(stack, "/api/sse/stream").status == 200, "a route for anyone needs no verdict"
        direct = seal_or_none(stack, f"/api/jobs/{job}/stream")
        assert direct is None
    finally:
        os.rename(stack.auth_socket + ".away", stack.auth_socket)
    assert open_stream(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()).status == 200


def seal_or_none(stack, path):
    try:
        return sealed(stack, path, stack.bearer())
    except (FileNotFoundError, ConnectionError):
        return None


# ---- several restarts ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_dashboard_stream_survives_two_redis_restarts(private_stack):
    stack = private_stack(QUICK)
    stream = open_stream(stack, "/api/sse/stream", headers=EVENT_SOURCE)
    stack.wait_subscribed(Spools.CHANNEL)
    for kill in (True, False):
        stack.restart("redis", kill=kill)
        stream.events_until("resync", 8)
        stack.wait_subscribed(Spools.CHANNEL)
        payload = Spools(stack.redis).update()
        assert stream.events_until("spool_update")[-1].data == payload
    assert stream.ended is None
    with pytest.raises(NotReceived):
        stream.events_until("resync", 0.5)
