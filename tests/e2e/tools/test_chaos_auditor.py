"""The auditor of `make chaos` reports each kind of violation."""

import pytest

from chaos.auditor import Audit, Patience
from chaos.ledger import Client, Connection, Item, Ledger, Move, Rollback, Seen, Window

BEGIN, END = 100.0, 160.0


def write_items(ledger, kind, count=6):
    """Adds the items 1 to `count` to the source.  Item n is written at BEGIN + n seconds."""
    source = ledger.source("s", kind)
    for n in range(1, count + 1):
        source.add(Item(n, BEGIN + n, BEGIN + n + 0.001, (n, 0) if kind == "log" else None))
    return source


def received(numbers, at=None):
    return [Seen(at or BEGIN + n + 0.01, "item", n, (n, 0)) for n in numbers]


def audit(kind, *connections, habit="fast", change=None, **client):
    """Audits one client and returns the kinds of its violations.  A connection is a pair: the events that the client
    received, and further members of Connection."""
    ledger = Ledger()
    ledger.ended = END
    source = write_items(ledger, kind)
    ledger.job("without a status")
    job = ledger.job("j")
    job.moves.append(Move(BEGIN - 1, BEGIN - 1, "running", False))
    client = Client("c", "log-stream" if kind == "log" else "events", source, job, habit, **client)
    ledger.clients.append(client)
    for seen, more in connections:
        client.connections.append(
            Connection(**{"asked": BEGIN, "head": BEGIN, "status": 200, "last_byte": END, **more}, seen=seen)
        )
    if change:
        change(ledger, source, job)
    return sorted({violation.kind for violation in Audit(ledger).run()})


ALL = [1, 2, 3, 4, 5, 6]
KINDS = pytest.mark.parametrize("kind", ["log", "channel"])


def fault(begin, end, **more):
    return lambda ledger, *_: ledger.windows.append(Window(begin, end, "redis-kill", **more))


def entries_left(*numbers):
    return lambda _, source, __: source.left.update(numbers)


@KINDS
def test_the_auditor_accepts_a_complete_run(kind):
    assert audit(kind, (received(ALL), {})) == []


@KINDS
def test_the_auditor_reports_a_duplicate(kind):
    assert audit(kind, (received([1, 2, 3, 3, 4, 5, 6]), {})) == ["duplicate"]


@KINDS
def test_the_auditor_reports_events_out_of_order(kind):
    assert "disorder" in audit(kind, (received([1, 3, 2, 4, 5, 6]), {}))


@KINDS
def test_the_auditor_reports_an_event_that_was_never_written(kind):
    assert audit(kind, ([*received(ALL), Seen(120, "item", 99, (99, 0))], {})) == ["invented"]


@KINDS
def test_the_auditor_reports_events_missing_at_the_end_of_the_run(kind):
    expected = ["late line"] if kind == "log" else ["late event"]
    assert audit(kind, (received([1, 2, 3, 4]), {}), change=entries_left(5, 6)) == expected


@KINDS
def test_the_auditor_reports_a_late_event_unless_a_fault_was_active(kind):
    assert audit(kind, ([*received([1, 2, 3]), *received([4, 5, 6], at=130)], {})) == ["late event"]
    assert audit(kind, ([*received([1, 2, 3]), *received([4, 5, 6], at=130)], {}), change=fault(103, 128)) == []


# ---- logs -----------------------------------------------------------------------------------------


def test_the_auditor_reports_a_lost_line():
    assert audit("log", (received([1, 2, 4, 5, 6]), {})) == ["lost line"]


def gap(low, high):
    return Seen(103.5, "gap", low=(low, 0), high=(high, 0) if high else None)


@pytest.mark.parametrize("high", [5, None])
def test_a_gap_event_excuses_the_missing_lines_inside_it(high):
    assert audit("log", ([*received([1, 2]), gap(2, high), *received([5, 6])], {})) == []


@pytest.mark.parametrize("low, high", [(2, 4), (3, 5), (4, 5)])
def test_a_gap_event_does_not_excuse_missing_lines_outside_it(low, high):
    assert audit("log", ([*received([1, 2]), gap(low, high), *received([5, 6])], {})) == ["lost line"]


def test_a_gap_event_does_not_excuse_a_later_loss():
    assert audit("log", ([*received([1]), gap(1, 2), *received([2, 4, 5, 6])], {})) == ["lost line"]


