"""Stacks for tests.

    stack          all three examples, shared by whoever needs nothing else
    stack_with     the same for other settings: equal arguments in one file, one stack
    private_stack  a factory of stacks that a test may stop, starve and kill

A shared stack has a Redis that other tests use at the same time: take ids from `job`, and restart nothing.
"""

import itertools
import json
import uuid

import pytest

from support.clients import close_all
from support.stack import Stack


@pytest.fixture
def job():
    """An id that nobody else has."""
    return f"job-{uuid.uuid4().hex[:16]}"


@pytest.fixture(autouse=True)
def no_client_stays():
    yield
    close_all()


@pytest.fixture(scope="module")
def stack_with(tmp_path_factory):
    """stack_with(settings, **as Stack.up): a stack that the file's tests share, started when first asked for."""
    stacks = {}

    def get(settings=None, **more):
        key = json.dumps([settings, more], sort_keys=True, default=str)
        if key not in stacks:
            stacks[key] = Stack.up(tmp_path_factory.mktemp("stack") / "s", settings, **more)
        return stacks[key]

    yield get
    end_all(stacks.values())


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    shared = Stack.up(tmp_path_factory.mktemp("stack") / "s")
    yield shared
    end_all([shared])


@pytest.fixture
def private_stack(tmp_path):
    """private_stack(settings, **as Stack.up): one of the test's own, ended behind it."""
    stacks = []
    numbers = itertools.count()

    def start(settings=None, **more):
        started = Stack.up(tmp_path / f"s{next(numbers)}", settings, **more)
        stacks.append(started)
        return started

    start.stacks = stacks
    yield start
    end_all(stacks)


def end_all(stacks):
    """Each of them, also if one has something to say about its end."""
    findings = []
    for started in stacks:
        try:
            started.down()
        except AssertionError as finding:
            findings.append(str(finding))
    assert not findings, "\n".join(findings)


# Files are handed out whole, so that what a file's tests share is started once; the longest come first, lest one
# of them begins when everybody else is done.
LONGEST = ("unavailable", "upgrade", "nginx", "ops", "bad_input", "redis_lost", "lifecycle", "keys", "clients_gone")


def pytest_collection_modifyitems(items):
    rank = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failure comes with what the gateway had to say."""
    report = (yield).get_result()
    if report.failed and report.when == "call":
        for value in getattr(item, "funcargs", {}).values():
            for used in getattr(value, "stacks", [value]):
                if isinstance(used, Stack) and used.facts:
                    tail = used.log_text().splitlines()[-25:]
                    report.sections.append(("the gateway's log", "\n".join(tail)))
