"""Files of one shape are parsed once: the manifests of a folder differ in a few values, not in their structure.

A shape is a file without its plain values: scalars of safe characters on one line, behind `: `, `- `, `, ` or `[`. The parser
reads the shape with a placeholder for each value. Where it returns a placeholder as one whole scalar, any other safe text of the
same quoting is one whole scalar too, by YAML's grammar: none of its characters ends a scalar or begins anything else. Where it
returns a placeholder nowhere, that stands in a comment. A file for which neither is true has no shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

_VALUE: Final = re.compile(
    r"""
    ([ \[] (?<= [:,-][ ] | .\[ )                  # what stands before a value
     (?: [A-Za-z0-9] [A-Za-z0-9_./+ -]* (?<! [ ])  # unquoted
       | " [ !\#-\[\]-~]* "))                      # quoted, without escapes
    (?= [ ]* \r? [\n,\]}] | [ ]+ \# | \Z)
    """,
    re.VERBOSE,
)

_GAP: Final = "\0"
"""Stands for a value in a shape: NUL, which no manifest may hold."""

_QUOTED: Final = f'"{_GAP}"'

_NAME: Final = "zvalue"
"""Placeholders begin with it."""


def split(text: str) -> tuple[str, list[str]]:
    """Return the shape of a file, and its plain values as they stand in the file, with their quotes."""
    parts = _VALUE.split(text)
    values = parts[1::2]
    parts[1::2] = [each[0] + (_QUOTED if each[1] == '"' else _GAP) for each in values]
    return "".join(parts), [each[1:] for each in values]


def with_placeholders(shape: str) -> str | None:
    """Return a text to parse for a shape's text; `None` if placeholders could be mistaken for something of the file's."""
    if _NAME in shape:
        return None
    number = count()
    return re.sub(_GAP, lambda _: f"{_NAME}{next(number)}z", shape)


@dataclass(frozen=True, slots=True)
class _Slot:
    at: int
    """Number of the value."""


class NoWholeValue(Exception):
    """A placeholder is part of a value, or of a key."""


_WHOLE: Final = re.compile(rf"{_NAME}([0-9]+)z")


def slotted(node: Any) -> Any:
    """Return what was parsed with a slot for each placeholder.

    Raises:
        NoWholeValue: there is none for a placeholder.
    """
    if isinstance(node, dict):
        if any(_NAME in key for key in node):
            raise NoWholeValue
        return {key: slotted(each) for key, each in node.items()}
    if isinstance(node, list):
        return [slotted(each) for each in node]
    if isinstance(node, str) and _NAME in node:
        if (whole := _WHOLE.fullmatch(node)) is None:
            raise NoWholeValue
        return _Slot(int(whole[1]))
    return node


def filled(node: Any, values: Sequence[Any]) -> Any:
    """Return a new copy of what `slotted` returned, with values in its slots."""
    kind = type(node)
    if kind is _Slot:
        return values[node.at]
    if kind is dict:
        return {key: filled(each, values) for key, each in node.items()}
    if kind is list:
        return [filled(each, values) for each in node]
    return node
