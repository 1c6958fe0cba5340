"""Open streams stay open when the gateway loses Redis, and announce what they may have missed."""

import asyncio
import tempfile
import threading
import time

import pytest

from chaos.proxy import FaultProxy
from support import routes
from support.clients import NotReceived, open_stream
from support.publishers import Builder
from support.waiting import wait_until

RESYNC = ("resync", {"reason": "redis-reconnected"})


@pytest.fixture(params=["cut", "killed"])
def lose_redis(request):
    """lose_redis(stack) cuts all connections, or kills Redis and starts it again with the records only."""

    def lose(stack):
        if request.param == "cut":
            for client in stack.connections():
                stack.redis.client_kill_filter(_id=client["id"])
        else:
            kept = {
                key: stack.redis.hgetall(key) for key in stack.redis.keys("job*") if stack.redis.type(key) == "hash"
            }
            stack.restart("redis", kill=True)
            for key, fields in kept.items():
                stack.redis.hset(key, mapping=fields)

    return lose


@pytest.fixture
def faulty_network():
    """faulty_network(redis_socket) starts a FaultProxy to Redis at `.path`.  `.now(f)` calls f(proxy) in the proxy's
    thread."""

    class Network:
        def __init__(self, folder):
            self.path = f"{folder}/redis.sock"
            self.loop = asyncio.new_event_loop()
            self.thread = threading.Thread(target=self.loop.run_forever)
            self.thread.start()
            self.proxy = None

        def __call__(self, redis_socket):
            self.proxy = FaultProxy(self.path, redis_socket)
            self.run(self.proxy.start())

        def now(self, fault):
            async def call():
                fault(self.proxy)

            self.run(call())

        def run(self, coroutine):
            asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(5)

        async def end(self):
            if self.proxy:
                await self.proxy.stop()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    with tempfile.TemporaryDirectory(prefix="tailgate-net-") as folder:
        network = Network(folder)
        yield network
        network.run(network.end())
        network.loop.call_soon_threadsafe(network.loop.stop)
        network.thread.join(5)
        network.loop.close()


def create_and_open(stack, kind, job):
    endpoint = kind(stack, job).create()
    return endpoint, routes.open_live_stream(endpoint)


def test_streams_stay_open_during_a_redis_loss_and_get_a_resync_event(private_stack, lose_redis, job):
    stack = private_stack()
    kinds = [routes.Events, routes.Status, routes.Updates]
    opened = [create_and_open(stack, kind, f"{job}-{kind.route}") for kind in kinds]
    lose_redis(stack)
    for endpoint, stream in opened:
        event = stream.next_event(10)
        assert (event.name, event.json()) == RESYNC, endpoint.route
        wait_until(lambda: endpoint.write_number(2), 5, "a subscriber")
        assert endpoint.number_in(stream.next_event()) == 2, endpoint.route


def test_a_route_with_on_gap_close_ends_its_streams_after_a_redis_loss(private_stack, lose_redis, job):
    stack = private_stack()
    _, stream = create_and_open(stack, routes.Progress, job)
    lose_redis(stack)
    assert stream.wait_closed(10)
    assert "id: end" not in stream.raw.decode(), "the client must reconnect"


@pytest.mark.parametrize("kind", routes.WITH_CHANNEL, ids=lambda kind: kind.route)
def test_a_job_that_ended_during_a_redis_loss_ends_its_streams(private_stack, job, kind):
    stack = private_stack()
    endpoint, stream = create_and_open(stack, kind, job)
    pipe = stack.redis.pipeline(transaction=True)
    for client in stack.connections():
        pipe.execute_command("CLIENT", "KILL", "ID", client["id"])
    status = "succeeded" if kind is routes.Progress else "ready"
    pipe.hset(endpoint.record_key, "status", status)
    pipe.execute()
    events = stream.rest(timeout=10)
    assert endpoint.is_final(events[-1]) and stream.last_id == "end"


def test_a_log_stream_resumes_after_a_redis_loss_without_gap_or_duplicate(private_stack, job):
    stack = private_stack()
    endpoint, stream = create_and_open(stack, routes.Lines, job)
    for turn in range(5):
        for client in stack.connections():
            stack.redis.client_kill_filter(_id=client["id"])
        numbers = range(10 + turn * 10, 20 + turn * 10)
        for number in numbers:
            endpoint.write_number(number)
        events = stream.take_events(10, timeout=10)
        assert [endpoint.number_in(event) for event in events] == list(numbers), "each line once, and no gap event"


