"""The requests that nginx passes to the application, and those that it passes to the gateway."""

import re
import socket

import pytest

from support.nginx_system import ORIGIN, running


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


@pytest.mark.parametrize("outer", ["yes", "no"])
def test_the_application_gets_forwarded_only_from_an_outer_proxy(tmp_path, outer):
    sent = "for=6.6.6.6;proto=http;host=evil"
    with running(tmp_path / "s", "--nginx-set", f"TG_BEHIND_PROXY={outer}", "--wait", "none") as behind:
        with behind.client(base=behind.facts["plain_url"]) as client:
            seen = client.get("/x", headers={"Forwarded": sent}).json()["headers"]
    assert seen.get("forwarded") == (sent if outer == "yes" else None)


# ---- routes ---------------------------------------------------------------------------------------


def test_nginx_passes_healthz_and_readyz_but_no_other_ops_path(system):
    with system.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        # nginx passes these two paths to the application.
        assert client.get("/metrics").headers["X-Application"] == "yes"
        assert client.post("/drain").headers["X-Application"] == "yes"
        # nginx passes the paths of its internal locations to the application, too.
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
