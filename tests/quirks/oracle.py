"""What a body lets the dialer do, counted by brute force; and whether one lets it do more than others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.quirks.campaigns import CANONICAL, instant
from tests.quirks.skills import DAYS

ZONES = ("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "any other")
SLOTS = 48

Facts = Mapping[str, Any]
"""Sets of what is open (more is wider), numbers (more is wider), and sets of what protects (`safe …`: less is wider)."""


def of_campaign(body: Any) -> Facts | None:
    if body is None:
        return None
    windows = body["compliance_windows"]
    hours = {
        (CANONICAL.get(each["timezone"], each["timezone"]), hour)
        for each in windows
        for hour in range(int(each["start_hour"]), int(each["end_hour"]))
    }
    if not windows:
        hours = {(zone, hour) for zone in ZONES for hour in range(24)}
    return {
        "hours": hours,
        "dial_rate": float(body["dial_rate"]),
        "concurrency": int(body["max_concurrent_calls"]),
        "start": -instant(body["start_time"]).timestamp(),
        "end": instant(body["end_time"]).timestamp(),
        "safe dnc": {"dnc"} if _true(body["dnc_verification"]) else set(),
    }


def of_skill(body: Any) -> Facts:
    pacing = body["generalSettings"]
    days = body["scheduleSettings"]
    week = set()
    for number, day in enumerate(DAYS):
        if not _true(days["isScheduled"]):
            week |= {(number, slot) for slot in range(SLOTS)}
        elif _true(days[f"{day}IsActive"]):
            for slot in _slots(days[f"{day}StartTime"], days[f"{day}EndTime"]):
                week.add(((number + slot // SLOTS) % 7, slot % SLOTS))
    zones = {
        (each["standardName"], slot % SLOTS)
        for each in body["timeZoneSettings"]
        if _true(each["timeZoneActiveToCall"])
        for slot in _slots(each["startTime"], each["endTime"])
    }
    return {
        "week": week,
        "zones": zones,
        "ratio": float(pacing["maximumRatio"]),
        "aggressiveness": _level(pacing["aggressiveness"]),
        "before overdial": -float(pacing["percentageOfAgentsBeforeOverdial"]),
        "threshold": float(pacing["abandonRateThreshold"]),
        "safe multiple": {"block"} if _true(pacing["blockMultipleCalls"]) else set(),
        "safe groups": set(body["groups"]),
    }


def _true(value: Any) -> bool:
    return value in (True, "True", "true", 1, "1")


def _level(text: Any) -> float:
    return (
        float(text) if str(text).isdigit() else 99.0
    )  # a word that nobody can judge counts as the widest


def _slots(start: str, end: str) -> range:
    """Return half hours; one that ends at or before its start goes on past midnight."""
    first, last = (int(text[:2]) * 2 + int(text[3:5]) // 30 for text in (start, end))
    return range(first, last if last > first else last + SLOTS)


def wider(facts: Facts | None, others: Iterable[Facts | None]) -> list[str]:
    """Return the names of what a body opens that none of the others does."""
    known = [each for each in others if each is not None]
    if facts is None:
        return []
    if not known:
        return ["everything"]
    found = []
    for name, value in facts.items():
        if name.startswith("safe "):
            lost = set.intersection(*(set(each[name]) for each in known)) - value
        elif isinstance(value, set):
            lost = value - set.union(*(set(each[name]) for each in known))
        else:
            lost = value > max(each[name] for each in known)
        if lost:
            found.append(name)
    return found


def meet(one: Facts | None, other: Facts | None) -> Facts | None:
    """Return what both allow; `None` when that is nothing, which an empty list of windows would not say."""
    if one is None or other is None:
        return None
    said: dict[str, Any] = {}
    for name, value in one.items():
        if name.startswith("safe "):
            said[name] = value | other[name]
        elif isinstance(value, set):
            said[name] = value & other[name]
        else:
            said[name] = min(value, other[name])
    return None if "hours" in said and not said["hours"] else said


def differing(one: Facts | None, other: Facts | None) -> list[str]:
    """Return the names in which two bodies differ."""
    if one is None or other is None:
        return [] if one is other else ["everything"]
    return [name for name in one if one[name] != other[name]]
