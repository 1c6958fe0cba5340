"""Processes that are killed, clients that disconnect and jobs that run again: no line is lost and all is released."""

import os
import random
import signal
import threading
import time

import pytest

from support import routes
from support.clients import NotReceived, dial, fetch, open_stream, sealed, send
from support.publishers import Builder
from support.routes import open_live_stream
from support.waiting import Deadline, wait_until

ways_in = pytest.mark.parametrize("http, via", [("1.1", "tls"), ("2", "tls"), ("1.1", "plain")])


def endpoints_of_all_routes(stack, job):
    return [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]


def resources(stack):
    """(numbers of streams, channels and logs, number of descriptors) of the gateway."""
    metrics = stack.metrics()
    names = ("tailgate_streams", "tailgate_channels_watched", "tailgate_logs_followed")
    return tuple(metrics[name] for name in names), len(os.listdir(f"/proc/{stack.gateway_pid}/fd"))


def wait_released(stack, before, timeout=8):
    spare = 8  # nginx keeps some idle connections to the gateway

    def released():
        counts, descriptors = resources(stack)
        return counts == before[0] and descriptors <= before[1] + spare

    wait_until(released, timeout, f"all is released; before: {before}, now: {resources(stack)}")


# ---- processes that are killed ------------------------------------------------------------------------


@ways_in
def test_a_killed_gateway_cuts_its_streams_and_clients_resume_after_a_restart(private_stack, job, http, via):
    stack = private_stack()
    endpoints = endpoints_of_all_routes(stack, job)
    streams = [open_live_stream(endpoint, http=http, via=via) for endpoint in endpoints]
    os.kill(stack.gateway_pid, signal.SIGKILL)
    for stream in streams:
        assert stream.wait_closed(5) is False, "a client must be able to distinguish a cut from the end"
        assert "id: end" not in stream.raw.decode()
    for endpoint in endpoints:
        if endpoint.route == "log-stream":
            for number in range(5):
                endpoint.write_number(number)
    stack.restart("gateway")
    for endpoint, stream in zip(endpoints, streams):
        headers = {**endpoint.headers(), "Last-Event-ID": stream.last_id} if stream.last_id else endpoint.headers()
        again = open_stream(stack, endpoint.path, headers=headers, http=http, via=via)
        assert again.status == 200
        if endpoint.route == "log-stream":
            assert [endpoint.number_in(event) for event in again.take_events(5)] == list(range(5))
        else:
            stack.wait_subscribed(endpoint.channel)
        endpoint.write_number(9)
        again.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 9)


def test_a_killed_nginx_ends_all_streams_and_the_gateway_releases_them(private_stack, job):
    stack = private_stack()
    endpoints = endpoints_of_all_routes(stack, job)
    stack.wait_idle()
    before = resources(stack)
    streams = [open_live_stream(endpoint, http=http) for endpoint in endpoints for http in ("1.1", "2")]
    assert resources(stack)[0][0] == len(streams)
    stack.restart("nginx", kill=True)
    for stream in streams:
        stream.wait_closed(5)
    wait_released(stack, before)
    for endpoint in endpoints:
        open_live_stream(endpoint)


@pytest.mark.slow
def test_streams_survive_a_reload_of_nginx(private_stack, job):
    stack = private_stack()
    endpoints = endpoints_of_all_routes(stack, job)
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    stack.reload("nginx")
    deadline = Deadline(1)
    number = 0
    while not deadline.over():
        number += 1
        for endpoint, stream in zip(endpoints, streams):
            endpoint.write_number(number)
            stream.events_until(lambda event, endpoint=endpoint, number=number: endpoint.number_in(event) == number)
    for endpoint in endpoints:
        open_live_stream(endpoint)


def test_a_suspended_gateway_continues_its_log_stream_without_loss(private_stack, job):
    stack = private_stack()
    endpoint = routes.Lines(stack, job).create()
    stream = open_live_stream(endpoint)
    os.kill(stack.gateway_pid, signal.SIGSTOP)
    for number in range(50):
        endpoint.write_number(number)
    with pytest.raises(NotReceived):
        stream.next_event(0.5)
    os.kill(stack.gateway_pid, signal.SIGCONT)
    assert [endpoint.number_in(event) for event in stream.take_events(50, 10)] == list(range(50))


