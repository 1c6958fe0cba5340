"""Redis can be wrong although no connection is lost.  No message is lost silently then: a stream of a channel gets a
`resync` event or ends, and a stream of a log reads on after its last id."""

import threading
import time

import pytest
import redis

from support import routes
from support.clients import fetch, open_stream
from support.publishers import Builder
from support.routes import open_live_stream
from support.waiting import wait_until

NOTICED = 3 + 2  # seconds: probe_every_s, and what a busy machine may need


class Follower:
    """A stack whose gateway reads `server`; workers write to `writer`."""

    def __init__(self, private_stack, server, job):
        self.stack = private_stack(gateway_redis=server.url)
        self.server, self.job = server, job

    def open_events(self):
        return open_stream(self.stack, f"/api/jobs/{self.job}/events/stream", headers=self.stack.bearer()).wait_head()

    def open_lines(self):
        return open_stream(self.stack, f"/api/jobs/{self.job}/logs/stream", headers=self.stack.bearer()).wait_head()

    def is_up(self):
        metrics = self.stack.metrics()
        return all(
            metrics[f'tailgate_redis_up{{link="{name}"}}'] for name in ("subscriber", "records", "logs", "pages")
        )

    def wait_lost(self):
        wait_until(lambda: not self.is_up(), NOTICED, "the loss is noticed")


def publish_until_received(stream, worker, text, timeout=10):
    """Publishes until an event with `text` arrives."""

    def arrived():
        worker.publish(text)
        stream.pump(0.05)
        return any(text in event.data for event in stream.events)

    wait_until(arrived, timeout, f"{text} arrives")


def test_a_demoted_primary_counts_as_lost_and_its_streams_get_resync(private_stack, start_redis, job):
    old, new = start_redis(), start_redis()
    new.follow(old)
    worker = Builder(old.client, job).create("running")
    follower = Follower(private_stack, old, job)
    events, lines = follower.open_events(), follower.open_lines()
    worker.log("before")
    assert "before" in lines.next_event().data
    # A planned fail-over.  No connection is closed.
    wait_until(lambda: new.client.hgetall(worker.key), 5, "the replica has the record")
    clients = {one["id"] for one in old.client.client_list() if one["name"].startswith("tailgate")}
    new.client.execute_command("REPLICAOF", "NO", "ONE")
    old.client.execute_command("REPLICAOF", "127.0.0.1", str(new.port))
    assert clients <= {one["id"] for one in old.client.client_list()}
    worker.redis = new.client
    worker.publish("lost")
    worker.log("after")
    events.events_until("resync", timeout=NOTICED + 10)
    publish_until_received(events, worker, "arrived")
    got = lines.events_until(lambda event: "after" in event.data, timeout=10)
    assert [event.name for event in got if event.name != "heartbeat"] == ["log"]
    whys = {line["why"] for line in follower.stack.logs("redis.lost")}
    assert whys & {
        f"this replica does not follow its primary 127.0.0.1:{new.port}",
        f"the server was a primary and is a replica of 127.0.0.1:{new.port}",
    }, whys
    assert not [event for event in lines.events if event.name == "gap"]


def test_a_replica_that_follows_its_primary_is_read_and_one_that_lost_it_counts_as_lost(
    private_stack, start_redis, job
):
    primary, replica = start_redis(), start_redis()
    worker = Builder(primary.client, job).create("running")
    replica.follow(primary)
    follower = Follower(private_stack, replica, job)
    events, lines = follower.open_events(), follower.open_lines()
    publish_until_received(events, worker, "one")
    worker.log("one")
    assert "one" in lines.next_event().data
    time.sleep(NOTICED)
    assert follower.is_up() and not follower.stack.logs("redis.lost"), "a replica that follows is sound"
    primary.client.save()
    primary.stop()
    follower.wait_lost()
    assert events.pump().ended is None and lines.pump().ended is None
    primary.start()
    events.events_until("resync", timeout=20)
    publish_until_received(events, worker, "two")
    worker.log("two")
    lines.events_until(lambda event: "two" in event.data, timeout=10)


