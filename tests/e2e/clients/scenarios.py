"""What happens to the clients in each cell of the table, and whether they did what is right.

Each function takes the sessions of its cell.  It plays the cell's scenario for all of them at once and returns
{(client, mode, cell): None or what was wrong}.
"""

import itertools
import os
import signal
import time

from support.clients import send
from support.waiting import wait_until

from clients import table
from clients.drivers import NO_TOKEN
from clients.sessions import collect, wait

PATIENCE = 25  # seconds for what should happen; clients pause for up to 5 s
RETRY_MS = 300
STREAMS_PER_USER = 2
# The sessions of each client in a cell.  In a cell that is not listed here, each client has one session, with a log.
OPTIONS = {
    "gap": [{}, {"channel": True}],
    "401": [{}, {"stranger": True}],
    "429": [{"query": "?theme=dark"}],
    "drain": [{}, {"silent": True}, {"stopped": True}],
    "end": [{}, {"channel": True}],
    "token": [{"query": "?theme=dark"}],
}
SECRETS = ("the first secret, 32 bytes and more", "the second secret, 32 bytes and more")


def hopeless(session):
    """True if the table says that this session will fail."""
    word = table.expected(session.client, session.cell)
    return word == "no" or (word == "lines" and session.mode == "plain")


def verdicts(sessions, fault_of):
    found = {}
    for session in sessions:
        key = (session.client, session.mode, session.cell)
        found[key] = found.get(key) or fault_of(session)
    return found


def start(sessions):
    for session in sessions:
        session.start()


def connect(sessions):
    """Starts the clients and waits until their streams are open."""
    start(sessions)
    wait(sessions, lambda session: 200 in session.statuses(), PATIENCE)


def log_to_all(sessions, *numbers):
    for session in sessions:
        for number in numbers:
            session.log(number)


def has(number):
    return lambda session: number in session.numbers


def watch_requests(sessions, count_of, most, seconds):
    """Watches for at least `seconds` whether a client asks more than `most` times.  Also waits for the
    clients that the table expects to ask more often."""
    wait(sessions, lambda session: not hopeless(session) or count_of(session) > most, PATIENCE, at_least=seconds)


def stop(sessions):
    """Stops the clients that have the page's lines.  Returns what each of them has done so far, for faults_of_stopped."""
    # A shell script is stopped by the end of its process.
    stopped = [session for session in sessions if session.mode == "snippets" and session.client != "curl"]
    for session in stopped:
        session.driver.stop(session.key)
    time.sleep(1)  # a request that is on its way arrives
    collect(stopped)
    return {session: (len(session.requests), len(session.numbers)) for session in stopped}


def faults_of_stopped(stopped):
    """The faults of the clients that have gone on after stop()."""
    collect(stopped)

    def fault(session):
        requests, numbers = stopped[session]
        if len(session.requests) > requests:
            return "asks again after it was stopped"
        return "shows a line after it was stopped" if len(session.numbers) > numbers else None

    return {key: found for key, found in verdicts(stopped, fault).items() if found}


def fault_of_lines(session, wanted):
    if session.numbers != wanted:
        return f"lines {session.numbers} instead of {wanted}"
    return "a gap that was none" if session.events("gap") else None


# ---- first connect, resume, gap -----------------------------------------------------------------------


def resume(sessions):
    """Two cuts: one between two events, and one in the middle of an event, after its id."""
    connect(sessions)
    log_to_all(sessions, 1, 2, 3)
    wait(sessions, has(3), PATIENCE, at_least=0.5)
    first = {}
    for session in sessions:
        fault = fault_of_lines(session, [1, 2, 3])
        if not fault and session.empties():
            fault = "messages without data"
        first[session.client, session.mode, "first"] = fault

    for session in sessions:
        session.site.recorder.cut(session.path)
    log_to_all(sessions, 4)
    wait(sessions, has(4), PATIENCE, hopeless, at_least=2)

    for session in sessions:
        entry = f"{int(time.time() * 1000) + 500}-7"
        session.site.recorder.cut_after(session.path, f"id: {entry}\n".encode())
        session.log(5, entry)
        session.log(6)
    wait(sessions, has(6), PATIENCE, hopeless, at_least=2)
    return first | verdicts(sessions, lambda session: fault_of_lines(session, [1, 2, 3, 4, 5, 6]))


def gap(sessions):
    """While a client of a log is away, Redis drops the entry that it has received last and one that it has not.  For the
    clients of channels, the gateway loses its subscription."""
    connect(sessions)
    logs = [session for session in sessions if not session.channel]
    log_to_all(logs, 1, 2, 3)
    wait(logs, has(3), PATIENCE)
    sessions[0].worker.redis.client_kill_filter(_type="pubsub")
    for session in logs:
        session.site.recorder.cut(session.path)
        session.log(4)
        session.log(5)
        session.worker.redis.xtrim(session.worker.log_key, maxlen=1, approximate=False)
    wait(logs, has(5), PATIENCE, hopeless, at_least=2)

    def fault(session):
        if session.channel:
            return None if session.events("resync") else "resync not told"
        if len(session.events("gap")) != 1:
            return f"{len(session.events('gap'))} gaps told"
        return None if session.numbers == [1, 2, 3, 5] else f"lines {session.numbers}"

    return verdicts(sessions, fault)


# ---- answers that are no stream ---------------------------------------------------------------------


def refused(sessions):
    """401: the token has expired, and there is no newer one.  404: the job is somebody else's."""
    for session in sessions:
        if not session.stranger:
            session.token = session.site.tokens.sign(session.user, -3600)
    start(sessions)
    wait(sessions, lambda session: any(session.statuses()), PATIENCE)
    watch_requests(sessions, lambda session: len(session.requests), 2, 12)

    def fault(session):
        if set(session.statuses()) != {404 if session.stranger else 401}:
            return f"statuses {session.statuses()}"
        return f"asked {len(session.requests)} times" if len(session.requests) > 2 else None

    return verdicts(sessions, fault)


