"""One chaos run: a stack, workers that write, viewers, faults, and the report."""

import asyncio
import collections
import random
import time
from pathlib import Path

from chaos import load, viewers
from chaos.auditor import Audit, Patience, Violation
from chaos.faults import Faults, gone, schedule
from chaos.ledger import Ledger
from chaos.proxy import FaultProxy
from support.stack import Stack
from support.waiting import wait_until

BEAT = 2
SETTINGS = {
    "drain.settle_s": 0.3,
    "drain.deadline_s": 5,
    **{f"route.{name}.heartbeat.every_s": BEAT for name in ("events", "status", "log-stream", "spools", "job")},
    **{f"route.{name}.retry_ms": 500 for name in ("events", "status", "log-stream", "spools", "job")},
    # Small limits, so that slow clients reach them.
    "route.events.backlog_bytes": 131072,
    "route.spools.backlog_bytes": 131072,
    "route.log-stream.backlog_bytes": 32768,
    "route.events.send_timeout_s": 6,
    "route.job.max_age_s": 45,
}
REDIS_CONF = (
    "appendonly yes",
    "appendfsync no",  # Redis still writes before it acknowledges, so SIGKILL loses no acknowledged write
    "auto-aof-rewrite-percentage 0",
    "enable-debug-command yes",
    "loading-process-events-interval-bytes 1024",
)
FIXED = ("tailgate:", "__redis__:invalidate")  # prefixes of channels that a gateway always subscribes to


