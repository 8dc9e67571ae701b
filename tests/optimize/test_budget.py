"""The strategy `budget`: it tightens when the abandoned calls of 30 days pass the cap, and never loosens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from reconciler.optimize import abandonment, advise
from reconciler.optimize.base import RATE, Declined, Evidence, Proposal
from reconciler.optimize.intervals import Interval
from reconciler.pacing import Bucket
from tests.optimize.teams import CONTEXT, NOW, team


def campaign(answers: int, abandons: int, *, days: int = 20, dial_rate: float = 2.4):
    """Return a campaign whose answers and abandons are spread over the open hours of some days."""
    hours = [each for each in team(None).open_hours for _ in range(3)][: days * 11]
    each, lost = divmod(answers, len(hours)), divmod(abandons, len(hours))
    observed = tuple(
        Bucket(
            NOW - timedelta(days=days) + timedelta(hours=place),
            max(5 * (each[0] + (place < each[1])), round(3600 * dial_rate)),
            each[0] + (place < each[1]),
            lost[0] + (place < lost[1]),
        )
        for place in range(len(hours))
    )
    return replace(team(None, handle_time_s=None, dial_rate=dial_rate), observed=observed)


def advise_one(subject) -> Proposal | Declined:
    (advice,) = advise("budget", [subject], CONTEXT)
    return advice


def test_a_share_far_above_the_cap_is_cut_to_half() -> None:
    advice = advise_one(campaign(10_000, 450))
    assert isinstance(advice, Proposal)
    assert advice.proposed(RATE) == 1.2
    assert advice.reason.startswith("450 of 10,000 answers (4.5 %) were abandoned in the last 30 days; the probability that this share passes the cap of 3 % is 100 %")  # fmt: skip
    assert advice.notes == ("This is the largest cut of one proposal: look again after a week.",)


def test_a_share_a_little_above_the_cap_is_cut_a_little() -> None:
    """330 of 10,000: 90 % quantile 3.53 %. As many answers again leave 2.7 % for them, so the rate is 0.76 times."""
    subject = campaign(10_000, 330)
    expected = 10_000 / 220 * sum(each.share for each in subject.open_hours) * 30 / 7
    allowed = (0.03 * (10_000 + expected) - 330) / expected
    part = allowed / beta.ppf(0.9, 330.5, 9670.5)
    assert advise_one(subject).proposed(RATE) == pytest.approx(2.4 * part, rel=0.01)
    assert 0.7 < part < 0.9


def test_answers_whose_abandoned_calls_are_unknown_do_not_count() -> None:
    known = campaign(10_000, 450)
    hours = tuple(replace(each, abandons=None) for each in known.observed)
    unknown = replace(known, observed=hours)
    assert "10,000 others do not count, because the number" in advise_one(unknown).reason
    older = tuple(replace(each, start=each.start + timedelta(days=1, minutes=1)) for each in hours)
    mixed = replace(known, observed=(*known.observed, *older[:200]))
    assert advise_one(mixed).proposed(RATE) == advise_one(known).proposed(RATE)


def test_a_budget_that_is_used_up_is_said_to_be() -> None:
    assert "used up the next 30 days as well" in advise_one(campaign(10_000, 3000)).notes[0]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (campaign(10_000, 100), "100 of 10,000 answers (1.0 %) were abandoned in the last 30 days; the probability that this share passes the cap of 3 % is 0.0 %; nothing to change"),
        (campaign(49, 10), "too little data: 49 answers were observed in the last 30 days, and 50 are needed"),
        (replace(team(), observed=()), "too little data: 0 answers"),
        (replace(team(), spec={}, kind="SkillSchedule"), "SkillSchedule has no rate in calls/s: use --strategy ratio"),
    ],
)  # fmt: skip
def test_what_needs_no_cut_is_left_alone(subject, reason: str) -> None:
    advice = advise_one(subject)
    assert isinstance(advice, Declined)
    assert advice.reason.startswith(reason)


@settings(max_examples=40)
@given(st.integers(0, 5000), st.floats(0, 1), st.floats(0.001, 100))
def test_it_only_ever_tightens(answers: int, share: float, dial_rate: float) -> None:
    advice = advise_one(campaign(answers, round(answers * share), dial_rate=dial_rate))
    if isinstance(advice, Proposal):
        (change,) = advice.changes
        assert 0.49 * dial_rate <= change.proposed < dial_rate
        assert abandonment.passes(advice.evidence, 0.03) > 0.1


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.001, 0.5))
def test_the_share_has_jeffreys_distribution(answers: int, share: float, cap: float) -> None:
    evidence = Evidence(answers, answers, round(answers * share))
    known = beta(0.5 + evidence.abandons, 0.5 + answers - evidence.abandons)
    assert abandonment.interval(evidence) == pytest.approx(Interval(known.ppf(0.05), known.mean(), known.ppf(0.95)), abs=1e-9)  # fmt: skip
    assert abandonment.passes(evidence, cap) == pytest.approx(known.sf(cap), abs=1e-9)
