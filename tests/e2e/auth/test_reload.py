"""SIGHUP: the gateway reads its configuration again, and the files and key sets that the configuration names."""

import json
import os
import secrets
import signal
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.application import Application
from support.clients import ask_auth, open_stream, sealed
from support.publishers import Builder
from support.seals import seal
from support.stack import DEPLOY, ROOT, default_binary
from support.waiting import wait_until
from tailgate_stack.commands import short_run_dir
from tailgate_stack.processes import run

BUILDER = "/api/jobs/j/stream"
BLOG = "/api/v1/jobs/j/stream"


class Signer:
    """A signing key of builder's issuer."""

    def __init__(self, kid):
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        self.jwk.update(kid=kid, use="sig", alg="RS256")

    def token(self):
        now = int(time.time())
        claims = {"iss": "https://clerk.example.test", "sub": "alice", "iat": now, "nbf": now, "exp": now + 600}
        return jwt.encode({**claims, "azp": "https://a.test"}, self.private, "RS256", {"kid": self.kid})


def key_set(*signers):
    return json.dumps({"keys": [signer.jwk for signer in signers]})


@pytest.fixture(scope="module")
def signers():
    return [Signer("one"), Signer("two")]


def reload(stack):
    """Sends SIGHUP, and returns after the gateway has logged that it has read the configuration and all files."""
    count = len(stack.logs("config.reloaded"))
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: len(stack.logs("config.reloaded")) > count, 5, "the gateway has reloaded")


def verdict(stack, token, path=BUILDER):
    return ask_auth(stack, path, {"Authorization": "Bearer " + token}).headers["x-tailgate-verdict"]


# ---- one test for each key that names something outside the configuration ---------------------------------


def reread_jwks_file(private_stack, tmp_path, signers):
    one, two = signers
    file = tmp_path / "keys.json"
    file.write_text(key_set(one, two))
    stack = private_stack({"provider.clerk.jwks": f'"file:{file}"', "provider.clerk.refresh_s": 3600}, nginx=False)
    token = one.token()
    assert verdict(stack, token) == "ok"
    before = stack.metrics()["tailgate_token_verifications_total"]
    assert verdict(stack, token) == "ok"
    assert stack.metrics()["tailgate_token_verifications_total"] == before, "the verdict is cached"
    file.write_text(key_set(two))
    reload(stack)
    assert verdict(stack, token) == "401-kid", "a withdrawn key is not believed, nor a verdict by it"
    assert verdict(stack, two.token()) == "ok"


def reread_secret_file(private_stack, tmp_path, _signers):
    file = tmp_path / "secret"

    def token(secret):
        return jwt.encode({"userId": "alice", "exp": int(time.time()) + 600}, secret, "HS256")

    old, new = secrets.token_hex(16), secrets.token_hex(16)
    file.write_text(old + "\n")
    stack = private_stack({"provider.blog.secret_file": str(file)}, nginx=False)
    assert verdict(stack, token(old), BLOG) == "ok"
    file.write_text(new + "\n")
    reload(stack)
    assert (verdict(stack, token(old), BLOG), verdict(stack, token(new), BLOG)) == ("401-signature", "ok")


def reread_identity_key(private_stack, _tmp_path, _signers):
    stack = private_stack(nginx=False)
    Builder(stack.redis, "j").create()
    file, key = Path(stack.facts["identity_key_file"]), secrets.token_bytes(32)

    def status(headers):
        with open_stream(stack, BUILDER, headers=headers, via="gateway") as answer:
            return answer.status

    fresh = seal(stack, "status", "j", user="alice", key=key)
    assert status(fresh) == 401
    file.write_text(key.hex() + "\n")
    reload(stack)
    assert (status(fresh), status(sealed(stack, BUILDER, stack.bearer()))) == (200, 200)


def reread_redis_url(private_stack, tmp_path, _signers):
    """A new password holds for the next connection.  Another address needs a restart, which the log says."""
    file, place = tmp_path / "redis-url", short_run_dir((tmp_path / "s0").resolve()) / "redis.sock"
    file.write_text(f"unix://tailgate:first-password@{place}\n")
    stack = private_stack(
        {"redis.url_file": str(file)}, env={"TAILGATE_REDIS_URL": ""}, nginx=False,
        redis_conf=["user tailgate on >first-password ~* &* +@all"],
    )  # fmt: skip
    links = [f'tailgate_redis_up{{link="{name}"}}' for name in ("subscriber", "records", "logs", "pages")]

    def up():
        return all(stack.metrics()[link] == 1 for link in links)

    wait_until(up, 5, "all links are up")
    stack.redis.execute_command("ACL", "SETUSER", "tailgate", "resetpass", ">second-password")
    file.write_text(f"unix://tailgate:second-password@{place}\n")
    reload(stack)
    assert not stack.logs("config.needs_restart")
    lost = stack.metrics()['tailgate_redis_lost_total{link="records"}']
    stack.redis.execute_command("CLIENT", "KILL", "USER", "tailgate")
    wait_until(lambda: stack.metrics()['tailgate_redis_lost_total{link="records"}'] > lost, 5, "the links are lost")
    wait_until(up, 10, "all links are up with the new password")
    file.write_text("redis://127.0.0.1:6379\n")
    reload(stack)
    assert stack.logs("config.needs_restart")[-1]["keys"] == "redis.url"


