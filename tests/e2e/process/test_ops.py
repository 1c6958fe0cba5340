"""Operation: health, metrics, draining, reloading, logs."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import routes
from support.clients import fetch, open_stream, sealed, send
from support.publishers import Blog, Builder, Spools
from support.routes import open_live_stream
from support.stack import DEPLOY, default_binary
from support.waiting import wait_until

SETTLE, DEADLINE = 0.8, 3.5
LATE = 1.5  # seconds that a busy machine and a sanitizer may need to end a process
DRAIN = {"drain.settle_s": SETTLE, "drain.deadline_s": DEADLINE}


def gone(pid):
    """True if the process has ended, even if no parent has waited for it (state Z)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_gone(pid, timeout):
    wait_until(lambda: gone(pid), timeout, f"process {pid} ends")


# ---- health -----------------------------------------------------------------------------------------


def test_healthz_and_readyz_are_served_by_the_ops_listener_and_through_nginx(stack):
    for path, word in (("/healthz", "alive"), ("/readyz", "ready")):
        status, body = stack.ops(path)
        assert status == 200 and json.loads(body)["status"] == word
        for http in ("1.1", "2"):
            answer = fetch(stack, path, http=http)
            assert answer.status == 200 and answer.json()["status"] == word


def test_readyz_reports_the_state_of_redis_and_of_the_keys(stack):
    body = json.loads(stack.ops("/readyz")[1])
    assert body.items() >= {"status": "ready", "redis": "up", "keys": "had"}.items()


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("POST", "/healthz", 405),
        ("DELETE", "/readyz", 405),
        ("POST", "/metrics", 405),
        ("GET", "/drain", 405),
        ("GET", "/nothing", 404),
        ("GET", "/api/sse/stream", 404),
        ("HEAD", "/healthz", 200),
        ("GET", "/healthz?x=1", 200),
    ],
)
def test_the_ops_listener_answers_each_method_and_path_with_the_right_status(stack, method, path, status):
    assert stack.ops(path, method)[0] == status
    assert stack.ops("/readyz")[0] == 200, "the gateway does not drain"


def test_the_other_listeners_do_not_serve_ops_paths(stack):
    for via in ("gateway", "auth"):
        for path in ("/metrics", "/drain", "/healthz"):
            for method in ("GET", "POST"):
                assert fetch(stack, path, method=method, via=via).status == 404
    for path in ("/metrics", "/drain"):
        assert fetch(stack, path, method="POST").status == 404
    assert stack.ops("/readyz")[0] == 200


def test_a_starting_gateway_is_alive_but_not_ready(private_stack):
    stack = private_stack(gateway_redis="unix://{run}/later.sock", wait="alive")
    assert stack.ops("/healthz")[0] == 200
    status, body = stack.ops("/readyz")
    assert status == 503
    assert json.loads(body).items() >= {"status": "starting", "redis": "down", "keys": "had"}.items()
    assert fetch(stack, "/healthz").status == 200 and fetch(stack, "/readyz").status == 503
    os.symlink(stack.facts["redis_socket"], stack.run_dir / "later.sock")
    wait_until(lambda: stack.ops("/readyz")[0] == 200, 5, "the gateway is ready")
    os.unlink(stack.run_dir / "later.sock")
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: '"redis":"down"' in stack.ops("/readyz")[1], 5, "the loss is reported")
    assert stack.ops("/readyz")[0] == 200, "a short loss of Redis must not remove all targets from a load balancer"


def test_a_ready_gateway_stays_ready_without_redis(private_stack):
    stack = private_stack(wait="alive")
    wait_until(lambda: stack.logs("ready"), 10, "the gateway is ready")
    os.kill(stack.redis_pid, signal.SIGKILL)
    wait_until(lambda: stack.logs("redis.lost"), 5, "the loss is noticed")
    status, body = stack.ops("/readyz")
    assert (status, json.loads(body)["redis"]) == (200, "down")


# ---- metrics ----------------------------------------------------------------------------------------

SAMPLE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)'
)


