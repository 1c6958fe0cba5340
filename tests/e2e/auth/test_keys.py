"""Issuers that rotate keys, answer wrongly or are unreachable; cached verdicts; the key that seals identities."""

import contextlib
import json
import os
import secrets
import signal
import threading
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.application import Application
from support.clients import ask_auth, dial, fetch, open_stream, sealed
from support.publishers import Builder
from support.seals import seal
from support.stack import DEPLOY
from support.waiting import wait_until

ISSUER = "https://clerk.example.test"
JWKS = "/jwks.json"


class Key:
    """A signing key of the issuer."""

    def __init__(self, kid):
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        self.jwk.update(kid=kid, use="sig", alg="RS256")

    def token(self, subject="alice", **more):
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "azp": "https://a.test",
            "jti": secrets.token_hex(8),
        }
        return jwt.encode({**claims, **more}, self.private, "RS256", {"kid": self.kid})

    def bearer(self, **more):
        return {"Authorization": "Bearer " + self.token(**more)}


class Issuer(Application):
    """Serves the current `keys`.  `publish` replaces them."""

    def __init__(self, path):
        super().__init__(path)
        self.keys = []
        self.answers[JWKS] = lambda headers: (200, {"keys": [key.jwk for key in self.keys]})

    def publish(self, *keys):
        self.keys = list(keys)

    @property
    def times_asked(self):
        return len(self.asked_for(JWKS))


@pytest.fixture(scope="module")
def signers():
    return [Key(f"key-{number}") for number in range(4)]


@pytest.fixture
def issuer(tmp_path_factory):
    server = Issuer(tmp_path_factory.mktemp("issuer") / "i.sock")
    yield server
    server.close()


def start(private_stack, issuer, wait="ready", **settings):
    """Starts a stack without nginx, because the issuer speaks plain HTTP and needs no leg."""
    place = json.dumps(f"{issuer.url}:{JWKS}")
    return private_stack(
        {"provider.clerk.jwks": place, "provider.clerk.refresh_s": 3600, **settings}, nginx=False, wait=wait
    )


def verdict(stack, headers, path="/api/jobs/j/stream"):
    answer = ask_auth(stack, path, headers)
    return answer.headers["x-tailgate-verdict"]


class Visitors:
    """Threads that ask for verdicts, each time with a new token of the current key."""

    def __init__(self, stack, key, count=3):
        self.stack, self.key = stack, key
        self.verdicts = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._come) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _come(self):
        while not self._over.is_set():
            said = verdict(self.stack, self.key.bearer())
            self.verdicts[said] = self.verdicts.get(said, 0) + 1

    def seen(self):
        return sum(self.verdicts.values())

    def wait_more(self, count):
        wanted = self.seen() + count
        wait_until(lambda: self.seen() >= wanted, 20, f"{count} more visits")

    def leave(self):
        self._over.set()
        for thread in self._threads:
            thread.join(30)


@contextlib.contextmanager
def visitors(stack, key):
    crowd = Visitors(stack, key)
    try:
        yield crowd
    finally:
        crowd.leave()


# ---- rotation -----------------------------------------------------------------------------------------


def test_no_valid_token_is_refused_while_keys_are_rotated(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer, **{"provider.clerk.refresh_s": 1})
    with visitors(stack, signers[0]) as crowd:
        crowd.wait_more(20)
        # Like a real issuer: publish the new key, use it after the next refresh, and withdraw the old one later.
        for old, new in zip(signers, signers[1:]):
            issuer.publish(old, new)
            wait_until(
                lambda new=new: stack.logs("keys.refreshed")[-1]["keys"] == 2 and verdict(stack, new.bearer()) == "ok",
                10,
                "the new key is known",
            )
            crowd.key = new
            crowd.wait_more(20)
            issuer.publish(new)
            wait_until(lambda: stack.logs("keys.refreshed")[-1]["keys"] == 1, 10, "the old key is forgotten")
            crowd.wait_more(20)
    assert set(crowd.verdicts) == {"ok"} and crowd.seen() > 100
    assert verdict(stack, signers[0].bearer()) == "401-kid", "a withdrawn key is not accepted"


