"""The scenarios of the benchmark, and their goals.

Each contestant of a scenario is a function that takes the bench, runs once and returns {figure: number}.  Each row of
the table shows one figure of Tailgate, or its ratio to the same figure of another contestant in the same round.
"""

import subprocess
from dataclasses import dataclass, field

from servers import LOAD_CPU, Bare, Failed, FastApi, Gateway, Nchan, Node, WholePath, hs256


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


def per(result, phase, count, who="server"):
    """The CPU time of a phase, in microseconds, divided by `count`."""
    return result[f"{phase}_cpu_{who}_us"] / max(count, 1)


def deliver(make, *, streams, topics=1, messages, rate=0.0, window=0, path="/bench/{}", extra=(), prepare=None):
    """A contestant that opens streams, publishes messages, and returns the cost of a delivery."""

    def run(bench):
        bench.fresh_redis()
        if prepare:
            prepare(bench)
        with make(bench) as server:
            more = extra(server) if callable(extra) else list(extra)
            result = bench.load(
                "streams",
                "--to",
                server.address,
                "--path",
                path,
                "--streams",
                streams(bench),
                "--topics",
                topics(bench) if callable(topics) else topics,
                "--messages",
                messages(bench),
                "--rate",
                rate,
                "--window",
                window,
                *server.publish(),
                *more,
                watch=server.watch(),
            )
        count = result["run_deliveries"]
        figures = {
            "cpu_us": per(result, "run", count),
            "redis_us": per(result, "run", count, "redis"),
            "per_s": count / result["run_s"],
            "per_cpu_s": 1e6 / max(per(result, "run", count), 1e-9),
            "p50_ms": result["run_p50_us"] / 1000,
            "p99_ms": result["run_p99_us"] / 1000,
            "reads": result["run_reads"] / count,
            "memory": result["memory_server"] / streams(bench),
            "accept_us": per(result, "open", streams(bench)),
        }
        if "run_cpu_nginx_us" in result:
            nginx = per(result, "run", count, "nginx")
            figures["nginx_us"] = nginx
            figures["share"] = 100 * figures["cpu_us"] / (figures["cpu_us"] + nginx)
            figures["path_per_cpu_s"] = 1e6 / (figures["cpu_us"] + nginx)
            figures["nginx_memory"] = result["memory_nginx"] / streams(bench)
        return figures

    return run


def sized(full, quick, tiny):
    return lambda bench: bench.size(full, quick, tiny)


# ---- broadcast ------------------------------------------------------------------------------------


def broadcast(transport):
    how = {"streams": sized(5000, 5000, 50), "messages": sized(60, 12, 5), "rate": 6}
    return {
        "tailgate": deliver(lambda b: Gateway(b, transport), **how),
        "bare": deliver(lambda b: Bare(b, transport), **how),
        "nchan": deliver(lambda b: Nchan(b, transport), **how),
        "node": deliver(lambda b: Node(b, transport), **how),
        # FastAPI cannot keep up with this rate, so its run takes longer.
        "fastapi": deliver(
            lambda b: FastApi(b, transport), **{**how, "streams": sized(5000, 1000, 50), "messages": sized(30, 6, 5)}
        ),
    }


def closed(transport="tcp"):
    how = {"streams": sized(5000, 2000, 50), "window": 32}
    return {
        "tailgate": deliver(lambda b: Gateway(b, transport), messages=sized(2000, 1000, 64), **how),
        "bare-join": deliver(lambda b: Bare(b, transport, ["--join"]), messages=sized(2000, 1000, 64), **how),
        "bare": deliver(lambda b: Bare(b, transport), messages=sized(300, 200, 64), **how),
        "nchan": deliver(lambda b: Nchan(b, transport), messages=sized(200, 100, 64), **how),
        "node": deliver(lambda b: Node(b, transport), messages=sized(600, 300, 64), **how),
        "fastapi": deliver(lambda b: FastApi(b, transport), messages=sized(100, 40, 32), **how),
    }


def jobs(count):
    return lambda bench: bench.make_jobs(count(bench))


