"""`CampaignSchedule`: the fields of a campaign's schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeGuard

from reconciler import effect
from reconciler.calendar import MINUTES_PER_DAY, DailyHours, Hours
from reconciler.effect import Slots
from reconciler.kinds.base import (
    CALLS,
    CALLS_PER_SECOND,
    DECIMAL,
    FLAG,
    IDENTITY,
    INSTANT,
    WHOLE,
    ZONE,
    Field,
    Form,
    Kind,
    Words,
)
from reconciler.kinds.live import Live
from reconciler.models import Body, zone
from reconciler.models.zones import is_zone

HOURS: Final = ("start_hour", "end_hour")
"""The numbers of a window."""

_WINDOW: Final = {"timezone": ZONE.canonical, **dict.fromkeys(HOURS, WHOLE.canonical)}


def _canonical_windows(value: object) -> object:
    """Return windows sorted by zone and hours, each without the fields that no manifest manages."""
    if not _is_list(value) or not all(isinstance(item, Mapping) for item in value):
        return value
    windows = [
        {name: form(item[name]) for name, form in _WINDOW.items() if name in item} for item in value
    ]
    try:
        return sorted(
            windows, key=lambda item: (item["timezone"], item["start_hour"], item["end_hour"])
        )
    except (KeyError, TypeError):
        return windows


WINDOWS: Final = Form("windows", _canonical_windows)


@lru_cache(maxsize=4096)  # many campaigns share few instants, and two rules ask for those of each
def instant(text: str) -> datetime:
    """Return ISO 8601 text as an instant in UTC.

    Raises:
        ValueError: not an instant: unreadable, out of range, or without an offset (which would mean this machine's zone).
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no offset: {text!r}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text!r}") from error


def _windows(items: Iterable[Mapping[str, Any]]) -> tuple[DailyHours, ...] | None:
    """Return windows; `None` for an empty list, which admits every contact at any hour."""
    if not _is_list(items):
        raise TypeError("no list of windows")
    found = tuple(
        sorted(_window(item["timezone"], item["start_hour"], item["end_hour"]) for item in items)
    )
    return found or None


@lru_cache(
    maxsize=4096, typed=True
)  # the same hours in thousands of campaigns; 9 and 9.0 are told apart
def _window(timezone: str, start_hour: int, end_hour: int) -> DailyHours:
    open_minutes = effect.minutes(_hour(start_hour), _hour(end_hour))
    return DailyHours(timezone, open_minutes.start, open_minutes.stop)


def _is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    return isinstance(value, list | tuple)


def _shared_windows(live: Any, desired: Any) -> Any:
    """Return the hours that both admit. An empty list would admit every zone at every hour, so lists without common hours are disjoint."""
    if not (_is_list(live) and _is_list(desired)):
        raise TypeError("no list of windows")
    if not live or not desired:
        return desired or live
    return effect.shared(live, desired, _slots, _of_slots, is_zone)


def _slots(items: Iterable[Mapping[str, Any]]) -> Slots:
    return frozenset(
        (item["timezone"], minute % MINUTES_PER_DAY)
        for item in items
        for minute in effect.minutes(_hour(item["start_hour"]), _hour(item["end_hour"]))
    )


def _hour(value: object) -> int:
    hour = effect.number(value)
    if hour != int(hour):
        raise ValueError(f"no whole hour: {value!r}")
    return int(hour) * 60


def _of_slots(slots: Slots) -> list[dict[str, Any]]:
    if not slots:
        raise effect.Disjoint
    return [
        {"timezone": zone, "start_hour": start // 60, "end_hour": end // 60}
        for zone in sorted({zone for zone, _ in slots})
        for start, end in effect.stretches(minute for where, minute in slots if where == zone)
    ]


def _display_zone(live: Body, desired: Body, name: str) -> Any:
    """The rule of the zone, which serves only display and the offset check (contract). The effect of an invalid zone is unknown."""
    zone(live[name])
    zone(desired[name])
    return desired[name]


FIELDS: Final = (
    Field("campaign_id", IDENTITY),
    Field("timezone", ZONE, _display_zone),
    Field("start_time", INSTANT, effect.ordered(max, instant), timed=True),
    Field("end_time", INSTANT, effect.ordered(min, instant), timed=True),
    Field(
        "dial_rate",
        DECIMAL,
        effect.lower,
        ceiling=True,
        audit="dial_rate",
        label="dial rate",
        unit=CALLS_PER_SECOND,
    ),
    Field(
        "max_concurrent_calls",
        WHOLE,
        effect.lower,
        ceiling=True,
        audit="max_concurrent",
        label="at most",
        unit=CALLS,
    ),
    Field("dnc_verification", FLAG, effect.safeguard),
    Field(
        "compliance_windows",
        WINDOWS,
        effect.by_value(_shared_windows),
        timed=True,
        audit="compliance_windows",
        label="windows",
    ),
)
"""The managed fields."""


class CampaignKind(Kind):
    """The kind of the campaigns API."""

    name = "CampaignSchedule"
    words = Words(
        object="campaign",
        windows="compliance_windows",
        span="start_time to end_time",
        scrubs="dnc_verification",
        scrub="set dnc_verification: true",
        link="link one on the platform before it dials",
        removal="bring it back with metadata.retired: true to remove it",
        gone="set `metadata.retired: true`",
    )

    def storable(self, body: Body) -> Body | None:
        """Return the body, or `None` when its span is empty: the platform cannot store a schedule that never dials."""
        return body if instant(body["start_time"]) < instant(body["end_time"]) else None

    def hours(self, body: Body) -> Hours:
        """Return the span and the daily windows."""
        return Hours(
            instant(body["start_time"]),
            self.end(body),
            _windows(body["compliance_windows"]),
        )

    def end(self, body: Body) -> datetime:
        """Return the end of the span."""
        return instant(body["end_time"])

    def choices(self, body: Body) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 - a body chooses nothing
        """Return no choices: this API has none."""
        return {}

    def lists(self, body: Body) -> None:
        """Return `None`: lists are linked on the platform."""

    def scrubs(self, body: Body) -> bool:
        """Return the do-not-call flag."""
        return bool(body["dnc_verification"])

    def is_silent(self, live: Live) -> bool:
        """Return whether nothing is stored and nothing dials. A stored schedule counts, because any refresh would activate it."""
        return live.stored is None and live.active_id is None

    def silenced(self, body: Body | None) -> None:
        """Return `None`: a stop removes the stored schedule."""


KIND: Final = CampaignKind(FIELDS)
KINDS: Final[Mapping[str, Kind]] = {KIND.name: KIND}
