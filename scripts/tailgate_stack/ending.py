"""Ends what a tool has started, when the tool ends and also when a signal ends it.

    ending.end_on_signals()              first of all
    folder = ending.folder("prefix-")    a temporary folder
    ending.keep_stack(directory)         before `scripts/stack up`; ending.forget_stack(directory) after `down`

When the tool exits, or gets SIGTERM, SIGINT or SIGHUP, it ends its child processes and all processes that are left in
their sessions.  Then it ends its stacks, and removes its folders.  The processes of a stack are not children of the
tool, because `scripts/stack up` starts them and exits.  Meanwhile the tool ignores further signals.  After SIGKILL
nothing is cleaned up.
"""

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tailgate_stack import ROOT
from tailgate_stack.processes import end, proc_stat, send, wait_until

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# A child may have children and stacks of its own, which it ends first.
PATIENCE_SECONDS = 60


def _ours():
    """SIGNALS without those that were ignored at the start, as SIGHUP under nohup.  These stay ignored."""
    return [each for each in SIGNALS if signal.getsignal(each) != signal.SIG_IGN]


class _Custody:
    """What this process has started.  A forked child has a copy of it, and must not end what belongs to its parent."""

    def __init__(self):
        self.pid = os.getpid()
        self.stacks = set()
        self.folders = set()
        self.is_ending = False


_custody = _Custody()


def _mine():
    global _custody
    if _custody.pid != os.getpid():
        _custody = _Custody()
    return _custody


def is_ending():
    """True once the end has begun.  Nothing more should be started then."""
    return _mine().is_ending


def folder(prefix):
    """A new temporary folder, which is removed at the end."""
    path = Path(tempfile.mkdtemp(prefix=prefix))
    _mine().folders.add(path)
    return path


def remove(path):
    """Removes a folder before the end."""
    _mine().folders.discard(path)
    shutil.rmtree(path, ignore_errors=True)


def keep_stack(directory):
    _mine().stacks.add(str(directory))


def forget_stack(directory):
    _mine().stacks.discard(str(directory))


def children():
    """Entries {"pid", "start"} of the child processes that live."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            for word in (task / "children").read_text().split():
                stat = proc_stat(int(word))
                if stat and stat[0] != "Z":
                    found.append({"pid": int(word), "start": stat[2]})
    return found


def _lives(entry):
    stat = proc_stat(entry["pid"])
    return stat is not None and stat[0] != "Z" and stat[2] == entry["start"]


def end_children():
    """Ends the child processes, and what they leave behind in sessions of their own."""
    entries = children()
    # A gateway drains after the first SIGTERM and ends after the second.  Our own tools ignore the second.
    for seconds in (3, PATIENCE_SECONDS):
        for entry in filter(_lives, entries):
            send(entry["pid"], signal.SIGTERM)
        if wait_until(lambda: not any(map(_lives, entries)), seconds):
            break
    for entry in entries:
        if _lives(entry):
            send(entry["pid"], signal.SIGKILL)
        end(entry, [])


def end_stacks():
    """Ends the stacks, all at the same time."""
    command = [str(ROOT / "scripts/stack"), "down", "--dir"]
    mine = _mine()
    # In sessions of their own, so that Ctrl-C does not reach them.
    downs = [subprocess.Popen([*command, each], start_new_session=True) for each in sorted(mine.stacks)]
    mine.stacks.clear()
    for down in downs:
        with contextlib.suppress(subprocess.TimeoutExpired):
            down.wait(PATIENCE_SECONDS)


def end_everything():
    """Ends all that this process has started.  Does nothing the second time."""
    mine = _mine()
    mine.is_ending = True
    end_children()
    end_stacks()
    for path in list(mine.folders):
        remove(path)


def end_on_signals(then=None, notice=""):
    """Calls end_everything() at the exit of this process, and when it gets one of SIGNALS.  After a signal, `notice` is
    printed first.  At the end `then` is called with the signal's number.  Without `then` the process exits with 128 +
    number."""

    def on_signal(number, _frame):
        if _custody.pid != os.getpid():
            os._exit(128 + number)  # a forked child, which owns nothing
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        try:
            if notice:
                print(notice, flush=True)
            end_everything()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if then is None:
                os._exit(128 + number)
        then(number)

    _mine()
    for each in _ours():
        signal.signal(each, on_signal)
    atexit.register(end_everything)


class _Deferred:
    depth = 0
    number = None


def _exit_unless_deferred(number, _frame):
    if _Deferred.depth:
        _Deferred.number = number
        return
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def exit_on_signals():
    """For a program that cleans up in `except` and `finally`: raises SystemExit at the first of SIGNALS, but not inside
    uninterrupted(), and ignores further ones."""
    for each in _ours():
        signal.signal(each, _exit_unless_deferred)


@contextlib.contextmanager
def uninterrupted():
    """Delays the SystemExit of exit_on_signals().  Use it between the start of a process and the note of its pid."""
    _Deferred.depth += 1
    try:
        yield
    finally:
        _Deferred.depth -= 1
        if _Deferred.number is not None and not _Deferred.depth:
            number, _Deferred.number = _Deferred.number, None
            _exit_unless_deferred(number, None)
