"""Measure the effect of a change: from two bodies of one object to an `Effect`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import ceil
from typing import Final, Protocol

from reconciler import diff
from reconciler.calendar import HORIZON, Hours, Interval, open_intervals, opens_later, without
from reconciler.effect.directions import Meaning, of_field
from reconciler.effect.rules import UNREADABLE, Disjoint, lower, number
from reconciler.effect.values import Effect, Limit, ZoneEffect
from reconciler.models import Body
from reconciler.models import zone as iana

_HOUR_S: Final = 3600
_NEVER: Final = Hours(None, None, ())


class Measured(Meaning, Protocol):
    """What a kind says about its bodies, as far as an effect needs it."""

    @property
    def rate(self) -> str | None:
        """The field that limits dialing in calls per second."""

    @property
    def units(self) -> Mapping[str, str | None]:
        """The unit of each managed field."""


def of_change(before: Body | None, after: Body | None, kind: Measured, now: datetime) -> Effect:
    """Return the effect of a change between two canonical bodies; `None` is no schedule.

    Args:
        before: what dials now; an empty body if nobody can read that.
        after: what will dial.
        kind: of the object.
        now: the platform's clock. Earlier instants do not count.
    """
    old, new = before or {}, after or {}
    moved = [name for name in diff.moved(old, new) if name in kind.rules or name in old]
    both = before is not None and after is not None
    parts = [name for name in moved if name not in kind.timed]
    unknown = [name for name in parts if both and not _is_known(old, new, name, kind)]
    zones, dropped = None, list[str]()
    try:
        hours = [_NEVER if body is None else kind.hours(body) for body in (before, after)]
        zones = _zones(hours[0], hours[1], now)
        if both and hours[1].windows is None and hours[0].windows is not None:
            dropped = [name for name in moved if name in kind.timed and not new.get(name)]
    except UNREADABLE:
        unknown += [name for name in kind.timed if name in moved or not both]
    known = [name for name in parts if name not in unknown]
    return Effect(
        zones,
        _calls(before, after, kind),
        tuple(_limits(before, after, known, kind)),
        gained=tuple(_safeguards(new, old, known)) if both else (),
        lost=(*dropped, *_safeguards(old, new, known)) if both else (),
        unknown=() if before is not None and not before else tuple(sorted(unknown)),
    )


def _is_known(old: Body, new: Body, name: str, kind: Meaning) -> bool:
    """Return whether the rule of a field that differs can read both values."""
    try:
        kind.rules[name](old, new, name)
    except Disjoint:
        return True
    except UNREADABLE:
        return False
    return True


# --- numbers and safeguards


def _calls(before: Body | None, after: Body | None, kind: Measured) -> Limit | None:
    """Return the calls per hour that the rate allows."""
    if kind.rate is None:
        return None
    old, new = (_value(body, kind.rate, _HOUR_S) for body in (before, after))
    loosens = old is None or new is None or new > old
    return Limit("calls_per_hour", "calls/h", old, new, loosens=loosens)


def _limits(
    before: Body | None, after: Body | None, names: Iterable[str], kind: Measured
) -> Iterable[Limit]:
    """Yield the numbers that differ. Without a schedule on one side, only those that may be 0 then."""
    for name in names:
        if name == kind.rate or (
            (before is None or after is None) and kind.rules[name] is not lower
        ):
            continue
        old, new = _value(before, name), _value(after, name)
        if old is not None and new is not None:
            loosens = (
                new > old
                if before is None or after is None
                else of_field(name, before, after, kind.rules).widens
            )
            yield Limit(name, kind.units.get(name), old, new, loosens=loosens)


def _value(body: Body | None, name: str, times: float = 1) -> float | None:
    """Return a number, multiplied; 0 without a schedule, `None` if it cannot be read. Some levels are numbers in text."""
    if body is None:
        return 0.0
    value = body.get(name)
    try:
        return float(times * (int(value) if isinstance(value, str) else number(value)))
    except UNREADABLE:
        return None


def _safeguards(body: Body, other: Body, names: Iterable[str]) -> Iterable[str]:
    """Yield the safeguards that only one of two bodies has: flags that are on, and items of lists."""
    for name in names:
        mine, theirs = body.get(name), other.get(name)
        if mine is True and theirs is False:
            yield name
        if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple):
            yield from (f"{name}[{item}]" for item in mine if item not in theirs)


# --- hours


def _zones(before: Hours, after: Hours, now: datetime) -> tuple[ZoneEffect, ...]:
    named = {each for each in (*before.zones, *after.zones) if each is not None}
    some = [*sorted(named), *([None] if None in (*before.zones, *after.zones) else [])]
    found = (_zone(before, after, zone, now) for zone in some)
    return tuple(each for each in found if each.total_before or each.total_after or each.beyond)


def _zone(before: Hours, after: Hours, zone: str | None, now: datetime) -> ZoneEffect:
    end = now + HORIZON
    old = open_intervals(before, zone, now, end)
    new = open_intervals(after, zone, now, end)
    weeks = _weeks(zone, now)
    week = _fullest(old, weeks)
    if old == new:
        total = _minutes(old)
        beyond = opens_later(before, after, zone, end)
        return ZoneEffect(zone, week, week, total, total, beyond=beyond)
    opened = without(new, old)
    return ZoneEffect(
        zone,
        week,
        _fullest(new, weeks),
        _minutes(old),
        _minutes(new),
        _minutes(opened),
        _minutes(without(old, new)),
        datetime.fromtimestamp(opened[0][0], UTC) if opened else None,
        opens_later(before, after, zone, end),
    )


def _minutes(intervals: Iterable[Interval]) -> int:
    return ceil(sum([end - start for start, end in intervals]) / 60)


@lru_cache(maxsize=1024)
def _weeks(zone: str | None, now: datetime) -> tuple[float, ...]:
    """Return when each week of the horizon begins on the clock of a zone, Mondays 00:00, and when the last one ends."""
    where = UTC if zone is None else iana(zone)
    today = now.astimezone(where)
    monday = datetime(today.year, today.month, today.day, tzinfo=where) - timedelta(today.weekday())
    count = HORIZON.days // 7 + 2
    return tuple((monday + timedelta(weeks=week)).timestamp() for week in range(count + 1))


def _fullest(intervals: Sequence[Interval], weeks: Sequence[float]) -> int:
    """Return the minutes of the fullest week."""
    tally = [0.0] * len(weeks)
    for low, high in intervals:
        start, week = low, bisect_right(weeks, low) - 1
        while weeks[week + 1] < high:
            tally[week] += weeks[week + 1] - start
            week += 1
            start = weeks[week]
        tally[week] += high - start
    return ceil(max(tally) / 60)
