"""Says which directives of a site's nginx disturb Tailgate, and where they are.

The locations of the routes have the rules of the including server block, as any other location has them.  This file
names the directives with which that cannot work: those that hide a route, those that also meet Tailgate's sub-request,
and those of modules that the rendered files do not know.
"""

import os
import posixpath
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from configuration import Configuration, effective, find_location, named
from templates import Wrong

AUTH_PATH = "/_tailgate/auth"
# nginx/README.md, "Rendering the configuration", explains these values.
LEAST_HEADER_BUFFER = 64 * 1024
LEAST_CONNECTIONS = 2048
# Headers that Tailgate sends itself.  A second one confuses browsers and proxies.
OWN_HEADERS = {"cache-control", "content-type", "content-encoding", "retry-after", "x-accel-buffering", "x-request-id"}
ON_STREAMS = {"text/event-stream", "*"}


@dataclass
class Site:
    """A server block that includes Tailgate's server.conf."""

    configuration: Configuration
    http: list  # the content of the http block
    server: list  # the content of the server block
    place: str  # where the server block is
    file: str  # the path of Tailgate's server.conf

    @property
    def folder(self):
        return posixpath.dirname(self.file)

    def is_ours(self, directive):
        """True for the rendered files.  The operator owns the others, site.conf and canary.conf among them."""
        folder, name = posixpath.split(directive.file)
        return folder == self.folder and name not in ("site.conf", "canary.conf")

    def routes(self):
        """(name, examples of its path, the content of the location in which its requests end)"""
        ends = {one.args[0]: one.block for one in named(self.server, "location")}
        for name, path, form in re.findall(
            r"(?m)^# route (\S+): (\S+) \(id: (\S+)\)$", self.configuration.files[self.file]
        ):
            yield name, examples(path, form), ends.get(f"@tg_route_{name}", [])

    def holds(self, name):
        """The directives called `name` that hold for a request of a route, after the location of the route."""
        end = next((block for _, _, block in self.routes()), [])
        return [one for one in effective(name, self.http, self.server, end) if not self.is_ours(one)]

    def at_entry(self, name):
        """The directives called `name` that hold in the location of a route."""
        return [one for one in effective(name, self.http, self.server) if not self.is_ours(one)]


def examples(path, form):
    """Paths of a route.  The expressions of a site's locations may demand one kind of letters or digits."""
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    others = ["x", "X", "7", "x1", "X1", uuid]
    ids = {"int": ["7"], "uuid": [uuid]}.get(form, others)
    filled = [re.sub(r"\{\w+\}", other, path.replace("{id}", one)) for one in ids for other in others]
    return list(dict.fromkeys(filled))


def sites(configuration):
    found = []
    for http in named(configuration.main, "http"):
        for server in named(http.block, "server"):
            for location in named(server.block, "location"):
                if location.args == ["=", AUTH_PATH]:
                    found.append(Site(configuration, http.block, server.block, server.place, location.file))
    return found


# ---- the checks: each yields (is it a conflict, place, sentence) ------------------------------------


def hidden_routes(site):
    """Locations that take the requests of a route."""
    for name, paths, _ in site.routes():
        for path in paths:
            location, _ = find_location(site.server, path)
            if location is not None and not site.is_ours(location):
                yield True, location.place, _hides(site, location, name, path)
                break


def _hides(site, location, name, path):
    remedy = 'Write it without "^~"' if "^~" in location.args[0] else f"Include {site.file} above it"
    return (
        f"`{location}` takes requests of the route {name}, for example {path}. "
        f"{remedy}, or give these paths no location there."
    )


def sub_request(site):
    """Rules of the rewrite module in the server block.  They also run for the sub-request, whose path is another."""
    for one in site.server:
        if site.is_ours(one):
            continue
        if one.name == "rewrite" and _matches(one.args[0], AUTH_PATH):
            yield True, one.place, (
                f"`{one}` also rewrites Tailgate's sub-request {AUTH_PATH}, so nobody is identified. "
                f"Except it, for example with `(?!/_tailgate/)` at the beginning of the expression."
            )
        if one.name == "if" and _is_true_in_sub_request(one.args) and named(one.block, "return", "rewrite"):
            yield True, one.place, (
                f"`{one}` is also true for Tailgate's sub-request {AUTH_PATH}, which has another path and no arguments, "
                f"so nobody is identified. Move it into your locations, or test $request_uri."
            )


