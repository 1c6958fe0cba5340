"""The expected verdict on a token: the one of PyJWT, corrected by the rules in which the gateway differs on purpose."""

import base64
import binascii
import copy
import decimal
import json
import re
from datetime import datetime, timezone

import jwt

from issuers import NOW, ROUTES, Key, b64

MAX_TOKEN_BYTES = 48 * 1024

# The rules of the gateway that PyJWT 2.6 does not have.  The end of a run prints, for each rule, the number of tokens
# that PyJWT alone would have accepted (for "fractions" and "b64": refused).
STRICTER = {
    "bounded": "a token of more than 48 KB is refused unread; no head may be longer",
    "base64": "base64url without padding, with one encoding for each value; Python skips invalid characters",
    "json": "JSON (RFC 8259) in UTF-8: no NaN, no Infinity, no UTF-16, no BOM, no lone surrogate as subject",
    "duplicates": "no member appears twice, because two parsers could read different values (cf. RFC 8725 section 2.4)",
    "crit": "every critical extension is refused, b64 too (RFC 7515 section 4.1.11)",
    "kid": "a kid is text (RFC 7515 section 4.1.4); Debian's 2.6.0-1 does not check, 2.6.0-1+deb12u1 does",
    "dates": "a date is a JSON number, not a string or a boolean (RFC 7519 section 2)",
    "fractions": "fractions of a second count; PyJWT truncates exp and nbf",
    "empty": 'a required claim with the value "" counts as absent',
    "family": "a key verifies only its own family and curve (RFC 8725 section 3.1), within its alg, use and key_ops",
    "weak": "RSA keys of less than 2048 bits are ignored",
    "party": "azp must be one of the configured values; PyJWT does not check azp",
    "subject": "the subject is printable text of 1 to 256 bytes; PyJWT does not check it",
    "b64": "(laxer) a b64 header that is not critical is ignored like any unknown member (RFC 7515 section 4)",
}

JWS = jwt.PyJWS()


class Frozen(datetime):
    """PyJWT's clock."""

    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(NOW, tz=timezone.utc)


class DuplicateMember(ValueError):
    pass


