"""Mutations of the claims of a token."""

import json

from issuers import NOW
from mutations import ANY, mutation, need


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
