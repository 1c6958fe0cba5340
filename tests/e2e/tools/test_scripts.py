"""The scripts: checks of `make lint` find errors, and PyJWT confirms the tokens of scripts/mint-token."""

import json
import os
import re
import shutil
import subprocess

import jwt
import pytest

from support.stack import ROOT
from tailgate_stack import ports

SCRIPTS = ROOT / "scripts"


def run(*command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)


# ---- the rank rule --------------------------------------------------------------------------------


def tree(directory, **files):
    """Writes the files of a tree and runs check-ranks in it.  The argument http__b_h stands for gateway/http/b.h."""
    (directory / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPTS / "check-ranks", directory / "scripts")
    for name, text in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = directory / "gateway" / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return run(directory / "scripts/check-ranks")


def test_check_ranks_accepts_a_tree_whose_includes_point_downward(tmp_path):
    done = tree(
        tmp_path,
        base__a_h="// A.  Pure.\n#pragma once\n",
        redis__b_h='// B.\n#include "gateway/base/a.h"\n#include <event2/event.h>\n',
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    "files, sentence",
    [
        (
            {"http__b_h": "// B.\n", "base__a_h": '// A.\n#include "gateway/http/b.h"\n'},
            "rank 0 includes gateway/http/b.h",
        ),
        (
            {"http__b_h": '// B.\n#include "gateway/http/c.h"\n', "http__c_h": '// C.\n#include "gateway/http/b.h"\n'},
            "a circle",
        ),
        ({"feeds__a_h": "#pragma once\n"}, "without the comment"),
        (
            {"auth__a_h": "// A.  Pure.\n", "auth__a_cc": "#include <event2/event.h>\n"},
            "a pure file includes <event2/event.h>",
        ),
        (
            {"auth__a_h": '// A.  Pure.\n#include "gateway/auth/b.h"\n', "auth__b_h": "// B.\n"},
            "b.h, which is not pure",
        ),
        ({"auth__a_h": "// A.  Pure.\n", "auth__a_cc": "auto now = Clock::now();\n"}, "a pure file reads a clock"),
        ({"feeds__a_cc": '#include "a.h"\n'}, "include by the path from the root"),
        ({"other__a_cc": "\n"}, "its folder has no rank"),
    ],
)
def test_check_ranks_refuses_a_tree_that_breaks_a_rule(tmp_path, files, sentence):
    done = tree(tmp_path, **files)
    assert done.returncode == 1
    assert sentence in done.stdout


# ---- documented keys ------------------------------------------------------------------------------


def documented(tmp_path, *keys):
    binary = tmp_path / "tailgate"
    binary.write_text("#!/bin/sh\n" + "".join(f"echo '{key}'\n" for key in keys))
    binary.chmod(0o755)
    return run(SCRIPTS / "check-documented", binary)


def real_keys():
    binary = os.environ.get("TAILGATE_BINARY", ROOT / "build/release/tailgate")
    return run(binary, "--print", "keys").stdout.split()


def test_every_configuration_key_is_documented():
    done = run(SCRIPTS / "check-documented", os.environ.get("TAILGATE_BINARY", ROOT / "build/release/tailgate"))
    assert (done.returncode, done.stdout) == (0, "")


def test_check_documented_finds_an_undocumented_key(tmp_path):
    done = documented(tmp_path, *real_keys(), "route.*.brand_new")
    assert done.returncode == 1
    assert done.stdout.count("\n") == 1 and "route.*.brand_new" in done.stdout


@pytest.mark.parametrize("gone", ["route.*.ending[].data", "redis.wait_s", "record.*.fields.*.absent"])
def test_check_documented_finds_a_documented_key_that_does_not_exist(tmp_path, gone):
    done = documented(tmp_path, *(key for key in real_keys() if key != gone))
    assert done.returncode == 1
    assert "is no key of the configuration" in done.stdout


def test_all_three_toml_equals_the_joined_examples():
    assert run(SCRIPTS / "join-examples", "--check").returncode == 0


