"""The memory budget of the process, which streams it ends first, and limits that a flood cannot exceed."""

import pytest

from support.clients import fetch, open_stream
from support.publishers import Builder
from support.seals import seal
from support.waiting import wait_until

BUDGET = 96 << 20
PIECE = "x" * 60_000


def reader(stack, worker, route, path, **more):
    """A stream at the gateway's own socket.  It receives only the bytes that the test reads."""
    headers = seal(stack, route, worker.job, user=worker.user)
    stream = open_stream(stack, path.format(worker.job), headers=headers, via="gateway", **more)
    assert stream.status == 200
    return stream


@pytest.fixture
def crowded(private_stack, job):
    """(stack, workers, streams): a budget of 96 MB, and sixty jobs, each with one stream that nobody reads."""
    stack = private_stack(
        {"limits.memory_mb": BUDGET >> 20, "redis.wakeups": "sweep"},
        redis_conf=["client-output-buffer-limit pubsub 0 0 0"],
    )
    workers = [Builder(stack.redis, f"{job}-{number}").create() for number in range(60)]
    streams = [reader(stack, worker, "events", "/api/jobs/{}/events/stream") for worker in workers]
    return stack, workers, streams


def flood(workers, good, kept_up):
    """Publishes 3.6 MB for the streams that nobody reads, and waits until the gateway has received them."""
    for worker in workers:
        worker.publish("noise", text=PIECE)
    good.publish("snapshot.updated")
    kept_up.events_until(lambda event: "snapshot.updated" in event.data, timeout=20)


def ended(stack, route, why):
    return stack.metrics().get(f'tailgate_streams_ended_total{{route="{route}",reason="{why}"}}', 0)


def test_over_the_memory_budget_only_channel_streams_with_large_backlogs_end(crowded, job):
    stack, workers, streams = crowded
    good = Builder(stack.redis, f"{job}-good").create()
    kept_up = open_stream(stack, f"/api/jobs/{good.job}/events/stream", headers=stack.bearer())
    line = reader(stack, good, "log-stream", "/api/jobs/{}/logs/stream")
    ids = good.log_many(3000, prefix="y" * 200)  # the log stream is not read, so the gateway stops feeding it
    for _ in range(50):  # at most 3 MB a stream: below the limit of one stream, but together above the budget
        flood(workers, good, kept_up)
        if ended(stack, "events", "memory"):
            break
    assert ended(stack, "events", "memory") > 0
    wait_until(lambda: stack.metrics()["tailgate_heap_bytes"] < BUDGET, 10, "the heap is within its budget")
    assert ended(stack, "log-stream", "memory") == 0, "a log stream that is not read needs little memory"
    good.publish("snapshot.updated")
    kept_up.events_until(lambda event: "snapshot.updated" in event.data, timeout=20)
    assert [event.last_id for event in line.take_events(3000, timeout=30)] == ids
    shed = stack.logs("memory.shed")
    assert shed and sum(entry["streams"] for entry in shed) == ended(stack, "events", "memory")
    for stream in streams:
        stream.reset()


def test_near_the_memory_budget_pages_and_new_streams_get_503(crowded, job):
    stack, workers, streams = crowded
    good = Builder(stack.redis, f"{job}-good").create()
    page, stream_path = f"/api/jobs/{good.job}/logs", f"/api/jobs/{good.job}/stream"
    headers = stack.bearer()
    assert fetch(stack, page, headers=headers).status == 200
    kept_up = open_stream(stack, f"/api/jobs/{good.job}/events/stream", headers=headers)
    for _ in range(50):
        if stack.logs("memory.tight"):
            break
        flood(workers, good, kept_up)
    wait_until(lambda: stack.logs("memory.tight"), 5, "memory is tight")
    wait_until(lambda: fetch(stack, page, headers=headers).status == 503, 2, "pages are refused")
    refused = fetch(stack, stream_path, headers=headers)
    assert refused.status == 503 and 1 <= int(refused.headers["retry-after"]) <= 30
    for stream in streams:
        stream.reset()
    wait_until(lambda: stack.logs("memory.relaxed"), 5, "memory is free again")
    assert fetch(stack, page, headers=headers).status == 200
    assert open_stream(stack, stream_path, headers=headers).status == 200


def test_at_most_1000_unavailable_answers_are_held_open_over_the_stream_limit(private_stack, job):
    stack = private_stack({"limits.streams": 1})
    worker = Builder(stack.redis, job).create()
    first = reader(stack, worker, "events", "/api/jobs/{}/events/stream")
    held = [reader(stack, worker, "events", "/api/jobs/{}/events/stream") for _ in range(1000)]
    assert held[0].next_event().json() == {"reason": "limit"}
    headers = seal(stack, "events", job, user=worker.user)
    answer = fetch(stack, f"/api/jobs/{job}/events/stream", headers=headers, via="gateway")
    assert answer.status == 429 and "retry-after" in answer.headers
    held.pop().close()
    wait_until(lambda: ended(stack, "events", "client_left") == 1, 5, "one client has disconnected")
    assert reader(stack, worker, "events", "/api/jobs/{}/events/stream").status == 200
    worker.publish("snapshot.updated")
    assert "snapshot.updated" in first.next_event().data


def test_a_user_and_a_session_with_the_same_name_have_separate_limits(private_stack, job):
    stack = private_stack({"limits.streams_per_user": 1})
    for kind in ("user", "session"):
        stack.redis.hset(f"jobs:{job}-{kind}", mapping={f"{kind}_id": "same", "status": "running"})
        headers = seal(stack, "job", f"{job}-{kind}", **{kind: "same"})
        stream = open_stream(stack, f"/api/v1/jobs/{job}-{kind}/stream", headers=headers, via="gateway")
        assert stream.status == 200, kind
