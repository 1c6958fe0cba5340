"""The end of a gateway by ECS and by systemd: a drain, then SIGTERM."""

import os
import signal
import time
from datetime import datetime
from pathlib import Path

from support import routes
from support.clients import fetch, open_stream
from support.restarts import LATE, alive, exit_status
from support.routes import open_live_stream
from support.waiting import wait_until


def test_an_ecs_shutdown_drains_before_sigterm_and_exits_before_the_deadline(private_stack, job):
    # In a container no other gateway has the same sockets.
    stack = private_stack({"drain.settle_s": 1, "drain.deadline_s": 5}, own_sockets=True)
    pid = stack.gateway_pid
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint) for endpoint in endpoints for _ in range(4)]
    begin = time.monotonic()
    # The load balancer deregisters the task.
    assert stack.ops("/drain", "POST")[0] == 202
    assert stack.ops("/readyz")[0] == 503
    late = open_stream(stack, endpoints[1].path, headers=endpoints[1].headers())
    assert late.next_event().json()["job_id"] == endpoints[1].job, "it serves while it settles"
    # After the settling, new streams are refused, and open ones end one after the other.
    wait_until(
        lambda: fetch(stack, endpoints[1].path, headers=endpoints[1].headers()).status == 503,
        4,
        "new streams are refused",
    )
    assert time.monotonic() - begin > 0.9

    def drained():
        return [line for line in stack.logs("stream.closed") if line["why"] == "drained"]

    wait_until(drained, 5, "the first stream has ended")
    # A SIGTERM after POST /drain counts as the first signal, so the gateway does not exit at once.
    os.kill(pid, signal.SIGTERM)
    for stream in streams:
        stream.wait_closed(6)
    assert {stream.ended for stream in streams} == {"clean"}
    times = [datetime.fromisoformat(line["time"]) for line in drained()]
    assert (max(times) - min(times)).total_seconds() > 0.8, "the ends are spread over time"
    assert all(1000 <= stream.retry <= 15000 for stream in streams)
    assert len({stream.retry for stream in streams}) > len(streams) / 2, "jittered"
    wait_until(
        lambda: not alive(pid) or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(), 3, "the gateway exits"
    )
    assert time.monotonic() - begin < 5 + LATE
    assert stack.logs("stopped")[-1]["streams_cut"] == 0 and not stack.logs("stop.now")


def test_a_systemd_stop_drains_and_a_second_sigterm_exits_at_once(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.3, "drain.deadline_s": 3})
    pid = stack.gateway_pid
    stream = open_live_stream(routes.Events(stack, job).create())
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    assert stream.wait_closed(4) and 1000 <= stream.retry <= 15000
    assert exit_status(stack, pid, 4) == 0
    assert time.monotonic() - begin < 3 + LATE
    # systemd starts the next gateway after the old one has exited.
    stack.restart()
    pid = stack.gateway_pid
    cut = open_live_stream(routes.Lines(stack, job).create())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: len(stack.logs("drain.begun")) == 2, 2, "the gateway drains")
    begin = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    assert exit_status(stack, pid, 2) == 0
    assert time.monotonic() - begin < 1
    assert cut.wait_closed() is False, "a client must be able to distinguish a cut from the end"
    assert stack.logs("stop.now")
