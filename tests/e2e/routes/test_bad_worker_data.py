"""Data of workers cannot forge a field of an event or make invalid JSON."""

import json

import pytest

from support import routes
from support.bad_input import PATHS
from support.clients import open_stream
from support.publishers import Blog
from support.waiting import wait_until


@pytest.mark.parametrize("evil", ["x\nid: end", "x\r\rdata: forged", "x\0y", "\n\nevent: complete\ndata: {}\n\n"])
def test_a_name_or_id_from_redis_cannot_forge_a_field(stack, job, evil):
    blog = Blog(stack.redis, job, user="alice").create("running", current_step=evil)
    stream = open_stream(stack, PATHS["job"].format(job), headers=stack.bearer("alice", "blog"))
    standing = stream.events_until("progress-update")[-1]
    assert standing.json()["currentStep"] == evil
    blog.publish(evil, {"a": 1})
    blog.publish("step-change", {"text": evil})
    event = stream.next_event()
    assert (event.name, event.json()) == ("step-change", {"text": evil})
    assert stream.last_id == ""
    spools = open_stream(stack, PATHS["spools"])
    wait_until(lambda: stack.subscribers("spools:updates"), 5, "the subscription of the spools stream")
    marker = f"{job}-{len(evil)}"
    stack.redis.publish("spools:updates", json.dumps({"event_type": "TOMAR", "timestamp": evil, "tag": marker}))
    came = spools.events_until(lambda event: json.loads(event.data).get("tag") == marker)[-1]
    assert came.name == "spool_update" and came.json()["timestamp"] == evil
    assert "id:" not in [block for block in spools.blocks if marker in block][0].replace(json.dumps(evil), "")


@pytest.mark.parametrize("kind", [routes.Status, routes.Progress], ids=lambda kind: kind.route)
def test_a_record_with_arbitrary_bytes_gives_valid_json(stack, job, kind):
    endpoint = kind(stack, job).create()
    for field in ("status_message", "progress", "current_step", "estimated_seconds_remaining", "result"):
        stack.redis.hset(endpoint.record_key, field, b'\xff\x00\n\r"\\{}')
    stream = open_stream(stack, endpoint.path, headers=endpoint.headers())
    events = stream.events_until(lambda event: event.name in ("message", "progress-update"))
    for event in events:
        event.json()
