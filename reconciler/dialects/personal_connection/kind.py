"""`SkillSchedule`: what the engine may know of a skill's schedule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler import effect
from reconciler.calendar import Hours, Run, Window
from reconciler.dialects.kinds import Kind, Words
from reconciler.effect import Direction, Rule
from reconciler.models import Body
from reconciler.models.skill import DAYS, canonical_skill

if TYPE_CHECKING:  # see `dialects.kinds`
    from reconciler.dialects.base import JSON, Live


def _unknown(_live: object, _desired: object) -> Direction:
    """Neither more nor less can be told from the value alone, and what nobody can judge counts as loosening."""
    return Direction.LOOSEN


def _level_rule(live: str, desired: str) -> Direction:
    """A lower aggressiveness dials less (I), where both are numbers; another word cannot be judged, and raises."""
    return effect.lower_tightens(int(live), int(desired))


def _windows_rule(
    live: Iterable[Mapping[str, Any]], desired: Iterable[Mapping[str, Any]]
) -> Direction:
    """Minutes of the day by zone. No window at all calls nobody, unlike in other APIs."""
    return effect.less_tightens(_minutes(live, "timezone"), _minutes(desired, "timezone"))


def _week_rule(
    live: Iterable[Mapping[str, Any]], desired: Iterable[Mapping[str, Any]]
) -> Direction:
    return effect.less_tightens(_minutes(live, "day"), _minutes(desired, "day"))


def _minutes(rows: Iterable[Mapping[str, Any]], name: str) -> set[object]:
    return {
        (row[name], minute)
        for row in rows
        for minute in range(_minute(row["start"]), _minute(row["end"]))
    }


def _minute(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)


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
            "abandon_rate_threshold": effect.lower_tightens,
            "aggressiveness": _level_rule,
            "block_multiple_calls": effect.true_tightens,
            "calling_windows": _windows_rule,
            "dnc_groups": effect.more_tightens,
            "maximum_ratio": effect.lower_tightens,
            "maximum_ringing_duration_s": _unknown,
            "override_business_unit_abandon_rate": _unknown,
            "percentage_of_agents_before_overdial": effect.higher_tightens,
            "run_window": _week_rule,
            "timezone": _unknown,  # the same hours mean others
        }

    def canonical(self, raw: Body) -> Body:
        """Return a received schedule in the form that manifests compile to."""
        return canonical_skill(raw)

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
