"""Compare what is read back after a write with what was sent, and with what was stored before it."""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler import diff, effect
from reconciler.dialects.kinds import Kind
from reconciler.errors import SHORTENED_TO, safe
from reconciler.models import Body
from reconciler.plan import Operation, Result

_SHOWN: Final = 3
"""Fields that a message names with both values."""


class Verdict(NamedTuple):
    """What reading back says of a write.

    Attributes:
        failure: how it failed; `None` when the platform holds what was sent, or what allows no more.
        message: each field that is not as it was sent, with both values; empty when there is none.
    """

    failure: Result | None
    message: str = ""


def compare(operation: Operation, now: Body | None, kind: Kind, *, ours: bool) -> Verdict:
    """Return what the stored body says of the write.

    Args:
        operation: what was sent, and what it replaced.
        now: the canonical body that is stored now; `None` when there is none.
        kind: of the object.
        ours: the platform names what is stored by the id that it gave our write: nobody wrote since, so the platform itself changed a value.
    """
    sent = operation.desired
    if now == sent:
        return Verdict(None)
    if now is None or sent is None:
        return _whole(operation, now)
    values = _both(sent, now)
    if ours:
        changed = effect.direction(sent, now, kind.rules)
        if changed.widens:
            hint = "may dial more than was sent; write a value that the platform keeps"
            return Verdict(Result.NOT_AS_SENT, f"{values}, which {hint}")
        return Verdict(None, values)
    before = operation.live
    if before is None or any(now.get(name) != before.get(name) for name in diff.moved(sent, now)):
        said = f"stored, and changed by somebody else before it was verified: {values}"
        return Verdict(Result.OVERTAKEN, said)
    return Verdict(Result.NOT_AS_SENT, f"{values}, as it was before the write")


def _whole(operation: Operation, now: Body | None) -> Verdict:
    """Compare a write of which either side is no schedule at all."""
    sent = "the removal" if operation.desired is None else "the schedule"
    if now == operation.live:
        return Verdict(Result.NOT_AS_SENT, f"{sent} was sent, and what is stored is as before")
    did = "removed" if now is None else "stored again"
    return Verdict(
        Result.OVERTAKEN, f"{sent} was stored, and {did} by somebody else before it was verified"
    )


def _both(sent: Body, now: Body) -> str:
    found = diff.explain(sent, now)
    said = [
        f"`{safe(each.path)}` was sent as {_text(each.live)} and is stored as {_text(each.desired)}"
        for each in found[:_SHOWN]
    ]
    more = len(found) - _SHOWN
    return ", ".join(said) + (f", and {more} more" if more > 0 else "")


def _text(value: object) -> str:
    return "nothing" if value is None else safe(str(value), limit=SHORTENED_TO)
