"""/metrics: the format and the counts."""

import re
import subprocess

from support import routes
from support.clients import fetch
from support.publishers import Spools
from support.routes import open_live_stream
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
            assert kind in ("counter", "gauge", "histogram") and name not in types
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = match[1] if match[1] in types else re.sub("_(bucket|sum|count)$", "", match[1])
            assert name in types and name in helped and line.rpartition(" ")[0] not in seen
            assert (types[name] == "counter") == name.endswith("_total"), name
            assert (types[name] == "histogram") == (name != match[1]), match[1]
            assert match[1].startswith(("tailgate_", "process_"))
            seen.add(line.rpartition(" ")[0])
            assert float(match[3]) >= 0
    answer = subprocess.run(
        ["curl", "-sI", stack.ops_url + "/metrics"], capture_output=True, text=True, check=True
    ).stdout
    assert "content-type: text/plain; version=0.0.4" in answer.lower()


def test_the_metrics_show_how_long_the_turns_of_the_loop_take(private_stack, job):
    stack = private_stack()
    name = "tailgate_loop_turn_seconds"
    endpoint = routes.Events(stack, job).create()
    open_live_stream(endpoint)
    before = stack.metrics()
    for number in range(20):
        endpoint.write_number(number)
    metrics = wait_until(
        lambda: (now := stack.metrics())[f"{name}_count"] >= before[f"{name}_count"] + 20 and now, 5, "20 turns more"
    )
    counts = [count for label, count in metrics.items() if label.startswith(f"{name}_bucket")]
    assert len(counts) == 10 and counts == sorted(counts) and counts[-1] == metrics[f"{name}_count"]
    assert 0 < metrics[f"{name}_sum"] < 60


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