def test_a_promoted_replica_counts_as_lost_for_a_moment(private_stack, start_redis, job):
    """After the promotion, messages published at the old primary do not arrive."""
    primary, replica = start_redis(), start_redis()
    worker = Builder(primary.client, job).create("running")
    replica.follow(primary)
    follower = Follower(private_stack, replica, job)
    events = follower.open_events()
    publish_until_received(events, worker, "one")
    replica.client.execute_command("REPLICAOF", "NO", "ONE")
    worker.publish("lost")
    events.events_until("resync", timeout=NOTICED + 5)
    worker.redis = replica.client
    publish_until_received(events, worker, "two")


@pytest.mark.parametrize("stale", ["yes", "no"])
def test_a_replica_without_its_primary_counts_as_lost_until_it_is_promoted(private_stack, job, stale):
    stack = private_stack({"redis.wait_s": 0.6})
    opened = []
    for kind in routes.ALL:
        endpoint = kind(stack, f"{job}-{kind.route}").create()
        opened.append((endpoint, open_live_stream(endpoint)))
    stack.redis.config_set("replica-serve-stale-data", stale)
    stack.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    name = 'tailgate_redis_up{link="%s"}'
    for link in ("subscriber", "records", "logs", "pages"):
        wait_until(lambda link=link: stack.metrics()[name % link] == 0, NOTICED, f"the loss of {link} is noticed")
    for endpoint, stream in opened:
        assert stream.pump().ended is None, endpoint.route
    status = opened[1][0]
    assert fetch(stack, status.path, headers=status.headers()).status == 503
    stack.redis.execute_command("REPLICAOF", "NO", "ONE")
    for endpoint, stream in opened:
        if endpoint.route == "job":
            assert stream.wait_closed(10), "its client polls the status then"
        elif endpoint.channel:
            assert stream.events_until("resync", timeout=10)[-1].json() == {"reason": "redis-reconnected"}
            wait_until(lambda endpoint=endpoint: endpoint.write_number(3), 5, "a subscriber")
            stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 3)
        else:
            endpoint.write_number(3)
            assert endpoint.number_in(stream.events_until("log", timeout=10)[-1]) == 3
            assert not [event for event in stream.events if event.name == "gap"]


# ---- no message is lost silently ------------------------------------------------------------------------


class Publisher(threading.Thread):
    """Publishes numbers on the channel of `endpoint` until it is told to stop.  `published` holds those that Redis
    has accepted."""

    def __init__(self, endpoint):
        super().__init__()
        self.endpoint, self.published, self.stopping = endpoint, [], threading.Event()
        self.client = redis.Redis(
            unix_socket_path=endpoint.stack.facts["redis_socket"], client_name="test", socket_timeout=30
        )

    def run(self):
        number = 0
        while not self.stopping.wait(0.01):
            number += 1
            try:
                self.endpoint.write_number(number, self.client)
                self.published.append(number)
            except redis.exceptions.RedisError:
                pass

    def stop(self):
        self.stopping.set()
        self.join(40)
        self.client.close()


def pause_all(stack):
    stack.redis.execute_command("CLIENT", "PAUSE", "1500", "ALL")


def pause_writes(stack):
    stack.redis.execute_command("CLIENT", "PAUSE", "1500", "WRITE")
    time.sleep(1.5)


def kill_pubsub(stack):
    stack.redis.client_kill_filter(_type="pubsub")


def kill_normal(stack):
    stack.redis.client_kill_filter(_type="normal", skipme=True)


