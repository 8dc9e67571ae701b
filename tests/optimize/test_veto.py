"""`advise`: what cannot be used is left out and named, predictions are added, and the veto holds for every strategy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import optimize
from reconciler.optimize import STRATEGIES, advise, outlook, veto
from reconciler.optimize.base import (
    CALLS,
    RATE,
    Change,
    Context,
    Declined,
    Evidence,
    Proposal,
    Subject,
)
from reconciler.pacing import Bucket
from tests.optimize.teams import CONTEXT, NOW, team

STEP = Context(NOW, target_answer_rate=0.29)
"""The sample's answer rate, 33.4 %, is above 1.1 times this target: the rule dials faster."""


def only(advice) -> Proposal | Declined:
    (found,) = advice
    return found


SEEN = Evidence(1000, 300)


def proposing(*changes: Change, evidence: Evidence = SEEN, **more):
    """Return a strategy that always proposes the same."""
    return SimpleNamespace(
        NAME="always",
        propose=lambda subjects, _: tuple(
            Proposal(each.key, each.name, changes, "why", evidence, **more) for each in subjects
        ),
    )


@pytest.fixture
def strategy(monkeypatch):
    def use(*changes: Change, **more) -> str:
        monkeypatch.setattr(optimize, "STRATEGIES", {"always": proposing(*changes, **more)})
        return "always"

    return use


def test_the_sample_of_the_brief_is_shown_and_declined() -> None:
    """p = .334, 140 agents, 150 s: 2.4 → 2.76 calls/s would go from 0.6 % to 5.1 %."""
    advice = only(advise("step", [team()], STEP))
    assert isinstance(advice, Declined)
    assert advice.proposal.changes == (Change(RATE, 2.4, 2.76),)
    assert advice.proposal.before.abandonment.mean == pytest.approx(0.006, abs=0.002)
    assert advice.proposal.after.abandonment.mean == pytest.approx(0.051, abs=0.003)
    assert "faster by the step rule; not proposed, because abandonment on " in advice.reason
    assert "would go from 0." in advice.reason
    assert advice.reason.endswith("and the cap is 3 %")


def test_what_slows_down_is_never_vetoed() -> None:
    advice = only(
        advise("step", [team(dial_rate=4.0, abandoned=0.3)], replace(STEP, target_answer_rate=0.5))
    )
    assert isinstance(advice, Proposal)
    assert advice.before.abandonment.low > 0.03
    assert advice.after.abandonment.low > 0.03


def test_observed_abandonment_at_the_cap_declines_what_is_predicted_to_be_fine(strategy) -> None:
    subject = team(dial_rate=1.5, abandoned=0.0305)
    reason = only(advise(strategy(Change(RATE, 1.5, 1.6)), [subject], CONTEXT)).reason
    assert "(3.0 %) were abandoned in the last 30 days, and the cap is 3 %" in reason
    assert isinstance(only(advise("always", [older(subject)], CONTEXT)), Proposal)


def test_without_a_prediction_the_interval_of_the_observed_share_decides(strategy) -> None:
    name = strategy(Change(RATE, 2.4, 2.5))
    few = replace(team(None), observed=(Bucket(NOW - timedelta(days=1), 100, 40, 0),))
    reason = only(advise(name, [few], CONTEXT)).reason
    assert "abandonment cannot be predicted without agents and handle time, and by 40 answers of the last 30 days it may be 4.7 %, with a cap of 3 %" in reason  # fmt: skip
    assert isinstance(only(advise(name, [team(None)], CONTEXT)), Proposal)


def uncounted(subject: Subject) -> Subject:
    return replace(subject, observed=tuple(replace(each, abandons=None) for each in subject.observed))  # fmt: skip


def older(subject: Subject) -> Subject:
    month = timedelta(days=31)
    return replace(subject, observed=tuple(replace(each, start=each.start - month) for each in subject.observed))  # fmt: skip


@pytest.mark.parametrize("unknown", [uncounted, older])
def test_abandoned_calls_that_nobody_counted_are_not_none(strategy, unknown) -> None:
    name = strategy(Change(RATE, 1.5, 1.6))
    reason = only(advise(name, [unknown(team(None))], CONTEXT)).reason
    assert "and the number of calls abandoned in the last 30 days is unknown" in reason
    predicted = only(advise(name, [unknown(team(dial_rate=1.5))], CONTEXT))
    assert predicted.notes == (veto.UNCOUNTED,)
    lower = only(advise(strategy(Change(RATE, 1.5, 1.4)), [unknown(team(None))], CONTEXT))
    assert lower.notes == ()


