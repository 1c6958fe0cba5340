"""Mutations of the header of a token: its algorithm, its key and its critical extensions."""

import json

from cryptography.hazmat.primitives import serialization

from mutations import ANY, is_public, mutation


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
