"""The issuers of tokens: keys, providers, the routes that accept them, and signatures."""

import base64
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

NOW = 1_700_000_000


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A private key, its kid, and further members of its JWK."""

    def __init__(self, kid, private, family, **more):
        self.kid, self.private, self.family, self.more = kid, private, family, more

    def jwk(self):
        public = self.private.public_key()
        if self.family.startswith("RSA"):
            numbers = public.public_numbers()
            jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        elif self.family == "Ed25519":
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        else:
            numbers, size = public.public_numbers(), (public.curve.key_size + 7) // 8
            jwk = {"kty": "EC", "crv": self.family, "x": number(numbers.x, size), "y": number(numbers.y, size)}
        if self.kid is not None:
            jwk["kid"] = self.kid
        return {**jwk, **self.more}

    def usable(self):
        """True if the gateway uses this key when it is in a JWKS."""
        good = self.more.get("use", "sig") == "sig" and "verify" in self.more.get("key_ops", ["verify"])
        return good and self.family in FITS

    def fits(self, algorithm):
        return algorithm in FITS.get(self.family, ()) and self.more.get("alg", algorithm) == algorithm


FITS = {"RSA": ("RS256", "RS384", "RS512", "PS256"), "P-256": ("ES256",), "P-384": ("ES384",), "Ed25519": ("EdDSA",)}


def make_keys():
    def make_rsa(bits=2048):
        return rsa.generate_private_key(65537, bits)

    return {
        "clerk": [Key("ins_1", make_rsa(), "RSA", use="sig", alg="RS256"), Key("ins_2", make_rsa(), "RSA", use="sig")],
        "many": [
            Key("rsa", make_rsa(), "RSA"),
            Key("p256", ec.generate_private_key(ec.SECP256R1()), "P-256"),
            Key("p384", ec.generate_private_key(ec.SECP384R1()), "P-384", key_ops=["verify"]),
            Key("ed", ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
            Key("weak", make_rsa(1024), "RSA-weak"),
            Key("k1", ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
            Key("enc", make_rsa(), "RSA", use="enc"),
            Key("ops", make_rsa(), "RSA", key_ops=["sign"]),
            Key("pinned", make_rsa(), "RSA", alg="RS512"),
        ],
        "nameless": [Key(None, ec.generate_private_key(ec.SECP256R1()), "P-256"), Key(None, make_rsa(), "RSA")],
        "stranger": [Key("ins_1", make_rsa(), "RSA"), Key("p256", ec.generate_private_key(ec.SECP256R1()), "P-256")],
    }


class Provider:
    def __init__(self, name, algorithms, keys=(), secrets=(), **rules):
        self.name, self.algorithms, self.keys, self.secrets = name, algorithms, list(keys), list(secrets)
        self.issuer = rules.get("issuer", "")
        self.audience = rules.get("audience", [])
        self.parties = rules.get("authorized_parties", [])
        self.required = rules.get("required", [])
        self.subject = rules.get("subject", "sub")
        self.leeway = rules.get("leeway_s", 5)
        self.rules = rules


ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]


def make_providers(keys):
    return {
        provider.name: provider
        for provider in (
            Provider(
                "clerk", ["RS256"], keys["clerk"], issuer="https://clerk.example.com",
                authorized_parties=["https://app.example.com", "https://b.example.com"],
                required=["sub", "exp", "nbf", "iat", "azp"],
            ),
            Provider("many", ASYMMETRIC, keys["many"], audience=["api", "api2"], leeway_s=0, required=["exp"]),
            Provider("nameless", ["ES256", "RS256", "PS256"], keys["nameless"], subject="uid"),
            Provider("blog", ["HS256"], secrets=["0123456789abcdef0123456789abcdef"], subject="userId", required=["exp"]),
            Provider(
                "shared", ["HS256", "HS384", "HS512"], secrets=["a new secret of ours, long enough", "the old one is still good, too.."],
                issuer="https://shared.example.com", leeway_s=60,
            ),
        )
    }  # fmt: skip


# Routes with one provider, and routes with several.
ROUTES = {
    "clerk": ["clerk"], "many": ["many"], "nameless": ["nameless"], "blog": ["blog"], "shared": ["shared"],
    "mixed": ["clerk", "blog", "shared"], "public": ["clerk", "many", "nameless"],
}  # fmt: skip


def configuration(providers, folder):
    text = '[redis]\nurl = "redis://127.0.0.1"\n[record.job]\nkey = "job:{id}"\nuser = "user"\nstatus = "status"\nterminal = ["end"]\n'
    for provider in providers.values():
        text += f"[provider.{provider.name}]\nalgorithms = {json.dumps(provider.algorithms)}\n"
        if provider.secrets:
            text += f"secret = {json.dumps(provider.secrets)}\n"
        else:
            path = folder / f"{provider.name}.json"
            path.write_text(json.dumps({"keys": [key.jwk() for key in provider.keys]}))
            text += f'jwks = "file:{path}"\n'
        for rule, value in provider.rules.items():
            text += f"{rule} = {json.dumps(value)}\n"
    for route, names in ROUTES.items():
        text += (
            f'[route.{route}]\npath = "/{route}/{{id}}"\nsource = "channel"\nkey = "job:{{id}}"\nrecord = "job"\n'
            f'who = "owner"\nproviders = {json.dumps(names)}\ncredentials = ["bearer"]\nframing = "raw"\n'
            "ending = [{ data = '{\"status\":${status}}' }]\n"
        )
    path = folder / "tailgate.toml"
    path.write_text(text)
    return path


def sign(algorithm, key, message):
    """Signs `message` with any algorithm that the type of `key` supports, also if the JWK does not allow it."""
    if algorithm.startswith("HS"):
        return hmac.new(key, message, {"256": "sha256", "384": "sha384", "512": "sha512"}[algorithm[2:]]).digest()
    hashed = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(algorithm[2:])
    if algorithm.startswith("RS"):
        return key.sign(message, padding.PKCS1v15(), hashed)
    if algorithm.startswith("PS"):
        return key.sign(message, padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed)
    if algorithm == "EdDSA":
        return key.sign(message)
    r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashed)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
