"""The workers of three example applications: builder, blog and spools.  They write during faults and record in the
ledger which writes Redis acknowledged.

Each worker numbers its messages and writes the number into its job's record before it publishes the message.  So the
auditor can check that a stream misses no event between the record and the first message.
"""

import asyncio
import json
import time

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from chaos.ledger import Item, Move, entry_id

LOST = (redis.exceptions.RedisError, OSError, asyncio.TimeoutError)


class _Connection(redis.asyncio.UnixDomainSocketConnection):
    host, port = "unix", 0  # python3-redis 4.3 reads both for its error messages


def connect(path, timeout=3):
    """A client that never retries a command, so that no message is published twice."""
    pool = redis.asyncio.ConnectionPool(
        connection_class=_Connection, path=path, decode_responses=True, socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0), client_name="load",
    )  # fmt: skip
    client = redis.asyncio.Redis(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


class Worker:
    """One job, which runs, ends, and runs again."""

    rests = (4.5, 8)  # seconds between the end of a run and the next run
    runs = (5, 18)  # seconds of a run

    def __init__(self, world, name, rng):
        self.world, self.name, self.rng = world, name, rng
        self.redis = connect(world.stack.facts["redis_socket"])
        self.job = world.ledger.job(name)
        self.channel = world.ledger.source(self.channel_name, "channel")
        self.status, self.n = None, 0
        self.padding = 0  # size of the padding in the next message, in bytes
        self._lock = asyncio.Lock()

    async def retry(self, call):
        """Repeats `call` until it succeeds."""
        while True:
            try:
                return await call()
            except LOST:
                await asyncio.sleep(0.1)

    async def write_record(self):
        """Writes all fields of the record, because Redis may have lost it."""
        async with self._lock:
            if self.status is not None:
                await self.retry(lambda: self.redis.hset(self.record_key, mapping=self.record()))

    async def move(self, status, terminal, published=False):
        sent = time.monotonic()
        self.status = status
        await self.write_record()
        self.job.moves.append(Move(sent, time.monotonic(), status, terminal, published))

    async def publish(self, channel, source, message, n):
        item = source.add(Item(n, time.monotonic()))
        try:
            await self.redis.publish(channel, json.dumps(message))
        except LOST:
            return
        item.acked = time.monotonic()

    async def publish_next(self, **more):
        self.n += 1
        n, padding, self.padding = self.n, self.padding, 0
        await self.write_record()
        await self.publish(self.channel_name, self.channel, self.message(n, "x" * padding, **more), n)

    async def run(self):
        while not self.world.over.is_set():
            await self.move("running", False)
            until = time.monotonic() + self.rng.uniform(*self.runs)
            while time.monotonic() < until and not self.world.over.is_set():
                await self.work()
                await asyncio.sleep(min(1.0, self.rng.expovariate(self.world.pace)))
            if self.world.over.is_set():
                return  # the job stays in status "running"
            await self.finish()
            await asyncio.sleep(self.rng.uniform(*self.rests))

    async def rest(self):
        """Writes nothing for a while.  The gateway reads a record that changes all the time only once a second, so
        otherwise it might notice a status late."""
        await asyncio.sleep(2.2)

    async def work(self):
        await self.publish_next()

    def forget_since(self, since):
        """Notes in the ledger which log entries Redis acknowledged after `since` and then lost."""

    async def close(self):
        await self.redis.close()


class BuilderJob(Worker):
    def __init__(self, world, name, rng, maxlen=None, fat_lines=0):
        self.channel_name, self.record_key, self.log_key = f"job:{name}:events", f"job:{name}", f"job:{name}:logs"
        super().__init__(world, name, rng)
        self.log = world.ledger.source(self.log_key, "log")
        self.maxlen, self.fat_lines = maxlen, fat_lines
        self.lines = 0
        self.unknown = []  # entries whose XADD failed

    def record(self):
        return {"user_id": "alice", "status": self.status, "status_message": f"n={self.n}"}

    def message(self, n, padding, **more):
        return {"type": "snapshot.updated", "job_id": self.name, "n": n, "padding": padding, **more}

    async def work(self):
        dice = self.rng.random()
        if dice < 0.4:
            await self.publish_next()
        elif dice < 0.97:
            for _ in range(self.rng.choice((1, 1, 2, 5))):
                await self.write_line()
        else:
            for _ in range(120):
                await self.write_line()

    async def write_line(self):
        if self.unknown:
            await self.find_unknown()
        self.lines += 1
        item = self.log.add(Item(self.lines, time.monotonic()))
        text = f"{item.n} " + "y" * (self.rng.randrange(self.fat_lines) if self.fat_lines else 20)
        fields = {"ts": "t", "source": "stdout", "text": text, "phase": "build"}
        try:
            entry = await self.redis.xadd(self.log_key, fields, maxlen=self.maxlen, approximate=False)
        except LOST:
            self.unknown.append(item)
            await asyncio.sleep(0.05)
            return
        item.acked, item.id = time.monotonic(), entry_id(entry)

    def forget_since(self, since):
        for item in self.log.items.values():
            if item.acked is not None and item.acked > since:
                item.rolled_back = True

    async def find_unknown(self):
        """Finds out which entries of a failed XADD the log has.  No further entry is written before that."""
        found = await self.retry(lambda: self.redis.xrevrange(self.log_key, count=len(self.unknown) + 5))
        ids = {int(fields["text"].split(" ", 1)[0]): entry_id(entry) for entry, fields in found}
        for item in self.unknown:
            if item.n in ids:
                item.id, item.acked = ids[item.n], time.monotonic()
        self.unknown.clear()

    async def finish(self):
        if self.unknown:
            await self.find_unknown()
        status = self.rng.choice(("ready", "failed"))
        if self.rng.random() < 0.6:
            self.n += 1
            await self.move(status, True, published=True)
            message = self.message(self.n, "", status=status)
            await self.publish(self.channel_name, self.channel, message, self.n)
        else:
            await self.rest()
            await self.move(status, True)  # a worker whose PUBLISH failed
        for _ in range(self.rng.choice((0, 0, 1, 2))):  # workers flush their last lines after the status
            await asyncio.sleep(self.rng.uniform(0.05, 0.7))
            await self.write_line()

    async def read_remaining(self):
        """Notes in the ledger which entries the log still has."""
        if self.unknown:
            await self.find_unknown()
        entries = await self.retry(lambda: self.redis.xrange(self.log_key))
        self.log.left = {int(fields["text"].split(" ", 1)[0]) for _, fields in entries}


class BlogJob(Worker):
    def __init__(self, world, name, rng):
        self.channel_name, self.record_key = f"jobs:{name}:events", f"jobs:{name}"
        super().__init__(world, name, rng)

    def record(self):
        return {
            "user_id": "alice",
            "status": self.status,
            "progress": self.n,
            "result": json.dumps({"n": self.n}),
            "error": "E",
        }

    def message(self, n, padding):
        return {"event": "step-change", "data": {"n": n, "padding": padding}}

    async def finish(self):
        status = self.rng.choice(("succeeded", "failed", "cancelled"))
        if self.rng.random() < 0.6:
            self.n += 1
            await self.move(status, True, published=True)
            if status == "succeeded":
                message = {"event": "complete", "data": {"result": None, "n": self.n}}
            else:
                message = {"event": "failed", "data": {"error": "E", "errorCode": None, "n": self.n}}
            await self.publish(self.channel_name, self.channel, message, self.n)
        else:
            await self.rest()
            await self.move(status, True)  # a worker whose PUBLISH failed


class SpoolsUpdates(Worker):
    channel_name = "spools:updates"

    def __init__(self, world, rng):
        super().__init__(world, "spools", rng)

    async def write_record(self):
        """Spools have no record."""

    def message(self, n, padding):
        return {"event_type": "TOMAR", "n": n, "timestamp": f"2026-01-01T00:00:{n}", "padding": padding}

    async def run(self):
        while not self.world.over.is_set():
            await self.publish_next()
            await asyncio.sleep(min(1.0, self.rng.expovariate(self.world.pace)))


class Chatter:
    """Publishes bursts of messages that no client receives."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.redis = connect(world.stack.facts["redis_socket"])

    async def run(self):
        while not self.world.over.is_set():
            await asyncio.sleep(self.rng.uniform(0.5, 3))
            until = time.monotonic() + self.rng.uniform(0.1, 0.4)
            # A false notification makes the gateway read the log and find nothing new.
            channel = self.rng.choice((SpoolsUpdates.channel_name, "__keyspace@0__:job:b0:logs"))
            # No bursts while the network is throttled: they would delay all messages by seconds.
            while time.monotonic() < until and self.world.proxy.rate == 0:
                burst = self.redis.pipeline(transaction=False)
                for _ in range(40):
                    burst.publish(channel, "-")
                try:
                    await burst.execute()
                except LOST:
                    pass
                await asyncio.sleep(0.003)

    async def close(self):
        await self.redis.close()