def test_each_example_in_the_tests_readme_is_in_the_named_file():
    readme = (ROOT / "tests/README.md").read_text()
    name, examples = None, 0
    for path, example in re.findall(r"`([\w/]+\.(?:cpp|py))`|```(?:cpp|python)\n(.*?)```", readme, re.DOTALL):
        name = path or name
        if example:
            assert example in (ROOT / "tests" / name).read_text(), f"{name}:\n{example}"
            examples += 1
    assert examples >= 7


# ---- bootstrap ------------------------------------------------------------------------------------


def test_bootstrap_does_nothing_if_all_packages_are_installed():
    done = run(SCRIPTS / "bootstrap", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bootstrap_refuses_an_unknown_purpose():
    done = run(SCRIPTS / "bootstrap", "everything")
    assert done.returncode == 1
    assert 'unknown purpose "everything"' in done.stderr


# ---- ports ----------------------------------------------------------------------------------------


def test_a_stack_uses_no_port_that_a_browser_blocks(tmp_path, monkeypatch):
    # Browsers block the ports of IRC, 6665 to 6669.
    monkeypatch.setattr(ports, "PORTS", range(6664, 6670))
    monkeypatch.setattr(ports, "bindable", lambda port: True)
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))
    assert ports.pick_ports(1, tmp_path) == [6664]


# ---- tokens ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokens") / "s"
    binary = os.environ.get("TAILGATE_BINARY", ROOT / "build/release/tailgate")
    done = run(SCRIPTS / "stack", "up", "--dir", directory, "--binary", binary, "--no-nginx")
    assert done.returncode == 0, done.stderr
    yield directory
    assert run(SCRIPTS / "stack", "down", "--dir", directory).returncode == 0


def mint(stack, *more, provider="builder", subject="alice"):
    done = run(SCRIPTS / "mint-token", "--dir", stack, "--provider", provider, "--subject", subject, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def key_of(stack, provider):
    facts = json.loads((stack / "stack.json").read_text())["providers"]
    if provider == "blog":
        return facts["blog"]["secret"]
    return jwt.PyJWK(json.loads((stack / "keys/jwks.json").read_text())["keys"][0]).key


def decode(stack, token, provider="builder", **more):
    algorithm = "HS256" if provider == "blog" else "RS256"
    return jwt.decode(token, key_of(stack, provider), algorithms=[algorithm], **more)


def test_a_minted_token_is_valid(stack):
    claims = decode(stack, mint(stack, "--claim", "role=admin", "--claim", "n=7"), issuer="https://clerk.example.test")
    assert (claims["sub"], claims["role"], claims["n"]) == ("alice", "admin", 7)
    assert claims["exp"] - claims["iat"] == 3600
    blog = decode(stack, mint(stack, "--expires-in", "60", provider="blog", subject="42"), "blog")
    assert (blog["userId"], blog["exp"] - blog["iat"]) == ("42", 60)


@pytest.mark.parametrize(
    "broken, error",
    [
        ("expired", jwt.ExpiredSignatureError),
        ("early", jwt.ImmatureSignatureError),
        ("issuer", jwt.InvalidIssuerError),
        ("signature", jwt.InvalidSignatureError),
        ("other-key", jwt.InvalidSignatureError),
        ("alg-none", jwt.InvalidAlgorithmError),
        ("hs-confusion", jwt.InvalidAlgorithmError),
        ("malformed", jwt.DecodeError),
        ("truncated", jwt.InvalidTokenError),
    ],
)
def test_a_broken_token_has_the_requested_defect(stack, broken, error):
    with pytest.raises(error):
        decode(stack, mint(stack, "--broken", broken), issuer="https://clerk.example.test")


@pytest.mark.parametrize("broken, claim", [("azp", "azp"), ("subject", "sub")])
def test_a_broken_token_lacks_the_requested_claim(stack, broken, claim):
    assert claim in decode(stack, mint(stack))
    assert claim not in decode(stack, mint(stack, "--broken", broken))


def test_a_token_with_an_unknown_key_id_names_it_in_its_header(stack):
    assert jwt.get_unverified_header(mint(stack, "--broken", "kid"))["kid"] == "nobody-knows-it"
