#!/usr/bin/python3
"""Runs clients for Python and for the shell.  The same commands and lines as drive.mjs.

    drive.py FOLDER      FOLDER gets one file for each client, with the client's current token

Ends with its standard input, and all processes of its group with it.
"""

import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

lock = threading.Lock()
tokens = {}
stops = {}
folder = Path(sys.argv[1])


def show(key, name, data, event_id):
    with lock:
        print(json.dumps({"key": key, "at": time.time(), "name": name, "data": data, "id": event_id}), flush=True)


def set_token(key, token):
    tokens[key] = token
    new = folder / f"{key}.new"
    new.write_text(token or "")
    new.rename(folder / key)


def token_of(key):
    if tokens[key] is None:
        raise OSError("the token cannot be fetched")
    return tokens[key]


def follow_in_python(key, module, url):
    spec = importlib.util.spec_from_file_location("client", module)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    arguments = [url, lambda: token_of(key), lambda name, data, event_id: show(key, name, data, event_id)]
    client.follow(*arguments, *([stops[key]] if "snippets" in module else []))


def follow_in_shell(key, module, url):
    """Runs a shell, and parses the stream that it prints."""
    file = shlex.quote(str(folder / key))
    script = f'. {shlex.quote(module)}; token() {{ grep . {file}; }}; follow "$1" token'
    shell = subprocess.Popen(["/bin/bash", "-c", script, "bash", url], stdout=subprocess.PIPE, text=True)
    fields = {}
    for line in shell.stdout:
        name, _, value = line.rstrip("\n").partition(": ")
        if name:
            fields[name] = value
        elif line == "\n":
            if "data" in fields:
                show(key, fields.get("event", "message"), fields["data"], fields.get("id", ""))
            fields = {}


def run(command):
    key, module = command["key"], command["module"]
    try:
        (follow_in_python if module.endswith(".py") else follow_in_shell)(key, module, command["url"])
    except Exception as error:  # shown to the test, whatever it is
        show(key, "#failed", repr(error), "")


def main():
    for line in sys.stdin:
        command = json.loads(line)
        if "token" not in command:
            stops[command["key"]].set()
            continue
        set_token(command["key"], command["token"])
        if "module" in command:
            stops[command["key"]] = threading.Event()
            threading.Thread(target=run, args=[command], daemon=True).start()
    os.killpg(os.getpgrp(), signal.SIGKILL)  # the caller has gone; the shells would go on for ever


if __name__ == "__main__":
    main()