def test_the_auditor_reports_a_gap_over_lines_that_redis_still_has():
    assert audit("log", ([*received([1, 2]), gap(2, 5), *received([5, 6])], {}), change=entries_left(3, 4)) == [
        "false gap"
    ]


def test_the_auditor_reports_a_line_lost_across_a_reconnect():
    ended = {"end": 103.0, "how": "cut"}
    resumed = {"asked": 103.5, "head": 103.5, "resume": "2-0"}
    window = fault(102, 104)
    assert audit("log", (received([1, 2]), ended), (received([3, 4, 5, 6]), resumed), change=window) == []
    assert audit("log", (received([1, 2]), ended), (received([4, 5, 6]), resumed), change=window) == ["lost line"]


def test_the_auditor_reports_a_line_repeated_across_a_reconnect():
    ended = {"end": 103.0, "how": "cut"}
    resumed = {"asked": 103.5, "head": 103.5, "resume": "2-0"}
    seen = received([2, 3, 4, 5, 6])
    assert audit("log", (received([1, 2]), ended), (seen, resumed), change=fault(102, 104)) == ["duplicate"]


def test_a_line_that_redis_did_not_acknowledge_may_be_missing():
    def unknown(_, source, __):
        source.items[3].acked = None

    assert audit("log", (received([1, 2, 4, 5, 6]), {}), change=unknown) == []


def test_a_line_that_redis_lost_in_a_failover_may_be_missing():
    def forgotten(_, source, __):
        source.items[3].rolled_back = True

    assert audit("log", (received([1, 2, 4, 5, 6]), {}), change=forgotten) == []


def lost_data(ledger, source, _):
    """Redis loses line 4 in a fail-over."""
    ledger.losses.append(104.2)
    source.items[4].rolled_back = True


def test_lines_may_repeat_only_after_a_data_loss_and_a_gap_event():
    seen = [
        *received([1, 2, 3, 4]),
        Seen(104.5, "gap", low=(4, 0), high=(2, 0)),
        *received([2, 3], at=104.6),
        *received([5, 6]),
    ]
    assert audit("log", (seen, {}), change=lost_data) == []
    assert audit("log", (seen, {})) == ["duplicate"]
    del seen[4]
    assert audit("log", (seen, {}), change=lost_data) == ["duplicate"]
    # A slow reader reads the first lines long after Redis lost its newest entries.
    late = [*received([1, 2, 3, 4], at=110), Seen(111, "gap", low=(4, 0), high=(2, 0)), *received([2, 3, 5, 6], at=112)]
    assert audit("log", (late, {}), change=lost_data) == ["late event"]
    assert audit("log", (late, {})) == ["duplicate", "late event"]


def test_a_stream_may_go_on_after_a_lost_line_if_later_lines_exist():
    """The gap event names the first line of the log, but the gateway does not read the log again."""
    seen = [*received([1, 2, 3, 4]), Seen(104.5, "gap", low=(4, 0), high=(1, 0))]
    assert audit("log", ([*seen, *received([5, 6])], {}), change=lost_data) == []
    assert audit("log", ([*seen, *received([6])], {}), change=lost_data) == ["lost line"]
    assert audit("log", ([*seen, *received([3], at=104.6), *received([5, 6])], {}), change=lost_data) == ["lost line"]


def test_a_first_connect_gets_old_lines_only_after_a_data_loss_and_a_gap_event():
    opened = {"asked": 103.9, "head": 104.1}
    seen = [Seen(104.5, "gap", low=(4, 0), high=(2, 0)), *received([2, 3], at=104.6), *received([5, 6])]
    assert audit("log", (seen, opened), change=lost_data) == []
    assert audit("log", (seen, opened)) == ["lost line", "too old"]
    assert audit("log", (seen[1:], opened), change=lost_data) == ["too old"]
    del seen[2]
    assert audit("log", (seen, opened), change=lost_data) == ["lost line"]


def test_the_auditor_reports_old_lines_on_a_first_connect():
    opened = {"asked": 103.5, "head": 103.6}
    assert audit("log", (received([3, 4, 5, 6], at=103.9), opened)) == ["too old"]
    assert audit("log", (received([4, 5, 6]), opened)) == []
    assert audit("log", (received([5, 6]), opened)) == ["lost line"]


def test_a_client_from_the_beginning_must_get_the_lines_that_redis_still_has():
    opened = {"asked": 110, "head": 110, "resume": "0-0"}
    assert audit("log", (received([3, 4, 5, 6], at=110.1), opened)) == []
    assert audit("log", (received([3, 5, 6], at=110.1), opened), change=entries_left(4, 5, 6)) == ["lost line"]


