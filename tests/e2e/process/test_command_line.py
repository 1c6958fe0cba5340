"""The command line and the configuration file: each error is reported in a clear sentence."""

import os
import re
import subprocess

import pytest

from support.clients import fetch
from support.stack import ROOT, default_binary

ENV = {
    "PATH": os.environ["PATH"],
    "REDIS_URL": "redis://localhost:6379",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
}


def tailgate(*words, env=None, cwd=None):
    command = [str(default_binary()), *map(str, words)]
    return subprocess.run(
        command, env={**ENV, **(env or {})}, cwd=cwd, capture_output=True, text=True, timeout=20, check=False
    )


def check(config=ROOT / "deploy/all-three.toml", *more, env=None):
    return tailgate("--check", "--config", config, *more, env=env)


@pytest.mark.parametrize("example", ["all-three", "builder", "spools", "blog", "blog-application", "reference"])
def test_each_example_configuration_passes_the_check(example):
    done = check(ROOT / f"deploy/{example}.toml")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_check_prints_the_number_of_routes():
    assert check(ROOT / "deploy/all-three.toml").stdout.endswith("all-three.toml: good, 6 routes\n")
    assert check(ROOT / "deploy/spools.toml").stdout.endswith("spools.toml: good, 1 route\n")


def test_the_check_creates_no_file(tmp_path):
    sockets = ["--set", f"listen.streams=unix:{tmp_path}/s", "--set", f"identity.key_file={tmp_path}/key"]
    assert check(ROOT / "deploy/all-three.toml", *sockets).returncode == 0
    assert list(tmp_path.iterdir()) == []


ERRORS = [
    # old text in all-three.toml, new text, key in the error, words in the error
    ('source    = "channel"', 'source = "chanel"', "route.events.source", ['"channel"', '"log"', '"pages"']),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "api/{id}"', "route.events.path", ['begin with "/"']),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "/api/{id}/{id}"', "route.events.path", ["more than one {id}"]),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = 5', "route.events.path", ["not an integer"]),
    ('path      = "/api/jobs/{id}/events/stream"', 'path = "/api/jobs/{id}/stream"', "route.status.path", ["events"]),
    ('key       = "job:{id}:events"', 'key = "job:events"', "route.events.key", ["{id}"]),
    ('who       = "owner"', 'who = "everyone"', "route.events.who", ['"owner" or "anyone"']),
    ('record    = "builder-job"', 'record = "another"', "route.events.record", ["another"]),
    ('providers = ["clerk"]', 'providers = ["nobody"]', "route.events.providers", ["nobody"]),
    ('credentials = ["bearer"]', 'credentials = ["basic"]', "route.events.credentials", []),
    ('framing   = "raw"', "", "route.events.framing", ["missing"]),
    ('framing   = "raw"', 'framing = "raw"\ncolour = "blue"', "route.events.colour", ["no key that is known"]),
    ('framing   = "raw"', 'framing = "raw"\nretri_ms = 1', "route.events.retri_ms", ["retry_ms"]),
    ('every_s = 15', 'every_s = 0', "route.events.heartbeat.every_s", ["0.05", "3600"]),
    ('every_s = 15', 'every_s = -1', "route.events.heartbeat.every_s", ["0.05"]),
    ('every_s = 15', 'every_s = "15"', "route.events.heartbeat.every_s", ["not a text"]),
    ('every_s = 15', 'every_s = nan', "route.events.heartbeat.every_s", []),
    ('terminal = ["ready", "failed"]', 'terminal = "ready"', "record.builder-job.terminal", ["text"]),
    ('on_unavailable = "sse"', 'on_unavailable = "events"', "route.events.on_unavailable", ['"status", "sse" or "auto"']),
    ('"status":${status},"job_id":${id}', '"status":${state}', "route.events.ending[0].data", ["state"]),
    ('algorithms = ["RS256"]', 'algorithms = ["none"]', "provider.clerk.algorithms", ["none"]),
    ('algorithms = ["RS256"]', 'algorithms = ["HS256"]', "provider.clerk.algorithms", ["shared secret"]),
    ('algorithms = ["RS256"]', "algorithms = []", "provider.clerk.algorithms", []),
    ('origins = []', 'origins = ["*"]', "cors.origins", ["every site"]),
    ('origins = []', 'origins = ["https://app.example.com/"]', "cors.origins", ['"/"']),
    ('error_body = \'{"success":false,"error":${error},"message":${message}}\'', 'error_body = \'{"success":\'', "route.job.error_body", []),
]  # fmt: skip


