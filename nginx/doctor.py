"""Says which directives of a site's nginx disturb Tailgate, and where they are.

The locations of the routes have the rules of the including server block, as any other location has them.  This file
names the directives that do not fit: those that hide a route, those that also apply to Tailgate's sub-request, and
those of modules that the rendered files do not know.
"""

import os
import posixpath
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from configuration import Configuration, effective, find_location, kind, named
from rewrite_rules import AUTH_PATH, server_lua, sub_request
from templates import Wrong

# nginx/README.md, "Rendering the configuration", explains these values.
LEAST_HEADER_BUFFER = 64 * 1024
LEAST_CONNECTIONS = 2048
# Headers that Tailgate sends itself.  A second one confuses browsers and proxies.
OWN_HEADERS = {"cache-control", "content-type", "content-encoding", "retry-after", "x-accel-buffering", "x-request-id"}
CORS_HEADERS = {
    f"access-control-{name}"
    for name in ("allow-origin", "allow-credentials", "allow-methods", "allow-headers", "expose-headers", "max-age")
}
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

    def is_operators(self, directive):
        return directive.file == f"{self.folder}/site.conf"

    def routes(self):
        """(name, examples of its path, the content of the location in which its requests end)"""
        ends = {one.args[0]: one.block for one in named(self.server, "location")}
        lines = re.findall(
            r"(?m)^# route (\S+): (\S+) \(id: (\S+?)(, also with /)?\)$", self.configuration.files[self.file]
        )
        if not lines:
            raise Wrong(f"{self.file} was rendered by an older version. Render it again")
        for name, path, form, slash in lines:
            paths = examples(path, form)
            yield name, paths + [path + "/" for path in paths if slash], ends.get(f"@tg_route_{name}", [])

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
    """Locations that take the requests of routes."""
    hidden = {}  # place: (the location with those around it, the names of the routes)
    for name, paths, _ in site.routes():
        for path in paths:
            chain, _ = find_location(site.server, path)
            if chain and not site.is_ours(chain[-1]):
                names = hidden.setdefault(chain[-1].place, (chain, []))[1]
                names += [name] if name not in names else []
    for place, (chain, names) in hidden.items():
        yield True, place, f"nginx sends requests of {_routes(names)} to `{chain[-1]}`. {_remedy(site, chain)}"


def _remedy(site, chain):
    """What to do about a location that hides routes.  `chain` ends with it and begins with its outermost location."""
    choose = "choose an expression or prefix that does not contain the path of a route."
    outer, *nested = [kind(location)[0] for location in chain]
    if outer in ("~", "~*"):
        return f"Include {site.file} above it, or {choose}"
    # nginx tries a nested expression before all others, wherever the include is.
    if outer == "^~" and not {"=", "~", "~*"} & set(nested):
        return 'Remove "^~" from ' + (f"`{chain[0]}`" if nested else "it") + f", or {choose}"
    return choose.capitalize()


def _routes(names):
    return f"the route {names[0]}" if len(names) == 1 else f"the routes {', '.join(names)}"


def other_modules(site):
    """Directives of modules that the rendered files cannot turn off, because not every nginx has them."""
    twice = (
        "runs twice for each request: in the route's location, and again before the request goes to the gateway, where "
        "`satisfy any` does not hold"
    )
    names = sorted({one.name for block in (site.http, site.server) for one in block})
    for name in names:
        if name.endswith("_no_postpone"):
            continue
        if re.fullmatch(r"auth_(?!basic|delay|request|http)[a-z0-9]+", name):
            yield from _turn_off(site, name, twice, f"{name} off;")
        elif re.fullmatch(r"access_by_lua\w*", name):
            yield from _turn_off(site, name, twice, "access_by_lua_block { return }")
        elif re.fullmatch(r"rewrite_by_lua\w*", name):
            sentence = f"runs twice for each request, and also for Tailgate's sub-request {AUTH_PATH}"
            yield from _turn_off(site, name, sentence, "rewrite_by_lua_block { return }")
        elif re.fullmatch(r"(header|body)_filter_by_lua\w*|js_(header|body)_filter", name):
            yield from _turn_off(site, name, "also runs for the answers of Tailgate", None, is_conflict=False)
    inspects = "may hold events back if its rules inspect answers (SecResponseBodyAccess)"
    yield from _turn_off(site, "modsecurity", inspects, "modsecurity off;", is_conflict=False)
    yield from _turn_off(site, "srcache_fetch", "answers instead of Tailgate", "srcache_fetch GET /_none;")
    for switch, types, sentence in (
        ("brotli", "brotli_types", "compresses streams, which `Cache-Control: no-transform` forbids"),
        ("subs_filter", "subs_filter_types", "changes the bytes of streams"),
    ):
        listed = {word for one in site.holds(types) for word in one.args}
        if listed & ON_STREAMS:
            off = "brotli off;" if switch == "brotli" else f"{types} text/x-none;"
            yield from _turn_off(site, switch, sentence, off)


