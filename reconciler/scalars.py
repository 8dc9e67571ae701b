"""Scalars as platforms write them: one reader for each type, for every dialect.

A platform may write one value in several ways (`true`, `"True"`, `1`). A reader accepts every form that can mean only one
thing, and raises `ValueError` for the rest: an unreadable value must never become the permissive one. No reader
accepts `None`: the caller decides what an absent value means.

| reader | accepts | examples |
|---|---|---|
| `boolean` | true, false, their texts in any case, 0, 1 | `true`, `"False"`, `1`, `"0"` |
| `whole` | a whole number from 0 to 2^53, also as text | `12`, `12.0`, `"12"` |
| `decimal` | a number from 0 to 2^53, also as text | `1.5`, `"1.5"` |
| `duration_s` | seconds, an ISO 8601 duration without years and months, `HH:MM:SS` | `90`, `"90.5"`, `"PT1M30S"`, `"00:01:30"` |
| `instant` | ISO 8601 with a date and a time: with or without seconds, any number of fraction digits | `"2027-01-11T14:00Z"` |
| `clock` | a time of day in whole minutes | `"09:00"`, `"9:00"`, `"09:00:00"` |
| `identity` | a whole number, or a printable text that is not empty | `4001`, `"sch-7"` |
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

LARGEST: Final = 2**53
"""Beyond it a JSON number is not exact."""

MICRO_DIGITS: Final = 6
"""Fraction digits of a second that an instant can hold."""

_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}

_NUMBER: Final = r"[0-9]{1,16}(?:\.[0-9]{1,16})?"
_DECIMAL: Final = re.compile(_NUMBER)
_DURATION: Final = re.compile(
    rf"P(?:({_NUMBER})W)?(?:({_NUMBER})D)?(?:T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?"
)
_SECONDS: Final = (604_800, 86_400, 3_600, 60, 1)
_COUNTED: Final = re.compile(r"([0-9]{1,5}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,16})?)")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]((?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r"(?:(:[0-5][0-9])(?:\.([0-9]+))?)?([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::00(?:\.0+)?)?")


def boolean(value: object) -> bool:
    """Return a boolean.

    Raises:
        ValueError: neither true nor false.

    >>> boolean("False"), boolean(1)
    (False, True)
    """
    if isinstance(value, bool):
        return value
    found = _BOOLEANS.get(str(value).lower()) if isinstance(value, int | str) else None
    if found is None:
        raise ValueError("neither true nor false")
    return found


def decimal(value: object) -> float:
    """Return a number from 0 to `LARGEST`; an integer stays one.

    Raises:
        ValueError: not such a number.

    >>> decimal("1.50"), decimal(2)
    (1.5, 2)
    """
    if isinstance(value, str) and _DECIMAL.fullmatch(value) and value.isascii():
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        raise ValueError("not a number from 0 up")
    return value


def whole(value: object) -> int:
    """Return a whole number from 0 to `LARGEST`.

    Raises:
        ValueError: not such a number.

    >>> whole("12"), whole(12.0)
    (12, 12)
    """
    number = decimal(value)
    if number != int(number):
        raise ValueError("not a whole number")
    return int(number)


def duration_s(value: object) -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: not a duration, or one in years or months, which have no fixed length.

    >>> duration_s("PT3M1.5S"), duration_s("00:03:01"), duration_s("181.5")
    (181.5, 181.0, 181.5)
    """
    if isinstance(value, str):
        text = value.upper()
        if counted := _COUNTED.fullmatch(text):
            hours, minutes, seconds = counted.groups()
            return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        parts = _DURATION.fullmatch(text)
        if parts and any(parts.groups()) and not text.endswith("T"):
            pairs = zip(parts.groups(), _SECONDS, strict=True)
            return sum(float(part) * seconds for part, seconds in pairs if part)
    return decimal(value)


def instant(value: object, *, naive_is_utc: bool = False, exact: bool = False) -> datetime:
    """Return an instant in UTC, to the microsecond.

    Args:
        value: as received.
        naive_is_utc: an instant without an offset is in UTC; otherwise it is refused.
        exact: an instant between two microseconds is refused; otherwise it is cut off.

    Raises:
        ValueError: not an instant, or one that does not exist.

    >>> instant("2027-01-11T09:00-05:00").isoformat()
    '2027-01-11T14:00:00+00:00'
    """
    found = _INSTANT.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if found is None:
        raise ValueError("not an instant")
    date, minute, second, fraction, offset = found.groups()
    if offset is None and not naive_is_utc:
        raise ValueError("not an instant with an offset")
    fraction = (fraction or "").rstrip("0")
    if exact and len(fraction) > MICRO_DIGITS:
        raise ValueError("an instant between two microseconds")
    text = (
        f"{date}T{minute}{second or ':00'}.{fraction[:MICRO_DIGITS]:0<6}{(offset or 'Z').upper()}"
    )
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant out of range") from None


def clock(value: object) -> str:
    """Return a time of day as `HH:MM`.

    Raises:
        ValueError: not a time of day, or one with seconds.

    >>> clock("9:00:00")
    '09:00'
    """
    found = _CLOCK.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if found is None:
        raise ValueError("not a time of day in whole minutes")
    return f"{int(found[1]):02}:{found[2]}"


def identity(value: object) -> str:
    """Return an id as text. It goes into paths and messages, so it must be printable.

    Raises:
        ValueError: not an id.

    >>> identity(4001)
    '4001'
    """
    if isinstance(value, str) and value.isprintable() and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return str(value)
    raise ValueError("not an id")