def test_the_metrics_are_valid_prometheus_text(stack, job):
    for kind in routes.ALL:
        open_live_stream(kind(stack, f"{job}-{kind.route}").create())
    fetch(stack, f"/api/jobs/{job}/stream")
    text = stack.ops("/metrics")[1]
    assert text.endswith("\n")
    types, helped, seen = {}, set(), set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in helped and len(line.split(" ", 3)[3]) > 5
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind in ("counter", "gauge") and name not in types
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in types and match[1] in helped and line.rpartition(" ")[0] not in seen
            assert (types[match[1]] == "counter") == match[1].endswith("_total"), match[1]
            assert match[1].startswith(("tailgate_", "process_"))
            seen.add(line.rpartition(" ")[0])
            assert float(match[3]) >= 0
    answer = subprocess.run(
        ["curl", "-sI", stack.ops_url + "/metrics"], capture_output=True, text=True, check=True
    ).stdout
    assert "content-type: text/plain; version=0.0.4" in answer.lower()


def test_the_metrics_count_streams_events_answers_and_verdicts(private_stack, job):
    stack = private_stack()
    before = stack.metrics()

    def grown(name):
        return stack.metrics().get(name, 0) - before.get(name, 0)

    for kind in routes.ALL:
        endpoint = kind(stack, f"{job}-{kind.route}").create()
        stream = open_live_stream(endpoint)
        assert grown(f'tailgate_streams_open{{route="{kind.route}"}}') == 1
        assert grown(f'tailgate_streams_opened_total{{route="{kind.route}"}}') == 1
        for number in range(5):
            endpoint.write_number(number)
        stream.events_until(lambda event: endpoint.number_in(event) == 4)
        assert grown(f'tailgate_events_delivered_total{{route="{kind.route}"}}') >= 6, "counted while it is open"
        stream.close()
        wait_until(lambda: grown(f'tailgate_streams_open{{route="{kind.route}"}}') == 0, 5, "the stream is released")
        assert grown(f'tailgate_events_delivered_total{{route="{kind.route}"}}') >= 6
        assert grown(f'tailgate_bytes_delivered_total{{route="{kind.route}"}}') >= len(stream.raw) - 100
        assert grown(f'tailgate_streams_ended_total{{route="{kind.route}",reason="client_left"}}') == 1
    fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer())
    fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer(broken="expired"))
    fetch(stack, f"/api/jobs/{job}/logs?limit=x", headers=stack.bearer())
    fetch(stack, "/nothing", via="gateway")
    stack.redis.publish(Spools.CHANNEL, "not an object")
    assert grown('tailgate_answers_total{route="status",status="404"}') == 1
    assert grown('tailgate_answers_total{route="status",status="401"}') == 1
    assert grown('tailgate_answers_total{route="log-pages",status="422"}') == 1
    assert grown("tailgate_unrouted_total") == 1
    assert grown('tailgate_auth_verdicts_total{verdict="401-expired"}') == 1
    assert grown('tailgate_auth_verdicts_total{verdict="ok"}') >= 6
    assert grown("tailgate_messages_received_total") >= 24
    assert grown("tailgate_record_looks_total") >= 5
    assert {value for name, value in stack.metrics().items() if name.startswith("tailgate_redis_up")} == {1}


def publish_ignored_message(pipe, endpoint):
    pipe.publish(endpoint.channel, "-")


def write_a_line(pipe, endpoint):
    pipe.xadd(endpoint.worker.log_key, {"text": "line"}, maxlen=1000)


@pytest.mark.parametrize(
    "kind, write",
    [
        (routes.Updates, publish_ignored_message),
        (routes.Lines, write_a_line),
    ],
)
def test_a_redis_link_rests_between_reads_only_under_heavy_traffic(private_stack, job, kind, write):
    stack = private_stack()

    def rests():
        return stack.metrics()["tailgate_redis_rests_total"]

    endpoint = kind(stack, job).create()
    with open_live_stream(endpoint):
        for number in range(10):
            endpoint.write_number(number)
        assert rests() == 0

        def one_more_burst():
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                burst = stack.redis.pipeline(transaction=False)
                for _ in range(50):
                    write(burst, endpoint)
                burst.execute()
            return rests() > 0

        wait_until(one_more_burst, 20, "the link has rested")