# The worker publishes the end while the gateway is suspended.  When the gateway goes on, its wait for the published end
# is over, but it has not yet read the message.
def test_a_suspended_gateway_sends_the_published_end_and_not_the_ending_of_the_record(private_stack, job):
    stack = private_stack()
    endpoint = routes.Progress(stack, job).create()
    stream = open_live_stream(endpoint)
    looks = stack.metrics()["tailgate_record_looks_total"]
    endpoint.finish_silently()
    wait_until(lambda: stack.metrics()["tailgate_record_looks_total"] > looks)
    os.kill(stack.gateway_pid, signal.SIGSTOP)
    endpoint.write_number(1)
    stack.redis.publish(endpoint.channel, '{"event":"complete","data":{"url":"/posts/3"}}')
    time.sleep(1)
    os.kill(stack.gateway_pid, signal.SIGCONT)
    assert [event.json() for event in stream.rest()] == [{"n": 1}, {"url": "/posts/3"}]


# ---- every line arrives once --------------------------------------------------------------------------


class Reader:
    """A log viewer that loads a page, opens a stream after the page's newest line, and reconnects after each cut."""

    def __init__(self, endpoint):
        self.endpoint, self.numbers, self.last, self.gaps = endpoint, [], None, 0
        self.stream, self.done = None, False

    def load_page(self):
        answer = fetch(
            self.endpoint.stack, f"/api/jobs/{self.endpoint.job}/logs?limit=500", headers=self.endpoint.headers()
        )
        if answer.status != 200:
            return
        page = answer.json()
        assert page["has_more"] is False
        self.numbers = [int(line["text"].removeprefix("n=")) for line in page["lines"]]
        self.last = page["lines"][-1]["id"] if page["lines"] else "0-0"

    def step(self):
        """Loads the page, opens the stream, or reads one event.  Waits only a moment for an event."""
        try:
            if self.last is None:
                self.load_page()
                return
            if self.stream is None:
                path = f"{self.endpoint.path}?last_event_id={self.last}"
                self.stream = open_stream(self.endpoint.stack, path, headers=self.endpoint.headers())
                if self.stream.status != 200:
                    self.stream = None
                    return
            event = self.stream.next_event(0.2)
        except (NotReceived, ConnectionError, AssertionError):
            if self.stream is not None and self.stream.ended:
                self.stream = None
            return
        if event.name == "log":
            self.numbers.append(self.endpoint.number_in(event))
            self.last = event.last_id
        self.gaps += event.name == "gap"
        self.done = self.done or event.name == "done"


def test_a_page_and_its_stream_give_every_line_once_while_processes_are_killed(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.1, "drain.deadline_s": 1})
    endpoint = routes.Lines(stack, job).create()
    readers = [Reader(endpoint) for _ in range(3)]
    total = 400
    stop = threading.Event()

    def write():
        for number in range(total):
            endpoint.write_number(number)
            if stop.wait(0.01):
                return
        endpoint.finish()

    for number in range(-30, 0):
        endpoint.write_number(number)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        readers[0].step()
        for what, kill in (("gateway", True), ("nginx", True), ("gateway", False)):
            wanted = len(readers[0].numbers) + 40
            deadline = Deadline(15)
            while not deadline.over() and not all(len(reader.numbers) >= wanted or reader.done for reader in readers):
                for reader in readers:
                    reader.step()
            stack.restart(what, kill=kill)
        deadline = Deadline(25)
        while not deadline.over() and not all(reader.done for reader in readers):
            for reader in readers:
                if not reader.done:
                    reader.step()
    finally:
        stop.set()
        writer.join()
    for reader in readers:
        assert reader.done
        assert reader.numbers == list(range(-30, total))
        assert reader.gaps == 0


