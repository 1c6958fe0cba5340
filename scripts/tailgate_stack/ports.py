"""TCP ports.  All stacks of a user share one range and one locked file of the ports in use."""

import contextlib
import fcntl
import functools
import json
import os
import secrets
import socket
import tempfile
from pathlib import Path

from tailgate_stack.processes import proc_stat

PORTS = range(2000, 10000)  # below the ephemeral range, from which the kernel gives ports to clients
# The ports in that range to which no browser connects (WHATWG Fetch, "port blocking").
BLOCKED = {2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697}


@contextlib.contextmanager
def registry():
    """Locks the file of the ports in use and yields its dict, from a port to the port's owner.  The caller may change
    the dict.  If it is empty in the end, the file is removed."""
    path = Path(tempfile.gettempdir()) / f"tailgate-ports-{os.getuid()}.json"
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink == 0:
                continue  # another process removed the file while we waited for the lock
            try:
                taken = json.load(file)
            except ValueError:
                taken = {}
            ports_of = functools.cache(ports_in)
            taken = {port: owner for port, owner in taken.items() if still_owned(int(port), owner, ports_of)}
            yield taken
            file.seek(0)
            file.truncate()
            json.dump(taken, file)
            file.flush()
            if not taken:
                path.unlink()
            return


def pick_ports(count, directory):
    """Returns `count` ports that no other stack owns, on which nobody listens, and which browsers do not block.
    Their owner is this process while it lives, and the stack in `directory` once its stack.json names them."""
    mine = []
    start_time = proc_stat(os.getpid())[2]
    with registry() as taken:
        while len(mine) < count:
            port = PORTS.start + secrets.randbelow(len(PORTS))
            if port in BLOCKED or str(port) in taken or not bindable(port):
                continue
            mine.append(port)
            taken[str(port)] = {"dir": str(directory), "pid": os.getpid(), "start": start_time}
    return mine


def release_ports(ports):
    with registry() as taken:
        for port in ports:
            taken.pop(str(port), None)


def ports_in(directory):
    try:
        return json.loads((Path(directory) / "stack.json").read_text())["ports"]
    except (OSError, ValueError, KeyError):
        return []


def still_owned(port, owner, ports_of):
    stat = proc_stat(owner["pid"])
    if stat and stat[2] == owner["start"]:
        return True  # the process that picked the port still runs
    return port in ports_of(owner["dir"])


def bindable(port):
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
