"""The stack as a dict, the file DIR/stack.json that holds it, and the processes in it."""

import json
import os
import subprocess
from pathlib import Path

from tailgate_stack import Failed
from tailgate_stack.ending import uninterrupted
from tailgate_stack.processes import proc_stat, tail, wait_until

# Secrets and internal state, which `up` does not print.
HIDDEN = {
    "processes",
    "leaving",
    "providers",
    "made_dir",
    "nginx_render",
    "ports",
    "wait",
    "own_sockets",
    "keeper_socket",
}


def new(directory, run_dir, config, binary, args):
    """A stack in which nothing runs yet."""
    return {
        "dir": str(directory),
        "made_dir": not directory.exists(),
        "run_dir": str(run_dir),
        "log_dir": str(directory / "logs"),
        "config": str(config),
        "binary": str(binary),
        "processes": {},
        "providers": {},
        "leaving": [],  # old gateways that are still draining
        "wait": args.wait,
        "own_sockets": args.own_sockets,
        "keeper_socket": str(run_dir / "keeper.sock"),
        "ports": [],
    }


def save(stack):
    """Replaces DIR/stack.json.  Only the owner may read it, because it holds secrets."""
    path = Path(stack["dir"]) / "stack.json"
    fresh = path.with_suffix(".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(stack, file, indent=1)
    fresh.rename(path)


def load(directory):
    """The stack in `directory`, or None."""
    try:
        return json.loads((Path(directory).resolve() / "stack.json").read_text())
    except (OSError, ValueError):
        return None


def public(stack):
    """The part of the stack that `up` prints."""
    shown = {key: value for key, value in stack.items() if key not in HIDDEN}
    pids = {name: entry["pid"] for name, entry in stack["processes"].items()}
    shown["pids"] = {
        "redis": pids.get("redis"),
        "nginx": pids.get("nginx"),
        "gateways": [pids[name] for name in sorted(pids) if name.startswith("gateway-")],
    }
    return shown


def log_of(stack, name):
    return Path(stack["log_dir"]) / f"{name}.log"


def start(stack, name, command, env):
    """Starts `command` in a session of its own, with its output in logs/<name>.log, and saves the stack."""
    with open(log_of(stack, name), "ab") as out, uninterrupted():
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=stack["dir"], start_new_session=True
        )
        stat = proc_stat(process.pid)
        stack["processes"][name] = {"pid": process.pid, "start": stat[2], "command": command, "env": env}
        save(stack)
    return process


def wait_for(stack, name, poll, happened, seconds, state):
    """Waits until `happened` returns true.  `poll` returns None while the process lives, then its exit status.
    `state` is the awaited state in words, for the error message."""

    def done():
        status = poll()
        if status is not None:
            raise Failed(f"{name} ended with status {status} at its start:\n{tail(log_of(stack, name))}")
        return happened()

    if not wait_until(done, seconds):
        raise Failed(f"{name} was not {state} within {seconds:g} s:\n{tail(log_of(stack, name))}")
