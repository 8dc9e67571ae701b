"""Runs: one policy in one scenario under one seed, night by night."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from reconciler.pacing import Bucket
from reconciler.simulate.calls import LIVE, LOST, ContactList, Fate, Outcome, Setting
from reconciler.simulate.dialer import dial
from reconciler.simulate.policies import POLICIES, WEEK, View, compared
from reconciler.simulate.scenarios import SCENARIOS, Campaign
from reconciler.simulate.truth import HOUR_S, Purpose, Truth, minutes_outside

_ANSWERED: Final = (Fate.SERVED, Fate.ABANDONED, Fate.MISTAKEN, Fate.MISSED)
"""What the platform counts as answered by a live person. It cannot know who heard silence, nor which was a machine."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a policy reached, summed over the shifts that count and the campaigns.

    Attributes:
        scenario, policy, seed: the run.
        attempts: attempts that were placed.
        live: live persons who answered.
        contacts: live persons who reached an agent in time.
        abandonment: share of the live persons who did not; of several campaigns, the highest.
        agent_hours: hours for which agents were logged in; when a list ends, they turn to something else.
        busy_hours: hours that they spent on calls and wrap-up.
        minutes_outside: minutes outside the calling window in which something was dialed.
    """

    scenario: str
    policy: str
    seed: int
    attempts: int
    live: int
    contacts: int
    abandonment: float
    agent_hours: float
    busy_hours: float
    minutes_outside: int

    @property
    def contacts_per_agent_hour(self) -> float:
        """Contacts for each hour of an agent."""
        return self.contacts / self.agent_hours

    @property
    def utilisation(self) -> float:
        """Share of the agents' time spent on calls and wrap-up, 0 to 1. Calls that outlast a shift count for it."""
        return self.busy_hours / self.agent_hours


def play(scenario: str, seed: int, policies: Sequence[str] = ()) -> list[Run]:
    """Run policies in a scenario under one seed, all after the same past weeks.

    Args:
        scenario: a key of `SCENARIOS`.
        seed: of the random numbers.
        policies: keys of `POLICIES`; none means all that are compared in the scenario.
    """
    truth = Truth(SCENARIOS[scenario], seed)
    past = _past(truth)
    return [_run(truth, past, name) for name in policies or compared(truth.scenario)]


Observed = list[list[Bucket]]


def _past(truth: Truth) -> Observed:
    """Return the observed hours of the past weeks of each campaign, dialed at the rate of its manifest."""
    observed: Observed = [[] for _ in truth.scenario.campaigns]
    settings = [Setting(each.dial_rate) for each in truth.scenario.campaigns]
    endless = [ContactList() for _ in settings]
    for shifts in zip(*truth.past, strict=True):
        _note(truth, dial(truth, shifts, settings, endless), observed)
    return observed


def _run(truth: Truth, past: Observed, name: str) -> Run:
    campaigns = truth.scenario.campaigns
    observed = [list(each) for each in past]
    settings = [Setting(each.dial_rate) for each in campaigns]
    lists = [ContactList.of(each) for each in campaigns]
    outcomes: list[list[Outcome]] = [[] for _ in campaigns]
    for number, shifts in enumerate(zip(*truth.future, strict=True)):
        views = _views(truth, settings, observed, number)
        settings = POLICIES[name](truth.scenario, views)
        found = dial(truth, shifts, settings, lists)
        _note(truth, found, observed)
        for own, each in zip(outcomes, found, strict=True):
            own.append(each)
    return _measured(truth, name, outcomes)


def _views(
    truth: Truth, settings: Sequence[Setting], observed: Observed, number: int
) -> list[View]:
    """Return what there is to know before a shift, of each campaign."""
    views = []
    for campaign, setting, seen, shifts in zip(
        truth.scenario.campaigns, settings, observed, truth.future, strict=True
    ):
        now, first = _instant(shifts[number].start), _instant(shifts[0].start)
        end = shifts[number].start + WEEK.total_seconds()
        coming = tuple(each for each in shifts[number:] if each.start < end)
        views.append(View(campaign, setting, tuple(seen), now, first, coming))
    return views


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _note(truth: Truth, outcomes: Iterable[Outcome], observed: Observed) -> None:
    """Add the hours of a shift to what was observed, but those that the platform lost."""
    for outcome in outcomes:
        own = observed[outcome.shift.campaign]
        own.extend(_buckets(truth, outcome))


def _buckets(truth: Truth, outcome: Outcome) -> list[Bucket]:
    scenario, shift = truth.scenario, outcome.shift
    agents = scenario.campaigns[shift.campaign].agents if scenario.agents_known else None
    counts = outcome.by_hour()
    placed = counts.sum(axis=1) - counts[:, Fate.BLOCKED]
    answers = counts[:, _ANSWERED].sum(axis=1)
    taken = counts[:, (Fate.SERVED, Fate.MISTAKEN)].sum(axis=1)
    cuts = np.searchsorted(outcome.dialed, shift.edges)
    seconds = np.diff(np.concatenate([[0.0], np.cumsum(outcome.handle_s)])[cuts])
    kept = truth.uniform(shift, Purpose.MISSING, len(shift.hours)) >= scenario.missing
    return [
        Bucket(
            _instant(hour),
            int(placed[at]),
            int(answers[at]),
            int(answers[at] - taken[at]),
            agents,
            float(seconds[at] / taken[at]) if scenario.agents_known and taken[at] else None,
        )
        for at, hour in enumerate(shift.hours)
        if kept[at] and placed[at]
    ]


def _measured(truth: Truth, name: str, outcomes: Sequence[Sequence[Outcome]]) -> Run:
    campaigns = truth.scenario.campaigns
    every = [each for own in outcomes for each in own]
    return Run(
        truth.scenario.name,
        name,
        truth.seed,
        attempts=sum(len(each.placed) for each in every),
        live=sum(each.count(*LIVE) for each in every),
        contacts=sum(each.count(Fate.SERVED) for each in every),
        abandonment=max(_abandonment(own) for own in outcomes),
        agent_hours=sum(map(_agent_hours, campaigns, outcomes)),
        busy_hours=float(sum(each.handle_s.sum() for each in every)) / HOUR_S,
        minutes_outside=sum(
            minutes_outside(campaign, [each.placed for each in own])
            for campaign, own in zip(campaigns, outcomes, strict=True)
        ),
    )


def _abandonment(outcomes: Sequence[Outcome]) -> float:
    live = sum(each.count(*LIVE) for each in outcomes)
    return sum(each.count(*LOST) for each in outcomes) / live if live else 0.0


def _agent_hours(campaign: Campaign, outcomes: Sequence[Outcome]) -> float:
    return campaign.agents * sum(each.lasted_s for each in outcomes) / HOUR_S
