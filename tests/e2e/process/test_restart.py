"""A restart: the new gateway serves on the same sockets before the old one exits, and no request is refused."""

import collections
import http.client
import json
import os
import signal
import threading

import pytest

from support import routes
from support.clients import fetch
from support.restarts import DEADLINE, DRAIN, LATE, Connection, alive, ask, exit_status
from support.routes import open_live_stream
from support.seals import seal
from support.stack import DEPLOY
from support.waiting import wait_until


# ---- scripts/stack restart gateway ----------------------------------------------------------------------


def test_a_restart_starts_new_gateways_while_the_old_ones_drain(private_stack, job):
    stack = private_stack(DRAIN, instances=2)
    old = stack.facts["pids"]["gateways"]
    files = [os.stat(path) for path in stack.facts["gateway_sockets"] + stack.facts["auth_sockets"]]
    held = open_live_stream(routes.Lines(stack, job).create())
    stack.restart()
    new = stack.facts["pids"]["gateways"]
    assert len(new) == 2 and not set(old) & set(new)
    assert held.ended is None and any(map(alive, old)), "an open stream is not cut"
    for url, pid in zip(stack.facts["ops_urls"], new):
        port = int(url.rpartition(":")[2])
        for _ in range(20):
            status, body = ask(port, "/readyz")
            assert status == 200 and json.loads(body)["pid"] == pid, "the old gateway gets no new connections"
    assert held.wait_closed(DEADLINE + LATE)
    assert [exit_status(stack, pid, DEADLINE + LATE) for pid in old] == [0, 0]
    now = [os.stat(path) for path in stack.facts["gateway_sockets"] + stack.facts["auth_sockets"]]
    assert [(file.st_dev, file.st_ino) for file in now] == [(file.st_dev, file.st_ino) for file in files]
    stack.restart(wait=True)
    assert not any(map(alive, new))


def test_the_old_gateway_keeps_serving_if_the_new_one_does_not_start(private_stack, tmp_path, job):
    config = tmp_path / "site.toml"
    config.write_text((DEPLOY / "all-three.toml").read_text())
    stack = private_stack(config=config)
    pid = stack.gateway_pid
    held = open_live_stream(routes.Lines(stack, job).create())
    config.write_text(config.read_text() + "\n[nonsense]\nkey = 1\n")
    with pytest.raises(AssertionError, match="nonsense"):
        stack.restart()
    assert json.loads(stack.ops("/readyz")[1]) == {**json.loads(stack.ops("/readyz")[1]), "pid": pid, "status": "ready"}
    config.write_text((DEPLOY / "all-three.toml").read_text())
    assert held.pump(0.1).ended is None
    stack.restart()
    assert stack.gateway_pid != pid


def test_stack_down_leaves_no_process_or_socket_after_kills(private_stack):
    stack = private_stack(DRAIN, instances=2)
    keeper = json.loads((stack.dir / "stack.json").read_text())["processes"]["keeper"]["pid"]
    pids = [keeper, *stack.facts["pids"]["gateways"]]
    os.kill(pids[1], signal.SIGKILL)
    stack.restart()
    pids += stack.facts["pids"]["gateways"]
    os.kill(keeper, signal.SIGKILL)
    assert fetch(stack, "/readyz").status == 200, "gateways serve without the keeper"
    stack.restart()
    stack.restart(kill=True)
    stack.restart()
    facts = json.loads((stack.dir / "stack.json").read_text())
    pids += [facts["processes"]["keeper"]["pid"], *stack.facts["pids"]["gateways"]]
    run_dir = stack.run_dir
    stack.down()
    wait_until(lambda: not any(map(alive, pids)), 3, "all processes have ended")
    assert not run_dir.exists() and not stack.dir.exists()


# ---- requests during a restart --------------------------------------------------------------------------


