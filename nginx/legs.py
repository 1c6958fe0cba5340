"""Connections from nginx to other hosts: the application, the issuers' keys, and a Redis that demands TLS.

A leg is a unix socket on which nginx listens for the gateway, which speaks no TLS itself.
"""

import base64
import binascii
import ipaddress
import os
import re
import urllib.parse
from pathlib import Path

from templates import Wrong, piece, variable


def nameservers():
    try:
        text = Path("/etc/resolv.conf").read_text()
    except OSError:
        return []
    found = re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)
    return [f"[{address}]" if ":" in address else address for address in found]


def resolvers(values, host):
    """The name servers with which nginx resolves `host` while it runs, or "" if it resolves the name only at start."""
    try:
        ipaddress.ip_address(host.strip("[]"))
        return ""
    except ValueError:
        pass
    setting = values["TG_RESOLVER"]
    if setting == "off" or host == "localhost":
        return ""
    return " ".join(nameservers() if setting == "auto" else setting.split())


def upstream_url(name, text):
    """(scheme, host, port, address) of http://host[:port], https://host[:port] or unix:/path."""
    if text.startswith("unix:/"):
        return "http", "localhost", None, text
    url = urllib.parse.urlsplit(text)
    try:
        port = url.port or {"http": 80, "https": 443}[url.scheme]
    except (KeyError, ValueError) as error:
        raise Wrong(f'{name}: must be http://host[:port], https://host[:port] or unix:/path, not "{text}"') from error
    if not url.hostname or url.path not in ("", "/") or url.query or url.username:
        raise Wrong(f'{name}: must be scheme://host[:port] without a path, a query or a user, not "{text}"')
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return url.scheme, host, port, f"{host}:{port}"


def pass_lines(name, url, values, upstream, indent):
    """(the proxy_pass directive and its companions, an upstream block or "", the value of the Host header)."""
    scheme, host, port, address = upstream_url(name, url)
    block = ""
    servers = resolvers(values, host)
    if servers:
        passing = piece(
            "pass-resolved.conf", indent, RESOLVERS=servers, VARIABLE=upstream, ADDRESS=address, SCHEME=scheme
        )
    else:
        passing = piece("pass-fixed.conf", indent, UPSTREAM=upstream, SCHEME=scheme)
        block = piece("upstream.conf", UPSTREAM=upstream, ADDRESS=address) + "\n"
    if scheme == "https":
        passing += "\n" + piece("pass-tls.conf", indent, CA=values["TG_CA_FILE"], HOST=host.strip("[]"))
    return passing, block, host if port in (None, 80, 443) else address


def application(values):
    """(the content of to-application.conf, an upstream block or "")"""
    if not values["TG_APPLICATION"]:
        return piece("no-application.conf"), ""
    passing, block, _ = pass_lines("TG_APPLICATION", values["TG_APPLICATION"], values, "tg_application", 0)
    return passing, block


def clerk_origin(key):
    """The URL in a Clerk publishable key, which is pk_test_ or pk_live_ and base64 of "<host>$".  "" for other text."""
    match = re.fullmatch(r"pk_(?:test|live)_([A-Za-z0-9+/_-]+=*)", key)
    if not match:
        return ""
    text = match.group(1).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        host = base64.b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return "https://" + host.rstrip("$") if re.fullmatch(r"[A-Za-z0-9.-]+\$", host) else ""


def keys_url(name, provider, socket, values):
    """(the setting for the URL of a provider's keys, that URL from the setting, the Clerk key or the issuer)."""
    setting = "TG_JWKS_" + variable(name).upper()
    url = values.get(setting) or os.environ.get(setting, "")
    if not url and "clerk_publishable_key_env" in provider:
        url = clerk_origin(os.environ.get(provider["clerk_publishable_key_env"], ""))
    if not url and str(provider.get("issuer", "")).startswith("https://"):
        parts = urllib.parse.urlsplit(provider["issuer"])
        url = f"{parts.scheme}://{parts.netloc}"
    if not url:
        named = provider.get("clerk_publishable_key_env")
        hint = f" or {named}" if named else ""
        raise Wrong(f'provider "{name}" reads its keys from {socket}: set {setting}=https://host{hint}')
    return setting, url


def jwks_legs(toml, values):
    """A server for each unix socket from which the gateway reads the keys of a provider."""
    out = ""
    made = {}
    for name, provider in toml.get("provider", {}).items():
        sources = provider.get("jwks", [])
        for source in [sources] if isinstance(sources, str) else sources:
            if not source.startswith("unix:"):
                continue
            socket = source[len("unix:") :].partition(":")[0]
            setting, url = keys_url(name, provider, socket, values)
            if made.get(socket, url) != url:
                raise Wrong(f'provider "{name}": {socket} is the leg of another provider, which has another URL')
            if socket in made:
                continue
            made[socket] = url
            passing, block, host = pass_lines(setting, url, values, "tg_jwks_" + variable(name), 8)
            out += (
                block
                + piece("leg-jwks.conf", NAME=name, LISTEN="unix:" + socket, PASS=passing, HOST_HEADER=host)
                + "\n"
            )
    return out


def application_legs(toml, values):
    """A server for each unix socket over which the gateway asks the application about a job."""
    records = [record for record in toml.get("record", {}).values() if record.get("kind") == "http"]
    sockets = {record["target"] for record in records if str(record.get("target", "")).startswith("unix:")}
    out = ""
    for number, socket in enumerate(sorted(sockets)):
        if not values["TG_APPLICATION"]:
            raise Wrong(f"a record's target is {socket}: set TG_APPLICATION to the application's address")
        passing, block, host = pass_lines("TG_APPLICATION", values["TG_APPLICATION"], values, f"tg_status_{number}", 8)
        out += block + piece("leg-application.conf", LISTEN=socket, PASS=passing, HOST_HEADER=host) + "\n"
    return out


def redis_leg(toml, values):
    """The content of stream.conf, or "" if the gateway reaches Redis without a leg."""
    redis = toml.get("redis", {})
    leg = os.environ.get("TAILGATE_REDIS_LEG") or redis.get("tls_leg", "")
    if not leg:
        return ""
    leg = leg if leg.startswith("unix:") else "unix:" + leg
    address = values["TG_REDIS_TLS"]
    if not address:
        url = (
            os.environ.get("TAILGATE_REDIS_URL") or os.environ.get(redis.get("url_env", ""), "") or redis.get("url", "")
        )
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "rediss" or not parts.hostname:
            raise Wrong(f"the gateway reaches Redis through {leg}: set TG_REDIS_TLS=host:port, or a rediss:// URL")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        address = f"{host}:{parts.port or 6379}"
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise Wrong(f'TG_REDIS_TLS: must be host:port, not "{address}"')
    servers = resolvers(values, host)
    if servers:
        passing = piece("pass-redis-resolved.conf", 4, RESOLVERS=servers, ADDRESS=address)
    else:
        passing = f"    proxy_pass {address};"
    ca = values["TG_REDIS_CA"] or values["TG_CA_FILE"]
    return piece("stream.conf", LISTEN=leg, PASS=passing, CA=ca, HOST=host.strip("[]")) + "\n"
