"""Contestants that deliver messages of channels to many streams, or hold idle streams."""

from servers import Bare, Failed, FastApi, Gateway, Nchan, Node


def per(result, phase, count, who="server"):
    """The CPU time of a phase, in microseconds, divided by `count`."""
    return result[f"{phase}_cpu_{who}_us"] / max(count, 1)


def delays(result, phase):
    """The quantiles of the delays of a phase, in milliseconds."""
    return {f"{name}_ms": result[f"{phase}_{name}_us"] / 1000 for name in ("p50", "p99", "p999")}


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
            **delays(result, "run"),
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


def jobs(count):
    return lambda bench: bench.make_jobs(count(bench))


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


def many_channels(transport="tcp"):
    channels = sized(2000, 2000, 20)
    how = {"streams": sized(4000, 4000, 40), "topics": channels, "messages": sized(20000, 7500, 100), "rate": 5000}
    return {
        "tailgate-plain": deliver(lambda b: Gateway(b, transport), **how),
        "bare": deliver(lambda b: Bare(b, transport), **how),
        "nchan": deliver(lambda b: Nchan(b, transport), **how),
        "node": deliver(lambda b: Node(b, transport), **how),
        "fastapi": deliver(lambda b: FastApi(b, transport), **{**how, "messages": sized(10000, 5000, 100)}),
        # Each job has a record, which the gateway watches.
        "tailgate": deliver(
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


def idle_jobs(count):
    """Streams of one job each, whose records nobody changes."""

    def run_one(record, settings=()):
        def run(bench):
            streams, seconds = count(bench), bench.size(15, 6, 2)
            bench.fresh_redis()
            bench.make_jobs(streams)
            with Gateway(bench, settings=settings) as server:
                path = "/api/jobs/{}/events/stream" if record else "/bench/{}"
                owner = ["--headers", server.identities("events", streams)] if record else []
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
                    "--settle-s",
                    1.5,  # a watched record is read once within a second after its stream has opened
                    "--idle-s",
                    seconds,
                    *owner,
                    watch=server.watch(),
                )
            return {
                "cpu_us": per(result, "idle", streams * seconds),
                "redis_us": per(result, "idle", streams * seconds, "redis"),
                "memory": result["memory_server"] / streams,
            }

        return run

    return {
        "tailgate": run_one(True),
        "no-record": run_one(False),
        "sweep": run_one(True, settings=["redis.wakeups=sweep"]),
    }


EVERY_SECOND = {
    "words": ["--heartbeat-ms", "1000"],
    "settings": ["route.channel.heartbeat.every_s=1", "route.channel.heartbeat.when=always"],
}
