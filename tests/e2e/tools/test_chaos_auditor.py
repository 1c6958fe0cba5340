"""The auditor of `make chaos` can fail: each kind of violation, fed to it, is named."""

import pytest

from chaos.auditor import Audit
from chaos.ledger import Client, Connection, Item, Ledger, Move, Relapse, Seen, Window

BEGIN, END = 100.0, 160.0


def written(ledger, kind, count=6):
    """Numbers 1 to `count`, one each second from 101 on."""
    source = ledger.source("s", kind)
    for n in range(1, count + 1):
        source.add(Item(n, BEGIN + n, BEGIN + n + 0.001, (n, 0) if kind == "log" else None))
    return source


def arrived(numbers, at=None):
    return [Seen(at or BEGIN + n + 0.01, "item", n, (n, 0)) for n in numbers]


def audited(kind, *connections, habit="fast", change=None, **client):
    """The kinds of violations of one client, each once.  A connection is (seen, more of Connection)."""
    ledger = Ledger()
    ledger.ended = END
    source = written(ledger, kind)
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


def broken(begin, end, **more):
    return lambda ledger, *_: ledger.windows.append(Window(begin, end, "redis-kill", **more))


def left(*numbers):
    return lambda _, source, __: source.left.update(numbers)


@KINDS
def test_the_auditor_accepts_a_complete_run(kind):
    assert audited(kind, (arrived(ALL), {})) == []


@KINDS
def test_the_auditor_reports_a_duplicate(kind):
    assert audited(kind, (arrived([1, 2, 3, 3, 4, 5, 6]), {})) == ["duplicate"]


@KINDS
def test_the_auditor_reports_events_out_of_order(kind):
    assert "disorder" in audited(kind, (arrived([1, 3, 2, 4, 5, 6]), {}))


@KINDS
def test_the_auditor_reports_an_event_that_was_never_written(kind):
    assert audited(kind, ([*arrived(ALL), Seen(120, "item", 99, (99, 0))], {})) == ["invented"]


@KINDS
def test_the_auditor_reports_events_missing_at_the_end_of_the_run(kind):
    expected = ["late line"] if kind == "log" else ["late event"]
    assert audited(kind, (arrived([1, 2, 3, 4]), {}), change=left(5, 6)) == expected


@KINDS
def test_the_auditor_reports_a_late_event_unless_a_fault_was_active(kind):
    assert audited(kind, ([*arrived([1, 2, 3]), *arrived([4, 5, 6], at=130)], {})) == ["late event"]
    assert audited(kind, ([*arrived([1, 2, 3]), *arrived([4, 5, 6], at=130)], {}), change=broken(103, 128)) == []


# ---- logs -----------------------------------------------------------------------------------------


def test_the_auditor_reports_a_lost_line():
    assert audited("log", (arrived([1, 2, 4, 5, 6]), {})) == ["lost line"]


def gap(low, high):
    return Seen(103.5, "gap", low=(low, 0), high=(high, 0) if high else None)


@pytest.mark.parametrize("high", [5, None])
def test_a_gap_event_excuses_the_missing_lines_inside_it(high):
    assert audited("log", ([*arrived([1, 2]), gap(2, high), *arrived([5, 6])], {})) == []


@pytest.mark.parametrize("low, high", [(2, 4), (3, 5), (4, 5)])
def test_a_gap_event_does_not_excuse_missing_lines_outside_it(low, high):
    assert audited("log", ([*arrived([1, 2]), gap(low, high), *arrived([5, 6])], {})) == ["lost line"]


def test_a_gap_event_does_not_excuse_a_later_loss():
    assert audited("log", ([*arrived([1]), gap(1, 2), *arrived([2, 4, 5, 6])], {})) == ["lost line"]


def test_the_auditor_reports_a_gap_over_lines_that_redis_still_has():
    assert audited("log", ([*arrived([1, 2]), gap(2, 5), *arrived([5, 6])], {}), change=left(3, 4)) == ["false gap"]


def test_the_auditor_reports_a_line_lost_across_a_reconnect():
    ended = {"end": 103.0, "how": "cut"}
    resumed = {"asked": 103.5, "head": 103.5, "resume": "2-0"}
    window = broken(102, 104)
    assert audited("log", (arrived([1, 2]), ended), (arrived([3, 4, 5, 6]), resumed), change=window) == []
    assert audited("log", (arrived([1, 2]), ended), (arrived([4, 5, 6]), resumed), change=window) == ["lost line"]


def test_the_auditor_reports_a_line_repeated_across_a_reconnect():
    ended = {"end": 103.0, "how": "cut"}
    resumed = {"asked": 103.5, "head": 103.5, "resume": "2-0"}
    seen = arrived([2, 3, 4, 5, 6])
    assert audited("log", (arrived([1, 2]), ended), (seen, resumed), change=broken(102, 104)) == ["duplicate"]