def _family(name):
    """The name without the ending that says where the Lua code is."""
    return re.sub(r"_by_lua\w*$", "_by_lua", name)


def _turn_off(site, name, sentence, remedy, is_conflict=True):
    ends = (one for _, _, end in site.routes() for one in end)
    if any(_family(one.name) == _family(name) and site.is_operators(one) for one in ends):
        return  # the operator has decided in site.conf
    for one in site.holds(name):
        if one.args[:1] == ["off"]:
            continue
        advice = (
            f"Write `{remedy}` into {site.folder}/site.conf." if remedy else "Set it in your own locations instead."
        )
        yield is_conflict, one.place, f"`{one}` {sentence}. {advice}"


def added_headers(site):
    """Headers that the site adds to all answers, and Tailgate too."""
    for name in ("add_header", "more_set_headers", "more_clear_headers"):
        for one in site.holds(name):
            for header in _headers(one):
                yield from _header_conflict(site, name, one, header)


def _headers(directive):
    """The names of the headers that a directive sets or removes.  The options -s and -t of more_* have a value."""
    if directive.name == "add_header":
        return directive.args[:1]
    words, values = [], iter(directive.args)
    for word in values:
        if word in ("-s", "-t"):
            next(values, None)
        elif not word.startswith("-"):
            words.append(word.partition(":")[0].strip())
    return words


def _header_conflict(site, name, one, header):
    pattern = re.compile(re.escape(header.lower()).replace(r"\*", ".*") + r"\Z")
    found = [word for word in sorted(OWN_HEADERS | CORS_HEADERS | {"vary"}) if pattern.match(word)]
    if not found:
        return
    if name != "add_header":
        does = "removes" if name == "more_clear_headers" else "replaces"
        yield True, one.place, (
            f"`{one}` {does} {found[0]} in Tailgate's answers. Write it into your own locations instead."
        )
    elif found[0] in OWN_HEADERS:
        yield True, one.place, (
            f"`{one}` sets {found[0]}, which Tailgate's answers have already. Set it in your own locations instead."
        )
    elif found[0] in CORS_HEADERS:
        yield True, one.place, (
            f"`{one}` adds a second {header}, and browsers refuse such an answer. Set cors.origins in Tailgate's "
            f"configuration, and add the header in your own locations only."
        )


def _bytes(text):
    found = re.fullmatch(r"(\d+)([kKmM]?)", text)
    return int(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2].lower()] if found else 0


def header_buffers(site):
    """Before nginx knows the host of a request, it takes this value from the default server of the address.  So each
    server block of the address needs it."""
    addresses = _addresses(site.server)
    for server in named(site.http, "server"):
        if not addresses & _addresses(server.block):
            continue
        size, place = 8 * 1024, server.place
        for one in effective("large_client_header_buffers", site.http, server.block):
            size, place = _bytes(one.args[-1]), one.place
        if size < LEAST_HEADER_BUFFER:
            yield True, place, (
                f"a header line may have only {size // 1024} KB. If one is longer, nginx ends all HTTP/2 streams of "
                f"its connection. Write `large_client_header_buffers 4 64k;` into the http block."
            )


def _addresses(server):
    """The addresses on which a server block listens: pairs of a host and a port.  The host is "" for all of IPv4."""
    places = [one.args[0] for one in named(server, "listen")] or ["80"]
    out = set()
    for place in places:
        found = re.fullmatch(r"(?:(\[.*\]|[^:\[\]]*):)?(\d+)(?:-(\d+))?", place)
        host, first, last = found.groups() if found else (place, 80, None)
        host = "" if host in (None, "*", "0.0.0.0") else host
        out |= {(host, port) for port in range(int(first), int(last or first) + 1)}
    return out


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
                yield False, one.place, (
                    f"`{one}` holds for {ready.args[-1]} too, so a load balancer's health check must pass it."
                )
                break


def bearer_tokens(site):
    """A password and a bearer token need the same header."""
    if any(one.args == ["any"] for one in site.at_entry("satisfy")):
        return
    names = [
        name for name, _, end in site.routes() if any(one.args == [AUTH_PATH] for one in named(end, "auth_request"))
    ]
    for one in site.at_entry("auth_basic"):
        if one.args[:1] != ["off"] and names:
            yield False, one.place, (
                f"`{one}` and a bearer token need the same header Authorization. So a client that sends the password "
                f"must send its token for {_routes(names)} in a cookie or in the query."
            )


def unlogged_refusals(site):
    """error_log of route-entry.conf keeps tokens out of the log, and with them the lines that fail2ban reads."""
    for name in ("auth_basic", "limit_req"):
        for one in site.at_entry(name):
            if one.args[:1] != ["off"]:
                yield False, one.place, (
                    f"if `{one}` refuses a request of a route, the error log has no line about it. Let fail2ban read "
                    f"the status in the access log."
                )
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
    server_lua,
    other_modules,
    added_headers,
    header_buffers,
    logs,
    limits,
    client_rules,
    bearer_tokens,
    unlogged_refusals,
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