def test_no_valid_token_is_refused_if_a_new_key_is_used_at_once(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer)
    with visitors(stack, signers[0]) as crowd:
        crowd.wait_more(20)
        asked = issuer.times_asked
        issuer.publish(signers[0], signers[1])  # both, because a request with the old key may be under way
        crowd.key = signers[1]  # the request with the first of these tokens waits while the gateway fetches the keys
        crowd.wait_more(100)
    assert set(crowd.verdicts) == {"ok"}
    assert issuer.times_asked == asked + 1


def test_unknown_key_ids_cause_at_most_one_fetch_in_thirty_seconds(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer)
    wait_until(lambda: issuer.times_asked == 1, 5, "the keys were fetched")
    stranger = Key("nobody-knows-it")
    begin = time.monotonic()
    for number in range(300):
        stranger.kid = f"nobody-knows-{number}"
        assert verdict(stack, stranger.bearer()) == "401-kid"
    assert time.monotonic() - begin < 30 and issuer.times_asked == 2
    assert verdict(stack, signers[0].bearer()) == "ok"


def test_an_open_stream_outlives_the_withdrawal_of_its_key(private_stack, issuer, signers, job):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer, **{"provider.clerk.refresh_s": 1})
    worker = Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/events/stream"
    stream = open_stream(stack, path, headers=sealed(stack, path, signers[0].bearer()), via="gateway")
    issuer.publish(signers[1])
    wait_until(lambda: verdict(stack, signers[1].bearer()) == "ok", 10, "the new key is known")
    payload = worker.publish("snapshot.updated")
    assert stream.next_event().data == payload and stream.ended is None


# ---- an issuer that answers wrongly or not at all -------------------------------------------------------


def answers_of(good, evil):
    """Answers that must not count as a key set.  The quick tests use the first four."""
    of_evil = {"keys": [evil.jwk]}
    return [
        (302, of_evil),
        (500, of_evil),
        (200, json.dumps(of_evil) + " " * 2_000_000),
        None,  # no answer at all
        (307, ""),
        (404, "no"),
        (204, ""),
        (200, "x" * 3_000_000),
        (200, ""),
        (200, "<html>"),
        (200, "\xff\xfe\x00"),
        (200, '{"keys":'),
        (200, [evil.jwk]),
        (200, {"keys": {"0": evil.jwk}}),
        (200, {"keys": "none"}),
    ]


@pytest.mark.parametrize("first, last", [(0, 4), pytest.param(4, None, marks=pytest.mark.slow)])
def test_a_bad_answer_of_the_issuer_leaves_the_known_keys_in_use(private_stack, issuer, signers, first, last):
    good, evil = signers[0], Key(signers[0].kid)
    issuer.publish(good)
    issuer.answers["/elsewhere"] = (200, {"keys": [evil.jwk]})
    stack = start(private_stack, issuer, **{"provider.clerk.refresh_s": 1})
    usual = issuer.answers[JWKS]
    for answer in answers_of(good, evil)[first:last]:
        asked = issuer.times_asked
        issuer.answers[JWKS] = answer
        # When the issuer is asked a second time, the gateway has handled the first answer.
        wait_until(lambda asked=asked: issuer.times_asked >= asked + 2, 20, f"handled: {str(answer)[:60]}")
        assert (str(answer)[:60], verdict(stack, good.bearer())) == (str(answer)[:60], "ok")
        assert (str(answer)[:60], verdict(stack, evil.bearer())) == (str(answer)[:60], "401-signature")
    assert json.loads(stack.ops("/readyz")[1])["keys"] == "had"
    assert not issuer.asked_for("/elsewhere"), "redirects are not followed"
    issuer.release.set()
    issuer.answers[JWKS] = usual
    issuer.publish(signers[1])
    wait_until(lambda: verdict(stack, signers[1].bearer()) == "ok", 15, "the gateway reads the new keys")
    assert verdict(stack, good.bearer()) == "401-kid"


def unusable(good, evil):
    private = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(evil.private)), "kid": good.kid}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": good.kid}
    return {"none": [], "a secret": [secret], "for encryption": [{**evil.jwk, "use": "enc"}], "private": [private]}


