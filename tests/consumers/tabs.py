"""The four frontends as small clients, with their habits: what they read, when they come back, what kills them.

None of them knows a `resync`, a `gap` or an `unavailable`.  A tab is **dead** when it will never learn that its
job ended: because an answer killed it, or because it waits for a stream that is gone.
"""

import asyncio
import json
import random
import time

from chaos.viewers import NO_ANSWER
from support import sse


class Tab:
    """One tab on one page.  `site` says where streams are at the moment, and whose tokens count there."""

    name = ""
    user_left = False

    def __init__(self, site, job=None):
        self.site, self.job = site, job
        self.opened = []  # when it asked for a stream
        self.dead = None  # why
        self.ended = False  # it has learnt that the job ended
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
        """The body, piece by piece, up to its end, however that comes."""
        try:
            while raw := await answer.read():
                yield raw
        except NO_ANSWER:
            return
        finally:
            answer.leave()

    def most_in_a_minute(self):
        return max((sum(at <= other < at + 60 for other in self.opened) for at in self.opened), default=0)


class Hook(Tab):
    """What builder's two hooks share: fetch() with a bearer token that Clerk has just made."""

    async def open(self, path):
        headers = {"Accept": "text/event-stream", "Authorization": "Bearer " + await self.site.token("builder")}
        return await self.ask(path, headers)

    async def events(self, answer):
        """(name, data) of each block: its `event:` and its last `data:` line."""
        blocks = sse.Blocks()
        async for raw in self.pieces(answer):
            for block in blocks.feed(raw):
                for event in sse.builder_events((block + "\n\n").encode("utf-8", "surrogateescape")):
                    yield event


class BuilderEvents(Hook):
    """Comes back 3 s after an end or an error; dies of one answer that is no 200."""

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
    """Never comes back; after an end without `done` it shows "connected" for ever."""

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
    """An EventSource under a hook of its own: backoff that doubles and is reset by `open`, and a stream opened anew
    on every state change."""

    name = "spools"

    def __init__(self, site):
        super().__init__(site)
        self.seen = 0
        self.changes = 0  # for which it came back at once, by its own wish

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
            # Its own timer, not the browser's: onerror closes the EventSource.
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, 30)


class Blog(Tab):
    """A native EventSource with `?token=`; whenever its stream ends the page polls the status endpoint once, and goes on
    polling if the EventSource is dead."""

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
                # The EventSource is dead, the page is not: it has the status endpoint.
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
