"""What a Personal Connection platform accepts in each block of a skill. Source of every rule: the contract, "Writing"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from reconciler.sandbox.campaign_rules import is_number, load
from reconciler.sandbox.errors import Invalid

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The days of a schedule, in the order of the wire."""

MAX_RATIO: Final = 3
MAX_RINGING_S: Final = 60
MAX_ABANDON_RATE: Final = 99.9

_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
Check = Callable[[Any], str | None]


def block(raw: bytes, name: str) -> Any:
    """Return the block that a request carries under its name.

    Raises:
        Invalid: not JSON, or not an object with exactly that key.
    """
    body = load(raw)
    if not isinstance(body, dict) or set(body) != {name}:
        raise Invalid([("body", f"must be an object with the one key {name}")])
    return body[name]


def check_schedule(value: Any) -> None:
    """Refuse a schedule block unless it has seven active days, each with a start before its end.

    Raises:
        Invalid: lists every wrong field.
    """
    _check(value, _SCHEDULE, "scheduleSettings")
    errors = []
    for day in DAYS:
        if not value[f"{day}IsActive"]:
            errors.append((f"{day}IsActive", "must be true: every day of the week is active"))
        elif value[f"{day}StartTime"] >= value[f"{day}EndTime"]:
            errors.append((f"{day}EndTime", f"must be after {day}StartTime"))
    if errors:
        raise Invalid(errors)


def check_general(value: Any, *, predictive: bool) -> None:
    """Refuse pacing that is out of range, or more than one call per agent where dialing ahead is not allowed.

    Raises:
        Invalid: lists every wrong field.
    """
    _check(value, _GENERAL, "generalSettings")
    if value["maximumRatio"] > 1 and not predictive:
        raise Invalid([("maximumRatio", "must be 1: predictive dialing is not allowed")])


def check_zone(value: Any) -> str | None:
    """Return what is wrong with one zone's window; `None` when nothing is."""
    try:
        _check(value, _ZONE, "timeZoneSettings")
    except Invalid as refused:
        field, message = refused.errors[0]
        return f"{field} {message}"
    if value["timeZoneActiveToCall"] and value["startTime"] >= value["endTime"]:
        return "endTime must be after startTime"
    return None


def _check(value: Any, checks: Mapping[str, Check], where: str) -> None:
    if not isinstance(value, dict):
        raise Invalid([(where, "must be an object")])
    errors = [(name, "is not a field here") for name in value if name not in checks]
    errors += [(name, "is required") for name in checks if name not in value]
    errors += [
        (name, wrong)
        for name, check in checks.items()
        if name in value and (wrong := check(value[name]))
    ]
    if errors:
        raise Invalid(errors)


def _time(value: object) -> str | None:
    good = isinstance(value, str) and _TIME.fullmatch(value)
    return None if good else "must be a time, HH:MM"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "must be text"


def _number(low: float, high: float) -> Check:
    def check(value: object) -> str | None:
        inside = is_number(value) and low <= value <= high
        return None if inside else f"must be a number from {low} to {high}"

    return check


_SCHEDULE: Mapping[str, Check] = {
    "isScheduled": _flag,
    **{
        f"{day}{part}": check
        for day in DAYS
        for part, check in (("StartTime", _time), ("EndTime", _time), ("IsActive", _flag))
    },
}
_ZONE: Mapping[str, Check] = {
    "standardName": _text,
    "startTime": _time,
    "endTime": _time,
    "timeZoneActiveToCall": _flag,
    "overrideTime": _flag,
}
_GENERAL: Mapping[str, Check] = {
    "maximumRatio": _number(1, MAX_RATIO),
    "minimumRatio": _number(1, MAX_RATIO),
    "aggressiveness": _text,
    "blockMultipleCalls": _flag,
    "percentageOfAgentsBeforeOverdial": _number(0, 100),
    "abandonRateThreshold": _number(0, MAX_ABANDON_RATE),
    "abandonRateCutoff": _number(0, 100),
    "overrideBusinessUnitAbandonRate": _flag,
    "maximumRingingDuration": _number(1, MAX_RINGING_S),
    "callerIdOverride": _text,
}
"""`minimumRatio` and `callerIdOverride` stand for what no client of ours manages and none may lose."""
