"""Directions: whether a change lets the dialer do more, or less.

The direction of a field follows from its rule (see `rules`). A value that no rule can read is unknown. Unknown counts as
loosening when reconcile writes, and as *not narrowed* when somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from reconciler import diff
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
