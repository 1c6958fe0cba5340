"""The workers of the three systems under faults: they write on, and write down what Redis took.

Each counts its messages.  The number stands in the record before it is published, so that an opening can be held
to "no missed event".
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
    host, port = "unix", 0  # what python3-redis 4.3 names in its errors, also where there is none


def connect(path, timeout=3):
    """A client that tries nothing twice: what was published once is published once."""
    pool = redis.asyncio.ConnectionPool(
        connection_class=_Connection, path=path, decode_responses=True, socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0), client_name="load",
    )  # fmt: skip
    client = redis.asyncio.Redis(connection_pool=pool)
    client.auto_close_connection_pool = True
    return client


class Worker:
    """One job, running, ending, and running again."""

    rests = (4.5, 8)  # seconds between its end and its next run
    runs = (5, 18)

    def __init__(self, world, name, rng):
        self.world, self.name, self.rng = world, name, rng
        self.redis = connect(world.stack.facts["redis_socket"])
        self.job = world.ledger.job(name)
        self.channel = world.ledger.source(self.channel_name, "channel")
        self.status, self.n = None, 0
        self.fat = 0  # bytes that the next message has beside its number
        self._lock = asyncio.Lock()

    async def until_taken(self, call):
        while True:
            try:
                return await call()
            except LOST:
                await asyncio.sleep(0.1)

    async def write_record(self):
        """The whole record; for whoever lost it, too."""
        async with self._lock:
            if self.status is not None:
                await self.until_taken(lambda: self.redis.hset(self.record_key, mapping=self.record()))

    async def move(self, status, terminal):
        sent = time.monotonic()
        self.status = status
        await self.write_record()
        self.job.moves.append(Move(sent, time.monotonic(), status, terminal))

    async def publish(self, channel, source, message, n):
        item = source.add(Item(n, time.monotonic()))
        try:
            await self.redis.publish(channel, json.dumps(message))
        except LOST:
            return
        item.acked = time.monotonic()

    async def say(self, **more):
        self.n += 1
        n, fat, self.fat = self.n, self.fat, 0
        await self.write_record()
        await self.publish(self.channel_name, self.channel, self.message(n, "x" * fat, **more), n)

    async def run(self):
        while not self.world.over.is_set():
            await self.move("running", False)
            until = time.monotonic() + self.rng.uniform(*self.runs)
            while time.monotonic() < until and not self.world.over.is_set():
                await self.work()
                await asyncio.sleep(min(1.0, self.rng.expovariate(self.world.pace)))
            if self.world.over.is_set():
                return  # it runs still: what it has written must have come
            await self.finish()
            await asyncio.sleep(self.rng.uniform(*self.rests))

    async def work(self):
        await self.say()

    def forget_since(self, since):
        """Redis has never heard of what it took after `since`."""

    async def close(self):
        await self.redis.close()


class BuilderJob(Worker):
    def __init__(self, world, name, rng, maxlen=None, fat_lines=0):
        self.channel_name, self.record_key, self.log_key = f"job:{name}:events", f"job:{name}", f"job:{name}:logs"
        super().__init__(world, name, rng)
        self.log = world.ledger.source(self.log_key, "log")
        self.maxlen, self.fat_lines = maxlen, fat_lines
        self.lines = 0
        self.unknown = []  # lines of which Redis has not said whether it took them

    def record(self):
        return {"user_id": "alice", "status": self.status, "status_message": f"n={self.n}"}

    def message(self, n, padding, **more):
        return {"type": "snapshot.updated", "job_id": self.name, "n": n, "padding": padding, **more}

    async def work(self):
        dice = self.rng.random()
        if dice < 0.4:
            await self.say()
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
        """Whether Redis has taken the lines on which its answer was lost; no other line is written before that is known."""
        found = await self.until_taken(lambda: self.redis.xrevrange(self.log_key, count=len(self.unknown) + 5))
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
            await self.move(status, True)
            message = self.message(self.n, "", status=status)
            await self.publish(self.channel_name, self.channel, message, self.n)
        else:
            await self.move(status, True)  # a worker whose PUBLISH failed

    async def look_back(self):
        """What is left of the log, for the auditor."""
        if self.unknown:
            await self.find_unknown()
        entries = await self.until_taken(lambda: self.redis.xrange(self.log_key))
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
        await self.move(status, True)
        if self.rng.random() < 0.6:
            if status == "succeeded":
                message = {"event": "complete", "data": {"result": None}}
            else:
                message = {"event": "failed", "data": {"error": "E", "errorCode": None}}
            # Its last message says nothing that the record does not; it has no number of its own.
            try:
                await self.redis.publish(self.channel_name, json.dumps(message))
            except LOST:
                return


class SpoolsUpdates(Worker):
    channel_name = "spools:updates"

    def __init__(self, world, rng):
        super().__init__(world, "spools", rng)

    async def write_record(self):
        """There is none."""

    def message(self, n, padding):
        return {"event_type": "TOMAR", "n": n, "timestamp": f"2026-01-01T00:00:{n}", "padding": padding}

    async def run(self):
        while not self.world.over.is_set():
            await self.say()
            await asyncio.sleep(min(1.0, self.rng.expovariate(self.world.pace)))


class Chatter:
    """Bursts of what no route hands on: a busy link rests between its reads, and nothing may be lost by that."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.redis = connect(world.stack.facts["redis_socket"])

    async def run(self):
        while not self.world.over.is_set():
            await asyncio.sleep(self.rng.uniform(0.5, 3))
            until = time.monotonic() + self.rng.uniform(0.1, 0.4)
            # What Redis itself would publish of a log makes the gateway look at it, and find nothing new.
            channel = self.rng.choice((SpoolsUpdates.channel_name, "__keyspace@0__:job:b0:logs"))
            # A throttled network would be behind for seconds.
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
