"""Contestants that answer requests: pages of a log, the opening of a stream, and /auth."""

import subprocess

from contestants.deliveries import delays, per
from servers import LOAD_CPU, FastApi, Gateway, hs256


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
            **delays(result, "run"),
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
            **delays(result, "open"),
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
    return {"cpu_us": per(result, "run", requests), **delays(result, "run")}
