"""`stack` for the golden tests of the routes: its Redis is empty, and heartbeats come once an hour.

test_golden_timed.py tests heartbeats, with a stack of its own.
"""

import pytest

from support.golden_jobs import QUIET


@pytest.fixture
def stack(stack_with):
    stack = stack_with(QUIET)
    stack.redis.flushall()
    return stack