@pytest.mark.parametrize("loss", ["deleted", "trimmed", "kept"])
def test_a_job_that_runs_again_is_resumed_after_its_end_or_with_a_gap_event(stack, job, loss):
    endpoint = routes.Lines(stack, job).create()
    stream = open_live_stream(endpoint)
    for number in range(5):
        endpoint.write_number(number)
    endpoint.finish()
    done = stream.rest()[-1]
    assert done.name == "done" and done.last_id == endpoint.end_id
    back = {**endpoint.headers(), "Last-Event-ID": done.last_id}
    assert fetch(stack, endpoint.path, headers=back).status == 204
    if loss == "deleted":
        stack.redis.delete(endpoint.worker.log_key)
    endpoint.run_again()
    for number in range(10, 15):
        endpoint.write_number(number)
    if loss == "trimmed":
        stack.redis.xtrim(endpoint.worker.log_key, maxlen=3, approximate=False)
    for headers, params in ((back, None), (endpoint.headers(), {"last_event_id": done.last_id})):
        again = open_stream(stack, endpoint.path, headers=headers, params=params)
        assert again.status == 200
        events = again.events_until(lambda event: endpoint.number_in(event) == 14)
        numbers = [endpoint.number_in(event) for event in events if event.name == "log"]
        gaps = [event for event in events if event.name == "gap"]
        assert numbers == list(range(12 if loss == "trimmed" else 10, 15))
        assert len(gaps) == (0 if loss == "kept" else 1) and events[0].name == ("log" if loss == "kept" else "gap")
        if gaps:
            assert gaps[0].json()["requested"] == done.last_id.removeprefix("end.")
    endpoint.finish()
    assert again.rest()[-1].name == "done"
    assert fetch(stack, endpoint.path, headers={**endpoint.headers(), "Last-Event-ID": again.last_id}).status == 204


# ---- clients that disconnect ------------------------------------------------------------------------


WAYS_TO_CLOSE = ["close", "reset", "half_close"]


@pytest.mark.parametrize("via", ["plain", "gateway"])
def test_clients_that_disconnect_in_any_phase_are_released(private_stack, job, via):
    stack = private_stack({"redis.wait_s": 2})
    endpoints = endpoints_of_all_routes(stack, job)
    history = routes.Lines(stack, job + "-history").create()
    for number in range(3000):
        history.write_number(number)
    unknown = f"/api/v1/jobs/{job}-unknown/stream"
    identities = {}

    def headers_of(path, headers):
        if via == "plain":
            return headers
        if path not in identities:
            identities[path] = sealed(stack, path, headers)
        return identities[path]

    def ask(path, headers):
        return send(stack, path, headers=headers_of(path, headers), via=via)

    for endpoint in endpoints:
        headers_of(endpoint.path, endpoint.headers())
    stack.wait_idle()
    before = resources(stack)
    # Before the answer: the gateway looks for the missing record for 800 ms.
    clients = [ask(unknown, stack.bearer("alice", "blog")) for _ in range(6)]
    wait_until(lambda: resources(stack)[0][0] >= 6, 5, "the openings have begun")
    # At once after the request.
    clients += [ask(endpoint.path, endpoint.headers()) for endpoint in endpoints for _ in WAYS_TO_CLOSE]
    # With an open stream.
    clients += [ask(endpoint.path, endpoint.headers()).wait_head() for endpoint in endpoints for _ in WAYS_TO_CLOSE]
    # While the stream sends a long history.
    for _ in WAYS_TO_CLOSE:
        headers = {**headers_of(history.path, history.headers()), "Last-Event-ID": "0-0"}
        slow = send(stack, history.path, headers=headers, via=via, receive_buffer=4096)
        slow.wait_head().next_event()
        clients.append(slow)
    # During a page.
    clients += [ask(f"/api/jobs/{history.job}/logs", history.headers()) for _ in range(6)]
    for number, client in enumerate(clients):
        getattr(client, WAYS_TO_CLOSE[number % 3])()
    wait_released(stack, before)
    assert not [line for line in stack.logs() if line["level"] == "error"]


