"""Log streams of builder jobs, for the tests that read them."""

from support.clients import open_stream
from support.seals import seal


def path(job):
    return f"/api/jobs/{job}/logs/stream"


def open_log(stack, worker, resume=None, **more):
    direct = more.get("via") == "gateway"
    headers = seal(stack, "log-stream", worker.job, user=worker.user) if direct else stack.bearer(worker.user)
    if resume is not None:
        headers["Last-Event-ID"] = resume
    stream = open_stream(stack, path(worker.job), headers=headers, **more)
    assert stream.status == 200, (stream.status, stream.raw)
    assert stream.next_block() == "retry: 3000"
    return stream


def lines_of(events):
    return [event.json()["text"] for event in events if event.name == "log"]


def ids_of(events):
    return [event.last_id for event in events if event.name == "log"]


def key_of(entry_id):
    return tuple(map(int, entry_id.split("-")))


def xread_calls(stack):
    """The number of XREAD commands that Redis has got.  The gateway sends one to ask which logs have grown."""
    return stack.redis.info("commandstats").get("cmdstat_xread", {"calls": 0})["calls"]
