"""The exact bytes of answers that are no streams: errors, CORS, and the gateway's own listeners.

support/golden.py explains how to write the golden files again.  support/routes.py names the routes.
"""

from support.clients import sealed
from support.golden import Transcript
from support.golden_jobs import END_ID, EVENT_SOURCE, ORIGIN
from support.publishers import Blog, Builder


# ---- errors -------------------------------------------------------------------

BROKEN = "alg-none early expired hs-confusion issuer kid malformed other-key signature subject azp truncated".split()


def broken_bearer(stack, how):
    """The header with a token that has the given defect.  This function makes the defects "signature" and "truncated"
    itself: mint-token changes the last characters of the signature, and only sometimes is the result valid base64."""
    if how not in ("signature", "truncated"):
        return stack.bearer(broken=how)
    text, _, signature = stack.token().rpartition(".")
    changed = ("B" if signature[0] == "A" else "A") + signature[1:]
    truncated = signature[: len(signature) // 4 * 4 - 3]
    return {"Authorization": f"Bearer {text}.{changed if how == 'signature' else truncated}"}


PATHS = [
    ("R1", "/api/jobs/{}/events/stream"),
    ("R2", "/api/jobs/{}/stream"),
    ("R3", "/api/jobs/{}/logs/stream"),
    ("R4", "/api/jobs/{}/logs"),
    ("R6", "/api/v1/jobs/{}/stream"),
]


def headers_of(stack, path, user="alice"):
    return stack.bearer(user, "blog" if "/v1/" in path else "builder")


def test_401_answers_match_their_golden_file(stack):
    book = Transcript(stack, "401")
    for route, path in PATHS:
        book.fetch(f"{route}: no token", path.format("j"))
    book.fetch("R1: an EventSource without a token", PATHS[0][1].format("j"), headers=EVENT_SOURCE)
    for broken in BROKEN:
        book.fetch(f"broken token: {broken}", PATHS[1][1].format("j"), headers=broken_bearer(stack, broken))
    book.fetch("an empty token", PATHS[1][1].format("j"), headers={"Authorization": "Bearer"})
    book.fetch("another authentication scheme", PATHS[1][1].format("j"), headers={"Authorization": "Basic YTpi"})
    blog = PATHS[4][1].format("j")
    book.fetch("R6: a bad token in the query", blog, params={"token": "x"}, headers={"x-session-id": "s"})
    book.fetch("R6: a bad cookie", blog, headers={"Cookie": "accessToken=x"})
    book.fetch("R6: an expired token", blog, headers=stack.bearer("alice", "blog", broken="expired"))
    book.fetch(
        "R6: a token with another key's signature", blog, headers=stack.bearer("alice", "blog", broken="other-key")
    )
    book.compare()


def test_404_answers_match_their_golden_file(stack):
    book = Transcript(stack, "404")
    Builder(stack.redis, "hers", "bob").create()
    Blog(stack.redis, "hers", user="bob").create()
    for route, path in PATHS:
        book.fetch(f"{route}: unknown job", path.format("none"), headers=headers_of(stack, path))
        book.fetch(f"{route}: another user's job", path.format("hers"), headers=headers_of(stack, path))
        book.fetch(f"{route}: invalid id", path.format("a%20b"), headers=headers_of(stack, path))
    book.fetch("an id that is too long", "/api/jobs/" + "x" * 129 + "/stream", headers=stack.bearer())
    stack.redis.set("job:text", "no hash")
    book.fetch("the key of the record has the wrong type", "/api/jobs/text/stream", headers=stack.bearer())
    book.fetch("not a route: nginx answers", "/api/jobs")
    book.fetch("not a route: a request with an Origin", "/", headers={"Origin": ORIGIN})
    book.fetch("not a route: the gateway answers", "/nothing", via="gateway")
    book.compare()


def test_405_answers_match_their_golden_file(stack):
    book = Transcript(stack, "405")
    for route, path in [*PATHS, ("R5", "/api/sse/stream")]:
        book.fetch(f"{route}: POST", path.format("j"), method="POST", body=b"{}")
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FROBNICATE"):
        book.fetch(method, "/api/jobs/j/stream", method=method, headers=stack.bearer())
    book.fetch("DELETE of a page", "/api/jobs/j/logs", method="DELETE")
    book.compare()


def test_422_answers_match_their_golden_file(stack):
    """r4-pages.txt has the invalid parameters of R4."""
    book = Transcript(stack, "422")
    Builder(stack.redis, "j").create()
    for value in ("x", "", "1", "1-2-3", "-1-0", "end.x", "18446744073709551616-0", "1%zz"):
        book.fetch(f"R3: {value}", f"/api/jobs/j/logs/stream?last_event_id={value}", headers=stack.bearer())
    book.fetch(
        "R3: invalid although the header wins",
        "/api/jobs/j/logs/stream?last_event_id=x",
        headers={**stack.bearer(), "Last-Event-ID": "1-0"},
    )
    book.fetch("422 comes before 404", "/api/jobs/none/logs?limit=x", headers=stack.bearer())
    book.compare()


def test_413_and_431_answers_match_their_golden_file(stack):
    book = Transcript(stack, "other-refusals")
    book.fetch("413", "/api/jobs/j/stream", method="POST", body=b"x" * 50_000)
    book.fetch("431", "/api/jobs/j/stream", headers={"X-Large": "y" * 50_000})
    book.compare()


# ---- CORS ----------------------------------------------------------------------------------------


def test_cors_headers_match_their_golden_file(stack):
    book = Transcript(stack, "cors")
    Builder(stack.redis, "c").create("ready")
    own, other = {"Origin": ORIGIN}, {"Origin": "https://evil.example.net"}
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for route, path in [*PATHS, ("R5", "/api/sse/stream")]:
        book.fetch(f"{route}: preflight", path.format("c"), method="OPTIONS", headers={**own, **asked})
    path = "/api/jobs/c/stream"
    book.fetch(
        "preflight: an origin that matches the suffix",
        path,
        method="OPTIONS",
        headers={"Origin": "https://a.b.example.org", **asked},
    )
    book.fetch("preflight: an origin that is not allowed", path, method="OPTIONS", headers={**other, **asked})
    book.fetch("preflight: no origin", path, method="OPTIONS", headers=asked)
    book.fetch("OPTIONS without the preflight headers", path, method="OPTIONS", headers=own)
    mine = stack.bearer()
    for title, headers in (("allowed origin", own), ("other origin", other)):
        book.fetch(f"{title}: a stream", path, headers={**mine, **headers})
        book.fetch(f"{title}: a page", "/api/jobs/c/logs", headers={**mine, **headers})
        book.fetch(f"{title}: 204", path, headers={**mine, **headers, **END_ID})
        book.fetch(f"{title}: 401", path, headers=headers)
        book.fetch(f"{title}: 404", "/api/jobs/none/stream", headers={**mine, **headers})
        book.fetch(f"{title}: 405", path, method="POST", headers=headers)
        book.fetch(f"{title}: 413", path, method="POST", headers=headers, body=b"x" * 50_000)
        book.fetch(f"{title}: 422", "/api/jobs/c/logs?limit=x", headers={**mine, **headers})
    book.compare()


# ---- the gateway's own listeners -------------------------------------------------------------------------


def test_answers_of_the_auth_and_streams_listeners_match_their_golden_file(stack):
    """The answers that nginx gets from the gateway, and the answers to requests that bypass nginx."""
    book = Transcript(stack, "listeners")
    Builder(stack.redis, "l").create("ready")
    mine = stack.bearer()

    def ask(title, uri, method="GET", headers=None):
        asked = {"X-Tailgate-Uri": uri, "X-Tailgate-Method": method, **(headers or {})}
        book.fetch("/auth: " + title, "/auth", headers=asked, via="auth")

    ask("a valid token", "/api/jobs/l/stream", headers=mine)
    ask("HEAD of a page", "/api/jobs/l/logs", "HEAD", headers=mine)
    ask("a route for anyone", "/api/sse/stream")
    ask("no token", "/api/jobs/l/stream")
    for broken in BROKEN:
        ask(f"broken token: {broken}", "/api/jobs/l/stream", headers=broken_bearer(stack, broken))
    ask("POST", "/api/jobs/l/stream", "POST")
    ask("not a route", "/nothing")
    ask("an invalid id", "/api/jobs/a%20b/stream")
    ask("a session", "/api/v1/jobs/l/stream?sessionId=s")
    book.fetch("/auth without X-Tailgate headers", "/auth", via="auth")
    book.fetch("a path that is not /auth", "/other", via="auth")

    path = "/api/jobs/l/stream"
    book.fetch("a sealed identity", path, headers=sealed(stack, path, mine), via="gateway")
    book.fetch(
        "a sealed identity for another route", path, via="gateway", headers=sealed(stack, "/api/jobs/l/logs", mine)
    )
    book.fetch("no identity", path, headers=mine, via="gateway")
    book.fetch("a forged identity", path, headers={"X-Tailgate-Identity": "x"}, via="gateway")
    book.fetch("a forged verdict: 401-expired", path, headers={"X-Tailgate-Verdict": "401-expired"}, via="gateway")
    book.fetch("a forged verdict: 503-keys", path, headers={"X-Tailgate-Verdict": "503-keys"}, via="gateway")
    book.fetch("a page", "/api/jobs/l/logs", via="gateway", headers=sealed(stack, "/api/jobs/l/logs", mine))
    book.compare()


def test_answers_of_the_ops_listener_match_their_golden_file(stack):
    book = Transcript(stack, "operators")
    for path in ("/healthz", "/readyz"):
        # The body contains the process id, whose length differs.
        hide = ["Content-Length"] if path == "/readyz" else []
        book.fetch(f"{path} behind nginx", path, hide=hide)
        book.fetch(f"HEAD {path} behind nginx", path, method="HEAD", hide=hide)
        for method in ("GET", "HEAD", "POST"):
            book.fetch(f"{method} {path}", path, method=method, via="ops", hide=hide)
    book.fetch("HEAD /metrics", "/metrics", method="HEAD", via="ops", hide=["Content-Length"])
    book.fetch("POST /metrics", "/metrics", method="POST", via="ops")
    book.fetch("GET /drain", "/drain", via="ops")
    book.fetch("an unknown path", "/nothing", via="ops")
    book.compare()
