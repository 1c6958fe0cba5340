"""The legs: sockets of nginx through which the gateway reaches key servers, the application and a Redis with TLS."""

import contextlib
import http.server
import ssl
import threading
from pathlib import Path

import pytest

from support.nginx_system import running
from support.stack import ROOT
from support.waiting import wait_until


class Keys(http.server.BaseHTTPRequestHandler):
    asked = []
    body = b""

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Host"), self.headers.get("Authorization")))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def issuer(tls):
    """A server of public keys with TLS.  The folder `tls` has its certificate."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Asked", (Keys,), {"asked": []}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "cert.pem", tls / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def leg_options(port):
    jwks = 'provider.clerk.jwks="unix:{run}/leg-jwks.sock:/.well-known/jwks.json"'
    return ("--set", jwks, "--nginx-set", f"TG_JWKS_CLERK=https://localhost:{port}")


def test_the_jwks_leg_verifies_the_certificate_of_the_issuer(tmp_path, system):
    with issuer(Path(system.dir) / "tls") as server:
        server.RequestHandlerClass.body = (Path(system.dir) / "keys/jwks.json").read_bytes()
        port = server.server_address[1]
        trusted = ("--nginx-set", f"TG_CA_FILE={system.facts['ca_file']}")
        with running(tmp_path / "a", *leg_options(port), *trusted) as good, good.client() as client:
            good.redis("HSET", "job:x", "user_id", "alice", "status", "ready")

            def status():
                # The issuer serves the keys of the stack `system`, which also makes the token.
                return client.get(
                    "/api/jobs/x/stream", headers={"Authorization": f"Bearer {system.token()}"}
                ).status_code

            wait_until(lambda: status() == 200, 10)
            assert server.RequestHandlerClass.asked[0] == ("/.well-known/jwks.json", f"localhost:{port}", None)
        before = len(server.RequestHandlerClass.asked)
        # Without TG_CA_FILE nginx does not trust the certificate.
        with running(tmp_path / "b", *leg_options(port), "--wait", "alive") as bad, bad.client() as client:
            answer = client.get("/api/jobs/x/stream", headers={"Authorization": f"Bearer {system.token()}"})
            assert answer.status_code == 503
            log = Path(bad.facts["log_dir"]) / "nginx-error.log"
            wait_until(lambda: "certificate verify error" in log.read_text(), 10)
        assert len(server.RequestHandlerClass.asked) == before


def test_the_application_leg_passes_the_credentials_of_the_caller(tmp_path):
    config = str(ROOT / "deploy/blog-application.toml")
    with running(tmp_path / "s", "--config", config) as asking, asking.client() as client:
        asking.application.answers["/api/v1/jobs/mine/status"] = {"status": "succeeded", "result": {"n": 1}}
        asking.application.answers["/api/v1/jobs/theirs/status"] = None
        headers = {"Authorization": "Bearer abc", "Cookie": "accessToken=def", "x-session-id": "ghi"}
        answer = client.get("/api/v1/jobs/mine/stream", headers=headers)
        assert "event: complete" in answer.text
        seen = asking.application.asked["/api/v1/jobs/mine/status"]
        for name, value in headers.items():
            assert seen[name.lower()] == value
        assert "127.0.0.1" in seen["x-forwarded-for"]
        assert client.get("/api/v1/jobs/theirs/stream", headers=headers).status_code == 404


@pytest.mark.parametrize("name, value", [("X-Accel-Limit-Rate", "1"), ("X-Accel-Redirect", "/nowhere")])
def test_a_status_endpoint_cannot_steer_the_leg(tmp_path, name, value):
    config = str(ROOT / "deploy/blog-application.toml")
    with running(tmp_path / "s", "--config", config) as asking, asking.client() as client:
        asking.application.answers["/api/v1/jobs/mine/status"] = {"status": "succeeded", "result": "x" * 2000}
        asking.application.headers["/api/v1/jobs/mine/status"] = {name: value}
        answer = client.get("/api/v1/jobs/mine/stream", headers={"Authorization": "Bearer abc"})
        assert "event: complete" in answer.text


def test_the_redis_leg_reaches_redis_over_tls(tmp_path):
    with running(tmp_path / "s", "--redis-tls") as secure, secure.client() as client:
        with client.stream("GET", "/api/sse/stream") as stream:
            chunks = stream.iter_bytes()
            text = next(chunks)
            wait_until(lambda: "spools:updates" in secure.redis("PUBSUB", "CHANNELS"), 10)
            secure.redis("PUBLISH", "spools:updates", '{"timestamp":"over tls"}')
            while b"over tls" not in text:
                text += next(chunks)


def test_the_redis_leg_refuses_a_certificate_of_an_unknown_ca(tmp_path, system):
    more = ("--redis-tls", "--wait", "alive", "--nginx-set", f"TG_REDIS_CA={system.facts['ca_file']}")
    with running(tmp_path / "s", *more) as refused:
        log = Path(refused.facts["log_dir"]) / "nginx-error.log"
        wait_until(lambda: "certificate verify error" in log.read_text(), 10)
        assert "readyz" not in refused.redis("CLIENT", "LIST")
        with refused.client() as client:
            assert client.get("/readyz").status_code == 503
