"""Gateways whose sockets outlive them, for the tests of restarts.

The sockets come from `systemd-socket-activate`, or from scripts/keep-sockets, which holds them for
`scripts/stack restart gateway` as systemd's socket units do on a host.
"""

import contextlib
import http.client
import json
import os
import socket

from support.waiting import wait_until

SETTLE, DEADLINE = 0.5, 4
DRAIN = {"drain.settle_s": SETTLE, "drain.deadline_s": DEADLINE}
LATE = 1  # seconds that a busy machine and a sanitizer may need to end a process


def dial(address):
    """A connected socket.  `address` is a path or a port of this host."""
    link = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    link.settimeout(10)
    try:
        link.connect(address if isinstance(address, str) else ("127.0.0.1", address))
    except BaseException:
        link.close()
        raise
    return link


class Connection(http.client.HTTPConnection):
    """A connection to a unix socket or a port."""

    def __init__(self, address):
        super().__init__("localhost")
        self.address = address

    def connect(self):
        self.sock = dial(self.address)

    def ask(self, path, headers=None, method="GET"):
        self.request(method, path, headers=headers or {})
        return self.getresponse()


def ask(address, path, headers=None, method="GET"):
    """(status, body)"""
    with contextlib.closing(Connection(address)) as link:
        answer = link.ask(path, headers, method)
        return answer.status, answer.read()


def ask_keeper(stack, **asked):
    facts = json.loads((stack.dir / "stack.json").read_text())
    with dial(facts["keeper_socket"]) as link, link.makefile("rw") as file:
        file.write(json.dumps(asked) + "\n")
        file.flush()
        return json.loads(file.readline())


def exit_status(stack, pid, timeout):
    """Waits for the exit status of a gateway and returns it.  Its parent, scripts/keep-sockets, has read it."""

    def status():
        value = ask_keeper(stack, do="status", pid=pid)["status"]
        return value is not None and (value,)

    return wait_until(status, timeout, f"process {pid} ends")[0]


def alive(pid):
    return os.path.exists(f"/proc/{pid}")
