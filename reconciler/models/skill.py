"""`SkillSchedule`: when and how a skill dials on the `personal-connection` API (`contract/personal-connection-api.md`).

Settings that the platform cannot hold are refused with the reason and what to write instead (`CANNOT`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from reconciler.models.base import Body, Expects, Flag, Label, Manifest, Metadata, Strict
from reconciler.models.zones import canonical_zone, windows_name

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
"""The days of a week, as manifests write them and in their order."""

CLOSED: Final = (
    "the platform takes a week only when all seven days are open: for a day without calls write one minute in which no"
    ' calling window is open, such as {start: "00:00", end: "00:01"}'
)
"""Why no day can be closed, and what works (contract: an inactive day answers InvalidParameter)."""


def _windows_zone(name: str) -> str:
    windows_name(name)
    return name


Id = Annotated[
    str, Field(pattern=r"^[1-9][0-9]{0,14}$"), Expects("a number of 1 to 15 digits, in quotes")
]
Zone = Annotated[
    str, AfterValidator(_windows_zone), Expects("an IANA time zone such as America/New_York")
]
Time = Annotated[
    str,
    Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$"),
    Expects('a time such as "09:00", in quotes'),
]
_RETIRED = (
    "false or absent, because a skill always holds a schedule (to stop managing the skill, delete the manifest; to stop its"
    " calls, narrow its calling windows or run `reconcile halt`)"
)


class Day(Strict):
    """One stretch of a day: local [start, end)."""

    start: Time
    """When dialing may begin, HH:MM."""

    end: Time
    """When dialing ends, HH:MM, after start."""

    @field_validator("end")
    @classmethod
    def _ends_after_it_starts(cls, end: str, info: ValidationInfo) -> str:
        start = info.data.get("start", "")
        if end <= start:
            raise ValueError(
                f"must be after start {start}, not {end}: no window goes past midnight"
            )
        return end


OfDay = Annotated[
    Day | None,
    Expects(
        'one window such as {start: "09:00", end: "20:00"}: the platform holds exactly one per day'
    ),
]


class RunWindow(Strict):
    """When the skill may dial at all, by the day of the week: one window a day, and every day has one."""

    daily: OfDay = None
    """Window of every day without a window of its own."""

    monday: OfDay = None
    """Mondays."""

    tuesday: OfDay = None
    """Tuesdays."""

    wednesday: OfDay = None
    """Wednesdays."""

    thursday: OfDay = None
    """Thursdays."""

    friday: OfDay = None
    """Fridays."""

    saturday: OfDay = None
    """Saturdays."""

    sunday: OfDay = None
    """Sundays."""

    @model_validator(mode="after")
    def _has_every_day(self) -> RunWindow:
        closed = [name for name in self.model_fields_set if getattr(self, name) is None]
        missing = [] if self.daily else [day for day in DAYS if getattr(self, day) is None]
        if closed or missing:
            without = ", ".join(sorted(closed) or missing)
            raise ValueError(f"has no window for {without}: {CLOSED}")
        return self

    def of(self, day: str) -> Day:
        """Return the window of a day."""
        found = getattr(self, day) or self.daily
        if not isinstance(found, Day):
            raise TypeError(day)
        return found


class CallingWindow(Day):
    """Daily calling hours for the contacts of one zone: local [start, end), every day."""

    timezone: Zone
    """IANA zone of the contacts that the window admits. Zones that share a Windows name are one zone."""


class SkillSpec(Strict):
    """Settings on the platform. Only these are compared, hashed, sent and recorded. All other settings of the skill stay as they are."""

    CANNOT: ClassVar[Mapping[str, str]] = {
        "compliance_windows": "for a skill use calling_windows, each with start and end as HH:MM",
        "campaign_id": "the platform's campaigns only group skills in reports: name the skill_id",
        "dial_rate": "the platform has no rate in calls per second: use maximum_ratio, which limits calls per available agent",
        "dnc_verification": "the platform has no such flag: list the DNC groups that must scrub the skill in dnc_groups",
        "end_time": "a skill's schedule has no dates, it holds until it is changed: merge the change on the day",
        "max_concurrent_calls": "the platform limits ports for the whole business unit, not for a skill: use maximum_ratio, which limits calls per available agent",
        "start_time": "a skill's schedule has no dates, it holds from when it is applied: merge the change on the day",
    }

    skill_id: Id
    """The platform's id of the skill, in quotes."""

    timezone: Zone
    """IANA zone of run_window. It must be the business unit's zone, which a plan checks and cannot change."""

    run_window: RunWindow
    """When the skill may dial, by day of the week, on the clock of `timezone`. One window a day; no day is closed."""

    calling_windows: Annotated[
        tuple[CallingWindow, ...],
        Field(strict=False, min_length=1),
        Expects("a list of at least one window"),
    ]
    """Calling hours by the zone of the contact, one window per zone. Contacts in a zone without a window are not called."""

    maximum_ratio: Annotated[
        float, Field(ge=1, le=3), Expects("a number from 1 to 3 (calls per available agent)")
    ]
    """Calls in progress for each available agent, 1 to 3. With 1 the dialer never dials ahead."""

    aggressiveness: Annotated[
        str,
        Field(min_length=1, max_length=40),
        Expects('the platform\'s own word, such as "5", in quotes'),
    ]
    """How fast the dialer approaches the ratio. A value that the platform defines; sent unchanged."""

    block_multiple_calls: Flag
    """Whether two skills are kept from calling a contact at the same time."""

    percentage_of_agents_before_overdial: Annotated[
        float, Field(ge=0, le=100), Expects("a number from 0 to 100 (percent of agents)")
    ]
    """Percentage of the agents who must be available before the dialer makes more calls than there are agents."""

    abandon_rate_threshold: Annotated[
        float, Field(ge=0, le=99.9), Expects("a number from 0 to 99.9 (percent of answered calls)")
    ]
    """Percentage of answered calls that are abandoned, above which the dialer slows down."""

    override_business_unit_abandon_rate: Flag
    """Whether the skill uses its own abandon_rate_threshold instead of the business unit's."""

    maximum_ringing_duration_s: Annotated[
        int, Field(ge=1, le=60), Expects("a whole number from 1 to 60 (seconds)")
    ]
    """Seconds after which an unanswered call is ended, 1 to 60."""

    dnc_groups: Annotated[
        tuple[Id, ...], Field(strict=False), Expects("a list of ids of DNC groups, in quotes")
    ]
    """Ids of exactly the DNC groups that scrub the skill."""

    @field_validator("calling_windows")
    @classmethod
    def _one_a_zone(cls, windows: tuple[CallingWindow, ...]) -> tuple[CallingWindow, ...]:
        seen: dict[str, str] = {}
        for window in windows:
            known = windows_name(window.timezone)
            if known in seen:
                raise ValueError(
                    f"name {known} twice ({seen[known]}, {window.timezone}): the platform holds one window per zone, so write them as one"
                )
            seen[known] = window.timezone
        return windows


