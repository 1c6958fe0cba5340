"""The rights of the Redis user: those in deploy/README.md suffice, and a missing right disables only what needs it."""

import subprocess
import time

import pytest

from support.clients import fetch, open_stream
from support.publishers import Blog, Builder, Spools
from support.redis_servers import acl_of_readme, command_of_readme
from support.waiting import wait_until

KEYSPACE = "&__keyspace@0__:*"
INVALIDATIONS = "&__redis__:invalidate"


def stack_for(private_stack, rules, events="Kt"):
    return private_stack(
        redis_conf=[f"notify-keyspace-events {events}", f"user {rules}"],
        gateway_redis="unix://tailgate:secret@{run}/redis.sock",
    )


def test_the_documented_redis_rights_suffice_for_every_route(private_stack, job):
    stack = stack_for(private_stack, acl_of_readme())
    builder = Builder(stack.redis, job).create()
    Blog(stack.redis, job, user="7").create()
    events = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    spools = open_stream(stack, "/api/sse/stream")
    progress = open_stream(stack, f"/api/v1/jobs/{job}/stream", headers=stack.bearer("7", "blog"))
    for stream in (events, lines, spools, progress):
        stream.wait_head()
        assert stream.status == 200
    builder.log("first")
    assert '"first"' in lines.next_event().data
    builder.publish("snapshot.updated")
    assert "snapshot.updated" in events.next_event().data
    Spools(stack.redis).update("TOMAR")
    assert spools.next_event().name == "spool_update"
    assert fetch(stack, f"/api/jobs/{job}/logs", headers=stack.bearer()).json()["lines"][0]["text"] == "first"
    assert {client["user"] for client in stack.connections()} == {"tailgate"}
    assert not stack.logs("redis.lost")


def without(rules, *words):
    for word in words:
        assert word in rules, f"{word} is not among the rights that deploy/README.md names"
        rules = rules.replace(word, "")
    return rules


def test_the_documented_acl_command_works_in_a_shell(stack):
    command = command_of_readme().replace("redis-cli", f"redis-cli -s {stack.facts['redis_socket']}")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("OK\n", "")
    assert "+client|tracking" in stack.redis.acl_getuser("tailgate")["commands"]
    stack.redis.acl_deluser("tailgate")


@pytest.mark.parametrize("events", ["Kt", '""'])
def test_the_documented_redis_rights_suffice_for_log_wakeups(private_stack, job, events):
    stack = stack_for(private_stack, acl_of_readme(), events)
    builder = Builder(stack.redis, job).create()
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    lines.wait_head()
    by = "notifications" if events == "Kt" else "tracking"

    def woken():
        builder.log("line")
        lines.next_event()
        return [line["by"] for line in stack.logs("log.wakeups")][-1:] == [by]

    wait_until(woken, 5, f"wake-ups by {by}")
    assert not stack.logs("log.wakeups_refused") and not stack.logs("redis.lost")


@pytest.mark.parametrize(
    "missing, refused, lost",
    [
        ([KEYSPACE], ["notifications"], 1),
        ([INVALIDATIONS, KEYSPACE], ["notifications", "tracking"], 2),
        (["+client|tracking", KEYSPACE], ["notifications", "tracking"], 1),
        (["+client|id", INVALIDATIONS], ["tracking"], 0),
    ],
)
def test_log_lines_arrive_without_the_redis_rights_for_wakeups(private_stack, job, missing, refused, lost):
    stack = stack_for(private_stack, without(acl_of_readme(), *missing), "Kt" if KEYSPACE in missing else '""')
    builder = Builder(stack.redis, job).create()
    events = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    events.wait_head()
    lines.wait_head()
    wait_until(
        lambda: sorted({line["of"] for line in stack.logs("log.wakeups_refused")}) == refused,
        5,
        "the refusal is logged",
    )

    def woken_by():
        builder.log("line")
        assert '"line"' in lines.next_event().data
        return {line["by"] for line in stack.logs("log.wakeups")}

    if "tracking" in refused:
        assert woken_by() == set(), "logs are swept from the beginning"
    else:
        wait_until(lambda: woken_by() == {"tracking"}, 5, "logs are tracked instead")
    if lost:
        events.events_until("resync")
    builder.publish("snapshot.updated")
    events.events_until(lambda event: "snapshot.updated" in event.data)
    assert len(stack.logs("redis.lost")) == lost


def test_a_channel_that_redis_does_not_permit_fails_only_its_own_route(private_stack, job):
    stack = stack_for(private_stack, acl_of_readme().replace("&jobs:* ", ""))
    builder = Builder(stack.redis, job).create()
    Blog(stack.redis, job, user="7").create()
    events = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
    for _ in range(3):
        refused = fetch(stack, f"/api/v1/jobs/{job}/stream", headers=stack.bearer("7", "blog"))
        assert refused.status == 503
    events.events_until("resync")
    builder.publish("snapshot.updated")
    events.events_until(lambda event: "snapshot.updated" in event.data)
    # The channel jobs:0:events belongs to the check before the first readiness.
    assert [line["channel"] for line in stack.logs("channel.refused")] == ["jobs:0:events", f"jobs:{job}:events"]
    assert len(stack.logs("redis.lost")) == 2
    assert [(line["command"], line["key"], line["example"]) for line in stack.logs("redis.refused")] == [
        ("SUBSCRIBE", "jobs:{id}:events", "jobs:0:events")
    ]


def test_revoking_the_right_to_a_channel_closes_its_streams(private_stack, job):
    stack = stack_for(private_stack, acl_of_readme())
    Blog(stack.redis, job, user="7").create()
    spools = open_stream(stack, "/api/sse/stream")
    progress = open_stream(stack, f"/api/v1/jobs/{job}/stream", headers=stack.bearer("7", "blog"))
    assert progress.status == 200
    stack.redis.execute_command("ACL", "SETUSER", "tailgate", "resetchannels", "&spools:updates", "&tailgate:*")
    assert progress.wait_closed(10), "an open stream would miss messages without notice"
    spools.events_until("resync", timeout=10)


