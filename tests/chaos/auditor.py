"""Compares the events that every client received with the messages and entries that were written.

Pure: takes a ledger and returns violations.  It checks these promises of the gateway:

- A log's entries arrive exactly once and in order.  A `gap` event announces entries that are missing.
- A channel's messages arrive in order and at most once.  A `resync` event or the end of the stream announces
  messages that are missing.
- A finished job ends its streams.  The stream of a log first sends the lines that soon follow the end.
- An end that is written but not published ends channel streams sooner if Redis announces changes.
- An open stream is never silent for long.
"""

import collections
import dataclasses
import statistics

from chaos.ledger import NEVER, entry_id

# Seconds until the gateway trusts changed announcements.  It asks for them 3 s after a refusal of tracking.
TRUSTED = 8
# Whether Redis announces changes of records soon; see faults.WAKEUPS.  A small tracking table announces keys at random.
ANNOUNCES = {"notifications": True, "tracking": True, "notifications of logs, tracking": True, "none": False}
ENOUGH = 8  # the fewest ends whose median counts
LOSSY = ("slow", "late")  # habits of clients that read too slowly, so their channel streams may be closed


@dataclasses.dataclass(frozen=True)
class Patience:
    """Time limits in seconds, valid while no fault is active.  A slow machine needs larger ones."""

    delivery: float = 6
    ending: float = 5  # the gateway promises 2, but the machine may be busy
    silence: float = 15  # must be well above the heartbeat interval
    grace: float = 1  # a fault excuses what happens up to this long after its window
    # A line must arrive before `done` if it is written at most `flush` after the job's end, or at most `flush` after
    # another such line.  `flush` is shorter than end_grace_ms.
    flush: float = 0.8
    # Limits of the median time to the end of a channel stream, if the job's end is written but not published: with
    # announcements (the gateway waits 0.25 s for a published end), and with a look each second.
    announced: float = 0.6
    looked_for: float = 1.5
    fresh: float = 4  # below 5 s, the gateway's longest wait and its age of a silent log

    def times(self, factor):
        """For a slow machine.  `flush` and `fresh` stay, because they are promises of the gateway."""
        slower = {f.name: getattr(self, f.name) * factor for f in dataclasses.fields(self)}
        return Patience(**{**slower, "flush": self.flush, "fresh": self.fresh})


@dataclasses.dataclass(frozen=True)
class Violation:
    kind: str
    text: str  # names the client, the time and the faults near it


