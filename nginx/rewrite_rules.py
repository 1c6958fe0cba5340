"""The doctor's check of rewrite rules: which of them also apply to the sub-request with which nginx asks Tailgate who
the caller is.  The sub-request has the path AUTH_PATH and no arguments."""

import re

from configuration import matches, may_match, named

AUTH_PATH = "/_tailgate/auth"


class SubRequest:
    """What the rules of the server block, one after the other, do to the variables of the sub-request."""

    def __init__(self, volatile_maps):
        # True if a `break` may have ended the rules for the request of a route, but not for the sub-request.
        self.is_alone = False
        empty = ("$args", "$query_string", "$is_args")
        # The values of variables; None is an unknown value.
        self._values = {"$uri": AUTH_PATH, "$document_uri": AUTH_PATH, **dict.fromkeys(empty, "")}
        # Variables whose value may differ between the sub-request and the request of a route.
        self._differing = {*self._values, "$request_filename"}
        # A map may read another one, in any order, so each round may find more.
        for _ in volatile_maps:
            self._differing |= {one.args[-1] for one in volatile_maps if self.differs(one.args[:1])}

    def differs(self, words):
        """True if the words have a variable whose value may differ from that in the request of a route."""
        text = " ".join(words)
        names = {"$" + name for name in re.findall(r"\$\{?(\w+)", text)}
        return bool(names & self._differing) or "$arg_" in text

    def apply(self, one):
        """Takes a `set`, or the `set` directives in an `if`."""
        if one.name == "set":
            name, value = one.args
            if self.differs([value]):
                self._differing.add(name)
            else:
                self._differing.discard(name)
            self._values[name] = self._value(value)
        elif one.name == "if":
            differs, holds = self.differs(one.args), self.holds(one.args)
            # The groups of an expression that does not match keep their values.
            if differs and holds is not False:
                for name in re.findall(r"\(\?P?[<'](\w+)", " ".join(one.args)):
                    self._values["$" + name] = None
                    self._differing.add("$" + name)
            for inner in named(one.block, "set"):
                name, value = inner.args
                # The sub-request shares the variables of the request.
                if holds is False and name not in self._values:
                    continue
                if holds is not False:
                    self._values[name] = self._value(value) if holds else None
                if differs or self.differs([value]):
                    self._differing.add(name)

    def _value(self, text):
        """The value of a text that has no variable or is one.  None if it is not known."""
        if "$" not in text:
            return text
        found = re.fullmatch(r"\$(\w+)|\$\{(\w+)\}", text)
        if not found:
            return None
        name = found[1] or found[2]
        return "" if name.startswith("arg_") else self._values.get("$" + name)

    def holds(self, args):
        """Whether the condition of an `if` holds for the sub-request; None if that is not known."""
        # A blank before the last bracket is no part of the expression.
        words = " ".join(args).strip().removeprefix("(").removesuffix(")").strip().split(None, 2)
        if not words:
            return None
        if words[0] in ("-e", "-f", "-d", "-x", "!-e", "!-f", "!-d", "!-x"):
            # The sub-request has no file.
            return words[0].startswith("!") if self.differs(words[1:]) else None
        value = self._value(words[0])
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
        }
        sign = words[1]
        if sign in ("!~", "!~*"):
            found = tests[sign[1:]]()
            return None if found is None else not found
        return tests[sign]() if sign in tests else None


def sub_request(site):
    """Rules of the rewrite module in the server block.  They also run for the sub-request, whose path is another."""
    state = SubRequest([one for one in named(site.http, "map") if named(one.block, "volatile")])
    may_end = False  # True if a `break` before may have ended the rules, for both requests
    for one in site.server:
        if site.is_ours(one):
            continue
        if one.name == "break":
            return
        if one.name == "return" and (state.is_alone or not may_end):
            yield True, one.place, (
                f"`{one}` ends every request that reaches it, Tailgate's sub-request {AUTH_PATH} too. "
                f"Move it into your locations."
            )
        if one.name == "rewrite" and may_match(one.args[0], AUTH_PATH):
            yield True, one.place, (
                f"`{one}` also rewrites Tailgate's sub-request {AUTH_PATH}, so nobody is identified. "
                f"Except it, for example with `(?!/_tailgate/)` at the beginning of the expression."
            )
        if one.name == "if" and _ends_sub_request(site, one, state):
            yield True, one.place, (
                f"`{one}` may hold for Tailgate's sub-request {AUTH_PATH}, which has another path and no arguments, "
                f"so nobody is identified. Move it into your locations, or test $request_uri."
            )
        if one.name == "if" and named(one.block, "break"):
            if state.holds(one.args):
                return
            if state.differs(one.args):
                state.is_alone = True
            else:
                may_end = True
        state.apply(one)


def server_lua(site):
    """Lua that runs for each request before nginx looks for a location, so for the sub-request too."""
    for one in site.server:
        if one.name.startswith("server_rewrite_by_lua") and "/_tailgate" not in one.code:
            # The text of a Lua file is no part of the configuration, so the doctor cannot know what it does.
            yield one.block is not None, one.place, (
                f"`{one}` also runs for Tailgate's sub-request. Let it return at once for the path {AUTH_PATH}."
            )


def _ends_sub_request(site, one, state):
    """True if the `if` may end the sub-request or rewrite its path, although it lets requests of routes pass."""
    rewrites = [inner.args[0] for inner in named(one.block, "rewrite")]
    returns = bool(named(one.block, "return"))
    if not returns and not any(may_match(pattern, AUTH_PATH) for pattern in rewrites):
        return False
    if state.is_alone or state.differs(one.args):
        return state.holds(one.args) is not False
    # The condition is the same for both requests.  A `return` ends the request of a route before it comes to the
    # sub-request, and so does a rewrite that catches the route's path.
    examples = [path for _, paths, _ in site.routes() for path in paths]
    return not returns and any(not any(matches(pattern, path) for pattern in rewrites) for path in examples)