def test_thirty_channels_revoked_at_once_cost_the_other_streams_one_resync(private_stack, job):
    """Each refused channel costs the gateway one connection."""
    stack = stack_for(private_stack, acl_of_readme())
    progress = []
    for number in range(30):
        Blog(stack.redis, f"{job}-{number}", user="7").create()
        path = f"/api/v1/jobs/{job}-{number}/stream"
        progress.append(open_stream(stack, path, headers=stack.bearer("7", "blog")).wait_head())
    spools = open_stream(stack, "/api/sse/stream").wait_head()
    begin = time.monotonic()
    stack.redis.execute_command("ACL", "SETUSER", "tailgate", "resetchannels", "&spools:updates", "&tailgate:*")
    spools.events_until("resync", timeout=20)
    assert time.monotonic() - begin < 10, "about 40 s with a wait before each connection"
    for stream in progress:
        assert stream.wait_closed(10)
    Spools(stack.redis).update("TOMAR")
    spools.events_until("spool_update")
    assert [event.name for event in spools.events].count("resync") == 1


def wait_tracked(stack, builder, lines):
    def tracked():
        builder.log("line")
        lines.next_event()
        return [line["by"] for line in stack.logs("log.wakeups")][-1:] == ["tracking"]

    wait_until(tracked, 15, "logs are tracked")


def test_a_line_announced_to_a_lost_subscriber_link_arrives_after_its_reconnect(private_stack, job):
    """The user lacks the right to keyspace notifications: otherwise the gateway would read the log when Redis confirms
    the subscription to its notifications."""
    stack = stack_for(private_stack, without(acl_of_readme(), KEYSPACE), '""')
    builder = Builder(stack.redis, job).create()
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    lines.wait_head()
    took = []
    for number in range(5):
        wait_tracked(stack, builder, lines)
        pipe = stack.redis.pipeline(transaction=True)
        pipe.client_kill_filter(_type="pubsub")
        pipe.xadd(builder.log_key, {"text": f"number {number}"})
        begin = time.monotonic()
        pipe.execute()
        lines.events_until(lambda event, number=number: f"number {number}" in event.data)
        took.append(time.monotonic() - begin)
    assert sorted(took)[2] < 1.5, f"a sweep would take 2 s or more: {took}"


@pytest.mark.parametrize("right", ["client|tracking", "client|id"])
def test_logs_are_swept_at_once_when_the_right_to_tracking_is_revoked(private_stack, job, right):
    stack = stack_for(private_stack, acl_of_readme(), '""')
    builder = Builder(stack.redis, job).create()
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    lines.wait_head()
    took = []
    for number in range(3):
        stack.redis.execute_command("ACL", "SETUSER", "tailgate", f"+{right}")
        # Tracking is enabled when the gateway reconnects.
        for one in stack.connections():
            stack.redis.client_kill_filter(_id=one["id"])
        wait_tracked(stack, builder, lines)
        refusals = len(stack.logs("log.wakeups_refused"))
        stack.redis.execute_command("ACL", "SETUSER", "tailgate", f"-{right}")
        stack.redis.client_kill_filter(_type="pubsub")
        wait_until(lambda: len(stack.logs("log.wakeups_refused")) > refusals, 5, "the refusal is logged")  # noqa: B023
        begin = time.monotonic()
        builder.log(f"number {number}")
        lines.events_until(lambda event, number=number: f"number {number}" in event.data)
        took.append(time.monotonic() - begin)
    assert sorted(took)[1] < 1, f"a slow sweep would take 2 s: {took}"


def test_without_the_right_to_ask_for_the_role_streams_work_and_the_log_says_so_once(private_stack, job):
    stack = stack_for(private_stack, without(acl_of_readme(), "+role"))
    builder = Builder(stack.redis, job).create()
    events = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
    events.wait_head()
    for client in stack.connections():
        stack.redis.client_kill_filter(_id=client["id"])
    events.events_until("resync")
    builder.publish("snapshot.updated")
    events.events_until(lambda event: "snapshot.updated" in event.data)
    assert len(stack.logs("redis.role_refused")) == 1
    # Without ROLE, only PING shows the state of the server.  A replica that has lost its primary refuses PING only if
    # it refuses all reads.
    stack.redis.config_set("replica-serve-stale-data", "no")
    stack.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    wait_until(lambda: stack.metrics()['tailgate_redis_up{link="subscriber"}'] == 0, 8, "the loss is noticed")
    stack.redis.execute_command("REPLICAOF", "NO", "ONE")
    events.events_until("resync", timeout=10)


@pytest.mark.slow
def test_announcements_granted_at_run_time_are_used_after_the_next_reconnect(private_stack, job):
    stack = stack_for(private_stack, without(acl_of_readme(), KEYSPACE))
    builder = Builder(stack.redis, job).create()
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    lines.wait_head()
    wait_until(lambda: stack.logs("log.wakeups_refused"), 5, "the refusal is logged")
    stack.redis.execute_command("ACL", "SETUSER", "tailgate", KEYSPACE)
    begin = time.monotonic()

    def notified():
        builder.log("line")
        lines.next_event()
        if time.monotonic() > begin + 62:  # the gateway asks again after 60 s, on a new connection
            stack.redis.client_kill_filter(_type="pubsub")
        return [line["by"] for line in stack.logs("log.wakeups")][-1:] == ["notifications"]

    while not notified():
        assert time.monotonic() < begin + 90
        time.sleep(1)
