"""The Redis user: the minimal rights that README names suffice, and fewer cost only what they must."""

import re

from support.clients import fetch, open_stream
from support.publishers import Blog, Builder, Spools
from support.stack import ROOT
from support.waiting import wait_until

KEYSPACE = "&__keyspace@0__:*"


def acl_of_readme():
    """The rules of the ACL SETUSER line in README.md, as redis.conf takes them."""
    line = re.search(r"ACL SETUSER (tailgate .*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    return " ".join(line.replace("\\\n", " ").split())


def stack_for(private_stack, rules):
    return private_stack(
        redis_conf=["notify-keyspace-events Kt", f"user {rules}"],
        gateway_redis="unix://tailgate:secret@{run}/redis.sock",
    )


def test_the_rights_that_readme_names_suffice_for_every_route(private_stack, job):
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


def test_a_user_without_keyspace_notifications_has_its_logs_swept(private_stack, job):
    stack = stack_for(private_stack, acl_of_readme().replace(KEYSPACE, ""))
    builder = Builder(stack.redis, job).create()
    events = open_stream(stack, f"/api/jobs/{job}/events/stream", headers=stack.bearer())
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer())
    events.wait_head()
    lines.wait_head()
    wait_until(lambda: stack.logs("log.wakeups"), 5, "the gateway says that it sweeps")
    builder.log("swept")
    assert '"swept"' in lines.next_event().data
    events.events_until("resync")
    builder.publish("snapshot.updated")
    events.events_until(lambda event: "snapshot.updated" in event.data)
    assert len(stack.logs("redis.lost")) == 1


def test_a_channel_that_is_not_permitted_costs_its_own_route_only(private_stack, job):
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
    assert [line["channel"] for line in stack.logs("channel.refused")] == [f"jobs:{job}:events"]
    assert len(stack.logs("redis.lost")) == 1


def test_a_channel_that_is_permitted_no_longer_closes_its_streams(private_stack, job):
    stack = stack_for(private_stack, acl_of_readme())
    Blog(stack.redis, job, user="7").create()
    spools = open_stream(stack, "/api/sse/stream")
    progress = open_stream(stack, f"/api/v1/jobs/{job}/stream", headers=stack.bearer("7", "blog"))
    assert progress.status == 200
    stack.redis.execute_command("ACL", "SETUSER", "tailgate", "resetchannels", "&spools:updates", "&tailgate:*")
    assert progress.wait_closed(10), "silence would be a lie"
    spools.events_until("resync", timeout=10)