def with_moves(moves):
    def change(_, __, job):
        job.moves += moves

    return change


DONE = [Move(106.5, 106.6, "ready", True)]


def test_the_auditor_reports_done_before_the_last_line():
    final = Seen(107, "final", id=(6, 0))
    closed = {"end": 107, "how": "clean"}
    assert audit("log", ([*received(ALL), final], closed), change=with_moves(DONE)) == []
    assert audit("log", ([*received([1, 2, 3, 4, 5]), final], closed), change=with_moves(DONE)) == ["lost line"]


def audit_end(times, seen, *more, head=BEGIN + 0.5, patience=None, losses=()):
    """Audits a client of a job that failed 5 s after BEGIN.  Line n is written at BEGIN + times[n - 1].  Returns the
    kinds of the violations and the number of lines after the end."""
    ledger = Ledger()
    ledger.ended = END
    source = ledger.source("s", "log")
    for n, at in enumerate(times, 1):
        source.add(Item(n, BEGIN + at, BEGIN + at + 0.001, (n, 0)))
        source.left.add(n)
    ledger.losses += [BEGIN + at for at in losses]
    ledger.job("without a status")
    job = ledger.job("j")
    job.moves += [Move(BEGIN, BEGIN, "running", False), Move(BEGIN + 5, BEGIN + 5, "failed", True)]
    client = Client("c", "log-stream", source, job)
    ledger.clients.append(client)
    events = [
        Seen(BEGIN + at, "final", id=(n, 0)) if kind == "final" else Seen(BEGIN + at, "item", n, (n, 0))
        for kind, n, at in seen
    ]
    end = dict(last_byte=BEGIN + 20, end=BEGIN + 21, how="clean")
    client.connections.append(Connection(asked=head - 0.1, head=head, status=200, seen=events, **end))
    client.connections += more
    done = Audit(ledger, patience)
    return [violation.kind for violation in done.run()], done.counts["lines after the end"]


def test_the_auditor_reports_a_lost_line_that_followed_the_end():
    assert audit_end([1, 5.5], [("item", 1, 1), ("final", 1, 6.2)]) == (["lost line"], 1)


def test_the_auditor_counts_the_silence_from_a_line_that_arrived():
    seen = [("item", 1, 1), ("item", 2, 5.7), ("final", 2, 6.41)]
    assert audit_end([1, 5.7, 6.4], seen) == (["lost line"], 2)


def test_the_auditor_counts_lines_after_the_end_that_arrived():
    assert audit_end([1, 5.5], [("item", 1, 1), ("item", 2, 5.5), ("final", 2, 6.6)]) == ([], 1)


def test_the_auditor_expects_no_later_lines_on_a_slow_machine():
    assert audit_end([1, 6.5], [("item", 1, 1), ("final", 1, 6.2)], patience=Patience().times(2))[0] == []


def test_the_auditor_expects_late_lines_in_a_stream_that_was_opened_after_the_end():
    assert audit_end([1, 4.9, 5.6], [("final", 2, 5.3)], head=BEGIN + 5.2)[0] == ["lost line"]


def test_a_line_that_was_written_during_the_opening_may_come_too_late_for_it():
    final = [("final", 1, 6.3)]
    assert audit_end([1, 6.15, 6.25], final, head=BEGIN + 6.2)[0] == []
    assert audit_end([1, 6.05, 6.25], final, head=BEGIN + 6.2)[0] == ["lost line"], "written before the request"


def test_a_line_that_redis_has_lost_does_not_keep_a_stream_open():
    seen, head = [("final", 2, 5.3)], BEGIN + 5.2
    assert audit_end([1, 4.9, 5.6], seen, head=head, losses=[5])[0] == []
    assert audit_end([1, 4.9, 5.6], seen, head=head, losses=[4.8])[0] == ["lost line"]


def test_the_auditor_reports_a_204_while_the_log_holds_a_newer_line():
    again = Connection(asked=BEGIN + 10, head=BEGIN + 10.1, status=204, resume="end.1-0", end=BEGIN + 10.2, how="clean")
    seen = [("item", 1, 1), ("item", 2, 5.5), ("final", 2, 7)]
    assert audit_end([1, 5.5], seen, again)[0] == ["lost line"]


