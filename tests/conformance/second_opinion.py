"""What PyJWT thinks of a token, and where the gateway is stricter on purpose."""

import base64
import binascii
import copy
import decimal
import json
import re
from datetime import datetime, timezone

import jwt

from issuers import NOW, ROUTES, Key, b64

MAX_TOKEN_BYTES = 8192

# Each rule of the gateway that PyJWT 2.6 does not have.  The numbers at the end of a run say how many tokens
# PyJWT alone would have let in (or kept out).
STRICTER = {
    "bounded": "a token of more than 8192 bytes is refused unread: nginx passes no longer header",
    "base64": "strict base64url without padding, one spelling a value; Python skips strange characters",
    "json": "JSON (RFC 8259) in UTF-8: no NaN, no Infinity, no UTF-16, no byte order mark, no lone surrogate as subject",
    "duplicates": "a member named twice: two readers could believe two things (RFC 8725 section 2.4 in spirit)",
    "crit": "a critical extension is never understood, b64 neither (RFC 7515 section 4.1.11)",
    "kid": "a kid is text (RFC 7515 section 4.1.4); Debian's 2.6.0-1 does not ask, 2.6.0-1+deb12u1 does",
    "dates": "a date is a JSON number; a string or a boolean is none (RFC 7519 section 2)",
    "fractions": "fractions of a date count; PyJWT cuts them off from exp and nbf",
    "empty": 'a required claim that is "" is absent',
    "family": "a key verifies only with its own family and curve (RFC 8725 section 3.1); its alg, use and key_ops hold",
    "weak": "RSA keys below 2048 bits are not taken",
    "party": "azp is one of the configured ones; PyJWT knows no azp",
    "subject": "whoever is believed has a printable name of 1 to 256 bytes; PyJWT asks for none",
    "b64": "(laxer) a header's b64 that is not critical is ignored as any unknown member (RFC 7515 section 4)",
}

JWS = jwt.PyJWS()


class Frozen(datetime):
    """PyJWT's clock."""

    @classmethod
    def now(cls, tz=None):
        return datetime.fromtimestamp(NOW, tz=timezone.utc)


class Twice(ValueError):
    pass


def no_twins(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Twice
    return members


def refuse_constant(name):
    raise ValueError(name)


def strict_json(raw):
    """An object as RFC 8259 has it, numbers exact."""
    value = json.loads(
        raw.decode("utf-8"), object_pairs_hook=no_twins, parse_constant=refuse_constant, parse_float=decimal.Decimal
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
    """Which rule about a token's form it breaks, of those that PyJWT does not have; and what it says."""
    if len(token.encode()) > MAX_TOKEN_BYTES:
        return "bounded", None, None
    parts = token.split(".")
    if len(parts) != 3:
        return "base64", None, None  # PyJWT lets a "." inside of the payload pass for a strange character
    try:
        header, claims, signature = (strict_part(part) for part in parts)
    except (binascii.Error, ValueError):
        return "base64", None, None
    if not signature:
        return "base64", None, None
    try:
        header, claims = strict_json(header), strict_json(claims)
    except Twice:
        return "duplicates", None, None
    except (ValueError, RecursionError):
        return "json", None, None
    if "crit" in header:
        return "crit", None, None
    if not isinstance(header.get("kid", ""), str):
        return "kid", None, None
    return None, header, claims


def issuer_in(token):
    """`iss` as Python reads it, however strange the token."""
    try:
        claims = JWS._load(token)[0]
        return json.loads(claims).get("iss")
    except Exception:
        return None


def chosen_providers(route, token, providers):
    """By the issuer that a token names; those without one take the rest."""
    listed = [providers[name] for name in ROUTES[route]]
    issuer = issuer_in(token)
    named = [provider for provider in listed if provider.issuer and provider.issuer == issuer]
    return named or [provider for provider in listed if not provider.issuer]


def keys_for(provider, token, strictly):
    """As PyJWT's users write it: the keys of that kid, else those without one, else (no kid) all.  Strictly: only
    those that the gateway takes."""
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
    """What PyJWT believes, or None."""
    options = {"require": provider.required, "verify_aud": bool(provider.audience)}
    material = key if isinstance(key, bytes) else key.private.public_key()
    try:
        return jwt.decode(
            token, material, algorithms=provider.algorithms, options=options, audience=provider.audience or None,
            issuer=provider.issuer or None, leeway=provider.leeway,
        )  # fmt: skip
    except Exception:
        return None  # jwt.PyJWTError, or whatever a strange type made Python raise


def is_number(value):
    return isinstance(value, (int, float, decimal.Decimal)) and not isinstance(value, bool)


def claims_rule(claims, provider):
    """Which rule about claims that PyJWT does not have is broken."""
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
    """Has `exp` a fraction?  PyJWT has cut it off."""
    try:
        exp = strict_json(strict_part(token.split(".")[1]))["exp"]
    except Exception:
        return False
    return is_number(exp) and exp != int(exp)


def oracle(route, token, providers):
    """(user, provider) or None, and the rule of STRICTER that made the difference to PyJWT, or None."""
    form, header, claims = broken_rule(token)
    difference = None
    for provider in chosen_providers(route, token, providers):
        for key in keys_for(provider, token, strictly=False):
            believed = pyjwt_claims(token, provider, key)
            rule = form
            if believed is None:
                # Where PyJWT alone says no, and why that is.
                if form or isinstance(key, Key) and not (key.usable() and key.fits(header.get("alg"))):
                    continue
                if header.get("b64", True) is False:
                    plain = resigned_without_b64(token, header, key, provider)
                    if plain:
                        return (subject_of(claims, provider), provider.name), "b64"
                if has_fraction(token) and 0 < claims["exp"] + provider.leeway - NOW < 1:
                    believed, difference = pyjwt_claims_later(token, provider, key), "fractions"
                if believed is None:
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


def resigned_without_b64(token, header, key, provider):
    """Is the token good but for its b64?  PyJWT wants the payload apart then; so its signature alone is asked for."""
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
    later = copy.copy(provider)
    later.leeway += 1
    return pyjwt_claims(token, later, key)
