"""The stack's gateways.

scripts/keep-sockets holds their listening sockets and is their parent, unless the stack was started with
--own-sockets.  So a new gateway can serve on the same sockets before the old one is told to drain.
"""

import http.client
import json
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

from tailgate_stack import ROOT, Failed
from tailgate_stack.ending import uninterrupted
from tailgate_stack.processes import child_env, end, members, proc_stat, send, tail, wait_until
from tailgate_stack.state import log_of, save, start, wait_for

DRAIN_SECONDS = 40


def gateways(stack):
    """The names of the gateways: gateway-0 and so on."""
    return [name for name in stack["processes"] if name.startswith("gateway-")]


def fetch(url):
    """(status, text) of a GET; (0, "") without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, ValueError, http.client.HTTPException):
        return 0, ""


def answers_as(ops, pid, ready):
    """True if the process `pid` answers at the ops listener and, if `ready`, is ready.  During a hand-over the
    old process answers there too."""
    status, text = fetch(ops + "/readyz")
    try:
        return json.loads(text)["pid"] == pid and (status == 200 or not ready)
    except (ValueError, KeyError, TypeError):
        return False


def ask_keeper(stack, **question):
    """The answer of scripts/keep-sockets, or None if it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(stack["keeper_socket"])
            with link.makefile("rw") as file:
                file.write(json.dumps(question) + "\n")
                file.flush()
                answer = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    if "error" in answer:
        raise Failed(f"keep-sockets: {answer['error']}")
    return answer


def start_keeper(stack):
    Path(stack["keeper_socket"]).unlink(missing_ok=True)
    command = [str(ROOT / "scripts/keep-sockets"), stack["keeper_socket"]]
    process = start(stack, "keeper", command, child_env({}))
    wait_for(stack, "keeper", process.poll, lambda: ask_keeper(stack, do="status", pid=0), 10, "answering")


def make_gateways(stack, instances, settings, gateway_env):
    """Starts `instances` gateways, each on sockets of its own."""
    if not stack["own_sockets"]:
        start_keeper(stack)
    options = [word for pair in settings for word in ("--set", pair)]
    for i in range(instances):
        env = dict(gateway_env)
        env["TAILGATE_LISTEN_STREAMS"] = "unix:" + stack["gateway_sockets"][i]
        env["TAILGATE_LISTEN_AUTH"] = "unix:" + stack["auth_sockets"][i]
        env["TAILGATE_LISTEN_OPS"] = stack["ops_urls"][i].removeprefix("http://")
        command = [stack["binary"], "--config", stack["config"], *options]
        start_gateway(stack, f"gateway-{i}", command, child_env(env))


def start_on_kept_sockets(stack, name, command, env):
    """Has scripts/keep-sockets start a gateway.  Returns its pid."""
    listen = {which: env[f"TAILGATE_LISTEN_{which.upper()}"] for which in ("streams", "auth", "ops")}
    question = {"name": name, "listen": listen, "command": command, "env": env, "dir": stack["dir"]}
    with uninterrupted():
        answer = ask_keeper(stack, do="start", log=str(log_of(stack, name)), **question)
        if answer is None:
            raise Failed(f"keep-sockets does not answer:\n{tail(log_of(stack, 'keeper'))}")
        stat = proc_stat(answer["pid"])
        # Save the new gateway and the one that still serves, so that `down` ends both.
        if name in stack["processes"]:
            stack["leaving"].append(stack["processes"][name])
        entry = {"pid": answer["pid"], "start": stat[2] if stat else 0, "command": command, "env": env}
        stack["processes"][name] = entry
        save(stack)
    return answer["pid"]


def start_gateway(stack, name, command, env):
    """Starts a gateway and waits until it is alive or ready, as `up --wait` demanded."""
    if stack["own_sockets"]:
        process = start(stack, name, command, env)
        pid, poll = process.pid, process.poll
    else:
        pid = start_on_kept_sockets(stack, name, command, env)

        def poll():
            return (ask_keeper(stack, do="status", pid=pid) or {"status": None})["status"]

    ops = stack["ops_urls"][int(name.partition("-")[2])]
    if stack["wait"] != "none":
        ready = stack["wait"] == "ready"
        wait_for(stack, name, poll, lambda: answers_as(ops, pid, ready), 20, "ready" if ready else "alive")


def hand_over(stack, name):
    """Starts a new gateway on the sockets of the old one, then tells the old one to drain.  If the new one does not
    get ready, it is ended and the old one stays."""
    old = stack["processes"][name]
    try:
        start_gateway(stack, name, old["command"], old["env"])
    except Failed:
        new = stack["processes"][name]
        if new != old:
            end(new, [])
            stack["leaving"].remove(old)
            stack["processes"][name] = old
            save(stack)
        raise
    send(old["pid"], signal.SIGTERM)


def restart_gateways(stack, kill, wait):
    """Replaces each gateway: by hand-over where possible, otherwise by stop and start.  `kill`: with SIGKILL, then
    start.  `wait`: until the old gateways have drained."""
    stack["leaving"] = [entry for entry in stack["leaving"] if members(entry)]
    keeper = stack["processes"].get("keeper")
    if keeper and not members(keeper):
        # The sockets are gone with the keeper, so a new gateway could not inherit them.
        for name in gateways(stack):
            end(stack["processes"][name], [(signal.SIGTERM, DRAIN_SECONDS)])
        start_keeper(stack)
    for name in gateways(stack):
        entry = stack["processes"][name]
        if not stack["own_sockets"] and not kill and members(entry):
            hand_over(stack, name)
        else:
            end(entry, [] if kill else [(signal.SIGTERM, DRAIN_SECONDS)])
            start_gateway(stack, name, entry["command"], entry["env"])
    if wait and not wait_until(lambda: not any(map(members, stack["leaving"])), DRAIN_SECONDS):
        raise Failed(f"an old gateway still drains after {DRAIN_SECONDS} s")
    stack["leaving"] = [entry for entry in stack["leaving"] if members(entry)]
    save(stack)


def reload_gateways(stack):
    for name in gateways(stack):
        send(stack["processes"][name]["pid"], signal.SIGHUP)


def end_gateways(stack):
    # The first SIGTERM starts the drain.  The second one ends it at once.
    drain = [(signal.SIGTERM, 0.3), (signal.SIGTERM, 5)]
    for entry in [stack["processes"][name] for name in gateways(stack)] + stack["leaving"]:
        end(entry, drain)


SANITIZERS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")


def sanitizer_reports(stack):
    """The reports of sanitizers in the gateways' logs."""
    reports = []
    for log in sorted(Path(stack["log_dir"]).glob("gateway-*.log")):
        text = log.read_text(errors="replace")
        places = [text.find(word) for word in SANITIZERS if word in text]
        if places:
            reports.append(f"{log.name}:\n{text[max(0, min(places) - 200):][:6000]}")
    return reports