def test_unknown_jobs_paths_and_verdicts_add_no_metrics(stack, job):
    def names():
        return {name for name in stack.metrics() if "answers" not in name}

    fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer("alice"))
    fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer("alice", broken="kid"))
    before = names()
    for n in range(5):
        fetch(stack, f"/api/jobs/{job}-{n}/stream", headers=stack.bearer("alice"))
        fetch(stack, f"/nothing/{n}", via="gateway")
        fetch(stack, f"/api/jobs/{job}/stream", headers={"X-Tailgate-Verdict": f"401-x{n}"}, via="gateway")
    assert names() <= before | {name for name in names() if job not in name and "x" not in name.rpartition("=")[2]}
    assert not [name for name in names() if job in name or "401-x" in name]


# ---- draining ---------------------------------------------------------------------------------------


def test_a_drain_settles_refuses_new_streams_ends_open_ones_and_exits_in_time(private_stack, job):
    settle, deadline = 2, 7
    stack = private_stack({"drain.settle_s": settle, "drain.deadline_s": deadline}, own_sockets=True)
    pid = stack.gateway_pid
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = {endpoint.route: [open_live_stream(endpoint) for _ in range(3)] for endpoint in endpoints}
    everyone = [stream for group in streams.values() for stream in group]
    for stream in everyone:
        stream.pump(0.01)
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)

    # While it settles, it is not ready, but it serves everything.
    wait_until(lambda: stack.ops("/readyz")[0] == 503, settle, "the gateway is not ready")
    assert json.loads(stack.ops("/readyz")[1])["status"] == "draining" and stack.ops("/healthz")[0] == 200
    assert fetch(stack, "/readyz").status == 503
    late = open_stream(stack, endpoints[0].path, headers=endpoints[0].headers())
    late.next_block()
    settled = time.monotonic() - begin
    endpoints[0].write_number(77)
    assert endpoints[0].number_in(late.events_until(lambda event: endpoints[0].number_in(event) == 77)[-1]) == 77
    assert settled < settle, "the machine is too slow for this test"

    # After that, it refuses new streams.
    def status():
        with open_stream(stack, endpoints[1].path, headers=endpoints[1].headers()) as stream:
            return stream.status

    wait_until(lambda: status() == 503, 3, "new streams are refused")
    assert time.monotonic() - begin > settle - 0.1
    answer = fetch(stack, endpoints[1].path, headers={**endpoints[1].headers(), "Connection": "keep-alive"})
    assert int(answer.headers["retry-after"]) >= 1
    refused = open_stream(stack, endpoints[0].path, headers=endpoints[0].headers())
    event = refused.next_event()
    assert (event.name, event.json()) == ("unavailable", {"reason": "draining"})

    # Open streams end one after the other.
    ends = {}
    while len(ends) < len(everyone):
        assert time.monotonic() - begin < deadline + 1
        for number, stream in enumerate(everyone):
            if number not in ends:
                stream.pump(0.005)
                if stream.ended:
                    ends[number] = time.monotonic() - begin
    assert {stream.ended for stream in everyone} == {"clean"}
    wait_gone(pid, deadline)
    assert time.monotonic() - begin < deadline + LATE
    retries = set()
    for stream in everyone:
        last = stream.raw.rstrip(b"\n").split(b"\n\n")[-1]
        assert re.fullmatch(rb"retry: \d+", last), stream.raw[-200:]
        assert 1000 <= stream.retry <= 15000
        assert b"id: end" not in stream.raw
        retries.add(stream.retry)
    assert len(retries) > 5, "jittered"
    # The times of the first ends are measured late, because of the requests above.
    assert min(ends.values()) > settle and max(ends.values()) - settle > (deadline - settle) / 4, "spread over the time"
    order = [entry["route"] for entry in stack.logs("stream.closed") if entry["why"] == "drained"]
    assert sorted(order[-4:]) == ["events"] + 3 * ["log-stream"], "logs last, apart from the unavailable one"
    assert stack.logs("drain.begun") and stack.logs("stopped")[-1]["streams_cut"] == 0


