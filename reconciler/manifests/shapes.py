"""Files of one shape are parsed once: the manifests of a folder differ in a few values, not in their structure.

A shape is a file without its plain values: scalars of safe characters on one line, behind `: `, `- `, `, ` or `[`. The parser
reads the shape with a placeholder for each value. Where it returns a placeholder as one whole scalar, any other safe text of the
same quoting is one whole scalar too, by YAML's grammar: none of its characters ends a scalar or begins anything else. Where it
returns a placeholder nowhere, that stands in a comment. A file for which neither is true has no shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

_UNQUOTED: Final = "[A-Za-z0-9][A-Za-z0-9_./+ -]*(?<![ ])"
_QUOTED: Final = r'"[ !#-\[\]-~]*"'
"""A value in quotes, without escapes."""

_VALUE: Final = re.compile(
    rf"""
    ([ \[] (?<= [:,-][ ] | .\[ )                  # what stands before a value
     (?: {_UNQUOTED} | {_QUOTED} ))
    (?= [ ]* \r? [\n,\]}}] | [ ]+ \# | \Z)
    """,
    re.VERBOSE,
)

_GAP: Final = "\0"
"""Stands for a value in a shape: NUL, which no manifest may hold."""

_QUOTED_GAP: Final = f'"{_GAP}"'

_NAME: Final = "zvalue"
"""Placeholders begin with it."""


def split(text: str) -> tuple[str, Sequence[str]]:
    """Return the shape of a file, and its plain values as they stand in the file, with their quotes."""
    for shape, match in _frequent.matches:
        if (found := match(text)) is not None:
            return shape, found.groups()
    parts = _VALUE.split(text)
    values = parts[1::2]
    parts[1::2] = [each[0] + (_QUOTED_GAP if each[1] == '"' else _GAP) for each in values]
    shape = "".join(parts)
    _frequent.meet(shape)
    return shape, [each[1:] for each in values]


class Frequent:
    """The first few shapes that many files have. Each becomes a pattern, which finds the values of a file in a sixth of the time.

    Args:
        many: number of files. A pattern takes as long to compile as it takes to split so many files.

    Attributes:
        matches: each of these shapes, and the function that matches a file of it with a group for each value.
    """

    MOST: Final = 4

    def __init__(self, many: int = 64) -> None:
        """Begin without shapes."""
        self.matches: tuple[tuple[str, Callable[[str], re.Match[str] | None]], ...] = ()
        self._many = many
        self._met: Counter[str] = Counter()

    def meet(self, shape: str) -> None:
        """Count a file that was split."""
        if len(self.matches) == self.MOST:
            return
        self._met[shape] += 1
        if self._met[shape] == self._many:
            self.matches = (*self.matches, (shape, _pattern(shape).fullmatch))
        if len(self._met) > self._many * self.MOST:
            self._met.clear()


_frequent = Frequent()


def _pattern(shape: str) -> re.Pattern[str]:
    """Return the pattern of all files of a shape, with a group for each value."""
    parts = re.split(f"({_QUOTED_GAP}|{_GAP})", shape)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = [f"({_UNQUOTED if each == _GAP else _QUOTED})" for each in parts[1::2]]
    return re.compile("".join(parts))


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