@pytest.mark.parametrize(
    "old, new, key, words", ERRORS, ids=lambda value: value if isinstance(value, str) and "." in value else ""
)
def test_a_configuration_error_names_line_key_and_rule(tmp_path, old, new, key, words):
    text = (ROOT / "deploy/all-three.toml").read_text()
    assert old in text
    config = tmp_path / "site.toml"
    config.write_text(text.replace(old, new, 1))
    line = text[: text.index(old)].count("\n") + 1
    done = check(config)
    assert (done.returncode, done.stdout) == (2, "")
    found = [text for text in done.stderr.splitlines() if f": {key}: " in text]
    assert len(found) == 1, done.stderr
    match = re.fullmatch(rf"{re.escape(str(config))}:(\d+): {re.escape(key)}: (.+)", found[0])
    assert match, found[0]
    assert all(word in match[2] for word in words), found[0]
    # A missing key is reported at the line of its table, and a duplicate path at the line of the other route.
    if "missing" not in words and key != "route.status.path":
        assert line <= int(match[1]) <= line + 1, found[0]


def test_all_configuration_errors_are_reported_in_line_order(tmp_path):
    config = tmp_path / "site.toml"
    text = (ROOT / "deploy/all-three.toml").read_text()
    config.write_text(text.replace('who       = "owner"', 'who = "x"').replace('source    = "channel"', 'source = "y"'))
    lines = check(config).stderr.splitlines()
    assert len([line for line in lines if ".who: " in line]) == 5
    assert len([line for line in lines if ".source: " in line]) >= 3
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "text",
    ["[route.x", "a = ", "= 1", 'a = "x', "a = 1\na = 2", "\xff\xfe", "[route.x]\npath = '/a'\n[route.x]\n", "\0"],
)
def test_a_toml_syntax_error_names_its_line(tmp_path, text):
    config = tmp_path / "site.toml"
    config.write_bytes(("# a comment\n" + text + "\n").encode("latin-1"))
    done = check(config)
    assert done.returncode == 2
    assert re.match(rf"{re.escape(str(config))}:[2-5]: TOML: \S", done.stderr), done.stderr


def test_a_missing_or_empty_configuration_file_is_reported(tmp_path):
    done = check(tmp_path / "none.toml")
    assert done.returncode == 2 and "none.toml: No such file" in done.stderr
    (tmp_path / "empty.toml").write_text("")
    done = check(tmp_path / "empty.toml")
    assert done.returncode == 2 and "redis" in done.stderr and "route" in done.stderr
    done = check(tmp_path)
    assert done.returncode == 2 and done.stderr.strip()


