"""Contestants that deliver messages through nginx with TLS."""

from contestants.deliveries import deliver, jobs, per, sized
from servers import Failed, WholePath


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
