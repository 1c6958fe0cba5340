"""A killed nginx leaves its unix sockets behind.  The drop-in for systemd removes them, so that nginx starts again."""

import os
import shlex
import signal
import subprocess
from pathlib import Path

from support.clients import fetch
from support.site import ENV, Site
from support.stack import ROOT
from support.waiting import wait_until


def prepare_start(folder):
    """Runs the ExecStartPre lines of the drop-in for files that were rendered in `folder`."""
    drop_in = (ROOT / "deploy/nginx.service.d.conf").read_text()
    commands = [line.partition("=-")[2] for line in drop_in.splitlines() if line.startswith("ExecStartPre=")]
    assert commands and "/etc/nginx/tailgate/" in commands[0]
    for command in commands:
        words = shlex.split(command.replace("/etc/nginx/tailgate/", f"{folder}/"))
        subprocess.run(words, check=True)


def is_ready(stack):
    try:
        return fetch(stack, "/readyz", via="plain").status == 200
    except ConnectionRefusedError:
        return False


def test_a_killed_nginx_starts_again(private_stack):
    stack = private_stack()
    socket = stack.run_dir / "nginx-answers.sock"
    children = Path(f"/proc/{stack.nginx_pid}/task/{stack.nginx_pid}/children").read_text().split()
    for pid in (stack.nginx_pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    command = Site(stack).command("-g", "daemon off;")
    assert socket.exists()
    assert subprocess.run(command, env=ENV, capture_output=True, check=False).returncode != 0
    assert f"bind() to unix:{socket} failed (98: " in (Path(stack.facts["log_dir"]) / "nginx-error.log").read_text()
    prepare_start(stack.facts["nginx_dir"])
    assert not socket.exists()
    with subprocess.Popen(command, env=ENV, stderr=subprocess.DEVNULL) as nginx:
        try:
            # A socket of nginx exists a moment before nginx listens on it.
            wait_until(lambda: nginx.poll() is not None or is_ready(stack), 10, "nginx answers")
            assert nginx.poll() is None
        finally:
            nginx.send_signal(signal.SIGQUIT)
