"""Golden files of the metrics, the log events, the command line and the rendered nginx configuration.

support/golden.py explains how to write the golden files again.
"""

import os
import re
import subprocess

import pytest

from support import golden, routes
from support.clients import fetch
from support.routes import open_live_stream
from support.stack import DEPLOY, ROOT, default_binary
from support.waiting import wait_until

EXAMPLES = sorted(DEPLOY.glob("*.toml"))
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
}
# The binary gets the sanitizer options of the test run.
ENVIRONMENT |= {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}


def run(*command, env=None):
    """The output and the exit status of a program, with placeholders for absolute paths."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env={**ENVIRONMENT, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    shown = " ".join(str(word) for word in command).replace(str(default_binary()), "tailgate")
    text = f"$ {shown}\n{done.stdout}{done.stderr}"
    return text.replace(str(ROOT), "<root>") + f"= status {done.returncode}\n"


def test_every_golden_file_belongs_to_a_test():
    named = re.compile(r'(?:Transcript\(\w+, |golden\.compare\()"([\w/.-]+)"')
    wanted = {name for path in golden.FOLDER.glob("test_*.py") for name in named.findall(path.read_text())}
    wanted |= {f"nginx/{path.stem}" for path in EXAMPLES}
    files = [path.relative_to(golden.FOLDER) for path in golden.FOLDER.rglob("*.txt")]
    there = {str(path).removesuffix(".txt") for path in files}
    if golden.WRITE:
        for name in there - wanted:
            (golden.FOLDER / f"{name}.txt").unlink()
        return
    assert (sorted(there - wanted), sorted(wanted - there)) == ([], []), "unexpected files, and missing files"


# ---- metrics ----------------------------------------------------------------------------------------------

# The values of these labels do not depend on traffic: they name routes, providers and parts of the gateway.
FIXED_LABELS = ("route", "link", "listener", "by", "provider")


def test_metric_names_types_helps_and_labels_match_their_golden_file(stack_with, job):
    stack = stack_with({"limits.streams": 0})
    for kind in routes.ALL:
        endpoint = kind(stack, f"{job}-{kind.route}").create()
        open_live_stream(endpoint).close()
    page = f"/api/jobs/{job}/logs"
    fetch(stack, page, headers=stack.bearer())
    fetch(stack, page)

    def complete():
        text = stack.ops("/metrics")[1]
        ended = re.findall(r'^tailgate_streams_ended_total\{route="([\w-]+)"', text, re.MULTILINE)
        return text if len(set(ended)) >= len(routes.ALL) else None

    text = wait_until(complete, 5, "a stream of each route has ended")
    described, labels = {}, {}
    for line in text.splitlines():
        if line.startswith("# "):
            described.setdefault(line.split(" ")[2], []).append(line)
            continue
        name = re.match(r"\w+", line)[0]
        name = name if name in described else re.sub("_(bucket|sum|count)$", "", name)
        for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line):
            labels.setdefault(name, {}).setdefault(label, set()).add(value)
    assert set(labels) <= set(described), "a sample without HELP and TYPE"
    out = []
    for name in sorted(described):
        out += described[name]
        for label, values in labels.get(name, {}).items():
            out.append(f"  {label}" + (": " + " ".join(sorted(values)) if label in FIXED_LABELS else ""))
    golden.compare("metrics", "\n".join(out) + "\n")


# ---- logs -------------------------------------------------------------------------------------------------

CALL = re.compile(r"(?<![\w.>])(log_(info|warning|error|line))\s*\(")
LEVELS = ("info", "warning", "error")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def arguments(text, start):
    """The text from `start`, which follows an opening parenthesis, up to the closing one."""
    depth, at = 1, start
    while depth:
        literal = LITERAL.match(text, at)
        if literal:
            at = literal.end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start : at - 1]


def test_log_events_and_their_fields_match_their_golden_file():
    """Finds the log lines in the source, because many of them are hard to provoke."""
    found = set()
    for path in sorted((ROOT / "gateway").rglob("*")):
        if path.suffix not in (".cc", ".h"):
            continue
        text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.MULTILINE)
        for call in CALL.finditer(text):
            if re.search(r"\bvoid\s+$", text[: call.start()]):
                continue  # a declaration
            inside = arguments(text, call.end())
            if call[2] == "line":
                inside = inside.partition(",")[2]  # without the level
            event, _, fields = inside.partition("{{")
            names = [name for name in LITERAL.findall(event) if name not in LEVELS] or ["(not a literal)"]
            keys = re.findall(r'(?:^|\{)\s*"(\w+)"\s*,', fields)
            found |= {" ".join([call[2], name, *keys]) for name in names}
        # The log writes this line itself, without a call of log_*.
        found |= {f"itself {name}" for name in re.findall(r'line_of\(\s*"\w+",\s*"([\w.]+)"', text)}
    golden.compare("log-events", "\n".join(sorted(found)) + "\n")


# ---- the command line -------------------------------------------------------------------------------------


def test_command_line_output_matches_its_golden_file():
    binary = default_binary()
    text = run(binary, "--help")
    for words in (
        [],
        ["--frobnicate"],
        ["--print"],
        ["--print", "what"],
        ["--print", "routes"],
        ["--check"],
        ["--config", "/nonexistent.toml"],
        ["--config", "deploy/builder.toml", "--check", "--set", "x"],
        ["--config", "deploy/builder.toml", "--check", "--set", "no.such=1"],
        ["--config", "deploy/builder.toml", "--check", "--set", "redis.wait_s=0"],
    ):
        text += "\n" + run(binary, *words)
    for path in EXAMPLES:
        text += "\n" + run(binary, "--check", "--config", path.relative_to(ROOT))
    golden.compare("command-line", text)


def test_print_keys_matches_its_golden_file():
    golden.compare("print-keys", run(default_binary(), "--print", "keys"))


def test_print_routes_and_print_cors_match_their_golden_file():
    text = ""
    for path in EXAMPLES:
        for what in ("routes", "cors"):
            text += run(default_binary(), "--print", what, "--config", path.relative_to(ROOT)) + "\n"
    text += run(
        default_binary(),
        "--print",
        "cors",
        "--config",
        "deploy/spools.toml",
        "--set",
        'cors.origins=["https://app.example.com", "https://*.example.org"]',
        "--set",
        'cors.allowed_headers=["authorization"]',
    )
    golden.compare("print-routes-and-cors", text)


# ---- nginx ------------------------------------------------------------------------------------------------


def rendered(out, config, *more, env=None):
    """All files that nginx/render writes, without comments and empty lines."""
    said = run(
        ROOT / "nginx/render",
        "--config",
        config,
        "--tailgate",
        default_binary(),
        "--out",
        out,
        "--visible-dir",
        "/etc/nginx/tailgate",
        "--set",
        "TG_RESOLVER=192.0.2.53",
        "--gateway-set",
        'cors.origins=["https://app.example.com", "https://*.example.org"]',
        *more,
        env=env,
    )
    assert said.endswith("= status 0\n"), said
    text = ""
    for path in sorted(out.iterdir()):
        lines = [line.rstrip() for line in path.read_text().splitlines()]
        kept = [line for line in lines if line and not line.lstrip().startswith("#")]
        text += f"==== {path.name}\n" + "\n".join(kept) + "\n\n"
    return text


@pytest.mark.parametrize("config", EXAMPLES, ids=lambda path: path.stem)
def test_nginx_configuration_of_each_example_matches_its_golden_file(config, tmp_path):
    text = rendered(tmp_path / "out", config, "--set", "TG_APPLICATION=https://app.example.com")
    assert str(ROOT) not in text and str(tmp_path) not in text
    golden.compare(f"nginx/{config.stem}", text)


def test_nginx_configuration_of_other_sites_matches_its_golden_file(tmp_path):
    """One site without an application; one behind a proxy, with a canary, several gateways and Redis over TLS."""
    alone = rendered(tmp_path / "alone", DEPLOY / "builder.toml", "--set", "TG_READYZ=")
    golden.compare("nginx-sse-only", alone)
    behind = rendered(
        tmp_path / "behind",
        DEPLOY / "builder.toml",
        "--gateway-set",
        "redis.tls_leg=/run/tailgate/redis.sock",
        "--set",
        "TG_APPLICATION=http://127.0.0.1:8000",
        "--set",
        "TG_LISTEN_PLAIN=8080",
        "--set",
        "TG_LISTEN_TLS=",
        "--set",
        "TG_BEHIND_PROXY=yes",
        "--set",
        "TG_SHARE=events=10% status=cookie:tailgate=1",
        "--set",
        "TG_STREAMS=unix:/run/a.sock unix:/run/b.sock",
        "--set",
        "TG_AUTH=unix:/run/c.sock 127.0.0.1:9",
        env={"REDIS_URL": "rediss://redis.example.com:6380/0"},
    )
    golden.compare("nginx-behind-a-proxy", behind)
