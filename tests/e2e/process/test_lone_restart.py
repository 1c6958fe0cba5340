"""Health through nginx while a gateway with inherited sockets restarts and no other process accepts for it."""

import json
import os
import signal
import time

import pytest

from support import routes
from support.clients import fetch
from support.routes import open_live_stream
from support.waiting import wait_until
from tailgate_stack import gateway, state

DEADLINE = 4
WITHIN = 1 + 0.5  # seconds: what the contract promises, and what a busy machine may need


def timed(stack, path, via):
    begin = time.monotonic()
    answer = fetch(stack, path, via=via)
    return answer.status, answer.json(), time.monotonic() - begin


@pytest.mark.parametrize("via", ["plain", "ops"])
def test_a_draining_gateway_answers_health_at_once_until_a_successor_accepts(private_stack, job, via):
    stack = private_stack({"drain.settle_s": 0.5, "drain.deadline_s": DEADLINE})
    old = stack.gateway_pid
    held = open_live_stream(routes.Lines(stack, job).create())
    os.kill(old, signal.SIGTERM)
    wait_until(lambda: stack.logs("drain.begun"), 2, "the gateway drains")
    end = time.monotonic() + DEADLINE / 2
    while time.monotonic() < end:
        status, body, seconds = timed(stack, "/readyz", via)
        assert (status, body["status"], body["pid"]) == (503, "draining", old)
        assert seconds < WITHIN
        status, body, seconds = timed(stack, "/healthz", via)
        assert (status, body["status"]) == (200, "alive")
        assert seconds < WITHIN
    assert held.ended is None
    assert held.wait_closed(DEADLINE)


@pytest.mark.parametrize("via", ["plain", "ops"])
def test_a_gateway_that_drains_after_post_drain_leaves_health_to_a_successor(private_stack, job, via):
    stack = private_stack({"drain.settle_s": 0.5, "drain.deadline_s": DEADLINE})
    held = open_live_stream(routes.Lines(stack, job).create())
    facts = state.load(stack.dir)
    entry = facts["processes"]["gateway-0"]
    assert stack.ops("/drain", "POST")[0] in (200, 202)
    # This does not use stack.restart(), which would send SIGTERM to the old gateway.
    successor = gateway.start_on_kept_sockets(facts, "gateway-0", entry["command"], entry["env"])

    def answer():
        status, body, _ = timed(stack, "/readyz", "ops")
        return status, body["pid"]

    wait_until(lambda: answer() == (200, successor), 5, "the successor is ready")
    for _ in range(30):
        status, body, seconds = timed(stack, "/readyz", via)
        assert (status, body["pid"]) == (200, successor)
        assert seconds < WITHIN
    assert held.ended is None, "the old gateway still drains"


@pytest.mark.parametrize("via", ["plain", "ops"])
def test_a_draining_gateway_leaves_health_to_a_successor_that_accepts(private_stack, job, via):
    stack = private_stack({"drain.settle_s": 0.5, "drain.deadline_s": DEADLINE})
    held = open_live_stream(routes.Lines(stack, job).create())
    stack.restart()
    for _ in range(50):
        status, body, seconds = timed(stack, "/readyz", via)
        assert (status, body["pid"]) == (200, stack.gateway_pid)
        assert seconds < WITHIN
    assert held.ended is None, "the old gateway still drains"


def test_a_gateway_that_hangs_is_not_ready_and_nginx_says_so_within_a_second(private_stack):
    stack = private_stack()
    os.kill(stack.gateway_pid, signal.SIGSTOP)
    try:
        status, body, seconds = timed(stack, "/readyz", "plain")
        assert (status, body["status"]) == (503, "no answer")
        assert seconds < WITHIN
        # nginx cannot distinguish this from a restart, in which systemd holds the socket.
        status, body, seconds = timed(stack, "/healthz", "plain")
        assert (status, body["status"]) == (200, "restarting")
        assert seconds < WITHIN
    finally:
        os.kill(stack.gateway_pid, signal.SIGCONT)


def test_a_gateway_whose_socket_is_closed_is_not_alive(private_stack):
    stack = private_stack()
    os.kill(stack.gateway_pid, signal.SIGKILL)
    wait_until(lambda: timed(stack, "/healthz", "plain")[0] == 503, 5, "nginx notices")
    for path in ("/healthz", "/readyz"):
        status, body, seconds = timed(stack, path, "plain")
        assert (status, json.dumps(body)) == (503, '{"status": "no answer"}')
        assert seconds < WITHIN


def test_one_ready_gateway_of_several_suffices(private_stack):
    stack = private_stack(instances=2)
    hung = stack.facts["pids"]["gateways"][0]
    os.kill(hung, signal.SIGSTOP)
    try:
        # nginx asks the two in turn, so that every other request first goes to the one that hangs.
        wait_until(
            lambda: all(timed(stack, "/readyz", "plain")[0] == 200 for _ in range(4)),
            30,
            "nginx finds the ready gateway",
        )
    finally:
        os.kill(hung, signal.SIGCONT)