def test_done_from_the_beginning_requires_the_lines_that_redis_still_has():
    connection = (
        [Seen(110, "final", id=(6, 0))],
        {"asked": 109, "head": 109, "end": 110, "how": "clean", "resume": "0-0"},
    )
    assert audit("log", connection, change=with_moves(DONE)) == []

    def some_left(ledger, source, job):
        with_moves(DONE)(ledger, source, job)
        entries_left(5, 6)(ledger, source, job)

    assert audit("log", connection, change=some_left) == ["lost line"]


# ---- channels -------------------------------------------------------------------------------------


def test_the_auditor_reports_a_missing_message():
    assert audit("channel", (received([1, 2, 4, 5, 6]), {})) == ["lost message"]


def test_a_resync_event_excuses_only_messages_published_before_it():
    resync = Seen(103.5, "resync")
    assert audit("channel", ([*received([1, 2]), resync, *received([4, 5, 6])], {})) == []
    assert audit("channel", ([*received([1, 2]), resync, *received([5, 6])], {})) == ["lost message"]


def test_the_end_of_a_stream_excuses_missing_messages():
    window = fault(102, 104)
    first, second = {"end": 103.2, "how": "clean"}, {"asked": 103.5, "head": 103.5}
    assert audit("channel", (received([1, 2]), first), (received([4, 5, 6]), second), change=window) == []


def test_the_auditor_reports_a_message_lost_after_the_opening():
    assert audit("channel", (received([2, 3, 4, 5, 6]), {})) == ["lost message"]


def test_the_auditor_reports_a_message_missing_between_record_and_first_event():
    opened = {"asked": 102.9, "head": 103.5}
    assert audit("channel", ([Seen(103.6, "standing", 3), *received([4, 5, 6])], opened)) == []
    assert audit("channel", ([Seen(103.6, "standing", 2), *received([4, 5, 6])], opened)) == ["lost message"]


def test_the_auditor_reports_a_message_repeated_across_a_reconnect():
    first, second = {"end": 103.2, "how": "clean"}, {"asked": 103.5, "head": 103.5}
    seen = [received([1, 2, 3]), received([3, 4, 5, 6], at=106.5)]
    assert audit("channel", (seen[0], first), (seen[1], second), change=fault(102, 104)) == ["duplicate"]


# ---- ends, answers, silence -----------------------------------------------------------------------


def test_the_auditor_reports_an_unexplained_end():
    assert audit("channel", (received(ALL), {"end": 120, "how": "clean"})) == ["unexplained end"]
    assert audit("channel", (received(ALL), {"end": 120, "how": "left"})) == []
    assert audit("channel", (received(ALL), {"end": 120, "how": "cut"}), change=fault(118, 121)) == []
    assert audit("channel", (received(ALL), {"end": 120, "how": "cut"}), change=fault(118, 121, cuts=False)) != []


@KINDS
def test_the_auditor_reports_an_open_stream_of_a_finished_job(kind):
    assert audit(kind, (received(ALL), {}), change=with_moves(DONE)) == ["open after end"]


@KINDS
def test_the_auditor_reports_a_last_event_of_a_running_job(kind):
    seen = [*received(ALL), Seen(110, "final", id=(6, 0))]
    assert audit(kind, (seen, {"end": 110, "how": "clean"})) == ["false end"]


def test_a_delayed_last_message_may_end_a_stream_opened_after_it():
    late = [Seen(112, "standing", 3), *received([4, 5, 6], at=114), Seen(114, "final", 6)]

    def ran_again(window):
        def change(ledger, _, job):
            job.moves += [Move(105.9, 105.9, "ready", True), Move(110, 110, "running", False)]
            ledger.windows.append(Window(*window, "net-stall"))

        return change

    connection = (late, {"asked": 112, "head": 112, "end": 114, "how": "clean"})
    assert audit("channel", connection, change=ran_again((104, 111))) == []
    assert audit("channel", connection, change=ran_again((90, 91))) == ["false end"], "no fault delayed it"


@pytest.mark.parametrize("copied, named", [((107, 108), []), ((111, 112), ["false end"])])
def test_an_old_record_restored_by_a_failover_may_end_a_stream(copied, named):
    """The job ends at 106 and runs again at 110.  The copy that takes over at 120 was made between these times, or
    after both."""

    def change(ledger, _, job):
        job.moves += [Move(106, 106, "ready", True), Move(110, 110, "running", False)]
        ledger.rollbacks.append(Rollback(*copied, 120, 123))
        ledger.windows.append(Window(118, 128, "redis-failover"))

    def ends(at):
        return [Seen(at, "standing", 6), Seen(at, "final")], {"asked": at - 0.2, "head": at, "end": at, "how": "clean"}

    assert audit("channel", ends(121), change=change) == named
    assert audit("channel", ends(119), change=change) == ["false end"], "the copy had not taken over"
    assert audit("channel", ends(127), change=change) == ["false end"], "the worker had written the record again"


