"""Validate requests of the campaigns API: strict JSON, and the rules of a schedule. Source: the contract, "The schedule"."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias, TypeGuard

from reconciler.sandbox.clock import parse_instant
from reconciler.sandbox.errors import Invalid

Error: TypeAlias = tuple[str, str]
"""Field and message, as the contract's 400 lists them."""

MAX_BODY = 1_048_576
"""Bytes of one request body."""

MAX_RATE = 100
MAX_CALLS = 5000
MAX_WINDOWS = 500
MAX_EVENTS = 500
MAX_ID = 128
"""Characters of an event's id or type."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def load(raw: bytes) -> Any:
    """Return the JSON value of a request body.

    Raises:
        Invalid: too large, not UTF-8, not JSON, NaN, a key given twice, half a surrogate pair.
    """
    if len(raw) > MAX_BODY:
        raise Invalid([("body", f"must be at most {MAX_BODY} bytes")])
    try:
        text = raw.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise Invalid([("body", "is nested too deep")]) from None
    except ValueError as error:
        raise Invalid([("body", f"must be JSON: {_reason(error)}")]) from None
    return value


def _reason(error: ValueError) -> str:
    return "not UTF-8" if isinstance(error, UnicodeError) else str(error)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise Invalid([(twice, "is given twice")])
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")


@cache
def zones() -> frozenset[str]:
    """Return the names of the IANA zones, from the declared `tzdata`: the same on every machine."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def check_schedule(body: Any, campaign_id: str, limits: Mapping[str, float]) -> list[Error]:
    """Return all problems of a schedule; empty when the platform accepts it.

    Args:
        body: the schedule that was sent.
        campaign_id: the campaign id in the path.
        limits: the tenant's dialer settings, `max_dial_rate` and `max_concurrent_calls`.
    """
    if not isinstance(body, dict):
        return [("body", "must be an object")]
    errors = list(_fields(body, _SCHEDULE, ""))
    if errors:
        return errors
    if body["campaign_id"] != campaign_id:
        errors.append(("campaign_id", f"must equal the path's, {campaign_id}"))
    if parse_instant(body["end_time"]) <= parse_instant(body["start_time"]):
        errors.append(("end_time", "must be after start_time"))
    errors += _above(body, "dial_rate", "max_dial_rate", limits)
    errors += _above(body, "max_concurrent_calls", "max_concurrent_calls", limits)
    errors += _check_windows(body["compliance_windows"])
    return errors


def check_events(body: Any) -> list[Error]:
    """Return all problems of a telemetry request. An event may have further fields besides the four required ones."""
    if not isinstance(body, dict):
        return [("body", "must be an object")]
    errors = list(_fields(body, {"events": _event_list}, ""))
    if errors:
        return errors
    return [
        error
        for i, event in enumerate(body["events"])
        for error in _check_event(event, f"events[{i}]")
    ]


def _check_event(event: object, path: str) -> Iterator[Error]:
    if not isinstance(event, dict):
        yield path, "must be an object"
    else:
        yield from _fields(event, _EVENT, f"{path}.", closed=False)


def _fields(
    value: Mapping[str, Any],
    checks: Mapping[str, Callable[[Any], str | None]],
    prefix: str,
    *,
    closed: bool = True,
) -> Iterator[Error]:
    """Yield the unknown (if the object is closed), missing and invalid fields of one object."""
    if closed:
        for name in value:
            if name not in checks:
                yield f"{prefix}{name}", "is not a field of this object"
    for name, check in checks.items():
        if name not in value:
            yield f"{prefix}{name}", "is required"
        elif message := check(value[name]):
            yield f"{prefix}{name}", message


def _check_windows(windows: list[Any]) -> list[Error]:
    errors = []
    for i, window in enumerate(windows):
        path = f"compliance_windows[{i}]"
        if not isinstance(window, dict):
            errors.append((path, "must be an object"))
        else:
            errors += _fields(window, _WINDOW, f"{path}.")
    return errors or _hours(windows)


def _hours(windows: list[Any]) -> list[Error]:
    errors: list[Error] = []
    taken: dict[tuple[str, int], int] = {}
    for i, window in enumerate(windows):
        start, end, zone = window["start_hour"], window["end_hour"], window["timezone"]
        if end <= start:
            errors.append((f"compliance_windows[{i}].end_hour", "must be after start_hour"))
        first = min((taken[zone, h] for h in range(start, end) if (zone, h) in taken), default=None)
        if first is not None:
            field = f"compliance_windows[{i}].start_hour"
            errors.append((field, f"overlaps compliance_windows[{first}] in {zone}"))
        taken |= {(zone, h): i for h in range(start, end) if (zone, h) not in taken}
    return errors


def _above(
    body: Mapping[str, Any], field: str, limit: str, limits: Mapping[str, float]
) -> list[Error]:
    if body[field] <= limits[limit]:
        return []
    return [(field, f"must be at most {limits[limit]:g}, the tenant's {limit}")]


def _text(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= MAX_ID:
        return None
    return f"must be text of 1 to {MAX_ID} characters"


def _zone(value: object) -> str | None:
    known = isinstance(value, str) and value in zones()
    return None if known else "must be an IANA zone, like America/New_York"


def _instant(value: object) -> str | None:
    if not isinstance(value, str):
        return "must be ISO 8601 with an offset, like 2027-01-11T14:00:00Z"
    try:
        parse_instant(value)
    except ValueError as error:
        return str(error)
    return None


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number of JSON; `True` is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rate(value: object) -> str | None:
    if is_number(value) and 0 < value <= MAX_RATE:
        return None
    return f"must be a number above 0 and at most {MAX_RATE}"


def _integer(low: int, high: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        if is_number(value) and isinstance(value, int) and low <= value <= high:
            return None
        return f"must be an integer from {low} to {high}"

    return check


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _list(most: int) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        short = isinstance(value, list) and len(value) <= most
        return None if short else f"must be a list of at most {most}"

    return check


_event_list = _list(MAX_EVENTS)
_WINDOW = {"start_hour": _integer(0, 23), "end_hour": _integer(0, 23), "timezone": _zone}
_EVENT = {"id": _text, "type": _text, "at": _instant, "campaign_id": _text}
_SCHEDULE: Mapping[str, Callable[[Any], str | None]] = {
    "campaign_id": _text,
    "timezone": _zone,
    "start_time": _instant,
    "end_time": _instant,
    "dial_rate": _rate,
    "max_concurrent_calls": _integer(1, MAX_CALLS),
    "compliance_windows": _list(MAX_WINDOWS),
    "dnc_verification": _flag,
}
FIELDS = tuple(_SCHEDULE)
"""Fields of a schedule, in the contract's order."""