def test_streams_still_open_at_the_drain_deadline_end_like_the_others(private_stack, job):
    # The gateway reserves the last quarter of the deadline for the last bytes.  Here that begins while it settles.
    stack = private_stack({"drain.settle_s": 1.9, "drain.deadline_s": 2}, own_sockets=True)
    streams = [open_live_stream(kind(stack, f"{job}-{kind.route}").create()) for kind in routes.ALL for _ in range(2)]
    os.kill(stack.gateway_pid, signal.SIGTERM)
    for stream in streams:
        assert stream.wait_closed()
        assert re.fullmatch(rb"retry: \d+", stream.raw.rstrip(b"\n").split(b"\n\n")[-1]), stream.raw[-200:]
        assert 1000 <= stream.retry <= 15000
    assert len({stream.retry for stream in streams}) > 5, "jittered"


@contextlib.contextmanager
def child_gateway(stack):
    """Starts the stack's gateway again as a child of this process, and yields the child."""
    entry = json.loads((stack.dir / "stack.json").read_text())["processes"]["gateway-0"]
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_gone(stack.gateway_pid, 5)
    child = subprocess.Popen(
        entry["command"], env=entry["env"], cwd=stack.dir, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:

        def ready():
            try:
                return stack.ops("/readyz")[0] == 200
            except OSError:
                return False

        wait_until(ready, 10, "the gateway is ready")
        yield child
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


@pytest.fixture
def own_gateway(private_stack):
    """(stack, child): a stack whose gateway is a child of this process, so that the test can read its exit status."""
    stack = private_stack(DRAIN, own_sockets=True)
    with child_gateway(stack) as child:
        yield stack, child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_without_streams_exits_with_0_after_settling(own_gateway, number):
    _, child = own_gateway
    begin = time.monotonic()
    child.send_signal(number)
    assert child.wait(DEADLINE) == 0
    assert SETTLE - 0.1 < time.monotonic() - begin < SETTLE + 2


def test_a_drain_with_streams_exits_with_0_before_the_deadline(own_gateway, job):
    stack, child = own_gateway
    streams = [open_live_stream(kind(stack, f"{job}-{kind.route}").create()) for kind in routes.ALL]
    # A client that reads nothing does not delay the exit.
    stalled = routes.Lines(stack, job + "-stalled").create()
    stuck = open_stream(stack, stalled.path, headers=stalled.headers(), receive_buffer=4096)
    stack.redis.xadd(stalled.worker.log_key, {"text": "x" * 4_000_000})
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.wait(DEADLINE + 1) == 0
    assert time.monotonic() - begin < DEADLINE + LATE
    for stream in streams:
        assert stream.wait_closed()
    assert stuck.status == 200


def test_a_second_sigterm_exits_at_once(own_gateway, job):
    stack, child = own_gateway
    open_live_stream(routes.Status(stack, job).create())
    begin = time.monotonic()
    child.send_signal(signal.SIGTERM)
    wait_until(lambda: stack.ops("/readyz")[0] == 503, 2, "the gateway drains")
    child.send_signal(signal.SIGTERM)
    assert child.wait(2) == 0
    assert time.monotonic() - begin < SETTLE + 1


def test_a_job_that_ends_during_a_drain_ends_its_streams_with_their_last_event(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.2, "drain.deadline_s": 6})
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.WITH_RECORD]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    stack.ops("/drain", "POST")
    for endpoint in endpoints:
        endpoint.finish()
    for endpoint, stream in zip(endpoints, streams):
        assert stream.wait_closed(6)
        assert endpoint.is_final([event for event in stream.events if event.name != "heartbeat"][-1])
        assert f"id: {endpoint.end_id}" in stream.blocks[-1]


@pytest.mark.slow
def test_post_drain_drains_like_sigterm_and_may_be_repeated(private_stack, job):
    stack = private_stack(DRAIN)
    pid = stack.gateway_pid
    stream = open_live_stream(routes.Events(stack, job).create())
    begin = time.monotonic()
    assert [stack.ops("/drain", "POST")[0] for _ in range(2)] == [202, 202]
    assert stack.ops("/readyz")[0] == 503
    assert stream.wait_closed(DEADLINE + 1)
    wait_gone(pid, DEADLINE)
    assert time.monotonic() - begin < DEADLINE + LATE
    assert len(stack.logs("drain.begun")) == 1


