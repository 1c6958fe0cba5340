"""The compatibility table of README.md: each client in each cell, against the real stack."""

import contextlib
import itertools
import re
import tempfile
import threading
from pathlib import Path

import pytest

from support.application import Application
from support.browser import Browser
from support.stack import ROOT, Stack

from clients import scenarios, table
from clients.drivers import HERE, MODULES, PageDriver, copy_modules, node_driver, script_driver, serve_modules
from clients.recorder import Recorder
from clients.sessions import Session, Site

SETTINGS = {
    "drain.settle_s": 0.1,
    "drain.deadline_s": 2,
    "limits.streams_per_user": scenarios.STREAMS_PER_USER,
    "route.log-stream.end_grace_ms": 100,
    "route.log-stream.providers": ["clerk", "blog"],
    **{f"route.{name}.retry_ms": scenarios.RETRY_MS for name in ("log-stream", "status")},
    # A script cannot set the headers of a native EventSource.
    **{f"route.{name}.credentials": ["bearer", "query:token"] for name in ("log-stream", "status")},
}
# Each list is one stack, and all are played at the same time.  A page can have about a hundred streams of one stack, so
# one stack is not enough even for the cells that would not disturb each other.
STACKS = [["resume", "gap", "end"], ["401", "429", "token"], ["503"], ["drain"]]
FOR_503 = {"redis.wait_s": 0.6, "redis.probe_every_s": 0.5}
README = (HERE / "README.md").read_text()
PAGES = README + (HERE / "SCRIPTS.md").read_text()
MATRIX = ROOT / "build/clients/matrix.txt"  # scripts/run-tests prints it


class Run:
    """The whole table.  Each stack has a thread."""

    def __init__(self, work):
        assert MODULES.exists(), "the npm packages are missing: make clients"
        self.work, self.found, self.details, self.errors = work, {}, {}, []
        with tempfile.TemporaryDirectory(prefix="run-", dir=MODULES.parent) as folder:
            self.folder = Path(folder)
            copy_modules(self.folder)
            self.browser, self.lock = Browser(work), threading.Lock()
            self.at_once(self.play_stack, enumerate(STACKS))
            self.browser.close()

    def at_once(self, function, arguments):
        """Calls `function` with each of the `arguments`, each in a thread of its own.  Keeps what they raise."""

        def call(each):
            try:
                function(*each)
            except BaseException as error:
                self.errors.append(error)

        threads = [threading.Thread(target=call, args=[each]) for each in arguments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def play_stack(self, number, cells):
        work = self.work / f"stack-{number}"
        work.mkdir()
        with contextlib.ExitStack() as ends:
            application = Application(work / "application.sock")
            ends.callback(application.close)
            serve_modules(application, self.folder)
            secret = work / "secret"
            secret.write_text(scenarios.SECRETS[0])
            secret.chmod(0o600)
            settings = {**SETTINGS, "provider.blog.secret_file": str(secret), **(FOR_503 if "503" in cells else {})}
            nginx = {"TG_STREAMS": "unix:{run}/recorder.sock"}
            stack = Stack.up(work / "s", settings, nginx_settings=nginx, application=application.url)
            ends.callback(stack.down)
            recorder = Recorder(stack.run_dir / "recorder.sock", stack.gateway_socket)
            ends.callback(recorder.close)
            drivers = {
                "page": PageDriver(self.browser, self.lock, stack),
                "node": node_driver(self.folder, work, stack.ca_file),
                "script": script_driver(self.folder, work, stack.ca_file),
            }
            for driver in drivers.values():
                ends.callback(driver.close)
            site = Site(stack, recorder, secret)
            self.at_once(self.play_cell, [(site, cell, drivers) for cell in cells])

    def play_cell(self, site, cell, drivers):
        sessions = []
        for client, mode in itertools.product(table.EXPECTED, ("plain", "snippets")):
            driver = drivers[table.EXPECTED[client][0]]
            for options in scenarios.OPTIONS.get(cell, [{}]):
                sessions.append(Session(site, client, driver, mode, cell, **options))
        self.found |= scenarios.SCENARIOS[cell](sessions)
        for session in sessions:
            self.details.setdefault((session.client, session.mode, cell), []).append(str(session))

    def word(self, client, cell):
        plain, right = (self.found[client, mode, cell] for mode in ("plain", "snippets"))
        return "no" if right else "lines" if plain else "yes"

    def explain(self, client, cell):
        where = "resume" if cell == "first" else cell
        return "\n".join(
            f"{mode}: {self.found[client, mode, cell] or 'right'}\n  " + "\n  ".join(self.details[client, mode, where])
            for mode in ("plain", "snippets")
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("clients"))
    for error in run.errors:
        raise error
    words = {(client, cell): run.word(client, cell) for client in table.EXPECTED for cell in table.CELLS}
    MATRIX.write_text("\n".join(table.lines_of(words)) + "\n")
    return run


@pytest.mark.parametrize("cell", table.CELLS)
@pytest.mark.parametrize("client", table.EXPECTED)
def test_a_client_does_what_the_table_says(run, client, cell):
    assert run.word(client, cell) == table.expected(client, cell), run.explain(client, cell)


def test_the_page_shows_the_table_that_is_tested():
    words = {(client, cell): table.expected(client, cell) for client in table.EXPECTED for cell in table.CELLS}
    assert "\n".join(table.lines_of(words)) in README


def test_the_page_iterates_over_no_stream_with_for_await():
    # Safari's ReadableStream could not be iterated for years.
    assert [file.name for file in (HERE / "snippets").iterdir() if "for await" in file.read_text()] == []


def test_the_page_shows_the_lines_that_are_tested():
    blocks = set(re.findall(r"^```(?:js|sh|python)\n(.*?)^```$", PAGES, re.MULTILINE | re.DOTALL))
    assert {file.name for file in (HERE / "snippets").iterdir() if file.read_text() not in blocks} == set()
