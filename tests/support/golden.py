"""Golden files: the exact output of the gateway and of nginx.  A test fails if the output changes.

A test builds a text and compares it with `tests/e2e/golden/<name>.txt`.  If they differ, the test fails and shows a
unified diff.  If the change is intended, run the tests once with TAILGATE_WRITE_GOLDEN=1, which writes the files,
and review `git diff`:

    TAILGATE_WRITE_GOLDEN=1 scripts/run-tests --binary build/release/tailgate -- -k golden
"""

import difflib
import os
import re
from pathlib import Path

from support import clients

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests/e2e/golden"
WRITE = os.environ.get("TAILGATE_WRITE_GOLDEN") == "1"
HOW_TO_WRITE = "if this change is intended, run the test with TAILGATE_WRITE_GOLDEN=1 and review the diff"


def compare(name, text):
    """Fails unless `golden/<name>.txt` holds exactly `text`; with TAILGATE_WRITE_GOLDEN=1, writes it instead."""
    path = FOLDER / f"{name}.txt"
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        return
    if not path.exists():
        raise AssertionError(f"{path.relative_to(ROOT)} is missing; {HOW_TO_WRITE}")
    wanted = path.read_bytes().decode()
    if text != wanted:
        lines = difflib.unified_diff(
            wanted.split("\n"), text.split("\n"), f"golden/{name}.txt", "actual output", lineterm=""
        )
        raise AssertionError("\n".join([f"{HOW_TO_WRITE}:", *lines]))


# ---- values that differ from run to run -----------------------------------------------------------------------

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VARIABLE = [
    (re.compile(pattern, re.MULTILINE), shown)
    for pattern, shown in (
        (r"eyJ[\w-]*\.[\w-]*\.?[\w-]*", "<token>"),
        (r"^(. Host: localhost:)\d+$", r"\1<port>"),
        (r"^(. Server: nginx/)[\d.]+$", r"\1<version>"),
        (r"^(. Date: )[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$", r"\1<date>"),
        (r"^(. X-Request-ID: )[0-9a-f]{32}$", r"\1<32 hexadecimal digits>"),
        (r"^(. X-Tailgate-Identity: )[\w.+/=-]{60,}$", r"\1<sealed identity>"),
        (r"^(. Retry-After: )[1-5]$", r"\1<1 to 5>"),
        (r"^(\| retry: )(?!3000$)([1-9]\d{3}|1[0-4]\d{3}|15000)$", r"\1<1000 to 15000>"),
        (rf'("connectionId":"){UUID}"', r'\1<uuid>"'),
        (r"^(\| : ping - )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$", r"\1<ISO time>"),
        (r'("pid":)\d+', r"\1<pid>"),
    )
]
# Visible substitutes for characters that an editor or git does not show.
PICTURES = {code: chr(0x2400 + code) for code in range(32) if code != 10} | {127: "␡", 0x2028: "<U+2028>"}


def without_variables(text):
    """`text` with placeholders for values that differ from run to run, and with control characters made visible."""
    text = text.translate(PICTURES)
    text = re.sub("[\udc80-\udcff]", lambda byte: f"<byte {ord(byte[0]) - 0xDC00:02x}>", text)
    for pattern, shown in VARIABLE:
        text = pattern.sub(shown, text)
    return text


# ---- exchanges with a server ----------------------------------------------------------------------------


class Transcript:
    """The requests that one test sends and the answers to them, as a text for `compare`.

    A line that begins with "> " is from the request, "< " from the head of the answer, and "|" from its body, with
    chunked encoding removed.  The last line says how the answer ended: "= end" (as the protocol requires), "= cut"
    (the connection closed early), "= open" (the stream is still open) or "= and so on" (the rest is not recorded).
    """

    def __init__(self, stack, name):
        self.stack = stack
        self.name = name
        self._exchanges = []

    def send(self, title, path, *, blocks=None, hide=(), **more):
        """Sends a request like `clients.send` and records it.  If `blocks` is given, only that many blocks of the
        body are recorded.  `hide` names headers whose values differ from run to run."""
        stream = clients.send(self.stack, path, **more)
        self._exchanges.append((title, path, more, stream, blocks, hide))
        return stream

    def open(self, title, path, **more):
        """Sends a request and waits for the head of the answer."""
        return self.send(title, path, **more).wait_head()

    def fetch(self, title, path, *, timeout=clients.TIMEOUT, **more):
        """Sends a request and waits for the end of the answer."""
        stream = self.send(title, path, **more).wait_head(timeout)
        stream.wait_closed(timeout)
        stream.close()
        return stream

    def text(self):
        return "\n".join(without_variables("\n".join(self._lines(*exchange)) + "\n") for exchange in self._exchanges)

    def compare(self):
        compare(self.name, self.text())

    def _lines(self, title, path, request, stream, blocks, hide):
        query = request.get("params")
        target = path + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
        yield f"# {title}"
        yield f"> {request.get('method', 'GET')} {target}"
        headers = request.get("headers") or {}
        for name, value in headers.items() if isinstance(headers, dict) else headers:
            yield f"> {name}: {value if len(value) < 2000 else f'{value[:10]}... ({len(value)} characters)'}"
        if request.get("via", "tls") != "tls":
            yield f"> (sent directly to the listener: {request['via']})"
        for line in stream.head.split("\r\n"):
            name = line.partition(":")[0]
            yield f"< {name}: <differs>" if name in hide else "< " + line
        body = stream.raw
        if blocks is not None:
            body = b"".join(block + b"\n\n" for block in body.split(b"\n\n")[:-1][:blocks])
        *lines, rest = body.decode("utf-8", "surrogateescape").split("\n")
        yield from ("| " + line if line else "|" for line in lines)
        if rest:
            yield "| " + rest
            yield "= no line feed at the end"
        yield "= " + ({"clean": "end", "cut": "cut"}.get(stream.ended, "open") if blocks is None else "and so on")
