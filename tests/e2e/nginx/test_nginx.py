"""nginx in front of the gateway: rendering, pass-through, unavailable answers, canary, legs, logs."""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from support.stack import ROOT

ORIGIN = "https://app.example.com"
ENV = {
    "PATH": os.environ["PATH"],
    "REDIS_URL": "redis://localhost:6379",
    "JWT_SECRET": "0123456789abcdef0123456789abcdef",
    "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k",
}
BINARY = os.environ.get("TAILGATE_BINARY", str(ROOT / "build/release/tailgate"))


# ---- helpers --------------------------------------------------------------------------------------


def render(out, *more, config="all-three.toml", env=ENV):
    command = [ROOT / "nginx/render", "--tailgate", BINARY, "--config", ROOT / "deploy" / config, "--out", out, *more]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


class Application(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The application behind nginx.  It answers with the request that it got."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, path):
        super().__init__(str(path), Echo)
        self.begun = threading.Event()  # set when the first byte of a request body has arrived
        self.answers = {}  # path: the JSON value to answer instead of the request, or None for 404
        self.asked = {}  # path: the headers of the last request
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", self.headers["Upgrade"])
            self.send_header("Connection", "upgrade")
            self.end_headers()
            self.wfile.write(self.rfile.read(5)[::-1])
            self.close_connection = True
            return
        size = 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline(), 16):
                size += len(self.rfile.read(length))
                self.server.begun.set()
                self.rfile.readline()
            self.rfile.readline()
        else:
            size = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        seen = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked[self.path] = seen
        status, body = (
            418 if self.path == "/teapot" else 200,
            json.dumps({"method": self.command, "target": self.path, "headers": seen, "size": size}).encode(),
        )
        if self.path in self.server.answers:
            known = self.server.answers[self.path]
            status, body = (404, b"{}") if known is None else (200, json.dumps(known).encode())
        self.send_response(status)
        self.send_header("X-Application", "yes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass

    def address_string(self):
        return "-"


class System:
    def __init__(self, directory, *more):
        self.dir = directory
        self.application = Application(directory.parent / f"{directory.name}.sock")
        command = ["up", "--application", f"unix:{self.application.server_address}", "--binary", BINARY]
        command += ["--set", f'cors.origins=["{ORIGIN}", "https://*.example.org"]']
        self.facts = json.loads(self.stack(*command, *more))
        self.base = self.facts["base_url"]
        self.verify = ssl.create_default_context(cafile=self.facts["ca_file"])

    def stack(self, verb, *more):
        command = [ROOT / "scripts/stack", verb, "--dir", self.dir, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def token(self, provider="builder", subject="alice"):
        command = [ROOT / "scripts/mint-token", "--dir", self.dir, "--provider", provider, "--subject", subject]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def client(self, http2=False, base=None, **more):
        return httpx.Client(
            base_url=base or self.base, verify=self.verify, http2=http2, timeout=10, trust_env=False, **more
        )

    def redis(self, *words):
        command = ["redis-cli", "-s", self.facts["redis_socket"], *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def logs(self):
        return {path.name: path.read_text(errors="replace") for path in Path(self.facts["log_dir"]).iterdir()}

    def end(self):
        self.stack("down")
        self.application.shutdown()
        self.application.server_close()


def wait_until(happened, seconds=10):
    deadline = time.monotonic() + seconds
    while not (result := happened()):
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.02)
    return result


@contextlib.contextmanager
def running(directory, *more):
    system = System(directory, *more)
    try:
        yield system
    finally:
        system.end()


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with running(tmp_path_factory.mktemp("nginx") / "up") as started:
        yield started


@pytest.fixture(scope="module")
def no_gateway(tmp_path_factory):
    """A system whose gateway was killed; its sockets still exist."""
    with running(tmp_path_factory.mktemp("nginx") / "down") as started:
        os.kill(started.facts["pids"]["gateways"][0], signal.SIGKILL)
        with started.client() as client:
            wait_until(lambda: client.get("/api/jobs/x/stream").status_code == 503)
        yield started


# ---- rendering ------------------------------------------------------------------------------------


def test_rendering_keeps_canary_lines_and_adds_one_for_each_new_route(tmp_path):
    assert render(tmp_path, config="spools.toml").returncode == 0
    canary = tmp_path / "canary.conf"
    mine = canary.read_text().replace("100% tailgate", "7% tailgate")
    canary.write_text(mine)
    assert render(tmp_path).returncode == 0
    text = canary.read_text()
    assert text.startswith(mine)
    for route in ("events", "status", "log_stream", "log_pages", "job"):
        assert len(re.findall(rf"(?m)^split_clients.*\$tg_share_{route} ", text)) == 1


def test_tg_share_requires_tg_application(tmp_path):
    done = render(tmp_path, "--set", "TG_SHARE=events=10%")
    assert done.returncode == 2
    assert "TG_SHARE: needs TG_APPLICATION" in done.stderr


@pytest.mark.parametrize(
    "setting, sentence",
    [
        ("TG_SHARE=nothing=10%", '"nothing" is no route'),
        ("TG_SHARE=events=ten", 'must be "N%" or "cookie:NAME=VALUE"'),
        ("TG_SHARE=events=101%", 'must be "N%"'),
        ("TG_LISTEN_TLS=443;evil", "no control character, semicolon or brace"),
        ("TG_BEHIND_PROXY=maybe", "must be yes or no"),
        ("TG_STREAM_BUFFER=1k", "must be 2k to 8k"),
        ("TG_STREAM_BUFFER=16k", "must be 2k to 8k"),
        ("TG_STREAM_BUFFER=4096", "must be 2k to 8k, in whole k"),
        ("TG_APPLICATION=ftp://app", "must be http://host[:port]"),
        ("TG_NONSENSE=1", 'there is no "TG_NONSENSE"'),
    ],
)
def test_an_invalid_nginx_setting_is_reported_in_one_sentence(tmp_path, setting, sentence):
    done = render(tmp_path, "--set", "TG_APPLICATION=http://127.0.0.1:1", "--set", setting)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_the_jwks_leg_leads_to_the_host_in_the_publishable_key(tmp_path):
    assert render(tmp_path).returncode == 0
    assert "clerk.example.com" in (tmp_path / "http.conf").read_text()


def test_rendering_needs_no_secret_of_the_gateway(tmp_path):
    done = render(tmp_path, "--set", "TG_JWKS_CLERK=https://clerk.example.com", env={"PATH": ENV["PATH"]})
    assert done.returncode == 0, done.stderr


def test_a_jwks_leg_without_an_address_is_an_error(tmp_path):
    # The issuer is not an https URL, so it does not say where the keys are.
    config = tmp_path / "t.toml"
    text = (ROOT / "deploy/builder.toml").read_text()
    config.write_text(text.replace('clerk_publishable_key_env = "CLERK_PUBLISHABLE_KEY"', 'issuer = "builder"'))
    done = render(tmp_path / "out", config=config)
    assert done.returncode == 2
    assert "TG_JWKS_CLERK" in done.stderr


@pytest.mark.parametrize("example", ["builder", "spools", "blog", "blog-application"])
def test_a_stack_runs_with_each_example_configuration(tmp_path, example):
    with running(tmp_path / "s", "--config", str(ROOT / f"deploy/{example}.toml")) as alone, alone.client() as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/other").headers["X-Application"] == "yes"


# ---- paths outside the routes ---------------------------------------------------------------------


@pytest.mark.parametrize("http2", [False, True])
def test_a_request_outside_the_routes_reaches_the_application_unchanged(system, http2):
    with system.client(http2) as client:
        answer = client.request("PATCH", "/api/things/a%2Fb//c?x=1&y=%20", content=b"hello", headers={"X-Mine": "1"})
        seen = answer.json()
    assert answer.headers["X-Application"] == "yes"
    assert seen["method"] == "PATCH"
    assert seen["target"] == "/api/things/a%2Fb//c?x=1&y=%20"
    assert seen["size"] == 5
    assert seen["headers"]["x-mine"] == "1"
    assert seen["headers"]["host"] == system.base.removeprefix("https://")
    assert seen["headers"]["x-forwarded-proto"] == "https"


def test_nginx_passes_an_error_of_the_application_unchanged(system):
    with system.client() as client:
        assert client.get("/teapot").status_code == 418


def test_nginx_does_not_buffer_a_request_body_for_the_application(system):
    system.application.begun.clear()

    def body():
        yield b"a" * 1000
        assert system.application.begun.wait(5), "nginx buffers the body"
        for _ in range(30):
            yield b"b" * 100_000

    with system.client() as client:
        assert client.post("/upload", content=body()).json()["size"] == 3_001_000


def test_nginx_passes_an_upgraded_connection_in_both_directions(system):
    port = system.facts["nginx_port_plain"]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello")
        got = b""
        while not got.endswith(b"olleh"):
            got += link.recv(4096) or pytest.fail(f"closed after {got!r}")
    assert got.startswith(b"HTTP/1.1 101")


def test_without_an_application_a_path_outside_the_routes_gets_404(tmp_path):
    with running(tmp_path / "s", "--nginx-set", "TG_APPLICATION=", "--wait", "none") as alone, alone.client() as client:
        answer = client.get("/other", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_behind_an_outer_proxy_x_forwarded_proto_is_passed_on(tmp_path):
    with running(tmp_path / "s", "--nginx-set", "TG_BEHIND_PROXY=yes", "--wait", "none") as behind:
        with behind.client(base=behind.facts["plain_url"]) as client:
            seen = client.get("/x", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}).json()[
                "headers"
            ]
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"


def test_without_an_outer_proxy_x_forwarded_proto_is_overwritten(system):
    with system.client(base=system.facts["plain_url"]) as client:
        assert client.get("/x", headers={"X-Forwarded-Proto": "https"}).json()["headers"]["x-forwarded-proto"] == "http"


# ---- routes ---------------------------------------------------------------------------------------


def test_nginx_passes_healthz_and_readyz_but_no_other_ops_path(system):
    with system.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        # nginx passes these two paths to the application.
        assert client.get("/metrics").headers["X-Application"] == "yes"
        assert client.post("/drain").headers["X-Application"] == "yes"
        # The same holds for the internal locations of nginx.
        for name in ("auth", "400", "431"):
            assert client.get(f"/_tailgate/{name}").headers["X-Application"] == "yes"


@pytest.mark.parametrize("http2", [False, True])
def test_nginx_passes_a_stream_unbuffered_with_x_accel_buffering(system, http2):
    with system.client(http2) as client, client.stream("GET", "/api/sse/stream") as stream:
        assert stream.status_code == 200
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        chunks = stream.iter_bytes()
        assert next(chunks).startswith(b"retry:")
        system.redis("PUBLISH", "spools:updates", '{"timestamp":"t1"}')
        text = b""
        while b"t1" not in text:
            text += next(chunks)


@pytest.mark.parametrize("name", ["X-Tailgate-Identity", "X-Tailgate-Verdict", "X-Tailgate-Uri", "X-Tailgate-Method"])
def test_x_tailgate_headers_of_the_client_are_ignored(system, name):
    value = {"X-Tailgate-Uri": "/api/sse/stream", "X-Tailgate-Method": "OPTIONS", "X-Tailgate-Verdict": "ok"}.get(
        name, "v1.e30.AAAA"
    )
    with system.client() as client:
        answer = client.get("/api/jobs/x/events/stream", headers={name: value})
    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_a_401_through_nginx_has_one_challenge_and_the_error_body_of_its_route(system):
    with system.client() as client:
        builder = client.get("/api/jobs/x/stream", headers={"Authorization": "Bearer nonsense", "Origin": ORIGIN})
        blog = client.get("/api/v1/jobs/x/stream")
    assert builder.status_code == blog.status_code == 401
    assert len(builder.headers.get_list("WWW-Authenticate")) == 1
    assert set(builder.json()) == {"detail"}
    assert builder.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert len(builder.headers.get_list("Access-Control-Allow-Origin")) == 1
    assert blog.json()["success"] is False


def test_the_auth_sub_request_sees_a_token_in_the_query(system):
    system.redis("HSET", "jobs:q", "user_id", "42", "status", "succeeded", "result", "1")
    with system.client() as client:
        answer = client.get(f"/api/v1/jobs/q/stream?token={system.token('blog', '42')}")
    assert answer.status_code == 200
    assert "event: complete" in answer.text


def test_a_post_to_a_route_gets_405_and_one_with_a_huge_body_413(system):
    with system.client() as client:
        small = client.post("/api/sse/stream", content=b"x" * 1000)
        huge = client.post("/api/sse/stream", content=b"x" * 100_000)
    assert small.status_code == 405
    assert "GET" in small.headers["Allow"]
    assert (huge.status_code, huge.json()) == (413, {"detail": "Request body too large"})


def test_a_request_id_is_echoed_or_generated(system):
    with system.client() as client:
        assert client.get("/api/jobs/x/stream", headers={"X-Request-ID": "mine-1"}).headers["X-Request-ID"] == "mine-1"
        assert re.fullmatch(r"[0-9a-f]{32}", client.get("/api/jobs/x/stream").headers["X-Request-ID"])
        assert client.get("/api/jobs/x/stream", headers={"X-Request-ID": 'a"b'}).headers["X-Request-ID"] != 'a"b'


@pytest.mark.parametrize(
    "request_line, headers, status",
    [
        ("GET /" + "a" * 70_000 + " HTTP/1.1", "", 414),
        ("GET / HTTP/1.1", "X-Long: " + "a" * 70_000 + "\r\n", 431),
        ("GET / HTTP/9.9", "", 505),
        ("nonsense", "", 400),
    ],
)
def test_a_request_that_nginx_refuses_gets_a_json_error(system, request_line, headers, status):
    with socket.create_connection(("127.0.0.1", system.facts["nginx_port_plain"]), timeout=5) as link:
        link.sendall(f"{request_line}\r\nHost: localhost\r\n{headers}\r\n".encode())
        got = b""
        while chunk := link.recv(65536):
            got += chunk
            if b'"}' in got or b"</html>" in got:
                break
    assert f" {status} ".encode() in got.split(b"\r\n")[0]
    assert status == 505 or b'{"detail":' in got


# ---- without a gateway ----------------------------------------------------------------------------


def first_bytes(client, path, **headers):
    with client.stream("GET", path, headers=headers) as stream:
        begin = time.monotonic()
        text = b""
        for chunk in stream.iter_bytes():
            text += chunk
            if b"\n\n: " in text:
                break
        return stream, text.decode(), time.monotonic() - begin


@pytest.mark.parametrize("http2", [False, True])
def test_without_a_gateway_an_event_source_gets_an_unavailable_event_at_once(no_gateway, http2):
    with no_gateway.client(http2) as client:
        # on_unavailable is "sse" for R1.  It is "auto" for R5 and R6, which need a request like that of an EventSource.
        for path, headers in (
            ("/api/jobs/x/events/stream", {"Authorization": "Bearer x"}),
            ("/api/sse/stream", {"Accept": "text/event-stream"}),
            ("/api/v1/jobs/x/stream/?token=x", {"Accept": "text/event-stream"}),
        ):
            answer, text, seconds = first_bytes(client, path, **headers)
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Accel-Buffering"] == "no"
            assert text.startswith('retry: 3000\n\nevent: unavailable\ndata: {"reason":"down"}\n\n')
            assert seconds < 1


def test_without_a_gateway_other_clients_get_503_with_the_error_body_of_the_route(no_gateway):
    with no_gateway.client() as client:
        builder = client.get("/api/jobs/x/stream", headers={"Authorization": "Bearer x", "Accept": "text/event-stream"})
        page = client.get("/api/jobs/x/logs", headers={"Accept": "text/event-stream"})
        blog = client.get("/api/v1/jobs/x/stream", headers={"x-session-id": "s", "Accept": "text/event-stream"})
    for answer in (builder, page, blog):
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        assert answer.headers["Content-Type"] == "application/json"
    assert set(builder.json()) == set(page.json()) == {"detail"}
    assert blog.json()["success"] is False


def test_without_a_gateway_only_allowed_origins_may_read_the_answer(no_gateway):
    with no_gateway.client() as client:
        for origin in (ORIGIN, "https://a.b.example.org"):
            answer = client.get("/api/jobs/x/logs", headers={"Origin": origin})
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            preflight = client.options("/api/jobs/x/events/stream", headers=asked)
            assert preflight.status_code == 204
            assert "authorization" in preflight.headers["Access-Control-Allow-Headers"].lower()
            assert preflight.headers["Access-Control-Max-Age"] == "86400"
        for origin in (
            "https://example.org",
            "https://evil-example.org",
            "https://app.example.com.evil",
            "null",
            ORIGIN + "/",
        ):
            answer = client.get("/api/jobs/x/logs", headers={"Origin": origin})
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_without_a_gateway_readyz_gets_503_and_the_application_still_answers(no_gateway):
    with no_gateway.client() as client:
        assert client.get("/readyz").status_code == 503
        assert client.get("/x").headers["X-Application"] == "yes"


@pytest.mark.slow
def test_an_unavailable_answer_of_nginx_stays_open_for_a_random_time_of_10_to_25_s(no_gateway):
    def seconds(_):
        with no_gateway.client() as client:
            begin = time.monotonic()
            client.get("/api/jobs/x/events/stream", timeout=40)
            return time.monotonic() - begin

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(12) as pool:
        times = list(pool.map(seconds, range(12)))
    assert 9.5 <= min(times) and max(times) <= 25.5
    assert max(times) - min(times) > 2


@pytest.mark.slow
def test_a_stalled_gateway_causes_an_unavailable_event_with_reason_auth(tmp_path):
    with running(tmp_path / "s") as stalled:
        os.kill(stalled.facts["pids"]["gateways"][0], signal.SIGSTOP)
        try:
            with stalled.client() as client:
                _, text, _ = first_bytes(
                    httpx.Client(base_url=stalled.base, verify=stalled.verify, timeout=30), "/api/jobs/x/events/stream"
                )
                assert '{"reason":"auth"}' in text
                assert client.get("/x").status_code == 200
        finally:
            os.kill(stalled.facts["pids"]["gateways"][0], signal.SIGCONT)


# ---- the logs -------------------------------------------------------------------------------------


def test_no_log_contains_a_query_string_or_a_credential(tmp_path):
    secret = "s3cr3t-t0k3n"
    with running(tmp_path / "s") as leaky:
        wanted = [
            (f"/api/v1/jobs/x/stream?token={secret}", {"Authorization": f"Bearer {secret}"}),
            (f"/api/v1/jobs/x/stream?sessionId={secret}", {"x-session-id": secret, "Cookie": f"accessToken={secret}"}),
            (f"/api/sse/stream?{secret}=1", {"Accept": "application/json"}),
            (f"/application?token={secret}", {"Referer": f"https://x/?token={secret}"}),
            (f"/{'a' * 70_000}?token={secret}", {}),
        ]

        def ask():
            for path, headers in wanted:
                with contextlib.suppress(httpx.HTTPError), leaky.client() as client:
                    with client.stream("GET", path, headers=headers, timeout=1) as stream:
                        next(stream.iter_bytes(), b"")

        ask()
        os.kill(leaky.facts["pids"]["gateways"][0], signal.SIGKILL)
        ask()  # nginx cannot connect
        for path in leaky.facts["gateway_sockets"] + leaky.facts["auth_sockets"] + [leaky.application.server_address]:
            Path(path).unlink()
        ask()  # the sockets are missing
        wait_until(lambda: leaky.logs()["nginx-access.log"].count("\n") >= 3 * len(wanted))
        for name, text in leaky.logs().items():
            assert secret not in text, f"{name} contains the secret"


def test_the_access_log_is_json_with_route_verdict_and_path(system):
    with system.client() as client:
        client.get("/api/jobs/logged/stream?token=x", headers={"X-Request-ID": "logged-1"})
    access = Path(system.facts["access_log"])

    def line():
        return next(
            (entry for entry in map(json.loads, access.read_text().splitlines()) if entry["request_id"] == "logged-1"),
            None,
        )

    entry = wait_until(line)
    assert entry["path"] == "/api/jobs/logged/stream"
    assert entry["route"] == "status"
    assert entry["verdict"].startswith("401-")
    assert entry["status"] == "401"


# ---- the canary -----------------------------------------------------------------------------------


def test_one_canary_line_and_a_reload_move_a_route_to_the_application_and_back(tmp_path):
    with running(tmp_path / "s") as canary, canary.client() as client:
        line = Path(canary.facts["nginx_dir"]) / "canary.conf"

        def served_by(path="/api/sse/stream", **more):
            with canary.client() as fresh, fresh.stream("GET", path, **more) as stream:
                return "application" if "X-Application" in stream.headers else "tailgate"

        assert served_by() == "tailgate"
        text = line.read_text()
        changed = re.sub(r"(?m)^split_clients (.*\$tg_share_spools) .*$", r"split_clients \1 { * application; }", text)
        assert changed != text
        line.write_text(changed)
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by() == "application")
        assert client.get("/api/jobs/x/stream").status_code == 401  # the other routes stay

        cookie = 'map $cookie_tailgate $tg_share_spools { "1" tailgate; default application; }'
        line.write_text(re.sub(r"(?m)^split_clients .*\$tg_share_spools .*$", cookie, changed))
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by(headers={"Cookie": "tailgate=1"}) == "tailgate")
        assert served_by() == "application"

        line.write_text(text)
        canary.stack("reload", "nginx")
        wait_until(lambda: served_by() == "tailgate")


