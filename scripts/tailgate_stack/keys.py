"""Certificates for nginx and Redis, and the keys that sign the stack's tokens."""

import base64
import json
import secrets

from tailgate_stack.processes import run

CLERK_HOST = "clerk.example.test"


def make_certificates(directory):
    """Makes a CA for this stack, and a certificate of that CA for localhost."""
    directory.mkdir(mode=0o700)
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "30",
    ]
    run(
        make
        + ["-keyout", ca_key, "-out", ca, "-subj", "/CN=Tailgate private CA"]
        + ["-addext", "basicConstraints=critical,CA:TRUE"]
    )
    run(
        make
        + ["-keyout", directory / "key.pem", "-out", directory / "cert.pem", "-subj", "/CN=localhost"]
        + ["-CA", ca, "-CAkey", ca_key, "-addext", "basicConstraints=critical,CA:FALSE"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-addext", "extendedKeyUsage=serverAuth"]
    )


def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def make_jwks(key, jwks):
    """Writes a new RSA key to the file `key`, and its public half, as a JWKS, to the file `jwks`."""
    run(["openssl", "genrsa", "-out", key, "2048"])
    key.chmod(0o600)
    modulus = run(["openssl", "rsa", "-in", key, "-noout", "-modulus"]).strip().partition("=")[2]
    public = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "stack-1", "e": "AQAB"}
    public["n"] = base64url(bytes.fromhex(modulus))
    jwks.write_text(json.dumps({"keys": [public]}))


def make_providers(stack, toml, keys):
    """Makes the key or secret of each provider in the configuration, and saves in the stack how scripts/mint-token
    signs tokens of that provider.  Returns the gateway's settings and its environment."""
    settings, env = [], {}
    for name, provider in toml.get("provider", {}).items():
        algorithm = (provider.get("algorithms") or ["RS256"])[0]
        entry = {
            "algorithm": algorithm,
            "issuer": provider.get("issuer", ""),
            "audience": provider.get("audience", []),
            "azp": (provider.get("authorized_parties") or ["https://app.example.test"])[0],
            "subject": provider.get("subject", "sub"),
            "required": provider.get("required", []),
        }
        if algorithm.startswith("HS"):
            secret = secrets.token_hex(24)
            entry["secret"] = secret
            if "secret_env" in provider:
                env[provider["secret_env"]] = secret
            else:
                entry["secret"] = provider.get("secret", secret)
        elif "jwks" in provider:
            key, jwks = keys / "rsa.pem", keys / "jwks.json"
            if not key.exists():
                make_jwks(key, jwks)
            entry["key"], entry["kid"] = str(key), "stack-1"
            if str(provider["jwks"]).startswith("unix:"):  # else a test has chosen its own files or a list
                settings.append(f"provider.{name}.jwks={json.dumps('file:' + str(jwks))}")
        if "clerk_publishable_key_env" in provider:
            text = base64.b64encode(f"{CLERK_HOST}$".encode()).decode()
            env[provider["clerk_publishable_key_env"]] = "pk_test_" + text
            entry["issuer"] = f"https://{CLERK_HOST}"
        stack["providers"][name] = entry
    return settings, env
