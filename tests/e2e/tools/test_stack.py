"""scripts/stack: the end and the restart of a stack."""

import json
import os
import signal
from pathlib import Path

from support.nginx_system import running


def test_a_stack_leaves_no_process_behind_and_can_be_ended_twice(tmp_path):
    with running(tmp_path / "s") as stack:
        pids = stack.facts["pids"]
        everyone = [pids["redis"], pids["nginx"], *pids["gateways"]]
        assert all(Path(f"/proc/{pid}").exists() for pid in everyone)
        stack.stack("down")
        assert not (tmp_path / "s").exists()
        alive = [
            pid
            for pid in everyone
            if Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()
        ]
        assert alive == []


def test_a_stack_restarts_after_its_nginx_was_killed(tmp_path):
    with running(tmp_path / "s") as stack:
        os.kill(stack.facts["pids"]["nginx"], signal.SIGKILL)
        again = json.loads(stack.stack("restart", "nginx", "redis", "gateway"))
        assert again["base_url"] == stack.base
        with stack.client() as client:
            assert client.get("/readyz").status_code == 200