def test_a_canary_splits_the_clients_and_each_client_stays_on_its_side(tmp_path):
    more = ("--nginx-set", "TG_SHARE=spools=50% job=cookie:beta=yes")
    with running(tmp_path / "s", *more) as canary, canary.client() as client:

        def served_by_application(agent):
            with client.stream("GET", "/api/sse/stream", headers={"User-Agent": agent}) as stream:
                return "X-Application" in stream.headers

        first = [served_by_application(f"browser {n}") for n in range(40)]
        assert 8 <= sum(first) <= 32
        assert [served_by_application(f"browser {n}") for n in range(40)] == first
        assert client.get("/api/v1/jobs/x/stream").headers.get("X-Application") == "yes"
        assert client.get("/api/v1/jobs/x/stream", headers={"Cookie": "beta=yes"}).status_code == 401


# ---- several gateways -----------------------------------------------------------------------------


def test_all_requests_for_one_path_go_to_the_same_gateway(tmp_path):
    with running(tmp_path / "s", "--instances", "3") as several, several.client() as client:
        paths = [f"/api/jobs/j{n}/stream" for n in range(20)] * 2
        for path in paths:
            client.get(path)
        access = Path(several.facts["access_log"])
        wait_until(lambda: access.read_text().count("/api/jobs/j") == len(paths))
        seen = {}
        for entry in map(json.loads, access.read_text().splitlines()):
            if entry["route"] == "status":
                seen.setdefault(entry["path"], set()).add(entry["upstream"])
    assert len(seen) == 20
    assert all(len(where) == 1 for where in seen.values())
    assert len(set.union(*seen.values())) > 1


