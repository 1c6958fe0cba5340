"""HTTP clients on plain sockets, so that a test sees each byte and decides how a connection closes.

There are no threads: the methods that wait read from the socket, and `pump` reads what has arrived.
"""

import json
import re
import select
import socket
import ssl
import struct
import urllib.parse
import weakref

import h11
import h2.config
import h2.connection
import h2.events

from support import sse
from support.waiting import Deadline

TIMEOUT = 5  # seconds to wait for something that should happen at once


class NotReceived(AssertionError):
    """The awaited event or answer did not arrive."""


# ---- connecting -----------------------------------------------------------------------------------


def port_of(stack, via):
    """The TCP port of a listener, or None for a unix socket."""
    urls = {"tls": stack.base_url, "plain": stack.plain_url, "ops": stack.ops_url}
    return urllib.parse.urlsplit(urls[via]).port if via in urls else None


def dial(stack, via="tls", http="1.1", receive_buffer=None):
    """A connected socket: `via` "tls" and "plain" lead to nginx, "gateway", "auth" and "ops" to the gateway itself."""
    if via in ("gateway", "auth"):
        link = socket.socket(socket.AF_UNIX)
        address = stack.gateway_socket if via == "gateway" else stack.auth_socket
    else:
        link = socket.socket(socket.AF_INET)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = ("127.0.0.1", port_of(stack, via))
    if receive_buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    link.settimeout(TIMEOUT)
    link.connect(address)
    if via == "tls":
        context = ssl.create_default_context(cafile=stack.ca_file)
        context.set_alpn_protocols(["h2" if http == "2" else "http/1.1"])
        link = context.wrap_socket(link, server_hostname="localhost")
        if http == "2":
            assert link.selected_alpn_protocol() == "h2"
    return link


class _Link:
    """One exchange on one connection.  The subclasses implement HTTP/1.1 and HTTP/2."""

    def __init__(self, link):
        self.link = link
        self.status = None
        self.head = ""  # the raw head of the answer without its blank line; HTTP/1.1 only
        self.headers = {}
        self.header_list = []
        self.body = bytearray()
        self.ended = None  # None: open; "clean": ended as the protocol requires; "cut": closed before that
        self.on_body = lambda raw: None

    def readable(self, timeout):
        if isinstance(self.link, ssl.SSLSocket) and self.link.pending():
            return True
        waiting = select.poll()  # select() cannot handle descriptors above 1023
        waiting.register(self.link, select.POLLIN)
        return bool(waiting.poll(max(0, timeout) * 1000))

    def receive(self, timeout):
        """Some bytes, b"" at the end of the connection, or None if nothing arrived in time."""
        if not self.readable(timeout):
            return None
        # A socket may be readable because of a TLS session ticket, without any data.
        self.link.settimeout(0)
        try:
            return self.link.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except (ConnectionError, ssl.SSLError):
            return b""
        finally:
            self.link.settimeout(TIMEOUT)

    def take_body(self, raw):
        self.body += raw
        self.on_body(bytes(raw))

    def set_headers(self, pairs):
        self.header_list = pairs
        self.headers = {}
        for name, value in pairs:
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value


