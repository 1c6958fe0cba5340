"""A real browser: Debian's chromium without a window, driven through the DevTools protocol on a pipe.

There are no threads.  Events of the browser are read while a call waits for its answer.
"""

import contextlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess

from support.waiting import Deadline, wait_until

TIMEOUT = 15  # seconds; on two busy cores a browser starts slowly

# Runs in each page before its own scripts.  openSource() opens an EventSource and records its events.
SCRIPT = """
window.sources = [];
window.openSource = (url, names) => {
  const source = new EventSource(url);
  const seen = { source, events: [], opened: 0, errors: [] };
  source.onopen = () => { seen.opened++; };
  source.onerror = () => { seen.errors.push(source.readyState); };
  for (const name of ["message", ...names])
    source.addEventListener(name, e => seen.events.push({ name: e.type, data: e.data, last_id: e.lastEventId }));
  return window.sources.push(seen) - 1;
};
"""


class Browser:
    """One chromium with its own profile in `folder`.  It accepts every certificate and connects only to loopback."""

    def __init__(self, folder):
        program = shutil.which("chromium")
        assert program, "chromium is not installed; scripts/bootstrap installs it"
        self.log = folder / "chromium.log"
        self._numbers = itertools.count(1)
        self._answers = {}
        self._pages = {}
        self._input = b""
        child_in, self._out = os.pipe()
        self._in, child_out = os.pipe()
        # The protocol uses descriptors 3 and 4, which may be in use here.  A shell assigns them in the child.
        command = [
            "/bin/bash", "-c", f'exec "$0" "$@" 3<&{child_in} 4>&{child_out}', program,
            "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}",
            # Tests often run as root, which chromium's sandbox refuses, and in containers, whose /dev/shm is small.
            "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--ignore-certificate-errors",
            # No traffic to other hosts.
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-extensions", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
            "about:blank",
        ]  # fmt: skip
        env = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
                pass_fds=(child_in, child_out),
            )  # fmt: skip
        os.close(child_in)
        os.close(child_out)
        try:
            self.call("Browser.getVersion")
        except BaseException:
            self.close()
            raise

    def page(self, url, **more):
        """A new tab that shows `url`.  newWindow=True: in a window of its own, so that it stays visible if another tab
        is opened."""
        target = self.call("Target.createTarget", url="about:blank", **more)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, target, session)
        page.call("Page.enable")
        page.call("Network.enable")
        page.call("Page.addScriptToEvaluateOnNewDocument", source=SCRIPT)
        failed = page.call("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        wait_until(
            lambda: page.run(f"location.href !== 'about:blank' && !!window.openSource && {json.dumps(url)}"),
            TIMEOUT,
            f"{url} is shown",
        )
        return page

    def forget(self, page):
        del self._pages[page.session]
        self.call("Target.closeTarget", targetId=page.target)

    def call(self, method, session=None, **params):
        """Sends a command of the protocol and waits for its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        with contextlib.suppress(BrokenPipeError):  # the read below reports that chromium has ended
            os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = Deadline(TIMEOUT)
        while number not in self._answers:
            assert self._read(
                deadline.left()
            ), f"{method}: no answer within {TIMEOUT} s; chromium's log:\n{self.log_tail()}"
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _read(self, timeout):
        if not select.select([self._in], [], [], timeout)[0]:
            return False
        raw = os.read(self._in, 1 << 20)
        assert raw, f"chromium has ended:\n{self.log_tail()}"
        *messages, self._input = (self._input + raw).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            elif message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].note(message["method"], message["params"])
        return True

    def log_tail(self):
        return self.log.read_text(errors="replace")[-3000:]

    def close(self):
        """Ends chromium and all processes of its session."""
        for end in (self._out, self._in):  # chromium exits when its pipe is closed
            os.close(end)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Page:
    """One tab.  `requests` lists the requests of its EventSources as dicts: url, headers, status."""

    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session
        self._requests = {}
        self._headers = {}

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def note(self, method, params):
        if method == "Network.requestWillBeSent" and params.get("type") == "EventSource":
            self._requests[params["requestId"]] = {"url": params["request"]["url"], "status": None}
        elif method == "Network.requestWillBeSentExtraInfo":  # the headers as sent; may come before the request's event
            self._headers[params["requestId"]] = {name.lower(): text for name, text in params["headers"].items()}
        elif method == "Network.responseReceived" and params["requestId"] in self._requests:
            self._requests[params["requestId"]]["status"] = params["response"]["status"]

    @property
    def requests(self):
        self.run("0")  # reads all earlier events together with this answer
        return [{**request, "headers": self._headers.get(number, {})} for number, request in self._requests.items()]

    def run(self, script):
        """The value of `script`, which is an expression or a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def event_source(self, url, *names):
        """Opens a native EventSource that listens to `message` and to the events `names`."""
        return EventSource(self, self.run(f"openSource({json.dumps(url)}, {json.dumps(names)})"))

    def close(self):
        self.browser.forget(self)


class EventSource:
    CONNECTING, OPEN, CLOSED = 0, 1, 2

    def __init__(self, page, number):
        self.page = page
        self._here = f"sources[{number}]"

    @property
    def state(self):
        return self.page.run(f"{self._here}.source.readyState")

    @property
    def opened(self):
        """The number of `open` events."""
        return self.page.run(f"{self._here}.opened")

    @property
    def errors(self):
        """The readyState at each `error` event."""
        return self.page.run(f"{self._here}.errors")

    @property
    def events(self):
        """All events that it dispatched, as dicts of name, data and last_id."""
        return self.page.run(f"{self._here}.events")

    @property
    def names(self):
        return [event["name"] for event in self.events]

    def wait_events(self, count, timeout=TIMEOUT):
        self._wait(lambda: len(self.events) >= count, timeout, f"{count} events")
        return self.events

    def wait_event(self, name, timeout=TIMEOUT):
        """Waits for an event of this name and returns the newest one."""
        self._wait(lambda: name in self.names, timeout, f"an event {name!r}")
        return [event for event in self.events if event["name"] == name][-1]

    def wait_state(self, state, timeout=TIMEOUT):
        self._wait(lambda: self.state == state, timeout, f"readyState {state}")

    def wait_opened(self, count, timeout=TIMEOUT):
        self._wait(lambda: self.opened >= count and self.state == self.OPEN, timeout, f"opened {count} times")

    def _wait(self, done, timeout, what):
        try:
            wait_until(done, timeout, what)
        except AssertionError as late:
            events = self.events
            raise AssertionError(
                f"{late}; state {self.state}, opened {self.opened}, errors {self.errors}, "
                f"{len(events)} events, the last: {events[-5:]}, requests: {self.page.requests}"
            ) from None