REREAD = {
    "provider.*.jwks": reread_jwks_file,
    "provider.*.secret_file": reread_secret_file,
    "identity.key_file": reread_identity_key,
    "redis.url_file": reread_redis_url,
}
# The environment of a process does not change, so a reload cannot give these keys a new value.
FIXED = {"redis.url_env", "provider.*.secret_env", "provider.*.clerk_publishable_key_env"}


def test_every_key_that_names_a_file_or_a_variable_is_listed_here():
    """tests/unit/config/options_test.cpp checks that every key which names a file or a variable has one of these
    endings."""
    keys = run([default_binary(), "--print", "keys"]).split()
    outside = {key for key in keys if key.endswith(("_file", "_env", ".jwks"))}
    assert outside == set(REREAD) | FIXED


@pytest.mark.parametrize("key", REREAD)
def test_a_reload_reads_again(private_stack, tmp_path, signers, key):
    REREAD[key](private_stack, tmp_path, signers)


# ---- key sets -----------------------------------------------------------------------------------------------


@pytest.fixture
def issuer(tmp_path_factory):
    server = Application(tmp_path_factory.mktemp("issuer") / "i.sock")
    yield server
    server.close()


def test_a_reload_asks_the_issuer_again_and_keeps_the_old_keys_until_its_answer(private_stack, issuer, signers):
    one, two = signers
    issuer.answers["/jwks"] = (200, key_set(one))
    stack = private_stack(
        {"provider.clerk.jwks": f'"{issuer.url}:/jwks"', "provider.clerk.refresh_s": 3600}, nginx=False
    )
    token = one.token()
    wait_until(lambda: verdict(stack, token) == "ok", 5, "the keys are known")
    issuer.answers["/jwks"] = None  # no answer
    reload(stack)
    assert verdict(stack, token) == "ok"
    issuer.answers["/jwks"] = (200, key_set(two))
    reload(stack)
    wait_until(lambda: verdict(stack, token) == "401-kid", 2, "the withdrawn key is not believed any more")
    assert verdict(stack, two.token()) == "ok"


def test_each_reload_logs_a_key_set_that_cannot_be_read_and_keeps_its_keys(private_stack, tmp_path, signers):
    file = tmp_path / "keys.json"
    file.write_text(key_set(signers[0]))
    stack = private_stack({"provider.clerk.jwks": f'"file:{file}"'}, nginx=False)
    for text in ("", "", "<html>"):
        before = len(stack.logs("keys.failed"))
        file.write_text(text)
        reload(stack)
        assert len(stack.logs("keys.failed")) > before
        assert verdict(stack, signers[0].token()) == "ok"
    assert stack.logs("keys.failed")[-1]["has_old_keys"] is True


def blog_config(jwks):
    """The shipped configuration, but blog has this key set.  The stack itself sets the one of clerk."""
    text = (DEPLOY / "all-three.toml").read_text()
    old = 'secret_env = "JWT_SECRET"\nalgorithms = ["HS256"]\nrequired   = ["exp"]\nsubject    = "userId"'
    assert old in text
    return text.replace(old, f'jwks = {jwks}\nalgorithms = ["RS256"]')


@pytest.mark.parametrize("left", [None, {"use": "enc"}, {"alg": "PS512"}])
def test_a_reload_of_a_file_without_usable_keys_withdraws_the_last_key(private_stack, tmp_path, signers, left):
    one, two = signers
    file = tmp_path / "keys.json"
    file.write_text(key_set(one))
    stack = private_stack({"provider.clerk.jwks": f'"file:{file}"', "provider.clerk.refresh_s": 3600}, nginx=False)
    assert verdict(stack, one.token()) == "ok"
    file.write_text(json.dumps({"keys": [{**two.jwk, **left}] if left else []}))
    reload(stack)
    assert verdict(stack, one.token()) == "401-kid"
    [line] = stack.logs("keys.empty")
    assert (line["level"], line["provider"]) == ("warning", "clerk")
    assert bool(line["left_out"]) == bool(left)


def test_a_reload_that_adds_a_key_set_keeps_the_keys_of_an_issuer_that_is_down(
    private_stack, tmp_path, issuer, signers
):
    one, two = signers
    issuer.answers["/jwks"] = (200, key_set(one))
    config, file = tmp_path / "site.toml", tmp_path / "keys.json"
    config.write_text(blog_config(f'["{issuer.url}:/jwks"]'))
    stack = private_stack(config=config, nginx=False)
    wait_until(lambda: verdict(stack, one.token(), BLOG) == "ok", 5, "the keys are known")
    issuer.answers["/jwks"] = None  # no answer
    file.write_text(key_set(two))
    config.write_text(blog_config(f'["{issuer.url}:/jwks", "file:{file}"]'))
    reload(stack)
    assert (verdict(stack, one.token(), BLOG), verdict(stack, two.token(), BLOG)) == ("ok", "ok")


