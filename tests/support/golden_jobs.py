"""Jobs whose messages and log entries are the same in each run, for the golden tests.

The tests choose the ids of log entries themselves, so the golden files contain them.
"""

ORIGIN = "https://app.example.com"
QUIET = {
    **{f"route.{name}.heartbeat.every_s": 3600 for name in ("events", "status", "log-stream", "spools", "job")},
    "cors.origins": [ORIGIN, "https://*.example.org"],
}
LINE = {"ts": "2023-11-14T22:13:20+00:00", "source": "stdout", "text": "npm install", "phase": "install"}
EVENT_SOURCE = {"Accept": "text/event-stream"}
END_ID = {"Last-Event-ID": "end"}
RUNS_AGAIN = "reconnect with the id of the end to a job that runs again; end by the record alone"


def entry(number):
    return f"1700000000{number:03}-0"


def write_line(worker, number, **fields):
    """Appends entry 1700000000<number>-0 to the log of the job."""
    worker.redis.xadd(worker.log_key, fields or {**LINE, "text": f"line {number}"}, id=entry(number))


def publish(worker, payload):
    assert worker.redis.publish(worker.channel, payload) > 0, "the channel has no subscriber"


def finish(worker, payload, **fields):
    """Ends a job in its record and by a message, in one transaction.  Otherwise, if the message came late, the
    gateway would end the stream by the record."""
    pipe = worker.redis.pipeline(transaction=True)
    pipe.hset(worker.key, mapping=fields)
    pipe.publish(worker.channel, payload)
    assert pipe.execute()[1] > 0, "the channel has no subscriber"
