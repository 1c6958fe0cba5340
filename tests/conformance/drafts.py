"""The parts of a valid token, before they are signed and joined."""

import json

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