def many_channels(transport="tcp"):
    channels = sized(2000, 2000, 20)
    how = {"streams": sized(4000, 4000, 40), "topics": channels, "messages": sized(20000, 7500, 100), "rate": 5000}
    return {
        "tailgate": deliver(lambda b: Gateway(b, transport), **how),
        "bare": deliver(lambda b: Bare(b, transport), **how),
        "nchan": deliver(lambda b: Nchan(b, transport), **how),
        "node": deliver(lambda b: Node(b, transport), **how),
        "fastapi": deliver(lambda b: FastApi(b, transport), **{**how, "messages": sized(10000, 5000, 100)}),
        # The same with a record for each job, which the gateway reads every second.
        "tailgate-owner": deliver(
            lambda b: Gateway(b, transport),
            **how,
            prepare=jobs(channels),
            path="/api/jobs/{}/events/stream",
            extra=lambda server: [
                "--headers",
                server.identities("events", channels(server.bench)),
                "--topic",
                "job:{}:events",
            ],
        ),
    }


# ---- idle -----------------------------------------------------------------------------------------


def idle(count, words=(), settings=()):
    def run_one(make):
        def run(bench):
            bench.fresh_redis()
            with make(bench) as server:
                streams = count(bench)
                seconds = bench.size(6, 2.5, 2)
                result = bench.load(
                    "streams",
                    "--to",
                    server.address,
                    "--path",
                    "/bench/x",
                    "--streams",
                    streams,
                    "--settle-s",
                    0.5,
                    "--idle-s",
                    seconds,
                    watch=server.watch(),
                )
            beats = result["idle_beats"]
            if settings and beats < streams * (seconds - 1) * 0.8:
                raise Failed(f"{beats} heartbeats of {streams} streams in {seconds} s")
            return {"memory": result["memory_server"] / streams, "beat_us": per(result, "idle", beats)}

        return run

    return {
        "tailgate": run_one(lambda b: Gateway(b, settings=settings)),
        "bare": run_one(lambda b: Bare(b, words=words)),
    }


EVERY_SECOND = {
    "words": ["--heartbeat-ms", "1000"],
    "settings": ["route.channel.heartbeat.every_s=1", "route.channel.heartbeat.when=always"],
}


# ---- logs -----------------------------------------------------------------------------------------


def logs(transport, *, route="log", notifications=True, settings=(), viewers=1, count=sized(1000, 1000, 10)):
    """A contestant that opens viewers of `count` logs and writes 2,000 entries a second."""

    def run(bench):
        bench.fresh_redis(notifications)
        number = count(bench)
        with Gateway(bench, transport, settings) as server:
            if route == "log":
                more = ["--path", "/bench-log/{}", "--topic", "bench-log:{}"]
            else:
                bench.make_jobs(number)
                more = ["--path", "/api/jobs/{}/logs/stream", "--topic", "job:{}:logs"]
                more += ["--headers", server.identities("log-stream", number)]
            result = bench.load(
                "streams",
                "--to",
                server.address,
                "--streams",
                number * viewers,
                "--topics",
                number,
                "--messages",
                bench.size(10000, 4000, 100),
                "--rate",
                2000,
                "--bytes",
                120,
                "--verb",
                "log",
                *server.publish(),
                *more,
                watch=server.watch(),
            )
        lines = result["run_deliveries"]
        return {
            "cpu_us": per(result, "run", lines),
            "redis_us": per(result, "run", lines, "redis"),
            "p50_ms": result["run_p50_us"] / 1000,
            "p99_ms": result["run_p99_us"] / 1000,
        }

    return run


def xadd_alone(bench):
    bench.fresh_redis(False)
    result = bench.load(
        "streams",
        "--to",
        f"unix:{bench.redis_socket}",
        "--streams",
        0,
        "--topics",
        bench.size(1000, 1000, 10),
        "--messages",
        bench.size(10000, 4000, 100),
        "--rate",
        2000,
        "--bytes",
        120,
        "--verb",
        "log",
        "--topic",
        "bench-log:{}",
        "--publish",
        f"unix:{bench.redis_socket}",
        watch=[("redis", bench.redis.pids())],
    )
    return {"redis_us": result["run_cpu_redis_us"] / bench.size(10000, 4000, 100)}


