"""What was written, what every client received, and what was broken meanwhile: all that the auditor judges.

Times are seconds of one monotonic clock.  Everything that is written carries a number, counted per source, and
for logs an entry id as well, here a pair of integers.
"""

import bisect
import dataclasses

NEVER = float("inf")


def entry_id(text):
    """(ms, seq) of "ms-seq"; also of an "end.ms-seq" that a log's last event carries.  None if it is neither."""
    head, mark, tail = text.removeprefix("end.").partition("-")
    return (int(head), int(tail)) if mark and head.isdigit() and tail.isdigit() else None


@dataclasses.dataclass(slots=True)
class Item:
    """One message or log entry.  `acked` None: Redis was lost before it said whether it took it."""

    n: int
    sent: float
    acked: float | None = None
    id: tuple | None = None
    rolled_back: bool = False  # Redis took it and came back without ever having heard of it

    @property
    def certain(self):
        return self.acked is not None and not self.rolled_back


class Source:
    """A channel or a log, and all that was ever written to it."""

    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.items = {}  # by number
        self.left = set()  # a log's numbers that are still there at the end
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
    """A job's record says something else from somewhere between `sent` and `acked` on."""

    sent: float
    acked: float
    status: str
    terminal: bool


@dataclasses.dataclass(slots=True)
class Relapse:
    """All records say again what they said somewhere between two moments, until they are written anew."""

    low: float
    high: float
    begin: float
    end: float = NEVER


@dataclasses.dataclass
class Job:
    name: str
    relapses: list  # the ledger's
    moves: list = dataclasses.field(default_factory=list)

    def spans(self):
        """(move, when it may be over): the next move's `sent` and `acked`, or never.  What a relapse brings back is one, too."""
        written = [
            (move, following.sent if following else NEVER, following.acked if following else NEVER)
            for move, following in zip(self.moves, [*self.moves[1:], None], strict=True)
        ]
        yield from written
        for relapse in self.relapses:
            for move, _, gone in written:
                if move.sent <= relapse.high and gone >= relapse.low:
                    yield dataclasses.replace(move, sent=relapse.begin, acked=relapse.begin), relapse.end, relapse.end

    def terminal_within(self, begin, end):
        """Could somebody who looked within [begin, end] have found it terminal?"""
        return any(move.terminal and move.sent <= end and gone >= begin for move, _, gone in self.spans())

    def running_within(self, begin, end):
        return any(not move.terminal and move.sent <= end and gone >= begin for move, _, gone in self.spans())


@dataclasses.dataclass(slots=True)
class Seen:
    """One event at a client.

    what: item (n, id), standing (n: what the record said), gap (low, high: ids, high None), resync, notice,
    unavailable, or final (id: where the log ended; n: of the message that said so).  Heartbeats and greetings are not kept.
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
    quiet: list = dataclasses.field(default_factory=list)  # (from, to) without a byte, the long ones
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
    native: bool = False  # an EventSource, or a hook as fragile: dead after one answer that is no 200 or 204
    connections: list = dataclasses.field(default_factory=list)

    @property
    def reads(self):
        return self.habit in ("fast", "guest")


@dataclasses.dataclass
class Window:
    """A time in which something was broken, with what it takes to get over it."""

    begin: float
    end: float
    kind: str
    delays: bool = True  # what should happen may happen later
    cuts: bool = True  # streams may end


class Ledger:
    def __init__(self):
        self.sources, self.jobs, self.clients = {}, {}, []
        self.windows = []
        self.relapses = []
        self.losses = []  # when Redis forgot something: everything, or its last writes
        self.ended = NEVER  # when the clients were stopped

    def source(self, name, kind):
        return self.sources.setdefault(name, Source(name, kind))

    def job(self, name):
        return self.jobs.setdefault(name, Job(name, self.relapses))

    def broken_within(self, begin, end, cuts=False):
        return [
            w for w in self.windows if w.begin <= end and w.end >= begin and (w.cuts if cuts else w.delays or w.cuts)
        ]

    def healthy(self, begin, end):
        """How many seconds of [begin, end] nothing was broken."""
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