def _matches(pattern, text):
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True  # only PCRE understands it, so say it rather than miss it


def _is_true_in_sub_request(args):
    """True if the condition tests the path or the arguments, and holds for the sub-request."""
    words = " ".join(args).strip().removeprefix("(").removesuffix(")").split(None, 2)
    values = {"$uri": AUTH_PATH, "$document_uri": AUTH_PATH, "$args": "", "$query_string": "", "$is_args": ""}
    if words and words[0] in ("!-e", "!-f", "!-d"):
        return "$uri" in words[-1] or "$request_filename" in words[-1]
    if not words:
        return False
    value = "" if words[0].startswith("$arg_") else values.get(words[0])
    if value is None:
        return False
    if len(words) == 1:
        return value not in ("", "0")
    wanted = words[2].strip("\"'") if len(words) > 2 else ""
    tests = {
        "=": lambda: value == wanted,
        "!=": lambda: value != wanted,
        "~": lambda: _matches(wanted, value),
        "~*": lambda: _matches("(?i)" + wanted, value),
        "!~": lambda: not _matches(wanted, value),
        "!~*": lambda: not _matches("(?i)" + wanted, value),
    }
    return tests.get(words[1], lambda: False)()


def other_modules(site):
    """Directives of modules that the rendered files cannot turn off, because not every nginx has them."""
    twice = "runs a second time, after the rules of the server block, and `satisfy any` does not hold there"
    names = sorted({one.name for block in (site.http, site.server) for one in block})
    for name in names:
        if re.fullmatch(r"auth_(?!basic|delay|request|http)[a-z0-9]+", name):
            yield from _turn_off(site, name, twice, f"{name} off;")
        elif re.fullmatch(r"access_by_lua\w*", name):
            yield from _turn_off(site, name, twice, "access_by_lua_block { return }")
        elif re.fullmatch(r"rewrite_by_lua\w*", name):
            sentence = f"runs a second time, and also for Tailgate's sub-request {AUTH_PATH}"
            yield from _turn_off(site, name, sentence, "rewrite_by_lua_block { return }")
        elif re.fullmatch(r"(header|body)_filter_by_lua\w*|js_(header|body)_filter", name):
            yield from _turn_off(site, name, "changes the answers of Tailgate", None)
    yield from _turn_off(
        site, "modsecurity", "keeps each event of a stream, if its rules read answers", "modsecurity off;"
    )
    yield from _turn_off(site, "srcache_fetch", "answers instead of Tailgate", "srcache_fetch GET /_none;")
    for switch, types, sentence in (
        ("brotli", "brotli_types", "compresses streams, which `Cache-Control: no-transform` forbids"),
        ("subs_filter", "subs_filter_types", "changes the bytes of streams"),
    ):
        listed = {word for one in site.holds(types) for word in one.args}
        if listed & ON_STREAMS:
            off = "brotli off;" if switch == "brotli" else f"{types} text/x-none;"
            yield from _turn_off(site, switch, sentence, off)


def _turn_off(site, name, sentence, remedy):
    for one in site.holds(name):
        if one.args[:1] == ["off"]:
            continue
        advice = (
            f"Write `{remedy}` into {site.folder}/site.conf." if remedy else "Set it in your own locations instead."
        )
        yield True, one.place, f"`{one}` {sentence}. {advice}"


def added_headers(site):
    """Headers that the site adds to all answers, and Tailgate too."""
    for name in ("add_header", "more_set_headers"):
        for one in site.holds(name):
            words = [word for word in one.args if not word.startswith("-")]
            header = words[0].partition(":")[0].strip() if words else ""
            if header.lower() in OWN_HEADERS:
                yield True, one.place, (
                    f"`{one}` adds a header that Tailgate's answers have already. Add it in your own locations instead."
                )
            elif header.lower().startswith("access-control-"):
                yield True, one.place, (
                    f"`{one}` adds a second {header}, and browsers refuse such an answer. Set cors.origins in Tailgate's "
                    f"configuration, and add the header in your own locations only."
                )


def _bytes(text):
    found = re.fullmatch(r"(\d+)([kKmM]?)", text)
    return int(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2].lower()] if found else 0


