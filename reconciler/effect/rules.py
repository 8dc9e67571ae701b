"""Rules: the most that two values of a field both allow.

Each managed field has one `Rule`: the meet of two values. A change to the meet tightens, a change away from the meet
loosens. A rule raises for a value that it cannot read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from reconciler.models import Body
from reconciler.scalars import LARGEST


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
    """Return a number unchanged.

    Raises:
        TypeError: anything else, truth values and text included.
        ValueError: beyond what JSON holds exactly, so a limit of that size may mean anything.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"no number: {value!r}")
    if not -LARGEST <= value <= LARGEST:
        raise ValueError("a number beyond 2^53")
    return value


def amount(value: object) -> float:
    """Return a number from 0 up unchanged.

    Raises:
        TypeError: no number.
        ValueError: beyond what JSON holds exactly, or negative. A limit of -1 often means that there is no limit.
    """
    if (found := number(value)) < 0:
        raise ValueError(f"a negative number: {value!r}")
    return found


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"no truth value: {value!r}")
    return value


lower = ordered(min, amount)
"""A rate or a ceiling."""

higher = ordered(max, amount)
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


def _always(_: str) -> bool:
    """Return `True`."""
    return True


def shared(
    live: Any,
    desired: Any,
    read: Callable[[Any], Slots],
    write: Callable[[Slots], Any],
    is_known: Callable[[str], bool] = _always,
) -> Any:
    """Return the meet of two fields that say when something is open: the minutes that are open in both.

    Args:
        live: value of the field.
        desired: the other value.
        read: value → open minutes.
        write: open minutes → value.
        is_known: whether a zone or day is known.

    Raises:
        ValueError: the values have no zone in common, and one of the zones is unknown. It may be another name of any zone.
    """
    before, after = read(live), read(desired)
    if after <= before:
        return desired
    if before <= after:
        return live
    theirs, ours = ({where for where, _ in slots} for slots in (before, after))
    if theirs.isdisjoint(ours) and not all(is_known(each) for each in theirs | ours):
        raise ValueError("an unknown zone")
    return write(before & after)


def minutes(start: int, end: int) -> range:
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
