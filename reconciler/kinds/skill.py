"""`SkillSchedule`: the fields of a skill's schedule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from reconciler import calendar, effect
from reconciler.calendar import MINUTES_PER_DAY, DailyHours, Hours, WeekdayHours
from reconciler.effect import Slots
from reconciler.kinds.base import (
    DECIMAL,
    FLAG,
    IDENTITY,
    SECONDS,
    TEXT,
    Field,
    Form,
    Kind,
    Words,
)
from reconciler.kinds.live import Live
from reconciler.models import Body
from reconciler.models.skill import DAYS
from reconciler.models.zones import iana_name, is_zone


def _canonical_zone(value: object) -> object:
    return iana_name(value) if isinstance(value, str) else value


def _canonical_windows(value: object) -> object:
    """Return windows sorted by zone. The platform may send Windows zone names."""
    if not isinstance(value, list) or not all(
        isinstance(row, Mapping) and isinstance(row.get("timezone"), str) for row in value
    ):
        return value
    rows = ({**row, "timezone": iana_name(row["timezone"])} for row in value)
    return sorted(rows, key=lambda row: (row["timezone"], str(row.get("start"))))


def _canonical_groups(value: object) -> object:
    if isinstance(value, list) and all(isinstance(group, str) for group in value):
        return sorted(set(value))
    return value


ZONE: Final = Form("zone", _canonical_zone)
"""A time zone by the IANA name of its Windows zone."""
WEEK: Final = Form("week", lambda value: value)
WINDOWS: Final = Form("windows", _canonical_windows)
GROUPS: Final = Form("groups", _canonical_groups)


def _shared_windows(live: Any, desired: Any) -> Any:
    """Return the minutes of the day that both admit, by zone. Here an empty list calls nobody, unlike on the campaigns API."""
    return effect.shared(live, desired, _window_slots, _windows_of, is_zone)


def _shared_week(live: Any, desired: Any) -> Any:
    """Return the minutes of the week in which both run."""
    return effect.shared(live, desired, _week_slots, _week_of)


def _window_slots(rows: Iterable[Mapping[str, Any]]) -> Slots:
    return frozenset(
        (row["timezone"], minute % MINUTES_PER_DAY) for row in rows for minute in _minutes(row)
    )


def _week_slots(rows: Iterable[Mapping[str, Any]]) -> Slots:
    """Return the open minutes by day; minutes after midnight belong to the next day."""
    return frozenset(
        (DAYS[(DAYS.index(row["day"]) + minute // MINUTES_PER_DAY) % 7], minute % MINUTES_PER_DAY)
        for row in rows
        for minute in _minutes(row)
    )


def _windows_of(slots: Slots) -> list[dict[str, Any]]:
    zones = sorted({zone for zone, _ in slots})
    return [{"timezone": zone, **_longest(slots, zone)} for zone in zones]


def _week_of(slots: Slots) -> list[dict[str, Any]]:
    open_days = {day for day, _ in slots}
    return [{"day": day, **_longest(slots, day)} for day in DAYS if day in open_days]


def _longest(slots: Slots, where: str) -> dict[str, str]:
    """Return the longest interval of a zone or a day, the first if several are equal, because the platform stores one window for each."""
    found = effect.stretches(minute for each, minute in slots if each == where)
    start, end = max(found, key=lambda stretch: stretch[1] - stretch[0])
    return {"start": _clock(start), "end": _clock(end)}


def _minutes(row: Mapping[str, Any]) -> range:
    return effect.minutes(_minute(row["start"]), _minute(row["end"]))


def _minute(time: str) -> int:
    found = re.fullmatch(r"([0-9]{1,2}):([0-5][0-9])", time)
    if found is None:
        raise ValueError(f"no time of day: {time!r}")
    return int(found[1]) * 60 + int(found[2])


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _threshold(live: Body, desired: Body, name: str) -> Any:
    """The skill's own limit of abandoned calls. A limit of 0, or one that the business unit overrides, cannot be compared."""
    own = "override_business_unit_abandon_rate"
    if not (live[own] is desired[own] is True and live[name] > 0 and desired[name] > 0):
        raise ValueError("not the limit that counts")
    return effect.lower(live, desired, name)