def header_buffers(site):
    """nginx takes this value from the default server of the address, so each server block of the address needs it."""
    size = 8 * 1024
    place = site.place
    for one in effective("large_client_header_buffers", site.http, site.server):
        size, place = _bytes(one.args[-1]), one.place
    if size < LEAST_HEADER_BUFFER:
        yield True, place, (
            f"a header line may have only {size // 1024} KB. If one is longer, nginx ends all HTTP/2 streams of its "
            f"connection. Write `large_client_header_buffers 4 64k;` into the http block."
        )


def limits(site):
    for name, what in (("limit_req", "requests"), ("limit_conn", "open streams")):
        for one in site.at_entry(name):
            yield False, one.place, (
                f"`{one}` counts {what} too. An EventSource that is refused with 503 or 429 never reconnects."
            )


def client_rules(site):
    ready = next(
        (one for one in named(site.server, "location") if "@tg_readyz" in str(named(one.block, "try_files"))), None
    )
    if ready is None:
        return
    for name in ("deny", "auth_basic", "auth_request"):
        for one in site.at_entry(name):
            if one.args[:1] != ["off"]:
                yield False, one.place, f"`{one}` holds for {ready.args[-1]} too. A load balancer must be able to read it."
                break


def logs(site):
    for one in effective("error_log", site.configuration.main, site.http, site.server):
        if one.args[-1].split("_")[0] in ("info", "debug"):
            yield True, one.place, (
                f"`{one}` prints request lines that are too long or malformed, and they may contain tokens. "
                f"Set the level to notice or higher."
            )


def whole_nginx(site):
    main = site.configuration.main
    for events in named(main, "events"):
        count = next((int(one.args[0]) for one in named(events.block, "worker_connections")), 512)
        if count < LEAST_CONNECTIONS:
            yield False, events.place, f"{count} worker_connections are enough for {count // 2} streams."
    if not named(main, "worker_shutdown_timeout"):
        yield False, next(iter(site.configuration.files)) + ":1", (
            "without worker_shutdown_timeout each reload leaves old workers behind until their last stream ends."
        )


def forwarded_headers(site):
    """The canary passes requests to the application with headers of its own."""
    to_application = site.configuration.files.get(site.folder + "/to-application.conf", "")
    if "proxy_pass" not in to_application:
        return
    for one in site.at_entry("proxy_set_header"):
        yield False, one.place, (
            f"`{one}` does not hold for requests of routes that the canary passes to the application."
        )


CHECKS = (
    hidden_routes,
    sub_request,
    other_modules,
    added_headers,
    header_buffers,
    logs,
    limits,
    client_rules,
    forwarded_headers,
    whole_nginx,
)


def examine(dump):
    """(conflicts, notes), each a list of lines "file:line: sentence"."""
    configuration = Configuration(dump)
    found = sites(configuration)
    if not found:
        raise Wrong("no server block includes Tailgate's server.conf")
    conflicts, notes = [], []
    for site in found:
        for check in CHECKS:
            for is_conflict, place, sentence in check(site):
                lines = conflicts if is_conflict else notes
                line = f"{place}: {sentence}"
                if line not in lines:
                    lines.append(line)
    return conflicts, notes


# ---- the command ----------------------------------------------------------------------------------


def read_dump(source):
    """The output of `nginx -T`, from a file, from the standard input ("-"), or from nginx itself ("")."""
    if source == "-":
        return sys.stdin.read()
    if source:
        try:
            return Path(source).read_text(errors="replace")
        except OSError as error:
            raise Wrong(f"{source}: {error.strerror}") from error
    env = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}
    try:
        done = subprocess.run(["nginx", "-T"], capture_output=True, text=True, errors="replace", env=env, check=False)
    except OSError as error:
        raise Wrong(f"nginx -T: {error.strerror}") from error
    if done.returncode != 0:
        raise Wrong(f"nginx -T:\n{done.stderr.strip()}")
    return done.stdout


def main(source):
    """Prints the conflicts and notes.  Returns the exit status."""
    conflicts, notes = examine(read_dump(source))
    for line in conflicts:
        print(line)
    for line in notes:
        print(f"note: {line}")
    if not conflicts:
        print("Nothing disturbs Tailgate.")
    return 1 if conflicts else 0
