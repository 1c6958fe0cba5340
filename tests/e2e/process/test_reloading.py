"""SIGHUP: the gateway reads its configuration again, and open streams continue."""

import json
import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from support import routes
from support.clients import fetch, open_stream
from support.draining import gone
from support.publishers import Spools
from support.routes import open_live_stream
from support.stack import DEPLOY, default_binary
from support.waiting import wait_until


def config_with(stack, directory, *changes):
    text = Path(stack.facts["config"]).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def test_sighup_reloads_the_configuration_and_open_streams_continue(private_stack, tmp_path, job):
    config = tmp_path / "site.toml"
    shipped = DEPLOY / "all-three.toml"
    config.write_text(shipped.read_text())
    stack = private_stack(config=config)
    endpoints = [kind(stack, f"{job}-{kind.route}").create() for kind in routes.ALL]
    streams = [open_live_stream(endpoint) for endpoint in endpoints]
    pid = stack.gateway_pid

    config.write_text(
        config_with(
            stack,
            tmp_path,
            ("trailing_slash = true", "retry_ms = 7000\ntrailing_slash = true"),
            ("only_objects = true", "only_objects = true\nretry_ms = 7000"),
        )
    )
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert open_stream(stack, "/api/sse/stream").next_block() == "retry: 7000"
    for endpoint, stream in zip(endpoints, streams):
        endpoint.write_number(5)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 5)
        assert stream.ended is None and stream.retry == 3000

    config.write_text(config_with(stack, tmp_path, ('who       = "anyone"', 'who = "everyone"')))
    os.kill(pid, signal.SIGHUP)
    refused = wait_until(lambda: stack.logs("config.refused"), 3, "the file is refused")
    assert refused[-1]["level"] == "error"
    assert re.search(r'site\.toml:\d+: route\.spools\.who: must be "owner" or "anyone"', refused[-1]["why"])
    assert open_stream(stack, "/api/sse/stream").next_block() == "retry: 7000"

    config.unlink()
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: len(stack.logs("config.refused")) == 2, 3, "the missing file is refused")
    for endpoint, stream in zip(endpoints, streams):
        endpoint.write_number(6)
        stream.events_until(lambda event, endpoint=endpoint: endpoint.number_in(event) == 6)
    assert not gone(pid)


def test_a_route_removed_by_a_reload_gets_404_and_its_streams_stay_open(private_stack, tmp_path):
    config = tmp_path / "site.toml"
    shipped = DEPLOY / "all-three.toml"
    text = shipped.read_text()
    config.write_text(text)
    stack = private_stack(config=config)
    stream = open_stream(stack, "/api/sse/stream")
    stack.wait_subscribed(Spools.CHANNEL)
    begin, end = text.index("[route.spools]"), text.index("# ---- blog")
    config.write_text(text[:begin] + text[end:])
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert fetch(stack, "/api/sse/stream", headers={"Accept": "*/*"}).status == 404
    payload = Spools(stack.redis).update()
    assert stream.next_event().data == payload


def test_a_reload_reads_a_changed_secret_file(private_stack, tmp_path, job):
    secret = tmp_path / "secret"
    secret.write_text("the-first-secret-of-this-test-0001")
    secret.chmod(0o600)
    stack = private_stack({"provider.blog.secret_file": str(secret)})
    endpoint = routes.Progress(stack, job).create()
    assert (
        open_stream(stack, endpoint.path, headers=endpoint.headers()).status == 401
    ), "the token is signed with another secret"
    entry = json.loads((stack.dir / "stack.json").read_text())["providers"]["blog"]
    secret.write_text(entry["secret"])
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.reloaded"), 3, "the gateway has reloaded")
    assert open_stream(stack, endpoint.path, headers=endpoint.headers()).status == 200


def test_a_reload_that_comes_before_the_gateway_listens_to_signals_is_done_later(tmp_path):
    log = tmp_path / "log"
    # The paths of unix sockets must be short.
    with log.open("w") as out, tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as run_dir:
        settings = [f"listen.{name}=unix:{run_dir}/{name}.sock" for name in ("streams", "auth", "ops")]
        settings += [f"redis.url=unix:{run_dir}/none.sock", f"identity.key_file={run_dir}/identity.key"]
        command = [default_binary(), "--config", DEPLOY / "spools.toml"]
        for setting in settings:
            command += ["--set", setting]
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # inherited, as if the gateway had blocked it
        try:
            gateway = subprocess.Popen(command, stderr=out, env={"PATH": os.environ["PATH"]})
            gateway.send_signal(signal.SIGHUP)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            wait_until(lambda: "config.reloaded" in log.read_text(), 5, "the gateway has reloaded")
            assert gateway.poll() is None
        finally:
            gateway.kill()
            gateway.wait()
