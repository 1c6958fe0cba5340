"""Searches all files, metrics and processes of a running system for secrets."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from support.application import Application
from support.clients import dial, fetch, open_stream, send
from support.publishers import Blog, Builder
from support.seals import seal
from support.stack import DEPLOY, ROOT, Stack
from support.waiting import wait_until

SESSION = "5e55-10n-0f-a11ce-5e5510"
REDIS_PASSWORD = "r3d15-pa55w0rd"
RELEASE = ROOT / "build/release/tailgate"


# ---- the search ----------------------------------------------------------------------------------------


def secrets_of(stack, tokens):
    """The texts to search for: payloads and signatures of the tokens, the session, the keys, the password."""
    providers = json.loads((stack.dir / "stack.json").read_text())["providers"]
    found = [SESSION, SESSION.upper(), REDIS_PASSWORD]
    found += [entry["secret"] for entry in providers.values() if "secret" in entry]
    found += [part for token in tokens for part in token.split(".")[1:] if len(part) > 20]
    found += Path(stack.facts["identity_key_file"]).read_text().split()
    # The beginning of a sealed identity's payload, which is the same in each identity of this user.
    found += [seal(stack, "job", "j", user="alice")["X-Tailgate-Identity"].split(".")[1][:12]]
    return found


def files_of(stack):
    """All files of the system except those that must contain secrets: keys, certificates, stack.json, and the
    configuration and data of Redis."""
    kept = ("keys", "tls", "redis", "stack.json", "redis.conf")
    for folder in (stack.dir, stack.run_dir):
        for path in folder.rglob("*"):
            if path.is_file() and path.relative_to(folder).parts[0] not in kept:
                yield path


def processes_of(stack):
    """The command lines of all processes, and the environments of the nginx processes, by path in /proc."""
    pids = stack.facts["pids"]
    texts = {}
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                texts[f"/proc/{name}/cmdline"] = Path(f"/proc/{name}/cmdline").read_text(errors="replace")
    nginx = [pids["nginx"], *children(pids["nginx"])]
    for pid in nginx:
        texts[f"/proc/{pid}/environ"] = Path(f"/proc/{pid}/environ").read_text(errors="replace")
    return texts


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_clean(stack, tokens):
    secrets = secrets_of(stack, tokens)
    texts = {str(path): path.read_text(errors="replace") for path in files_of(stack)}
    names = {Path(name).name for name in texts}
    assert {"gateway-0.log", "nginx-access.log", "nginx.conf"} <= names, "the most important files were not searched"
    texts.update(processes_of(stack))
    with contextlib.suppress(OSError):
        texts.update({path: stack.ops(path)[1] for path in ("/metrics", "/healthz", "/readyz")})
    for name, text in texts.items():
        for secret in secrets:
            at = text.find(secret)
            assert at < 0, f"{name}: ...{text[max(0, at - 200):at + 80]!r}"


# ---- requests with secrets -------------------------------------------------------------------------------


def requests_with_secrets(tokens, job):
    """Yields (path, headers) of requests with a secret in the query or in a header.  The paths are those of routes, of
    the application and of nginx."""
    for token in tokens:
        for query, headers in (
            (f"?token={token}", {}),
            (f"?token={token}&sessionId={SESSION}", {"Accept": "text/event-stream"}),
            ("", {"Authorization": f"Bearer {token}", "x-session-id": SESSION}),
            (f"?sessionid={SESSION}", {"Cookie": f"accessToken={token}", "Referer": f"https://a.test/?token={token}"}),
        ):
            for path in (f"/api/v1/jobs/{job}/stream", f"/api/v1/jobs/{job}/stream/", f"/api/jobs/{job}/stream",
                         f"/api/jobs/{job}/logs", "/api/sse/stream", "/application", "/healthz", "/_tailgate/auth",
                         f"//api//v1/jobs/{job}/stream", f"/api/v1/jobs/{job}%2fx/stream"):  # fmt: skip
                yield path + query, headers


def ask_all(stack, tokens, job, disconnect=False):
    """Sends all requests with secrets, 20 at a time.  `disconnect`: does not wait for the answers."""
    asked = list(requests_with_secrets(tokens, job))
    for begin in range(0, len(asked), 20):
        answers = []
        for number, (path, headers) in enumerate(asked[begin : begin + 20]):
            http, via = (("1.1", "plain"), ("1.1", "tls"), ("2", "tls"))[number % 3]
            answers.append(send(stack, path, headers=headers, http=http, via=via))
        for number, answer in enumerate(answers):
            if disconnect:
                (answer.reset, answer.close, answer.half_close)[number % 3]()
            else:
                with contextlib.suppress(AssertionError):
                    answer.wait_head(timeout=12)
            answer.close()


def raw(stack, *pieces, pause=0.0):
    """Sends bytes to nginx and reads the answer to its end."""
    with contextlib.suppress(OSError), dial(stack, "plain") as link:
        for piece in pieces:
            link.sendall(piece.encode("latin-1"))
            time.sleep(pause)
        link.settimeout(1)
        while link.recv(65536):
            pass


def ask_badly(stack, token, job):
    """Sends requests that nginx refuses: malformed, incomplete or too large ones."""
    line = f"GET /api/v1/jobs/{job}/stream?token={token}&sessionId={SESSION}"
    host = "Host: localhost\r\n"
    secret = f"Authorization: Bearer {token}\r\nCookie: accessToken={token}\r\nx-session-id: {SESSION}\r\n"
    for text in (
        line + "x" * 70000 + f" HTTP/1.1\r\n{host}\r\n",  # 414
        f"{line} HTTP/1.1\r\n{host}{secret}X-Long: {'x' * 70000}\r\n\r\n",  # 431
        f"{line} HTTP/1.1\r\n{host}" + secret * 40 + "\r\n",  # 431
        f"{line} HTTP/9.9\r\n{host}\r\n",
        f"{line} HTTP/1.1\r\n{secret}\r\n",  # no host
        f"{line} HTTP/1.1\r\nHost: a b\r\n\r\n",
        f"{line} HTTP/1.1\r\n{host}bad header {token}\r\n\r\n",
        f"{line} HTTP/1.1\r\n{host}Content-Length: {token}\r\n\r\n",
        f"{line} HTTP/1.1\r\n{host}Content-Length: 99999999\r\n\r\n",  # 413
        f"{line} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{token}\r\n",
        f"{line}\x00 HTTP/1.1\r\n{host}\r\n",
        line.replace("GET", "GE?T") + f" HTTP/1.1\r\n{host}\r\n",
        line.replace("GET", "TRACE") + f" HTTP/1.1\r\n{host}\r\n",
        line.replace("GET", "CONNECT") + f" HTTP/1.1\r\n{host}\r\n",
        line.replace("GET ", "GET http://localhost") + f" HTTP/1.1\r\n{host}\r\n",
        line.replace("/api", "/../../api") + f" HTTP/1.1\r\n{host}\r\n",
        line.replace("/api", "/%zz") + f" HTTP/1.1\r\n{host}\r\n",
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{token}",
        f"{token}\r\n\r\n",
    ):
        raw(stack, text)
    raw(stack, line, f" HTTP/1.1\r\n{host}{secret}", pause=0.05)  # an incomplete request
    body = f'{{"token":"{token}"}}' * 400
    raw(stack, f"POST /application?token={token} HTTP/1.1\r\n{host}Content-Length: {len(body)}\r\n\r\n{body}")
    raw(
        stack,
        f"POST /api/v1/jobs/{job}/stream?token={token} HTTP/1.1\r\n{host}Content-Length: {len(body)}\r\n\r\n{body}",
    )


class FakeServer:
    """A server on a unix socket that sends `answer` to each client and closes the connection."""

    def __init__(self, path, answer):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.answer = answer
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), link:
                link.recv(65536)
                link.sendall(self.answer)

    def close(self):
        self.listener.close()


@contextlib.contextmanager
def replaced_by_fake(path, answer):
    """Puts a FakeServer in the place of the socket `path`."""
    os.rename(path, path + ".away")
    server = FakeServer(path, answer)
    try:
        yield
    finally:
        server.close()
        os.unlink(path)
        os.rename(path + ".away", path)


@pytest.fixture
def stack_with_application(tmp_path_factory, private_stack):
    application = Application(tmp_path_factory.mktemp("application") / "a.sock")
    application.answers["/application"] = (200, {})
    stack = private_stack(
        application=application.url,
        redis_conf=[f"user tailgate on >{REDIS_PASSWORD} ~* &* +@all"],
        gateway_redis=f"unix://tailgate:{REDIS_PASSWORD}@{{run}}/redis.sock",
    )
    stack.application = application
    yield stack
    application.close()


def tokens_of(stack):
    made = [("blog", None), ("builder", None), ("blog", "expired")]
    return [stack.token(provider, "alice", broken=broken) for provider, broken in made]


@pytest.mark.short_form
def test_no_failure_leaks_a_secret_into_a_file_metric_or_process(stack_with_application, job):
    stack, tokens = stack_with_application, tokens_of(stack_with_application)
    Builder(stack.redis, job).create()
    Blog(stack.redis, job, "alice", SESSION).create("running")
    ask_all(stack, tokens, job)
    ask_all(stack, tokens, job, disconnect=True)
    for token in tokens:
        ask_badly(stack, token, job)
    assert_clean(stack, tokens)

    streams, auth = stack.gateway_socket, stack.auth_socket
    for victim in (streams, auth):
        for answer in (b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx", b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20000 + b"\r\n\r\n"):  # fmt: skip
            with replaced_by_fake(victim, answer):
                ask_all(stack, tokens[:1], job, disconnect=True)
                for path in (f"/api/v1/jobs/{job}/stream", f"/api/jobs/{job}/stream", "/api/sse/stream"):
                    # If the answer is not HTTP, nginx passes it on as HTTP/0.9, without a head.
                    with contextlib.suppress(AssertionError, IndexError):
                        open_stream(
                            stack, f"{path}?token={tokens[0]}", headers={"x-session-id": SESSION}, timeout=3
                        ).close()
    assert_clean(stack, tokens)

    os.kill(stack.redis_pid, signal.SIGKILL)
    open_stream(stack, f"/api/v1/jobs/{job}/stream?token={tokens[0]}&sessionId={SESSION}", timeout=10).close()
    os.kill(stack.gateway_pid, signal.SIGSTOP)  # a stalled gateway, so that nginx reaches its timeouts
    try:
        ask_all(stack, tokens[:1], job, disconnect=True)
        answers = [
            send(stack, f"{path}?token={tokens[0]}&sessionId={SESSION}")
            for path in (f"/api/v1/jobs/{job}/stream", "/api/sse/stream")
        ]
        with contextlib.suppress(AssertionError):
            answers[0].wait_head(timeout=15)
    finally:
        os.kill(stack.gateway_pid, signal.SIGCONT)
    assert_clean(stack, tokens)

    os.kill(stack.gateway_pid, signal.SIGKILL)
    stack.application.close()
    ask_all(stack, tokens[:1], job)  # nginx cannot connect
    for path in (streams, auth, stack.application.server_address):
        os.unlink(path)
    ask_all(stack, tokens[:1], job)  # the sockets are missing
    for token in tokens:
        ask_badly(stack, token, job)
    assert_clean(stack, tokens)
    for pid in [stack.nginx_pid, *children(stack.nginx_pid)]:
        assert "JWT_SECRET" not in Path(f"/proc/{pid}/environ").read_text()


def test_no_failure_of_the_status_endpoint_leaks_a_secret(tmp_path_factory, private_stack, job):
    application = Application(tmp_path_factory.mktemp("application") / "a.sock")
    stack = private_stack(config=DEPLOY / "blog-application.toml", application=application.url)
    token = (
        "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VySWQiOiJhbGljZSBvZiB0aGUgYXBwbGljYXRpb24ifQ.c2lnbmF0dXJlIG9mIHRoZSBhcHBsaWNhdGlvbg"
    )
    path = f"/api/v1/jobs/{job}/stream"
    ways = [
        (f"?token={token}&sessionId={SESSION}", {}),
        ("", {"Authorization": f"Bearer {token}", "x-session-id": SESSION, "Cookie": f"accessToken={token}"}),
    ]

    def ask():
        answers = [
            send(stack, path + query, headers=headers, via=via, http=http)
            for query, headers in ways
            for via, http in (("tls", "2"), ("plain", "1.1"), ("gateway", "1.1"))
        ]
        for answer in answers:
            answer.wait_head(timeout=10)
            answer.close()

    for answer in (
        (200, {"status": "running"}),
        (401, {}),
        (403, {}),
        (404, {}),
        (429, {}),
        (500, "oops"),
        (302, ""),
        (200, "no JSON"),
    ):
        application.answers[f"/api/v1/jobs/{job}/status"] = answer
        ask()
    application.answers[f"/api/v1/jobs/{job}/status"] = None  # stalls
    ask()
    assert any(
        token in headers.get("authorization", "") for _, headers in application.asked
    ), "the application gets the token"
    address = application.server_address
    application.close()
    ask()  # nginx cannot connect
    os.unlink(address)
    ask()  # the sockets are missing
    assert len(stack.logs("stream.closed")) > 5
    assert_clean(stack, [token])


# ---- the process itself ------------------------------------------------------------------------------------


@pytest.fixture
def open_folder():
    """A folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tailgate-user-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def unprivileged(open_folder):
    """(stack, process, folder): a gateway that runs as `nobody` without any capability, its folder, and the stack whose
    Redis it uses."""
    if os.getuid() != 0:
        pytest.skip("not here: only root can start a process as another user")
    stack = Stack.up(open_folder / "s", redis_conf=["unixsocketperm 777"])
    process = None
    try:
        stack.run_dir.chmod(0o711)
        own = open_folder / "own"
        own.mkdir(mode=0o700)
        binary = shutil.copy(RELEASE, own / "tailgate")
        secret = own / "jwt-secret"
        secret.write_text("the-secret-that-only-nobody-reads")
        secret.chmod(0o400)
        for path in (own, *own.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        (open_folder / "gateway.toml").write_text((DEPLOY / "all-three.toml").read_text())
        settings = {
            "provider.clerk.jwks": json.dumps(f"file:{own}/none.json"), "provider.blog.secret_file": str(secret),
            "drain.settle_s": 0.1, "drain.deadline_s": 3,
            "listen.streams": f"unix:{own}/s.sock", "listen.auth": f"unix:{own}/a.sock", "listen.ops": f"unix:{own}/o.sock",
        }  # fmt: skip
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
                   "--inh-caps=-all", "--", binary, "--config", open_folder / "gateway.toml"]  # fmt: skip
        command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        env = {"PATH": os.environ["PATH"], "TAILGATE_REDIS_URL": stack.facts["redis_url"], "TAILGATE_IDENTITY_KEY_FILE": str(own / "identity.key"),
               "CLERK_PUBLISHABLE_KEY": "pk_test_Y2xlcmsuZXhhbXBsZS5jb20k"}  # fmt: skip
        # No limit, so that only the gateway itself prevents a core dump.
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        with open(open_folder / "log", "wb") as log:
            process = subprocess.Popen(list(map(str, command)), env=env, stdout=log, stderr=log, cwd=own,
                                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited))  # fmt: skip
        stack.facts["gateway_sockets"], stack.facts["auth_sockets"] = [str(own / "s.sock")], [str(own / "a.sock")]
        stack.facts["identity_key_file"] = str(own / "identity.key")
        wait_until(lambda: process.poll() is not None or (own / "o.sock").exists(), 10, "the gateway listens")
        assert process.poll() is None, (open_folder / "log").read_text()
        yield stack, process, own
    finally:
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        stack.down()