def test_a_reload_that_names_a_missing_key_set_is_refused_and_the_old_keys_stay(private_stack, tmp_path, signers):
    config, file = tmp_path / "site.toml", tmp_path / "keys.json"
    file.write_text(key_set(signers[0]))
    config.write_text(blog_config(f'"file:{file}"'))
    stack = private_stack(config=config, nginx=False)
    assert verdict(stack, signers[0].token(), BLOG) == "ok"
    config.write_text(blog_config(f'"file:{tmp_path}/typo.json"'))
    os.kill(stack.gateway_pid, signal.SIGHUP)
    [line] = wait_until(lambda: stack.logs("config.refused"), 5, "the reload is refused")
    assert "provider.blog.jwks" in line["why"] and "typo.json: No such file" in line["why"]
    assert verdict(stack, signers[0].token(), BLOG) == "ok"


def test_a_refused_reload_still_withdraws_keys(private_stack, tmp_path, signers):
    one, two = signers
    config, file = tmp_path / "site.toml", tmp_path / "keys.json"
    file.write_text(key_set(one, two))
    config.write_text(blog_config(f'"file:{file}"'))
    stack = private_stack(config=config, nginx=False)
    Builder(stack.redis, "j").create()
    assert verdict(stack, one.token(), BLOG) == "ok"
    file.write_text(key_set(two))
    key = secrets.token_bytes(32)
    Path(stack.facts["identity_key_file"]).write_text(key.hex() + "\n")
    config.write_text("mistake = 1\n" + config.read_text())
    os.kill(stack.gateway_pid, signal.SIGHUP)
    wait_until(lambda: stack.logs("config.refused"), 5, "the reload is refused")
    assert (verdict(stack, one.token(), BLOG), verdict(stack, two.token(), BLOG)) == ("401-kid", "ok")
    with open_stream(
        stack, BUILDER, headers=seal(stack, "status", "j", user="alice", key=key), via="gateway"
    ) as answer:
        assert answer.status == 200, "the new identity key is known"


# ---- identity keys -------------------------------------------------------------------------------------------


def fifo(file):
    file.unlink()
    os.mkfifo(file, 0o600)


def long_file(file):
    file.write_text(secrets.token_hex(32) + "\n" + "# comment\n" * 500 + secrets.token_hex(32) + "\n")


def symbolic_link(file):
    other = file.rename(file.with_name("other.key"))
    file.symlink_to(other)


@pytest.mark.parametrize(
    "change, why",
    [
        (fifo, "is not a regular file"),
        (long_file, "is larger than 4096 bytes"),
        (symbolic_link, "must not be a symbolic link"),
    ],
)
def test_an_identity_key_file_that_cannot_be_read_as_a_whole_is_refused_and_serving_goes_on(private_stack, change, why):
    stack = private_stack(nginx=False)
    change(Path(stack.facts["identity_key_file"]))
    reload(stack)
    assert stack.logs("identity.refused")[-1]["why"].endswith(why)
    assert stack.ops("/readyz")[0] == 200


def test_a_jwk_with_null_members_and_padding_is_used(private_stack, tmp_path, signers):
    one = signers[0]
    jwk = {**one.jwk, "use": None, "alg": None, "key_ops": None, "n": one.jwk["n"] + "=="}
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [jwk]}))
    stack = private_stack({"provider.clerk.jwks": f'"file:{file}"'}, nginx=False)
    assert verdict(stack, one.token()) == "ok"


# ---- refused tokens -------------------------------------------------------------------------------------------


def test_the_log_and_a_metric_name_the_claim_of_a_refused_token_and_the_answer_does_not(private_stack):
    stack = private_stack()
    headers = {"Authorization": "Bearer " + stack.token("builder", without=["azp"])}
    for _ in range(3):
        with open_stream(stack, BUILDER, headers=headers) as answer:
            assert answer.status == 401
            assert (
                "azp" not in answer.headers["www-authenticate"] + answer.wait(lambda: answer.raw, 5, "a body").decode()
            )
    assert ask_auth(stack, BUILDER, headers).headers["x-tailgate-verdict"] == "401-claims"
    name = 'tailgate_tokens_refused_total{provider="clerk",reason="claims",claim="azp"}'
    assert stack.metrics()[name] == 4
    assert stack.metrics()['tailgate_auth_verdicts_total{verdict="401-claims"}'] == 4
    [line] = stack.logs("token.refused")
    assert (line["provider"], line["reason"], line["claim"]) == ("clerk", "claims", "azp")


def test_the_page_for_operators_names_every_key_that_a_reload_reads_again():
    text = (ROOT / "deploy/README.md").read_text()
    section = text[text.index("## Reloading") : text.index("## Stopping")]
    for key in REREAD:
        assert key.rpartition(".")[2] in section, key
