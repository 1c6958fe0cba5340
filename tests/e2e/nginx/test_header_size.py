"""Large request headers: the gateway accepts 48 KB, and nginx lets it refuse more without harm to other streams."""

import h2.config
import h2.connection
import h2.events
import pytest

from support.clients import dial, fetch, port_of
from support.publishers import Builder, Spools
from support.waiting import Deadline

PAGE = "/api/jobs/x/logs"
ANYONE = "/api/sse/stream"
# The gateway counts the whole head, which nginx makes longer.
ACCEPTED, REFUSED = 46_000, 52_000


def token(size):
    return {"Authorization": "Bearer " + "a" * (size - len("Bearer "))}


@pytest.mark.parametrize("http", ["1.1", "2"])
@pytest.mark.parametrize("path", [PAGE, ANYONE])
def test_a_header_up_to_the_limit_of_the_gateway_is_read_and_a_larger_one_gets_431(stack, path, http):
    for size in (11_500, ACCEPTED):
        if path == PAGE:
            answer = fetch(stack, path, headers=token(size), http=http)
            assert answer.status == 401
        else:
            answer = fetch(stack, path, method="POST", headers=token(size), http=http)
            assert answer.status == 405
    for size in (REFUSED, 65_000):
        answer = fetch(stack, path, headers=token(size), http=http)
        assert answer.status == 431
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("http", ["1.1", "2"])
def test_a_genuine_token_of_many_kilobytes_is_not_called_malformed(stack, job, http):
    Builder(stack.redis, job).create()
    large = stack.bearer(claims={"groups": ["x" * 30] * 300})
    assert len(large["Authorization"]) > 11_500
    assert fetch(stack, f"/api/jobs/{job}/logs", headers=large, http=http).status == 200


def test_a_cookie_of_many_kilobytes_in_many_lines_reaches_the_gateway(stack):
    cookies = [("Cookie", f"c{n}=" + "a" * 3_900) for n in range(11)]
    assert fetch(stack, PAGE, headers=cookies, http="2").status == 401
    assert fetch(stack, PAGE, headers=[*cookies, *cookies], http="2").status == 431


class Connection:
    """One HTTP/2 connection with several streams."""

    def __init__(self, stack):
        self.link = dial(stack, "tls", "2")
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.host = f"localhost:{port_of(stack, 'tls')}"
        self.status, self.body = {}, {}
        self.flush()

    def flush(self):
        self.link.sendall(self.http.data_to_send())

    def ask(self, path, headers):
        stream = self.http.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "https"), (":authority", self.host), (":path", path)]
        self.http.send_headers(
            stream, head + [(name.lower(), value) for name, value in headers.items()], end_stream=True
        )
        self.body[stream] = b""
        self.flush()
        return stream

    def until(self, done, timeout=5):
        deadline = Deadline(timeout)
        while not done():
            self.link.settimeout(max(0.01, deadline.left()))
            for event in self.http.receive_data(self.link.recv(65536)):
                assert not isinstance(event, h2.events.ConnectionTerminated), "nginx has ended the connection"
                if isinstance(event, h2.events.ResponseReceived):
                    self.status[event.stream_id] = int(dict(event.headers)[":status"])
                elif isinstance(event, h2.events.DataReceived):
                    self.body[event.stream_id] += event.data
                    self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.flush()


def test_a_header_that_is_too_large_harms_no_other_stream_of_the_connection(stack):
    connection = Connection(stack)
    stream = connection.ask(ANYONE, {})
    connection.until(lambda: connection.body[stream].startswith(b"retry:"))
    for size in (11_500, ACCEPTED, REFUSED, 65_000):
        for path in (PAGE, ANYONE):
            refused = connection.ask(path, token(size))
            connection.until(lambda refused=refused: refused in connection.status)
            assert connection.status[refused] == (431 if size >= REFUSED else 401 if path == PAGE else 200)
    stack.wait_subscribed(Spools.CHANNEL)
    Spools(stack.redis).update(tag="after the large headers")
    connection.until(lambda: b"after the large headers" in connection.body[stream])
