"""Mutations of the form of a token (text encoding, base64, number of parts), a wrong secret and a b64 header."""

import hashlib

from mutations import ANY, is_public, mutation, need


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