def test_a_log_that_redis_lost_causes_a_gap_event(private_stack, job):
    stack = private_stack()
    endpoint, stream = create_and_open(stack, routes.Lines, job)
    last = stream.last_id
    stack.restart("redis", kill=True)
    endpoint.create()
    endpoint.write_number(5)
    events = stream.events_until("log", timeout=10)
    assert [event.name for event in events if event.name != "heartbeat"] == ["gap", "log"]
    assert events[0].json()["requested"] == last
    assert endpoint.number_in(events[-1]) == 5


def test_heartbeats_continue_while_redis_does_not_answer(private_stack, job):
    beats = {f"route.{kind.route}.heartbeat.every_s": 0.3 for kind in routes.ALL}
    stack = private_stack(beats)
    opened = [create_and_open(stack, kind, f"{job}-{kind.route}")[1] for kind in routes.ALL]
    stack.redis.execute_command("CLIENT", "PAUSE", "60000", "ALL")
    for stream in opened:
        before = len(stream.blocks)
        stream.wait(lambda: len(stream.blocks) >= before + 8, 6, "heartbeats")
        assert stream.ended is None


def test_a_new_request_waits_until_redis_answers_again(private_stack, job):
    stack = private_stack()
    endpoint = routes.Status(stack, job).create()
    headers = endpoint.headers()
    stack.redis.execute_command("CLIENT", "PAUSE", "1000", "ALL")
    stream = open_stream(stack, endpoint.path, headers=headers)
    assert stream.status == 200 and stream.next_event().json()["status"] == "running"
    with pytest.raises(NotReceived):
        stream.next_event(0.1)


def is_up(stack, link="subscriber"):
    return stack.metrics()[f'tailgate_redis_up{{link="{link}"}}'] == 1


@pytest.mark.parametrize("probe_s, found_within", [(0.5, 4), pytest.param(3, 10, marks=pytest.mark.slow)])
def test_a_half_open_redis_link_is_detected_and_causes_a_resync_event(
    private_stack, faulty_network, job, probe_s, found_within
):
    # No connection breaks, so only a missing answer shows the fault.  The default of probe_every_s is 3.
    stack = private_stack({"redis.probe_every_s": probe_s}, gateway_redis=f"unix:{faulty_network.path}", wait="alive")
    faulty_network(stack.facts["redis_socket"])
    wait_until(lambda: stack.ops("/readyz")[0] == 200 and is_up(stack), 10, "Redis is reached through the proxy")
    kinds = [routes.Events, routes.Status, routes.Updates, routes.Lines]
    opened = [create_and_open(stack, kind, f"{job}-{kind.route}") for kind in kinds]
    faulty_network.now(FaultProxy.swallow)
    wait_until(lambda: not is_up(stack), found_within, "the loss is detected")
    for endpoint, stream in opened:
        endpoint.write_number(2)
        assert stream.ended is None, endpoint.route
    faulty_network.now(FaultProxy.heal)
    for endpoint, stream in opened:
        if endpoint.channel:
            event = stream.next_event(10)
            assert (event.name, event.json()) == RESYNC, endpoint.route
            wait_until(lambda: endpoint.write_number(3), 5, "a subscriber")
            assert endpoint.number_in(stream.next_event()) == 3, endpoint.route
        else:
            endpoint.write_number(3)
            assert [endpoint.number_in(event) for event in stream.take_events(2, timeout=10)] == [2, 3]


def test_a_line_written_while_the_notification_link_is_lost_arrives_after_its_reconnect(stack_with, job):
    """Redis sends no notification of this line, so the gateway must read the log when it subscribes again."""
    stack = stack_with({"redis.wakeups": "notifications"}, redis_conf=["notify-keyspace-events Kt"])
    worker = Builder(stack.redis, job).create()
    stream = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer(), params={"last_event_id": "0-0"})
    worker.log("first")
    assert stream.next_event().json()["text"] == "first"
    took = []
    for number in range(5):
        pipe = stack.redis.pipeline(transaction=True)
        pipe.client_kill_filter(_type="pubsub")
        pipe.xadd(worker.log_key, {"text": str(number)})
        begin = time.monotonic()
        pipe.execute()
        assert stream.next_event(timeout=10).json()["text"] == str(number)
        took.append(time.monotonic() - begin)
    assert sorted(took)[2] < 1.5, f"a sweep would take 2 s or more: {took}"
