"""nginx/render: the configuration of nginx from the gateway's configuration."""

import re

import pytest

from support.nginx_system import ENV, render, running
from support.stack import ROOT


def test_rendering_keeps_canary_lines_and_adds_one_for_each_new_route(tmp_path):
    assert render(tmp_path, config="spools.toml").returncode == 0
    canary = tmp_path / "canary.conf"
    mine = canary.read_text().replace("100% tailgate", "7% tailgate")
    canary.write_text(mine)
    assert render(tmp_path).returncode == 0
    text = canary.read_text()
    assert text.startswith(mine)
    for route in ("events", "status", "log_stream", "log_pages", "job"):
        assert len(re.findall(rf"(?m)^split_clients.*\$tg_share_{route} ", text)) == 1


def test_tg_share_requires_tg_application(tmp_path):
    done = render(tmp_path, "--set", "TG_SHARE=events=10%")
    assert done.returncode == 2
    assert "TG_SHARE: needs TG_APPLICATION" in done.stderr


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("TG_SHARE=nothing=10%", '"nothing" is no route'),
        ("TG_SHARE=events=ten", 'must be "N%" or "cookie:NAME=VALUE"'),
        ("TG_SHARE=events=101%", 'must be "N%"'),
        ("TG_LISTEN_TLS=443;evil", "no control character, semicolon or brace"),
        ("TG_BEHIND_PROXY=maybe", "must be yes or no"),
        ("TG_STREAM_BUFFER=1k", "must be 2k to 8k"),
        ("TG_STREAM_BUFFER=16k", "must be 2k to 8k"),
        ("TG_STREAM_BUFFER=4096", "must be 2k to 8k, in whole k"),
        ("TG_APPLICATION=ftp://app", "must be http://host[:port]"),
        ("TG_NONSENSE=1", 'there is no "TG_NONSENSE"'),
        ("TG_WORKER_CONNECTIONS=many", "must be a number"),
        ("TG_READ_TIMEOUT=abc", "must be a time such as 75s"),
        ("TG_READ_TIMEOUT=", "must be a time such as 75s"),
    ],
)
def test_an_invalid_nginx_setting_is_reported_in_one_sentence(tmp_path, setting, sentence):
    done = render(tmp_path, "--set", "TG_APPLICATION=http://127.0.0.1:1", "--set", setting)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_proxies_whose_forwarded_nginx_would_remove_are_refused(tmp_path):
    trusted = [f"--gateway-set=limits.{pair}" for pair in ('trusted_proxies=["10.0.0.0/8"]', "streams_per_address=1")]
    assert render(tmp_path, *trusted).returncode == 0
    trusted.append('--gateway-set=limits.address_from="forwarded"')
    done = render(tmp_path, *trusted)
    assert (done.returncode, "TG_BEHIND_PROXY: must be yes" in done.stderr) == (2, True)
    assert render(tmp_path, *trusted, "--set", "TG_BEHIND_PROXY=yes").returncode == 0


def test_a_short_site_env_has_the_shipped_defaults(tmp_path):
    site = tmp_path / "site.env"
    site.write_text("TG_KEEPALIVE=80s\n")
    done = render(tmp_path / "out", "--site", str(site))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out/nginx.conf").read_text()
    assert "keepalive_timeout 80s;" in text and "worker_connections 32768;" in text


@pytest.mark.parametrize(
    "text, sentence",
    [(b"\nTG_KEPALIVE=80s\n", ":2: there is no TG_KEPALIVE"), (b"TG_USER=\xff\n", "must be UTF-8"), (None, "No such")],
)
def test_an_invalid_site_env_is_refused_in_one_sentence(tmp_path, text, sentence):
    site = tmp_path / "site.env"
    if text is not None:
        site.write_bytes(text)
    done = render(tmp_path / "out", "--site", str(site))
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "setting",
    ["route.job.heartbeat.every_s=abc", 'route.job.heartbeat="x"', 'route="x"', 'provider="x"', "redis.url_env.x=1"],
)
def test_an_invalid_gateway_setting_is_refused_without_a_traceback(tmp_path, setting):
    done = render(tmp_path, "--gateway-set", setting)
    assert done.returncode == 2
    assert done.stderr.startswith("render: ") and "Traceback" not in done.stderr


def test_a_heartbeat_that_is_not_sent_before_nginx_ends_a_silent_stream_causes_a_warning(tmp_path):
    done = render(tmp_path, "--set", "TG_READ_TIMEOUT=15s", "--gateway-set", "route.job.heartbeat.every_s=600")
    assert done.returncode == 0
    assert (
        "TG_READ_TIMEOUT=15s: nginx ends silent streams of [route.job] before their heartbeat (every_s" in done.stderr
    )
    assert render(tmp_path).stderr == ""
    assert render(tmp_path, "--set", "TG_READ_TIMEOUT=1w").stderr == ""


def test_the_jwks_leg_leads_to_the_host_in_the_publishable_key(tmp_path):
    assert render(tmp_path).returncode == 0
    assert "clerk.example.com" in (tmp_path / "http.conf").read_text()


def test_rendering_needs_no_secret_of_the_gateway(tmp_path):
    done = render(tmp_path, "--set", "TG_JWKS_CLERK=https://clerk.example.com", env={"PATH": ENV["PATH"]})
    assert done.returncode == 0, done.stderr


def test_a_jwks_leg_without_an_address_is_an_error(tmp_path):
    # The issuer is not an https URL, so it does not say where the keys are.
    config = tmp_path / "t.toml"
    text = (ROOT / "deploy/builder.toml").read_text()
    config.write_text(text.replace('clerk_publishable_key_env = "CLERK_PUBLISHABLE_KEY"', 'issuer = "builder"'))
    done = render(tmp_path / "out", config=config)
    assert done.returncode == 2
    assert "TG_JWKS_CLERK" in done.stderr


def test_nginx_listens_for_its_own_answers_in_run_if_the_gateway_listens_on_tcp(tmp_path):
    tcp = [f"TG_{name}=127.0.0.1:900{number}" for number, name in enumerate(("STREAMS", "AUTH", "OPS"))]
    done = render(tmp_path, *(word for setting in tcp for word in ("--set", setting)))
    assert done.returncode == 0, done.stderr
    assert "listen unix:/run/nginx-tailgate-answers.sock;" in (tmp_path / "http.conf").read_text()


@pytest.mark.parametrize("example", ["builder", "spools", "blog", "blog-application"])
def test_a_stack_runs_with_each_example_configuration(tmp_path, example):
    with running(tmp_path / "s", "--config", str(ROOT / f"deploy/{example}.toml")) as alone, alone.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/other").headers["X-Application"] == "yes"
