"""One client that follows one job, and what can be observed of it."""

import json
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from support.publishers import Builder


POLL = 0.2  # seconds between two looks


class Tokens:
    """Signs tokens in this process, because the scenarios need hundreds."""

    def __init__(self, stack):
        provider = json.loads((stack.dir / "stack.json").read_text())["providers"]["clerk"]
        self._key = load_pem_private_key(Path(provider["key"]).read_bytes(), None)
        self._kid = provider["kid"]
        self._claims = {"iss": provider["issuer"], "azp": provider["azp"]}

    def sign(self, subject, seconds=3600):
        """A token of the provider "clerk" that expires after `seconds`, which may be negative."""
        now = int(time.time())
        start = now - 7200
        claims = {**self._claims, "sub": subject, "iat": start, "nbf": start, "exp": now + seconds}
        return jwt.encode(claims, self._key, "RS256", headers={"kid": self._kid})

    def sign_shared(self, subject, secret):
        """A token of the provider "blog", whose secret a scenario can replace."""
        return jwt.encode({"userId": subject, "exp": int(time.time()) + 3600}, secret, "HS256")


class Session:
    """A client in one mode for one cell.  The job and its owner belong to this session alone."""

    def __init__(
        self, site, client, driver, mode, cell, *, channel=False, stranger=False, silent=False, stopped=False, query=""
    ):
        self.site, self.client, self.mode, self.cell = site, client, mode, cell
        self.driver = driver
        self.job = uuid.uuid4().hex[:16]
        self.key = f"{mode}-{cell}-{self.job}"
        self.user = f"user-{self.job}"
        self.worker = Builder(site.stack.redis, self.job, self.user).create("running")
        self.channel, self.stranger, self.query = channel, stranger, query
        # For the scenario `drain`.  `silent`: the log is empty before the drain.  `stopped`: the client is stopped before
        # it reconnects.
        self.silent, self.stopped = silent, stopped
        self.path = f"/api/jobs/{self.job}/{'stream' if channel else 'logs/stream'}"
        self.token = site.tokens.sign(f"stranger-{self.job}" if stranger else self.user)

    def start(self):
        name = self.client.partition("@")[0]
        self.driver.start(self.key, name, self.mode, self.site.stack.base_url + self.path + self.query, self.token)

    def change_token(self, token):
        self.token = token
        self.driver.set_token(self.key, token)

    # ---- the worker ----

    def log(self, number, entry_id="*"):
        return self.worker.redis.xadd(self.worker.log_key, {"text": f"line {number}", "phase": "p"}, id=entry_id)

    # ---- observations ----

    @property
    def shown(self):
        return self.driver.shown[self.key]

    @property
    def requests(self):
        return self.site.recorder.requests(self.path)

    def statuses(self):
        return [request.status for request in self.requests]

    def events(self, name):
        return [line for line in self.shown if line["name"] == name]

    @property
    def numbers(self):
        """The numbers of the log lines that the client has shown."""
        return [int(json.loads(line["data"])["text"].split()[1]) for line in self.events("log")]

    def empties(self):
        return [line for line in self.shown if line["name"] != "#failed" and not line["data"]]

    def __str__(self):
        shown = [(line["name"], line["data"][:200]) for line in self.shown[-6:]]
        asked = [
            (request.status, request.target[-60:], request.headers.get("last-event-id")) for request in self.requests
        ]
        return f"{self.mode} {self.client}, {self.cell}: requests {asked[-6:]}, shown {shown}"


class Site:
    """A stack with a recorder between its nginx and its gateway.  The file `secret` holds the secret of a provider."""

    def __init__(self, stack, recorder, secret):
        self.stack, self.recorder, self.secret = stack, recorder, secret
        self.tokens = Tokens(stack)


def collect(sessions):
    """Fetches what the clients have shown."""
    for driver in {session.driver for session in sessions}:
        driver.collect()


def wait(sessions, done, seconds, hopeless=lambda session: False, at_least=0.0):
    """Waits until done(session) is true for all sessions but the hopeless ones, at least `at_least` seconds, and at most
    `seconds`.  A hopeless session is one that the table expects to fail: nobody waits for it."""
    begin = time.monotonic()
    while True:
        collect(sessions)
        passed = time.monotonic() - begin
        missing = [session for session in sessions if not hopeless(session) and not done(session)]
        if passed >= seconds or (not missing and passed >= at_least):
            return
        time.sleep(POLL)