@pytest.mark.parametrize("kind", ["none", "a secret", "for encryption", "private"])
def test_a_key_set_without_a_usable_key_withdraws_the_issuers_keys(private_stack, issuer, signers, kind):
    good, evil = signers[0], Key(signers[0].kid)
    issuer.publish(good)
    stack = start(private_stack, issuer, **{"provider.clerk.refresh_s": 1})
    wait_until(lambda: verdict(stack, good.bearer()) == "ok", 5, "the key is known")
    issuer.answers[JWKS] = (200, {"keys": unusable(good, evil)[kind]})
    wait_until(lambda: verdict(stack, good.bearer()) == "401-kid", 10, "the key is withdrawn")
    assert verdict(stack, evil.bearer()) == "401-kid"


def test_tokens_of_known_keys_are_accepted_while_the_issuer_is_unreachable(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer, **{"provider.clerk.refresh_s": 1})
    wait_until(lambda: verdict(stack, signers[0].bearer()) == "ok", 5, "the keys are known")
    path = issuer.server_address
    os.rename(path, path + ".away")
    wait_until(lambda: stack.logs("keys.failed"), 10, "the failure is logged")
    assert verdict(stack, signers[0].bearer()) == "ok"
    begin = time.monotonic()
    assert verdict(stack, signers[1].bearer()) == "401-kid", "the key cannot be fetched"
    assert verdict(stack, signers[2].bearer()) == "401-kid"
    assert time.monotonic() - begin < 5
    assert len(stack.logs("keys.failed")) <= 2, "an outage is logged once, not every second"
    issuer.publish(signers[0], signers[1])
    os.rename(path + ".away", path)
    wait_until(lambda: verdict(stack, signers[1].bearer()) == "ok", 15, "the new key is known")


def test_a_gateway_started_without_its_issuer_is_ready_once_the_issuer_answers(private_stack, issuer, signers):
    path = issuer.server_address
    os.rename(path, path + ".away")
    stack = start(private_stack, issuer, wait="alive")
    assert stack.ops("/readyz")[0] == 503
    issuer.publish(signers[0])
    assert verdict(stack, signers[0].bearer()) == "503-keys", "without keys the gateway cannot judge a token"
    os.rename(path + ".away", path)
    wait_until(lambda: stack.ops("/readyz")[0] == 200, 20, "the gateway is ready")
    assert verdict(stack, signers[0].bearer()) == "ok"


# ---- cached verdicts --------------------------------------------------------------------------------------


def ask_many(stack, path, tokens):
    """Asks for the verdict on each token, on one connection.  Returns the number of tokens for each verdict."""
    counted = {}
    with contextlib.closing(dial(stack, "auth")) as link:
        answers = link.makefile("rb")
        for token in tokens:
            link.sendall(
                f"GET /auth HTTP/1.1\r\nHost: x\r\nX-Tailgate-Method: GET\r\nX-Tailgate-Uri: {path}\r\n"
                f"Authorization: Bearer {token}\r\n\r\n".encode()
            )
            said, length = None, 0
            while line := answers.readline().strip().lower():
                if line.startswith(b"x-tailgate-verdict:"):
                    said = line.partition(b":")[2].strip().decode()
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            answers.read(length)
            counted[said] = counted.get(said, 0) + 1
    return counted


def test_ten_thousand_reconnects_verify_each_token_only_once(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer)
    secret = json.loads((stack.dir / "stack.json").read_text())["providers"]["blog"]["secret"]
    now = int(time.time())
    of_blog = [jwt.encode({"userId": f"u{n}", "exp": now + 900}, secret, "HS256") for n in range(1000)]
    of_builder = [signers[0].token(f"u{n}") for n in range(1000)]
    forged = [token[:-8] + "AAAAAAAA" for token in of_builder[:200]]
    wait_until(lambda: verdict(stack, signers[0].bearer()) == "ok", 5, "the keys are known")
    before = stack.metrics()["tailgate_token_verifications_total"]
    for _ in range(5):
        assert ask_many(stack, "/api/v1/jobs/j/stream", of_blog) == {"ok": 1000}
        assert ask_many(stack, "/api/jobs/j/stream", of_builder) == {"ok": 1000}
    assert stack.metrics()["tailgate_token_verifications_total"] - before == 2000
    assert sum(ask_many(stack, "/api/jobs/j/stream", forged * 2).values()) == 400
    assert stack.metrics()["tailgate_token_verifications_total"] - before == 2200, "forged tokens are cached too"
    assert ask_many(stack, "/api/jobs/j/stream", of_builder) == {"ok": 1000}
    assert stack.metrics()["tailgate_token_verifications_total"] - before == 2200, "valid tokens stay cached"