def test_nginx_skips_a_dead_gateway(tmp_path):
    with running(tmp_path / "s", "--instances", "2") as several, several.client() as client:
        os.kill(several.facts["pids"]["gateways"][0], signal.SIGKILL)
        assert {client.get(f"/api/jobs/j{n}/stream").status_code for n in range(20)} == {401}


# ---- outward legs ---------------------------------------------------------------------------------


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

            wait_until(lambda: status() == 200)
            assert server.RequestHandlerClass.asked[0] == ("/.well-known/jwks.json", f"localhost:{port}", None)
        before = len(server.RequestHandlerClass.asked)
        # Without TG_CA_FILE nginx does not trust the certificate.
        with running(tmp_path / "b", *leg_options(port), "--wait", "alive") as bad, bad.client() as client:
            answer = client.get("/api/jobs/x/stream", headers={"Authorization": f"Bearer {system.token()}"})
            assert answer.status_code == 503
            log = Path(bad.facts["log_dir"]) / "nginx-error.log"
            wait_until(lambda: "certificate verify error" in log.read_text())
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


def test_the_redis_leg_reaches_redis_over_tls(tmp_path):
    with running(tmp_path / "s", "--redis-tls") as secure, secure.client() as client:
        with client.stream("GET", "/api/sse/stream") as stream:
            chunks = stream.iter_bytes()
            text = next(chunks)
            wait_until(lambda: "spools:updates" in secure.redis("PUBSUB", "CHANNELS"))
            secure.redis("PUBLISH", "spools:updates", '{"timestamp":"over tls"}')
            while b"over tls" not in text:
                text += next(chunks)