def status_of(pid):
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}


@pytest.mark.release  # a sanitizer needs to read the process like a debugger
def test_the_gateway_runs_as_an_unprivileged_user(unprivileged, job):
    stack, process, own = unprivileged
    status = status_of(process.pid)
    assert set(status["Uid"].split()) == {"65534"} and set(status["Gid"].split()) == {"65534"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert (own / "identity.key").stat().st_mode & 0o777 == 0o600
    worker = Builder(stack.redis, job).create()
    path = f"/api/jobs/{job}/events/stream"
    identity = seal(stack, "events", job, user="alice")
    stream = open_stream(stack, path, headers=identity, via="gateway")
    assert stream.status == 200
    stack.wait_subscribed(worker.channel)
    payload = worker.publish("snapshot.updated")
    assert stream.next_event().data == payload
    assert fetch(stack, path, via="gateway").status == 401
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.release  # a sanitizer needs to read the process like a debugger
def test_its_own_user_cannot_read_the_memory_of_the_gateway_and_a_crash_leaves_no_core(unprivileged):
    stack, process, own = unprivileged
    same_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
    for file in ("environ", "mem", "maps"):
        done = subprocess.run(
            [*same_user, "head", "-c", "1", f"/proc/{process.pid}/{file}"], capture_output=True, check=False
        )
        assert (file, done.returncode != 0, done.stdout) == (file, True, b"")
    done = subprocess.run(
        [*same_user, "head", "-c", "1", "/proc/self/environ"], env={"A": "B"}, capture_output=True, check=False
    )
    assert done.stdout == b"A", "a process can read its own environment"
    assert b"nobody-reads" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    before = set(own.iterdir())
    process.send_signal(signal.SIGABRT)
    _, ended = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    assert os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGABRT
    assert not os.WCOREDUMP(ended) and set(own.iterdir()) == before
    assert stack.redis.ping()