def test_a_line_that_redis_did_not_acknowledge_may_be_missing():
    def unknown(_, source, __):
        source.items[3].acked = None

    assert audited("log", (arrived([1, 2, 4, 5, 6]), {}), change=unknown) == []


def test_a_line_that_redis_lost_in_a_failover_may_be_missing():
    def forgotten(_, source, __):
        source.items[3].rolled_back = True

    assert audited("log", (arrived([1, 2, 4, 5, 6]), {}), change=forgotten) == []


def test_lines_may_repeat_only_after_a_data_loss_and_a_gap_event():
    def went_back(ledger, source, _):
        ledger.losses.append(104.2)
        source.items[4].rolled_back = True

    seen = [
        *arrived([1, 2, 3, 4]),
        Seen(104.5, "gap", low=(4, 0), high=(2, 0)),
        *arrived([2, 3], at=104.6),
        *arrived([5, 6]),
    ]
    assert audited("log", (seen, {}), change=went_back) == []
    assert audited("log", (seen, {})) == ["duplicate"]
    del seen[4]
    assert audited("log", (seen, {}), change=went_back) == ["duplicate"]
    # A slow reader reads what was sent before Redis went back long after that.
    late = [*arrived([1, 2, 3, 4], at=110), Seen(111, "gap", low=(4, 0), high=(2, 0)), *arrived([2, 3, 5, 6], at=112)]
    assert audited("log", (late, {}), change=went_back) == ["late event"]
    assert audited("log", (late, {})) == ["duplicate", "late event"]


def test_the_auditor_reports_old_lines_on_a_first_connect():
    opened = {"asked": 103.5, "head": 103.6}
    assert audited("log", (arrived([3, 4, 5, 6], at=103.9), opened)) == ["too old"]
    assert audited("log", (arrived([4, 5, 6]), opened)) == []
    assert audited("log", (arrived([5, 6]), opened)) == ["lost line"]


def test_a_client_from_the_beginning_must_get_the_lines_that_redis_still_has():
    opened = {"asked": 110, "head": 110, "resume": "0-0"}
    assert audited("log", (arrived([3, 4, 5, 6], at=110.1), opened)) == []
    assert audited("log", (arrived([3, 5, 6], at=110.1), opened), change=left(4, 5, 6)) == ["lost line"]


def ended(moves):
    def change(_, __, job):
        job.moves += moves

    return change


DONE = [Move(106.5, 106.6, "ready", True)]


def test_the_auditor_reports_done_before_the_last_line():
    final = Seen(107, "final", id=(6, 0))
    closed = {"end": 107, "how": "clean"}
    assert audited("log", ([*arrived(ALL), final], closed), change=ended(DONE)) == []
    assert audited("log", ([*arrived([1, 2, 3, 4, 5]), final], closed), change=ended(DONE)) == ["lost line"]


def test_done_from_the_beginning_requires_the_lines_that_redis_still_has():
    connection = (
        [Seen(110, "final", id=(6, 0))],
        {"asked": 109, "head": 109, "end": 110, "how": "clean", "resume": "0-0"},
    )
    assert audited("log", connection, change=ended(DONE)) == []

    def some_left(ledger, source, job):
        ended(DONE)(ledger, source, job)
        left(5, 6)(ledger, source, job)

    assert audited("log", connection, change=some_left) == ["lost line"]


# ---- channels -------------------------------------------------------------------------------------


def test_the_auditor_reports_a_missing_message():
    assert audited("channel", (arrived([1, 2, 4, 5, 6]), {})) == ["uncovered hole"]


def test_a_resync_event_excuses_only_messages_published_before_it():
    resync = Seen(103.5, "resync")
    assert audited("channel", ([*arrived([1, 2]), resync, *arrived([4, 5, 6])], {})) == []
    assert audited("channel", ([*arrived([1, 2]), resync, *arrived([5, 6])], {})) == ["uncovered hole"]


def test_the_end_of_a_stream_excuses_missing_messages():
    window = broken(102, 104)
    first, second = {"end": 103.2, "how": "clean"}, {"asked": 103.5, "head": 103.5}
    assert audited("channel", (arrived([1, 2]), first), (arrived([4, 5, 6]), second), change=window) == []


def test_the_auditor_reports_a_message_lost_after_the_opening():
    assert audited("channel", (arrived([2, 3, 4, 5, 6]), {})) == ["uncovered hole"]


def test_the_auditor_reports_a_message_missing_between_record_and_first_event():
    opened = {"asked": 102.9, "head": 103.5}
    assert audited("channel", ([Seen(103.6, "standing", 3), *arrived([4, 5, 6])], opened)) == []
    assert audited("channel", ([Seen(103.6, "standing", 2), *arrived([4, 5, 6])], opened)) == ["uncovered hole"]