def test_the_auditor_reports_a_silent_stream():
    silent = {"silences": [(110, 150)]}
    assert audit("channel", (received(ALL), silent)) == ["silent"]
    assert audit("channel", (received(ALL), silent), change=fault(111, 148)) == []
    assert audit("channel", (received(ALL), {"last_byte": 110})) == ["silent"]


@pytest.mark.parametrize("status", [404, 500, 503, None])
def test_the_auditor_reports_a_refusal_without_a_fault(status):
    refused = {"status": status, "end": 100.5}
    assert audit("channel", ([], refused)) == ["refusal"]
    assert audit("channel", ([], refused), change=fault(99, 101)) == []


def test_the_auditor_reports_a_status_that_stops_an_event_source():
    refused = {"status": 503, "end": 100.5}
    assert audit("channel", ([], refused), native=True, change=fault(99, 101)) == ["dead tab"]


def test_the_auditor_reports_a_204_for_a_running_job():
    stopped = {"status": 204, "resume": "end", "end": 100.5}
    assert audit("channel", ([], stopped)) == ["refusal"]
    done = with_moves([Move(99.5, 99.6, "ready", True)])
    assert audit("channel", ([], stopped), change=done) == []
    assert audit("channel", ([], {**stopped, "resume": ""}), change=done) == ["refusal"]


def test_the_auditor_reports_an_unavailable_event_without_a_fault():
    seen = [Seen(101, "unavailable")]
    assert audit("channel", (seen, {"end": 112, "how": "clean"})) == ["refusal"]
    assert audit("channel", (seen, {"end": 112, "how": "clean"}), change=fault(99, 101)) == []


# ---- all clients ----------------------------------------------------------------------------------


def audit_ends(delay, wakeups, published=False, ends=9, change=None, habit="fast"):
    """Audits streams of which each gets its last event `delay` seconds after the end of its job."""
    ledger = Ledger()
    ledger.ended = END
    ledger.wakeups.append((BEGIN - 20, wakeups))
    for number in range(ends):
        job = ledger.job(f"j{number}")
        job.moves.append(Move(BEGIN - 1, BEGIN - 1, "running", False))
        job.moves.append(Move(BEGIN + 10, BEGIN + 10, "ready", True, published))
        client = Client(f"c{number}", "events", ledger.source(f"s{number}", "channel"), job, habit)
        seen = [Seen(BEGIN + 10 + delay, "final")]
        client.connections.append(
            Connection(asked=BEGIN, head=BEGIN, status=200, end=END, how="clean", last_byte=END, seen=seen)
        )
        ledger.clients.append(client)
    if change:
        change(ledger)
    run = Audit(ledger)
    return [violation.kind for violation in run.run() if violation.kind == "slow end"], run.counts


@pytest.mark.parametrize(
    "wakeups, limit, how",
    [
        ("notifications", 0.6, "announced"),
        ("notifications of logs, tracking", 0.6, "announced"),
        ("none", 1.5, "looked for"),
    ],
)
def test_the_auditor_reports_slow_ends_by_the_record(wakeups, limit, how):
    kinds, counts = audit_ends(limit - 0.05, wakeups)
    assert kinds == []
    assert counts[f"ends by the record, {how}"].startswith("9 (median")
    assert audit_ends(limit + 0.05, wakeups)[0] == ["slow end"]


@pytest.mark.parametrize(
    "more",
    [
        {"published": True},
        {"wakeups": "tracking in a small table"},
        {"ends": 7},
        {"habit": "slow"},
        {"change": lambda ledger: ledger.windows.append(Window(BEGIN, BEGIN + 10.5, "redis-kill"))},
        {"change": lambda ledger: ledger.wakeups.append((BEGIN + 3, "none"))},
        {"change": lambda ledger: [setattr(c.connections[0], "head", BEGIN + 10.5) for c in ledger.clients]},
    ],
    ids=["published", "small table", "few", "slow client", "fault", "change of wake-ups", "opened later"],
)
def test_the_auditor_judges_only_ends_that_were_written_in_calm_times(more):
    assert audit_ends(**{"delay": 2, "wakeups": "tracking", **more})[0] == []
