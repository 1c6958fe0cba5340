"""Readiness: the gateway is ready only when Redis has answered each kind of read that its routes need."""

import json
import os
import signal

import pytest

from support.clients import fetch, open_stream, sealed
from support.publishers import Builder
from support.redis_servers import acl_of_readme, make_cluster
from support.stack import DEPLOY
from support.waiting import wait_until


def readiness(stack):
    """(status, why) of /readyz."""
    status, body = stack.ops("/readyz")
    return status, json.loads(body).get("why", "")


def wait_why(stack, text):
    wait_until(lambda: text in readiness(stack)[1], 10, f"/readyz says {text!r}")
    assert readiness(stack)[0] == 503


def wait_ready(stack):
    wait_until(lambda: readiness(stack) == (200, ""), 15, "the gateway is ready")


def gateway(private_stack, url, **more):
    return private_stack(gateway_redis=url, wait="alive", nginx=False, **more)


CLUSTER_ADVICE = "this is a node of a Redis Cluster, and Tailgate needs one server that holds all keys"


def test_a_gateway_at_a_sentinel_is_not_ready_and_says_why(private_stack, start_redis):
    sentinel = start_redis(sentinel=True)
    stack = gateway(private_stack, sentinel.url)
    why = "this is a Sentinel, which holds no data; redis.url must name the primary"
    wait_why(stack, f"redis: {why}")
    assert why in {line["why"] for line in stack.logs("redis.unreachable")}
    assert not stack.logs("ready")


def test_a_gateway_at_a_sentinel_that_hides_its_role_names_the_refused_command(private_stack, start_redis):
    sentinel = start_redis("user limited on >secret +@all -role", sentinel=True)
    stack = gateway(private_stack, sentinel.url.replace("//", "//limited:secret@"))
    wait_why(stack, "redis: HMGET is refused: ERR unknown command")
    wait_why(stack, "is it a Sentinel or a proxy? redis.url must name the primary")
    refused = [(line["command"], line["key"]) for line in stack.logs("redis.refused")]
    assert {command for command, _ in refused} >= {"HMGET", "XRANGE", "XREVRANGE"}
    assert len(set(refused)) == len(refused), "each refusal is logged once, not once for each id"
    assert "job:0" not in stack.ops("/readyz")[1], "/readyz names no key"


def test_a_gateway_at_a_cluster_node_without_slots_is_not_ready_and_says_why(private_stack, start_redis):
    node = start_redis("cluster-enabled yes", "cluster-port {bus_port}")
    stack = gateway(private_stack, node.url)
    wait_why(stack, f"is refused: CLUSTERDOWN Hash slot not served; {CLUSTER_ADVICE}")
    assert {line["advice"] for line in stack.logs("redis.refused")} == {CLUSTER_ADVICE}
    assert len(stack.logs("redis.lost")) < 30, "the check does not fill the log"


def test_a_gateway_at_one_of_two_cluster_nodes_is_not_ready_and_says_why(private_stack, start_redis):
    nodes = make_cluster(start_redis, (0, 8191), (8192, 16383))
    stack = gateway(private_stack, nodes[0].url)
    wait_why(stack, f"is refused: MOVED; {CLUSTER_ADVICE}")

    def refusals():
        return [(line["command"], line["key"], line["why"]) for line in stack.logs("redis.refused")]

    wait_until(lambda: ("HMGET", "job:{id}", "MOVED") in refusals(), 5, "each kind of read is refused")
    refused = refusals()
    assert len(set(refused)) == len(refused), "each refusal is logged once"
    assert str(nodes[1].port) not in stack.ops("/readyz")[1], "/readyz names no internal address"


def test_a_gateway_at_the_only_node_of_a_cluster_is_ready_and_serves(private_stack, start_redis, job):
    (node,) = make_cluster(start_redis, (0, 16383))
    stack = gateway(private_stack, node.url)
    wait_ready(stack)
    worker = Builder(node.client, job).create()
    worker.log("first")
    path = f"/api/jobs/{job}/logs"
    page = fetch(stack, path, headers=sealed(stack, path, stack.bearer()), via="gateway")
    assert page.status == 200 and [line["text"] for line in page.json()["lines"]] == ["first"]


@pytest.mark.parametrize(
    "right, command",
    [
        ("hmget", "HMGET"),
        ("xrange", "XRANGE"),
        ("xinfo|stream", "XINFO STREAM"),
        ("xread", "XREAD"),
        ("xrevrange", "XREVRANGE"),
        ("subscribe", "NOPERM"),
    ],
)
def test_a_gateway_without_a_right_is_not_ready_until_the_right_is_granted(private_stack, start_redis, right, command):
    server = start_redis(f"user {acl_of_readme()}")
    server.client.execute_command("ACL", "SETUSER", "tailgate", f"-{right}")
    stack = gateway(private_stack, server.url.replace("//", "//tailgate:secret@"))
    wait_why(stack, 'the Redis user lacks a right; see "Redis rights" in deploy/README.md')
    wait_why(stack, command)
    assert not stack.logs("ready")
    server.client.execute_command("ACL", "SETUSER", "tailgate", f"+{right}")
    wait_ready(stack)


