"""The compatibility table: which clients there are, what is asked of them, and what each of them does.

A cell is one of:
    yes      the client does what is right, without any code for it
    lines    it does so with the lines that README.md shows for it
    no       it does not, and README.md says why
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent

CELLS = {
    "first": "first connect",
    "resume": "resumes exactly",
    "gap": "is told of a gap",
    "401": "stops after 401, 404",
    "429": "comes back after 429",
    "503": "comes back after 503",
    "drain": "comes back after a drain",
    "end": "stays away after the end",
    "token": "uses a new token",
}

Y, L, N = "yes", "lines", "no"

# From the name of a client's file to its driver, its npm package (or a name for it), and its cells in the order of CELLS.
EXPECTED = {
    "native": ("page", "EventSource of Chromium", (Y, Y, Y, Y, Y, Y, Y, Y, L)),
    "event-source-polyfill": ("page", "event-source-polyfill", (Y, Y, Y, Y, L, L, Y, Y, L)),
    "event-source-polyfill@node": ("node", "event-source-polyfill (Node)", (Y, Y, Y, Y, L, L, Y, L, L)),
    "fetch-event-source": ("page", "@microsoft/fetch-event-source", (L, L, Y, L, Y, Y, L, Y, L)),
    "eventsource2": ("node", "eventsource2", (Y, L, Y, Y, L, Y, Y, Y, L)),
    "eventsource3": ("node", "eventsource3", (Y, Y, Y, Y, L, L, Y, Y, L)),
    "eventsource4": ("node", "eventsource4", (Y, Y, Y, Y, L, L, Y, Y, L)),
    "eventsource5": ("page", "eventsource5", (Y, Y, Y, Y, L, L, Y, Y, L)),
    "sse.js": ("page", "sse.js", (Y, L, L, Y, L, L, L, Y, L)),
    "extended-eventsource": ("page", "extended-eventsource", (L, L, Y, Y, L, L, Y, Y, L)),
    "react-native-sse": ("page", "react-native-sse", (Y, L, L, L, Y, Y, Y, L, L)),
    "eventsource-parser": ("page", "eventsource-parser", (Y, L, L, Y, L, L, L, Y, L)),
    "azure-core-sse": ("page", "@azure/core-sse", (Y, L, L, Y, L, L, L, Y, L)),
    "python-httpx": ("script", "Python's httpx", (Y, L, L, Y, L, L, L, Y, L)),
    "curl": ("script", "curl", (Y, L, L, Y, L, L, L, Y, L)),
}

# The clients that keep an `id:` from a block without data.  A draining gateway sends such a block before it ends the
# stream of a log.
TAKES_ID_WITHOUT_DATA = {
    "native",
    "fetch-event-source",
    "eventsource5",
    "sse.js",
    "react-native-sse",
    "python-httpx",
    "curl",
}


def title(client):
    """The name of the package with its version, as npm has installed it."""
    name = EXPECTED[client][1]
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    package, space, rest = name.partition(" ")
    entry = locked.get(f"node_modules/{package}")
    return f"{entry.get('name', package)} {entry['version']}{space}{rest}" if entry else name


def expected(client, cell):
    return EXPECTED[client][2][list(CELLS).index(cell)]


def lines_of(cells):
    """The table in Markdown.  `cells` maps (client, cell) to a word."""
    rows = [["", *CELLS.values()]]
    rows += [[title(client), *(cells[client, cell] for cell in CELLS)] for client in EXPECTED]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]
