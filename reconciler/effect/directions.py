"""Directions: whether a change lets the dialer do more, or less.

The direction of a field follows from its rule (see `rules`). Fields that say when a body dials depend on each other: a longer
span or week opens nothing where no window is open. So the direction of a whole body compares its hours as a calendar: when
each contact may be called, before and after. A value that cannot be read is unknown. Unknown counts as loosening when
reconcile writes, and as *not narrowed* when somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from reconciler import diff
from reconciler.calendar import HORIZON, Hours, open_intervals, opens_later, without
from reconciler.effect.rules import UNREADABLE, Disjoint, Rule
from reconciler.models import Body


class Direction(StrEnum):
    """The direction of a change: its effect on dialing."""

    TIGHTEN = "tighten"
    LOOSEN = "loosen"
    MIXED = "mixed"
    NEUTRAL = "neutral"

    @property
    def widens(self) -> bool:
        """Whether the change may let the dialer do something that it may not do now; true for mixed changes."""
        return self in {Direction.LOOSEN, Direction.MIXED}


def combine(directions: Iterable[Direction]) -> Direction:
    """Return the direction of a change from those of its parts."""
    parts = set(directions) - {Direction.NEUTRAL}
    if not parts:
        return Direction.NEUTRAL
    return parts.pop() if len(parts) == 1 else Direction.MIXED


class Meaning(Protocol):
    """What a kind says about its bodies, as far as a direction needs it."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The meet of each managed field."""

    @property
    def timed(self) -> frozenset[str]:
        """The fields that together say when a body dials."""

    def hours(self, body: Body, /) -> Hours:
        """Return when a body lets the dialer call; raises one of `UNREADABLE` if a part of that cannot be read."""


def by_fields(live: Body, desired: Body, rules: Mapping[str, Rule]) -> Direction:
    """Return the direction of a change field by field, for callers without a clock.

    Of readable hours it never says less than `direction`, and more where a field that widens opens nothing.
    """
    return combine(of_field(name, live, desired, rules) for name in diff.moved(live, desired))


def direction(live: Body, desired: Body, kind: Meaning, now: datetime) -> Direction:
    """Return the direction of a change between two canonical bodies; a field of unknown direction counts as loosening.

    Only instants from `now` on count: nobody can dial in the past.
    """
    moved = diff.moved(live, desired)
    parts = [of_field(name, live, desired, kind.rules) for name in moved if name not in kind.timed]
    if len(parts) < len(moved):
        try:
            parts.append(of_hours(kind.hours(live), kind.hours(desired), now))
        except UNREADABLE:
            parts.append(Direction.LOOSEN)
    return combine(parts)


def of_hours(before: Hours, after: Hours, now: datetime) -> Direction:
    """Return the direction of other hours: does a contact of any zone become callable at any instant, or stop being so?

    Within 400 days of `now` every instant counts. Later ones are judged by `opens_later`, which errs on the side of a change.

    Raises:
        ValueError: a zone is unknown.
    """
    opens = closes = False
    for zone in dict.fromkeys((*before.zones, *after.zones, None)):
        old, new = (open_intervals(each, zone, now, now + HORIZON) for each in (before, after))
        later = now + HORIZON
        opens = opens or bool(without(new, old)) or opens_later(before, after, zone, later)
        closes = closes or bool(without(old, new)) or opens_later(after, before, zone, later)
    if opens:
        return Direction.MIXED if closes else Direction.LOOSEN
    return Direction.TIGHTEN if closes else Direction.NEUTRAL


def of_write(
    live: Body | None, desired: Body | None, kind: Meaning, now: datetime, *, settled: bool
) -> Direction:
    """Return the direction of storing a body (`None`: removing it). If the active schedule is not the stored one, it is unknown, so the write loosens."""
    if desired is None:
        return Direction.TIGHTEN
    if live is None:
        return Direction.LOOSEN
    step = direction(live, desired, kind, now)
    return step if settled else combine([step, Direction.LOOSEN])


def of_field(name: str, live: Body, desired: Body, rules: Mapping[str, Rule]) -> Direction:
    """Return the direction of one field that differs. A field without a rule, or with a value that the rule cannot read, loosens."""
    try:
        rule = rules[name]
        least = rule(live, desired, name)
        if least == desired[name]:
            neutral_too = rule(desired, live, name) == live[name]
            return Direction.NEUTRAL if neutral_too else Direction.TIGHTEN
        return Direction.LOOSEN if least == live[name] else Direction.MIXED
    except Disjoint:
        return Direction.MIXED
    except UNREADABLE:
        return Direction.LOOSEN
