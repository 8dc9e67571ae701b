"""Direction: does a change let the dialer do more, or less?

Each managed field has one `Rule`: the meet of two values, which is the most that both allow. Everything else follows
from it: a change to the meet tightens, a change away from the meet loosens. A value that no rule can read is unknown.
Unknown counts as loosening when reconcile writes, and as *not narrowed* when somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

from reconciler import diff
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


class Disjoint(Exception):
    """Raised when two values have nothing in common and the field has no value for "nothing": only removing the schedule allows nothing."""


Rule: TypeAlias = Callable[[Body, Body, str], Any]
"""The meet of one field of two bodies: the most that both allow.

Arguments are the live body, the desired body and the field's name; the values differ. A rule returns the desired value where
that allows no more than the live one, else the live value where that allows no more, else a new value.

Raises:
    Disjoint: both together allow nothing, and the field has no value that says so.
    AttributeError, KeyError, TypeError, ValueError, OverflowError: a value is missing or cannot be read: unknown.
"""

UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
"""Exceptions that a rule raises for a value that it cannot read."""


def combine(directions: Iterable[Direction]) -> Direction:
    """Return the direction of a change from those of its parts."""
    parts = set(directions) - {Direction.NEUTRAL}
    if not parts:
        return Direction.NEUTRAL
    return parts.pop() if len(parts) == 1 else Direction.MIXED


def direction(live: Body, desired: Body, rules: Mapping[str, Rule]) -> Direction:
    """Return the direction of a change between two canonical bodies; a field of unknown direction counts as loosening."""
    return combine(of_field(name, live, desired, rules) for name in diff.moved(live, desired))


def of_write(
    live: Body | None, desired: Body | None, rules: Mapping[str, Rule], *, settled: bool
) -> Direction:
    """Return the direction of storing a body (`None`: removing it). If the active schedule is not the stored one, it is unknown, so the write loosens."""
    if desired is None:
        return Direction.TIGHTEN
    if live is None:
        return Direction.LOOSEN
    step = direction(live, desired, rules)
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


def by_value(meet: Callable[[Any, Any], Any]) -> Rule:
    """Return the rule of a field whose direction follows from its value alone."""
    return lambda live, desired, name: meet(live[name], desired[name])


def ordered(least: Callable[[Any, Any], Any], read: Callable[[Any], Any]) -> Rule:
    """Return the rule of a field whose values are totally ordered.

    Args:
        least: `min` if a lower value dials less, `max` if a higher one does.
        read: converts a value for the comparison; raises if it cannot be read.
    """

    def meet(live: Any, desired: Any) -> Any:
        return desired if least(read(live), read(desired)) == read(desired) else live

    return by_value(meet)


def number(value: object) -> float:
    """Return a number unchanged. Raise `TypeError` for anything else, truth values and text included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"no truth value: {value!r}")
    return value


lower = ordered(min, number)
"""A rate or a ceiling."""

higher = ordered(max, number)
"""A condition that must be met before more is dialed."""

safeguard = ordered(max, _truth)
"""A safeguard that is on or off."""


@by_value
def union(live: Any, desired: Any) -> Any:
    """The meet of two sets of safeguards: all of them together, because each one restricts dialing."""
    if not (isinstance(live, list | tuple) and isinstance(desired, list | tuple)):
        raise TypeError("no list of safeguards")
    both = {*live, *desired}
    if both == set(desired):
        return desired
    return live if both == set(live) else sorted(both)


def neutral(_live: Body, desired: Body, name: str) -> Any:
    """The rule of a field that does not affect dialing, such as a label or a display zone."""
    return desired[name]


def unknown(_live: Body, _desired: Body, name: str) -> Any:
    """Rule of a field whose direction is always unknown."""
    raise ValueError(f"the effect of {name} on dialing is unknown")


Slots: TypeAlias = frozenset[tuple[str, int]]
"""Minutes that are open: (zone or day, minute from midnight)."""


def shared(
    live: Any,
    desired: Any,
    read: Callable[[Any], Slots],
    write: Callable[[Slots], Any],
) -> Any:
    """Return the meet of two fields that say when something is open: the minutes that are open in both."""
    before, after = read(live), read(desired)
    if after <= before:
        return desired
    return live if before <= after else write(before & after)


def minutes(start: int, end: int) -> Iterable[int]:
    """Return the minutes from midnight of a stretch [start, end), which may run past midnight: then minutes ≥ 1440 are the next day's.

    Raises:
        ValueError: start equals end, which may mean "never" or "always", or one of them is not a minute of a day.
    """
    day = 24 * 60
    if start == end or not (0 <= start < day and 0 <= end <= day):
        raise ValueError(f"not a valid window: minutes {start} to {end}")
    return range(start, end if start < end else end + day)


def stretches(open_minutes: Iterable[int]) -> list[tuple[int, int]]:
    """Return minutes as stretches [start, end), in order."""
    found: list[tuple[int, int]] = []
    for minute in sorted(open_minutes):
        if found and found[-1][1] == minute:
            found[-1] = (found[-1][0], minute + 1)
        else:
            found.append((minute, minute + 1))
    return found