class _Http1(_Link):
    """Writes the request itself, because tests send headers that h11 refuses.  h11 parses the answer."""

    def __init__(self, link, method, target, headers, host, body):
        super().__init__(link)
        names = {name.lower() for name, _ in headers}
        lines = [f"{method} {target} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {host}")
        if body is not None and "content-length" not in names:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers]
        self.link.sendall("\r\n".join(lines + ["", ""]).encode("utf-8", "surrogateescape") + (body or b""))
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        # h11 must know the method, because the answer to a HEAD has no body.
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "localhost")]))
        self._h11.send(h11.EndOfMessage())
        self._received = bytearray()  # the bytes received until the end of the head
        self._informational = 0  # number of answers with a 1xx status before the head

    def pump(self, timeout):
        raw = self.receive(timeout)
        if raw is None:
            return False
        if self.ended is None:
            if self.status is None:
                self._received += raw
            self._h11.receive_data(raw)
            try:
                while self.ended is None and self._take_event(self._h11.next_event()):
                    pass
            except h11.RemoteProtocolError as error:
                assert raw == b"", f"not HTTP: {error}"
                self.ended = "cut"
        return True

    def _take_event(self, event):
        """False if h11 needs more bytes."""
        if isinstance(event, h11.InformationalResponse):
            self._informational += 1
        elif isinstance(event, h11.Response):
            self.set_headers([(name.decode(), value.decode("latin-1")) for name, value in event.headers])
            self.head = bytes(self._received).split(b"\r\n\r\n")[self._informational].decode("latin-1")
            self.status = event.status_code
        elif isinstance(event, h11.Data):
            self.take_body(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self.ended = "clean"
        return event is not h11.NEED_DATA


class _Http2(_Link):
    def __init__(self, link, method, target, headers, host, body):
        super().__init__(link)
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        pairs = [(":method", method), (":scheme", "https"), (":authority", host), (":path", target)]
        pairs += [(name.lower(), value) for name, value in headers if name.lower() != "host"]
        self._stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(self._stream, pairs, end_stream=body is None)
        size = self._h2.max_outbound_frame_size
        for at in range(0, len(body or b"") or int(body is not None), size):
            self._h2.send_data(self._stream, body[at : at + size], end_stream=at + size >= len(body))
        self._flush()

    def _flush(self):
        out = self._h2.data_to_send()
        if out:
            self.link.sendall(out)

    def pump(self, timeout):
        raw = self.receive(timeout)
        if raw is None:
            return False
        if raw == b"":
            self.ended = self.ended or "cut"
            return True
        for event in self._h2.receive_data(raw):
            if isinstance(event, h2.events.ResponseReceived):
                pairs = list(event.headers)
                self.set_headers([pair for pair in pairs if not pair[0].startswith(":")])
                self.status = int(dict(pairs)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.take_body(event.data)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended = self.ended or "clean"
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                self.ended = self.ended or "cut"
        self._flush()
        return True


# ---- streams --------------------------------------------------------------------------------------


class Stream:
    """One request and its answer.  Each method that waits has a timeout, and its error names the awaited thing."""

    def __init__(self, link):
        self._link = link
        self._parser = sse.Parser()
        self._blocks = sse.Blocks()
        self._unread_events = []
        self._unread_blocks = []
        self.events = []  # all events so far, including those that next_event() has returned
        self.blocks = []
        link.on_body = self._take

    def _take(self, raw):
        new_events, new_blocks = self._parser.feed(raw), self._blocks.feed(raw)
        for kept, unread, new in (
            (self.events, self._unread_events, new_events),
            (self.blocks, self._unread_blocks, new_blocks),
        ):
            kept += new
            unread += new

    # ---- received so far ----

    status = property(lambda self: self._link.status)
    head = property(lambda self: self._link.head)
    headers = property(lambda self: self._link.headers)  # by lower-case name; repeated headers are joined by ", "
    header_list = property(lambda self: self._link.header_list)
    raw = property(lambda self: bytes(self._link.body))
    ended = property(lambda self: self._link.ended)  # None, "clean" or "cut"
    retry = property(lambda self: self._parser.retry)
    comments = property(lambda self: self._parser.comments)
    last_id = property(lambda self: self._parser.last_id)
    socket = property(lambda self: self._link.link)

    def json(self):
        return json.loads(self.raw)

    # ---- waiting ----

    def wait(self, done, timeout, what):
        """Reads until `done()` is true, and returns its value.  None if the stream ended before that."""
        deadline = Deadline(timeout)
        while not (value := done()):
            if self.ended:
                return None
            if not self._link.pump(deadline.left()) and deadline.over():
                raise NotReceived(f"not within {timeout:g} s: {what}; received so far: {self.raw[-2000:]!r}")
        return value

    def wait_head(self, timeout=TIMEOUT):
        self.wait(lambda: self.status is not None, timeout, "the head of an answer")
        assert self.status is not None, "the connection was closed without an answer"
        return self

    def _next(self, unread, timeout, what):
        if not self.wait(lambda: unread, timeout, what):
            raise NotReceived(f"the stream ended ({self.ended}) before {what}: {self.raw[-2000:]!r}")
        return unread.pop(0)

    def next_event(self, timeout=TIMEOUT):
        return self._next(self._unread_events, timeout, "another event")

    def next_block(self, timeout=TIMEOUT):
        """The text of the next block, which may be a comment or `retry:`, without the blank line after it."""
        return self._next(self._unread_blocks, timeout, "another block")

    def events_until(self, last, timeout=TIMEOUT):
        """The next events, up to and including the first that matches `last` (a name or a predicate)."""
        fits = last if callable(last) else lambda event: event.name == last
        deadline, taken = Deadline(timeout), []
        while not taken or not fits(taken[-1]):
            taken.append(self.next_event(deadline.left()))
        return taken

    def take_events(self, count, timeout=TIMEOUT):
        deadline = Deadline(timeout)
        return [self.next_event(deadline.left()) for _ in range(count)]

    def blocks_until(self, text, timeout=TIMEOUT):
        """The next blocks, up to and including the first that contains `text`."""
        deadline, taken = Deadline(timeout), []
        while not taken or text not in taken[-1]:
            taken.append(self.next_block(deadline.left()))
        return taken

    def wait_closed(self, timeout=TIMEOUT):
        """Reads to the end.  True if the stream ended as the protocol requires (a last chunk, END_STREAM)."""
        self.wait(lambda: self.ended, timeout, "the end of the stream")
        return self.ended == "clean"

    def rest(self, timeout=TIMEOUT):
        """The unread events up to the end, which must be clean."""
        assert self.wait_closed(timeout), f"the stream was cut: {self.raw[-2000:]!r}"
        assert self._blocks.rest == b"", f"half a block at the end: {self._blocks.rest!r}"
        events, self._unread_events[:] = list(self._unread_events), []
        return events

    def pump(self, timeout=0):
        """Reads the bytes that have arrived."""
        while self._link.ended is None and self._link.pump(timeout):
            timeout = 0
        return self

    # ---- closing ----

    def close(self):
        """Closes with FIN, like a browser's tab."""
        self._link.link.close()

    def reset(self):
        """Closes with RST, like a process that is killed with unread bytes."""
        link = self._link.link
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()

    def half_close(self):
        self._link.link.shutdown(socket.SHUT_WR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def send(
    stack, path, *, method="GET", headers=None, params=None, http="1.1", via="tls", body=None, receive_buffer=None
):
    """Sends a request and returns at once; the Stream's status is None until wait_head().

    `headers` is a dict, or a list of pairs if a name occurs twice.  `params` are percent-encoded.
    """
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    target = path + ("?" + urllib.parse.urlencode(params) if params else "")
    port = port_of(stack, via)
    host = f"localhost:{port}" if port else "localhost"
    link = dial(stack, via, http, receive_buffer)
    kind = _Http2 if http == "2" else _Http1
    stream = Stream(kind(link, method, target, pairs, host, body))
    _opened.append(weakref.ref(stream))
    return stream


_opened = []


def close_all():
    """Closes all streams that a test has left open, so that they do not count in the next test."""
    for stream in (reference() for reference in _opened):
        if stream is not None:
            stream.close()
    _opened.clear()


def open_stream(stack, path, **more):
    """Sends a request and waits for the head of its answer."""
    timeout = more.pop("timeout", TIMEOUT)
    return send(stack, path, **more).wait_head(timeout)


def fetch(stack, path, **more):
    """A whole answer: .status, .headers, .raw, .json()."""
    timeout = more.pop("timeout", TIMEOUT)
    with send(stack, path, **more) as answer:
        assert answer.wait_head(timeout).wait_closed(timeout), "the answer was cut"
        return answer


def raw_answer(stack, request, via="gateway", timeout=TIMEOUT, head_suffices=False):
    """Sends arbitrary bytes and returns the bytes of the answer.  Stops when the server closes or when a body of known
    length is complete.  `head_suffices`: also stops after the head of an answer without a length."""
    got = b""
    with dial(stack, via) as link:
        link.sendall(request if isinstance(request, bytes) else request.encode())
        deadline = Deadline(timeout)
        while not deadline.over():
            link.settimeout(max(0.01, deadline.left()))
            try:
                chunk = link.recv(65536)
            except ConnectionError:
                return got
            except TimeoutError:
                break
            got += chunk
            head, mark, body = got.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            whole = len(body) >= int(length[1]) if length else head_suffices
            if not chunk or (mark and whole):
                return got
    raise AssertionError(f"no complete answer within {timeout} s: {got!r}")


def ask_auth(stack, path, headers=None, method="GET"):
    """Sends the sub-request of nginx to the auth socket."""
    asked = {"X-Tailgate-Uri": path, "X-Tailgate-Method": method, **(headers or {})}
    return fetch(stack, "/auth", headers=asked, via="auth")


def sealed(stack, path, headers=None):
    """The headers that nginx would add to a request for `path` after its sub-request: identity and verdict."""
    answer = ask_auth(stack, path, headers)
    assert answer.status == 204, (answer.status, answer.headers)
    identity = answer.headers.get("x-tailgate-identity", "")
    return {"X-Tailgate-Identity": identity, "X-Tailgate-Verdict": answer.headers["x-tailgate-verdict"]}