def busy_script(stack):
    stack.redis.config_set("busy-reply-threshold", 100)
    other = redis.Redis(unix_socket_path=stack.facts["redis_socket"], client_name="test")

    def run():
        with pytest.raises(redis.exceptions.ResponseError):
            other.execute_command("EVAL", "while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(4)  # longer than the time between two probes
    stack.redis.execute_command("SCRIPT", "KILL")
    thread.join(10)
    other.close()


def cannot_save(stack):
    """MISCONF: Redis refuses writes and PING, because the last save failed."""
    stack.redis.config_set("stop-writes-on-bgsave-error", "yes")
    stack.redis.config_set("save", "3600 1")
    folder = stack.dir / "redis" / "gone"
    folder.mkdir()
    stack.redis.config_set("dir", str(folder))
    folder.rmdir()
    stack.redis.set("a", "b")
    stack.redis.execute_command("BGSAVE")
    wait_until(lambda: stack.redis.info("persistence")["rdb_last_bgsave_status"] == "err", 5, "the save fails")
    with pytest.raises(redis.exceptions.ResponseError, match="MISCONF"):
        stack.redis.set("a", "c")
    time.sleep(4)
    stack.redis.config_set("save", "")


def small_output_buffer(stack):
    stack.redis.config_set("client-output-buffer-limit", "pubsub 16384 0 0")
    for _ in range(20):
        stack.redis.publish("spools:updates", '{"event_type":"TOMAR","n":0,"filler":"%s"}' % ("x" * 40_000))
    stack.redis.config_set("client-output-buffer-limit", "pubsub 33554432 8388608 60")


def demotion(stack):
    stack.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    time.sleep(4)
    stack.redis.execute_command("REPLICAOF", "NO", "ONE")


def revoked_channel(stack):
    stack.redis.execute_command("ACL", "SETUSER", "default", "resetchannels", "&tailgate:*", "&job:*")
    time.sleep(0.5)
    stack.redis.execute_command("ACL", "SETUSER", "default", "allchannels")


def debug_sleep(stack):
    with redis.Redis(unix_socket_path=stack.facts["redis_socket"], client_name="test", socket_timeout=30) as client:
        client.execute_command("DEBUG", "SLEEP", "4")


FAULTS = [
    pause_all,
    pause_writes,
    kill_pubsub,
    kill_normal,
    busy_script,
    cannot_save,
    small_output_buffer,
    demotion,
    revoked_channel,
    debug_sleep,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_message_is_lost_silently_while_redis_is_wrong(private_stack, job, fault):
    stack = private_stack(redis_conf=["enable-debug-command yes", "enable-protected-configs yes"])
    endpoint = routes.Updates(stack, job)
    stream = open_live_stream(endpoint)
    publisher = Publisher(endpoint)
    publisher.start()
    try:
        stream.events_until(lambda event: (endpoint.number_in(event) or 0) > 5)
        fault(stack)
        # After the fault `revoked_channel` the gateway leaves the channel out for 30 s.  Then the stream has ended.
        after = publisher.published[-1]
        stream.wait(
            lambda: any((endpoint.number_in(event) or 0) > after + 20 for event in stream.events), 20, "later messages"
        )
    finally:
        publisher.stop()
    if stream.ended:
        return  # its client reconnects
    last, told = None, False
    for event in stream.events:
        if event.name == "resync":
            told = True
            continue
        number = endpoint.number_in(event)
        if number is None or number < 1:
            continue
        missing = [one for one in publisher.published if last is not None and last < one < number]
        assert last is None or number > last, "in order, each once"
        assert told or not missing, f"lost silently: {missing[:10]}"
        last, told = number, False


# ---- commands that concern all keys of a database ----------------------------------------------------------


def test_swapdb_causes_a_gap_event_and_ends_streams_by_their_record(private_stack, job):
    """Redis announces SWAPDB by no notification and no invalidation, so the slow sweep finds it."""
    stack = private_stack(redis_conf=["notify-keyspace-events KA"])
    worker = Builder(stack.redis, job).create("running")
    lines = open_stream(stack, f"/api/jobs/{job}/logs/stream", headers=stack.bearer()).wait_head()
    last = worker.log("last")
    assert "last" in lines.next_event().data
    with redis.Redis(unix_socket_path=stack.facts["redis_socket"], db=1, client_name="test") as other:
        Builder(other, job).create("running")
        fresh = Builder(other, job).log("of the other database")
    begin = time.monotonic()
    stack.redis.execute_command("SWAPDB", "0", "1")
    gap = lines.events_until("gap", timeout=6)[-1]
    assert gap.json() == {"requested": last, "first_available": fresh if isinstance(fresh, str) else fresh.decode()}
    assert time.monotonic() - begin < 4
    assert "of the other database" in lines.next_event().data
