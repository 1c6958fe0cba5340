"""The scenarios of the benchmark, and their goals.

Each contestant of a scenario is a function that takes the bench, runs once and returns {figure: number}.  Each row of
the table shows one figure of Tailgate, or its ratio to the same figure of another contestant in the same round.
"""

from dataclasses import dataclass, field

from contestants.answers import accept, auth, bare_xrevrange, pages
from contestants.deliveries import (
    EVERY_SECOND,
    broadcast,
    closed,
    growth_channels,
    growth_streams,
    idle,
    idle_jobs,
    many_channels,
    sized,
)
from contestants.logs import fastapi_logs, logs, one_log, storm, xadd_alone
from contestants.whole_path import processes, whole_backlog, whole_broadcast, whole_jobs
from servers import Bare, FastApi, Gateway, Nchan


@dataclass
class Row:
    text: str
    figure: str
    unit: str = ""
    ratio_to: str = ""  # the contestant to divide by; "NAME-difference": to subtract; empty: the figure itself counts
    most: float = None  # the goal is an upper bound,
    least: float = None  # or a lower bound
    goal: str = ""  # the goal in words
    contestant: str = "tailgate"


@dataclass
class Scenario:
    name: str
    text: str
    contestants: dict
    rows: list = field(default_factory=list)


