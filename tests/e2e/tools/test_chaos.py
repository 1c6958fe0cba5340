"""Short forms of `make chaos` and `make soak`."""

import os
import subprocess

import pytest

from chaos.faults import GATEWAY_FAULTS, REDIS_FAULTS, schedule
from support.stack import ROOT, default_binary

pytestmark = pytest.mark.short_form


def run(program, binary, *arguments):
    # In a process of its own, because it has hundreds of connections and an event loop.
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "tests" / program / "run", *map(str, arguments), "--binary", binary],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_short_chaos_run_has_no_violation():
    seed = int.from_bytes(os.urandom(3), "big")
    report = run("chaos", default_binary(), "--seconds", 8, "--seed", seed)
    assert "chaos: 0 violations" in report
    assert "entries delivered" in report and "events delivered" in report, "nothing was delivered"
    assert "faults: none" not in report


def test_equal_seeds_give_equal_fault_schedules():
    assert schedule("7", 300) == schedule("7", 300)
    assert schedule("7", 300) != schedule("8", 300)


def test_a_default_run_schedules_every_fault():
    for lane, faults in zip(schedule("1", 300), (REDIS_FAULTS, GATEWAY_FAULTS), strict=True):
        assert {fault for _, fault, _, _ in lane} == set(faults)


def test_a_short_soak_run_finds_no_leak():
    # The release build, because a sanitizer keeps freed memory.
    release = ROOT / "build/release/tailgate"
    assert "soak: nothing left behind" in run("soak", release, "--seconds", 8, "--viewers", 20)
