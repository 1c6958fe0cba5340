"""Reads the configuration that `nginx -T` prints: the directives, their files and lines, and where each one holds."""

import posixpath
import re
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from templates import Wrong

FILE_MARK = re.compile(r"(?m)^# configuration file (/.*):$")


@dataclass
class Directive:
    name: str
    args: list
    file: str
    line: int
    block: list = field(default=None)  # the directives in braces, with includes replaced; None without braces
    code: str = ""  # the Lua code in braces

    @property
    def place(self):
        return f"{self.file}:{self.line}"

    def __str__(self):
        return " ".join(word or '""' for word in [self.name, *self.args])


class Reader:
    """The words of one file.  A word is a text, or one of the marks ";", "{" and "}"."""

    SPACE = re.compile(r"(?:\s+|#[^\n]*)+")
    # "${name}" is a part of a word, and a backslash takes the next character along.
    BARE = re.compile(r"(?:\\.|\$\{|[^\s;{\\])+", re.DOTALL)
    # Comments and texts of Lua, which may contain braces, and braces.
    LUA = re.compile(
        r"--\[(=*)\[.*?\]\1\]|--[^\n]*|\[(=*)\[.*?\]\2\]|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{}]", re.DOTALL
    )
    QUOTED = {mark: re.compile(rf"{mark}((?:\\.|[^\\{mark}])*){mark}", re.DOTALL) for mark in "\"'"}

    def __init__(self, file, text):
        self.file, self.text, self.at, self.line = file, text, 0, 1

    def _take(self, end):
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def next(self):
        """(word, is it a mark, its line), or None at the end of the file."""
        if space := self.SPACE.match(self.text, self.at):
            self._take(space.end())
        if self.at >= len(self.text):
            return None
        line, mark = self.line, self.text[self.at]
        if mark in ";{}":
            self._take(self.at + 1)
            return mark, True, line
        if mark in self.QUOTED:
            found = self.QUOTED[mark].match(self.text, self.at)
            if not found:
                raise Wrong(f"{self.file}:{line}: a quoted text has no end")
            self._take(found.end())
            return re.sub(r"\\([\"'\\])", r"\1", found[1]), False, line
        found = self.BARE.match(self.text, self.at)
        self._take(found.end())
        return found[0], False, line

    def take_code(self):
        """The code of a block of Lua.  Goes on after the brace that ends it."""
        depth, begin = 1, self.at
        while depth:
            found = self.LUA.search(self.text, self.at)
            if not found:
                raise Wrong(f"{self.file}: a block of Lua has no end")
            depth += {"{": 1, "}": -1}.get(found[0], 0)
            self._take(found.end())
        return self.text[begin : self.at - 1]


def parse(reader, is_file=True):
    """The directives up to the end of the file or of the block."""
    out, words, first_line = [], [], 0
    while (word := reader.next()) is not None:
        text, is_mark, line = word
        if not is_mark:
            first_line = first_line if words else line
            words.append(text)
            continue
        if text == "}":
            if is_file or words:
                raise Wrong(f'{reader.file}:{line}: an unexpected "}}"')
            return out
        if not words:
            raise Wrong(f'{reader.file}:{line}: an unexpected "{text}"')
        made = Directive(words[0], words[1:], reader.file, first_line)
        if text == "{":
            if made.name.endswith("_by_lua_block"):
                made.block, made.code = [], reader.take_code()
            else:
                made.block = parse(reader, is_file=False)
        out.append(made)
        words = []
    if words or not is_file:
        raise Wrong(f'{reader.file}: ends without ";" or "}}"')
    return out


class Configuration:
    """The whole configuration.  `files` maps the path of each file to its text."""

    def __init__(self, dump):
        parts = FILE_MARK.split(dump)
        self.files = dict(zip(parts[1::2], parts[2::2]))
        if not self.files:
            raise Wrong('this is no output of "nginx -T": it names no configuration file')
        main = next(iter(self.files))
        # The mark's own line feed is the first character of each text.
        self._parsed = {file: parse(Reader(file, text.removeprefix("\n"))) for file, text in self.files.items()}
        self._folder = posixpath.dirname(main)
        self.main = self._expand(self._parsed[main])

    def _expand(self, directives):
        out = []
        for one in directives:
            if one.name == "include" and one.args:
                pattern = posixpath.join(self._folder, one.args[0])
                for file in sorted(self._parsed):
                    if file == pattern or PurePosixPath(file).match(pattern):
                        out += self._expand(self._parsed[file])
                continue
            if one.block is not None:
                one = replace(one, block=self._expand(one.block))
            out.append(one)
        return out


def named(block, *names):
    """The directives of `block` with one of these names."""
    return [one for one in block if one.name in names]


def effective(name, *blocks):
    """The directives called `name` that hold in the last of `blocks`.  Each block is inside the block before it.  A block
    that has the directive inherits none."""
    for block in reversed(blocks):
        if found := named(block, name):
            return found
    return []


# ---- which location gets a request -----------------------------------------------------------------


def kind(location):
    """(modifier, text) of a location.  The modifier may be written without a space."""
    if len(location.args) > 1:
        return location.args[0], location.args[1]
    found = re.match(r"(=|\^~|~\*|~|)(.*)", location.args[0], re.DOTALL)
    return found[1], found[2]


POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "digit": "0-9",
    "lower": "a-z",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "word": "a-zA-Z0-9_",
    "xdigit": "0-9a-fA-F",
}


def _posix_class(found):
    if found[1] not in POSIX_CLASSES:
        raise re.error(f"{found[0]} is not known")
    return POSIX_CLASSES[found[1]]


def python_pattern(pattern):
    """An expression of PCRE in the syntax of Python."""
    pattern = re.sub(r"\[:(\^?\w+):\]", _posix_class, pattern)
    pattern = re.sub(r"(?<!\\)((?:\\\\)*)\\z", r"\1\\Z", pattern)
    return re.sub(r"\(\?(<[A-Za-z_]\w*>|'[A-Za-z_]\w*')", lambda found: f"(?P<{found[1][1:-1]}>", pattern)


def matches(pattern, text, ignore_case=False):
    """True if the expression finds something in the text.  None if only PCRE understands the expression."""
    try:
        return re.search(python_pattern(pattern), text, re.IGNORECASE if ignore_case else 0) is not None
    except re.error:
        return None


def may_match(pattern, text, ignore_case=False):
    """True also if only PCRE understands the expression: a false alarm is better than a missed conflict."""
    return matches(pattern, text, ignore_case) is not False


def find_location(block, path):
    """(the location that nginx chooses for `path`, True if regular expressions outside are not tried any more).  The
    location is a list, from the outermost location to the one that is nested most deeply.  The list is empty if there is
    none."""
    locations = [(*kind(one), one) for one in named(block, "location") if not one.args[0].startswith("@")]
    for modifier, text, location in locations:
        if modifier == "=" and text == path:
            return [location], True
    prefixes = [entry for entry in locations if entry[0] in ("", "^~") and path.startswith(entry[1])]
    chosen, is_final = [], False
    if prefixes:
        modifier, _, outer = max(prefixes, key=lambda entry: len(entry[1]))
        is_final = modifier == "^~"
        nested, nested_is_final = find_location(outer.block, path)
        chosen = [outer, *nested]
        if nested_is_final:
            return chosen, True
    if not is_final:
        for modifier, text, location in locations:
            if modifier in ("~", "~*") and may_match(text, path, modifier == "~*"):
                return [location, *find_location(location.block, path)[0]], True
    return chosen, False
