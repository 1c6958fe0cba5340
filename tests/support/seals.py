"""Sealed identities (gateway/auth/identity_seal.h), for tests that need an expired or a forged one."""

import base64
import hashlib
import hmac
import time
from pathlib import Path


def _base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _netstrings(*texts):
    return b"".join(b"%d:%s" % (len(raw), raw) for raw in (text.encode() for text in texts))


def seal(stack, route, job, *, user="", session="", provider="", life_s=300, key=None):
    """The headers that nginx would send to the gateway.  With a negative `life_s` the identity has expired.
    `key` replaces the stack's own key."""
    if key is None:
        key = bytes.fromhex(Path(stack.facts["identity_key_file"]).read_text().split()[0])
    expiry = int((time.time() + life_s) * 1000)
    payload = _netstrings(user, session, provider, "", str(expiry))
    text = _netstrings("tailgate-identity-v1", route, job) + b"%d:%s" % (len(payload), payload)
    mac = hmac.new(key, text, hashlib.sha256).digest()
    return {"X-Tailgate-Identity": f"v1.{_base64url(payload)}.{_base64url(mac)}", "X-Tailgate-Verdict": "ok"}
