"""Waiting with a deadline instead of a fixed sleep."""

import time


def wait_until(predicate, timeout=5, what="it happened"):
    """Calls `predicate` until it returns a true value, and returns that value.  After `timeout` seconds, fails with an
    assertion that names `what`."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last: {value!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Deadline:
    """The time left of `timeout` seconds, for several calls that share one timeout."""

    def __init__(self, timeout):
        self._until = time.monotonic() + timeout

    def left(self):
        return max(0.0, self._until - time.monotonic())

    def over(self):
        return time.monotonic() >= self._until
