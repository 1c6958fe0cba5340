"""Waiting for what must happen: a deadline, never a fixed sleep."""

import time


def wait_until(predicate, timeout=5, what="it happened"):
    """The first true value of `predicate`, asked again and again; an assertion that names `what` if none comes."""
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
    """How long is left of `timeout` seconds, for calls that each take a timeout of their own."""

    def __init__(self, timeout):
        self._until = time.monotonic() + timeout

    def left(self):
        return max(0.0, self._until - time.monotonic())

    def over(self):
        return time.monotonic() >= self._until
