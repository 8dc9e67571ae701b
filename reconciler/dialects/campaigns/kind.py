"""`CampaignSchedule`: what the engine may know of a campaign's schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from reconciler import effect, models
from reconciler.calendar import MINUTES_PER_DAY, Hours, Window
from reconciler.dialects.kinds import Kind, Words
from reconciler.effect import Rule, Slots
from reconciler.models import Body

if TYPE_CHECKING:  # see `dialects.kinds`
    from reconciler.dialects.base import JSON, Live


class CampaignKind:
    """The kind of the campaigns API. `canonical` takes anything and never raises; the others take canonical bodies of manifests."""

    name = "CampaignSchedule"
    words = Words(
        object="campaign",
        windows="compliance_windows",
        span="start_time to end_time",
        scrubs="dnc_verification",
        scrub="set dnc_verification: true",
        link="link one on the platform before it dials",
        removal="bring it back with metadata.retired: true to remove it",
    )
    fixed: frozenset[str] = frozenset()
    immediate: frozenset[str] = frozenset()
    rules: Mapping[str, Rule]

    def __init__(self) -> None:
        self.rules = {
            "compliance_windows": effect.by_value(_shared_windows),
            "dial_rate": effect.lower,
            "dnc_verification": effect.safeguard,
            "end_time": effect.ordered(min, instant),
            "max_concurrent_calls": effect.lower,
            "start_time": effect.ordered(max, instant),
            "timezone": effect.neutral,  # contract: serves display and the offset check alone
        }

    def canonical(self, raw: Body) -> Body:
        """Return a received schedule in the form that manifests compile to."""
        return models.canonical(raw)

    def storable(self, body: Body) -> Body | None:
        """Return the body, or `None` when its span is empty: the platform holds no schedule that never dials."""
        return body if instant(body["start_time"]) < instant(body["end_time"]) else None

    def hours(self, body: Body) -> Hours:
        """Return the span and the daily windows."""
        return Hours(
            instant(body["start_time"]),
            instant(body["end_time"]),
            _windows(body["compliance_windows"]),
        )

    def ceilings(self, body: Body) -> Mapping[str, float]:
        """Return calls per second and calls at once."""
        return {
            "dial_rate": body["dial_rate"],
            "max_concurrent_calls": body["max_concurrent_calls"],
        }

    def choices(self, body: Body) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 - a body chooses nothing
        """Return nothing: the platform offers no choice."""
        return {}

    def lists(self, body: Body) -> None:
        """Return `None`: lists are linked on the platform."""

    def scrubs(self, body: Body) -> bool:
        """Return the do-not-call flag."""
        return bool(body["dnc_verification"])

    def is_silent(self, live: Live) -> bool:
        """Return whether nothing is stored and nothing dials: what is stored dials after anybody's refresh."""
        return live.stored is None and live.active_id is None

    def silenced(self, body: Body | None) -> None:
        """Return nothing: a stop removes what is stored."""

    def audit_fields(self, body: Body) -> Mapping[str, JSON]:
        """Return the audit entry's fields, by the brief's names. The body of a removal is the platform's: a field may be missing."""
        return {
            "campaign_id": body.get("campaign_id"),
            "compliance_windows": body.get("compliance_windows"),
            "dial_rate": body.get("dial_rate"),
            "max_concurrent": body.get("max_concurrent_calls"),
        }


@lru_cache(maxsize=4096)  # many campaigns share few instants, and two rules ask for those of each
def instant(text: str) -> datetime:
    """Return ISO 8601 text as an instant in UTC.

    Raises:
        ValueError: no instant: unreadable, out of range, or without an offset (which would mean this machine's zone).
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no offset: {text!r}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text!r}") from error


def _windows(items: Iterable[Mapping[str, Any]]) -> tuple[Window, ...]:
    if not _is_list(items):
        raise TypeError("no list of windows")
    return tuple(
        sorted(_window(item["timezone"], item["start_hour"], item["end_hour"]) for item in items)
    )


@lru_cache(
    maxsize=4096, typed=True
)  # the same hours in thousands of campaigns; 9 and 9.0 are told apart
def _window(timezone: str, start_hour: int, end_hour: int) -> Window:
    return Window(timezone, start_hour * 60, end_hour * 60)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _shared_windows(live: Any, desired: Any) -> Any:
    """Return the hours that both admit. No window at all admits every zone at every hour, so two that share none are disjoint."""
    if not (_is_list(live) and _is_list(desired)):
        raise TypeError("no list of windows")
    if not live or not desired:
        return desired or live
    return effect.shared(live, desired, _slots, _of_slots)


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


KINDS: Final[Mapping[str, Kind]] = {CampaignKind.name: CampaignKind()}
