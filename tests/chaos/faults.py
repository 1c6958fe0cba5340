"""The faults of a chaos run: a random schedule drawn from a seed, and the code that injects each fault.

Two lanes run at the same time, one for Redis and its network, one for the gateway and nginx, so that faults
coincide.  The window of a fault in the ledger ends when the system should have recovered.
"""

import asyncio
import os
import random
import shutil
import signal
import time
from pathlib import Path

from chaos.ledger import Rollback, Window
from chaos.load import connect

REDIS_FAULTS = (
    "redis-kill", "redis-empty", "redis-failover", "redis-stop", "kill-pubsub", "kill-normal", "output-buffer", "loading",
    "change-wakeups", "readonly", "masterdown", "net-delay", "net-cut", "net-swallow", "net-swallow-some", "net-stall", "net-throttle",
)  # fmt: skip
# How Redis announces changes of keys: notify-keyspace-events, whether CLIENT TRACKING is permitted, and
# tracking-table-max-keys.
WAKEUPS = {
    "notifications": ("Kth", "-", 1_000_000),
    "tracking": ("", "+", 1_000_000),
    "notifications of logs, tracking": ("Kt", "+", 1_000_000),
    "tracking in a small table": ("", "+", 2),
    "none": ("", "-", 1_000_000),
}
GATEWAY_FAULTS = ("gateway-kill", "gateway-term", "gateway-reload", "gateway-stop", "nginx-reload")


def lane(rng, faults, seconds, pauses):
    """A list of (pause before the fault, fault, duration, random number for its choices).  Each fault comes once
    before any fault comes again."""
    plan, at, bag = [], 0.0, []
    while True:
        if not bag:
            bag = rng.sample(faults, len(faults))
        pause, length = rng.uniform(*pauses), rng.uniform(0.3, 5)
        at += pause + length
        if at > seconds:
            return plan
        plan.append((pause, bag.pop(), length, rng.random()))


def schedule(seed, seconds):
    """The plans of the two lanes.  Equal seeds give equal plans."""
    pauses = (3, 9) if seconds > 60 else (1, 3)
    return (
        lane(random.Random(f"{seed} redis"), REDIS_FAULTS, seconds, pauses),
        lane(random.Random(f"{seed} gateway"), GATEWAY_FAULTS, seconds, pauses),
    )