def test_the_redis_leg_refuses_a_certificate_of_an_unknown_ca(tmp_path, system):
    more = ("--redis-tls", "--wait", "alive", "--nginx-set", f"TG_REDIS_CA={system.facts['ca_file']}")
    with running(tmp_path / "s", *more) as refused:
        log = Path(refused.facts["log_dir"]) / "nginx-error.log"
        wait_until(lambda: "certificate verify error" in log.read_text())
        assert "readyz" not in refused.redis("CLIENT", "LIST")
        with refused.client() as client:
            assert client.get("/readyz").status_code == 503


# ---- the stack itself -----------------------------------------------------------------------------


def test_a_stack_leaves_no_process_behind_and_can_be_ended_twice(tmp_path):
    with running(tmp_path / "s") as stack:
        pids = stack.facts["pids"]
        everyone = [pids["redis"], pids["nginx"], *pids["gateways"]]
        assert all(Path(f"/proc/{pid}").exists() for pid in everyone)
        stack.stack("down")
        assert not (tmp_path / "s").exists()
        alive = [
            pid
            for pid in everyone
            if Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()
        ]
        assert alive == []


def test_a_stack_restarts_after_its_nginx_was_killed(tmp_path):
    with running(tmp_path / "s") as stack:
        os.kill(stack.facts["pids"]["nginx"], signal.SIGKILL)
        again = json.loads(stack.stack("restart", "nginx", "redis", "gateway"))
        assert again["base_url"] == stack.base
        with stack.client() as client:
            assert client.get("/readyz").status_code == 200
