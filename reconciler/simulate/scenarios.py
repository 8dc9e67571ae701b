"""The published scenarios: teams, answer rates and platforms that a pacing policy is tried on.

The answer rates of a week follow the contact rates of cell phones by day and part of the day in a survey (PMC5875189, table 3).
A scenario changes one thing at a time: see `about` of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Final

HISTORY_DAYS: Final = 28
"""Days that are dialed, and observed, before the first day that counts."""

RISE_DAYS: Final = 14
"""Days in which an answer rate that rises or falls does so, in equal steps."""

_SURVEY: Final = (
    (20.6, 22.7, 23.5, 22.2),  # Monday
    (20.6, 22.7, 23.5, 22.2),
    (20.6, 22.7, 23.5, 22.2),
    (20.6, 22.7, 23.5, 22.2),  # Thursday
    (20.3, 23.3, 23.2, 23.0),
    (22.8, 23.3, 24.2, 22.8),
    (22.8, 23.0, 24.4, 21.9),  # the survey has no Sunday morning: as on Saturday
)
"""Contacts in percent of first dials to cell phones: by weekday, in the morning, afternoon, evening and at night."""

_PARTS: Final = (12, 17, 19)
"""Hours at which afternoon, evening and night begin."""


def by_survey(weekday: int, hour: int) -> float:
    """Return the answer rate of an hour of the week, relative to the mean of the survey."""
    part = sum(hour >= begin for begin in _PARTS)
    return _SURVEY[weekday][part] / 22.7


@dataclass(frozen=True, slots=True)
class Detection:
    """A machine detector at work.

    Attributes:
        false_machine: share of the live persons that are taken for machines. Their call ends in silence, so it counts as abandoned.
        false_live: share of the machines that are taken for persons. They cost an agent `machine_s`.
        delay_s: seconds that a verdict takes. A person waits that long before an agent can be sought.
        machine_s: seconds until an agent knows that nobody is there, and is ready again.
    """

    false_machine: float = 0.0
    false_live: float = 0.0
    delay_s: float = 0.0
    machine_s: float = 12.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign, as it is in truth, and as its manifest stands before the first day.

    Attributes:
        name: the manifest's name.
        agents: agents logged in while the campaign may dial.
        answer_rate: live answers per attempt, averaged over the survey's week.
        dial_rate: calls per second of the past weeks.
        handle_time_s: mean handle time with wrap-up.
        wrap_up_s: part of the handle time after the call, in which the line is free.
        spread: standard deviation of the logarithm of the handle time; `None`: exponential handle times.
        zone: IANA zone of the contacts.
        start_hour: first hour of the calling window, local, every day.
        end_hour: hour at which the window closes.
        list_size: contacts; `None`: more than can be called.
    """

    name: str
    agents: int
    answer_rate: float
    dial_rate: float
    handle_time_s: float = 180.0
    wrap_up_s: float = 15.0
    spread: float | None = None
    zone: str = "America/New_York"
    start_hour: int = 16
    end_hour: int = 20
    list_size: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One world that policies are tried in.

    Attributes:
        name: for `--scenario`.
        about: what is special, in one sentence.
        campaigns: one or several; several share their calling window.
        first: the first day that counts.
        days: days that count.
        level: answer rate at the end, relative to that of the past weeks. It changes over `RISE_DAYS`.
        climb: the answer rate climbs evenly within each day, from `1 - climb` of its mean to `1 + climb`; `None`: it follows the survey.
        noise: standard deviation of the log-odds of the answer rate in a single hour, which nobody can foresee.
        drift: standard deviation of the change of the log-odds from hour to hour within a day.
        detection: the machine detector.
        lines: concurrent calls that the tenant can carry; `None`: enough.
        calls_per_s: attempts per second that the tenant can place; `None`: enough.
        missing: share of the observed hours that the platform lost.
        agents_known: whether the manifest and the metrics name agents and handle times.
        wrap_up_known: whether the manifest names the wrap-up.
    """

    name: str
    about: str
    campaigns: tuple[Campaign, ...]
    first: date = date(2027, 2, 1)
    days: int = 7
    level: float = 1.0
    climb: float | None = None
    noise: float = 0.08
    drift: float = 0.0
    detection: Detection = Detection()
    lines: int | None = None
    calls_per_s: float | None = None
    missing: float = 0.0
    agents_known: bool = True
    wrap_up_known: bool = True

    def shape(self, weekday: int, hour: int) -> float:
        """Return the answer rate of an hour of the week, relative to its mean. Monday is 0; the hour is local."""
        if self.climb is None:
            return by_survey(weekday, hour)
        start, end = self.campaigns[0].start_hour, self.campaigns[0].end_hour
        return 1 + self.climb * (2 * (hour - start) / (end - start - 1) - 1)


def _team(agents: int, dial_rate: float) -> Scenario:
    return Scenario(
        f"agents-{agents}",
        f"{agents} agents, 180 s a call, 23 % answers.",
        (Campaign("team", agents, 0.23, dial_rate),),
    )


_SIXTY: Final = Campaign("team", 60, 0.23, 1.15)

_SCENARIOS: Final = (
    _team(5, 0.041),
    _team(10, 0.12),
    _team(20, 0.31),
    _team(60, 1.15),
    Scenario(
        "agents-140",
        "140 agents, 150 s a call, 33.4 % answers: the team of the sample warranty-reminders.",
        (Campaign("team", 140, 0.334, 2.4, handle_time_s=150.0),),
    ),
    _team(200, 4.2),
    Scenario(
        "answers-rise",
        "60 agents; the answer rate rises by 40 % within the first 14 of 28 days.",
        (_SIXTY,),
        days=28,
        level=1.4,
    ),
    Scenario(
        "answers-fall",
        "60 agents; the answer rate falls by 40 % within the first 14 of 28 days.",
        (_SIXTY,),
        days=28,
        level=0.6,
    ),
    Scenario(
        "hourly-drift",
        "60 agents from 9 to 21 h; the answer rate climbs from 14 % to 34 % each day, and drifts from hour to hour.",
        (replace(_SIXTY, answer_rate=0.24, dial_rate=0.75, start_hour=9, end_hour=21),),
        climb=0.42,
        drift=0.05,
    ),
    Scenario(
        "lognormal",
        "60 agents; handle times are lognormal with a coefficient of variation of 0.8 instead of exponential.",
        (replace(_SIXTY, spread=0.703),),
    ),
    Scenario(
        "machine-detection",
        "60 agents; one verdict of the machine detector in ten is wrong: 17.5 % of the machines reach an agent, and 1 % of the persons a silent line.",
        (_SIXTY,),
        detection=Detection(false_machine=0.01, false_live=0.175, delay_s=1.0),
    ),
    Scenario(
        "shared-capacity",
        "Three campaigns of 20, 40 and 60 agents share 100 lines, which is too few.",
        (
            Campaign("alpha", 20, 0.30, 0.15, handle_time_s=150.0),
            Campaign("beta", 40, 0.23, 0.3, handle_time_s=180.0),
            Campaign("gamma", 60, 0.16, 0.4, handle_time_s=300.0),
        ),
        days=2,
        lines=100,
        calls_per_s=4.0,
    ),
    Scenario(
        "clock-change",
        "60 agents; the clocks go forward on the fourth of seven days, and the answer rate follows the local hour.",
        (replace(_SIXTY, start_hour=14, end_hour=20),),
        first=date(2027, 3, 11),
        climb=0.1,
    ),
    Scenario(
        "list-exhaustion",
        "60 agents; each of 20,000 contacts is tried up to three times, and fewer answer each time. The list ends on the third day.",
        (replace(_SIXTY, list_size=20_000),),
        days=4,
    ),
    Scenario(
        "missing-hours",
        "60 agents; the platform lost half of the observed hours.",
        (_SIXTY,),
        missing=0.5,
    ),
    Scenario(
        "agents-unknown",
        "60 agents, but neither the manifest nor the metrics say so; no handle time is known either.",
        (_SIXTY,),
        agents_known=False,
    ),
    Scenario(
        "wrap-up-unknown",
        "60 agents who wrap up for 30 s after each call, which the manifest does not say.",
        (replace(_SIXTY, wrap_up_s=30.0),),
        wrap_up_known=False,
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {each.name: each for each in _SCENARIOS}
)
"""The published scenarios by name."""