def test_answers_during_a_drain_close_their_connection(private_stack, job):
    stack = private_stack({"drain.settle_s": 0, "drain.deadline_s": 4}, own_sockets=True)
    held = open_live_stream(routes.Lines(stack, job).create())  # keeps the process alive
    stack.ops("/drain", "POST")

    def refused_answer():
        return fetch(stack, "/api/sse/stream", via="gateway", headers={"Accept": "*/*"})

    wait_until(lambda: refused_answer().status == 503, 2, "the gateway refuses requests")
    assert refused_answer().headers["connection"] == "close"
    for path in (f"/api/jobs/{job}/stream", f"/api/jobs/{job}/logs", "/nothing"):
        assert fetch(stack, path, via="gateway").headers.get("connection") == "close", path
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    preflight = fetch(stack, "/api/sse/stream", method="OPTIONS", headers=asked, via="gateway")
    assert (preflight.status, preflight.headers.get("connection")) == (204, "close")
    assert (
        fetch(stack, "/auth", via="auth", headers={"X-Tailgate-Uri": "/x", "X-Tailgate-Method": "GET"}).headers[
            "connection"
        ]
        == "close"
    )
    assert held.ended is None


def test_a_page_in_transmission_is_completed_before_the_process_exits(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.2}, own_sockets=True, nginx=False)
    worker = Builder(stack.redis, job).create()
    for _ in range(70):
        worker.log("x" * 100_000)
    path = f"/api/jobs/{job}/logs"
    page = open_stream(stack, path, via="gateway", headers=sealed(stack, path, stack.bearer()), receive_buffer=16384)
    os.kill(stack.gateway_pid, signal.SIGTERM)
    with pytest.raises(AssertionError):
        wait_until(lambda: stack.logs("stopped"), 1.5, "the gateway has stopped")
    assert page.wait_closed(15) and len(page.json()["lines"]) == 70
    wait_until(lambda: stack.logs("stopped"), 5, "the gateway has stopped")


def test_one_of_two_gateways_serves_while_the_other_drains(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.1, "drain.deadline_s": 5}, instances=2, own_sockets=True)
    endpoints = [routes.Status(stack, f"{job}-{n}").create() for n in range(30)]  # nginx distributes them by their ids
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    os.kill(stack.facts["pids"]["gateways"][0], signal.SIGTERM)
    wait_until(lambda: any(stream.pump(0.01).ended for stream in streams), 5, "some streams have ended")
    for endpoint, stream in zip(endpoints, streams):
        again = open_stream(stack, endpoint.path, headers=endpoint.headers())
        assert again.status == 200, "the other gateway serves it"
        assert again.next_event().json()["job_id"] == endpoint.job
    assert {stream.ended for stream in streams} <= {None, "clean"}


def test_a_pending_request_is_answered_during_a_drain(private_stack, job):
    stack = private_stack({"drain.settle_s": 0, "drain.deadline_s": 4})
    # The gateway looks for the missing record for 800 ms.  Without nginx, because nginx would retry after a cut.
    path = f"/api/v1/jobs/{job}/stream"
    headers = sealed(stack, path, stack.bearer("alice", "blog"))
    asked = [send(stack, path, headers=headers, via="gateway") for _ in range(8)]
    wait_until(lambda: stack.metrics()["tailgate_streams"] == 8, 3, "the openings have begun")
    stack.ops("/drain", "POST")
    assert {answer.wait_head().status for answer in asked} <= {404, 503}


# ---- reloading --------------------------------------------------------------------------------------