def test_a_gateway_whose_user_may_read_only_real_ids_is_ready(private_stack, start_redis):
    server = start_redis(f"user {acl_of_readme()}")
    server.client.execute_command(
        "ACL", "SETUSER", "tailgate", "resetkeys", "~job*:prod-*", "resetchannels", "&tailgate:*", "&job*:prod-*",
        "&spools:*",
    )  # fmt: skip
    stack = gateway(private_stack, server.url.replace("//", "//tailgate:secret@"))
    wait_ready(stack)
    assert {line["level"] for line in stack.logs("redis.refused")} == {"warning"}


def test_a_reload_before_the_first_readiness_changes_what_is_checked(private_stack, start_redis, tmp_path):
    server = start_redis(f"user {acl_of_readme()}")
    server.client.execute_command("ACL", "SETUSER", "tailgate", "-xrevrange")
    config = tmp_path / "site.toml"
    text = (DEPLOY / "all-three.toml").read_text()
    config.write_text(text)
    stack = gateway(private_stack, server.url.replace("//", "//tailgate:secret@"), config=config)
    wait_why(stack, "XREVRANGE is refused")
    text = text[: text.index("[route.log-pages]")] + text[text.index("[route.spools]") :]
    config.write_text(text)
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_ready(stack)


def test_a_gateway_without_a_right_to_any_channel_is_not_ready_until_it_is_granted(private_stack, start_redis):
    server = start_redis(f"user {acl_of_readme()}")
    server.client.execute_command("ACL", "SETUSER", "tailgate", "resetchannels", "&tailgate:*")
    stack = gateway(private_stack, server.url.replace("//", "//tailgate:secret@"))
    wait_why(stack, "redis: SUBSCRIBE is refused: NOPERM")
    server.client.execute_command("ACL", "SETUSER", "tailgate", "&*")
    wait_ready(stack)


def test_a_plain_url_at_a_tls_port_asks_whether_the_port_speaks_tls(private_stack, start_redis):
    server = start_redis()
    server.stop()
    stack = gateway(private_stack, server.url)
    wait_why(stack, "redis: Connection refused")
    server.use_tls(stack.dir / "tls")
    server.start()
    wait_why(stack, "does this port speak TLS? then rediss://")
    said = {line["why"] for line in stack.logs("redis.unreachable")}
    assert any(why.endswith("; does this port speak TLS? then rediss://") for why in said), said


def test_a_gateway_waits_while_redis_loads_its_data(private_stack, start_redis):
    server = start_redis("key-load-delay 2000", "loading-process-events-interval-bytes 1024")
    pipe = server.client.pipeline(transaction=False)
    for number in range(2000):
        pipe.set(f"filler:{number}", "x" * 100)
    pipe.execute()
    server.client.save()
    server.stop()
    stack = gateway(private_stack, server.url)
    server.start()
    wait_why(stack, "LOADING")
    wait_ready(stack)


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_gateway_waits_while_a_replica_has_no_primary(private_stack, start_redis, stale):
    server = start_redis("replicaof 127.0.0.1 1", f"replica-serve-stale-data {stale}")
    stack = gateway(private_stack, server.url)
    wait_why(stack, "redis: this replica does not follow its primary 127.0.0.1:1")
    server.client.execute_command("REPLICAOF", "NO", "ONE")
    wait_ready(stack)


def test_a_ready_gateway_stays_ready_when_redis_refuses_a_read_later(private_stack, start_redis):
    server = start_redis(f"user {acl_of_readme()}")
    stack = gateway(private_stack, server.url.replace("//", "//tailgate:secret@"))
    wait_ready(stack)
    calls = server.client.info("commandstats")["cmdstat_hmget"]["calls"]
    server.client.execute_command("ACL", "SETUSER", "tailgate", "-hmget")
    server.client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: stack.logs("redis.lost"), 5, "the loss is noticed")
    assert readiness(stack) == (200, "")
    wait_until(lambda: len(server.client.client_list()) >= 5, 5, "the links are back")
    assert (
        server.client.info("commandstats")["cmdstat_hmget"]["calls"] == calls
    ), "the check asks only until it has passed"


def test_the_check_leaves_no_subscription_behind(private_stack, start_redis):
    server = start_redis()
    stack = gateway(private_stack, server.url)
    wait_ready(stack)
    own = {"job:0:events", "jobs:0:events", "spools:updates"}
    wait_until(lambda: not own & set(server.client.pubsub_channels()), 8, "the channels are unsubscribed")
    assert stack.metrics()["tailgate_channels_watched"] == 0
    with open_stream(stack, "/api/sse/stream", via="gateway") as stream:
        assert stream.status == 200
