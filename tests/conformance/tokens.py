"""Makes random tokens: valid ones, and tokens with known faults."""

import hashlib
import json
import re

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils

from issuers import NOW, ROUTES, b64, sign

ORDER = {"P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551}


class Draft:
    """The parts of a token.  Mutations change them; then token() signs and joins them."""

    def __init__(self, route, provider, algorithm, key, header, claims):
        self.route, self.provider, self.algorithm, self.key = route, provider, algorithm, key
        self.header, self.claims = header, claims
        self.header_raw = self.claims_raw = None  # bytes that replace the JSON of `header` or `claims`
        self.signer = None  # a function from message to signature
        self.after_signature = []  # functions that change the signature (bytes)
        self.after_token = []  # functions that change the token (text)
        self.separators = (",", ":")

    def token(self):
        header = self.header_raw if self.header_raw is not None else self.json(self.header)
        claims = self.claims_raw if self.claims_raw is not None else self.json(self.claims)
        message = f"{b64(header)}.{b64(claims)}"
        signature = self.signer(message.encode()) if self.signer else sign(self.algorithm, self.key, message.encode())
        for change in self.after_signature:
            signature = change(signature)
        token = f"{message}.{b64(signature)}"
        for change in self.after_token:
            token = change(token)
        return token

    def json(self, value):
        return json.dumps(value, separators=self.separators, ensure_ascii=False).encode("utf-8", "surrogatepass")


def good_draft(rnd, providers):
    route = rnd.choice(list(ROUTES))
    provider = providers[rnd.choice(ROUTES[route])]
    claims = {"iat": NOW - rnd.randrange(100), "nbf": NOW - rnd.randrange(100), "exp": NOW + 1 + rnd.randrange(10_000)}
    claims[provider.subject] = rnd.choice(["ann", "user_2abc", "ünï", "a b", 7, 123456789012345678, "0"])
    if provider.issuer:
        claims["iss"] = provider.issuer
    if provider.audience:
        claims["aud"] = rnd.choice(["api", "api2", ["api"], ["x", "api2"], ["api", "api2"]])
    if provider.parties:
        claims["azp"] = rnd.choice(provider.parties)
    header = {"typ": "JWT"}
    if provider.secrets:
        algorithm = rnd.choice(provider.algorithms)
        key = rnd.choice(provider.secrets).encode()
    else:
        keys = [key for key in provider.keys if key.usable()]
        chosen = rnd.choice(keys)
        algorithm = rnd.choice([name for name in provider.algorithms if chosen.fits(name)])
        key = chosen.private
        if chosen.kid is not None:
            if rnd.random() < 0.9:
                header["kid"] = chosen.kid
        elif rnd.random() < 0.5:
            header["kid"] = "whatever"
    header["alg"] = algorithm
    draft = Draft(route, provider, algorithm, key, header, claims)
    # Variations that the gateway must accept.
    if rnd.random() < 0.1:
        draft.separators = rnd.choice([(", ", ": "), (" ,\n", "\t:\r\n")])
    if rnd.random() < 0.1:
        header[rnd.choice(["jku", "x5u", "x", "jwk", "x5c", "cty"])] = rnd.choice(
            ["https://evil.test", {"kty": "oct"}, []]
        )
    if rnd.random() < 0.1:
        claims["more"] = rnd.choice([{"a": [1, 2, {"b": None}]}, "x" * rnd.randrange(3000), [[]], 1.5, True])
    if rnd.random() < 0.1 and algorithm == "ES256":
        draft.after_signature.append(equivalent_signature)
    # Dates at the limit, also with fractions.
    if rnd.random() < 0.1:
        claims["exp"] = NOW - provider.leeway + rnd.choice([1, 0.25])
    if rnd.random() < 0.1:
        claims[rnd.choice(["nbf", "iat"])] = NOW + provider.leeway - rnd.choice([0, 0, 0.25])
    return draft


def equivalent_signature(signature):
    """(r, -s) for (r, s).  Both are valid: ECDSA signatures are malleable."""
    if len(signature) != 64:
        return signature
    s = ORDER["P-256"] - int.from_bytes(signature[32:], "big")
    return signature[:32] + (s % (1 << 256)).to_bytes(32, "big")


# ---- mutations ------------------------------------------------------------------------------------------

# Each mutation adds one fault to a draft.  Its decorator has the verdict for a token with this fault alone.
MUTATIONS = []
ANY = "401"  # the prefix of all refusals


def mutation(word):
    def register(function):
        MUTATIONS.append((function.__name__, word, function))
        return function

    return register


class Unfit(Exception):
    """The fault cannot be added to this token."""


def need(condition):
    if not condition:
        raise Unfit


def is_public(draft):
    return not draft.provider.secrets


@mutation("401-algorithm")
def alg_none(draft, rnd):
    draft.header["alg"] = rnd.choice(["none", "None", "NONE", "nOnE", "none ", " none", "", "no\u0000ne"])
    if rnd.random() < 0.7:
        draft.signer = lambda message: rnd.choice([b"", b"x", b"\0" * 32])


@mutation("401-algorithm")
def alg_misspelt(draft, rnd):
    name = draft.algorithm
    draft.header["alg"] = rnd.choice(
        [
            name.lower() if name != name.lower() else name + "x",
            name + " ",
            name + "\0",
            "HS1",
            "RS1",
            "ES256K",
            "PS384",
            "A128KW",
        ]
    )


@mutation("401-malformed")
def alg_no_text(draft, rnd):
    if rnd.random() < 0.3:
        del draft.header["alg"]
    else:
        draft.header["alg"] = rnd.choice([None, 256, True, ["RS256"], {"alg": "RS256"}])


@mutation(ANY)
def public_key_as_secret(draft, rnd):
    if not is_public(draft):
        draft.header["alg"] = "RS256"  # the opposite confusion: a secret as a public key
        return
    public = rnd.choice(draft.provider.keys)
    pem = public.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = rnd.choice(
        [pem, pem.strip(), json.dumps(public.jwk()).encode(), next(iter(public.jwk().values())).encode()]
    )
    draft.algorithm = rnd.choice(["HS256", "HS384", "HS512"])
    draft.header["alg"] = draft.algorithm
    draft.key = secret


def sign_with_unknown_key(draft, rnd, keys):
    key = rnd.choice(keys["stranger"])
    draft.algorithm = "RS256" if key.family == "RSA" else "ES256"
    draft.key = key.private
    draft.header["alg"] = draft.algorithm
    return key


@mutation(ANY)
def embedded_key(draft, rnd):
    key = sign_with_unknown_key(draft, rnd, draft.all_keys)
    draft.header["jwk"] = key.jwk()
    draft.header["kid"] = rnd.choice([key.kid, "mine", draft.header.get("kid", "x")])
    if rnd.random() < 0.3:
        del draft.header["kid"]


@mutation(ANY)
def key_elsewhere(draft, rnd):
    sign_with_unknown_key(draft, rnd, draft.all_keys)
    draft.header[rnd.choice(["jku", "x5u", "x5c", "x5t"])] = rnd.choice(
        ["https://evil.test/jwks.json", "file:///tmp/jwks.json", ["MIIB"], "http://127.0.0.1/"]
    )


@mutation(ANY)
def kid_injection(draft, rnd):
    draft.header["kid"] = rnd.choice(
        [
            "../../../dev/null",
            "/dev/null",
            "' OR '1'='1",
            "x\u0000rsa",
            "",
            "rsa ",
            "RSA",
            "a" * 3000,
            "\n",
            "$(id)",
            "ins_1\r\nX: y",
        ]
    )
    if not is_public(draft):
        draft.key = rnd.choice([b"", b"\0", b"null"])  # the secret, if the kid /dev/null were opened as a file
    elif rnd.random() < 0.5:
        sign_with_unknown_key(draft, rnd, draft.all_keys)
    elif draft.provider.name == "nameless":
        # This provider's keys have no kid, so it would accept the token.
        draft.after_signature.append(lambda signature: signature[::-1])


@mutation("401-malformed")
def kid_no_text(draft, rnd):
    draft.header["kid"] = rnd.choice([None, 1, ["rsa"], {"kid": "rsa"}, False])


@mutation("401-malformed")
def crit(draft, rnd):
    draft.header["crit"] = rnd.choice([["exp"], ["b64"], [], "exp", None, ["http://example.invalid/UNDEFINED"], {}])
    if draft.header["crit"] == ["b64"]:
        draft.header["b64"] = True


@mutation(ANY)
def psychic_signature(draft, rnd):
    zero, order = b"\0" * 32, ORDER["P-256"].to_bytes(32, "big")
    one = (1).to_bytes(32, "big")
    forged = rnd.choice(
        [
            zero + zero,
            zero + one,
            one + zero,
            order + order,
            zero + order,
            order + one,
            b"\0" * 96,
            b"\0" * 256,
            b"\xff" * 64,
        ]
    )
    if is_public(draft):
        draft.header["alg"] = rnd.choice(["ES256", "ES384", draft.algorithm])
    draft.signer = lambda message: forged


@mutation(ANY)
def der_signature(draft, rnd):
    need(draft.algorithm in ("ES256", "ES384"))
    half = 32 if draft.algorithm == "ES256" else 48
    draft.after_signature.append(
        lambda signature: utils.encode_dss_signature(
            int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        )
    )


@mutation(ANY)
def cut_signature(draft, rnd):
    if rnd.random() < 0.5:
        size = rnd.choice([1, 2, 8, 16, 31])
        draft.after_signature.append(lambda signature: signature[:-size] or signature[:1])
    else:
        size = rnd.choice([1, 2, 3, 4])
        draft.after_token.append(lambda token: token[:-size])


@mutation("401-signature")
def longer_signature(draft, rnd):
    extra = rnd.choice([b"\0", b"\0\0", b"x", b"\0" * 64])
    if rnd.random() < 0.5:
        draft.after_signature.append(lambda signature: signature + extra)
    else:
        draft.after_signature.append(lambda signature: extra + signature)


@mutation("401-malformed")
def empty_signature(draft, rnd):
    draft.after_signature.append(lambda signature: b"")


@mutation("401-signature")
def flipped_bit(draft, rnd):
    place, bit = rnd.randrange(10_000), 1 << rnd.randrange(8)

    def flip(signature):
        need(signature)
        at = place % len(signature)
        return signature[:at] + bytes([signature[at] ^ bit]) + signature[at + 1 :]

    draft.after_signature.append(flip)


@mutation(ANY)
def changed_after_signing(draft, rnd):
    """The subject is replaced after signing."""
    other = dict(draft.claims)
    other[draft.provider.subject] = "mallory"

    def change(token):
        parts = token.split(".")
        if len(parts) != 3:
            return token + "x."
        parts[1] = b64(json.dumps(other).encode())
        return ".".join(parts)

    draft.after_token.append(change)


@mutation(ANY)
def other_algorithm_of_the_family(draft, rnd):
    """The header names another algorithm than the one that signed."""
    others = [
        name
        for name in ("RS256", "RS384", "RS512", "PS256", "HS256", "HS384", "HS512", "ES256", "ES384")
        if name != draft.algorithm
    ]
    same = [name for name in others if name[0] == draft.algorithm[0]] or others
    made = draft.algorithm
    draft.header["alg"] = rnd.choice(same)
    draft.signer = lambda message: sign(made, draft.key, message)


@mutation(ANY)
def algorithm_that_is_not_allowed(draft, rnd):
    """Correctly signed with an algorithm that the provider does not allow."""
    for provider, algorithms in (
        ("clerk", ["RS384", "RS512", "PS256"]),
        ("nameless", ["RS512"]),
        ("blog", ["HS384", "HS512"]),
    ):
        if draft.provider.name == provider:
            draft.algorithm = rnd.choice(algorithms)
            if provider == "nameless":
                draft.key = draft.provider.keys[1].private
            draft.header["alg"] = draft.algorithm
            return
    raise Unfit


@mutation(ANY)
def salt_of_another_length(draft, rnd):
    rsa_keys = [key for key in draft.provider.keys if key.family == "RSA" and key.usable() and "alg" not in key.more]
    need(rsa_keys)
    key = rnd.choice(rsa_keys)
    draft.header.update({"alg": "PS256", "kid": key.kid})
    if key.kid is None:
        del draft.header["kid"]
    size = rnd.choice([0, 20, 31, 33, padding.PSS.MAX_LENGTH])
    draft.signer = lambda message: key.private.sign(
        message, padding.PSS(padding.MGF1(hashes.SHA256()), size), hashes.SHA256()
    )


@mutation(ANY)
def wrong_key_of_the_set(draft, rnd):
    """Signed with a key of the JWKS that must not verify this algorithm."""
    need(draft.provider.name == "many")
    many = {key.kid: key for key in draft.all_keys["many"]}
    kid, algorithm = rnd.choice(
        [
            ("weak", "RS256"),
            ("k1", "ES256"),
            ("enc", "RS256"),
            ("ops", "RS384"),
            ("pinned", "RS256"),
            ("p384", "ES256"),
            ("p256", "ES384"),
        ]
    )
    key = many[kid]
    draft.algorithm, draft.key = algorithm, key.private
    draft.header.update({"alg": algorithm, "kid": kid})
    if rnd.random() < 0.3:
        del draft.header["kid"]


def with_duplicate_member(raw, rnd):
    """The JSON object `raw` with one of its members repeated.  The repeated name may be spelled with an escape."""
    members = json.loads(raw)
    name = rnd.choice(list(members))
    spelled = json.dumps(name)
    if rnd.random() < 0.5:
        spelled = f'"\\u{ord(name[0]):04x}{name[1:]}"'
    value = rnd.choice([json.dumps(members[name]), '"mallory"', "null", "9999999999"])
    text = raw.decode()
    if rnd.random() < 0.5:
        return f"{{{spelled}:{value},{text[1:]}".encode()
    return f"{text[:-1]},{spelled}:{value}}}".encode()


@mutation("401-malformed")
def member_twice(draft, rnd):
    if rnd.random() < 0.3:
        alg = json.dumps(draft.header["alg"]) if "alg" in draft.header else '"none"'
        draft.header_raw = draft.json(draft.header)[:-1] + f',"alg":{alg}}}'.encode()
    else:
        draft.claims_raw = with_duplicate_member(draft.json(draft.claims), rnd)


@mutation("401-malformed")
def huge(draft, rnd):
    draft.claims["pad"] = "x" * rnd.choice([6200, 7000, 20_000, 100_000])


@mutation("401-claims")
def date_of_another_type(draft, rnd):
    name = rnd.choice(["exp", "nbf", "iat"])
    draft.claims[name] = rnd.choice(
        [str(draft.claims.get(name, NOW)), "soon", True, [NOW], {"at": NOW}, "", None, "1e12"]
    )


@mutation("401-malformed")
def number_that_json_does_not_have(draft, rnd):
    text = draft.json({key: value for key, value in draft.claims.items() if key != "exp"}).decode()
    draft.claims_raw = f'{text[:-1]},"exp":{rnd.choice(["NaN", "Infinity", "+9999999999", "0x7fffffff", "9999999999.", "09999999999", "1_0"])}}}'.encode()


@mutation("401-claims")
def date_beyond_numbers(draft, rnd):
    text = draft.json({key: value for key, value in draft.claims.items() if key != "exp"}).decode()
    draft.claims_raw = f'{text[:-1]},"exp":{rnd.choice(["1e999", "1e309"])}}}'.encode()


@mutation(ANY)
def missing_claim(draft, rnd):
    names = list(draft.provider.required) + [draft.provider.subject]
    names += ["iss"] if draft.provider.issuer else []
    names += ["aud"] if draft.provider.audience else []
    name = rnd.choice(names)
    if rnd.random() < 0.6:
        draft.claims.pop(name, None)
    else:
        draft.claims[name] = rnd.choice([None, ""])


@mutation("401-issuer")
def wrong_issuer(draft, rnd):
    need(draft.provider.issuer)
    issuer = draft.provider.issuer
    draft.claims["iss"] = rnd.choice(
        [issuer + "/", issuer.upper(), issuer[:-1], "https://evil.test", [issuer], {"iss": issuer}, 1, issuer + "\0"]
    )


@mutation("401-audience")
def wrong_audience(draft, rnd):
    need(draft.provider.audience)
    draft.claims["aud"] = rnd.choice(
        ["API", "ap", "", [], ["x"], {"api": 1}, 5, None, ["api", 5], [["api"]], "api ", True]
    )


@mutation("401-party")
def wrong_party(draft, rnd):
    need(draft.provider.parties)
    draft.claims["azp"] = rnd.choice(
        ["https://evil.test", "https://app.example.com/", ["https://app.example.com"], 1, "null", True]
    )


@mutation("401-expired")
def expired(draft, rnd):
    ago = rnd.choice([0, 0, 1, 2, rnd.randrange(1_000_000), NOW * 2])
    draft.claims["exp"] = NOW - draft.provider.leeway - ago
    if rnd.random() < 0.3:
        draft.claims["exp"] -= 0.25


@mutation("401-early")
def early(draft, rnd):
    ahead = rnd.choice([1, 1, 2, 0.25, rnd.randrange(1, 1_000_000), 1e15])
    draft.claims[rnd.choice(["nbf", "iat"])] = NOW + draft.provider.leeway + ahead


@mutation(ANY)
def no_subject(draft, rnd):
    draft.claims[draft.provider.subject] = rnd.choice(
        [
            "",
            "a\u0000b",
            "a\nb",
            "\x7f",
            "x" * 257,
            "ä" * 129,
            "\ufffd",
            "a\ud800",
            True,
            1.5,
            {"id": 1},
            ["ann"],
            None,
            False,
        ]
    )
    if "\ud800" in str(draft.claims[draft.provider.subject]):
        draft.claims_raw = json.dumps(draft.claims).encode()


@mutation("401-malformed")
def no_object(draft, rnd):
    raw = rnd.choice(
        [b"[]", b'"ann"', b"5", b"null", b"", b"{", b"{}x", b"{'sub':1}", b'{"sub":"ann",}', b"\xff", b"\0"]
    )
    if rnd.random() < 0.5:
        draft.claims_raw = raw
    else:
        draft.header_raw = raw


@mutation("401-malformed")
def other_encoding(draft, rnd):
    raw = draft.json(draft.claims)
    draft.claims_raw = rnd.choice(
        [
            b"\xef\xbb\xbf" + raw, raw[:-1] + b',"x":"\xff"}', raw[:-1] + b',"x":"\xc0\xaf"}', raw[:-1] + b',"x":"\xed\xa0\x80"}',
            raw.decode("utf-8", "replace").encode("utf-16"), raw.decode("utf-8", "replace").encode("utf-32-le"), raw + b"\0", raw[:-1] + b',"x":"\n"}',
        ]
    )  # fmt: skip


@mutation("401-malformed")
def other_base64(draft, rnd):
    kind = rnd.randrange(6)

    def change(token):
        parts = (token.split(".") + ["", ""])[:3]
        part = rnd.choice([0, 1, 2, 2])
        text = parts[part]
        if kind == 0:
            text += "=" * (1 + rnd.randrange(3))
        elif kind == 1:
            place = rnd.randrange(len(text) + 1) if part else rnd.randrange(1, len(text) + 1)
            text = text[:place] + rnd.choice([" ", "\t", "!", "+", "/", "\u00e9", "%", "\x0b", "~"]) + text[place:]
            if part == 2:
                text += "A"  # HTTP strips white space at the end of a header
        elif kind == 2:
            text = text[:-1] + non_canonical_end(text)
        elif kind == 3:
            text = text.replace("-", "+").replace("_", "/") + "/"
        elif kind == 4:
            text += "A" * (((1 - len(text)) % 4) or 4) + "!"
        else:
            text = "=" + text
        parts[part] = text
        return ".".join(parts)

    draft.after_token.append(change)


def non_canonical_end(text):
    """A replacement for the last character of base64url `text`: one that decodes to the same bytes, or invalid text."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if len(text) % 4 == 0 or not text:
        return "=A"
    return alphabet[(alphabet.find(text[-1]) & ~(15 if len(text) % 4 == 2 else 3)) | 1]


@mutation("401-malformed")
def other_number_of_parts(draft, rnd):
    kind = rnd.randrange(6)

    def change(token):
        parts = token.split(".")
        return [
            ".".join(parts[:2]), token + ".", token + ".AAAA", "." + token, parts[0], ".".join(parts[:1] + [""] + parts[1:]),
        ][kind]  # fmt: skip

    draft.after_token.append(change)


@mutation(ANY)
def other_secret(draft, rnd):
    need(not is_public(draft))
    draft.key = rnd.choice(
        [
            draft.key + b"\n",
            draft.key[:-1],
            draft.key.upper(),
            b"",
            hashlib.sha256(draft.key).digest(),
            b"secret",
            draft.key + b"\0" * 40,
        ]
    )


@mutation(None)
def header_b64_that_is_not_critical(draft, rnd):
    draft.header["b64"] = False


# ---- tokens -----------------------------------------------------------------------------------------


def make_token(faults, rnd, providers, keys):
    """(draft, token) with these faults, or None if they exclude each other."""
    for _ in range(40):
        draft = good_draft(rnd, providers)
        draft.all_keys = keys
        try:
            for _, _, mutate in faults:
                mutate(draft, rnd)
            token = draft.token()
        except (Unfit, ValueError, TypeError, AttributeError, KeyError):
            continue
        # An HTTP header cannot carry line breaks, nor white space at its ends.
        if token and not re.search(r"[\r\n]", token) and token == token.strip():
            return draft, token
    return None


def make_tokens(count, rnd, providers, keys):
    """A list of (route, token, names of the faults, expected verdict if there is exactly one fault, else None)."""
    tokens = []
    while len(tokens) < count:
        faults = rnd.sample(MUTATIONS, rnd.choices([0, 1, 2, 3], weights=[25, 60, 10, 5])[0])
        made = make_token(faults, rnd, providers, keys)
        if made is None:
            continue
        draft, token = made
        # If a route has several providers, another provider may refuse the token for another reason.
        word = faults[0][1] if len(faults) == 1 and draft.route == draft.provider.name else None
        tokens.append((draft.route, token, [name for name, _, _ in faults], word))
    return tokens
