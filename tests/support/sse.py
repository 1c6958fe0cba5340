"""Parsers of event streams: one that follows the standard, one that splits into raw blocks, and those of the frontends
of the example systems."""

import codecs
import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Event:
    """An event that an EventSource would dispatch."""

    name: str  # "message" if the block has no `event:`
    data: str
    last_id: str  # the id of this block or of an earlier one

    def json(self):
        return json.loads(self.data)


class Parser:
    """WHATWG HTML 9.2.6: one leading BOM, CR, LF or CRLF, comments, `retry` of digits, `id` without NUL.

    As in a browser, a block without data is no event.  `comments`, `retry` and `ignored_fields` record the other lines.
    """

    def __init__(self):
        self.last_id = ""
        self.retry = None
        self.comments = []
        self.ignored_fields = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = []  # the parts of a line that is not complete yet
        self._begun = False
        self._after_cr = False
        self._name = ""
        self._data = []
        self._id = ""

    def feed(self, raw):
        """The events that are complete after the bytes `raw`."""
        text = self._decoder.decode(raw)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if self._after_cr and text:
            self._after_cr = False
            text = text.removeprefix("\n")
        self._after_cr = self._after_cr or text.endswith("\r")
        events = []
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            if self._line:
                line = "".join([*self._line, line])
                self._line = []
            event = self._take(line)
            if event:
                events.append(event)
        if rest:
            self._line.append(rest)
        return events

    def _take(self, line):
        if line == "":
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:].removeprefix(" "))
            return None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id":
            if "\0" not in value:
                self._id = value
        elif field == "retry":
            if value and all(c in "0123456789" for c in value):
                self.retry = int(value)
        else:
            self.ignored_fields.append(field)
        return None

    def _dispatch(self):
        self.last_id = self._id
        name, data = self._name, self._data
        self._name, self._data = "", []
        return Event(name or "message", "\n".join(data), self.last_id) if data else None


class Blocks:
    """Splits the raw text of a stream at each "\\n\\n"."""

    def __init__(self):
        self._raw = bytearray()

    def feed(self, raw):
        # The two line feeds may arrive separately.
        if b"\n\n" not in self._raw[-1:] + raw:
            self._raw += raw
            return []
        *whole, rest = (self._raw + raw).split(b"\n\n")
        self._raw = bytearray(rest)
        return [block.decode("utf-8", "surrogateescape") for block in whole]

    @property
    def rest(self):
        """The bytes after the last complete block.  Empty if the stream ended properly."""
        return bytes(self._raw)


def parse(raw):
    return Parser().feed(raw)


def blocks(raw):
    return Blocks().feed(raw)


# ---- the parsers of the frontends --------------------------------------------------------------------


def builder_events(raw):
    """Builder's hooks: split at "\\n\\n" and take the `event:` and the *last* `data:` line of each block."""
    events = []
    for block in raw.decode("utf-8", "replace").split("\n\n")[:-1]:
        name, data = "message", None
        for line in block.split("\n"):
            if line.startswith("event:"):
                name = line[len("event:") :].strip()
            elif line.startswith("data:"):
                data = line[len("data:") :].strip()
        if data is not None:
            events.append((name, json.loads(data)))
    return events


def spools_events(raw):
    """Spools' hook: an EventSource with one listener; the payloads are JSON."""
    return [event.json() for event in parse(raw) if event.name == "spool_update"]


BLOG_EVENTS = ("connected", "progress-update", "step-change", "complete", "failed", "stream-timeout")


def blog_events(raw):
    """Blog's page: an EventSource with a listener for each name in BLOG_EVENTS; other events are ignored."""
    return [(event.name, event.json()) for event in parse(raw) if event.name in BLOG_EVENTS]
