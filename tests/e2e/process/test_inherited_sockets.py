"""A gateway that inherits its sockets from systemd, and the systemd units in deploy/."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from support import routes
from support.restarts import DEADLINE, DRAIN, LATE, Connection, ask
from support.seals import seal
from support.stack import DEPLOY
from support.waiting import wait_until


@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_sockets_inherited_from_systemd_are_served_and_not_removed(private_stack, job, tmp_path, family):
    stack = private_stack(DRAIN, nginx=False)
    facts = json.loads((stack.dir / "stack.json").read_text())
    entry = facts["processes"]["gateway-0"]
    if family == "unix":
        places = [str(stack.run_dir / f"{name}.activated") for name in ("streams", "auth", "ops")]
    else:
        places = facts["ports"][:3]
    # With these addresses, the gateway could not start if it bound sockets itself.
    env = {
        **entry["env"],
        **{f"TAILGATE_LISTEN_{name}": f"unix:/nonexistent/{name}" for name in ("STREAMS", "AUTH", "OPS")},
    }
    command = ["systemd-socket-activate", "--fdname=streams:auth:ops"]
    for place in places:
        command += ["-l", place if family == "unix" else f"127.0.0.1:{place}"]
    for name in env:
        command += ["-E", name]
    log = tmp_path / "activated.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command + entry["command"], env=env, stderr=out)
    streams, auth, ops = places
    try:

        def first_answer():
            with contextlib.suppress(OSError):
                return ask(ops, "/readyz")

        # The first connection starts the gateway.
        wait_until(lambda: (first_answer() or (0,))[0] == 200, 15, "the gateway is ready")
        assert json.loads(ask(ops, "/readyz")[1])["pid"] == process.pid
        endpoint = routes.Lines(stack, job).create()
        asked = {"X-Tailgate-Uri": endpoint.path, "X-Tailgate-Method": "GET", **endpoint.headers()}
        assert ask(auth, "/auth", asked)[0] == 204
        with contextlib.closing(Connection(streams)) as link:
            answer = link.ask(endpoint.path, seal(stack, "log-stream", job, user="alice", provider="clerk"))
            assert answer.status == 200 and answer.readline() == b"retry: 3000\n"
            endpoint.write_number(1)
            assert any(b"n=1" in answer.readline() for _ in range(10))
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE + LATE) == 0 and time.monotonic() - begin < DEADLINE + LATE
    finally:
        process.kill()
        process.wait()
    assert log.read_text().count('"socket.inherited"') == 3
    if family == "unix":
        assert all(map(os.path.exists, places)), "inherited sockets are not removed"


def test_the_systemd_units_are_valid_and_match_the_configuration(tmp_path):
    names = [path.name for path in DEPLOY.glob("tailgate*.s*") if path.suffix in (".service", ".socket")]
    assert len(names) == 4
    for name in names:
        shutil.copy(DEPLOY / name, tmp_path)
    # An upgrade runs the new version as tailgate-next.service on the same sockets.
    shutil.copy(tmp_path / "tailgate.service", tmp_path / "tailgate-next.service")
    for service in tmp_path.glob("*.service"):
        service.write_text(service.read_text().replace("/usr/local/bin/tailgate", "/bin/true"))

    def verify():
        command = ["systemd-analyze", "verify", *sorted(tmp_path.glob("tailgate*"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert verify() == (0, "")
    # The units give the sockets the names of the listeners, and have the addresses of deploy/reference.toml.
    units = {name: (tmp_path / name).read_text() for name in names if name.endswith(".socket")}
    reference = (DEPLOY / "reference.toml").read_text()
    for name, text in units.items():
        listener = re.search(r"(?m)^FileDescriptorName=(.*)$", text).group(1)
        place = re.search(r"(?m)^ListenStream=(.*)$", text).group(1)
        assert name == f"tailgate-{listener}.socket"
        assert re.search(rf'(?m)^{listener}\s*= "(unix:)?{re.escape(place)}"$', reference), (listener, place)
        assert name in re.search(r"(?m)^Sockets=(.*)$", (DEPLOY / "tailgate.service").read_text()).group(1).split()
    with open(tmp_path / "tailgate-ops.socket", "a") as file:
        file.write("[Socket]\nFileDescriptorNames=a:b:c\n")
    assert "FileDescriptorNames" in verify()[1], "systemd-analyze finds an unknown setting"