class SkillMetadata(Metadata):
    """Name, owner and profile of a skill's manifest. Never sent to the platform."""

    CANNOT: ClassVar[Mapping[str, str]] = {"campaign_name": "for a skill use skill_name"}

    skill_name: Label | None = None
    """Name of the skill on the platform. The plan stops if it differs: a guard against a wrong id."""

    retired: Annotated[Literal[False], Expects(_RETIRED)] = False
    """Must be false: a skill always has a schedule."""


class SkillSchedule(Manifest):
    """The schedule of one Personal Connection skill."""

    api: ClassVar[str] = "personal-connection"
    identified_by: ClassVar[str] = "skill_id"
    named_by: ClassVar[str] = "skill_name"

    kind: Annotated[Literal["SkillSchedule"], Expects("SkillSchedule")]
    """Kind of the manifest."""

    metadata: SkillMetadata
    """Name, owner and profile of the manifest."""

    @property
    def platform_name(self) -> str | None:
        """Return the name that the skill must have on the platform."""
        return self.metadata.skill_name

    @classmethod
    def spec_of(cls, body: Body) -> dict[str, Any]:
        """Return the body with its week as a daily window and the days that differ."""
        return {**body, "run_window": _week_of(body["run_window"])}

    spec: SkillSpec
    """Settings that the platform must hold."""

    @property
    def key(self) -> str:
        """Return the skill's id."""
        return self.spec.skill_id

    def compile(self) -> Body:
        """Return the canonical body."""
        spec = self.spec
        windows = (
            {**dict(each), "timezone": canonical_zone(each.timezone)}
            for each in spec.calling_windows
        )
        return dict(spec) | {
            "timezone": canonical_zone(spec.timezone),
            "run_window": [{"day": day, **dict(spec.run_window.of(day))} for day in DAYS],
            "calling_windows": sorted(windows, key=lambda row: (row["timezone"], row["start"])),
            "dnc_groups": sorted(set(spec.dnc_groups)),
        }


def _week_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    days = {row["day"]: {"start": row["start"], "end": row["end"]} for row in rows}
    closed = [day for day in DAYS if day not in days]
    if closed:
        raise ValueError(f"run_window has no window for {', '.join(closed)}: {CLOSED}")
    windows = list(days.values())
    usual = max(windows, key=windows.count)
    return {"daily": usual, **{day: days[day] for day in DAYS if days[day] != usual}}
