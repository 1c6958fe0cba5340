"""Event streams read in three ways: as the standard says, byte by byte, and as the frontends do."""

import codecs
import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Event:
    """What an EventSource would dispatch."""

    name: str  # "message" where the stream names none
    data: str
    last_id: str  # the last event id at that moment, this block's or an earlier one's

    def json(self):
        return json.loads(self.data)


class Parser:
    """WHATWG HTML 9.2.6: one leading BOM, CR, LF or CRLF, comments, `retry` of digits, `id` without NUL.

    Events without data are not dispatched, as in a browser.  `comments`, `retry` and `ignored_fields` say
    what else came.
    """

    def __init__(self):
        self.last_id = ""
        self.retry = None
        self.comments = []
        self.ignored_fields = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = []  # the pieces of a line that has not ended yet
        self._begun = False
        self._after_cr = False
        self._name = ""
        self._data = []
        self._id = ""

    def feed(self, raw):
        """The events that `raw` completes."""
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
    """The raw text of a stream, cut at each "\\n\\n": what is really on the wire."""

    def __init__(self):
        self._raw = bytearray()

    def feed(self, raw):
        # A blank line may lie across two pieces.
        if b"\n\n" not in self._raw[-1:] + raw:
            self._raw += raw
            return []
        *whole, rest = (self._raw + raw).split(b"\n\n")
        self._raw = bytearray(rest)
        return [block.decode("utf-8", "surrogateescape") for block in whole]

    @property
    def rest(self):
        """What stands behind the last complete block; nothing, on a stream that ended well."""
        return bytes(self._raw)


def parse(raw):
    return Parser().feed(raw)


def blocks(raw):
    return Blocks().feed(raw)


# ---- as the frontends do -----------------------------------------------------------------------------


def builder_events(raw):
    """Builder's hooks: blocks at "\\n\\n", in each the `event:` and the *last* `data:` line, as (name, data)."""
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
    """Spools' hook: an EventSource with one listener, whose payloads are JSON."""
    return [event.json() for event in parse(raw) if event.name == "spool_update"]


BLOG_EVENTS = ("connected", "progress-update", "step-change", "complete", "failed", "stream-timeout")


def blog_events(raw):
    """Blog's page: an EventSource with a listener for each name it knows; the rest is ignored."""
    return [(event.name, event.json()) for event in parse(raw) if event.name in BLOG_EVENTS]