class Audit:
    def __init__(self, ledger, patience=None):
        self.ledger = ledger
        self.patience = patience or Patience()
        self.violations = []
        self.counts = collections.Counter()

    def run(self):
        self.ledger.close()
        for client in self.ledger.clients:
            if client.source.kind == "log":
                self.check_log_client(client)
            else:
                self.check_channel_client(client)
            for connection in client.connections:
                self.check_answer(client, connection)
                self.check_end(client, connection)
                self.check_silence(client, connection)
                self.check_delays(client, connection)
            if client.job:
                self.check_last_events(client)
        self.check_ends_by_record()
        return self.violations

    def add_violation(self, kind, client, connection, text, at):
        number = client.connections.index(connection)
        where = f"{client.name} ({client.route}, {client.habit}), connection {number}, asked {connection.asked:.2f}"
        near = sorted({w.kind for w in self.ledger.faults_within(at - 10, at)})
        before = [str(seen) for seen in connection.seen if seen.at <= at][-8:]
        self.violations.append(
            Violation(
                kind,
                f"{where}: {text} [at {at:.2f}; faults in the last 10 s: {', '.join(near) or 'none'}; "
                f"the client's last events: {', '.join(before)}]",
            )
        )

    # ---- logs ---------------------------------------------------------------------------------------

    def check_log_client(self, client):
        source = client.source
        position = None  # the id of the last entry; None: the end of the log when the connection was opened
        received = set()
        gaps = []  # the gap events since the last entry
        since = 0.0  # the time at which the last entry was written; a slow reader may have read it much later
        for connection in client.connections:
            if connection.status != 200:
                continue
            if not connection.resume:
                position, gaps = None, []
            elif position is None:
                position = entry_id(connection.resume)
            head = connection.head
            lower = None  # where the gateway may have begun to read the log again
            for seen in connection.seen:
                if seen.what == "gap":
                    gaps.append((seen.low, seen.high))
                    self.counts["gaps"] += 1
                    # The gap event names the oldest entry that is left.  If Redis lost data and this entry is not above
                    # the position, the gateway may read the log again from it.
                    written = since if position else connection.asked
                    if seen.high and seen.high <= (position or seen.high) and self.ledger.lost_within(written, seen.at):
                        lower = (seen.high[0], seen.high[1] - 1)
                elif seen.what == "item":
                    self.counts["entries delivered"] += 1
                    item = source.items.get(seen.n)
                    if item is None:
                        self.add_violation("invented", client, connection, f"line {seen.n} was never written", seen.at)
                        continue
                    is_old = item.acked is not None and item.acked < connection.asked
                    if lower and (seen.id <= position if position else is_old):
                        self.counts["logs read again"] += 1
                        position, gaps = lower, []
                    lower = None
                    if position is not None and seen.id <= position:
                        kind = "duplicate" if seen.n in received else "disorder"
                        self.add_violation(
                            kind, client, connection, f"line {seen.n} {seen.id} after {position}", seen.at
                        )
                        continue
                    if position is None and is_old:
                        self.add_violation(
                            "too old", client, connection, f"line {seen.n} is older than the opening", seen.at
                        )
                    self.check_missing_lines(
                        client, connection, position, seen.id, head, gaps, seen.at, f"line {seen.n}"
                    )
                    received.add(seen.n)
                    position, gaps, since = seen.id, [], item.sent
                elif seen.what == "final":
                    if lower and position and seen.id and seen.id < position:
                        position, gaps = lower, []
                    above = (seen.id[0], seen.id[1] + 1) if seen.id else position
                    if above and (position is None or above > position):
                        self.check_missing_lines(client, connection, position, above, head, gaps, seen.at, "done")
                    self.check_lines_before_done(client, connection, position, head, gaps, seen.at)
                    if seen.id:
                        position = max(position or seen.id, seen.id)
            if connection is client.connections[-1] and connection.end is None and client.habit != "guest":
                self.check_undelivered_lines(client, connection, position, head, gaps)

    def required_items(self, source, position, high, head):
        """The entries that must arrive between two positions.  If `position` is None: those written after the head
        of the answer."""
        if position is None:
            return [item for item in source.between((0, 0), high, head) if item.certain and item.sent > head]
        return [item for item in source.between(position, high) if item.certain]

    def check_missing_lines(self, client, connection, position, high, head, gaps, at, before):
        source = client.source
        for item in self.required_items(source, position, high, head):
            still_there = item.n in source.left
            if any(low < item.id and (top is None or item.id < top) for low, top in gaps):
                self.counts["entries in gaps"] += 1
                if still_there and item.acked < at - self.patience.grace:
                    text = f"line {item.n} {item.id} is in a gap, but Redis still has it"
                    self.add_violation("false gap", client, connection, text, at)
                continue
            if position == (0, 0) and not still_there:
                continue  # a log from its beginning has only the entries that Redis still holds
            if position is None and not still_there and self.ledger.lost_within(item.sent, at):
                continue  # Redis lost the entry before the gateway could read it
            text = f"line {item.n} {item.id} is missing between {position} and {before} {high}; gaps {gaps}"
            self.add_violation("lost line", client, connection, text, at)

    def check_lines_before_done(self, client, connection, position, head, gaps, at):
        """Checks that all entries that were written before the job ended, or soon after, arrived before `done`."""
        for move, _, gone in client.job.spans():
            if move.terminal and gone > connection.asked and move.sent <= at:
                break
        else:
            self.add_violation("false end", client, connection, "done, though the job had not ended", at)
            return
        late = self.late_lines(client.source, move, connection.asked, head)
        self.counts["lines after the end"] += len(late)
        for item in self.required_items(client.source, position, (NEVER, 0), head):
            is_late = item.n in late
            if (item.acked < move.sent or is_late) and not any(
                low < item.id and (top is None or item.id < top) for low, top in gaps
            ):
                if position == (0, 0) and item.n not in client.source.left:
                    continue
                if position is None and self.ledger.lost_within(item.sent, at):
                    continue
                when = "soon after" if is_late else "before"
                text = f"line {item.n} {item.id} was written {when} the job ended, but did not arrive before done"
                self.add_violation("lost line", client, connection, text, at)

    def late_lines(self, source, move, asked, head):
        """The numbers of the lines after the job's end that must arrive before `done`.  Each of them follows the end,
        or the previous such line, within `flush`.  A stream that was opened after the end counts from its opening, and
        waits for such lines only if the log was not silent when the gateway read its tail, between `asked` and `head`.
        """
        since = min(move.sent, head - self.patience.fresh)
        lines = [item for item in source.between((0, 0), (NEVER, 0), since) if item.certain]
        # Lost lines do not count: the gateway could not see them, so the log looked silent.
        if head >= move.sent and not any(
            head - self.patience.fresh < item.sent
            and item.acked < asked
            and not self.ledger.lost_within(item.sent, head)
            for item in lines
        ):
            return set()
        begin, late = max(move.sent, head), set()
        until = begin + self.patience.flush
        for item in lines:
            if begin <= item.sent and item.acked < min(until, begin + self.patience.fresh):
                late.add(item.n)
                until = item.sent + self.patience.flush
        return late

    def check_undelivered_lines(self, client, connection, position, head, gaps):
        for item in self.required_items(client.source, position, (NEVER, 0), head):
            if any(low < item.id and (top is None or item.id < top) for low, top in gaps):
                continue
            begin = max(item.acked, head)
            if self.ledger.healthy(begin, self.ledger.ended) > self.patience.delivery and item.n in client.source.left:
                text = f"line {item.n} {item.id}, written at {item.acked:.2f}, had not arrived at the end of the run"
                text += (
                    f"; last entry {position}, opened at {head:.2f}, last byte at {connection.last_byte or head:.2f}"
                )
                self.add_violation("late line", client, connection, text, self.ledger.ended)
                return

    # ---- channels -----------------------------------------------------------------------------------

    def check_channel_client(self, client):
        newest = 0
        for connection in client.connections:
            if connection.status != 200 or connection.has("unavailable"):
                continue
            before = None  # the number of the last message, or the number in the record
            opened = False
            resyncs = []
            for seen in connection.seen:
                if seen.what == "resync":
                    self.counts["resyncs"] += 1
                    resyncs.append(seen.at)
                elif seen.what == "standing":
                    before, opened = seen.n, True
                elif seen.what == "item":
                    self.counts["events delivered"] += 1
                    if seen.n not in client.source.items:
                        self.add_violation(
                            "invented", client, connection, f"message {seen.n} was never published", seen.at
                        )
                        continue
                    if seen.n <= newest:
                        came = any(
                            s.what == "item" and s.n == seen.n
                            for c in client.connections
                            for s in c.seen
                            if s is not seen
                        )
                        kind = "duplicate" if came else "disorder"
                        self.add_violation(kind, client, connection, f"message {seen.n} after {newest}", seen.at)
                        continue
                    self.check_missing_messages(client, connection, before, opened, seen.n, resyncs, seen.at)
                    newest = seen.n
                    before, opened, resyncs = seen.n, False, []
            if connection.end is None and client.habit not in LOSSY:
                self.check_undelivered_messages(client, connection, before, resyncs)

    def check_missing_messages(self, client, connection, before, from_record, until, resyncs, at):
        # Messages that were sent before the head of the answer may have been published before the subscription.
        earliest = connection.head if before is None else 0.0
        for item in client.source.numbers(before or 0, until, earliest):
            if not item.certain or (before is None and item.sent <= connection.head):
                continue
            # After a loss of data, the record in Redis may have a lower number than the last message.
            if from_record and (item.acked < connection.asked or self.ledger.lost_within(item.sent, connection.head)):
                continue
            if any(item.sent <= resync for resync in resyncs):
                self.counts["events in resyncs"] += 1
                continue
            since = f"the record, which said {before}" if from_record else f"message {before}"
            text = f"message {item.n}, published at {item.sent:.2f}, is missing between {since} and {until}; resyncs {resyncs}"
            self.add_violation("lost message", client, connection, text, at)

    def check_undelivered_messages(self, client, connection, before, resyncs):
        for item in client.source.numbers(before or 0, NEVER, connection.head):
            if not item.certain or item.sent <= connection.head:
                continue
            if any(item.sent <= resync for resync in resyncs):
                continue
            if self.ledger.healthy(item.acked, self.ledger.ended) > self.patience.delivery:
                text = f"message {item.n}, published at {item.sent:.2f}, had not arrived at the end of the run"
                self.add_violation("late event", client, connection, text, self.ledger.ended)
                return

    # ---- logs and channels --------------------------------------------------------------------------

    def check_answer(self, client, connection):
        """Reports each refusal while no fault is active, and each refusal that stops an EventSource for good."""
        self.counts["connections"] += 1
        status, head = connection.status, connection.head
        if status == 200:
            for seen in connection.seen:
                if seen.what == "unavailable" and not self.ledger.faults_within(
                    connection.asked - self.patience.grace, seen.at
                ):
                    self.add_violation("refusal", client, connection, "unavailable without a fault", seen.at)
            return
        if connection.how == "left":
            return
        if status == 204:
            grace = self.patience.grace
            if not connection.resume.startswith("end"):
                self.add_violation("refusal", client, connection, f"204 for {connection.resume!r}", head)
            elif client.job and not client.job.terminal_within(connection.asked - grace, head):
                self.add_violation("refusal", client, connection, "204, though the job runs", head)
            elif client.source.kind == "log" and (last := entry_id(connection.resume)):
                for item in client.source.between(last, (NEVER, 0)):
                    if item.certain and item.acked < connection.asked and item.n in client.source.left:
                        text = f"204, though line {item.n} {item.id} is above {connection.resume}"
                        self.add_violation("lost line", client, connection, text, head)
            return
        at = head or connection.end or self.ledger.ended
        if not self.ledger.faults_within(connection.asked - self.patience.grace, at):
            self.add_violation("refusal", client, connection, f"{status or 'no answer'} without a fault", at)
        # A 404 stops an EventSource too, but it is no violation: after the fault `redis-empty` a job has no record
        # until its worker writes it again, so 404 is the right answer.
        elif client.native and status is not None and status != 404:
            self.add_violation("dead tab", client, connection, f"{status} to an EventSource", at)

    def check_end(self, client, connection):
        """Reports a stream that ended although there was no last event, no notice and no fault."""
        if connection.status != 200 or connection.end is None or connection.how == "left":
            return
        if any(connection.has(what) for what in ("final", "unavailable", "notice")):
            return
        if client.habit in LOSSY and client.source.kind == "channel":
            self.counts["slow clients closed"] += 1
            return
        if client.habit in LOSSY:
            return  # a slow client of a log notices the end of its stream much later
        if not self.ledger.faults_within(connection.end - self.patience.grace, connection.end, cuts=True):
            self.add_violation(
                "unexplained end", client, connection, f"ended ({connection.how}) for no reason", connection.end
            )

    def check_silence(self, client, connection):
        if connection.status != 200 or not client.reads:
            return
        silences = list(connection.silences)
        if connection.last_byte is not None:
            silences.append((connection.last_byte, connection.end or self.ledger.ended))
        for begin, end in silences:
            if self.ledger.healthy(begin, end) > self.patience.silence:
                text = (
                    f"not a byte from {begin:.2f} to {end:.2f}, {self.ledger.healthy(begin, end):.1f} s of it healthy"
                )
                self.add_violation("silent", client, connection, text, end)

    def check_delays(self, client, connection):
        if connection.status != 200 or client.habit != "fast":
            return
        for seen in connection.seen:
            item = client.source.items.get(seen.n) if seen.what == "item" else None
            if item is None or item.acked is None or item.sent < connection.head:
                continue
            if seen.at - item.acked <= self.patience.delivery:
                continue  # not late, whether or not there was a fault
            late = self.ledger.healthy(item.acked, seen.at)
            if late > self.patience.delivery:
                text = f"{seen.n}, written at {item.acked:.2f}, took {late:.1f} healthy seconds"
                self.add_violation("late event", client, connection, text, seen.at)
                return

    def held_back(self, item, at):
        """True if a fault delayed this message until `at`.  Then a stream that was opened after the publication may
        still receive the message."""
        if item is None or not self.ledger.faults_within(item.sent, at):
            return False
        return self.ledger.healthy(item.sent, at) <= self.patience.delivery

    def check_last_events(self, client):
        """Checks that a stream ends with a last event if, and only if, its job has ended."""
        for connection in client.connections:
            finals = [seen for seen in connection.seen if seen.what == "final"]
            for seen in finals:
                if client.job.terminal_within(connection.asked, seen.at):
                    continue
                if self.held_back(client.source.items.get(seen.n), seen.at):
                    self.counts["ends by delayed messages"] += 1
                    continue
                ends = sorted(
                    (move.sent, gone) for move, _, gone in client.job.spans() if move.terminal and move.sent <= seen.at
                )
                last = ", ".join(f"{sent:.2f} to {gone:.2f}" for sent, gone in ends[-2:])
                text = f"the last event, message {seen.n}, though the job had not ended; its last ends: {last}"
                self.add_violation("false end", client, connection, text, seen.at)
            if finals:
                self.counts["last events"] += 1
            if connection.status != 200 or not client.reads or finals or connection.has("unavailable"):
                continue
            for move, runs_again, _ in client.job.spans():
                if not move.terminal:
                    continue
                begin = max(move.acked, connection.head)
                until = min(runs_again, connection.end or self.ledger.ended)
                if until > begin and self.ledger.healthy(begin, until) > self.patience.ending:
                    text = f"{move.status} since {move.acked:.2f}, and still open at {until:.2f}"
                    self.add_violation("open after end", client, connection, text, until)
                    break

    # ---- all clients --------------------------------------------------------------------------------

    def check_ends_by_record(self):
        """Checks how soon channel streams end if the end was not published, while there are no faults."""
        ends = {}  # for each end: how Redis announced it, and the delays of its streams
        for client in self.ledger.clients:
            if client.source.kind == "channel" and client.job and client.habit == "fast":
                for connection in client.connections:
                    for move, wakeups, delay in self.ends_by_record(client, connection):
                        ends.setdefault((client.job.name, move.sent), (wakeups, []))[1].append(delay)
        delays = collections.defaultdict(list)
        for wakeups, of_streams in ends.values():
            if wakeups in ANNOUNCES:
                delays[ANNOUNCES[wakeups]].append(statistics.median(of_streams))
        for announced, limit in ((True, self.patience.announced), (False, self.patience.looked_for)):
            found = delays[announced]
            if not found:
                continue
            how = "announced" if announced else "looked for"
            median = statistics.median(found)
            self.counts[f"ends by the record, {how}"] = f"{len(found)} (median {median:.2f} s)"
            if len(found) >= ENOUGH and median > limit:
                text = f"{len(found)} ends by the record, {how}, took {median:.2f} s (median)"
                self.violations.append(Violation("slow end", f"all clients: {text}; the limit is {limit:.2f} s"))

    def ends_by_record(self, client, connection):
        """Yields the move, how Redis announced it, and its delay, for each last event that only the record caused."""
        for seen in connection.seen:
            if seen.what != "final":
                continue
            moves = [move for move in client.job.moves if move.terminal and move.sent <= seen.at]
            if not moves or moves[-1].published or moves[-1].sent < connection.head:
                continue
            begin = moves[-1].sent
            if self.ledger.faults_within(begin, seen.at):
                continue
            yield moves[-1], self.ledger.wakeups_during(begin - TRUSTED, seen.at), seen.at - moves[-1].acked
