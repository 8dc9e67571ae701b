"""Compare what is read back after a write with what was sent, and with what was stored before it."""

from __future__ import annotations

from typing import Final, NamedTuple

from reconciler import diff, effect
from reconciler.errors import SHORTENED_TO, safe
from reconciler.kinds import Kind
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
    values = both_values(sent, now)
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


def is_beyond(stored: Body, sent: Body, dials: Body | None, kind: Kind) -> bool:
    """Return whether a field of what was stored is wider than what was sent and wider than what dials.

    What is wider than it was sent, but no wider than what dials, is better active than not.

    Args:
        stored: the canonical body that the platform made of ours.
        sent: ours.
        dials: the canonical body that dials now; `None` when nothing does, or nobody knows.
        kind: of the object.
    """
    return any(
        _is_wider(name, sent, stored, kind)
        and (dials is None or _is_wider(name, dials, stored, kind))
        for name in diff.moved(sent, stored)
    )


def _is_wider(name: str, than: Body, body: Body, kind: Kind) -> bool:
    same = name in than and name in body and than[name] == body[name]
    return not same and effect.of_field(name, than, body, kind.rules).widens


def _whole(operation: Operation, now: Body | None) -> Verdict:
    """Compare a write of which either side is no schedule at all."""
    sent = "the removal" if operation.desired is None else "the schedule"
    if now == operation.live:
        return Verdict(Result.NOT_AS_SENT, f"{sent} was sent, and what is stored is as before")
    did = "removed" if now is None else "stored again"
    return Verdict(
        Result.OVERTAKEN, f"{sent} was stored, and {did} by somebody else before it was verified"
    )


def both_values(sent: Body, now: Body) -> str:
    """Return each field that is not stored as it was sent, with both values, for a message."""
    found = diff.explain(sent, now)
    said = [
        f"`{safe(each.path)}` was sent as {_text(each.live)} and is stored as {_text(each.desired)}"
        for each in found[:_SHOWN]
    ]
    more = len(found) - _SHOWN
    return ", ".join(said) + (f", and {more} more" if more > 0 else "")


def _text(value: object) -> str:
    return "nothing" if value is None else safe(str(value), limit=SHORTENED_TO)