def config_with(stack, directory, *changes):
    text = Path(stack.facts["config"]).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_sighup_reloads_the_configuration_and_open_streams_continue(private_stack, tmp_path, job):
    config = tmp_path / "site.toml"
    shipped = DEPLOY / "all-three.toml"
    config.write_text(shipped.read_text())
    stack = private_stack(config=config)
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    pid = stack.gateway_pid

    config.write_text(
        config_with(
            stack,
            tmp_path,
            ("trailing_slash = true", "retry_ms = 7000\ntrailing_slash = true"),
            ("only_objects = true", "only_objects = true\nretry_ms = 7000"),
        )
    )
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert open_stream(stack, "/api/sse/stream").next_block() == "retry: 7000"
    for endpoint, stream in zip(endpoints, streams):
        endpoint.write_number(5)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 5)
        assert stream.ended is None and stream.retry == 3000

    config.write_text(config_with(stack, tmp_path, ('who       = "anyone"', 'who = "everyone"')))
    os.kill(pid, signal.SIGHUP)
    refused = wait_until(lambda: stack.logs("config.refused"), 3, "the file is refused")
    assert refused[-1]["level"] == "error"
    assert re.search(r'site\.toml:\d+: route\.spools\.who: must be "owner" or "anyone"', refused[-1]["why"])
    assert open_stream(stack, "/api/sse/stream").next_block() == "retry: 7000"

    config.unlink()
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: len(stack.logs("config.refused")) == 2, 3, "the missing file is refused")
    for endpoint, stream in zip(endpoints, streams):
        endpoint.write_number(6)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 6)
    assert not gone(pid)


def test_a_route_removed_by_a_reload_gets_404_and_its_streams_stay_open(private_stack, tmp_path):
    config = tmp_path / "site.toml"
    shipped = DEPLOY / "all-three.toml"
    text = shipped.read_text()
    config.write_text(text)
    stack = private_stack(config=config)
    stream = open_stream(stack, "/api/sse/stream")
    stack.wait_subscribed(Spools.CHANNEL)
    begin, end = text.index("[route.spools]"), text.index("# ---- blog")
    config.write_text(text[:begin] + text[end:])
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert fetch(stack, "/api/sse/stream", headers={"Accept": "*/*"}).status == 404
    payload = Spools(stack.redis).update()
    assert stream.next_event().data == payload


def test_a_reload_reads_a_changed_secret_file(private_stack, tmp_path, job):
    secret = tmp_path / "secret"
    secret.write_text("the-first-secret-of-this-test-0001")
    secret.chmod(0o600)
    stack = private_stack({"provider.blog.secret_file": str(secret)})
    endpoint = routes.Progress(stack, job).create()
    assert (
        open_stream(stack, endpoint.path, headers=endpoint.headers()).status == 401
    ), "the token is signed with another secret"
    entry = json.loads((stack.dir / "stack.json").read_text())["providers"]["blog"]
    secret.write_text(entry["secret"])
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert open_stream(stack, endpoint.path, headers=endpoint.headers()).status == 200


# ---- the binary ---------------------------------------------------------------------------------------