def test_a_cached_verdict_expires_with_its_token(private_stack, issuer, signers):
    issuer.publish(signers[0])
    stack = start(private_stack, issuer, **{"provider.clerk.leeway_s": 0})
    token = {"Authorization": "Bearer " + signers[0].token(exp=int(time.time()) + 2)}
    wait_until(lambda: verdict(stack, token) == "ok", 2, "the token is valid")
    wait_until(lambda: verdict(stack, token) == "401-expired", 5, "the token has expired")


# ---- the key that seals identities ------------------------------------------------------------------------


def test_a_reload_takes_a_new_identity_key_and_still_accepts_seals_of_the_old_one(private_stack, job):
    stack = private_stack()
    Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/stream"
    file = Path(stack.facts["identity_key_file"])
    assert file.stat().st_mode & 0o777 == 0o600

    def status(identity):
        with open_stream(stack, path, headers=identity, via="gateway") as answer:
            return answer.status

    def reload():
        count = len(stack.logs("config.reloaded"))
        os.kill(stack.gateway_pid, signal.SIGHUP)
        wait_until(lambda: len(stack.logs("config.reloaded")) > count, 5, "the gateway has reloaded")

    old = sealed(stack, path, stack.bearer())
    stream = open_stream(stack, path, headers=stack.bearer())
    new_key = secrets.token_bytes(32)
    file.write_text(f"# rotated\n{new_key.hex()}\n")
    reload()
    new = sealed(stack, path, stack.bearer())
    assert old != new and status(seal(stack, "status", job, user="alice", key=new_key)) == 200
    assert (status(old), status(new)) == (200, 200), "seals of the old key are valid until they expire"
    assert status(seal(stack, "status", job, user="alice", key=secrets.token_bytes(32))) == 401
    assert open_stream(stack, path, headers=stack.bearer()).status == 200
    assert stream.pump().ended is None

    for spoil in (lambda: file.write_text("no key\n"), lambda: file.chmod(0o644), file.unlink):
        spoil()
        refused = len(stack.logs("identity.refused"))
        reload()
        assert len(stack.logs("identity.refused")) == refused + 1
        assert "no key" not in stack.logs("identity.refused")[-1]["why"].replace("holds no key", "")
        assert (status(old), status(new)) == (200, 200), "the known keys stay in use"
    assert not file.exists(), "a reload creates no key file"


def test_two_gateways_of_one_host_accept_each_others_sealed_identities(private_stack, job):
    stack = private_stack(instances=2)
    Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/stream"
    identity = sealed(stack, path, stack.bearer())
    for socket_path in stack.facts["gateway_sockets"]:
        stack.facts["gateway_sockets"] = [socket_path]
        assert open_stream(stack, path, headers=identity, via="gateway").status == 200
    stack.restart("gateway", kill=True)
    assert open_stream(stack, path, headers=identity, via="gateway").status == 200, "the new processes use the same key"


# ---- keys that a reload does not apply ----------------------------------------------------------------------


def test_a_reload_logs_the_changed_keys_that_need_a_restart(private_stack, tmp_path):
    config = tmp_path / "site.toml"
    text = (DEPLOY / "all-three.toml").read_text()
    config.write_text(text)
    stack = private_stack(config=config)

    def reload(changed):
        config.write_text(changed)
        count = len(stack.logs("config.reloaded"))
        os.kill(stack.gateway_pid, signal.SIGHUP)
        wait_until(lambda: len(stack.logs("config.reloaded")) > count, 5, "the gateway has reloaded")

    reload(text.replace("only_objects = true", "only_objects = true\nretry_ms = 7000"))
    assert not stack.logs("config.needs_restart")
    reload(
        text.replace('url_env = "REDIS_URL"', 'url_env = "REDIS_URL"\nwakeups = "sweep"\nprobe_every_s = 1').replace(
            "[listen]", '[listen]\nsocket_mode = "0600"'
        )
    )
    line = wait_until(lambda: stack.logs("config.needs_restart"), 5, "the keys are logged")[-1]
    assert (line["level"], line["keys"]) == ("warning", "listen.socket_mode, redis.wakeups")
    reload(text)
    assert len(stack.logs("config.needs_restart")) == 1
    assert fetch(stack, "/healthz").status == 200
