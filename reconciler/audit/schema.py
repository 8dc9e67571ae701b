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

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from reconciler.audit.lines import DEPTH_LIMIT
from reconciler.audit.rules import (
    BODY,
    COMMIT,
    COUNT,
    FLAG,
    HASH,
    INSTANT,
    KEY,
    LISTS,
    MARKS,
    NAME,
    PAIR,
    RUN,
    SECONDS,
    TEXT,
    Rule,
    is_end,
    is_mapping_of,
    matches,
    one_of,
    optional,
    or_null,
)
from reconciler.audit.shapes import Checks, Shape, problems
from reconciler.effect import Direction
from reconciler.plan import Action, Result


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
    WRITE = "write"
    """An intent and its outcome in one line. It occurs only in the state of a checkpoint."""


CHECKPOINT: Final = RecordKind.CHECKPOINT
CLOSE: Final = RecordKind.CLOSE
HOLD: Final = RecordKind.HOLD
INTENT: Final = RecordKind.INTENT
NOTE: Final = RecordKind.NOTE
OPEN: Final = RecordKind.OPEN
OUTCOME: Final = RecordKind.OUTCOME
RELEASE: Final = RecordKind.RELEASE
WRITE: Final = RecordKind.WRITE
"""Kinds for loops over all records: in Python 3.11, to look one up in its enum takes longer than to compare it."""


EVERYTHING: Final = "*"
"""The target of a hold on every object of the tenant, also on one that nobody knows yet. No object has this key."""

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
    "kind": one_of(*(kind for kind in RecordKind if kind is not WRITE)),
    "tenant": NAME,
    "commit": COMMIT,
    "run": matches(RUN, "a run's id"),
    "seq": COUNT,
    "n": COUNT,
    "prev": HASH,
    "h": HASH,
    "ts": INSTANT,
}
"""Fields of every record."""

_SHARED: Final[Mapping[str, Rule]] = {
    **{
        name: optional(or_null(TEXT))
        for name in ("actor", "approver", "pull_request", "reviewed_head", "run_url")
    },
    "name": optional(TEXT),
    "target": optional(NAME),
    "timestamp": optional(INSTANT),
}
"""Optional fields of every kind of record."""

_WRITE: Final[Mapping[str, Rule]] = {
    "op": HASH,
    "generation": COUNT,
    "attempt": COUNT,
    "target": NAME,
    "object": NAME,
    "verb": one_of(*ACTIONS),
    "name": TEXT,
    "direction": one_of(*Direction),
    "digest": HASH,
}

_HELD: Final[Mapping[str, Rule]] = {"target": NAME, "name": TEXT, "reason": TEXT}

_FOUND: Final[Mapping[str, Rule]] = {
    "target": NAME,
    "object": NAME,
    "name": TEXT,
    "timestamp": INSTANT,
    "direction": one_of(*Direction),
}
"""Required fields of a note with a body (`Run.found`, `Run.imported`)."""

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

