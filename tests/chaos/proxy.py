"""A faulty network between the gateway and Redis: a relay on a unix socket that delays, cuts, swallows and throttles."""

import asyncio
import contextlib


class FaultProxy:
    """Relays each connection to `target`.  `delay`, `rate` and stall() apply to all connections until heal().  cut()
    and swallow() apply to the chosen connections.  swallow() also applies to all new connections until heal().

    A connection that was swallowed relays nothing more, even after `heal()`, because the lost bytes cannot be sent
    again.
    """

    def __init__(self, path, target=None):
        self.path, self.target = str(path), target
        self.delay = 0.0  # seconds for each read of up to 16 KB
        self.rate = 0  # bytes a second in each direction; 0: unlimited
        self.swallowing = False  # whether new connections are swallowed
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pipes = set()
        self._server = None

    async def start(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self):
        self._server.close()
        self.cut()

    # ---- faults ----

    def cut(self, chosen=lambda: True):
        for pipe in [pipe for pipe in self._pipes if chosen()]:
            pipe.abort()

    def swallow(self, chosen=lambda: True):
        self.swallowing = True
        for pipe in self._pipes:
            pipe.dead = pipe.dead or chosen()

    def stall(self):
        """Relays nothing until `heal()`, but loses nothing, like a network that retransmits."""
        self._flowing.clear()

    def heal(self):
        self.delay, self.rate, self.swallowing = 0.0, 0, False
        self._flowing.set()

    # ---- relaying ----

    async def _serve(self, reader, writer):
        pipe = _Pipe(self, writer)
        pipe.dead = self.swallowing
        self._pipes.add(pipe)
        try:
            if pipe.dead:
                while await reader.read(65536):
                    pass
                return
            back_reader, pipe.back = await asyncio.open_unix_connection(self.target)
            back = asyncio.ensure_future(pipe.relay(back_reader, writer))
            try:
                await pipe.relay(reader, pipe.back)  # ends when the gateway closes, even if the pipe is dead
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            pipe.abort()
            self._pipes.discard(pipe)

    async def pause(self, size):
        await self._flowing.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.rate:
            await asyncio.sleep(size / self.rate)


class _Pipe:
    def __init__(self, proxy, writer):
        self.proxy, self.writer, self.back, self.dead = proxy, writer, None, False

    async def relay(self, reader, writer):
        while data := await reader.read(16384):
            await self.proxy.pause(len(data))
            if self.dead:
                continue
            writer.write(data)
            await writer.drain()
        if not self.dead:
            self.abort()

    def abort(self):
        for writer in (self.writer, self.back):
            if writer is not None:
                with contextlib.suppress(Exception):
                    writer.transport.abort()