def test_the_auditor_reports_a_message_repeated_across_a_reconnect():
    first, second = {"end": 103.2, "how": "clean"}, {"asked": 103.5, "head": 103.5}
    seen = [arrived([1, 2, 3]), arrived([3, 4, 5, 6], at=106.5)]
    assert audited("channel", (seen[0], first), (seen[1], second), change=broken(102, 104)) == ["duplicate"]


# ---- ends, answers, silence -----------------------------------------------------------------------


def test_the_auditor_reports_an_unexplained_end():
    assert audited("channel", (arrived(ALL), {"end": 120, "how": "clean"})) == ["unexplained end"]
    assert audited("channel", (arrived(ALL), {"end": 120, "how": "left"})) == []
    assert audited("channel", (arrived(ALL), {"end": 120, "how": "cut"}), change=broken(118, 121)) == []
    assert audited("channel", (arrived(ALL), {"end": 120, "how": "cut"}), change=broken(118, 121, cuts=False)) != []


@KINDS
def test_the_auditor_reports_an_open_stream_of_a_finished_job(kind):
    assert audited(kind, (arrived(ALL), {}), change=ended(DONE)) == ["endless"]


@KINDS
def test_the_auditor_reports_a_last_event_of_a_running_job(kind):
    seen = [*arrived(ALL), Seen(110, "final", id=(6, 0))]
    assert audited(kind, (seen, {"end": 110, "how": "clean"})) == ["false end"]


def test_a_delayed_last_message_may_end_a_stream_opened_after_it():
    late = [Seen(112, "standing", 3), *arrived([4, 5, 6], at=114), Seen(114, "final", 6)]

    def ran_again(window):
        def change(ledger, _, job):
            job.moves += [Move(105.9, 105.9, "ready", True), Move(110, 110, "running", False)]
            ledger.windows.append(Window(*window, "net-stall"))

        return change

    connection = (late, {"asked": 112, "head": 112, "end": 114, "how": "clean"})
    assert audited("channel", connection, change=ran_again((104, 111))) == []
    assert audited("channel", connection, change=ran_again((90, 91))) == ["false end"], "nothing held it back"


@pytest.mark.parametrize("copied, named", [((107, 108), []), ((111, 112), ["false end"])])
def test_an_old_record_restored_by_a_failover_may_end_a_stream(copied, named):
    """The copy that takes over at 120 was made while the job had ended, or when it ran again."""

    def change(ledger, _, job):
        job.moves += [Move(106, 106, "ready", True), Move(110, 110, "running", False)]
        ledger.relapses.append(Relapse(*copied, 120, 123))
        ledger.windows.append(Window(118, 128, "redis-failover"))

    def ends(at):
        return [Seen(at, "standing", 6), Seen(at, "final")], {"asked": at - 0.2, "head": at, "end": at, "how": "clean"}

    assert audited("channel", ends(121), change=change) == named
    assert audited("channel", ends(119), change=change) == ["false end"], "not before it took over"
    assert audited("channel", ends(127), change=change) == ["false end"], "nor when it had been written anew"


def test_the_auditor_reports_a_silent_stream():
    quiet = {"quiet": [(110, 150)]}
    assert audited("channel", (arrived(ALL), quiet)) == ["stuck"]
    assert audited("channel", (arrived(ALL), quiet), change=broken(111, 148)) == []
    assert audited("channel", (arrived(ALL), {"last_byte": 110})) == ["stuck"]


@pytest.mark.parametrize("status", [404, 500, 503, None])
def test_the_auditor_reports_a_refusal_without_a_fault(status):
    refused = {"status": status, "end": 100.5}
    assert audited("channel", ([], refused)) == ["refusal"]
    assert audited("channel", ([], refused), change=broken(99, 101)) == []


def test_the_auditor_reports_a_status_that_stops_an_event_source():
    refused = {"status": 503, "end": 100.5}
    assert audited("channel", ([], refused), native=True, change=broken(99, 101)) == ["dead tab"]


def test_the_auditor_reports_a_204_for_a_running_job():
    stopped = {"status": 204, "resume": "end", "end": 100.5}
    assert audited("channel", ([], stopped)) == ["refusal"]
    done = ended([Move(99.5, 99.6, "ready", True)])
    assert audited("channel", ([], stopped), change=done) == []
    assert audited("channel", ([], {**stopped, "resume": ""}), change=done) == ["refusal"]


def test_the_auditor_reports_an_unavailable_event_without_a_fault():
    seen = [Seen(101, "unavailable")]
    assert audited("channel", (seen, {"end": 112, "how": "clean"})) == ["refusal"]
    assert audited("channel", (seen, {"end": 112, "how": "clean"}), change=broken(99, 101)) == []
