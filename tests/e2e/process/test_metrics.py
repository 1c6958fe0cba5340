"""/metrics: the format and the counts."""

import contextlib
import re
import subprocess
import time

import pytest

from support import routes
from support.clients import dial, fetch
from support.publishers import Spools
from support.routes import open_live_stream
from support.stack import ROOT
from support.waiting import wait_until

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


@contextlib.contextmanager
def open_unparsed(endpoint):
    """Opens a stream.  Yields a function that throws away what has arrived, which is faster than reading events."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in endpoint.headers().items())
    with dial(endpoint.stack, "plain") as link:
        link.sendall(f"GET {endpoint.path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        assert link.recv(12) == b"HTTP/1.1 200"
        link.setblocking(False)

        def discard():
            with contextlib.suppress(BlockingIOError):
                while link.recv(1 << 20):
                    pass

        yield discard


@pytest.mark.parametrize(
    "kind, write",
    [
        (routes.Updates, publish_ignored_message),
        # Slow and with the release build: a busy machine delivers too few lines of one log to make rests worthwhile.
        pytest.param(routes.Lines, write_a_line, marks=pytest.mark.slow),
    ],
)
def test_a_redis_link_rests_between_reads_only_under_heavy_traffic(private_stack, job, kind, write, monkeypatch):
    if kind is routes.Lines:
        monkeypatch.setenv("TAILGATE_BINARY", str(ROOT / "build/release/tailgate"))
    stack = private_stack()

    def rests():
        return stack.metrics()["tailgate_redis_rests_total"]

    endpoint = kind(stack, job).create()
    with open_live_stream(endpoint), open_unparsed(endpoint) as discard:
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
                discard()  # the gateway reads no further lines while its clients read none
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