def test_the_version_is_printed_as_one_line():
    done = subprocess.run([default_binary(), "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"tailgate \S+\n", done.stdout) and done.stderr == ""


# ---- logs -------------------------------------------------------------------------------------------


def test_logs_are_json_lines_without_secrets(private_stack, job):
    stack = private_stack({**DRAIN, "limits.streams_per_user": 50})
    session = "sess-5e55105e55105e55"
    tokens = [
        stack.token(),
        stack.token("blog"),
        stack.token(broken="expired"),
        stack.token("blog", broken="signature"),
        stack.token(broken="malformed"),
    ]
    Builder(stack.redis, job).create()
    Blog(stack.redis, job, "alice", session).create("running")
    blog, status = f"/api/v1/jobs/{job}/stream", f"/api/jobs/{job}/stream"
    for token in tokens:
        for headers, query in (
            ({"Authorization": f"Bearer {token}"}, ""),
            ({"Cookie": f"accessToken={token}"}, ""),
            ({}, f"?token={token}"),
            ({"Authorization": f"Bearer {token}"}, f"?token={token}&limit=x&last_event_id={token}"),
        ):
            for path in (
                blog,
                status,
                f"/api/jobs/{job}/logs",
                "/api/sse/stream",
                f"/nothing/{job}",
                "/api/jobs/a%20b/stream",
            ):
                open_stream(stack, path + query, headers=headers, via="plain").close()
            open_stream(stack, status + query, headers=headers, method="POST", http="2").close()
            open_stream(stack, status + query, headers=headers, via="gateway").close()
    for headers, query in (
        ({"x-session-id": session}, ""),
        ({}, f"?sessionId={session}"),
        ({}, f"?sessionid={session}"),
    ):
        open_stream(stack, blog + query, headers=headers).close()
    open_stream(stack, blog + f"?token={tokens[0]}" + "&x=" * 3000, headers={}).close()
    open_stream(stack, "/" + "x" * 8000 + f"?token={tokens[0]}").close()
    # During failures nginx and the gateway log more.
    stack.redis.set(f"jobs:{job}x", "of another type")
    fetch(stack, f"/api/v1/jobs/{job}x/stream?token={tokens[1]}")
    os.kill(stack.redis_pid, signal.SIGKILL)
    fetch(stack, f"{blog}?token={tokens[1]}&sessionId={session}")
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_gone(stack.gateway_pid, 5)
    for path in (blog, status, "/api/sse/stream"):
        open_stream(
            stack,
            f"{path}?token={tokens[0]}&sessionId={session}",
            headers={"Authorization": f"Bearer {tokens[0]}", "x-session-id": session},
        ).close()
    os.unlink(stack.gateway_socket)
    os.unlink(stack.auth_socket)
    for path in (blog, status, "/api/sse/stream"):
        open_stream(
            stack, f"{path}?token={tokens[0]}&sessionId={session}", headers={"Cookie": f"accessToken={tokens[1]}"}
        ).close()

    providers = json.loads((stack.dir / "stack.json").read_text())["providers"]
    secrets = [
        session,
        providers["blog"]["secret"],
        Path(stack.facts["identity_key_file"]).read_text().strip(),
        "v1.NT",
    ]
    secrets += [part for token in tokens for part in token.split(".") if len(part) > 40]
    texts = {path.name: path.read_text(errors="replace") for path in Path(stack.facts["log_dir"]).iterdir()}
    assert {"gateway-0.log", "nginx-access.log"} <= set(texts)
    assert len(texts["nginx-access.log"]) > 5000 and len(texts["gateway-0.log"]) > 1000
    for name, text in texts.items():
        for secret in secrets:
            at = text.find(secret)
            assert at < 0, f"{name}: ...{text[max(0, at - 150):at + 60]!r}"
    for name in ("gateway-0.log", "nginx-access.log"):
        for line in texts[name].splitlines():
            assert isinstance(json.loads(line), dict), line


def test_each_log_line_has_a_time_a_level_and_an_event_name(stack, job):
    open_live_stream(routes.Status(stack, job).create()).close()
    lines = wait_until(lambda: stack.logs("stream.closed") and stack.logs(), 3, "a stream was closed")
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
        assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", line["event"])


def test_each_stream_is_logged_in_one_line_at_its_end(private_stack, job):
    stack = private_stack()
    endpoint = routes.Status(stack, job).create()
    other = routes.Status(stack, job + "b").create("bob")
    stream = open_live_stream(endpoint)
    endpoint.finish()
    stream.rest()
    again = open_stream(stack, other.path, headers=other.headers("bob"))
    again.next_event()
    again.close()
    closed = wait_until(lambda: len(stack.logs("stream.closed")) >= 2 and stack.logs("stream.closed"), 3, "both lines")
    assert len(closed) == 2
    first, second = closed
    assert (first["route"], first["why"], second["why"]) == ("status", "terminal", "client_left")
    assert first["events"] == len(stream.events) and first["bytes"] == len(stream.raw)
    assert 0 <= first["seconds"] < 10
    assert first["subject"] and first["subject"] != second["subject"] and "alice" not in json.dumps(closed)


def test_refused_requests_and_bad_messages_do_not_fill_the_log(private_stack, job):
    stack = private_stack()
    before = len(stack.log_text())
    for n in range(60):
        fetch(stack, f"/api/jobs/{job}-{n}/stream", headers=stack.bearer(broken="malformed"))
        fetch(stack, f"/api/jobs/{job}-{n}/logs", headers=stack.bearer())
        fetch(stack, "/nothing", via="gateway")
        stack.redis.set(f"job:{job}-{n}", "x")
        fetch(stack, f"/api/jobs/{job}-{n}/logs", headers=stack.bearer())
        stack.redis.publish(Spools.CHANNEL, "nonsense")
    assert len(stack.log_text()) - before < 60 * 60
