"""What each kind of record must say: one table, which holds for whoever wrote the record.

A record with right hashes proves that its text is whole, not that a program of ours wrote it. So each field that is read
anywhere is declared here and checked when a line is read, and again before a line is written: what we write can be read.

Fields that are not declared are allowed. A later version may add what an earlier one need not know (`parts`, `base` and
`purpose` came like that), nothing here reads them, and the hash covers them. A field that an earlier version must not
ignore takes another `v`, which it refuses. What the platform said is kept as it came (`dial_rate` of what a stop removed):
it is shown, never computed with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from reconciler.effect import Direction
from reconciler.plan import Action, Result

DEPTH_LIMIT: Final = 20
"""Levels of lists and mappings in one record."""

_COUNT_LIMIT: Final = 2**53
"""What every reader of JSON holds exactly."""

_YEARS: Final = range(1970, 9000)
"""Years of an instant: any duration in a record may be added to it."""

_SECONDS_LIMIT: Final = 1e9

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY: Final = re.compile(r"[a-z2-7]{52}")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A run's id."""


class RecordKind(StrEnum):
    """What a record tells."""

    OPEN = "open"
    INTENT = "intent"
    OUTCOME = "outcome"
    CLOSE = "close"
    HOLD = "hold"
    RELEASE = "release"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field must be.

    Attributes:
        words: for a person: "`live` must be …".
        holds: whether a JSON value is that.
        needed: a record without the field is none.
    """

    words: str
    holds: Callable[[Any], bool]
    needed: bool = True


def _matches(pattern: re.Pattern[str], words: str) -> Rule:
    return Rule(words, lambda value: isinstance(value, str) and bool(pattern.fullmatch(value)))


def _one_of(*values: str) -> Rule:
    return Rule(
        f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in values
    )


def _or_null(rule: Rule) -> Rule:
    return Rule(f"{rule.words} or null", lambda value: value is None or rule.holds(value))


def _optional(rule: Rule) -> Rule:
    return Rule(rule.words, rule.holds, needed=False)


def _is_text(value: object) -> bool:
    """Return whether a value is text that can leave the program: half of a surrogate pair cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_instant(value: object) -> bool:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str) and instant.tzinfo is not None and instant.year in _YEARS


def _is_end(value: object) -> bool:
    """Return whether a value is an instant as `stamp` writes it: ends are compared as text."""
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _COUNT_LIMIT


def _is_seconds(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= _SECONDS_LIMIT


def _is_mapping_of(rule: Rule) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(rule.holds, value.values()))


TEXT: Final = Rule("a text", _is_text)
NAME: Final = Rule("a text that is not empty", lambda value: value != "" and _is_text(value))
FLAG: Final = Rule("true or false", lambda value: isinstance(value, bool))
COUNT: Final = Rule("a count (0, 1, …)", _is_count)
HASH: Final = _matches(_HASH, "64 hexadecimal digits")
COMMIT: Final = _matches(_COMMIT, "a commit id (40 or 64 hexadecimal digits)")
INSTANT: Final = Rule("an instant with its offset (ISO 8601)", _is_instant)
BODY: Final = Rule("a mapping", lambda value: isinstance(value, dict))
SECONDS: Final = Rule("a number of seconds", _is_seconds)
_LISTS: Final = Rule(
    "a list of mappings",
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
)
_MARKS: Final = Rule(
    "a mapping of lists of texts",
    _is_mapping_of(Rule("", lambda v: isinstance(v, list) and all(map(_is_text, v)))),
)
_PAIR: Final = Rule(
    "two hashes",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(HASH.holds, value)),  # noqa: PLR2004
)

APPLY, HALT = "apply", "halt"
"""What a run is for (`open`)."""

ACTIONS: Final = {
    Action.CREATE: "SCHEDULE_DEPLOYED",
    Action.UPDATE: "SCHEDULE_DEPLOYED",
    Action.HALT: "SCHEDULE_HALTED",
    Action.RETIRE: "SCHEDULE_RETIRED",
    Action.REFRESH: "SCHEDULE_REFRESHED",
}
"""What a write that ended well is called in the audit entry."""

HEADER: Final[Mapping[str, Rule]] = {
    "v": COUNT,
    "id": HASH,
    "kind": _one_of(*RecordKind),
    "tenant": NAME,
    "commit": COMMIT,
    "run": _matches(RUN, "a run's id"),
    "seq": COUNT,
    "n": COUNT,
    "prev": HASH,
    "h": HASH,
    "ts": INSTANT,
}
"""What every record says."""

