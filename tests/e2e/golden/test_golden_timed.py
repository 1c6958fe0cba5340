"""The exact bytes of heartbeats, of the maximum age, of an expired token and of a changed owner.

support/golden.py explains how to write the golden files again.
"""

from support.golden import Transcript
from support.publishers import Blog, Builder

ROUTES = ("events", "status", "log-stream", "spools", "job")
QUIET = {f"route.{name}.heartbeat.every_s": 3600 for name in ROUTES}
EVENTS, STATUS, LINES = (f"/api/jobs/j/{rest}" for rest in ("events/stream", "stream", "logs/stream"))
SPOOLS, JOB = "/api/sse/stream", "/api/v1/jobs/j/stream"


def test_heartbeats_match_their_golden_file(stack_with):
    stack = stack_with({f"route.{name}.heartbeat.every_s": 0.3 for name in ROUTES})
    book = Transcript(stack, "heartbeats")
    Builder(stack.redis, "j").create("running")
    Blog(stack.redis, "j", user="alice").create("running")
    mine = stack.bearer()
    # The blocks of the opening, and two heartbeats.
    streams = [
        (book.open("R1", EVENTS, headers=mine, blocks=1 + 2), 1 + 2),
        (book.open("R2", STATUS, headers=mine, blocks=2 + 2), 2 + 2),
        (book.open("R3", LINES, headers=mine, blocks=1 + 2), 1 + 2),
        (book.open("R5", SPOOLS, blocks=1 + 2), 1 + 2),
        (book.open("R6", JOB, headers=stack.bearer("alice", "blog"), blocks=4 + 2), 4 + 2),
    ]
    for stream, count in streams:
        stream.wait(lambda stream=stream, count=count: len(stream.blocks) >= count, 10, "heartbeats")
    book.compare()


def test_ends_by_age_and_by_token_expiry_match_their_golden_file(stack_with):
    stack = stack_with(
        {
            **QUIET,
            "route.job.max_age_s": 1.5,
            "route.job.age_notice.before_s": 0.5,
            "provider.clerk.at_expiry": "end",
            "provider.clerk.leeway_s": 0,
        }
    )
    book = Transcript(stack, "ends-by-time")
    Builder(stack.redis, "j").create("running")
    Blog(stack.redis, "j", user="alice").create("running")
    blog = stack.bearer("alice", "blog")
    short = stack.bearer(expires_in=5)
    streams = [
        book.open("R1: the token expires", EVENTS, headers=short),
        book.open("R2: the token expires", STATUS, headers=short),
        book.open("R3: the token expires", LINES, headers=short),
        book.open("R6: the maximum age", JOB, headers=blog),
    ]
    for stream in streams:
        stream.rest(10)
    book.compare()


def test_ends_by_a_change_of_owner_match_their_golden_file(stack_with):
    stack = stack_with(
        {
            **QUIET,
            "route.job.max_age_s": 1.5,
            "route.job.age_notice.before_s": 0.5,
            "provider.clerk.at_expiry": "end",
            "provider.clerk.leeway_s": 0,
        }
    )
    book = Transcript(stack, "owner-changed")
    worker = Builder(stack.redis, "o").create("running")
    mine = stack.bearer()
    paths = [("R1", "/api/jobs/o/events/stream"), ("R2", "/api/jobs/o/stream"), ("R3", "/api/jobs/o/logs/stream")]
    streams = [book.open(title, path, headers=mine) for title, path in paths]
    streams[1].next_event()
    worker.redis.hset(worker.key, "user_id", "bob")
    for stream in streams:
        stream.rest(10)
    book.compare()
