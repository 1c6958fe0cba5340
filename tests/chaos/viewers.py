"""Hundreds of clients in one event loop, which record in the ledger every event that they receive.

A viewer behaves like a browser's EventSource.  It reconnects after the time in `retry:` and sends the last event id.  A
204 stops it until its job runs again.  It ignores an incomplete event at the end of a stream.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import time
import urllib.parse

from chaos.ledger import Client, Connection, Seen, entry_id
from support import seals, sse

HEAD_TIMEOUT = 60  # seconds until the head of an answer must have arrived
NOTABLE_SILENCE = 3  # shorter times without a byte, in seconds, are not recorded


class Dechunker:
    """Decodes the body of an answer with `Transfer-Encoding: chunked`."""

    def __init__(self):
        self._input = bytearray()
        self._left = None
        self.ended = False

    def feed(self, raw):
        self._input += raw
        body = bytearray()
        while not self.ended:
            if self._left is None:
                line, mark, _ = self._input.partition(b"\r\n")
                if not mark:
                    break
                self._left = int(line.split(b";")[0], 16)
                del self._input[: len(line) + 2]
                if self._left == 0:
                    self.ended = True
                    break
            if len(self._input) < self._left + 2:
                # Return the part of the chunk that has arrived.  The CRLF at its end is removed only as a whole.
                part = self._input[: self._left]
                body += part
                del self._input[: len(part)]
                self._left -= len(part)
                break
            body += self._input[: self._left]
            del self._input[: self._left + 2]
            self._left = None
        return bytes(body)


class Answer:
    """An open answer: status, headers, and the body piece by piece."""

    def __init__(self, reader, writer, status, headers):
        self.reader, self.writer, self.status, self.headers = reader, writer, status, headers
        self._chunks = Dechunker() if headers.get("transfer-encoding") == "chunked" else None
        self._left = int(headers["content-length"]) if "content-length" in headers else None
        self.clean = status in (204, 304) or self._left == 0
        self.raw_bytes = 0

    async def read(self, size=65536):
        """A part of the body, or b"" at its end.  After that, `clean` is true if the body was complete."""
        while not self.clean:
            raw = await self.reader.read(size)
            self.raw_bytes += len(raw)
            if not raw:
                return b""
            if self._chunks is None:
                if self._left is not None:
                    self._left -= len(raw)
                    self.clean = self._left <= 0
                return raw
            body = self._chunks.feed(raw)
            self.clean = self._chunks.ended
            if body:
                return body
        return b""

    def leave(self):
        """Closes the connection at once: with FIN, or with RST if bytes were unread.  Does not wait for TLS's
        close_notify, as close() would."""
        with contextlib.suppress(Exception):
            self.writer.transport.abort()


class Front:
    """Connects to a stack, either through nginx with TLS or at the gateway's streams socket."""

    def __init__(self, stack):
        self.stack = stack
        self.tls = ssl.create_default_context(cafile=stack.ca_file)
        self.port = urllib.parse.urlsplit(stack.base_url).port

    async def _connect(self, via, receive_buffer):
        limit = 4096 if receive_buffer else 65536
        if via == "gateway":
            return await asyncio.open_unix_connection(self.stack.gateway_socket, limit=limit)
        link = socket.socket(socket.AF_INET)
        link.setblocking(False)
        if receive_buffer:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(link, ("127.0.0.1", self.port))
        except BaseException:
            link.close()
            raise
        # From here on asyncio owns the socket.  Closing it here would free a descriptor that asyncio still uses.
        return await asyncio.open_connection(sock=link, ssl=self.tls, server_hostname="localhost", limit=limit)

    async def get(self, target, headers, via="tls", receive_buffer=None):
        """The Answer to a GET.  Raises one of NO_ANSWER if there is none."""
        reader, writer = await self._connect(via, receive_buffer)
        try:
            lines = [
                f"GET {target} HTTP/1.1",
                "Host: localhost",
                *(f"{name}: {value}" for name, value in headers.items()),
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except BaseException:
            writer.transport.abort()
            raise
        first, *rest = head.split("\r\n")
        pairs = (line.partition(":") for line in rest if line)
        return Answer(reader, writer, int(first.split(" ")[1]), {n.strip().lower(): v.strip() for n, _, v in pairs})


NO_ANSWER = (OSError, EOFError, ssl.SSLError, asyncio.LimitOverrunError, TimeoutError, asyncio.TimeoutError)


class Kind:
    """The path and credential of a route's clients, and the meaning of the route's events."""

    def __init__(self, route, path, native, credential):
        self.route, self.path, self.native, self.credential = route, path, native, credential

    def understand(self, event, at):
        """The meaning of one event, as a list of Seen."""
        if event.name == "resync":
            return [Seen(at, "resync")]
        if event.name == "unavailable":
            return [Seen(at, "unavailable")]
        if event.name == "stream-timeout":
            return [Seen(at, "notice")]
        if event.name == "gap":
            gap = json.loads(event.data)
            first = gap["first_available"]
            return [Seen(at, "gap", low=entry_id(gap["requested"]), high=entry_id(first) if first else None)]
        seen = []
        if self.route == "log-stream":
            if event.name == "log":
                line = json.loads(event.data)
                seen.append(Seen(at, "item", int(line["text"].split(" ", 1)[0]), entry_id(event.last_id)))
            elif event.name == "done":
                seen.append(Seen(at, "final", id=entry_id(event.last_id)))
            return seen
        body = json.loads(event.data)
        final = event.last_id == "end"
        if self.route == "job":
            if event.name == "progress-update":
                return [Seen(at, "standing", body["progress"])]
            if event.name == "step-change" or "n" in body:
                seen.append(Seen(at, "item", body["n"]))
        elif "n" in body:
            seen.append(Seen(at, "item", body["n"]))
        elif self.route == "status" and not final and str(body.get("message", "")).startswith("n="):
            seen.append(Seen(at, "standing", int(body["message"][2:])))
        if final:
            seen.append(Seen(at, "final", body.get("n")))
        return seen


KINDS = {
    "events": Kind("events", "/api/jobs/{id}/events/stream", True, "bearer"),
    "status": Kind("status", "/api/jobs/{id}/stream", False, "bearer"),
    "log-stream": Kind("log-stream", "/api/jobs/{id}/logs/stream", False, "bearer"),
    "spools": Kind("spools", "/api/sse/stream", True, None),
    "job": Kind("job", "/api/v1/jobs/{id}/stream", True, "query"),
}


class Viewer:
    """One client of one stream."""

    def __init__(self, world, kind, job_name, habit, via, rng, from_beginning=False):
        self.world, self.kind, self.job_name, self.habit, self.via, self.rng = world, kind, job_name, habit, via, rng
        ledger = world.ledger
        name = {"log-stream": f"job:{job_name}:logs", "spools": "spools:updates", "job": f"jobs:{job_name}:events"}
        name = name.get(kind.route, f"job:{job_name}:events")
        source = ledger.source(name, "log" if kind.route == "log-stream" else "channel")
        job = ledger.job(job_name) if kind.route != "spools" else None
        number = len(ledger.clients)
        self.record = Client(f"client {number} of {name} via {via}", kind.route, source, job, habit, kind.native)
        ledger.clients.append(self.record)
        self.last_id = "0-0" if from_beginning else ""
        self.retry = 1.0

    def _request(self):
        target = self.kind.path.replace("{id}", self.job_name)
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        if self.via == "gateway":
            provider = {"bearer": "clerk", "query": "blog"}.get(self.kind.credential)
            user = "alice" if provider else ""
            job = self.job_name if provider else ""
            headers.update(
                seals.seal(self.world.stack, self.kind.route, job, user=user, provider=provider or "", life_s=36000)
            )
        elif self.kind.credential == "bearer":
            headers["Authorization"] = "Bearer " + self.world.tokens["builder"]
        elif self.kind.credential == "query":
            target += "?token=" + self.world.tokens["blog"]
        return target, headers

    async def run(self):
        """Opens one stream after the other until the task is cancelled."""
        while True:
            connection = Connection(time.monotonic(), self.last_id)
            self.record.connections.append(connection)
            answer = None
            try:
                target, headers = self._request()
                buffer = 8192 if self.habit in ("slow", "late") else None
                # Not wait_for(): it may lose a cancellation that coincides with the answer.
                async with asyncio.timeout(HEAD_TIMEOUT):
                    answer = await self.world.front.get(target, headers, self.via, buffer)
                connection.head, connection.status = time.monotonic(), answer.status
                if answer.status == 200:
                    await self._stream(answer, connection)
                connection.end = time.monotonic()
            except NO_ANSWER:
                connection.end, connection.how = time.monotonic(), "cut"
            except asyncio.CancelledError:
                if self.habit == "guest" or connection.head is None:
                    connection.end, connection.how = time.monotonic(), "left"
                raise
            finally:
                if answer:
                    answer.leave()
            await self._wait_before_reconnect(connection, answer)

    async def _stream(self, answer, connection):
        parser = sse.Parser()
        connection.last_byte = connection.head
        if self.habit == "late":
            await self.world.calm.wait()
        while True:
            raw = await answer.read(2048 if self.habit == "slow" else 65536)
            now = time.monotonic()
            if now - connection.last_byte > NOTABLE_SILENCE:
                connection.silences.append((connection.last_byte, now))
            connection.last_byte = now
            if not raw:
                connection.how = "clean" if answer.clean else "cut"
                return
            for event in parser.feed(raw):
                connection.seen += self.kind.understand(event, now)
            self.last_id = parser.last_id or self.last_id
            if parser.retry is not None:
                self.retry = parser.retry / 1000
            if self.habit == "slow" and not self.world.calm.is_set():
                await asyncio.sleep(self.rng.uniform(0.02, 0.4))

    async def _wait_before_reconnect(self, connection, answer):
        job = self.record.job
        if connection.status == 204:
            # The client stays stopped until the job runs again.  Then a log viewer continues at the end of the log.
            while job.moves and job.moves[-1].terminal:
                await asyncio.sleep(0.1)
            if self.record.source.kind == "channel":
                self.last_id = ""
        elif connection.status not in (200, None):
            after = answer.headers.get("retry-after", "1")
            await asyncio.sleep(min(1.0, float(after)) if after.isdigit() else 1.0)
            if self.kind.native:
                self.last_id = ""  # the EventSource is dead, and the user reloads the page
        else:
            await asyncio.sleep(self.retry)