def fastapi_logs(bench):
    bench.fresh_redis()
    with FastApi(bench) as server:
        result = bench.load(
            "streams",
            "--to",
            server.address,
            "--path",
            "/bench-log/{}",
            "--topic",
            "bench-log:{}",
            "--streams",
            bench.size(1000, 200, 10),
            "--topics",
            bench.size(1000, 200, 10),
            "--messages",
            bench.size(10000, 1000, 100),
            "--rate",
            2000,
            "--bytes",
            120,
            "--verb",
            "log",
            "--settle-s",
            2,
            "--publish",
            f"unix:{bench.redis_socket}",
            watch=server.watch(),
        )
    return {"cpu_us": per(result, "run", result["run_deliveries"]), "p50_ms": result["run_p50_us"] / 1000}


def one_log(bench):
    """One log with many viewers: the CPU time of a delivery, and the number of Redis reads for each line."""
    bench.fresh_redis()
    viewers, messages = bench.size(1000, 1000, 20), bench.size(600, 75, 20)
    with Gateway(bench) as server:
        result = bench.load(
            "streams",
            "--to",
            server.address,
            "--path",
            "/bench-log/{}",
            "--streams",
            viewers,
            "--messages",
            messages,
            "--rate",
            30,
            "--bytes",
            120,
            "--verb",
            "log",
            *server.publish(),
            "--topic",
            "bench-log:{}",
            "--redis",
            f"unix:{bench.redis_socket}",
            watch=server.watch(),
        )
    return {"cpu_us": per(result, "run", result["run_deliveries"]), "reads": result["run_log_reads"] / messages}


def storm(bench):
    bench.fresh_redis()
    streams, topics = bench.size(10000, 3000, 40), bench.size(100, 30, 4)
    with Gateway(bench) as server:
        result = bench.load(
            "streams",
            "--to",
            server.address,
            "--path",
            "/bench-log/{}",
            "--streams",
            streams,
            "--topics",
            topics,
            "--messages",
            topics * 2,
            "--rate",
            topics * 2,
            "--bytes",
            120,
            "--verb",
            "log",
            "--storm",
            topics * 10,
            "--opening",
            1000,
            *server.publish(),
            "--topic",
            "bench-log:{}",
            watch=server.watch(),
        )
    return {
        "cpu_s": result["back_cpu_server_us"] / 1e6 * 10000 / streams,
        "wall_s": result["back_s"],
        "cut_us": result["cut_cpu_server_us"] / streams,
        "redis_s": result["back_cpu_redis_us"] / 1e6 * 10000 / streams,
    }


# ---- pages, opening, /auth -------------------------------------------------------------------------


def pages(make, transport="unix", owner=True):
    def run(bench):
        bench.fresh_redis()
        bench.make_jobs(1)
        key = "job:0:logs" if owner else "bench-log:0"
        bench.make_log(key, bench.size(10000, 10000, 500))
        with make(bench, transport) as server:
            headers = server.identities("log-pages", 1) if make is Gateway else server.tokens()
            requests = bench.size(20000, 5000, 100) if make is Gateway else bench.size(2000, 600, 100)
            result = bench.load(
                "requests",
                "--to",
                server.address,
                "--path",
                "/api/jobs/0/logs" if owner else "/bench-pages/0",
                "--headers",
                headers,
                "--connections",
                50,
                "--requests",
                requests,
                "--count",
                '{"id":"' if make is Gateway else '"id":',
                "--times",
                100,
                watch=server.watch(),
            )
        return {
            "per_s": requests / result["run_s"],
            "cpu_us": per(result, "run", requests),
            "redis_us": per(result, "run", requests, "redis"),
            "per_redis_s": 1e6 / per(result, "run", requests, "redis"),
            "p99_ms": result["run_p99_us"] / 1000,
        }

    return run


