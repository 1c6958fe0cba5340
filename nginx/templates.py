"""Makes nginx's configuration text from the .in files in this folder, in which @NAME@ is the placeholder of a value."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Wrong(Exception):
    """The reason why nothing was rendered: one sentence that names the setting to change."""


def template(name):
    return (HERE / f"{name}.in").read_text()


def fill(text, values):
    """`text` with each @NAME@ in `values` replaced.  Other placeholders stay for a later call."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def piece(name, indent=0, **values):
    """The template `name`, filled and indented, without its last line feed."""
    text = fill(template(name).removesuffix("\n"), values)
    return "\n".join(" " * indent + line for line in text.split("\n"))


def quoted(text):
    """`text` as a string in nginx's configuration.  nginx has no escape for a dollar sign, hence the variable."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "${tg_dollar}") + '"'


def variable(name):
    """`name` as a part of the name of an nginx variable."""
    return re.sub(r"[^A-Za-z0-9]", "_", name)
