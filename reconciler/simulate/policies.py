"""The policies that are compared: what each sets for the next shift, from what it may know the night before.

`step`, `erlang` and `allocate` are the strategies of `reconcile optimize` themselves, asked each night with the hours observed so far.
A proposal is set for the next shift; when a strategy declines, the setting stays. The oracles know what no strategy can: the
answer rates to come. They are what the others are measured by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, TypeAlias

from reconciler.models import Capacity, Pacing
from reconciler.optimize import STRATEGIES
from reconciler.optimize.base import CALLS, RATE, Context, Declined, Subject
from reconciler.optimize.hours import open_hours
from reconciler.pacing import Bucket, during
from reconciler.pacing.queueing import highest_live_rate
from reconciler.simulate.calls import Setting
from reconciler.simulate.scenarios import Campaign, Scenario
from reconciler.simulate.truth import Floats, Shift, hours_of

CAP: Final = 0.03
"""Share of the live answers that may be abandoned: the legal limit in the United States, measured over 30 days."""

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


def strategy(name: str, look_back: timedelta, every: timedelta = timedelta()) -> Policy:
    """Return the policy that follows a strategy of `optimize`.

    Args:
        name: the strategy.
        look_back: how far back it observes.
        every: the least time between two proposals.
    """

    def decide(scenario: Scenario, views: Sequence[View]) -> list[Setting]:
        settings = [view.setting for view in views]
        if every and (views[0].now - views[0].first).days % every.days:
            return settings
        subjects = [_subject(scenario, view, look_back) for view in views]
        capacity = Capacity(calls_per_second=scenario.calls_per_s, concurrent_calls=scenario.lines)
        context = Context(views[0].now, views[0].campaign.answer_rate, capacity)
        advice = STRATEGIES[name].propose(subjects, context)
        for number, each in enumerate(advice):
            if not isinstance(each, Declined):
                rate, lines = each.proposed(RATE), each.proposed(CALLS)
                before = settings[number]
                settings[number] = Setting(
                    before.dial_rate if rate is None else float(rate),
                    before.lines if lines is None else int(lines),
                )
        return settings

    return decide


def _subject(scenario: Scenario, view: View, look_back: timedelta) -> Subject:
    """Return the campaign as `optimize` sees it: what its manifest says, and its observed hours."""
    campaign = view.campaign
    spec = {RATE: view.setting.dial_rate, CALLS: view.setting.lines or 2000}
    pacing = Pacing(list_size=campaign.list_size)
    if scenario.agents_known:
        known = {
            "agents": campaign.agents,
            "handle_time_s": campaign.handle_time_s,
            "wrap_up_s": campaign.wrap_up_s,
        }
        pacing = pacing.model_copy(update=known)
    return Subject(
        campaign.name,
        campaign.name,
        spec=spec,
        observed=during(view.observed, view.now - look_back, view.now),
        pacing=pacing,
        open_hours=open_hours(hours_of(campaign), campaign.zone, view.now),
        zone=campaign.zone,
    )


_STRATEGIES: Final = {
    "step": strategy("step", WEEK, WEEK),
    "erlang": strategy("erlang", 8 * WEEK),
}

POLICIES: Final[Mapping[str, Policy]] = MappingProxyType(
    {
        "constant": constant,
        "progressive": progressive,
        **{name: policy for name, policy in _STRATEGIES.items() if name in STRATEGIES},
        "oracle": oracle,
        "oracle-hourly": oracle_hourly,
    }
)
"""Policies by name, in the order of the report."""
