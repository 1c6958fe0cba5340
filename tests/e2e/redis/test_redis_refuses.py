"""The answers that a client gets while Redis runs, but refuses commands or does not answer."""

import os
import signal

import pytest
import redis

from support import routes
from support.clients import fetch, open_stream
from support.publishers import Builder
from support.routes import open_live_stream
from support.unavailable import (
    EVENT_SOURCE,
    PAGES,
    QUICK,
    assert_refused,
    assert_unavailable,
    loss_count,
    wait_lost,
    wait_up,
)


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
