"""The bytes and characters that a manifest may hold, checked before it is parsed."""

from __future__ import annotations

import re
from itertools import islice

from reconciler.errors import Place, Problem, is_hidden

MAX_BYTES = 256 * 1024
MAX_PROBLEMS = 20
"""Most problems reported for one file: a hostile file could hold a hundred thousand."""

_PLAIN_BYTES = bytes({*range(0x20, 0x7F), 0x0A})
_KEY_SIGN = re.compile(rb"(?:^|[-{,\[] *)\?", re.MULTILINE)


def check(data: bytes, file: str) -> list[Problem]:
    """Return the problems of a file that are visible without parsing it."""
    if len(data) > MAX_BYTES:
        text = f"is larger than {MAX_BYTES // 1024} KiB: split it into several files"
        return [Problem(Place(file), text)]
    if problems := _find_hidden(data, file):
        return problems
    if b"?" in data and (match := _KEY_SIGN.search(data)):
        place = _place(file, data[: match.end() - 1].decode("utf-8"))
        text = "a ? where a key may begin is read differently by different tools: put the text in quotes"
        return [Problem(place, text)]
    return []


def _find_hidden(data: bytes, file: str) -> list[Problem]:
    """Return a problem for each hidden character, at its first place. Almost every file is plain ASCII, which is checked first."""
    if not data.translate(None, _PLAIN_BYTES):
        return []
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place(file, data[: error.start].decode("utf-8"))
        return [Problem(place, "is not UTF-8: save the file as UTF-8")]
    first: dict[str, int] = {}
    for match in _ODD.finditer(text):
        if match[0] not in first and (match[0] == "\t" or is_hidden_in_yaml(match[0])):
            first[match[0]] = match.start()
    return [
        Problem(_place(file, text[:start]), hides(char) + _count_of(text.count(char)))
        for char, start in islice(first.items(), MAX_PROBLEMS)
    ]


def _count_of(times: int) -> str:
    return f" (it stands {times} times in this file)" if times > 1 else ""


_ODD = re.compile(r"\r(?!\n)|[^\x20-\x7e\n\r]")


def is_hidden_in_yaml(char: str) -> bool:
    """Return whether a terminal, an editor or a YAML reader may hide a character. Line ends and tabs, which a scalar may hold escaped, do not count."""
    return (is_hidden(char) and char not in "\n\t") or char in "\u00a0\ufffe\uffff"


def hides(char: str) -> str:
    """Return what is wrong with a hidden character."""
    if char == "\t":
        return "holds a tab, which tools read differently: use spaces"
    return f"holds the hidden character U+{ord(char):04X}: remove it"


def _place(file: str, before: str) -> Place:
    line = before.count("\n")
    return Place(file, line + 1, len(before) - before.rfind("\n"))