def wait_refused(sessions, status, reason):
    """Waits until each client has the status, or, like a native EventSource, the event `unavailable`."""

    def told(session):
        return status in session.statuses() or any(reason in line["data"] for line in session.events("unavailable"))

    wait(sessions, told, PATIENCE)
    return {session for session in sessions if told(session)}


def come_back(sessions, told):
    """Waits until the clients show log lines.  Ends the answers `unavailable`, which would end by themselves after 10 to
    25 s."""
    refused = {session: len(session.requests) for session in sessions}
    for session in sessions:
        if session.events("unavailable"):
            session.site.recorder.cut(session.path)
    begin = time.monotonic()
    number = 0
    while time.monotonic() - begin < PATIENCE:
        number += 1
        log_to_all(sessions, number)
        collect(sessions)
        missing = [session for session in sessions if not session.numbers and not hopeless(session)]
        if not missing and time.monotonic() - begin > 4:
            break
        time.sleep(0.5)

    def fault(session):
        if session not in told:
            return "was not refused"
        pauses = [later.at - earlier.at for earlier, later in itertools.pairwise(session.requests[: refused[session]])]
        if min(pauses, default=1) < 0.5:
            return f"asks again after {min(pauses)} s"
        return None if session.numbers else f"did not come back; statuses {session.statuses()}"

    return verdicts(sessions, fault)


def too_many(sessions):
    """429: the user has as many streams as a user may have.  Later all of them end."""
    others = []
    for session in sessions:
        headers = {"Authorization": f"Bearer {session.token}"}
        for _ in range(STREAMS_PER_USER):
            path = f"/api/jobs/{session.job}/stream"  # the job's channel; the clients follow its log
            others.append(send(session.site.stack, path, headers=headers, via="plain"))
    for other in others:
        assert other.wait_head().status == 200
    start(sessions)
    told = wait_refused(sessions, 429, "limit")
    for other in others:
        other.close()
    return come_back(sessions, told)


def unavailable(sessions):
    """503: Redis does not answer for some seconds."""
    stack = sessions[0].site.stack
    os.kill(stack.redis_pid, signal.SIGSTOP)
    try:
        start(sessions)
        told = wait_refused(sessions, 503, "redis")
    finally:
        os.kill(stack.redis_pid, signal.SIGCONT)
    wait_until(lambda: stack.metrics()['tailgate_redis_up{link="records"}'] == 1, 20, "Redis is back")
    return come_back(sessions, told)


# ---- drain, end, token ------------------------------------------------------------------------------


def drain(sessions):
    """The gateway is replaced.  It tells each client when to come back: after 1 to 15 s.  Some clients have received no
    line before, and some are stopped while they wait."""
    connect(sessions)
    told = [session for session in sessions if not session.silent]
    log_to_all(told, 1, 2)
    wait(told, has(2), PATIENCE)
    sessions[0].site.stack.restart("gateway", wait=True)
    log_to_all(sessions, 3)
    stopped = stop([session for session in sessions if session.stopped])
    back = [session for session in sessions if not session.stopped]
    back = [session for session in back if not session.silent or session.client in table.TAKES_ID_WITHOUT_DATA]
    wait(back, has(3), PATIENCE + 10, hopeless, at_least=2)
    found = verdicts(back, lambda session: fault_of_lines(session, [3] if session.silent else [1, 2, 3]))
    return found | faults_of_stopped(stopped)


def end(sessions):
    """The job ends.  Each client has two sessions: one of the log and one of the channel."""
    connect(sessions)
    for session in sessions:
        session.log(1)
        session.worker.move("ready", "Done")

    def last(session):
        return [line for line in session.shown if line["id"] == "end" or line["id"].startswith("end.")]

    def asked_again(session):
        ends = last(session)
        return len([request for request in session.requests if ends and request.at > ends[0]["at"]])

    wait(sessions, last, PATIENCE)
    watch_requests(sessions, asked_again, 1, 4)

    def fault(session):
        if len(last(session)) != 1:
            return f"{len(last(session))} final events"
        return f"asked {asked_again(session)} times after the end" if asked_again(session) > 1 else None

    return verdicts(sessions, fault)


def token(sessions):
    """The connection is lost when the token is no longer valid.  A newer token can be had only 2 s later.  At last the
    clients are stopped while their streams are open."""
    site = sessions[0].site
    for session in sessions:
        session.token = site.tokens.sign_shared(session.user, SECRETS[0])
    connect(sessions)
    log_to_all(sessions, 1)
    wait(sessions, has(1), PATIENCE)

    site.secret.write_text(SECRETS[1])
    os.kill(site.stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: site.stack.logs("config.reloaded"), 10, "the gateway has read the new secret")
    for session in sessions:
        session.change_token(NO_TOKEN)
    for session in sessions:
        site.recorder.cut(session.path)
    time.sleep(2)
    for session in sessions:
        session.change_token(site.tokens.sign_shared(session.user, SECRETS[1]))
    log_to_all(sessions, 2)
    wait(sessions, has(2), PATIENCE, hopeless, at_least=4)
    found = verdicts(sessions, lambda session: fault_of_lines(session, [1, 2]))
    stopped = stop(sessions)
    log_to_all(stopped, 3)
    wait(stopped, lambda session: False, 5)
    return found | faults_of_stopped(stopped)


SCENARIOS = {
    "resume": resume,
    "gap": gap,
    "401": refused,
    "429": too_many,
    "503": unavailable,
    "drain": drain,
    "end": end,
    "token": token,
}