@pytest.mark.slow
def test_clients_that_connect_and_disconnect_at_random_are_released(private_stack, job):
    stack = private_stack({"redis.wait_s": 1})
    endpoints = endpoints_of_all_routes(stack, job)
    dice = random.Random(11)
    stack.wait_idle()
    before = resources(stack)
    clients = []
    for turn in range(300):
        endpoint = dice.choice(endpoints)
        http, via = dice.choice([("1.1", "tls"), ("2", "tls"), ("1.1", "plain"), ("1.1", "plain")])
        clients.append(send(stack, endpoint.path, headers=endpoint.headers(), http=http, via=via))
        endpoint.write_number(turn)
        if len(clients) > 20 or dice.random() < 0.4:
            leaver = clients.pop(dice.randrange(len(clients)))
            how = dice.choice(WAYS_TO_CLOSE if not hasattr(leaver.socket, "pending") else WAYS_TO_CLOSE[:2])
            getattr(leaver, how)()
        if turn in (100, 200):
            stack.redis.client_kill_filter(_type="pubsub")
    for client in clients:
        client.close()
    wait_released(stack, before, 10)
    channels = [endpoint.channel for endpoint in endpoints if endpoint.channel]
    wait_until(
        lambda: not any(count for _, count in stack.redis.pubsub_numsub(*channels)), 5, "all channels are unsubscribed"
    )
    assert len(stack.connections()) <= 6


def test_silent_and_incomplete_requests_do_not_delay_a_stream(stack, job):
    endpoint = routes.Status(stack, job).create()
    silent = [dial(stack, via) for via in ("gateway", "auth", "plain") for _ in range(20)]
    for number, link in enumerate(silent):
        if number % 2:
            link.sendall(b"GET /api/jobs/x/stream HTTP/1.1\r\nHo")
    begin = time.monotonic()
    stream = open_live_stream(endpoint)
    endpoint.finish()
    assert endpoint.is_final(stream.rest()[-1])
    assert time.monotonic() - begin < 3
    for link in silent:
        link.close()


# ---- the end of a job -------------------------------------------------------------------------------


def test_a_reconnect_with_the_id_of_the_end_gets_no_204_while_redis_is_stopped(private_stack, job):
    # 204 stops an EventSource for good, so the gateway must have seen that the job has ended.
    stack = private_stack({"redis.wait_s": 0.5})
    endpoint = routes.Events(stack, job).create()
    endpoint.finish()
    back = {**endpoint.headers(), "Last-Event-ID": "end"}
    assert fetch(stack, endpoint.path, headers=back).status == 204
    os.kill(stack.redis_pid, signal.SIGSTOP)
    try:
        answer = open_stream(stack, endpoint.path, headers=back)
        assert answer.status == 200 and answer.next_event().name == "unavailable"
    finally:
        os.kill(stack.redis_pid, signal.SIGCONT)


def test_a_reconnecting_client_follows_a_job_that_runs_again_under_the_same_id(stack, job):
    for kind in routes.WITH_RECORD:
        endpoint = kind(stack, f"{job}-{kind.route}").create()
        stream = open_live_stream(endpoint)
        for attempt in range(3):
            endpoint.finish()
            last = stream.rest()[-1]
            assert endpoint.is_final(last)
            back = {**endpoint.headers(), "Last-Event-ID": last.last_id}
            assert fetch(stack, endpoint.path, headers=back).status == 204
            endpoint.run_again()
            stream = open_stream(stack, endpoint.path, headers=back)
            assert stream.status == 200
            if endpoint.channel:
                wait_until(lambda endpoint=endpoint: stack.subscribers(endpoint.channel), 5, "a subscriber")
            endpoint.write_number(attempt)
            stream.events_until(lambda event, endpoint=endpoint, attempt=attempt: endpoint.number_in(event) == attempt)


def test_an_expired_record_gives_404_but_does_not_end_an_open_stream_at_once(private_stack, job):
    stack = private_stack()
    worker = Builder(stack.redis, job).create()
    stream = open_stream(stack, f"/api/jobs/{job}/stream", headers=stack.bearer())
    stream.next_event()
    stack.redis.pexpire(worker.key, 100)
    wait_until(lambda: not stack.redis.exists(worker.key), 3, "the record is gone")
    assert fetch(stack, f"/api/jobs/{job}/stream", headers=stack.bearer()).status == 404
    stream.pump(0.5)
    assert stream.ended is None, "the record may be written again"
    worker.create("ready")
    assert stream.rest()[-1].json()["status"] == "ready"
