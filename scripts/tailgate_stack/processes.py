"""Processes of a stack.  Each one leads a session of its own, so that `end` finds its children too.

An entry {"pid", "start"} names a process.  The start time distinguishes it from a later process with the same pid.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tailgate_stack import Failed


def proc_stat(pid):
    """(state, session, start time) from /proc/PID/stat, or None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[3]), int(fields[19])


def members(entry):
    """The pids of the living processes in the session of `entry`."""
    leader = proc_stat(entry["pid"])
    if leader and leader[2] != entry["start"]:
        return []  # the kernel has given this pid to another process
    alive = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = proc_stat(name)
            if stat and stat[0] != "Z" and stat[1] == entry["pid"] and stat[2] >= entry["start"]:
                alive.append(int(name))
    return alive


def wait_until(happened, seconds):
    """Calls `happened` until it returns true.  False if `seconds` pass before."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while not happened():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.2, 0.05)
    return True


def wait_gone(entry, alive, seconds):
    """Waits until no process of the session is alive.  Reads all of /proc only after those in `alive` have ended."""

    def gone():
        while alive:
            stat = proc_stat(alive[-1])
            if stat and stat[0] != "Z" and stat[1] == entry["pid"]:
                return False
            alive.pop()
        alive[:] = members(entry)
        return not alive

    return wait_until(gone, seconds)


def send(pid, number):
    """Sends a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def end(entry, signals):
    """Ends a session.  `signals` is a list of (signal, seconds to wait after it); SIGKILL follows the last one."""
    for number, seconds in signals:
        alive = members(entry)
        if not alive:
            return
        # The leader passes the signal on to its children.  Without a leader each process gets it.
        for pid in [entry["pid"]] if entry["pid"] in alive else alive:
            send(pid, number)
        if wait_gone(entry, alive, seconds):
            return
    alive = members(entry)
    for pid in alive:
        send(pid, signal.SIGKILL)
    wait_gone(entry, alive, 5)


def child_env(more):
    """The environment of a process of the stack: a few variables of the caller, and `more`."""
    kept = ("PATH", "HOME", "LANG", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "LD_LIBRARY_PATH")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    # nginx is in /usr/sbin, which the caller's PATH may lack.
    env["PATH"] = "/usr/local/sbin:/usr/sbin:/sbin:" + env.get("PATH", "/usr/bin:/bin")
    env.update(more)
    return env


def run(command, **more):
    """The standard output of a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def tail(path, lines=15):
    """The last lines of a log, indented, for an error message."""
    try:
        return "".join("  " + line + "\n" for line in path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
