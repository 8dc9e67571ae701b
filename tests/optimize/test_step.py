"""The strategy `step`: the brief's rule, and the proposals that it does not make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import pacing
from reconciler.optimize import STRATEGIES, step
from reconciler.optimize.base import RATE, Change, Context, Declined, Evidence, Proposal, Subject
from reconciler.pacing import Bucket

NOON = datetime(2027, 1, 11, 12, tzinfo=UTC)
HOURS = st.lists(
    st.tuples(st.integers(0, 5000), st.floats(0, 1)).map(
        lambda pair: Bucket(NOON, pair[0], int(pair[0] * pair[1]))
    ),
    max_size=4,
).map(tuple)


def at(rate: float, hours: tuple[Bucket, ...] = (), ceiling: float | None = None) -> Subject:
    ceilings = {} if ceiling is None else {RATE: ceiling}
    return Subject("1001", "spring-renewals", spec={RATE: rate}, observed=hours, ceilings=ceilings)


SUBJECTS = st.builds(at, st.floats(0.01, 100), HOURS, st.none() | st.floats(0.5, 100))
TARGETS = st.floats(0.01, 1)


def subject(dial_rate: float, answers: int, *, attempts: int = 1000, ceiling: float | None = None):
    return at(dial_rate, (Bucket(NOON, attempts, answers),), ceiling)


def propose(subjects, target: float):
    return step.propose(subjects, Context(NOON, target))


def advise(one: Subject, target: float = 0.25) -> Proposal | Declined:
    (advice,) = propose([one], target)
    return advice


def change(proposal: Proposal) -> Change:
    (only,) = proposal.changes
    assert only.field == RATE
    return only


def test_every_strategy_is_named_as_its_module_says() -> None:
    assert [*STRATEGIES] == [strategy.NAME for strategy in STRATEGIES.values()]


def test_few_answers_lower_the_rate_with_the_evidence_beside_it() -> None:
    assert advise(subject(25.0, 180)) == Proposal(
        key="1001",
        name="spring-renewals",
        changes=(Change("dial_rate", 25.0, 21.25),),
        reason=(
            "18 % of 1,000 attempts were answered, below 0.9 times the target of 25 %: "
            "slower by the step rule"
        ),
        evidence=Evidence(1000, 180, hours=1, uncounted=180),
    )


def test_a_proposed_rate_is_projected_by_the_briefs_formula() -> None:
    advice = advise(subject(25.0, 180))
    assert isinstance(advice, Proposal)
    assert advice.projected_answer_rate == pacing.project_answer_rate(21.25, 0.18)


def test_many_answers_raise_the_rate() -> None:
    advice = advise(subject(20.0, 400))
    assert isinstance(advice, Proposal)
    assert change(advice).proposed == pytest.approx(23.0)
    assert advice.reason.endswith("above 1.1 times the target of 25 %: faster by the step rule")


@given(st.decimals(1, 43, places=2), st.booleans())
def test_a_rate_of_two_places_is_proposed_as_the_product_by_hand(rate, up) -> None:
    advice = advise(subject(float(rate), 400 if up else 100), 0.25)
    wanted = max(rate * Decimal("0.85"), Decimal(1)) if not up else rate * Decimal("1.15")
    if isinstance(advice, Proposal):
        assert change(advice).proposed == float(wanted)
    else:
        assert (rate, up) == (1, False)


def test_three_calls_a_second_and_fifteen_percent_are_written_as_three_forty_five() -> None:
    advice = advise(subject(3.0, 400))
    assert isinstance(advice, Proposal)
    assert repr(change(advice).proposed) == "3.45"


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (subject(20.0, 250), "within 10 % of the target of 25 %; nothing to change"),
        (subject(0.5, 100), "the rule never proposes less than 1 calls/s, and the rate is 0.5"),
        (subject(1.0, 100), "the rule never proposes less than 1 calls/s, and the rate is 1"),
        (subject(60.0, 500), "the rule never proposes more than 50 calls/s, and the rate is 60"),
        (subject(50.0, 500), "the rule never proposes more than 50 calls/s, and the rate is 50"),
        (subject(30.0, 500, ceiling=30), "34.5 calls/s would be above the tenant's limit of 30"),
        (subject(60.0, 100, ceiling=50), "51 calls/s would be above the tenant's limit of 50"),
        (subject(20.0, 9, attempts=199), "199 attempts were observed, and 200 are needed"),
        (at(20.0), "too little data: 0 attempts were observed, and 200 are needed"),
        (at(20.0, (Bucket(NOON - timedelta(weeks=13), 1000, 100),)), "and 200 are needed; 1 observed hour lies outside of the 13 weeks before 2027-01-11 12:00 UTC"),
        (
            subject(20.0, 11, attempts=10),
            "11 answers to 10 attempts: answers cannot exceed attempts; check the metrics",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_proposed_is_declined_with_its_reason(one: Subject, reason: str) -> None:
    advice = advise(one)
    assert isinstance(advice, Declined)
    assert advice.reason.endswith(reason)


def test_the_rate_is_of_the_whole_interval_and_no_mean_of_hourly_rates() -> None:
    hours = (Bucket(NOON, 1000, 100), Bucket(NOON - timedelta(hours=1), 10, 10))
    advice = advise(at(20.0, hours))
    assert isinstance(advice, Proposal)
    assert advice.evidence.answer_rate == 110 / 1010


@given(st.lists(SUBJECTS, max_size=5), TARGETS)
def test_each_subject_gets_its_own_advice_whatever_stands_beside_it(subjects, target) -> None:
    together = propose(subjects, target)
    assert together == tuple(propose([one], target)[0] for one in subjects)
    assert [(a.key, a.name) for a in together] == [(s.key, s.name) for s in subjects]


@given(SUBJECTS, TARGETS)
def test_a_proposal_moves_as_its_reason_says_and_stays_within_every_limit(one, target) -> None:
    advice = advise(one, target)
    if isinstance(advice, Declined):
        assert advice.reason
        return
    rate = advice.evidence.answer_rate
    only = change(advice)
    assert (only.proposed < only.current) == (rate < 0.9 * target)
    assert (only.proposed > only.current) == (rate > 1.1 * target)
    assert only.proposed != only.current
    assert only.proposed == pytest.approx(pacing.step(one.dial_rate, rate, target), rel=1e-11)
    assert only.proposed == float(f"{only.proposed:.{step.DIGITS}g}")
    assert only.proposed <= one.ceilings.get(RATE, only.proposed)
    assert advice.projected_answer_rate <= rate


@given(SUBJECTS, TARGETS)
def test_following_the_advice_is_declined_or_goes_on_the_same_way(one, target) -> None:
    first = advise(one, target)
    if isinstance(first, Proposal):
        now = change(first)
        then = advise(at(now.proposed, one.observed, one.ceilings.get(RATE)), target)
        if isinstance(then, Proposal):
            following = change(then)
            assert (following.proposed > following.current) == (now.proposed > now.current)


@pytest.mark.parametrize("target", [0, -0.1, 1.1, float("nan")])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        propose([], target)
