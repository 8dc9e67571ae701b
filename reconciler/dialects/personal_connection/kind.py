"""`SkillSchedule`: what the engine may know of a skill's schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler import effect
from reconciler.calendar import MINUTES_PER_DAY, Hours, Run, Window, ever_open
from reconciler.dialects.kinds import Kind, Words
from reconciler.effect import Rule, Slots
from reconciler.models import Body
from reconciler.models.skill import DAYS, canonical_skill

if TYPE_CHECKING:  # see `dialects.kinds`
    from reconciler.dialects.base import JSON, Live


def _shared_windows(live: Any, desired: Any) -> Any:
    """Return the minutes of the day that both admit, by zone. No window at all calls nobody, unlike in other APIs."""
    return effect.shared(live, desired, _window_slots, _windows_of)


def _shared_week(live: Any, desired: Any) -> Any:
    """Return the minutes of the week in which both run."""
    return effect.shared(live, desired, _week_slots, _week_of)


def _window_slots(rows: Iterable[Mapping[str, Any]]) -> Slots:
    return frozenset(
        (row["timezone"], minute % MINUTES_PER_DAY) for row in rows for minute in _minutes(row)
    )


def _week_slots(rows: Iterable[Mapping[str, Any]]) -> Slots:
    """Return the open minutes by day; what runs past midnight is the next day's."""
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
    """Return the longest stretch of a zone or a day, the first of equals: the platform holds one window for each."""
    found = effect.stretches(minute for each, minute in slots if each == where)
    start, end = max(found, key=lambda stretch: stretch[1] - stretch[0])
    return {"start": _clock(start), "end": _clock(end)}


def _minutes(row: Mapping[str, Any]) -> Iterable[int]:
    return effect.minutes(_minute(row["start"]), _minute(row["end"]))


def _minute(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _threshold(live: Body, desired: Body, name: str) -> Any:
    """The skill's own limit of abandoned calls. One that is 0, or that the business unit's stands in for, limits nothing that can be compared."""
    own = "override_business_unit_abandon_rate"
    if not (live[own] is desired[own] is True and live[name] > 0 and desired[name] > 0):
        raise ValueError("not the limit that counts")
    return effect.lower(live, desired, name)


class SkillKind:
    """The kind of the Personal Connection API. `canonical` takes anything and never raises; the others take canonical bodies of manifests."""

    name = "SkillSchedule"
    words = Words(
        object="skill",
        windows="calling_windows",
        span="run_window",
        scrubs="dnc_groups",
        scrub="name at least one group in dnc_groups",
        link="name one in dnc_groups",
        removal="bring it back; a skill always holds a schedule, so only another one can end it",
    )
    fixed = frozenset({"timezone"})
    immediate = frozenset(
        {
            *("maximum_ratio", "aggressiveness", "block_multiple_calls", "abandon_rate_threshold"),
            *("percentage_of_agents_before_overdial", "override_business_unit_abandon_rate"),
            "maximum_ringing_duration_s",
        }
    )
    rules: Mapping[str, Rule]

    def __init__(self) -> None:
        self.rules = {
            "abandon_rate_threshold": _threshold,
            "aggressiveness": effect.ordered(
                min, int
            ),  # a lower level dials less (I); a word is unknown
            "block_multiple_calls": effect.safeguard,
            "calling_windows": effect.by_value(_shared_windows),
            "dnc_groups": effect.union,
            "maximum_ratio": effect.lower,
            "maximum_ringing_duration_s": effect.unknown,
            "override_business_unit_abandon_rate": effect.unknown,
            "percentage_of_agents_before_overdial": effect.higher,
            "run_window": effect.by_value(_shared_week),
            "timezone": effect.unknown,  # the same hours mean others
        }

    def canonical(self, raw: Body) -> Body:
        """Return a received schedule in the form that manifests compile to."""
        return canonical_skill(raw)

    def storable(self, body: Body) -> Body:
        """Return the body with a minute in which no contact may be called for each day that is closed: the platform takes no closed day.

        Where there is no such minute, nobody is called at all.
        """
        rows = {row["day"]: row for row in body["run_window"]}
        if len(rows) == len(DAYS):
            return body
        closed = Hours(None, None, self.hours({**body, "run_window": []}).windows)
        for minute in range(MINUTES_PER_DAY):
            row = {"start": _clock(minute), "end": _clock(minute + 1)}
            run = Run(0, _window(body["timezone"], row))
            if not closed.windows or not ever_open(closed._replace(runs=(run,))):
                week = [rows.get(day) or {"day": day, **row} for day in DAYS]
                return {**body, "run_window": week}
        return self.storable({**body, "calling_windows": []})

    def hours(self, body: Body) -> Hours:
        """Return the week on the business unit's clock, and the windows on the contacts' clocks; there are no dates."""
        runs = (
            Run(DAYS.index(row["day"]), _window(body["timezone"], row))
            for row in body["run_window"]
        )
        windows = (_window(row["timezone"], row) for row in body["calling_windows"])
        return Hours(None, None, tuple(sorted(windows)), tuple(sorted(runs)))

    def ceilings(self, body: Body) -> Mapping[str, float]:
        """Return the ratio, which is 1 at most where predictive dialing is not allowed."""
        return {"maximum_ratio": body["maximum_ratio"]}

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
        """Return the same: a stopped skill keeps its settings."""
        return body

    def audit_fields(self, body: Body) -> Mapping[str, JSON]:
        """Return the audit entry's fields by the brief's names (no rate in calls per second exists here), and what stands in their place."""
        return {
            "campaign_id": body.get("skill_id"),
            "compliance_windows": body.get("calling_windows"),
            "dial_rate": None,
            "max_concurrent": None,
            **{name: body.get(name) for name in _AUDITED},
        }


_AUDITED: Final = ("maximum_ratio", "abandon_rate_threshold", "run_window", "dnc_groups")


def _window(zone: str, row: Mapping[str, Any]) -> Window:
    return Window(zone, _minute(row["start"]), _minute(row["end"]))


KINDS: Final[Mapping[str, Kind]] = {SkillKind.name: SkillKind()}
