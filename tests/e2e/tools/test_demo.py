"""scripts/demo: the commands that it prints work, and it leaves nothing behind."""

import os
import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from support.signals import heed_signals
from support.stack import ROOT


class Demo:
    def __init__(self):
        self.process = subprocess.Popen(
            [ROOT / "scripts/demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, preexec_fn=heed_signals,
        )  # fmt: skip
        # If the demo hangs, the test fails after a minute.
        self.guard = threading.Timer(60, lambda: os.killpg(self.process.pid, signal.SIGKILL))
        self.guard.start()
        self.text = ""
        for line in self.process.stdout:
            self.text += line
            if line.startswith("Ctrl-C ends all of it"):
                return
        raise AssertionError(f"the demo ended:\n{self.text}")

    def folder(self):
        return Path(re.search(r"(/\S*tailgate-demo-[^/\s]+)/", self.text).group(1))

    def end(self, number):
        self.process.send_signal(number)
        self.process.communicate()
        self.guard.cancel()
        return self.process.returncode


def processes_that_mention(text):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in path.read_bytes().decode(errors="replace"):
                found.append(path.read_bytes())
        except OSError:
            pass
    return found


def run_until(line, until):
    """Runs a printed command until its output contains `until`, and returns the output."""
    process = subprocess.Popen(shlex.split(line) + ["-sS", "--max-time", "20"], stdout=subprocess.PIPE)
    text = b""
    try:
        while until not in text:
            chunk = process.stdout.read1(65536)
            assert chunk, f"{line}\nended after {text!r}"
            text += chunk
    finally:
        process.kill()
        process.communicate()
    return text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_leaves_no_process_or_folder_behind(number):
    demo = Demo()
    folder = demo.folder()
    assert processes_that_mention(str(folder))
    assert demo.end(number) == 0
    assert not folder.exists()
    assert processes_that_mention(str(folder)) == []


def test_every_command_that_the_demo_prints_works():
    demo = Demo()
    try:
        lines = re.findall(r"(?m)^\s+(curl .*)$", demo.text)
        wanted = {
            "/events/stream": b"build.stage",
            "/jobs/demo/stream": b'"status":"building"',
            "/logs/stream": b"event: log",
            "/logs?limit": b'"has_more"',
            "/sse/stream": b"event: spool_update",
            "/v1/jobs/demo/stream": b"event: progress-update",
        }
        assert len(lines) == 7
        for line in lines:
            # One path is a part of another, so take the longest.
            part = max((part for part in wanted if part in line), key=len)
            run_until(line, wanted[part])
        add = re.search(r"(?m)^\s+(redis-cli .* XADD .*)$", demo.text).group(1)
        subprocess.run(shlex.split(add), check=True, capture_output=True)
        page = re.search(r"(http://localhost:\d+/)", demo.text).group(1)
        assert b"EventSource" in run_until(f"curl {page}", b"</script>")
    finally:
        demo.end(signal.SIGINT)
