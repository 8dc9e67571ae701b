"""Convert times as people write them to the canonical form, `2027-01-11T14:00:00Z`, and back.

A time is a wall time in a zone, or ISO 8601 with an offset. The offset must be the one that the zone has then: an offset that
a DST change made stale is the classic error of hand-written schedules. A wall time that a DST change skips or repeats is
refused, not guessed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

from reconciler.models.zones import zone

_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_HOW = 'must be a wall time such as "2027-01-11 09:00", or ISO 8601 with an offset such as "2027-01-11T09:00:00-05:00"'
_YEARS = range(2000, 2100)
"""Years that a schedule may use. Any other year is taken for a typing error."""


@lru_cache(maxsize=4096)
def to_instant(text: str, zone_name: str) -> str:
    """Convert a time as people write it to the canonical form.

    Raises:
        ValueError: not a time, skipped or repeated by a DST change, or with an offset that the zone does not have then.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{_HOW}, not {text!r}")
    *numbers, seconds, offset = match.groups()
    try:
        year, month, day, hour, minute = map(int, numbers)
        wall = datetime(year, month, day, hour, minute, int(seconds or 0))  # noqa: DTZ001 - wall time has no zone yet
    except ValueError as error:
        raise ValueError(f"is not a date and time: {text!r} ({error})") from None
    if wall.year not in _YEARS:
        raise ValueError(f"must be in a year from 2000 to 2099, not {wall.year}")
    where = zone(zone_name)
    ahead = _check_offset(wall, offset, where) if offset else _offset_of_wall(wall, where)
    return _canonical(wall - ahead)


def from_instant(instant: str, zone_name: str) -> str:
    """Convert a canonical instant to a wall time in a zone; with its offset if the wall time is ambiguous.

    Raises:
        ValueError: not a canonical instant, or not a zone.

    >>> from_instant("2027-01-11T14:00:00Z", "America/New_York")
    '2027-01-11 09:00'
    """
    moment = datetime.fromisoformat(instant)
    if moment.tzinfo is None:
        raise ValueError(f"is not an instant: {instant!r}")
    local = moment.astimezone(zone(zone_name))
    wall = f"{local:%Y-%m-%d %H:%M}"
    try:
        enough = to_instant(wall, zone_name) == instant
    except ValueError:
        enough = False
    return wall if enough else local.isoformat()


_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def wall_time(instant: str, zone_name: str) -> str:
    """Convert a canonical instant to a wall time in a zone with its weekday, for people.

    Raises:
        ValueError: not a canonical instant, or not a zone.
        OverflowError: the wall time is out of range.

    >>> wall_time("2027-01-11T02:00:00Z", "America/New_York")
    'Sun 2027-01-10 21:00'
    """
    wall = from_instant(instant, zone_name)
    return f"{_WEEKDAYS[datetime.fromisoformat(wall).weekday()]} {wall}"


def _offset_of_wall(wall: datetime, where: ZoneInfo) -> timedelta:
    """Return the offset of a wall time that exists exactly once."""
    before, after = (_offset(wall.replace(tzinfo=where, fold=fold)) for fold in (0, 1))
    if before == after:
        return before
    if before < after:
        first = _end_of_gap(wall, where, before, after)
        raise ValueError(
            f"does not exist in {where.key}: clocks go forward over {wall}; the next time that exists is {first:%Y-%m-%d %H:%M}"
        )
    raise ValueError(
        f"happens twice in {where.key}: write the offset, "
        f'"{wall.isoformat()}{_sign(before)}" for the first or "{wall.isoformat()}{_sign(after)}" for the second'
    )


def _end_of_gap(wall: datetime, where: ZoneInfo, before: timedelta, after: timedelta) -> datetime:
    """Return the first wall time after the gap that contains `wall`: the second at which the zone's offset changes."""
    low, high = wall - after, wall - before
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle.replace(tzinfo=UTC).astimezone(where)) == before:
            low = middle
        else:
            high = middle
    return high + after


def _check_offset(wall: datetime, written: str, where: ZoneInfo) -> timedelta:
    """Return the written offset if the zone has it at that instant."""
    try:
        instant = datetime.fromisoformat(f"{wall.isoformat()}{written}")
    except ValueError:
        raise ValueError(f"has an invalid offset: {written}") from None
    offset, there = _offset(instant), _offset(instant.astimezone(where))
    if offset != there:
        raise ValueError(
            f"says {written}, but {where.key} has {_sign(there)} then: write the time there without an offset, or with {_sign(there)}"
        )
    return offset


def canonical_instant(value: object) -> object:
    """Convert a received instant to the canonical form; anything but an instant with an offset stays unchanged.

    >>> canonical_instant("2027-01-11T09:00:00.000-05:00")
    '2027-01-11T14:00:00Z'
    """
    return _convert(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _convert(text: str) -> str:
    """Convert the text of a timestamp as received. Cached, because many campaigns share a few instants."""
    from reconciler import scalars  # noqa: PLC0415 - needed for received instants only, and slow to import

    try:
        return _canonical(scalars.instant(text, exact=True).replace(tzinfo=None))
    except ValueError:
        return text


def _canonical(utc: datetime) -> str:
    return utc.isoformat() + "Z"


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _sign(offset: timedelta) -> str:
    """Return an offset as ISO 8601 writes it: ``-05:00``."""
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat()[-6:]