SCENARIOS = [
    Scenario(
        "broadcast-tcp",
        "broadcast, 5,000 × 200 B, 6 msg/s, TCP",
        broadcast("tcp"),
        [
            Row("CPU per delivery", "cpu_us", "µs", "bare", most=1.10, goal="≤ 1.10 × bare"),
        ],
    ),
    Scenario(
        "broadcast-unix",
        "the same, unix sockets",
        {name: run for name, run in broadcast("unix").items() if name in ("tailgate", "bare")},
        [
            Row("CPU per delivery", "cpu_us", "µs", "bare", most=1.15, goal="≤ 1.15 × bare"),
        ],
    ),
    Scenario(
        "closed",
        "broadcast, closed loop, 32 in flight",
        closed(),
        [
            Row("deliveries per CPU second", "per_cpu_s", "", "bare-join", least=0.6, goal="≥ 0.6 × joining bare"),
            Row("deliveries per second", "per_s", "", "bare-join", least=0.6, goal="≥ 0.6 × joining bare"),
            Row("deliveries per CPU second", "per_cpu_s", "", "node", least=6, goal="≥ 6 × Node"),
            Row("deliveries per second", "per_s", "", "node", least=6, goal="≥ 6 × Node"),
        ],
    ),
    Scenario(
        "channels",
        "2,000 jobs × 2, 5,000 msg/s, with records",
        many_channels(),
        [
            Row("CPU per delivery", "cpu_us", "µs", "bare", most=1.15, goal="≤ 1.15 × bare"),
            Row("p50, difference to bare", "p50_ms", "ms", "bare-difference", most=0.02, goal="≤ bare + 0.02 ms"),
            Row("p99, difference to bare", "p99_ms", "ms", "bare-difference", most=0.15, goal="≤ bare + 0.15 ms"),
            Row(
                "CPU per delivery, without records",
                "cpu_us",
                "µs",
                "bare",
                contestant="tailgate-plain",
                most=1.15,
                goal="≤ 1.15 × bare",
            ),
        ],
    ),
    Scenario(
        "idle-10000",
        "10,000 idle streams",
        idle(sized(10000, 5000, 50)),
        [
            Row("memory per stream", "memory", "B", most=3072, goal="≤ 3.0 KB"),
        ],
    ),
    Scenario(
        "idle-19000",
        "19,000 idle streams, a heartbeat a second",
        idle(sized(19000, 8000, 50), **EVERY_SECOND),
        [
            Row("memory per stream", "memory", "B", most=3072, goal="≤ 3.0 KB"),
            Row("CPU per heartbeat", "beat_us", "µs", "bare", most=1.2, goal="≤ 1.2 × bare"),
        ],
    ),
    Scenario(
        "idle-jobs",
        "10,000 idle jobs × 1 viewer",
        idle_jobs(sized(10000, 4000, 50)),
        [
            Row(
                "gateway CPU per job and second",
                "cpu_us",
                "µs",
                "no-record",
                most=1.1,
                goal="≤ 1.1 × without records",
            ),
            Row("Redis CPU per job and second", "redis_us", "µs", most=0.2, goal="≤ 0.2 µs"),
            Row("gateway CPU, by the sweep", "cpu_us", "µs", contestant="sweep", goal="(a look a second)"),
            Row("Redis CPU, by the sweep", "redis_us", "µs", contestant="sweep", goal="(a look a second)"),
            Row("memory per stream", "memory", "B", goal="(with channel and record)"),
        ],
    ),
    Scenario(
        "logs",
        "1,000 logs × 1, 2,000 XADD/s",
        {
            "tailgate": logs("tcp", route="owner"),
            "xadd-alone": xadd_alone,
            "tailgate-plain": logs("tcp"),
            "tailgate-unix": logs("unix"),
            "tailgate-tracking": logs("tcp", route="owner", notifications=False),
            "tailgate-sweep": logs("tcp", route="owner", notifications=False, settings=["redis.wakeups=sweep"]),
            "fastapi": fastapi_logs,
        },
        [
            Row("CPU per line, with records", "cpu_us", "µs", "fastapi", most=0.17, goal="≤ 0.17 × FastAPI"),
            Row("p50, notifications", "p50_ms", "ms", most=0.3, goal="≤ 0.3 ms"),
            Row("p50, tracking", "p50_ms", "ms", most=0.5, goal="≤ 0.5 ms", contestant="tailgate-tracking"),
            Row("p99", "p99_ms", "ms", "fastapi", most=1.1, goal="not above FastAPI's"),
            Row("Redis CPU", "redis_us", "µs", "xadd-alone", most=2.2, goal="≤ 2.2 × XADD alone"),
            Row(
                "CPU per line, without records",
                "cpu_us",
                "µs",
                "fastapi",
                contestant="tailgate-plain",
                most=0.17,
                goal="≤ 0.17 × FastAPI",
            ),
            Row("CPU per line, unix", "cpu_us", "µs", contestant="tailgate-unix", goal="(without records)"),
            *[
                row
                for way in ("tracking", "sweep")
                for row in (
                    Row(
                        f"Redis CPU, by {way}",
                        "redis_us",
                        "µs",
                        "xadd-alone",
                        contestant=f"tailgate-{way}",
                        most=2.2,
                        goal="≤ 2.2 × XADD alone",
                    ),
                    Row(f"CPU per line, by {way}", "cpu_us", "µs", contestant=f"tailgate-{way}", goal=""),
                )
            ],
            Row("p50, by the sweep", "p50_ms", "ms", most=15, goal="≤ 15 ms", contestant="tailgate-sweep"),
        ],
    ),
    Scenario(
        "logs-closed",
        "1,000 logs × 1, 256 lines under way",
        {"tailgate": logs("tcp", route="owner", window=256)},
        [Row("lines per second", "per_s", "", goal="(compare with another version)")],
    ),
    Scenario(
        "one-log",
        "one log × 1,000 viewers",
        {"tailgate": one_log},
        [
            Row("CPU per delivery", "cpu_us", "µs", goal="as broadcast"),
            Row("Redis reads per line", "reads", "", most=2.2, goal="one, and one that finds no more"),
        ],
    ),
    Scenario(
        "pages",
        "pages of 100 of 10,000, 50 connections",
        {
            "tailgate": pages(Gateway, owner=False),
            "tailgate-owner": pages(Gateway),
            "redis-benchmark": bare_xrevrange,
            "fastapi": pages(FastApi, "tcp"),
        },
        [
            Row("pages per second", "per_s", "", "redis-benchmark", least=0.8, goal="≥ 0.8 × bare XREVRANGE"),
            Row("pages per CPU second of Redis", "per_redis_s", "", "redis-benchmark", least=0.8, goal="(less noisy)"),
            Row(
                "pages per second, of a job's owner",
                "per_s",
                "",
                "fastapi",
                least=10,
                goal="≥ 10 × FastAPI",
                contestant="tailgate-owner",
            ),
            Row("gateway CPU per page", "cpu_us", "µs", goal="(below Redis's)"),
        ],
    ),
    Scenario(
        "accept",
        "accept → first byte, a job each",
        {
            "tailgate": accept(Gateway),
            "bare": accept(Bare),
            "nchan": accept(Nchan),
            "fastapi": accept(FastApi),
        },
        [
            Row("gateway CPU", "cpu_us", "µs", most=66, goal="≤ 66 µs"),
            Row("memory per stream of its own job", "memory", "B", goal="(record and channel included)"),
        ],
    ),
    Scenario(
        "auth", "/auth, warm verdict", {"tailgate": auth}, [Row("gateway CPU", "cpu_us", "µs", most=40, goal="≤ 40 µs")]
    ),
    Scenario(
        "storm",
        "10,000 log streams cut, back with Last-Event-ID",
        {"tailgate": storm},
        [
            Row("gateway CPU until all caught up", "cpu_s", "s", most=2, goal="≤ 2 s"),
            Row("wall time", "wall_s", "s", goal=""),
            Row("CPU per stream cut", "cut_us", "µs", goal=""),
        ],
    ),
    Scenario(
        "whole",
        "nginx with TLS → unix socket",
        {
            "tailgate": whole_broadcast(),
            "tailgate-2k": whole_broadcast(TG_STREAM_BUFFER="2k"),
            "jobs": whole_jobs(),
            "jobs-bare": whole_jobs(True),
            "backlog": whole_backlog(),
            "backlog-bare": whole_backlog(True),
        },
        [
            Row("gateway's share, broadcast", "share", "%", most=20, goal="≤ 20 %"),
            Row("gateway's share, many jobs", "share", "%", most=20, goal="≤ 20 %", contestant="jobs"),
            Row("a bare loop's share, many jobs", "share", "%", goal="(lower bound)", contestant="jobs-bare"),
            Row(
                "deliveries per CPU second of the path, 32 in flight",
                "path_per_cpu_s",
                "",
                "backlog-bare",
                least=4,
                goal="≥ 4 × one write per event",
                contestant="backlog",
            ),
            Row("nginx memory per stream", "nginx_memory", "B", most=32768, goal="≤ 32 KB"),
            Row(
                "the same, TG_STREAM_BUFFER=2k",
                "nginx_memory",
                "B",
                most=32768,
                goal="≤ 32 KB",
                contestant="tailgate-2k",
            ),
            Row(
                "nginx memory per stream of a job's owner",
                "nginx_memory",
                "B",
                goal="(with the auth sub-request)",
                contestant="jobs",
            ),
        ],
    ),
    *[
        Scenario(
            f"growth-streams-{count}",
            f"growth: {count:,} streams",
            growth_streams(count),
            [Row("CPU per delivery", "cpu_us", "µs", "bare", goal="flat within 10 %")],
        )
        for count in (100, 1000, 5000, 10000, 19000)
    ],
    *[
        Scenario(
            f"growth-channels-{count}",
            f"growth: 10,000 streams, {count:,} channels",
            growth_channels(count),
            [Row("CPU per delivery", "cpu_us", "µs", "bare", goal="flat within 10 %")],
        )
        for count in (1, 100, 1000, 10000)
    ],
    *[
        Scenario(
            f"growth-jobs-{count}",
            f"growth: {count:,} watched jobs, one viewer each, no events",
            {name: run for name, run in idle_jobs(sized(count, count, 20)).items() if name != "sweep"},
            [
                Row(
                    "gateway CPU per job and second, for its record",
                    "cpu_us",
                    "µs",
                    "no-record-difference",
                    most=1,
                    goal="≤ 1 µs",
                ),
                Row("Redis CPU per job and second", "redis_us", "µs", "no-record-difference", most=1, goal="≤ 1 µs"),
            ],
        )
        for count in (100, 1000, 5000, 19000)
    ],
    *[
        Scenario(
            f"growth-logs-{count}",
            f"growth: {count:,} logs × 1, 2,000 XADD/s",
            {"tailgate": logs("tcp", count=sized(count, count, 10))},
            [Row("CPU per line", "cpu_us", "µs", goal="flat within 10 %")],
        )
        for count in (10, 100, 1000, 10000)
    ],
    Scenario(
        "processes",
        "N gateways behind nginx",
        {"tailgate": processes(2), "one": processes(1)},
        [
            Row(
                "CPU per delivery, two gateways to one",
                "cpu_us",
                "µs",
                "one",
                most=1.1,
                goal="as with one; one subscription per job",
            ),
        ],
    ),
]

# The scenarios and contestants that `--size quick` leaves out.
NOT_QUICK = (
    "growth-streams-1000",
    "growth-streams-5000",
    "growth-streams-10000",
    "growth-streams-19000",
    "growth-channels-1",
    "growth-channels-100",
    "growth-channels-1000",
    "growth-jobs-100",
    "growth-jobs-1000",
    "growth-jobs-19000",
    "growth-logs-10",
    "growth-logs-100",
    "growth-logs-10000",
)
NOT_QUICK_CONTESTANTS = {
    "closed": ("bare", "fastapi", "nchan"),
    "channels": ("nchan", "node", "fastapi", "tailgate-plain"),
    "logs": ("tailgate-unix",),
}
