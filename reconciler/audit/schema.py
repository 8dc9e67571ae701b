"""The fields of each kind of record, in one table, with a check for each.

A record with right hashes is complete, but that does not prove that this program wrote it. So each field that is read
anywhere is declared here. It is checked when a line is read, and before a line is written.

Other fields are allowed. A later version may add fields that earlier versions need not know, as `parts`, `base` and `purpose`
were added; nothing here reads them, and the hash covers them. A field that earlier versions must not ignore needs another
`v`, which they refuse. What the platform sent is kept as it came (such as `dial_rate` of what a stop removed): it is shown,
never computed with.

In records of a write, `object`, `target` and `verb` are the `kind`, `key` and `action` of its operation. In a record these
three names mean other things: the kind of record, the idempotency key, and the action of the audit entry. Longer names, such as
`object_kind`, would say no more, and `operation` is too close to `op` (its hash) and `operations` (their number in `open`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias

from reconciler.effect import Direction
from reconciler.plan import Action, Result

DEPTH_LIMIT: Final = 20
"""Most levels of nested lists and mappings in one record."""

_COUNT_LIMIT: Final = 2**53
"""Integers below this are exact for every JSON reader."""

_YEARS: Final = range(1970, 9000)
"""Accepted years of an instant: far enough from the limits that any duration of a record may be added."""

_SECONDS_LIMIT: Final = 1e9

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY: Final = re.compile(r"[a-z2-7]{52}")
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

RUN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A run's id."""


class RecordKind(StrEnum):
    """The kinds of record."""

    OPEN = "open"
    INTENT = "intent"
    OUTCOME = "outcome"
    CLOSE = "close"
    HOLD = "hold"
    RELEASE = "release"
    NOTE = "note"
    CHECKPOINT = "checkpoint"


HOLD: Final = RecordKind.HOLD
INTENT: Final = RecordKind.INTENT
NOTE: Final = RecordKind.NOTE
OUTCOME: Final = RecordKind.OUTCOME
"""Kinds for loops over all records: in Python 3.11, to look one up in its enum takes longer than to compare it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The check of one field.

    Attributes:
        words: what the field must be, for messages: "`live` must be …".
        holds: returns whether a JSON value passes.
        needed: whether the field is required.
    """

    words: str
    holds: Callable[[Any], bool]
    needed: bool = True


def _matches(pattern: re.Pattern[str], words: str) -> Rule:
    matches = pattern.fullmatch
    return Rule(words, lambda value: isinstance(value, str) and matches(value) is not None)


def _one_of(*values: str) -> Rule:
    known = frozenset(map(str, values))
    return Rule(
        f"one of {', '.join(values)}", lambda value: isinstance(value, str) and value in known
    )


def _or_null(rule: Rule) -> Rule:
    holds = rule.holds
    return Rule(f"{rule.words} or null", lambda value: value is None or holds(value))


def _optional(rule: Rule) -> Rule:
    return Rule(rule.words, rule.holds, needed=False)


def _is_text(value: object) -> bool:
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


def _is_instant(value: object) -> bool:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return isinstance(value, str) and instant.tzinfo is not None and instant.year in _YEARS


def _is_end(value: object) -> bool:
    """Return whether a value is an instant in the format of `stamp`: ends of holds are compared as text."""
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
"""Purposes of a run (`open`)."""

ACTIONS: Final = {
    Action.CREATE: "SCHEDULE_DEPLOYED",
    Action.UPDATE: "SCHEDULE_DEPLOYED",
    Action.HALT: "SCHEDULE_HALTED",
    Action.RETIRE: "SCHEDULE_RETIRED",
    Action.REFRESH: "SCHEDULE_REFRESHED",
}
"""Audit action of a write that ended well."""

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
"""Fields of every record."""

_SHARED: Final[Mapping[str, Rule]] = {
    **{
        name: _optional(_or_null(TEXT))
        for name in ("actor", "approver", "pull_request", "reviewed_head", "run_url")
    },
    "name": _optional(TEXT),
    "target": _optional(NAME),
    "timestamp": _optional(INSTANT),
}
"""Optional fields of every kind of record."""

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
"""Required fields of a note with a body (`Run.found`)."""

_CUT_FIELDS: Final[Mapping[str, Rule]] = {
    "head": COMMIT,
    "defects": COUNT,
    "dropped": COUNT,
    "reason": TEXT,
}


def _is_cut(value: object) -> bool:
    if not isinstance(value, dict) or value.keys() != _CUT_FIELDS.keys():
        return False
    return all(rule.holds(value[name]) for name, rule in _CUT_FIELDS.items())


_CUT: Final = Rule(f"a mapping of {', '.join(_CUT_FIELDS)}", _is_cut)
"""What a repair cut off: the damaged ledger commit, its defects, the records that could not be kept, and why."""

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
        "etag": _optional(TEXT),
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
        "accepts": _optional(COMMIT),
        "missing": _optional(HASH),
        "judge": _optional(FLAG),
        "judges": _optional(FLAG),
        "creating": _optional(FLAG),
        "body": _optional(BODY),
        "base": _optional(BODY),
        "direction": _optional(_one_of(*Direction)),
    },
    RecordKind.CHECKPOINT: {
        **_SHARED,
        "segment": COUNT,
        "state": HASH,
        "records": COUNT,
        "last": HASH,
        "latest": INSTANT,
        "clock": _or_null(INSTANT),
        "closes": COMMIT,
        "cut": _optional(_CUT),
    },
}
"""Fields of each kind of record, beside the header."""


def fields_of(kind: RecordKind) -> Mapping[str, Rule]:
    """Return the fields that records of a kind have beside the header."""
    return _RULES[kind]


_Checks: TypeAlias = tuple[tuple[str, Rule, Callable[[Any], bool]], ...]


def _checks(*tables: Mapping[str, Rule]) -> _Checks:
    return tuple((name, rule, rule.holds) for rules in tables for name, rule in rules.items())


_HEADER_CHECKS: Final = _checks(HEADER)
_CHECKS: Final[Mapping[str, _Checks]] = {
    kind.value: _checks(HEADER, rules) for kind, rules in _RULES.items()
}
_FOUND_CHECKS: Final = _checks(_FOUND)
_ABSENT: Final = object()


def problem_of(fields: Mapping[str, Any]) -> str | None:
    """Return the first problem of a record's fields, for people; `None` if there is none."""
    kind = fields.get("kind")
    checks = _CHECKS.get(kind, _HEADER_CHECKS) if isinstance(kind, str) else _HEADER_CHECKS
    problem = _first_problem(fields, checks)
    if problem is None and kind == RecordKind.NOTE and "body" in fields:
        return _first_problem(fields, _FOUND_CHECKS)
    return problem


def _first_problem(fields: Mapping[str, Any], checks: _Checks) -> str | None:
    for name, rule, holds in checks:  # one flat loop: it runs for every field of every record
        value = fields.get(name, _ABSENT)
        if value is _ABSENT:
            if rule.needed:
                return f"the record's {name} is missing"
        elif not holds(value):
            return f"the record's {name} must be {rule.words}, not {_shown(value)}"
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"  # noqa: PLR2004 - enough to find it by


_NESTED: Final = (dict, list)


def is_deep(value: object, levels: int = DEPTH_LIMIT) -> bool:
    """Return whether lists and mappings are nested deeper than `levels`. JSON is read and written recursively."""
    if levels == 0:
        return True
    if not isinstance(value, _NESTED):
        return False
    for each in value.values() if isinstance(value, dict) else value:
        if levels == 1 or (isinstance(each, _NESTED) and is_deep(each, levels - 1)):
            return True
    return False
