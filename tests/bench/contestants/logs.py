"""Contestants that deliver the lines of logs."""

from contestants.deliveries import delays, per, sized
from servers import FastApi, Gateway


def logs(transport, *, route="log", notifications=True, settings=(), window=0, count=sized(1000, 1000, 10)):
    """A contestant that opens a viewer of each of `count` logs and writes 2,000 entries a second.  With a window, it
    writes an entry whenever fewer than `window` are under way."""

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
                number,
                "--topics",
                number,
                "--messages",
                bench.size(10000, 4000, 100),
                "--rate",
                0 if window else 2000,
                "--window",
                window,
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
            "per_s": lines / result["run_s"],
            **delays(result, "run"),
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
    return {"cpu_us": per(result, "run", result["run_deliveries"]), **delays(result, "run")}


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
