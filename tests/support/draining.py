"""The times of a drain, and the end of a process, for tests that end a gateway."""

from pathlib import Path

from support.waiting import wait_until

SETTLE, DEADLINE = 0.8, 3.5
LATE = 1.5  # seconds that a busy machine and a sanitizer may need to end a process
DRAIN = {"drain.settle_s": SETTLE, "drain.deadline_s": DEADLINE}


def gone(pid):
    """True if the process has ended, even if no parent has waited for it (state Z)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_gone(pid, timeout):
    wait_until(lambda: gone(pid), timeout, f"process {pid} ends")
