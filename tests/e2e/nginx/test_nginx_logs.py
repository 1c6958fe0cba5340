"""The logs of nginx: no secrets, and an access log of JSON lines."""

import contextlib
import json
import os
import signal
from pathlib import Path

import httpx

from support.nginx_system import running
from support.waiting import wait_until


def test_no_log_contains_a_query_string_or_a_credential(tmp_path):
    secret = "s3cr3t-t0k3n"
    with running(tmp_path / "s") as leaky:
        wanted = [
            (f"/api/v1/jobs/x/stream?token={secret}", {"Authorization": f"Bearer {secret}"}),
            (f"/api/v1/jobs/x/stream?sessionId={secret}", {"x-session-id": secret, "Cookie": f"accessToken={secret}"}),
            (f"/api/sse/stream?{secret}=1", {"Accept": "application/json"}),
            (f"/application?token={secret}", {"Referer": f"https://x/?token={secret}"}),
            (f"/{'a' * 70_000}?token={secret}", {}),
        ]

        def ask():
            for path, headers in wanted:
                with contextlib.suppress(httpx.HTTPError), leaky.client() as client:
                    with client.stream("GET", path, headers=headers, timeout=1) as stream:
                        next(stream.iter_bytes(), b"")

        ask()
        os.kill(leaky.facts["pids"]["gateways"][0], signal.SIGKILL)
        ask()  # nginx cannot connect
        for path in leaky.facts["gateway_sockets"] + leaky.facts["auth_sockets"] + [leaky.application.server_address]:
            Path(path).unlink()
        ask()  # the sockets are missing
        wait_until(lambda: leaky.logs()["nginx-access.log"].count("\n") >= 3 * len(wanted), 10)
        for name, text in leaky.logs().items():
            assert secret not in text, f"{name} contains the secret"


def test_the_access_log_is_json_with_route_verdict_and_path(system):
    with system.client() as client:
        client.get("/api/jobs/logged/stream?token=x", headers={"X-Request-ID": "logged-1"})
    access = Path(system.facts["access_log"])

    def line():
        return next(
            (entry for entry in map(json.loads, access.read_text().splitlines()) if entry["request_id"] == "logged-1"),
            None,
        )

    entry = wait_until(line, 10)
    assert entry["path"] == "/api/jobs/logged/stream"
    assert entry["route"] == "status"
    assert entry["verdict"].startswith("401-")
    assert entry["status"] == "401"