@pytest.mark.parametrize("setting, words", [
    ("route.events.heartbeat.every_s=abc", ["route.events.heartbeat.every_s", "0.05"]),
    ("route.events.retry_ms=0", ["route.events.retry_ms", "from 1 to"]),
    ("route.nothing.retry_ms=5", ["route.nothing"]),
    ("rediss.url=x", ["rediss"]),
    ("listen.ops=nonsense", ["listen.ops", "unix:/path"]),
    ("limits.streams=-1", ["limits.streams", "from 0"]),
    ("limits.trusted_proxies=[\"10.0.0.0/40\"]", ["limits.trusted_proxies", "10.0.0.0/40"]),
    ("drain.settle_s=30", ["drain.settle_s", "shorter than"]),
    ("identity.life_s=5", ["identity.life_s", "from 60"]),
    ("listen.socket_mode=0999", ["listen.socket_mode", "octal"]),
    ("", ["key=value"]),
    ("novalue", ["key=value"]),
    ("=x", []),
])  # fmt: skip
def test_an_invalid_set_option_is_reported(setting, words):
    done = check(ROOT / "deploy/all-three.toml", "--set", setting)
    assert done.returncode == 2
    assert all(word in done.stderr for word in ["--set", *words]), done.stderr


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost",
        "redis://",
        "redis://localhost:0",
        "redis://localhost:99999",
        "redis://localhost/x",
        "redis://:%zz@localhost",
        "rediss://localhost",
        "unix:relative",
        "unix:" + "/x" * 60,
        "redis://[::1",
        "redis://a b",
    ],
)
def test_an_invalid_redis_url_is_reported_without_its_password(url):
    secret = "pa55w0rd"
    shown = url.replace("redis://", f"redis://user:{secret}@") if url.count("@") == 0 and len(url) > 8 else url
    done = check(env={"REDIS_URL": shown})
    assert done.returncode == 2
    assert ": redis.url_env: " in done.stderr
    assert secret not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "missing, key",
    [
        ("REDIS_URL", "redis.url_env"),
        ("JWT_SECRET", "provider.blog.secret_env"),
        ("CLERK_PUBLISHABLE_KEY", "provider.clerk.clerk_publishable_key_env"),
    ],
)
def test_a_missing_environment_variable_is_reported_with_its_key(missing, key):
    env = {name: value for name, value in ENV.items() if name != missing}
    command = [str(default_binary()), "--check", "--config", str(ROOT / "deploy/all-three.toml")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert f": {key}: the environment variable {missing} is not set" in done.stderr
    assert f": {key}: the environment variable {missing} is empty" in check(env={missing: ""}).stderr


@pytest.mark.parametrize("secret", ["pa55w0rd-15byte", "x"])
def test_a_short_secret_is_refused_without_printing_it(secret):
    done = check(env={"JWT_SECRET": secret})
    assert done.returncode == 2
    assert "16 bytes" in done.stderr and (len(secret) == 1 or secret not in done.stderr)


@pytest.mark.parametrize(
    "key", ["pk_test_", "pk_live_!!!!", "sk_test_Y2xlcmsuZXhhbXBsZS5jb20k", "pk_test_Y2xlcmsuZXhhbXBsZS5jb20"]
)
def test_an_invalid_publishable_key_is_reported(key):
    done = check(env={"CLERK_PUBLISHABLE_KEY": key})
    assert done.returncode == 2
    assert "provider.clerk.clerk_publishable_key_env" in done.stderr and "publishable key" in done.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["--check"], ["--config"], ["--nonsense"], ["--print", "all", "--config", "x"], ["serve"], ["--set", "a=b"]],
)
def test_an_invalid_command_line_prints_the_usage(words):
    done = tailgate(*words)
    assert done.returncode == 2
    assert "usage: tailgate --config FILE" in done.stderr and done.stdout == ""


def test_an_address_that_cannot_be_bound_exits_with_1(tmp_path):
    (tmp_path / "file").write_text("no socket")
    base = [
        "--config",
        ROOT / "deploy/all-three.toml",
        "--set",
        f"identity.key_file={tmp_path}/key",
        "--set",
        f"listen.auth=unix:{tmp_path}/auth",
    ]
    for place, words in (
        (f"unix:{tmp_path}/file", "is not a socket"),
        (f"unix:{tmp_path}/none/s", "cannot bind"),
        ("203.0.113.1:2345", "cannot bind"),
    ):
        done = tailgate(*base, "--set", f"listen.streams={place}")
        assert done.returncode == 1
        assert done.stderr.startswith("listen.streams: ") and words in done.stderr


def test_an_identity_key_file_that_others_may_read_or_that_has_no_key_is_refused(tmp_path):
    key = tmp_path / "key"
    base = ["--config", ROOT / "deploy/all-three.toml", "--set", f"identity.key_file={key}"]
    key.write_text("ab" * 32)
    key.chmod(0o644)
    done = tailgate(*base)
    assert done.returncode == 1 and "chmod 600" in done.stderr
    key.write_text("not a key")
    key.chmod(0o600)
    done = tailgate(*base)
    assert done.returncode == 1 and "not a key" in done.stderr.replace("is ", "")
    assert "ab" * 32 not in done.stderr


def test_a_socket_in_use_by_another_process_is_not_taken_over(stack, tmp_path):
    base = [
        "--config",
        ROOT / "deploy/all-three.toml",
        "--set",
        f"identity.key_file={tmp_path}/key",
        "--set",
        f"listen.auth=unix:{tmp_path}/auth",
    ]
    done = tailgate(*base, "--set", f"listen.streams=unix:{stack.gateway_socket}")
    assert done.returncode == 1 and "another process listens there" in done.stderr
    assert fetch(stack, "/nothing", via="gateway").status == 404