def test_a_prediction_that_the_observations_disprove_loosens_nothing(strategy) -> None:
    """140 agents lose next to nobody at 1.5 calls/s, so 2.5 % lost means that they are not all there."""
    name = strategy(Change(RATE, 1.5, 1.6))
    reason = only(advise(name, [team(dial_rate=1.5, abandoned=0.025)], CONTEXT)).reason
    assert "because in the last 30 days 2.5 % of the answers were abandoned, and agents and handle time explain 0.0 %: check both" in reason  # fmt: skip
    assert isinstance(only(advise(name, [team(dial_rate=1.5, abandoned=0.019)], CONTEXT)), Proposal)
    lower = strategy(Change(RATE, 1.5, 1.4))
    assert isinstance(only(advise(lower, [team(dial_rate=1.5, abandoned=0.2)], CONTEXT)), Proposal)


def test_answers_that_nobody_counts_allow_no_rate() -> None:
    advice = only(advise("erlang", [team(answer_rate=0.0, weeks=1, attempts=1000)], CONTEXT))
    assert "none of the 77,000 observed attempts was answered" in advice.reason
    assert advice.proposal.proposed(RATE) > 10


def test_a_list_at_its_end_is_not_dialed_faster(strategy) -> None:
    empty = team(dial_rate=1.5, list_size=0)
    reason = only(advise(strategy(Change(RATE, 1.5, 1.6)), [empty], CONTEXT)).reason
    assert "not proposed, because the list is at its end (pacing.list_size: 0)" in reason
    assert isinstance(only(advise(strategy(Change(RATE, 1.5, 1.4)), [empty], CONTEXT)), Proposal)


def test_a_schedule_that_never_opens_is_not_loosened(strategy) -> None:
    ended = replace(team(), open_hours=())
    reason = only(advise(strategy(Change(RATE, 1.5, 1.6)), [ended], CONTEXT)).reason
    assert reason.endswith("not proposed, because the schedule opens at no hour of the next 400 days")  # fmt: skip


@pytest.mark.parametrize("field", veto.MORE_CALLS)
def test_more_of_any_field_that_makes_more_calls_is_judged(strategy, field: str) -> None:
    flooded = outlook.Prediction(None, *[outlook.Interval(0.01, 0.02, 0.03)] * 3)
    for proposed, kind in ((2.0, Declined), (0.5, Proposal)):
        name = strategy(Change(field, 1.0, proposed), after=flooded)
        assert isinstance(only(advise(name, [team()], CONTEXT)), kind)


@settings(max_examples=40)
@given(
    st.sampled_from([*STRATEGIES]),
    st.integers(1, 200),
    st.floats(0.02, 0.9),
    st.floats(0.01, 6),
    st.integers(1, 400),
    st.floats(0, 0.06),
    st.integers(1, 500),
)
def test_no_strategy_loosens_while_abandonment_reaches_the_cap(
    name, agents, answer_rate, dial_rate, calls, abandoned, attempts
) -> None:
    subject = team(agents, answer_rate=answer_rate, dial_rate=dial_rate, calls=calls, weeks=1, attempts=attempts, abandoned=abandoned)  # fmt: skip
    advice = only(advise(name, [subject], Context(NOW, 0.3 if name == "step" else None)))
    if isinstance(advice, Proposal) and any(float(each.proposed) > float(each.current) for each in advice.changes):  # fmt: skip
        assert advice.after.abandonment.high < 0.03
        month = Evidence.of(subject.observed)
        assert month.abandons < 0.03 * month.answers or not month.answers


# --- what cannot be used ----------------------------------------------------------------------------------------------------

HOUR = NOW - timedelta(days=2)
GOOD = Bucket(HOUR, 1000, 300)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (replace(GOOD, attempts=100), "answers exceed attempts"),
        (replace(GOOD, abandons=301), "abandons exceed answers"),
        (replace(GOOD, attempts=-1), "a count is negative"),
        (replace(GOOD, answers=True), "attempts, answers and abandons must be whole numbers"),
        (replace(GOOD, answers="300"), "attempts, answers and abandons must be whole numbers"),
        (replace(GOOD, answers=300.0), "attempts, answers and abandons must be whole numbers"),
        (replace(GOOD, agents=-1.0), "agents and handle time must be numbers from 0 up"),
        (replace(GOOD, agents=nan), "agents and handle time must be numbers from 0 up"),
        (replace(GOOD, handle_time_s=inf), "agents and handle time must be numbers from 0 up"),
        (replace(GOOD, handle_time_s="PT3M"), "agents and handle time must be numbers from 0 up"),
        (replace(GOOD, handle_time_s=1e-12), "a handle time is from 1 s to 86400 s"),
        (replace(GOOD, handle_time_s=1e9), "a handle time is from 1 s to 86400 s"),
        (replace(GOOD, start=HOUR.replace(tzinfo=None)), "the start has no UTC offset"),
        (replace(GOOD, start=NOW + timedelta(hours=1)), "the start lies in the future"),
        (replace(GOOD, start=datetime.max.replace(tzinfo=UTC)), "the start lies in the future"),
        (
            replace(GOOD, start=datetime.min.replace(tzinfo=UTC)),
            "the start lies before the year 2000",
        ),
    ],
)
def test_an_hour_that_contradicts_itself_is_left_out_and_named(bad: Bucket, said: str) -> None:
    good = team(dial_rate=1.5)
    spoilt = replace(good, observed=(bad, *good.observed))
    clean, dirty = (only(advise("erlang", [each], CONTEXT)) for each in (good, spoilt))
    assert dirty == replace(clean, notes=(*clean.notes, f"1 observed hour is left out: {said}."))


