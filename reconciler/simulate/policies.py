"""The policies that are compared: what each sets for the next shift, from what it may know the night before.

`step`, `erlang` and `allocate` are the strategies of `reconcile optimize` themselves, asked each night with the hours observed so far.
A proposal is set for the next shift; when a strategy declines, the setting stays. The oracles know what no strategy can: the
answer rates to come. They are what the others are measured by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from types import MappingProxyType
from typing import Final, TypeAlias

from reconciler.models import Capacity, Pacing
from reconciler.optimize import STRATEGIES, advise
from reconciler.optimize.base import CALLS, RATE, Advice, Context, Declined, Subject
from reconciler.optimize.hours import open_hours
from reconciler.pacing import Bucket, during
from reconciler.pacing.queueing import highest_live_rate
from reconciler.simulate.calls import Setting
from reconciler.simulate.scenarios import Campaign, Scenario
from reconciler.simulate.truth import Floats, Shift, hours_of

CAP: Final = 0.03
"""Share of the live answers that may be abandoned: the legal limit in the United States, measured over 30 days."""

MOST_CALLS: Final = 2000
"""`max_concurrent_calls` of a manifest that limits nothing: the platform's default."""

WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class View:
    """What there is to know of a campaign the night before a shift.

    Attributes:
        campaign: the campaign. Strategies see only what its manifest says.
        setting: as it was set last.
        observed: hours of the past, as the platform's metrics tell them, sorted.
        now: the start of the shift.
        first: the start of the first shift that counts.
        coming: the shift, and those that follow within a week. Only oracles look at it.
    """

    campaign: Campaign
    setting: Setting
    observed: tuple[Bucket, ...]
    now: datetime
    first: datetime
    coming: tuple[Shift, ...]


Policy: TypeAlias = Callable[[Scenario, Sequence[View]], list[Setting]]
"""Returns what to set for the next shift of each campaign."""


def constant(scenario: Scenario, views: Sequence[View]) -> list[Setting]:  # noqa: ARG001 - the interface
    """Dial at the rate that holds the cap at the mean answer rate of the past weeks, and leave it there."""
    return [_constant(view) for view in views]


def _constant(view: View) -> Setting:
    past = during(view.observed, None, view.first)
    attempts, answers = sum(each.attempts for each in past), sum(each.answers for each in past)
    live = highest_live_rate(view.campaign.agents, view.campaign.handle_time_s, CAP)
    return Setting(live * attempts / answers)


def progressive(scenario: Scenario, views: Sequence[View]) -> list[Setting]:  # noqa: ARG001 - the interface
    """Dial 1:1: each free agent has one call at a time."""
    return [Setting(0.0, progressive=True) for _ in views]


def oracle(scenario: Scenario, views: Sequence[View]) -> list[Setting]:
    """Set the one rate that holds the cap in every open hour of the week to come, knowing its answer rates.

    It knows what is to be expected of each hour, not the noise of a single hour. It has the means of a manifest: one rate for a schedule.
    """
    return [
        Setting(
            min(rate for shift in view.coming for rate in _lawful(scenario, view, shift.expected))
        )
        for view in views
    ]


def oracle_hourly(scenario: Scenario, views: Sequence[View]) -> list[Setting]:
    """Set the rate that holds the cap for every hour on its own, knowing its answer rate to the last digit. No manifest can."""
    return [
        Setting(0.0, hourly=tuple(_lawful(scenario, view, view.coming[0].answer_rate)))
        for view in views
    ]


def _lawful(scenario: Scenario, view: View, answer_rates: Floats) -> list[float]:
    """Return the highest dial rate at each answer rate, less what the machine detector abandons whatever the rate."""
    cap = (CAP - scenario.detection.false_machine) / (1 - scenario.detection.false_machine)
    live = highest_live_rate(view.campaign.agents, view.campaign.handle_time_s, cap)
    return [live / rate for rate in answer_rates.tolist()]


def strategy(name: str, every_days: int = 1) -> Policy:
    """Return the policy that follows a strategy of `optimize`, with hours as far back as the command reads them.

    Args:
        name: the strategy.
        every_days: days between two proposals.
    """
    look_back = STRATEGIES[name].LOOK_BACK

    def decide(scenario: Scenario, views: Sequence[View]) -> list[Setting]:
        night = round((views[0].now - views[0].first) / timedelta(days=1))
        if night % every_days:
            return [view.setting for view in views]
        subjects = [_subject(scenario, view, look_back) for view in views]
        capacity = Capacity(calls_per_second=scenario.calls_per_s, concurrent_calls=scenario.lines)
        context = Context(views[0].now, views[0].campaign.answer_rate, capacity)
        advice = advise(name, subjects, context)
        return [_merged(view.setting, each) for view, each in zip(views, advice, strict=True)]

    return decide


def _merged(setting: Setting, advice: Advice) -> Setting:
    """Return a setting with what is proposed; unchanged if nothing is."""
    if isinstance(advice, Declined):
        return setting
    rate, lines = advice.proposed(RATE), advice.proposed(CALLS)
    return Setting(
        setting.dial_rate if rate is None else float(rate),
        setting.lines if lines is None else int(lines),
    )


def equal_shares(scenario: Scenario, views: Sequence[View]) -> list[Setting]:
    """Give each campaign the same part of the tenant's lines and attempts; within it, follow `erlang`."""
    part = len(views)
    wanted = strategy("erlang")(scenario, views)
    lines = inf if scenario.lines is None else scenario.lines // part
    rate = inf if scenario.calls_per_s is None else scenario.calls_per_s / part
    return [
        Setting(min(each.dial_rate, rate), int(min(each.lines or MOST_CALLS, lines)))
        for each in wanted
    ]


def _subject(scenario: Scenario, view: View, look_back: timedelta) -> Subject:
    """Return the campaign as `optimize` sees it: what its manifest says, and its observed hours."""
    campaign = view.campaign
    pacing = Pacing(list_size=campaign.list_size)
    if scenario.agents_known:
        known = {
            "agents": campaign.agents,
            "handle_time_s": campaign.handle_time_s,
            "wrap_up_s": campaign.wrap_up_s if scenario.wrap_up_known else None,
        }
        pacing = pacing.model_copy(update=known)
    return Subject(
        campaign.name,
        campaign.name,
        spec={RATE: view.setting.dial_rate, CALLS: view.setting.lines or MOST_CALLS},
        observed=during(view.observed, view.now - look_back, view.now),
        pacing=pacing,
        open_hours=open_hours(hours_of(campaign), campaign.zone, view.now),
        zone=campaign.zone,
    )


_EVERY_DAYS: Final = {"step": 7, "erlang": 1, "allocate": 1}
"""Strategies that are compared, and the days between two proposals: the step rule looks back over a week."""

POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {
        "constant": constant,
        "progressive": progressive,
        **{name: strategy(name, days) for name, days in _EVERY_DAYS.items() if name in STRATEGIES},
        "equal-shares": equal_shares,
        "oracle": oracle,
        "oracle-hourly": oracle_hourly,
    }
)
"""Policies by name, in the order of the report."""


def compared(scenario: Scenario) -> list[str]:
    """Return the policies that are compared in a scenario: the division of a capacity only where there is one."""
    is_shared = scenario.lines is not None or scenario.calls_per_s is not None
    return [name for name in POLICIES if is_shared or name not in {"allocate", "equal-shares"}]
