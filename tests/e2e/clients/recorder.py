"""Stands between nginx and the gateway, notes each request and its status, and cuts connections.

nginx sees a gateway that closes its connection, and the client sees what nginx makes of this.  So a test can cut a
stream in the middle of an event, whatever protocol the client speaks.
"""

import asyncio
import dataclasses
import threading
import time

# Seconds between the last byte and a cut.  nginx passes the bytes on within this time.
BEFORE_CUT = 0.2


@dataclasses.dataclass
class Request:
    at: float
    target: str
    headers: dict
    status: int = 0


class Recorder:
    """Listens on the unix socket `path` and connects to the one of the gateway.  Its loop runs in a thread."""

    def __init__(self, path, gateway):
        self._gateway = str(gateway)
        self._requests = {}  # from a request's path to all its requests
        self._links = {}  # from a request's path to its open connections
        self._marks = {}  # from a request's path to the bytes after which its stream is cut
        self._loop = asyncio.new_event_loop()
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(str(path), listening), daemon=True)
        self._thread.start()
        assert listening.wait(5), "the recorder does not listen"

    def _run(self, path, listening):
        asyncio.set_event_loop(self._loop)
        listen = asyncio.start_unix_server(self._serve, path, limit=1 << 20)
        self._server = self._loop.run_until_complete(listen)
        listening.set()
        self._loop.run_forever()

    def close(self):
        self._call(self._end_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def requests(self, path):
        """The requests for `path`, whatever their query, in the order in which they came."""
        return list(self._requests.get(path, ()))

    def cut(self, path):
        """Closes the connections of `path` at once."""
        self._call(self._cut, path)

    def cut_after(self, path, mark):
        """Closes the connection of `path` after the next `mark` in its stream."""
        self._call(self._marks.__setitem__, path, mark)

    def _call(self, function, *arguments):
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(*arguments), done.set()))
        assert done.wait(5), "the recorder's loop does not run"

    # ---- in the loop ----

    def _end_all(self):
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _cut(self, path):
        for link in self._links.pop(path, ()):
            link.abort()

    async def _serve(self, from_nginx, to_nginx):
        try:
            from_gateway, to_gateway = await asyncio.open_unix_connection(self._gateway)
        except OSError:
            to_nginx.transport.abort()
            return
        link = _Link(from_nginx, to_nginx, from_gateway, to_gateway)
        requests = asyncio.ensure_future(self._pass_requests(link))
        await self._pass_answers(link)
        requests.cancel()
        link.abort()

    async def _pass_requests(self, link):
        """Passes requests on.  They have no bodies, and nginx sends the next one only after an answer."""
        try:
            while True:
                head = await link.from_nginx.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                link.request = Request(time.time(), first.split(" ")[1], headers)
                path = link.request.target.partition("?")[0]
                self._requests.setdefault(path, []).append(link.request)
                self._links.setdefault(path, []).append(link)
                link.path, link.tail = path, b""
                link.to_gateway.write(head)
        except (asyncio.IncompleteReadError, ConnectionError):
            link.to_gateway.transport.abort()  # the client has left

    async def _pass_answers(self, link):
        try:
            while piece := await link.from_gateway.read(65536):
                if link.request.status == 0:
                    link.request.status = int(piece.split(b" ", 2)[1])
                before, link.tail = link.tail, (link.tail + piece)[-256:]
                mark = self._marks.get(link.path)
                at = (before + piece).find(mark) if mark else -1
                if at >= 0:
                    del self._marks[link.path]
                    link.to_nginx.write(piece[: max(0, at + len(mark) - len(before))])
                    await asyncio.sleep(BEFORE_CUT)
                    return
                link.to_nginx.write(piece)
                await link.to_nginx.drain()
        except ConnectionError:
            pass  # an end has closed


class _Link:
    """A connection of nginx and the one to the gateway, with the newest request on both."""

    def __init__(self, from_nginx, to_nginx, from_gateway, to_gateway):
        self.from_nginx, self.to_nginx = from_nginx, to_nginx
        self.from_gateway, self.to_gateway = from_gateway, to_gateway
        self.request, self.path, self.tail = None, None, b""

    def abort(self):
        self.to_nginx.transport.abort()
        self.to_gateway.transport.abort()
