"""The record of a chaos run, which the auditor checks: the messages and log entries that were written, the events that
each client received, and the times of the faults.

Times are seconds of one monotonic clock.  Each message and entry has a number, counted from 1 for each source.  An
entry of a log also has its Redis id, as a pair of integers.
"""

import bisect
import dataclasses

NEVER = float("inf")


def entry_id(text):
    """(ms, seq) of the id "ms-seq", or of the id "end.ms-seq" of a log's last event.  None for other text."""
    head, mark, tail = text.removeprefix("end.").partition("-")
    return (int(head), int(tail)) if mark and head.isdigit() and tail.isdigit() else None


@dataclasses.dataclass(slots=True)
class Item:
    """One message or log entry.  `acked` is None if the connection to Redis broke before the reply."""

    n: int
    sent: float
    acked: float | None = None
    id: tuple | None = None
    rolled_back: bool = False  # Redis acknowledged it and lost it in a fail-over

    @property
    def certain(self):
        return self.acked is not None and not self.rolled_back


class Source:
    """A channel or a log, and all messages or entries that were written to it."""

    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.items = {}  # by number
        self.left = set()  # the numbers of the entries that a log still has at the end of the run
        self._by_id = None

    def add(self, item):
        self.items[item.n] = item
        self._by_id = None
        return item

    def between(self, low, high):
        """The entries with low < id < high, by id."""
        if self._by_id is None:
            self._by_id = sorted((item.id, item.n) for item in self.items.values() if item.id)
        begin = bisect.bisect_right(self._by_id, (low, NEVER))
        end = bisect.bisect_left(self._by_id, (high, -1))
        return [self.items[n] for _, n in self._by_id[begin:end]]


@dataclasses.dataclass(slots=True)
class Move:
    """A change of a job's status.  It takes effect in Redis at some time between `sent` and `acked`."""

    sent: float
    acked: float
    status: str
    terminal: bool


@dataclasses.dataclass(slots=True)
class Rollback:
    """A fail-over: from `begin` to `end`, all records have the content of a copy made between `low` and `high`.
    At `end` the workers have written them again."""

    low: float
    high: float
    begin: float
    end: float = NEVER


@dataclasses.dataclass
class Job:
    name: str
    rollbacks: list  # shared by all jobs of a ledger
    moves: list = dataclasses.field(default_factory=list)

    def spans(self):
        """Yields (move, earliest end, latest end) for each status that a reader of the record may have found.  The end
        of a status is the `sent` to `acked` of the next move.  A rollback yields the old status once more."""
        written = [
            (move, following.sent if following else NEVER, following.acked if following else NEVER)
            for move, following in zip(self.moves, [*self.moves[1:], None], strict=True)
        ]
        yield from written
        for rollback in self.rollbacks:
            for move, _, gone in written:
                if move.sent <= rollback.high and gone >= rollback.low:
                    restored = dataclasses.replace(move, sent=rollback.begin, acked=rollback.begin)
                    yield restored, rollback.end, rollback.end

    def terminal_within(self, begin, end):
        """True if a reader of the record in [begin, end] may have found a terminal status."""
        return any(move.terminal and move.sent <= end and gone >= begin for move, _, gone in self.spans())

    def running_within(self, begin, end):
        return any(not move.terminal and move.sent <= end and gone >= begin for move, _, gone in self.spans())


@dataclasses.dataclass(slots=True)
class Seen:
    """One event that a client received.  Heartbeats and hello messages are not kept.

    what         other members
    item         n, id
    standing     n: the number in the job's record
    gap          low, high: ids; high is None if no entry follows
    resync, notice, unavailable
    final        id: the last entry of the log; n: the number of the message that ended the stream
    """

    at: float
    what: str
    n: int | None = None
    id: tuple | None = None
    low: tuple | None = None
    high: tuple | None = None


@dataclasses.dataclass
class Connection:
    asked: float
    resume: str = ""
    head: float | None = None
    status: int | None = None
    end: float | None = None
    how: str | None = None  # "clean" or "cut" by the server, "left" by the client
    last_byte: float | None = None
    silences: list = dataclasses.field(default_factory=list)  # (begin, end) of each long time without a byte
    seen: list = dataclasses.field(default_factory=list)

    def has(self, what):
        return any(seen.what == what for seen in self.seen)


@dataclasses.dataclass
class Client:
    name: str
    route: str  # events, status, log-stream, spools, job
    source: Source
    job: Job | None = None
    habit: str = "fast"  # fast, slow, late (reads nothing until the end), guest (comes and goes)
    native: bool = False  # an EventSource, or a hook like it: every status other than 200, also 404, stops it for good
    connections: list = dataclasses.field(default_factory=list)

    @property
    def reads(self):
        return self.habit in ("fast", "guest")


@dataclasses.dataclass
class Window:
    """The time of one fault, from its begin until the system has recovered from it."""

    begin: float
    end: float
    kind: str
    delays: bool = True  # events may be late
    cuts: bool = True  # streams may end


class Ledger:
    def __init__(self):
        self.sources, self.jobs, self.clients = {}, {}, []
        self.windows = []
        self.rollbacks = []
        self.losses = []  # the times at which Redis lost all data or its last writes
        self.ended = NEVER  # the time at which the clients were stopped

    def source(self, name, kind):
        return self.sources.setdefault(name, Source(name, kind))

    def job(self, name):
        return self.jobs.setdefault(name, Job(name, self.rollbacks))

    def faults_within(self, begin, end, cuts=False):
        return [
            w for w in self.windows if w.begin <= end and w.end >= begin and (w.cuts if cuts else w.delays or w.cuts)
        ]

    def healthy(self, begin, end):
        """The number of seconds in [begin, end] without a fault."""
        left, at = 0.0, begin
        for window in sorted((w for w in self.windows if w.delays), key=lambda w: w.begin):
            if window.end <= at:
                continue
            if window.begin >= end:
                break
            left += max(0.0, window.begin - at)
            at = max(at, window.end)
        return left + max(0.0, end - at)

    def lost_within(self, begin, end):
        return any(begin <= at <= end for at in self.losses)
