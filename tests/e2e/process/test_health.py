"""/healthz and /readyz, and the listeners that serve them."""

import json
import os
import signal

import pytest

from support.clients import fetch
from support.waiting import wait_until


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
