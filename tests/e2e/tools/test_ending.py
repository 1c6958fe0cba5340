"""A tool that gets a signal leaves no process and no folder behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.signals import heed_signals
from support.stack import ROOT, default_binary
from support.waiting import wait_until

PYTHON = "/usr/bin/python3"
SECONDS = 90  # to end; a tool may end stacks of its children's children


@pytest.fixture
def home():
    """The folder for all temporary files of a tool.  Its path is short, because it holds unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="tg-", dir="/tmp"))
    yield path
    for pid in belonging_to(path):  # only if a test has failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(path, ignore_errors=True)


def belonging_to(home):
    """The pids of processes that have the folder in their command line, their environment or their working folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        text = b""
        with contextlib.suppress(OSError):
            text += (path / "cmdline").read_bytes()
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            text += bytes((path / "cwd").readlink())
            text += (path / "environ").read_bytes()
        if str(home).encode() in text and state != "Z":
            found.append(int(path.name))
    return found


def running(home, *names):
    """True if a process of each of these programs belongs to the folder."""
    words = set()
    for pid in belonging_to(home):
        with contextlib.suppress(OSError):
            words.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return set(names) <= words


def start(home, *command, before=heed_signals):
    with open(home / "output", "wb") as output:
        return subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
            env={**os.environ, "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}, start_new_session=True,
            preexec_fn=before,
        )  # fmt: skip


def assert_ends(process, home, number):
    """Sends the signal to the tool alone, and looks for what it leaves behind."""
    process.send_signal(number)
    status = process.wait(SECONDS)
    assert belonging_to(home) == [], [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in belonging_to(home)]
    left = [path.name for path in home.iterdir() if path.name.startswith("tailgate-") and path.is_dir()]
    assert left == [], left
    return status


# ---- the mechanism --------------------------------------------------------------------------------------


TOOL = """
import subprocess, sys, time
sys.path[:0] = ["scripts", "tests"]
from tailgate_stack import ending
ending.end_on_signals()
print(ending.folder("tailgate-x-"), flush=True)
{body}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_children_and_what_they_leave_in_their_session(home, number):
    # Like a draining gateway, the child does not end at the first SIGTERM.  It has a child that ignores every SIGTERM.
    body = """
subprocess.Popen(["bash", "-c", "trap 'trap - TERM' TERM; (trap '' TERM; while :; do sleep 60 & wait; done) & while :; do sleep 0.1; done"],
                 start_new_session=True)
subprocess.run(["sleep", "600"])
"""
    process = start(home, PYTHON, "-c", TOOL.format(body=body))
    wait_until(lambda: running(home, "bash", "sleep"), 10, "the children run")
    assert assert_ends(process, home, number) == 128 + number


@pytest.mark.parametrize("call", ["end_on_signals", "exit_on_signals"])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(home, call):
    def under_nohup():
        heed_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    tool = TOOL.replace("end_on_signals", call)
    process = start(home, PYTHON, "-c", tool.format(body="time.sleep(600)"), before=under_nohup)
    wait_until(lambda: list(home.glob("tailgate-x-*")), 10, "the tool runs")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 128 + signal.SIGTERM


def test_a_second_signal_does_not_interrupt_the_end(home):
    body = """
subprocess.run(["bash", "-c", "trap 'echo told; sleep 1; exit' TERM; while :; do sleep 0.1; done"])
"""
    process = start(home, PYTHON, "-c", TOOL.format(body=body))
    wait_until(lambda: running(home, "bash"), 10, "the child runs")
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: b"told" in (home / "output").read_bytes(), 10, "the end has begun")
    process.send_signal(signal.SIGINT)
    assert assert_ends(process, home, signal.SIGTERM) == 128 + signal.SIGTERM


def test_a_forked_child_ends_nothing_of_its_parent(home):
    body = """
import os, signal
child = os.fork()
if child == 0:
    time.sleep(600)
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
assert os.waitpid(child, 0)[1] == (128 + signal.SIGTERM) << 8
import pathlib, tempfile
assert list(pathlib.Path(tempfile.gettempdir()).glob("tailgate-x-*"))
print("still here", flush=True)
time.sleep(600)
"""
    process = start(home, PYTHON, "-c", TOOL.format(body=body))
    wait_until(lambda: b"still here" in (home / "output").read_bytes(), 10, "the child has ended")
    assert_ends(process, home, signal.SIGTERM)


def test_a_tool_that_fails_leaves_nothing_behind(home):
    process = start(home, PYTHON, "-c", TOOL.format(body="subprocess.Popen(['sleep', '600'])\nraise SystemExit(3)"))
    assert process.wait(SECONDS) == 3
    assert belonging_to(home) == []
    assert list(home.glob("tailgate-x-*")) == []


@pytest.mark.parametrize("pause", [0, 0.3, 0.8, 1.5])
def test_a_signal_in_the_middle_of_the_start_of_a_stack_ends_the_stack(home, pause):
    body = f"""
import threading
from support.stack import Stack
threading.Thread(target=Stack.up, args=({str(home / "s")!r},), daemon=True).start()
time.sleep(600)
"""
    process = start(home, PYTHON, "-c", TOOL.format(body=body))
    wait_until(lambda: (home / "s/stack.json").exists(), 20, "the stack begins")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(pause)
    assert_ends(process, home, signal.SIGTERM)
    assert not (home / "s").exists()


# ---- the tools ------------------------------------------------------------------------------------------


def pytest_of(name):
    return [PYTHON, "-m", "pytest", "-q", f"tests/e2e/{name}"]


def tools():
    binary = default_binary()
    small = "routes/test_fourth_team.py"
    return {
        "chaos": [PYTHON, "tests/chaos/run", "--seconds", 60, "--binary", binary],
        "soak": [PYTHON, "tests/soak/run", "--seconds", 60, "--viewers", 5, "--binary", binary],
        "consumers": [PYTHON, "tests/consumers/run", "--tabs", 1, "--binary", binary, "deploy"],
        "bench": [PYTHON, "tests/bench/run", "--size", "tiny", "--tailgate", binary, "--only", "broadcast-unix"],
        "demo": [PYTHON, "scripts/demo", "--binary", binary],
        "pytest": pytest_of(small),
        "pytest -n 2": [*pytest_of(small), "-n", "2"],
        "run-tests": [PYTHON, "scripts/run-tests", "--binary", binary, "--", "-n", "1", "-k", "fourth_team"],
    }


@pytest.mark.short_form
@pytest.mark.parametrize("name", list(tools()))
def test_a_tool_that_gets_sigterm_leaves_no_process_and_no_folder_behind(home, name):
    process = start(home, *tools()[name])
    wanted = ("redis-server", "tailgate")
    wait_until(lambda: running(home, *wanted) or process.poll() is not None, SECONDS, f"{name} has started its servers")
    assert process.poll() is None, (home / "output").read_text(errors="replace")[-3000:]
    assert_ends(process, home, signal.SIGTERM)


@pytest.mark.short_form
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_chaos_ends_its_stack_on_other_signals_too(home, number):
    process = start(home, *tools()["chaos"])
    wait_until(lambda: running(home, "redis-server", "tailgate", "nginx"), SECONDS, "the stack runs")
    assert_ends(process, home, number)