def refuse_duplicates(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateMember
    return members


def refuse_constant(name):
    raise ValueError(name)


def strict_json(raw):
    """Parses a JSON object strictly by RFC 8259, with exact numbers."""
    value = json.loads(
        raw.decode("utf-8"),
        object_pairs_hook=refuse_duplicates,
        parse_constant=refuse_constant,
        parse_float=decimal.Decimal,
    )
    if raw.startswith(b"\xef\xbb\xbf") or not isinstance(value, dict):
        raise ValueError("no object")
    return value


def strict_part(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise binascii.Error
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(raw) != text:
        raise binascii.Error
    return raw


def broken_rule(token):
    """(rule, None, None) if the form of the token breaks a rule of STRICTER, otherwise (None, header, claims)."""
    if len(token.encode()) > MAX_TOKEN_BYTES:
        return "bounded", None, None
    parts = token.split(".")
    if len(parts) != 3:
        return "base64", None, None  # PyJWT skips a "." in the payload as an invalid character
    try:
        header, claims, signature = (strict_part(part) for part in parts)
    except (binascii.Error, ValueError):
        return "base64", None, None
    if not signature:
        return "base64", None, None
    try:
        header, claims = strict_json(header), strict_json(claims)
    except DuplicateMember:
        return "duplicates", None, None
    except (ValueError, RecursionError):
        return "json", None, None
    if "crit" in header:
        return "crit", None, None
    if not isinstance(header.get("kid", ""), str):
        return "kid", None, None
    return None, header, claims


def issuer_in(token):
    """The claim `iss` as Python reads it, or None if Python cannot read the token."""
    try:
        claims = JWS._load(token)[0]
        return json.loads(claims).get("iss")
    except Exception:
        return None


def chosen_providers(route, token, providers):
    """The providers of the route whose issuer the token names; if there is none, the providers without an issuer."""
    listed = [providers[name] for name in ROUTES[route]]
    issuer = issuer_in(token)
    named = [provider for provider in listed if provider.issuer and provider.issuer == issuer]
    return named or [provider for provider in listed if not provider.issuer]


def keys_for(provider, token, strictly):
    """The keys to try, as an application that uses PyJWT would choose them.  If the token has a kid: the keys with this
    kid, or else the keys without a kid.  Otherwise all keys.  `strictly`: only the keys that the gateway uses."""
    if provider.secrets:
        return [secret.encode() for secret in provider.secrets]
    keys = [key for key in provider.keys if not strictly or key.usable()]
    try:
        header = JWS._load(token)[2]
    except Exception:
        header = {}
    if "kid" not in header:
        return keys
    return [key for key in keys if key.kid == header["kid"]] or [key for key in keys if key.kid is None]


def pyjwt_claims(token, provider, key):
    """The claims if PyJWT accepts the token, otherwise None."""
    options = {"require": provider.required, "verify_aud": bool(provider.audience)}
    material = key if isinstance(key, bytes) else key.private.public_key()
    try:
        return jwt.decode(
            token, material, algorithms=provider.algorithms, options=options, audience=provider.audience or None,
            issuer=provider.issuer or None, leeway=provider.leeway,
        )  # fmt: skip
    except Exception:
        return None  # jwt.PyJWTError, or another exception because a value has an unexpected type


def is_number(value):
    return isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)


def claims_rule(claims, provider):
    """The rule of STRICTER that the claims break, or None."""
    for name in ("exp", "nbf", "iat"):
        if name in claims and not is_number(claims[name]):
            return "dates"
    leeway = provider.leeway
    if "exp" in claims and claims["exp"] + leeway <= NOW:
        return "fractions"
    if any(name in claims and claims[name] > NOW + leeway for name in ("nbf", "iat")):
        return "fractions"
    if any(claims.get(name) == "" for name in provider.required):
        return "empty"
    if provider.parties and not (isinstance(claims.get("azp"), str) and claims["azp"] in provider.parties):
        return "party"
    return None if subject_of(claims, provider) is not None else "subject"


def subject_of(claims, provider):
    value = claims.get(provider.subject)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        return None  # a lone surrogate
    if not 0 < size <= 256 or "\ufffd" in value or any(ord(c) < 32 or ord(c) == 127 for c in value):
        return None
    return value


def has_fraction(token):
    """True if `exp` has a fraction, which PyJWT truncates."""
    try:
        exp = strict_json(strict_part(token.split(".")[1]))["exp"]
    except Exception:
        return False
    return is_number(exp) and exp != int(exp)


def oracle(route, token, providers):
    """Returns the verdict, which is (user, provider) or None for a refusal, and the rule of STRICTER that changed
    PyJWT's verdict, or None."""
    form, header, claims = broken_rule(token)
    difference = None
    for provider in chosen_providers(route, token, providers):
        for key in keys_for(provider, token, strictly=False):
            accepted = pyjwt_claims(token, provider, key)
            rule = form
            if accepted is None:
                # PyJWT refuses some tokens that the gateway accepts: see "fractions" and "b64".
                if form or isinstance(key, Key) and not (key.usable() and key.fits(header.get("alg"))):
                    continue
                if header.get("b64", True) is False:
                    if valid_apart_from_b64(token, header, key, provider):
                        return (subject_of(claims, provider), provider.name), "b64"
                if has_fraction(token) and 0 < claims["exp"] + provider.leeway - NOW < 1:
                    accepted, difference = pyjwt_claims_later(token, provider, key), "fractions"
                if accepted is None:
                    continue
            if rule is None and isinstance(key, Key):
                algorithm = header["alg"]
                if key.family == "RSA-weak":
                    rule = "weak"
                elif not key.usable() or not key.fits(algorithm) or key not in keys_for(provider, token, strictly=True):
                    rule = "family"
            rule = rule or claims_rule(claims, provider)
            if rule is None:
                return (subject_of(claims, provider), provider.name), difference
            difference = rule
    return None, difference


def valid_apart_from_b64(token, header, key, provider):
    """True if the token is valid apart from its b64 header.  With that header PyJWT expects a detached payload, so the
    signature and the claims are checked one by one."""
    if header.get("alg") not in provider.algorithms:
        return False
    algorithm = jwt.algorithms.get_default_algorithms()[header["alg"]]
    message, signature = token.rsplit(".", 1)
    material = key if isinstance(key, bytes) else key.private.public_key()
    try:
        JWS._validate_headers(header)
        if not algorithm.verify(message.encode(), algorithm.prepare_key(material), strict_part(signature)):
            return False
    except Exception:
        return False
    claims = strict_json(strict_part(token.split(".")[1]))
    try:
        plain = {name: float(value) if isinstance(value, decimal.Decimal) else value for name, value in claims.items()}
        options = {
            **jwt.api_jwt._jwt_global_obj.options,
            "require": provider.required,
            "verify_aud": bool(provider.audience),
        }
        jwt.api_jwt._jwt_global_obj._validate_claims(
            plain,
            options,
            audience=provider.audience or None,
            issuer=provider.issuer or None,
            leeway=provider.leeway + 1,
        )
    except Exception:
        return False
    return claims_rule(claims, provider) is None


def pyjwt_claims_later(token, provider, key):
    """Like pyjwt_claims, with one more second of leeway."""
    later = copy.copy(provider)
    later.leeway += 1
    return pyjwt_claims(token, later, key)
