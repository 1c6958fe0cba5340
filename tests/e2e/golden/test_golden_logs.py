"""The exact bytes that a client receives behind nginx on the routes that read a log (R3, R4).

support/golden.py explains how to write the golden files again.  support/routes.py names the routes.
"""

from support.golden import Transcript
from support.golden_jobs import END_ID, RUNS_AGAIN, entry, write_line
from support.publishers import Builder


# ---- R3 ---------------------------------------------------------------------------------------------------


def test_r3_log_stream_matches_its_golden_file(stack):
    book = Transcript(stack, "r3-log-stream")
    worker = Builder(stack.redis, "r3").create("running")
    path = "/api/jobs/r3/logs/stream"
    mine = stack.bearer()
    absent = book.open("the log does not exist yet", path, headers=mine)
    write_line(worker, 1)
    absent.events_until("log")
    live = book.open("a first connect gets no older entries", path, headers=mine)
    resumed = [
        book.open("resumed by the header", path, headers={**mine, "Last-Event-ID": entry(1)}),
        book.open("resumed by the query", path, headers=mine, params={"last_event_id": entry(1)}),
        book.open("from the beginning", path, headers=mine, params={"last_event_id": "0-0"}),
        book.open(
            "the header wins", path, headers={**mine, "Last-Event-ID": entry(1)}, params={"last_event_id": "0-0"}
        ),
        book.open("a malformed header is ignored", path, headers={**mine, "Last-Event-ID": "x"}),
    ]
    resumed[2].events_until("log")
    write_line(worker, 2, text='all "fields" but one\r\nare missing')
    write_line(worker, 3, ts="", source="stderr", text="\u00e9\u2028\x00", phase="p", more="left out")
    write_line(worker, 4, text=b"\xff is not UTF-8")
    for stream in (absent, live, *resumed):
        stream.events_until(lambda event: event.last_id == entry(4))
    worker.move("ready", "Done")
    for stream in (absent, live, *resumed):
        stream.rest()
    book.fetch("the job is terminal on connect", path, headers=mine)
    book.fetch(
        "the job is terminal on connect, with entries to resume", path, headers={**mine, "Last-Event-ID": entry(3)}
    )
    book.fetch("reconnect with the id of the end", path, headers={**mine, "Last-Event-ID": f"end.{entry(4)}"})
    book.fetch(
        "reconnect with the id of the end in the query", path, headers=mine, params={"last_event_id": f"end.{entry(4)}"}
    )
    book.fetch("reconnect with the id of the end without an entry id", path, headers={**mine, **END_ID})
    worker.write_status("running")
    again = book.open(RUNS_AGAIN, path, headers={**mine, "Last-Event-ID": f"end.{entry(4)}"})
    write_line(worker, 5)
    again.events_until("log")
    worker.write_status("failed")
    again.rest()
    book.compare()


def test_r3_gap_events_match_their_golden_file(stack):
    book = Transcript(stack, "r3-gaps")
    worker = Builder(stack.redis, "r3").create("running")
    path = "/api/jobs/r3/logs/stream"
    mine = stack.bearer()
    nothing = book.open("the log does not exist", path, headers={**mine, "Last-Event-ID": "5-1"})
    nothing.events_until("gap")
    for number in range(1, 6):
        write_line(worker, number)
    nothing.events_until(lambda event: event.last_id == entry(5))
    stack.redis.xtrim(worker.log_key, maxlen=2, approximate=False)
    for title, last in (
        ("trimmed", entry(1)),
        ("the beginning of a trimmed log", "0-0"),
        ("the requested id is above the last id of the log", "1800000000000-0"),
        ("no gap", entry(4)),
    ):
        stream = book.open(title, path, headers={**mine, "Last-Event-ID": last})
        stream.events_until(lambda event: event.last_id == entry(5))
        stream.close()
    book.open("requested in the query", path, headers=mine, params={"last_event_id": "5-1"}).events_until(
        lambda event: event.last_id == entry(5)
    )
    nothing.close()
    book.compare()


# ---- R4 ---------------------------------------------------------------------------------------------------


def test_r4_log_pages_match_their_golden_file(stack):
    book = Transcript(stack, "r4-pages")
    worker = Builder(stack.redis, "r4").create("running")
    path = "/api/jobs/r4/logs"
    mine = stack.bearer()
    book.fetch("the log does not exist", path, headers=mine)
    write_line(worker, 1)
    write_line(worker, 2, text='all "fields" but one\r\nare missing')
    write_line(worker, 3, ts="", source="stderr", text="\u00e9\u2028\x00", phase="p", more="left out")
    write_line(worker, 4, text=b"\xff is not UTF-8")
    book.fetch("the first page", path, headers=mine)
    book.fetch("has_more", path, headers=mine, params={"limit": 2})
    book.fetch("before an id", path, headers=mine, params={"limit": 2, "before_id": entry(3)})
    book.fetch("before an id that does not exist", path, headers=mine, params={"before_id": "1700000000002-5"})
    book.fetch("before the first entry", path, headers=mine, params={"before_id": entry(1)})
    book.fetch("before 0-0", path, headers=mine, params={"before_id": "0-0"})
    book.fetch("HEAD", path, headers=mine, method="HEAD")
    book.fetch("HEAD without a token", path, method="HEAD")
    book.fetch("an unknown parameter", path, headers=mine, params={"limit": 1, "x": "y"})
    for query in (
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "limit=-1",
        "limit=1.5",
        "before_id=x",
        "before_id=",
        "before_id=1",
        "before_id=1-2-3",
        "before_id=0-0&before_id=0-0",
        "limit=%zz",
        "limit=x&before_id=x",
    ):
        book.fetch(f"422: {query}", f"{path}?{query}", headers=mine)
    stack.redis.set("job:r4b:logs", "no log")
    Builder(stack.redis, "r4b").create("running")
    book.fetch("the key of the log has the wrong type", "/api/jobs/r4b/logs", headers=mine)
    book.fetch("the key of the log has the wrong type: R3", "/api/jobs/r4b/logs/stream", headers=mine)
    book.compare()