def bare_xrevrange(bench):
    bench.fresh_redis()
    bench.make_log("job:0:logs", bench.size(10000, 10000, 500))
    requests = bench.size(20000, 8000, 200)
    before = bench.redis_cli("INFO", "cpu")
    # redis-benchmark runs on the CPU of Redis, as the load generator does.
    command = [
        "taskset",
        "-c",
        str(LOAD_CPU),
        "redis-benchmark",
        "-s",
        str(bench.redis_socket),
        "-c",
        "50",
        "-n",
        str(requests),
        "--csv",
    ]
    command += ["XREVRANGE", "job:0:logs", "+", "-", "COUNT", "101"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = bench.redis_cli("INFO", "cpu")

    def spent(text):
        return sum(
            float(line.split(":")[1])
            for line in text.splitlines()
            if line.startswith(("used_cpu_sys:", "used_cpu_user:"))
        )

    rate = float(done.stdout.splitlines()[-1].split('","')[1])
    redis = (spent(after) - spent(before)) / requests
    return {"per_s": rate, "redis_us": redis * 1e6, "per_redis_s": 1 / redis}


def accept(kind):
    def run(bench):
        bench.fresh_redis()
        streams = bench.size(5000, 500 if kind is FastApi else 2000, 40)
        bench.make_jobs(streams)
        with kind(bench) as server:
            headers = (
                server.identities("events", streams)
                if kind is Gateway
                else server.tokens()
                if kind is FastApi
                else None
            )
            path = "/bench/{}" if headers is None else "/api/jobs/{}/events/stream"
            result = bench.load(
                "streams",
                "--to",
                server.address,
                "--path",
                path,
                "--streams",
                streams,
                "--topics",
                streams,
                *(["--headers", headers] if headers else []),
                watch=server.watch(),
            )
        return {
            "cpu_us": per(result, "open", streams),
            "redis_us": per(result, "open", streams, "redis"),
            "p99_ms": result["open_p99_us"] / 1000,
            "memory": result["memory_server"] / streams,
        }

    return run


def auth(bench):
    bench.fresh_redis()
    requests = bench.size(50000, 20000, 200)
    lines = [
        "\t".join(
            [
                "X-Tailgate-Uri: /api/jobs/0/events/stream",
                "X-Tailgate-Method: GET",
                "Authorization: Bearer " + hs256({"sub": "alice"}),
            ]
        )
    ]
    with Gateway(bench, "unix") as server:
        result = bench.load(
            "requests",
            "--to",
            server.auth_address,
            "--path",
            "/auth",
            "--headers",
            bench.header_file("auth", lines),
            "--connections",
            20,
            "--requests",
            requests,
            "--status",
            204,
            watch=server.watch(),
        )
    return {"cpu_us": per(result, "run", requests), "p99_ms": result["run_p99_us"] / 1000}


# ---- growth ---------------------------------------------------------------------------------------


def growth_streams(count):
    rate = max(1.5, min(300, 30000 / count))
    messages = sized(max(6, int(rate * 4)), max(6, int(rate * 2)), 20)
    how = {"streams": sized(count, count, 20), "messages": messages, "rate": rate}
    return {"tailgate": deliver(lambda b: Gateway(b), **how), "bare": deliver(lambda b: Bare(b), **how)}


def growth_channels(count):
    # 20,000 deliveries a second, or 5,000 if each channel has one viewer.
    rate = min(2.0 * count, 5000)
    how = {"streams": sized(10000, 10000, 50), "topics": sized(count, count, min(count, 20)), "rate": rate}
    how["messages"] = sized(max(9, int(rate * 3)), max(9, int(rate * 2)), 20)
    return {"tailgate": deliver(lambda b: Gateway(b), **how), "bare": deliver(lambda b: Bare(b), **how)}


# ---- the whole path -------------------------------------------------------------------------------


def whole_broadcast(**settings):
    how = {"streams": sized(2000, 1000, 30), "extra": ["--tls"]}
    return deliver(lambda b: WholePath(b, settings=settings), messages=sized(60, 20, 5), rate=10, **how)


def whole_jobs(bare=False):
    count = sized(500, 500, 10)
    how = {"streams": sized(1000, 1000, 20), "topics": count, "messages": sized(6000, 2000, 50), "rate": 1000}
    if bare:  # the bare loop has no jobs and no records
        return deliver(lambda b: WholePath(b, bare=True), extra=["--tls"], **how)
    return deliver(
        lambda b: WholePath(b),
        **how,
        prepare=jobs(count),
        path="/api/jobs/{}/events/stream",
        extra=lambda path: ["--tls", "--headers", path.tokens(), "--topic", "job:{}:events"],
    )


def whole_backlog(bare=False):
    # The bare loop makes a write for each message and never joins messages, so nginx handles each write.
    messages = sized(150, 100, 40) if bare else sized(1000, 500, 40)
    return deliver(
        lambda b: WholePath(b, bare=bare), streams=sized(2000, 1000, 30), extra=["--tls"], messages=messages, window=32
    )


def processes(instances):
    def run(bench):
        bench.fresh_redis()
        count = bench.size(500, 300, 10)
        bench.make_jobs(count)
        with WholePath(bench, instances=instances) as path:
            result = bench.load(
                "streams",
                "--to",
                path.address,
                "--tls",
                "--path",
                "/api/jobs/{}/events/stream",
                "--headers",
                path.tokens(),
                "--streams",
                count * 4,
                "--topics",
                count,
                "--messages",
                bench.size(4000, 1500, 50),
                "--rate",
                1000,
                "--publish",
                f"unix:{bench.redis_socket}",
                "--topic",
                "job:{}:events",
                "--settle-s",
                0.5,
                watch=path.watch(),
            )
            subscribed = bench.redis_cli("PUBSUB", "NUMSUB", *(f"job:{i}:events" for i in range(count))).split()[1::2]
        # The gateways keep subscriptions for some seconds after the last viewer has left.
        if any(number != "1" for number in subscribed):
            raise Failed(f"a job has more than one subscription: {sorted(set(subscribed))}")
        return {"cpu_us": per(result, "run", result["run_deliveries"])}

    return run


# ---- all ------------------------------------------------------------------------------------------

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
        "2,000 channels × 2, 5,000 msg/s",
        many_channels(),
        [
            Row("CPU per delivery", "cpu_us", "µs", "bare", most=1.2, goal="≤ 1.2 × bare"),
            Row("p99, difference to bare", "p99_ms", "ms", "bare-difference", most=0.3, goal="≤ bare + 0.3 ms"),
            Row(
                "CPU per delivery, with records",
                "cpu_us",
                "µs",
                "bare",
                contestant="tailgate-owner",
                goal="(with record reads)",
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
        "logs",
        "1,000 logs × 1, 2,000 XADD/s",
        {
            "tailgate": logs("tcp"),
            "tailgate-unix": logs("unix"),
            "xadd-alone": xadd_alone,
            "tailgate-owner": logs("tcp", route="owner"),
            "tailgate-tracking": logs("tcp", notifications=False),
            "tailgate-sweep": logs("tcp", notifications=False, settings=["redis.wakeups=sweep"]),
            "fastapi": fastapi_logs,
        },
        [
            Row("CPU per line, TCP", "cpu_us", "µs", most=35, goal="≤ 35 µs"),
            Row("CPU per line, unix", "cpu_us", "µs", most=25, goal="≤ 25 µs", contestant="tailgate-unix"),
            Row("Redis CPU", "redis_us", "µs", "xadd-alone", most=2.2, goal="≤ 2.2 × XADD alone"),
            Row(
                "Redis CPU, with record reads",
                "redis_us",
                "µs",
                "xadd-alone",
                contestant="tailgate-owner",
                goal="(no goal)",
            ),
            Row("CPU per line, with record reads", "cpu_us", "µs", contestant="tailgate-owner", goal="(no goal)"),
            Row("p50, notifications", "p50_ms", "ms", most=1, goal="≤ 1 ms"),
            Row("p50, without notifications", "p50_ms", "ms", most=15, goal="≤ 15 ms", contestant="tailgate-tracking"),
            Row(
                "Redis CPU, without notifications",
                "redis_us",
                "µs",
                "xadd-alone",
                contestant="tailgate-tracking",
                most=2.2,
                goal="≤ 2.2 × XADD alone",
            ),
            Row(
                "CPU per line, without notifications",
                "cpu_us",
                "µs",
                most=35,
                goal="≤ 35 µs",
                contestant="tailgate-tracking",
            ),
            Row("p50, by the sweep", "p50_ms", "ms", most=15, goal="≤ 15 ms", contestant="tailgate-sweep"),
            Row(
                "Redis CPU, by the sweep",
                "redis_us",
                "µs",
                "xadd-alone",
                contestant="tailgate-sweep",
                most=2.2,
                goal="≤ 2.2 × XADD alone",
            ),
        ],
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
)
NOT_QUICK_CONTESTANTS = {
    "closed": ("bare", "fastapi", "nchan"),
    "channels": ("nchan", "node", "fastapi", "tailgate-owner"),
    "logs": ("tailgate-unix",),
}