FIELDS: Final = (
    Field("skill_id", IDENTITY),
    # in another zone the same hours are other hours
    Field("timezone", ZONE, fixed=True),
    Field(
        "run_window",
        WEEK,
        effect.by_value(_shared_week),
        timed=True,
        audit="run_window",
        label="run window",
    ),
    Field(
        "calling_windows",
        WINDOWS,
        effect.by_value(_shared_windows),
        timed=True,
        audit="compliance_windows",
        label="windows",
    ),
    Field(
        "maximum_ratio",
        DECIMAL,
        effect.lower,
        ceiling=True,
        immediate=True,
        audit="maximum_ratio",
        label="maximum ratio",
        unit="calls an available agent",
    ),
    Field("aggressiveness", TEXT, effect.ordered(min, int), immediate=True),
    Field("block_multiple_calls", FLAG, effect.safeguard, immediate=True),
    Field(
        "percentage_of_agents_before_overdial",
        DECIMAL,
        effect.higher,
        immediate=True,
        unit="percent of agents",
    ),
    Field(
        "abandon_rate_threshold",
        DECIMAL,
        _threshold,
        immediate=True,
        audit="abandon_rate_threshold",
        label="abandon rate threshold",
        unit="percent of answered calls",
    ),
    Field("override_business_unit_abandon_rate", FLAG, immediate=True),
    Field("maximum_ringing_duration_s", SECONDS, immediate=True, unit="s"),
    Field("dnc_groups", GROUPS, effect.union, audit="dnc_groups", label="DNC groups"),
)
"""The managed fields. A field without a meet has no direction that follows from its value alone."""


class SkillKind(Kind):
    """The kind of the Personal Connection API."""

    name = "SkillSchedule"
    words = Words(
        object="skill",
        windows="calling_windows",
        span="run_window",
        scrubs="dnc_groups",
        scrub="name at least one group in dnc_groups",
        link="name one in dnc_groups",
        removal="bring it back; a skill always holds a schedule, so only another one can end it",
        gone="delete the manifest",
    )

    def storable(self, body: Body) -> Body:
        """Return the body with closed days replaced by a minute in which no contact may be called: the platform takes no closed days.

        If there is no such minute, the body gets no calling windows, so nobody is called at all.
        """
        rows = {row["day"]: row for row in body["run_window"]}
        if len(rows) == len(DAYS):
            return body
        minute = calendar.closed_minute(self.hours(body).windows or (), body["timezone"])
        if minute is None:
            return self.storable({**body, "calling_windows": []})
        row = {"start": _clock(minute), "end": _clock(minute + 1)}
        return {**body, "run_window": [rows.get(day) or {"day": day, **row} for day in DAYS]}

    def hours(self, body: Body) -> Hours:
        """Return the week on the business unit's clock, and the windows on the contacts' clocks; there are no dates."""
        runs = (
            WeekdayHours(DAYS.index(row["day"]), _window(body["timezone"], row))
            for row in body["run_window"]
        )
        windows = (_window(row["timezone"], row) for row in body["calling_windows"])
        return Hours(None, None, tuple(sorted(windows)), tuple(sorted(runs)))

    def end(self, body: Body) -> None:
        """Return `None`."""

    def choices(self, body: Body) -> Mapping[str, frozenset[str]]:
        """Return the zones and the groups that the body names."""
        zones = frozenset(row["timezone"] for row in body["calling_windows"])
        return {"calling_windows": zones, "dnc_groups": frozenset(body["dnc_groups"])}

    def scrubs(self, body: Body) -> bool:
        """Return whether any group scrubs the skill."""
        return bool(body["dnc_groups"])

    def lists(self, body: Body) -> frozenset[str]:
        """Return the groups."""
        return frozenset(body["dnc_groups"])

    def is_silent(self, live: Live) -> bool:
        """Return whether the skill is stopped; only a person starts one."""
        return not live.running

    def silenced(self, body: Body | None) -> Body | None:
        """Return the body unchanged: a stopped skill keeps its settings."""
        return body


def _window(zone: str, row: Mapping[str, Any]) -> DailyHours:
    open_minutes = _minutes(row)
    return DailyHours(zone, open_minutes.start, open_minutes.stop)


KIND: Final = SkillKind(FIELDS)
KINDS: Final[Mapping[str, Kind]] = {KIND.name: KIND}