NUMBERS = st.sampled_from([None, True, -1, 0, 1, 7, 250, 10**12, 0.5, 1e300, nan, inf, "7"])


@settings(max_examples=60)
@given(
    st.sampled_from([*STRATEGIES]),
    st.lists(st.builds(Bucket, st.integers(-900, 50).map(lambda hour: HOUR + timedelta(hours=hour)), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=12),
    st.integers(0, 300),
)  # fmt: skip
def test_whatever_was_observed_each_object_gets_its_advice(name, buckets, attempts) -> None:
    good = team(dial_rate=1.5, weeks=1, attempts=attempts)
    mixed = replace(good, observed=(*buckets, *good.observed), key="mixed")
    advice = advise(name, [good, mixed], Context(NOW, 0.3 if name == "step" else None))
    assert [each.key for each in advice] == [good.key, "mixed"]
    assert all(each.reason for each in advice)


def test_an_hour_that_is_there_twice_counts_once() -> None:
    good = team(dial_rate=1.5)
    twice = replace(good, observed=(*good.observed, *good.observed[:2]))
    assert only(advise("erlang", [twice], CONTEXT)).notes[-1] == "2 observed hours are left out: the same hour is there twice."  # fmt: skip


def test_what_is_left_out_is_named_when_nothing_can_be_proposed_either() -> None:
    bad = replace(team(), observed=(replace(GOOD, attempts=1),))
    advice = only(advise("erlang", [bad], CONTEXT))
    assert isinstance(advice, Declined)
    assert advice.reason.endswith("1 observed hour is left out: answers exceed attempts")


def test_one_bad_object_leaves_the_others_their_proposals() -> None:
    bad = replace(team(key="1"), observed=(replace(GOOD, answers=None),))
    first, second = advise("erlang", [bad, team(dial_rate=1.5, key="2")], CONTEXT)
    assert isinstance(first, Declined)
    assert isinstance(second, Proposal)
    assert [first.key, second.key] == ["1", "2"]


def test_a_handle_time_of_nothing_is_unknown() -> None:
    def observe(_):
        return {"handle_time_s": 0.0}

    advice = only(advise("erlang", [team(dial_rate=1.5, observe=observe)], CONTEXT))
    assert "150 s a call" in advice.reason


@pytest.mark.parametrize("name", [*STRATEGIES])
def test_every_strategy_says_what_it_needs_and_promises(name: str) -> None:
    strategy = STRATEGIES[name]
    assert name in strategy.NAME
    assert all(text[0].islower() or text.startswith(("--", "pacing.", "abandon", "maximum")) for text in (strategy.NEEDS, strategy.PROMISES))  # fmt: skip
    assert strategy.LOOK_BACK.days >= 7


def test_concurrent_calls_alone_can_be_too_many(strategy) -> None:
    subject = team(20, dial_rate=2.0, calls=20, answer_rate=0.25, handle_time_s=180)
    name = strategy(Change(CALLS, 20, 60), after=None)
    advice = only(advise(name, [subject], CONTEXT))
    assert isinstance(advice, Declined)


def test_what_was_tried_and_taken_back_is_not_tried_again() -> None:
    """Two months ago 2.2 calls/s abandoned a third, by agents who were not there. A clean month since then at 1.2 disproves nothing."""
    clean = team(dial_rate=1.2, calls=400, weeks=5, abandoned=0.0)
    before = team(dial_rate=2.2, weeks=2, abandoned=0.3).observed
    tried = tuple(replace(each, start=each.start - timedelta(weeks=5)) for each in before)
    assert isinstance(only(advise("erlang", [clean], CONTEXT)), Proposal)
    advice = only(advise("erlang", [replace(clean, observed=clean.observed + tried)], CONTEXT))
    assert isinstance(advice, Declined)
    assert (
        "were abandoned in the 154 hours of the last 13 weeks with more calls than now and no more than proposed"
        in advice.reason
    )
    unstaffed = tuple(replace(each, agents=60.0) for each in tried)
    explained = replace(clean, observed=unstaffed + tuple(replace(each, agents=140.0) for each in clean.observed))  # fmt: skip
    assert isinstance(only(advise("erlang", [explained], CONTEXT)), Proposal)
