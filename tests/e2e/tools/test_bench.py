"""A small run of the benchmark, and checks that it fails on a wrong delivery."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.stack import ROOT, default_binary

sys.path.insert(0, str(ROOT / "tests/bench"))

from servers import Bench, Failed, Gateway  # noqa: E402

pytestmark = pytest.mark.short_form

PROGRAMS = ROOT / "build/release/bench"


@pytest.fixture(scope="module")
def bench():
    made = Bench({"tailgate": default_binary(), "load": PROGRAMS / "load", "bare_loop": PROGRAMS / "bare_loop"}, "tiny")
    yield made
    made.close()


def test_the_benchmark_prints_a_table_with_a_ratio_for_each_scenario():
    command = [ROOT / "tests/bench/run", "--size", "tiny", "--tailgate", default_binary()]
    command += ["--only", "broadcast-unix", "closed", "channels", "pages", "auth", "storm"]
    command += ["--contestants", "tailgate", "bare", "bare-join", "redis-benchmark"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    for name in ("unix sockets", "closed loop", "2,000 jobs", "pages of 100", "/auth", "Last-Event-ID"):
        assert any(name in row[0] for row in rows), (name, done.stdout)
    # A difference may be negative, but a ratio is positive.
    compared = [row for row in rows if "bare" in row[3] and "difference" not in row[1]]
    assert compared and all(float(row[4].split()[0]) > 0 for row in compared), done.stdout


def stream_words(server, **options):
    words = {"--to": server.address, "--path": "/bench/{}", "--streams": 4, "--messages": 10, "--rate": 200, **options}
    return [str(word) for pair in words.items() for word in pair] + server.publish()


def test_a_missing_delivery_fails_the_benchmark(bench):
    with Gateway(bench, "unix") as server:
        words = stream_words(server, **{"--patience-s": 0.5})
        with pytest.raises(Failed, match='"received": 0, .*\n.*not all deliveries are right'):
            bench.load("streams", *words, "--topic", "bench:nobody-listens")


def test_a_delivery_to_the_wrong_stream_fails_the_benchmark(bench):
    with Gateway(bench, "unix") as server:
        # Half of the streams belong to topic 1 and are opened on the channel of topic 0.
        words = stream_words(server, **{"--path": "/bench/0", "--topics": 2, "--patience-s": 0.5})
        with pytest.raises(Failed, match='"wrong": [1-9]'):
            bench.load("streams", *words)


def test_a_stream_that_ends_fails_the_benchmark(bench):
    with Gateway(bench, "unix", settings=["route.channel.max_age_s=0.4"]) as server:
        words = stream_words(server, **{"--messages": 1, "--idle-s": 1.5, "--patience-s": 0.5})
        with pytest.raises(Failed, match='"lost_streams": 4'):
            bench.load("streams", *words)


def test_an_unexpected_status_fails_the_benchmark(bench):
    with Gateway(bench, "unix") as server:
        words = ["--to", server.auth_address, "--path", "/auth", "--requests", "5", "--connections", "1"]
        with pytest.raises(Failed, match='"wrong": 5'):
            bench.load("requests", *words, "--status", "200")


def test_the_benchmark_leaves_no_folder_behind(bench):
    assert bench.dir.exists()
    short_lived = Bench({"load": PROGRAMS / "load"}, "tiny")
    short_lived.close()
    assert not Path(short_lived.dir).exists()