_SHARED: Final[Mapping[str, Rule]] = {
    **{
        name: _optional(_or_null(TEXT))
        for name in ("actor", "approver", "pull_request", "reviewed_head", "run_url")
    },
    "name": _optional(TEXT),
    "target": _optional(NAME),
    "timestamp": _optional(INSTANT),
}
"""What is read of a record of any kind, where it says it."""

_WRITE: Final[Mapping[str, Rule]] = {
    "op": HASH,
    "generation": COUNT,
    "attempt": COUNT,
    "target": NAME,
    "object": NAME,
    "verb": _one_of(*ACTIONS),
    "name": TEXT,
    "direction": _one_of(*Direction),
    "digest": HASH,
}

_HELD: Final[Mapping[str, Rule]] = {"target": NAME, "name": TEXT, "reason": TEXT}

_FOUND: Final[Mapping[str, Rule]] = {
    "target": NAME,
    "object": NAME,
    "name": TEXT,
    "timestamp": INSTANT,
    "direction": _one_of(*Direction),
}
"""What a note says that has a body (`Run.found`)."""

_RULES: Final[Mapping[RecordKind, Mapping[str, Rule]]] = {
    RecordKind.OPEN: {
        **_SHARED,
        "digest": HASH,
        "operations": COUNT,
        "tool": TEXT,
        "ledger": _or_null(COMMIT),
        "applied": _or_null(COMMIT),
        "purpose": _optional(_one_of(APPLY, HALT)),
        "judges": _optional(FLAG),
    },
    RecordKind.CLOSE: {**_SHARED, "counts": Rule("a mapping of counts", _is_mapping_of(COUNT))},
    RecordKind.INTENT: {
        **_SHARED,
        **_WRITE,
        "before": HASH,
        "after": _or_null(HASH),
        "body": _or_null(BODY),
        "key": _matches(_KEY, "52 letters and digits"),
        "parts": _optional(_MARKS),
        "base": _optional(BODY),
        "first": _optional(_PAIR),
    },
    RecordKind.OUTCOME: {
        **_SHARED,
        **_WRITE,
        "intent": HASH,
        "result": _one_of(*Result),
        "action": TEXT,
        "timestamp": INSTANT,
        "latency_s": _or_null(SECONDS),
        "dnc_verified": _or_null(FLAG),
        "dnc_lists": _LISTS,
        "schedule_id": _or_null(TEXT),
        "message": _or_null(TEXT),
        "live": _or_null(HASH),
    },
    RecordKind.HOLD: {
        **_SHARED,
        **_HELD,
        "until": _or_null(Rule("an instant as records write it", _is_end)),
        "body": _optional(_or_null(BODY)),
    },
    RecordKind.RELEASE: {**_SHARED, **_HELD},
    RecordKind.NOTE: {
        **_SHARED,
        "text": TEXT,
        "superseded": _optional(COMMIT),
        "judge": _optional(FLAG),
        "judges": _optional(FLAG),
        "creating": _optional(FLAG),
        "body": _optional(BODY),
        "base": _optional(BODY),
        "direction": _optional(_one_of(*Direction)),
    },
}
"""What a kind's records say beside the header."""


def problem_of(fields: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a record's fields first, for a person; `None` when they are as their kind must be."""
    if (problem := next(_problems(fields, HEADER), None)) is not None:
        return problem
    kind = RecordKind(fields["kind"])
    if (problem := next(_problems(fields, _RULES[kind]), None)) is not None:
        return problem
    if kind is RecordKind.NOTE and "body" in fields:
        return next(_problems(fields, _FOUND), None)
    return None


def _problems(fields: Mapping[str, Any], rules: Mapping[str, Rule]) -> Iterator[str]:
    for name, rule in rules.items():
        if name not in fields:
            if rule.needed:
                yield f"the record's {name} is missing"
        elif not rule.holds(fields[name]):
            yield f"the record's {name} must be {rule.words}, not {_shown(fields[name])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004 - enough to find it by


def is_deep(value: object) -> bool:
    """Return whether lists and mappings lie deeper in each other than `DEPTH_LIMIT`: what reads and writes JSON goes down in them."""
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True
