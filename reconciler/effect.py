"""Direction: does a change let the dialer do more, or less?

First form: one rule a field, from live to desired. What no rule explains counts as loosening, and so does a mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from reconciler import diff
from reconciler.calendar import Window


class Direction(StrEnum):
    """What a change does to dialing."""

    TIGHTEN = "tighten"
    LOOSEN = "loosen"
    MIXED = "mixed"
    NEUTRAL = "neutral"

    @property
    def widens(self) -> bool:
        """Whether it may let the dialer do something it may not do now: mixed counts."""
        return self in {Direction.LOOSEN, Direction.MIXED}


Rule: TypeAlias = Callable[[Any, Any], Direction]
"""Direction of one field, given its live and its desired value: never equal, never absent, but the live one may be anything."""


def combine(directions: Iterable[Direction]) -> Direction:
    """Return the direction of a change from those of its parts."""
    parts = set(directions) - {Direction.NEUTRAL}
    if not parts:
        return Direction.NEUTRAL
    return parts.pop() if len(parts) == 1 else Direction.MIXED


def direction(
    live: Mapping[str, Any], desired: Mapping[str, Any], rules: Mapping[str, Rule]
) -> Direction:
    """Return what going from one canonical body to another does; a field without a rule loosens."""
    return combine(_of_field(name, live, desired, rules) for name in diff.moved(live, desired))


def _of_field(
    name: str, live: Mapping[str, Any], desired: Mapping[str, Any], rules: Mapping[str, Rule]
) -> Direction:
    """Return the direction of one field. What has no rule, no value or none that the rule can read is unknown, and unknown loosens."""
    try:
        return rules[name](live[name], desired[name])
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return Direction.LOOSEN


def neutral(_live: object, _desired: object) -> Direction:
    """A field that does not dial: a label, a display zone."""
    return Direction.NEUTRAL


def lower_tightens(live: float, desired: float) -> Direction:
    """A rate or a ceiling."""
    return Direction.TIGHTEN if desired < live else Direction.LOOSEN


def higher_tightens(live: float, desired: float) -> Direction:
    """A condition that must be met before more is dialed."""
    return Direction.TIGHTEN if desired > live else Direction.LOOSEN


def true_tightens(live: bool, desired: bool) -> Direction:  # noqa: FBT001 - a rule's two values are positional by nature
    """A safeguard that is on or off."""
    return Direction.TIGHTEN if desired and not live else Direction.LOOSEN


def later_tightens(live: datetime, desired: datetime) -> Direction:
    """The start of a span."""
    return Direction.TIGHTEN if desired > live else Direction.LOOSEN


def earlier_tightens(live: datetime, desired: datetime) -> Direction:
    """The end of a span."""
    return Direction.TIGHTEN if desired < live else Direction.LOOSEN


def fewer_hours_tighten(live: tuple[Window, ...], desired: tuple[Window, ...]) -> Direction:
    """Daily windows as sets of (zone, minute): no windows at all means every zone at every hour."""
    if bool(live) != bool(desired):
        return Direction.TIGHTEN if desired else Direction.LOOSEN
    return less_tightens(_minutes(live), _minutes(desired))


def more_tightens(live: Collection[object], desired: Collection[object]) -> Direction:
    """Safeguards, each of which takes something away: what is added tightens, what is gone loosens."""
    return less_tightens(set(desired), set(live))


def less_tightens(before: AbstractSet[object], after: AbstractSet[object]) -> Direction:
    """What is allowed, as a set: what is gone tightens, what is added loosens."""
    parts = []
    if before - after:
        parts.append(Direction.TIGHTEN)
    if after - before:
        parts.append(Direction.LOOSEN)
    return combine(parts)


def _minutes(windows: Iterable[Window]) -> set[tuple[str, int]]:
    return {
        (window.zone, minute)
        for window in windows
        for minute in range(window.start_minute, window.end_minute)
    }