_RULES: Final[dict[RecordKind, Mapping[str, Rule]]] = {
    RecordKind.OPEN: {
        **_SHARED,
        "digest": HASH,
        "operations": COUNT,
        "tool": TEXT,
        "ledger": or_null(COMMIT),
        "applied": or_null(COMMIT),
        "purpose": optional(one_of(APPLY, HALT)),
        "judges": optional(FLAG),
    },
    RecordKind.CLOSE: {**_SHARED, "counts": Rule("a mapping of counts", is_mapping_of(COUNT))},
    RecordKind.INTENT: {
        **_SHARED,
        **_WRITE,
        "before": HASH,
        "after": or_null(HASH),
        "body": or_null(BODY),
        "key": matches(KEY, "52 letters and digits"),
        "parts": optional(MARKS),
        "base": optional(BODY),
        "emptied": optional(BODY),
        "first": optional(PAIR),
    },
    RecordKind.OUTCOME: {
        **_SHARED,
        **_WRITE,
        "intent": HASH,
        "result": one_of(*Result),
        "action": TEXT,
        "timestamp": INSTANT,
        "latency_s": or_null(SECONDS),
        "dnc_verified": or_null(FLAG),
        "dnc_lists": LISTS,
        "schedule_id": or_null(TEXT),
        "etag": optional(TEXT),
        "message": or_null(TEXT),
        "live": or_null(HASH),
    },
    RecordKind.HOLD: {
        **_SHARED,
        **_HELD,
        "until": or_null(Rule("an instant as records write it", is_end)),
        "body": optional(or_null(BODY)),
    },
    RecordKind.RELEASE: {**_SHARED, **_HELD},
    RecordKind.NOTE: {
        **_SHARED,
        "text": TEXT,
        "superseded": optional(COMMIT),
        "accepts": optional(COMMIT),
        "missing": optional(HASH),
        "judge": optional(FLAG),
        "judges": optional(FLAG),
        "creating": optional(FLAG),
        "imported": optional(FLAG),
        "body": optional(BODY),
        "base": optional(BODY),
        "direction": optional(one_of(*Direction)),
    },
    RecordKind.CHECKPOINT: {
        **_SHARED,
        "segment": COUNT,
        "state": HASH,
        "records": COUNT,
        "last": HASH,
        "latest": INSTANT,
        "clock": or_null(INSTANT),
        "closes": COMMIT,
        "cut": optional(_CUT),
    },
}
_RULES[WRITE] = {
    **_RULES[OUTCOME],
    **{name: _RULES[INTENT][name] for name in ("after", "body", "base", "emptied")},
}
"""Fields of each kind of record, beside the header."""


def fields_of(kind: RecordKind) -> Mapping[str, Rule]:
    """Return the fields that records of a kind have beside the header."""
    return _RULES[kind]


_HEADER_CHECKS: Final = Checks(HEADER)
_CHECKS: Final[Mapping[str, Checks]] = {
    kind.value: Checks(HEADER, rules) for kind, rules in _RULES.items() if kind is not WRITE
}
_IN_STATE: Final[Mapping[str, Checks]] = {
    **_CHECKS,
    WRITE.value: Checks({**HEADER, "kind": one_of(WRITE)}, _RULES[WRITE]),
}


def check(fields: dict[str, Any], *, in_state: bool = False) -> tuple[str | None, Sequence[Any]]:
    """Check the fields of a record, or of a line of a state.

    Returns:
        The first problem, for people; `None` if there is none. Then the values that are floats, lists and mappings.
    """
    known = _IN_STATE if in_state else _CHECKS
    try:
        checks = known[fields["kind"]]
    except (KeyError, TypeError):  # no kind of record, or not even a text
        checks = _HEADER_CHECKS
    shape = checks.shape(fields)
    problem = shape.problem(fields)
    if problem is None and fields["kind"] == NOTE and "body" in fields:
        problem = next(problems(fields, _FOUND), None)
    return problem, shape.loose(fields)


def check_together(
    records: Sequence[dict[str, Any]], *, in_state: bool = False
) -> list[Any] | None:
    """Check the fields of several records. Those of the same shape are checked together.

    Returns:
        The values that are floats, lists and mappings; `None` if one of the records has a problem, or may have one. Then each of
        them must be checked by itself (`check`).
    """
    known = _IN_STATE if in_state else _CHECKS
    shapes: dict[Shape, list[dict[str, Any]]] = {}
    for fields in records:
        kind = fields.get("kind")
        if not isinstance(kind, str) or kind not in known or (kind == NOTE and "body" in fields):
            return None
        shapes.setdefault(known[kind].shape(fields), []).append(fields)
    if not all(shape.are_sound(alike) for shape, alike in shapes.items()):
        return None
    return [
        value
        for shape, alike in shapes.items()
        for values in map(shape.loose, alike)
        for value in values
    ]


def problem_of(fields: dict[str, Any]) -> str | None:
    """Return the first problem of a record's fields, for people; `None` if there is none."""
    return check(fields)[0]


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


def flaw_of(fields: Mapping[str, Any]) -> str | None:
    """Return why a record cannot be written as canonical JSON, for people; `None` if it can be. Python also reads `NaN` and `Infinity`."""
    if is_deep(fields):
        return f"the record nests deeper than {DEPTH_LIMIT} levels"
    odd = next((name for name, value in fields.items() if not _is_finite(value)), None)
    return (
        None
        if odd is None
        else f"the record's {odd} holds NaN or Infinity: JSON has no such number"
    )


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(map(_is_finite, parts))
