"""A short form of `make consumers`: clients like the four frontends, while servers restart and tokens expire."""

import subprocess

import pytest

from support.stack import ROOT, default_binary

pytestmark = pytest.mark.short_form


@pytest.mark.parametrize(
    "scenario",
    ["deploy", "redis-restart", "ecs", "token-expiry", pytest.param("redis-failover", marks=pytest.mark.slow)],
)
def test_no_tab_dies_no_line_is_lost_and_no_tab_reconnects_too_often(scenario):
    done = subprocess.run(
        ["/usr/bin/python3", ROOT / "tests/consumers/run", "--tabs=2", "--calm=1", "--binary", default_binary(), scenario],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 tabs, 0 dead, 0 lines lost" in done.stdout
