"""Where nginx sends a request: to the application or the gateway (the canary), and to which of several gateways."""

import json
import os
import re
import signal
from pathlib import Path

from support.nginx_system import running
from support.waiting import wait_until


# ---- the canary -----------------------------------------------------------------------------------


def test_one_canary_line_and_a_reload_move_a_route_to_the_application_and_back(tmp_path):
    with running(tmp_path / "s") as canary, canary.client() as client:
        line = Path(canary.facts["nginx_dir"]) / "canary.conf"

        def served_by(path="/api/sse/stream", **more):
            with canary.client() as fresh, fresh.stream("GET", path, **more) as stream:
                return "application" if "X-Application" in stream.headers else "tailgate"

        assert served_by() == "tailgate"
        text = line.read_text()
        changed = re.sub(r"(?m)^split_clients (.*\$tg_share_spools) .*$", r"split_clients \1 { * application; }", text)
        assert changed != text
        line.write_text(changed)
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by() == "application", 10)
        assert client.get("/api/jobs/x/stream").status_code == 401  # the other routes stay

        cookie = 'map $cookie_tailgate $tg_share_spools { "1" tailgate; default application; }'
        line.write_text(re.sub(r"(?m)^split_clients .*\$tg_share_spools .*$", cookie, changed))
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by(headers={"Cookie": "tailgate=1"}) == "tailgate", 10)
        assert served_by() == "application"

        line.write_text(text)
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by() == "tailgate", 10)


def test_a_canary_splits_the_clients_and_each_client_stays_on_its_side(tmp_path):
    more = ("--nginx-set", "TG_SHARE=spools=50% job=cookie:beta=yes")
    with running(tmp_path / "s", *more) as canary, canary.client() as client:

        def served_by_application(agent):
            with client.stream("GET", "/api/sse/stream", headers={"User-Agent": agent}) as stream:
                return "X-Application" in stream.headers

        first = [served_by_application(f"browser {n}") for n in range(40)]
        assert 8 <= sum(first) <= 32
        assert [served_by_application(f"browser {n}") for n in range(40)] == first
        assert client.get("/api/v1/jobs/x/stream").headers.get("X-Application") == "yes"
        assert client.get("/api/v1/jobs/x/stream", headers={"Cookie": "beta=yes"}).status_code == 401


def test_a_client_stays_on_its_side_whatever_its_port_and_the_node_of_the_load_balancer(tmp_path):
    with running(tmp_path / "s", "--nginx-set", "TG_SHARE=spools=50%") as canary, canary.client() as client:

        def sides(*hops):
            found = set()
            for hop in hops:
                with client.stream("GET", "/api/sse/stream", headers={"X-Forwarded-For": hop}) as stream:
                    found.add("application" if "X-Application" in stream.headers else "tailgate")
            return found

        assert len(sides(*(f"203.0.113.{n}" for n in range(30)))) == 2
        for n in range(6):
            v4, v6 = f"203.0.113.{n}", f"2001:db8::{n}"
            assert len(sides(v4, *(f"{v4}:{port}, 10.0.0.{port % 9}" for port in range(40000, 40008)))) == 1
            assert len(sides(v6, *(f"[{v6}]:{port}" for port in range(40000, 40008)))) == 1


# ---- several gateways -----------------------------------------------------------------------------


def test_all_requests_for_one_path_go_to_the_same_gateway(tmp_path):
    with running(tmp_path / "s", "--instances", "3") as several, several.client() as client:
        paths = [f"/api/jobs/j{n}/stream" for n in range(20)] * 2
        for path in paths:
            client.get(path)
        access = Path(several.facts["access_log"])
        wait_until(lambda: access.read_text().count("/api/jobs/j") == len(paths), 10)
        seen = {}
        for entry in map(json.loads, access.read_text().splitlines()):
            if entry["route"] == "status":
                seen.setdefault(entry["path"], set()).add(entry["upstream"])
    assert len(seen) == 20
    assert all(len(where) == 1 for where in seen.values())
    assert len(set.union(*seen.values())) > 1


def test_nginx_skips_a_dead_gateway(tmp_path):
    with running(tmp_path / "s", "--instances", "2") as several, several.client() as client:
        os.kill(several.facts["pids"]["gateways"][0], signal.SIGKILL)
        assert {client.get(f"/api/jobs/j{n}/stream").status_code for n in range(20)} == {401}
