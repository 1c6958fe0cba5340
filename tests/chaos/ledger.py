"""The record of a chaos run, which the auditor checks: the messages and log entries that were written, the events that
each client received, and the times of the faults.

Times are seconds of one monotonic clock.  Each message and entry has a number, counted from 1 for each source.  An
entry of a log also has its Redis id, as a pair of integers.
"""

import bisect
import dataclasses
import itertools

NEVER = float("inf")


def entry_id(text):
    """(ms, seq) of the id "ms-seq", or of the id "end.ms-seq" of a log's last event.  None for other text."""
    head, mark, tail = text.removeprefix("end.").partition("-")
    return (int(head), int(tail)) if mark and head.isdigit() and tail.isdigit() else None


@dataclasses.dataclass(slots=True)
class Item:
    """One message or log entry.  `acked` is None if Redis did not acknowledge the write."""

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
        self._by_id = self._by_number = None

    def add(self, item):
        self.items[item.n] = item
        self._by_id = self._by_number = None
        return item

    def between(self, low, high, since=0.0):
        """The entries with low < id < high, by id.  Skips the leading ones that were sent before `since`."""
        if self._by_id is None:
            items = sorted((item for item in self.items.values() if item.id), key=lambda item: item.id)
            self._by_id = Ordered(items, [item.id for item in items])
        return self._by_id.between(low, high, since)

    def numbers(self, low, high, since=0.0):
        """The items with low < number < high.  Skips the leading ones that were sent before `since`."""
        if self._by_number is None:
            items = sorted(self.items.values(), key=lambda item: item.n)
            self._by_number = Ordered(items, [item.n for item in items])
        return self._by_number.between(low, high, since)


class Ordered:
    """Items in the order of `keys`, found by binary search.  If each question scanned all items, an audit would take
    longer than its run."""

    def __init__(self, items, keys):
        self._items, self._keys = items, keys
        self._latest = list(itertools.accumulate((item.sent for item in items), max))

    def between(self, low, high, since):
        begin = max(bisect.bisect_right(self._keys, low), bisect.bisect_left(self._latest, since))
        return self._items[begin : bisect.bisect_left(self._keys, high)]


@dataclasses.dataclass(slots=True)
class Move:
    """A change of a job's status.  It takes effect in Redis at some time between `sent` and `acked`."""

    sent: float
    acked: float
    status: str
    terminal: bool
    published: bool = False  # the worker also published the end


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
    _spans: list | None = None

    def close(self):
        self._spans = list(self._all_spans())

    def spans(self):
        """(move, earliest end, latest end) for each status that a reader of the record may have found.  A status ends
        at some time between `sent` and `acked` of the next move.  A rollback brings the old status back."""
        return self._spans

    def _all_spans(self):
        following = [*self.moves[1:], Move(NEVER, NEVER, "", False)]
        written = [(move, after.sent, after.acked) for move, after in zip(self.moves, following, strict=False)]
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

    def __str__(self):
        members = [str(value) for value in (self.n, self.id, self.low, self.high) if value is not None]
        return " ".join([f"{self.at:.2f}", self.what, *members])


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
    native: bool = False  # like an EventSource: every status other than 200 stops it for good, also 404
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


class Windows:
    """The windows that pass `counts`, sorted and merged, so that questions about an interval are fast."""

    def __init__(self, windows, counts):
        self._windows = sorted((w for w in windows if counts(w)), key=lambda w: w.begin)
        self._begins = [w.begin for w in self._windows]
        self._merged = []  # (begin, end), without overlaps
        for window in self._windows:
            if self._merged and window.begin <= self._merged[-1][1]:
                self._merged[-1] = (self._merged[-1][0], max(self._merged[-1][1], window.end))
            else:
                self._merged.append((window.begin, window.end))
        self._merged_ends = [end for _, end in self._merged]

    def within(self, begin, end):
        """The windows that overlap [begin, end]."""
        before_end = bisect.bisect_right(self._begins, end)
        if next(self._merged_within(begin, end), None) is None:
            return []
        return [w for w in self._windows[:before_end] if w.end >= begin]

    def seconds_outside(self, begin, end):
        outside, at = 0.0, begin
        for low, high in self._merged_within(begin, end):
            outside += max(0.0, low - at)
            at = max(at, high)
        return outside + max(0.0, end - at)

    def _merged_within(self, begin, end):
        for number in range(bisect.bisect_left(self._merged_ends, begin), len(self._merged)):
            low, high = self._merged[number]
            if low > end:
                return
            yield low, high


class Ledger:
    def __init__(self):
        self.sources, self.jobs, self.clients = {}, {}, []
        self.windows = []  # of the faults
        self.rollbacks = []
        self.losses = []  # the times at which Redis lost all data or its last writes
        self.wakeups = []  # (time, key of faults.WAKEUPS): how Redis announces changes from then on
        self.ended = NEVER  # the time at which the clients were stopped

    def source(self, name, kind):
        return self.sources.setdefault(name, Source(name, kind))

    def job(self, name):
        return self.jobs.setdefault(name, Job(name, self.rollbacks))

    def close(self):
        """Ends the run.  The questions below may be asked only after it: their answers are prepared here, because an
        audit asks them millions of times."""
        self._faults = Windows(self.windows, lambda w: w.delays or w.cuts)
        self._cuts = Windows(self.windows, lambda w: w.cuts)
        self._delays = Windows(self.windows, lambda w: w.delays)
        for job in self.jobs.values():
            job.close()

    def faults_within(self, begin, end, cuts=False):
        return (self._cuts if cuts else self._faults).within(begin, end)

    def healthy(self, begin, end):
        """The number of seconds in [begin, end] without a fault that delays events."""
        return self._delays.seconds_outside(begin, end)

    def wakeups_during(self, begin, end):
        """How Redis announced changes of records during the whole interval.  None if that changed, or is not known."""
        before = [how for at, how in self.wakeups if at <= begin]
        changed = any(begin < at <= end for at, _ in self.wakeups)
        return before[-1] if before and not changed else None

    def lost_within(self, begin, end):
        return any(begin <= at <= end for at in self.losses)
