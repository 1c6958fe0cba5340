"""Mutations of the signature of a token, and of the key and the algorithm that make it."""

import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from drafts import ORDER
from issuers import b64, sign
from mutations import ANY, Unfit, is_public, mutation, need


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
