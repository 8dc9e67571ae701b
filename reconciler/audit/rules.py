"""Checks of one field of a record."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

COUNT_LIMIT: Final = 2**53
"""Integers below this are exact for every JSON reader."""

_FIRST_YEAR, _END_YEAR = 1970, 9000
"""Accepted years of an instant: far enough from the limits that any duration of a record may be added."""

_SECONDS_LIMIT: Final = 1e9

HASH_LENGTH: Final = 64
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
KEY: Final = re.compile(r"[a-z2-7]{52}")
_HOUR: Final = r"(?:[01]\d|2[0-3])"
_SECOND: Final = rf"\d{{4}}-\d\d-\d\dT{_HOUR}:\d\d:\d\d"
_STAMP: Final = re.compile(rf"{_SECOND}\.\d{{3}}Z", re.ASCII)
_INSTANT: Final = re.compile(rf"{_SECOND}(?:\.\d+)?(?:Z|[+-]{_HOUR}:[0-5]\d)", re.ASCII)
"""An instant in RFC 3339. Which other forms of ISO 8601 `fromisoformat` reads depends on the version of Python."""

is_stamp: Final = _STAMP.fullmatch
"""Return a match if a text looks like an instant in the format of `stamp`."""

_STAMP_FORM: Final = b"0000-00-00T00:00:00.000Z"
STAMP_LENGTH: Final = len(_STAMP_FORM)
"""No other form of an instant has this length and ends with `Z`."""

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")

RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A run's id."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The check of one field.

    Attributes:
        words: what the field must be, for messages: "`live` must be …".
        holds: returns whether a JSON value passes.
        needed: whether the field is required.
        group: of `GROUPS`, if values of its type are checked together with those of other fields.
    """

    words: str
    holds: Callable[[Any], bool]
    needed: bool = True
    group: str = ""


GROUPS: Final = {
    "hash": str,
    "count": int,
    "instant": str,
    "name": str,
    "text": str,
    "repeated": str,
    "mapping": dict,
}
"""Groups of fields that are checked together, and the type of their values. Of a mapping, the type is all that is checked."""


def matches(pattern: re.Pattern[str], words: str) -> Rule:
    """Return the rule that a field is a text that matches a pattern as a whole."""
    match = pattern.fullmatch
    return Rule(words, lambda value: isinstance(value, str) and match(value) is not None)


def one_of(*values: str) -> Rule:
    """Return the rule that a field is one of some texts."""
    known = frozenset(map(str, values))
    return Rule(
        f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in known
    )


def or_null(rule: Rule) -> Rule:
    """Return the rule that a field passes another rule, or is null."""
    holds = rule.holds
    return Rule(
        f"{rule.words} or null", lambda value: value is None or holds(value), group=rule.group
    )


def optional(rule: Rule) -> Rule:
    """Return the rule that a field passes another rule, or is absent."""
    return replace(rule, needed=False)


def is_text(value: object) -> bool:
    """Return whether a value is text that UTF-8 can encode. A lone surrogate cannot be encoded."""
    if not isinstance(value, str):
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_instant(value: object) -> bool:
    """Return whether a value is an instant of an accepted year, in the form of RFC 3339."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        return False
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return False
    return _FIRST_YEAR <= instant.year < _END_YEAR


def are_stamps(texts: Collection[str]) -> bool:
    """Return whether all texts are instants (`is_instant`) in the format of `stamp`. That takes less time than to check each."""
    if set(map(len, texts)) != {STAMP_LENGTH}:
        return not texts
    joined = "".join(texts)
    form = joined.encode(errors="replace").translate(_DIGITS)
    if form != _STAMP_FORM * len(texts) or "T24" in joined:  # which some versions of Python read
        return False
    if min(texts) < f"{_FIRST_YEAR}" or max(texts) >= f"{_END_YEAR}":
        return False
    try:
        return all(map(datetime.fromisoformat, texts))
    except ValueError:
        return False


def is_end(value: object) -> bool:
    """Return whether a value is an instant in the format of `stamp`: ends of holds are compared as text."""
    if not isinstance(value, str) or not is_stamp(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_count(value: object) -> bool:
    """Return whether a value is an integer that every JSON reader reads exactly, 0 or more."""
    return type(value) is int and 0 <= value < COUNT_LIMIT


def _is_seconds(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= _SECONDS_LIMIT


def is_mapping_of(rule: Rule) -> Callable[[object], bool]:
    """Return a check that a value is a mapping whose values pass a rule."""
    return lambda value: isinstance(value, dict) and all(map(rule.holds, value.values()))


TEXT: Final = Rule("a text", is_text, group="text")
NAME: Final = Rule(
    "a text that is not empty", lambda value: value != "" and is_text(value), group="name"
)
FLAG: Final = Rule("true or false", lambda value: isinstance(value, bool))
COUNT: Final = Rule("a count (0, 1, …)", is_count, group="count")
HASH: Final = replace(matches(_HASH, "64 hexadecimal digits"), group="hash")
COMMIT: Final = matches(_COMMIT, "a commit id (40 or 64 hexadecimal digits)")
INSTANT: Final = Rule(
    "an instant such as 2027-01-11T14:00:00.000Z (RFC 3339)", is_instant, group="instant"
)
BODY: Final = Rule("a mapping", lambda value: isinstance(value, dict), group="mapping")
SECONDS: Final = Rule("a number of seconds", _is_seconds)
LISTS: Final = Rule(
    "a list of mappings",
    lambda value: isinstance(value, list) and all(map(BODY.holds, value)),
)
MARKS: Final = Rule(
    "a mapping of lists of texts",
    is_mapping_of(Rule("", lambda v: isinstance(v, list) and all(map(is_text, v)))),
)
PAIR: Final = Rule(
    "two hashes",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(HASH.holds, value)),  # noqa: PLR2004
)