class World:
    def __init__(self, directory, seed, seconds, patience=1.0, instances=1, faults=True, quiet=False):
        self.directory, self.seed, self.seconds, self.patience = Path(directory), seed, seconds, patience
        self.instances, self.with_faults, self.quiet = instances, faults, quiet
        self.ledger = Ledger()
        self.over = asyncio.Event()  # set when workers must stop writing
        self.calm = asyncio.Event()  # set after the last fault; slow clients then read at full speed
        self.pace = 4.0  # steps a second of each worker
        self.workers, self.viewers, self.tasks, self.closing = [], [], [], []
        self.extra = []  # violations that the auditor does not find
        self.begin = time.monotonic()

    def print_line(self, text):
        if not self.quiet:
            print(f"[{time.monotonic() - self.begin:7.2f} | {time.monotonic():.2f}] {text}", flush=True)

    # ---- the run --------------------------------------------------------------------------------------

    async def run(self):
        """Runs everything and returns all violations."""
        self.proxy = FaultProxy(self.directory / "fault.sock")
        self.proxy.target = str(self.directory / "s/run/redis.sock")
        await self.proxy.start()
        self.stack = await asyncio.to_thread(
            Stack.up, self.directory / "s", SETTINGS, redis_conf=REDIS_CONF, wait="alive", instances=self.instances,
            gateway_redis=f"unix:{self.proxy.path}", nginx_settings={"TG_SHUTDOWN_TIMEOUT": "3s"},
        )  # fmt: skip
        try:
            await self._run()
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, return_exceptions=True)
            for each in self.closing:
                await each.close()
            try:
                await asyncio.to_thread(self.stack.down)
            except AssertionError as finding:
                self.extra.append(Violation("sanitizer", str(finding)))
            await self.proxy.stop()
        audit = Audit(self.ledger, Patience().times(self.patience))
        violations = [*self.extra, *audit.run()]
        self.counts = audit.counts
        return violations

    async def _run(self):
        life = int(self.seconds) + 7200
        self.tokens = {p: await asyncio.to_thread(self.stack.token, p, expires_in=life) for p in ("builder", "blog")}
        self.front = viewers.Front(self.stack)
        await asyncio.to_thread(wait_until, lambda: self.stack.ops("/readyz")[0] == 200, 20, "the gateway is ready")
        self.faults = Faults(self)
        await self.faults.set_wakeups()
        await self._start_load()
        plans = schedule(self.seed, self.seconds) if self.with_faults else ()
        until = time.monotonic() + self.seconds
        lanes = [asyncio.create_task(self.faults.run(plan, until)) for plan in plans]
        watch = asyncio.create_task(self._watch_gateways())
        self.tasks += [*lanes, watch]
        await asyncio.sleep(self.seconds)
        for lane in lanes:
            await asyncio.wait_for(lane, 90)
        await self._calm_down()
        await self._leave()

    async def _start_load(self):
        rng = random.Random(f"{self.seed} load")
        jobs = []
        for number in range(6):
            maxlen = (None, None, 60, 25, None, 400)[number]
            jobs.append(
                load.BuilderJob(self, f"b{number}", random.Random(rng.random()), maxlen, 3000 if number == 4 else 0)
            )
        blogs = [load.BlogJob(self, f"p{number}", random.Random(rng.random())) for number in range(3)]
        self.workers = [*jobs, *blogs, load.SpoolsUpdates(self, random.Random(rng.random()))]
        self.writing = [asyncio.create_task(self._guard(worker.run())) for worker in self.workers]
        chatter = load.Chatter(self, random.Random(f"{self.seed} chatter"))
        self.closing = [*self.workers, chatter]
        self.writing.append(asyncio.create_task(self._guard(chatter.run())))
        self.tasks += self.writing
        await asyncio.to_thread(
            wait_until, lambda: all(w.job.moves for w in self.workers[:-1]), 10, "the first records"
        )

        def view(route, job, habit, via, **more):
            viewer = viewers.Viewer(self, viewers.KINDS[route], job, habit, via, random.Random(rng.random()), **more)
            self.viewers.append(asyncio.create_task(self._guard(viewer.run())))
            self.tasks.append(self.viewers[-1])

        for job in jobs:
            for via in ("tls", "gateway"):
                for route in ("events", "status", "log-stream", "log-stream"):
                    view(route, job.name, "fast", via)
                view("log-stream", job.name, "slow", via)
            view("log-stream", job.name, "fast", "tls", from_beginning=True)
            view("log-stream", job.name, "late", "gateway")
            view("events", job.name, rng.choice(("slow", "late")), "gateway")
        for blog in blogs:
            for via in ("tls", "tls", "gateway"):
                view("job", blog.name, "fast", via)
        for habit, via in (("fast", "tls"), ("fast", "gateway"), ("slow", "gateway"), ("late", "gateway")):
            view("spools", "spools", habit, via)
        for _ in range(6):
            task = asyncio.create_task(self._guard(self._guests(random.Random(rng.random()))))
            self.viewers.append(task)
            self.tasks.append(task)

    async def _guests(self, rng):
        """Opens short-lived viewers, one after the other."""
        while not self.calm.is_set():
            kind = viewers.KINDS[rng.choice(list(viewers.KINDS))]
            if kind.route == "job":
                job = f"p{rng.randrange(3)}"
            else:
                job = "spools" if kind.route == "spools" else f"b{rng.randrange(6)}"
            viewer = viewers.Viewer(self, kind, job, "guest", rng.choice(("tls", "gateway")), rng, rng.random() < 0.3)
            if kind.route != "log-stream":
                viewer.last_id = ""
            task = asyncio.create_task(viewer.run())
            try:
                await asyncio.wait([task], timeout=rng.uniform(0.05, 6))
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            if not task.cancelled() and task.exception():
                raise task.exception()

    async def _guard(self, work):
        """Reports an exception in a worker or a viewer as a violation of the run."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            import traceback

            text = "".join(traceback.format_exception(error))
            self.extra.append(Violation("broken harness", text))
            self.print_line(text)

    async def _watch_gateways(self):
        """Reports a gateway that ends although no fault ended it."""
        reported = set()
        while True:
            for pid in self.stack.facts["pids"]["gateways"]:
                if pid not in reported and gone(pid) and pid not in self.faults.expected_gone:
                    reported.add(pid)
                    tail = self.stack.log_text()[-3000:]
                    self.extra.append(Violation("crash", f"gateway {pid} ended at {time.monotonic():.2f}:\n{tail}"))
            await asyncio.sleep(0.1)

    async def _calm_down(self):
        """Waits for the recovery, stops the workers, and gives the clients time to receive everything."""
        self.print_line("the last fault is over")
        self.calm.set()
        # Wait for the recovery from the last fault.  A short run waits only 4 s; the auditor then excuses late events.
        healed = max([window.end for window in self.ledger.windows], default=0) - time.monotonic()
        short = self.seconds < 30
        await asyncio.sleep(max(0.0, min(healed, 4 if short else 60)))
        await asyncio.sleep(3 if short else 8)
        self.over.set()
        await asyncio.wait_for(asyncio.gather(*self.writing), 30)
        await asyncio.sleep(3 if short else 25 * self.patience)
        for worker in self.workers:
            if isinstance(worker, load.BuilderJob):
                await worker.read_remaining()
        self.ledger.ended = time.monotonic()

    async def _leave(self):
        """Ends all viewers, and checks that no subscription stays in Redis and that the gateways are healthy."""
        for task in self.viewers:
            task.cancel()
        await asyncio.gather(*self.viewers, return_exceptions=True)
        client = load.connect(self.stack.facts["redis_socket"])
        try:
            deadline = time.monotonic() + 8 * self.patience
            while True:
                channels = await client.pubsub_channels()
                left = [name for name in channels if not name.startswith(FIXED)]
                if not left or time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.1)
        finally:
            await client.close()
        if left:
            self.extra.append(Violation("left behind", f"subscriptions in Redis: {left}"))
        for url in self.stack.facts["ops_urls"]:
            status, body = await asyncio.to_thread(self.stack.ops, "/readyz")
            if status != 200 or '"redis":"up"' not in body.replace(" ", ""):
                self.extra.append(Violation("unhealthy", f"{url}/readyz answers {status} {body}"))

    # ---- the report -----------------------------------------------------------------------------------

    def report(self, violations):
        ledger = self.ledger
        lines = sum(len(s.items) for s in ledger.sources.values() if s.kind == "log")
        messages = sum(len(s.items) for s in ledger.sources.values() if s.kind == "channel")
        unknown = sum(item.acked is None for s in ledger.sources.values() for item in s.items.values())
        again = sum(max(0, len(c.connections) - 1) for c in ledger.clients)
        counts = {
            "lines written": lines,
            "messages published": messages,
            "not acknowledged": unknown,
            "clients": len(ledger.clients),
            "reconnects": again,
            **self.counts,
            "healthy seconds": round(ledger.healthy(self.begin, ledger.ended)),
        }
        text = [f"chaos: seed {self.seed}, {self.seconds} s, {self.instances} gateway(s)"]
        text.append("  " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        text.append("  faults: " + (", ".join(f"{n} {c}" for n, c in sorted(self.faults.counts.items())) or "none"))
        kinds = collections.Counter(violation.kind for violation in violations)
        for kind, count in kinds.items():
            text.append(f"  {kind}: {count}")
            # Only the first violation of each connection: later ones are mostly consequences of it.
            firsts = {v.text.split(": ", 1)[0]: v.text for v in reversed(violations) if v.kind == kind}
            text += [f"    {sentence}" for sentence in list(firsts.values())[-20:]]
        text.append(f"chaos: {len(violations)} violations")
        return "\n".join(text)
