"""A field's change in words: old → new as the manifest writes them, and what a reviewer may overlook about it.

Times are local with their weekday. A factor of two or more, a night hour and a moved day are marked. A long value is shortened
to the parts that differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from reconciler import effect
from reconciler.diff import FieldChange
from reconciler.effect import UNREADABLE
from reconciler.models import Body, wall_time, zone
from reconciler.report import value

MARKED_FROM: Final = 2.0
"""Factor from which a number is marked as raised or lowered."""

NIGHT: Final = (8 * 60, 21 * 60)
"""Minutes of the contact's day outside which a call is a night call: before 8 a.m. and after 9 p.m. (47 CFR 64.1200(c)(1))."""

_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_RANGE: Final = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?-([0-9]{1,2})(?::([0-9]{2}))?")
_WINDOWS: Final = "windows["
_NONE: Final = "none"
_SUNDAY: Final = 6
_HALF_DAY: Final = timedelta(hours=12)
_TENTHS_BELOW: Final = 10
_SHORTEST: Final = 24
"""Characters that a shortened value keeps at least."""


class Said(NamedTuple):
    """A field's change in words.

    Attributes:
        path: the field.
        before, after: its values.
        marks: what to notice about the change.
        factor: the number's new value divided by its old one; 1 where it is no number.
        unusual: whether an hour, a day or a zone changes in a way that a typing error may explain.
        is_time: whether the values are times, which are never shortened.
    """

    path: str
    before: str
    after: str
    marks: tuple[str, ...] = ()
    factor: float = 1.0
    unusual: bool = False
    is_time: bool = False

    def text(self, limit: int | None = None) -> str:
        """Return the change as one phrase of at most about `limit` characters; a shortened value keeps what differs."""
        before, after, path = self.before, self.after, self.path
        marks = f" ({', '.join(self.marks)})" if self.marks else ""
        if limit is not None and len(path) + len(before) + len(after) + len(marks) + 4 > limit:
            path = shortened(path, limit // 2)
            room = max(_SHORTEST, (limit - len(path) - len(marks) - 4) // 2)
            before, after = (before, after) if self.is_time else differing(before, after, room)
        return f"{path} {before} → {after}{marks}"

    @property
    def is_off(self) -> bool:
        """Whether a flag is switched off. Flags are safeguards."""
        return (self.before, self.after) == ("true", "false")

    @property
    def opens(self) -> bool:
        """Whether the contacts of a zone get their first calling window, or are newly called at night."""
        return _WINDOWS in self.path and (self.before == _NONE or self.unusual)

    @property
    def is_lost_window(self) -> bool:
        """Whether the contacts of a zone lose their last calling window."""
        return _WINDOWS in self.path and self.after == _NONE

    @property
    def order(self) -> tuple[int, float]:
        """Sort key: what is decisive for dialing comes first."""
        if self.path == "timezone":
            return -1, 0.0
        raised = max(self.factor, 1 / self.factor if self.factor else 1.0)
        if self.is_off or _NONE in {self.before, self.after} or self.unusual:
            return 0, -raised
        return (0 if raised >= MARKED_FROM else 1 if self.factor > 1 else 2), -raised


def said(change: FieldChange, live: Body | None, desired: Body | None) -> Said:
    """Return a field's change in words.

    Args:
        change: the field's change.
        live: the body before, for the zone of a time.
        desired: the body after.
    """
    before, after = change.live, change.desired
    if _is_instant(before) or _is_instant(after):
        return _said_of_times(
            change, str((live or {}).get("timezone")), str((desired or {}).get("timezone"))
        )
    plain = Said(change.path, value(before), value(after))
    if factor := factor_of(before, after):
        return plain._replace(marks=marks_of(factor), factor=factor)
    if change.path == "timezone":
        return plain._replace(unusual=True)
    if _WINDOWS in change.path and (night := _night(before, after)):
        return plain._replace(marks=(night,), unusual=True)
    return plain


def factor_of(before: object, after: object) -> float | None:
    """Return the factor by which a number changes; `None` where a value is no positive number that JSON holds exactly."""
    try:
        old, new = effect.number(before), effect.number(after)
    except UNREADABLE:
        return None
    return new / old if old > 0 and new > 0 else None


def marks_of(factor: float) -> tuple[str, ...]:
    """Return the mark of a number that is raised or lowered by a factor of at least `MARKED_FROM`."""
    if factor >= MARKED_FROM:
        return (f"raised {times(factor)}",)
    if factor <= 1 / MARKED_FROM:
        return (f"lowered to 1/{times(1 / factor)[1:]}",)
    return ()


def times(factor: float) -> str:
    """Return a factor with its sign: 4, 2.5 or 1,200 after a multiplication sign."""
    tenths = f"{factor:.1f}".removesuffix(".0")
    return f"\N{MULTIPLICATION SIGN}{tenths if factor < _TENTHS_BELOW else f'{factor:,.0f}'}"


def number(quantity: float) -> str:
    """Return a quantity with thousands separators: ``19,440``, ``0.5``."""
    return f"{round(quantity, 3):,}".removesuffix(".0")


def shortened(text: str, limit: int) -> str:
    """Return the start of a text, with an ellipsis if it is longer than `limit`."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def differing(before: str, after: str, limit: int) -> tuple[str, str]:
    """Return two values shortened to what differs: the items of two lists, else the middle of two texts."""
    old, new = before.split(", "), after.split(", ")
    shared = {*old} & {*new}
    if shared and {*old} != {*new}:
        rest = f"{len(shared)} unchanged"
        before = ", ".join([*(each for each in old if each not in shared), rest])
        after = ", ".join([*(each for each in new if each not in shared), rest])
    if max(len(before), len(after)) <= limit:
        return before, after
    start = _shared_start(before, after)
    start = 0 if start <= limit // 4 else start - 4
    return tuple(
        shortened(f"…{each[start:]}" if start else each, limit) for each in (before, after)
    )  # type: ignore[return-value]


def _shared_start(before: str, after: str) -> int:
    """Return how many characters two texts share at their start."""
    pairs = zip(before, after, strict=False)
    return next(
        (n for n, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after))
    )


# --- times --------------------------------------------------------------------------------------------------------------


def _is_instant(thing: object) -> bool:
    return isinstance(thing, str) and _INSTANT.fullmatch(thing) is not None


def local(thing: Any, zone_name: str) -> str:
    """Return a value for people, an instant as a wall time of the zone with its weekday: ``Sun 2027-01-10 21:00 America/New_York``."""
    try:
        return f"{wall_time(thing, zone_name)} {zone_name}" if _is_instant(thing) else value(thing)
    except (ValueError, OverflowError):
        return value(thing)


def _said_of_times(change: FieldChange, was: str, now: str) -> Said:
    """Return the change of an instant. The zone is named once where it is the same."""
    before, after = local(change.live, was), local(change.desired, now)
    if was == now and after.endswith(now):
        before = before.removesuffix(f" {was}")
    marks = tuple(_marks_of_times(change, was, now))
    odd = was != now or any("days " not in mark for mark in marks)
    return Said(change.path, before, after, marks, unusual=odd, is_time=True)


def _marks_of_times(change: FieldChange, was: str, now: str) -> Iterator[str]:
    """Yield by how much an instant moves on the wall, and whether its new wall time is unusual."""
    try:
        before, after = _wall(change.live, was), _wall(change.desired, now)
    except (ValueError, TypeError, OverflowError):
        return
    moved = after - before
    days = abs(moved).days
    if abs(moved) == _HALF_DAY:
        yield "moved by exactly 12 h: a.m. or p.m.?"
    elif days > 1:
        yield f"{days} days {'later' if after > before else 'earlier'}"
    if after.weekday() == _SUNDAY and before.weekday() != _SUNDAY:
        yield "on a Sunday"
    if _is_night(after) and not _is_night(before):
        yield "at night"


def _wall(instant: str, zone_name: str) -> datetime:
    return datetime.fromisoformat(instant).astimezone(zone(zone_name)).replace(tzinfo=None)


def _is_night(wall: datetime) -> bool:
    minute = wall.hour * 60 + wall.minute
    return not NIGHT[0] <= minute <= NIGHT[1]


# --- windows ------------------------------------------------------------------------------------------------------------


def _night(before: object, after: object) -> str:
    """Return a mark if windows newly open at night."""
    opened = _minutes(after) - _minutes(before)
    night = any(not NIGHT[0] <= minute < NIGHT[1] for minute in opened)
    return "newly calls before 8:00 or after 21:00" if night else ""


def _minutes(ranges: object) -> set[int]:
    """Return the minutes of a day that the ranges of windows cover; unreadable ranges cover none."""
    found: set[int] = set()
    for item in str(ranges or "").split(", "):
        if match := _RANGE.fullmatch(item):
            start, end = (int(match[n]) * 60 + int(match[n + 1] or 0) for n in (1, 3))
            found.update(range(start, end if start < end else end + 24 * 60))
    return {minute % (24 * 60) for minute in found}


def in_order(changes: Iterable[Said]) -> list[Said]:
    """Return the changes of one object, decisive ones first."""
    return sorted(changes, key=lambda each: each.order)