class Faults:
    def __init__(self, world):
        self.world, self.stack, self.proxy = world, world.stack, world.proxy
        self.redis = connect(self.stack.facts["redis_socket"])
        self.counts = {}
        self.wakeups = random.Random(f"{world.seed} wakeups").choice(list(WAKEUPS))
        self.expected_gone = set()  # the pids of gateways that a fault ended
        self._stack_lock = asyncio.Lock()

    async def run(self, plan, until):
        """Injects the faults of the plan until the time `until`.  On a busy machine a fault may take longer than
        planned, so the last faults may be left out."""
        for pause, fault, length, choice in plan:
            if time.monotonic() + pause + length > until:
                return
            await asyncio.sleep(pause)
            begin = time.monotonic()
            # The window stays open until the fault is over, because its end is not known before that.
            window = Window(begin, float("inf"), fault)
            self.world.ledger.windows.append(window)
            self.world.print_line(f"{fault} for {length:.1f} s")
            after = await getattr(self, fault.replace("-", "_"))(length, choice)
            window.end = time.monotonic() + after + (self.world.patience - 1) * 2
            if fault == "nginx-reload":
                window.delays = False
            self.counts[fault] = self.counts.get(fault, 0) + 1

    async def on_stack(self, call, *arguments, **more):
        async with self._stack_lock:
            await asyncio.to_thread(call, *arguments, **more)

    async def command(self, *words):
        return await self.redis.execute_command(*words)

    async def redis_is_back(self):
        """Makes all workers write their records again, because Redis may have lost them."""
        await asyncio.gather(*(worker.write_record() for worker in self.world.workers))

    # Each fault returns the number of seconds in which the system recovers after it.

    # ---- Redis ----------------------------------------------------------------------------------------

    async def _restart_redis(self, prepare=None, length=0.0):
        # `scripts/stack restart` cannot pause between end and start, so Redis is killed here.
        os.kill(self.stack.redis_pid, signal.SIGKILL)
        await asyncio.to_thread(wait_gone, self.stack.redis_pid)
        if prepare:
            prepare()
        await asyncio.sleep(length)
        await self.on_stack(self.stack.restart, "redis", kill=True)
        await self.set_wakeups()
        await self.redis_is_back()
        return 5

    async def redis_kill(self, length, _choice):
        return await self._restart_redis(length=length)

    async def redis_empty(self, length, _choice):
        def forget():
            shutil.rmtree(self._append_only(), ignore_errors=True)
            self.world.ledger.losses.append(time.monotonic())

        return await self._restart_redis(forget, length)

    async def redis_failover(self, length, _choice):
        """Simulates a fail-over to a replica with old data: the last writes are lost."""
        copy, copied = Path(self.stack.dir) / "redis-behind", time.monotonic()
        shutil.rmtree(copy, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, self._append_only(), copy)
        whole = time.monotonic()
        await asyncio.sleep(length / 2)

        def go_back():
            shutil.rmtree(self._append_only())
            copy.rename(self._append_only())
            self.world.ledger.losses.append(time.monotonic())
            self.world.ledger.rollbacks.append(Rollback(copied, whole, time.monotonic()))
            for worker in self.world.workers:
                worker.forget_since(copied)

        after = await self._restart_redis(go_back, length / 2)
        self.world.ledger.rollbacks[-1].end = time.monotonic()
        return after

    def _append_only(self):
        return Path(self.stack.dir) / "redis" / "appendonlydir"

    async def redis_stop(self, length, _choice):
        os.kill(self.stack.redis_pid, signal.SIGSTOP)
        await asyncio.sleep(length * 2)  # sometimes longer than the timeout of the gateway's links
        os.kill(self.stack.redis_pid, signal.SIGCONT)
        return 5

    async def kill_pubsub(self, _length, _choice):
        await self.command("CLIENT", "KILL", "TYPE", "pubsub")
        return 4

    async def kill_normal(self, _length, _choice):
        await self.command("CLIENT", "KILL", "TYPE", "normal")
        return 4

    async def change_wakeups(self, _length, choice):
        """Changes how the gateway learns of new log entries and changed records, until the next fault of this kind."""
        self.wakeups = list(WAKEUPS)[int(choice * len(WAKEUPS))]
        await self.set_wakeups()
        return 3

    async def set_wakeups(self):
        events, permission, tracked_keys = WAKEUPS[self.wakeups]
        await self.command("CONFIG", "SET", "notify-keyspace-events", events)
        await self.command("CONFIG", "SET", "tracking-table-max-keys", tracked_keys)
        await self.command("ACL", "SETUSER", "default", f"{permission}client|tracking")
        # A connection keeps the tracking that it had.
        await self.command("CLIENT", "KILL", "TYPE", "normal")
        wakeups = self.world.ledger.wakeups
        if not wakeups or wakeups[-1][1] != self.wakeups:
            wakeups.append((time.monotonic(), self.wakeups))

    async def output_buffer(self, length, choice):
        """Makes Redis close Pub/Sub connections by a small output buffer and large messages."""
        await self.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 16384 0 0")
        for number, worker in enumerate(self.world.workers):
            if (number + int(choice * 10)) % 2:
                worker.padding = 40000
        await asyncio.sleep(length)
        await self.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60")
        for worker in self.world.workers:
            worker.padding = 0
        return 5

    async def loading(self, length, _choice):
        keys = max(1, await self.command("DBSIZE"))
        await self.command("CONFIG", "SET", "key-load-delay", str(int(min(length, 2.5) * 1e6 / keys)))
        await asyncio.wait_for(self.slow_redis("DEBUG", "RELOAD"), 60)
        await self.command("CONFIG", "SET", "key-load-delay", "0")
        return 4

    async def slow_redis(self, *words):
        slow = connect(self.stack.facts["redis_socket"], timeout=60)
        try:
            await slow.execute_command(*words)
        finally:
            await slow.close()

    async def _replica(self, length, stale):
        await self.command("CONFIG", "SET", "replica-serve-stale-data", stale)
        await self.command("REPLICAOF", "127.0.0.1", "1")
        await asyncio.sleep(length)
        await self.command("REPLICAOF", "NO", "ONE")
        await self.redis_is_back()
        return 4

    async def readonly(self, length, _choice):
        return await self._replica(length, "yes")

    async def masterdown(self, length, _choice):
        return await self._replica(length, "no")

    # ---- the network between the gateway and Redis ----------------------------------------------------

    async def net_delay(self, length, choice):
        self.proxy.delay = 0.02 + 0.3 * choice
        await asyncio.sleep(length)
        self.proxy.heal()
        return 4

    async def net_cut(self, _length, choice):
        dice = random.Random(choice)
        self.proxy.cut(lambda: dice.random() < 0.3 + choice)
        return 4

    async def net_swallow(self, length, _choice):
        self.proxy.swallow()
        await asyncio.sleep(length)
        self.proxy.heal()
        return 13  # the gateway detects a half-open link within 10 s

    async def net_swallow_some(self, length, choice):
        dice = random.Random(choice)
        self.proxy.swallow(lambda: dice.random() < 0.5)
        self.proxy.swallowing = False
        await asyncio.sleep(length)
        return 13

    async def net_stall(self, length, _choice):
        self.proxy.stall()
        await asyncio.sleep(length * 2)
        self.proxy.heal()
        return 6

    async def net_throttle(self, length, choice):
        self.proxy.rate = 20_000 + 200_000 * choice
        await asyncio.sleep(length)
        self.proxy.heal()
        return 5

    # ---- the gateway and nginx ------------------------------------------------------------------------

    async def gateway_kill(self, length, choice):
        for pid in self._all_or_first(choice):
            self.expected_gone.add(pid)
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(length / 2)
        return await self._restart_gateways()

    async def gateway_term(self, _length, choice):
        chosen = self._all_or_first(choice)
        for pid in chosen:
            self.expected_gone.add(pid)
            os.kill(pid, signal.SIGTERM)
        for pid in chosen:
            await asyncio.to_thread(wait_gone, pid, 20)
        return await self._restart_gateways()

    def _all_or_first(self, choice):
        pids = self.stack.facts["pids"]["gateways"]
        return pids if choice < 0.5 else pids[:1]

    async def _restart_gateways(self):
        # `restart` replaces all gateways, also one that the fault did not end.
        self.expected_gone.update(self.stack.facts["pids"]["gateways"])
        await self.on_stack(self.stack.restart, "gateway")
        return 6

    async def gateway_reload(self, _length, _choice):
        for pid in self.stack.facts["pids"]["gateways"]:
            os.kill(pid, signal.SIGHUP)
        return 0

    async def gateway_stop(self, length, _choice):
        pids = self.stack.facts["pids"]["gateways"]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(length)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        return 5

    async def nginx_reload(self, _length, _choice):
        await self.on_stack(self.stack.reload, "nginx")
        return 6  # the old nginx workers close their streams after 3 s


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while not gone(pid):
        if time.monotonic() > deadline:
            raise AssertionError(f"process {pid} did not end within {seconds} s")
        time.sleep(0.01)