class Asker(threading.Thread):
    """Sends the same request again and again, each time on a new connection, or, if `kept`, on one connection for as
    long as the server keeps it."""

    def __init__(self, kind, address, path, headers, *, kept, wanted=b""):
        super().__init__()
        self.kind, self.address, self.path, self.headers, self.kept = kind, address, path, headers, kept
        self.wanted = wanted  # a text that a good answer must contain
        self.counts, self.failures = collections.Counter(), []
        self.moved = 0  # the number of answers with "Connection: close"
        self.stop = threading.Event()
        self.pids = set()

    def run(self):
        link = None
        while not self.stop.wait(0.002):
            try:
                link = link or Connection(self.address)
                answer = link.ask(self.path, self.headers)
                # A stream does not end, so read only until the wanted text.
                if answer.headers.get_content_type() == "text/event-stream":
                    body = b""
                    while self.wanted not in body and b"unavailable" not in body:
                        line = answer.readline()
                        assert line, f"the stream ended: {body!r}"
                        body += line
                else:
                    body = answer.read()
                good = answer.status in (200, 204) and self.wanted in body
                # /readyz may answer "starting" while the new process has not reached Redis, or "draining" if the old
                # process accepted the connection before SIGTERM.
                not_ready = self.kind == "readyz" and (b'"starting"' in body or b'"draining"' in body)
                self.counts["not ready" if not_ready else answer.status if good else f"bad {answer.status}"] += 1
                if not good and not not_ready:
                    self.failures.append((answer.status, body[:200]))
                self.moved += self.kept and answer.headers.get("connection") == "close"
                if self.kind == "readyz":
                    self.pids.add(json.loads(body)["pid"])
                if not self.kept or answer.will_close:
                    link.close()
                    link = None
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.counts["failed"] += 1
                self.failures.append(repr(error))
                if link:
                    link.close()
                link = None
        if link:
            link.close()


def test_no_request_is_refused_while_the_gateway_restarts(private_stack, job):
    stack = private_stack({"drain.settle_s": 0.5, "drain.deadline_s": 3})
    endpoint = routes.Lines(stack, job).create()
    endpoint.write_number(1)
    # Open streams, so that the old process drains until its deadline.
    held = [open_live_stream(routes.Lines(stack, f"{job}-{n}").create()) for n in range(10)]
    page, tail = f"/api/jobs/{job}/logs", f"{endpoint.path}?last_event_id=0-0"
    bearer, plain, direct = endpoint.headers(), stack.facts["nginx_port_plain"], stack.gateway_socket
    page_seal = seal(stack, "log-pages", job, user="alice", provider="clerk")
    tail_seal = seal(stack, "log-stream", job, user="alice", provider="clerk")
    question = {"X-Tailgate-Uri": page, "X-Tailgate-Method": "GET", **bearer}
    first_line = b'"text":"n=1"'
    ops = int(stack.ops_url.rpartition(":")[2])
    askers = [
        Asker("pages through nginx, kept", plain, page, bearer, kept=True, wanted=first_line),
        Asker("pages through nginx", plain, page, bearer, kept=False, wanted=first_line),
        Asker("streams through nginx", plain, tail, bearer, kept=False, wanted=first_line),
        Asker("pages, kept", direct, page, page_seal, kept=True, wanted=first_line),
        Asker("pages", direct, page, page_seal, kept=False, wanted=first_line),
        Asker("streams", direct, tail, tail_seal, kept=False, wanted=first_line),
        Asker("auth, kept", stack.auth_socket, "/auth", question, kept=True),
        Asker("auth", stack.auth_socket, "/auth", question, kept=False),
        Asker("readyz", ops, "/readyz", {}, kept=False, wanted=b'"ready"'),
    ]
    pids = {stack.gateway_pid}
    for asker in askers:
        asker.start()
    try:
        for _ in range(3):
            before = [sum(asker.counts.values()) for asker in askers]
            stack.restart(wait=True)
            pids.add(stack.gateway_pid)
            wait_until(
                lambda before=before: all(
                    sum(asker.counts.values()) > count + 20 for asker, count in zip(askers, before)
                ),
                20,
                "each asker has got 20 more answers",
            )
    finally:
        for asker in askers:
            asker.stop.set()
        for asker in askers:
            asker.join()
    for asker in askers:
        print(f"{asker.kind}: {dict(asker.counts)}, moved {asker.moved}")
    assert {asker.kind: asker.failures for asker in askers if asker.failures} == {}
    for asker in askers:
        if asker.kept and "nginx" not in asker.kind:
            assert asker.moved >= 3, f"{asker.kind}: a kept-alive connection is closed at each restart"
    assert askers[-1].counts["not ready"] < askers[-1].counts[200] / 20
    assert {asker.kind: asker.pids for asker in askers if asker.pids} == {"readyz": pids}
    assert {stream.wait_closed(1) for stream in held} == {True}
