"""A stack whose Redis the tests of one file may stop or restart, and further Redis servers."""

import pytest

from support.redis_servers import servers
from support.unavailable import QUICK, wait_up


@pytest.fixture(scope="module")
def file_stack(stack_with):
    return stack_with(QUICK, redis_conf=["enable-debug-command yes"])


@pytest.fixture
def own_stack(file_stack):
    """A stack of this file, whose Redis the tests may stop or restart.  When a test begins, Redis is up."""
    wait_up(file_stack)
    return file_stack


@pytest.fixture
def start_redis(tmp_path):
    """start_redis(*lines, **arguments of Server) starts a further Redis server.  It ends with the test."""
    with servers(tmp_path) as start:
        yield start
