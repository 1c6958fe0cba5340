"""Stacks for tests.

    stack          all three examples with default settings; all files share it
    stack_with     stacks with other settings; the tests of one file share one stack for equal arguments
    private_stack  stacks of one test, which may stop and kill their processes

Other tests use the Redis of a shared stack at the same time, so take ids from `job` and restart nothing.
"""

import itertools
import json
import os
import signal
import uuid

import pytest
import redis

from support.clients import close_all
from support.stack import Stack
from tailgate_stack import ending


def pytest_configure(config):
    """Ends stacks, browsers and tools when this process gets a signal.  pytest-xdist has a process for each worker."""

    def interrupted(number):
        if number != signal.SIGINT:
            os._exit(128 + number)
        raise KeyboardInterrupt  # pytest reports the tests that have run

    ending.end_on_signals(None if hasattr(config, "workerinput") else interrupted)


@pytest.fixture
def job():
    """A unique job id."""
    return f"job-{uuid.uuid4().hex[:16]}"


@pytest.fixture(autouse=True)
def close_clients():
    yield
    close_all()


@pytest.fixture(scope="module")
def stack_with(tmp_path_factory):
    """stack_with(settings, **arguments of Stack.up) returns a stack that the tests of the file share.  The first call
    starts it.  Fails if a test has left Redis with another configuration, because the next test would see it."""
    stacks, before = {}, {}

    def get(settings=None, **more):
        key = json.dumps([settings, more], sort_keys=True, default=str)
        if key not in stacks:
            stacks[key] = Stack.up(tmp_path_factory.mktemp("stack") / "s", settings, **more)
            before[key] = redis_configuration(stacks[key])
        return stacks[key]

    yield get
    after = {key: redis_configuration(stack) for key, stack in stacks.items()}
    end_all(stacks.values())
    changed = [key for key in stacks if before[key] and after[key] and before[key] != after[key]]
    assert not changed, "a test that changes Redis's configuration needs private_stack"


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    shared = Stack.up(tmp_path_factory.mktemp("stack") / "s")
    yield shared
    end_all([shared])


@pytest.fixture
def private_stack(tmp_path):
    """private_stack(settings, **arguments of Stack.up) starts a stack.  It ends with the test."""
    stacks = []
    numbers = itertools.count()

    def start(settings=None, **more):
        started = Stack.up(tmp_path / f"s{next(numbers)}", settings, **more)
        stacks.append(started)
        return started

    start.stacks = stacks
    yield start
    end_all(stacks)


def redis_configuration(stack):
    """Empty if this stack's Redis is not running or has no CONFIG command."""
    try:
        return stack.redis.config_get()
    except redis.exceptions.RedisError:
        return {}


def end_all(stacks):
    """Ends all stacks, even if the end of one fails, and then reports all failures."""
    findings = []
    for started in stacks:
        try:
            started.down()
        except AssertionError as finding:
            findings.append(str(finding))
    assert not findings, "\n".join(findings)


# pytest-xdist runs each file in one process, so that the tests of a file share their stacks.  The longest files start
# first, because a long file that starts last would run alone.
LONGEST = (
    "clients", "draining", "restart", "nginx_legs", "nginx_canary", "redis_refuses", "redis_lost", "lifecycle",
    "keys", "clients_gone", "streams_without_redis", "token_expiry",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    rank = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Adds the end of the gateway's log to the report of a failed test."""
    report = (yield).get_result()
    if report.failed and report.when == "call":
        for value in getattr(item, "funcargs", {}).values():
            for used in getattr(value, "stacks", [value]):
                if isinstance(used, Stack) and used.facts:
                    tail = used.log_text().splitlines()[-25:]
                    report.sections.append(("the gateway's log", "\n".join(tail)))
