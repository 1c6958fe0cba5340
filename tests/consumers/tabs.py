"""Small clients that behave as the four frontends of the example systems: which events they read, when they reconnect,
and after which answers they stop.

None of them handles `resync`, `gap` or `unavailable`.  A tab is *dead* if it can no longer learn that its job ended:
it stopped after an error, or its stream ended and it does not reconnect.
"""

import asyncio
import json
import random
import time

from chaos.viewers import NO_ANSWER
from support import sse


class Tab:
    """One browser tab with one page.  `site` has the current address of the streams and makes tokens."""

    name = ""
    user_left = False

    def __init__(self, site, job=None):
        self.site, self.job = site, job
        self.opened = []  # the times of its requests
        self.dead = None  # the reason why it is dead, or None
        self.ended = False  # whether it knows that the job ended
        self.rng = random.Random(f"{self.name} {job}")

    async def ask(self, target, headers):
        """An Answer, or None if there is none."""
        self.opened.append(time.monotonic())
        try:
            async with asyncio.timeout(60):
                return await self.site.front.get(target, headers)
        except NO_ANSWER:
            return None

    async def pieces(self, answer):
        """Yields the parts of the body until the stream ends or is cut."""
        try:
            while raw := await answer.read():
                yield raw
        except NO_ANSWER:
            return
        finally:
            answer.leave()

    def most_requests_in_a_minute(self):
        return max((sum(at <= other < at + 60 for other in self.opened) for at in self.opened), default=0)


class Hook(Tab):
    """The common part of builder's two hooks: fetch() with a new bearer token from Clerk."""

    async def open(self, path):
        headers = {"Accept": "text/event-stream", "Authorization": "Bearer " + await self.site.token("builder")}
        return await self.ask(path, headers)

    async def events(self, answer):
        """Yields (name, data) of each block: its `event:` and its last `data:` line."""
        blocks = sse.Blocks()
        async for raw in self.pieces(answer):
            for block in blocks.feed(raw):
                for event in sse.builder_events((block + "\n\n").encode("utf-8", "surrogateescape")):
                    yield event


class BuilderEvents(Hook):
    """Reconnects 3 s after an end or an error.  Stops after an answer other than 200."""

    name = "builder-events"

    async def run(self):
        while not self.ended:
            answer = await self.open(f"/api/jobs/{self.job}/events/stream")
            if answer and answer.status != 200:
                self.dead = f"status {answer.status}"
                answer.leave()
                return
            if answer:
                async for _, data in self.events(answer):
                    if data.get("status") in ("ready", "failed"):
                        self.ended = True
                        break
            if not self.ended:
                await asyncio.sleep(3)


class BuilderLogs(Hook):
    """Never reconnects.  If its stream ends without `done`, it shows "connected" for ever."""

    name = "builder-logs"

    def __init__(self, site, job):
        super().__init__(site, job)
        self.lines = []

    async def run(self):
        answer = await self.open(f"/api/jobs/{self.job}/logs/stream")
        if answer is None or answer.status != 200:
            self.dead = f"status {answer.status}" if answer else "no answer"
            return
        async for name, data in self.events(answer):
            if name == "log":
                self.lines.append(data["text"])
            elif name == "done":
                self.ended = True
        if not self.ended:
            self.dead = "stranded by an end without done"


class Spools(Tab):
    """A hook around an EventSource.  It reconnects with a backoff that doubles, and that `open` resets.  After each
    STATE_CHANGE event it opens a new stream at once."""

    name = "spools"

    def __init__(self, site):
        super().__init__(site)
        self.seen = 0
        self.changes = 0  # number of new streams after a STATE_CHANGE

    async def run(self):
        backoff = 1.0
        while True:
            answer = await self.ask("/api/sse/stream", {"Accept": "text/event-stream"})
            changed = False
            if answer and answer.status == 200:
                backoff = 1.0
                parser = sse.Parser()
                async for raw in self.pieces(answer):
                    for event in parser.feed(raw):
                        if event.name == "spool_update":
                            update = event.json()
                            self.seen = max(self.seen, update["n"])
                            changed = changed or update["event_type"] == "STATE_CHANGE"
                    if changed:
                        break
            elif answer:
                answer.leave()
            if changed:
                self.changes += 1
                continue
            # The hook waits by itself: its onerror handler closes the EventSource, so the browser does not reconnect.
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, 30)


class Blog(Tab):
    """A native EventSource with `?token=`.  When its stream ends, the page asks the status endpoint once.  If the
    EventSource is dead, the page asks it every 2 s."""

    name = "blog"

    def __init__(self, site, job):
        super().__init__(site, job)
        self.polls = 0

    async def run(self):
        token = await self.site.token("blog")
        retry, last_id = 3.0, ""
        while not self.ended:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
            answer = await self.ask(f"/api/v1/jobs/{self.job}/stream?token={token}", headers)
            if answer and answer.status != 200:
                answer.leave()
                # The EventSource is dead, but the page still asks the status endpoint.
                self.dead = None if answer.status == 204 else f"status {answer.status}"
                while not self.ended:
                    await self.poll()
                    await asyncio.sleep(2)
                return
            if answer:
                parser = sse.Parser()
                async for raw in self.pieces(answer):
                    for event in parser.feed(raw):
                        if event.name in sse.BLOG_EVENTS:
                            json.loads(event.data)
                        self.ended = self.ended or event.name in ("complete", "failed")
                    if self.ended:
                        return
                retry = parser.retry / 1000 if parser.retry is not None else retry
                last_id = parser.last_id or last_id
            await self.poll()
            if not self.ended:
                await asyncio.sleep(retry)

    async def poll(self):
        self.polls += 1
        self.ended = self.ended or await self.site.status_of(self.job) in ("succeeded", "failed", "cancelled")
