"""The doctor's check of rewrite rules: which of them also meet the sub-request with which nginx asks Tailgate who the
caller is.  Its path is AUTH_PATH, and it has no arguments."""

import re

from configuration import matches, named

AUTH_PATH = "/_tailgate/auth"


class SubRequest:
    """What the rules of the server block, one after the other, do to the variables of the sub-request."""

    def __init__(self, volatile_maps):
        empty = ("$args", "$query_string", "$is_args")
        # The values of variables; None is an unknown value.
        self._values = {"$uri": AUTH_PATH, "$document_uri": AUTH_PATH, **dict.fromkeys(empty, "")}
        # Variables whose value may be another than in the request of a route.
        self._differing = {*self._values, "$request_filename", "$realpath_root"}
        for one in volatile_maps:
            if self.differs(one.args[:1]):
                self._differing.add(one.args[-1])

    def differs(self, words):
        """True if the words have variables whose value may be another than in the request of a route."""
        text = " ".join(words)
        names = {"$" + name for name in re.findall(r"\$\{?(\w+)", text)}
        return bool(names & self._differing) or "$arg_" in text

    def apply(self, one):
        """Takes a `set`, or the `set` directives in an `if`."""
        if one.name == "set":
            self._set(*one.args, self.differs(one.args[1:]))
        elif one.name == "if":
            differs, holds = self.differs(one.args), self.holds(one.args)
            for inner in named(one.block, "set"):
                name, value = inner.args
                if holds is None:
                    value = None
                elif not holds:
                    value = self._values.get(name)
                self._set(name, value, differs or self.differs(inner.args[1:]))

    def _set(self, name, value, differs):
        if value is not None and "$" in value:
            value = self._values.get(value)
        self._values[name] = value
        if differs:
            self._differing.add(name)

    def holds(self, args):
        """Whether the condition of an `if` holds for the sub-request; None if that is not known."""
        words = " ".join(args).strip().removeprefix("(").removesuffix(")").split(None, 2)
        if not words:
            return None
        if words[0] in ("-e", "-f", "-d", "-x", "!-e", "!-f", "!-d", "!-x"):
            # The sub-request has no file.
            return words[0].startswith("!") if self.differs(words[1:]) else None
        value = "" if words[0].startswith("$arg_") else self._values.get(words[0])
        if value is None:
            return None
        if len(words) == 1:
            return value not in ("", "0")
        wanted = words[2].strip("\"'") if len(words) > 2 else ""
        tests = {
            "=": lambda: value == wanted,
            "!=": lambda: value != wanted,
            "~": lambda: matches(wanted, value),
            "~*": lambda: matches(wanted, value, True),
            "!~": lambda: not matches(wanted, value),
            "!~*": lambda: not matches(wanted, value, True),
        }
        return tests.get(words[1], lambda: None)()


def sub_request(site):
    """Rules of the rewrite module in the server block.  They also run for the sub-request, whose path is another."""
    state = SubRequest([one for one in named(site.http, "map") if named(one.block, "volatile")])
    for one in site.server:
        if site.is_ours(one):
            continue
        if one.name == "rewrite" and matches(one.args[0], AUTH_PATH):
            yield True, one.place, (
                f"`{one}` also rewrites Tailgate's sub-request {AUTH_PATH}, so nobody is identified. "
                f"Except it, for example with `(?!/_tailgate/)` at the beginning of the expression."
            )
        if one.name == "if" and _ends_sub_request(site, one, state):
            yield True, one.place, (
                f"`{one}` may hold for Tailgate's sub-request {AUTH_PATH}, which has another path and no arguments, "
                f"so nobody is identified. Move it into your locations, or test $request_uri."
            )
        if one.name.startswith("server_rewrite_by_lua") and "/_tailgate" not in site.configuration.files[one.file]:
            # The text of a Lua file is no part of the configuration, so the doctor cannot know what it does.
            yield one.block is not None, one.place, (
                f"`{one}` also runs for Tailgate's sub-request. Let it return at once for the path {AUTH_PATH}."
            )
        state.apply(one)


def _ends_sub_request(site, one, state):
    """True if the `if` may end the sub-request or rewrite its path, although it lets requests of routes pass."""
    rewrites = [inner.args[0] for inner in named(one.block, "rewrite")]
    returns = bool(named(one.block, "return"))
    if not returns and not any(matches(pattern, AUTH_PATH) for pattern in rewrites):
        return False
    if state.differs(one.args):
        return state.holds(one.args) is not False
    # The condition is the same for both requests.  A `return` ends the request of a route before it comes to the
    # sub-request, and so does a rewrite that catches the route's path.
    examples = [path for _, paths, _ in site.routes() for path in paths]
    return not returns and any(not any(matches(pattern, path) for pattern in rewrites) for path in examples)
