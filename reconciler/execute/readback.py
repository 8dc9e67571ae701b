"""Compare the body read back after a write with the body sent and the body stored before."""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler import diff, effect
from reconciler.errors import SHORTENED_TO, safe
from reconciler.kinds import Kind
from reconciler.models import Body
from reconciler.plan import Operation, Result

_SHOWN: Final = 3
"""Fields that a message names with both values."""


class Comparison(NamedTuple):
    """The result of comparing the stored body with the one that was sent.

    Attributes:
        failure: the result to report; `None` when the platform stored what was sent, or something that is not wider.
        message: each field that differs, with both values; empty when none does.
    """

    failure: Result | None
    message: str = ""


def compare(operation: Operation, now: Body | None, kind: Kind, *, ours: bool) -> Comparison:
    """Compare the stored body with the one that was sent.

    Args:
        operation: the operation, with the sent body and the replaced one.
        now: the canonical body that is stored now; `None` when there is none.
        kind: the object's kind.
        ours: the stored schedule has the id that the platform gave our write. A difference then comes from the platform itself.
    """
    sent = operation.desired
    if now == sent:
        return Comparison(None)
    if now is None or sent is None:
        return _whole(operation, now)
    values = both_values(sent, now)
    if ours:
        changed = effect.by_fields(sent, now, kind.rules)
        if changed.widens:
            hint = "may dial more than was sent; write a value that the platform keeps"
            return Comparison(Result.NOT_AS_SENT, f"{values}, which {hint}")
        return Comparison(None, values)
    before = operation.live
    if before is None or any(now.get(name) != before.get(name) for name in diff.moved(sent, now)):
        said = f"stored, and changed by somebody else before it was verified: {values}"
        return Comparison(Result.OVERTAKEN, said)
    return Comparison(Result.NOT_AS_SENT, f"{values}, as it was before the write")


def is_beyond(stored: Body, sent: Body, dials: Body | None, kind: Kind) -> bool:
    """Return whether some field is stored wider than it was sent, and also wider than what dials now.

    A field that is stored wider than sent, but not wider than what dials now, may become active: that widens nothing.

    Args:
        stored: the canonical body that the platform stored.
        sent: the canonical body that was sent.
        dials: the canonical body that dials now; `None` when nothing dials, or it is unknown.
        kind: the object's kind.
    """
    return any(
        _is_wider(name, sent, stored, kind)
        and (dials is None or _is_wider(name, dials, stored, kind))
        for name in diff.moved(sent, stored)
    )


def _is_wider(name: str, than: Body, body: Body, kind: Kind) -> bool:
    same = name in than and name in body and than[name] == body[name]
    return not same and effect.of_field(name, than, body, kind.rules).widens


def _whole(operation: Operation, now: Body | None) -> Comparison:
    """Return the comparison for a removal, or for a write after which no schedule is stored."""
    sent = "the removal" if operation.desired is None else "the schedule"
    if now == operation.live:
        return Comparison(
            Result.NOT_AS_SENT, f"{sent} was sent, but the stored schedule is unchanged"
        )
    did = "removed" if now is None else "stored again"
    return Comparison(
        Result.OVERTAKEN, f"{sent} was stored, and {did} by somebody else before it was verified"
    )


def both_values(sent: Body, now: Body) -> str:
    """Return text for a message: each field that differs, with the sent and the stored value."""
    found = diff.explain(sent, now)
    said = [
        f"`{safe(each.path)}` was sent as {_text(each.live)} and is stored as {_text(each.desired)}"
        for each in found[:_SHOWN]
    ]
    more = len(found) - _SHOWN
    return ", ".join(said) + (f", and {more} more" if more > 0 else "")


def _text(value: object) -> str:
    return "nothing" if value is None else safe(str(value), limit=SHORTENED_TO)
