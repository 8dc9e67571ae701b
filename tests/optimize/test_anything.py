"""`advise` on data that no platform should send: no strategy fails, and each prediction is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.models import Pacing
from reconciler.optimize import STRATEGIES, advise
from reconciler.optimize.base import CALLS, RATE, Context, Declined, Prediction, Proposal, Subject
from reconciler.pacing import Bucket
from tests.optimize.teams import NOW, team

CONTEXT = Context(NOW, target_answer_rate=0.25)
COUNTS = st.one_of(st.integers(-1, 40), st.integers(0, 10**13), st.sampled_from([360_000, 360_001]))
MEASURES = st.none() | st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(0, 200),
    st.sampled_from([0.0, 1e-300, 0.1, 1.0, 99_999.5, 100_000.0, 100_000.5, 1e9, 86_400.0]),
)


@st.composite
def buckets(draw) -> Bucket:
    """An observed hour of any kind; often one whose counts do not contradict each other."""
    attempts = draw(COUNTS)
    answers = draw(st.integers(0, max(attempts, 0)) | COUNTS)
    abandons = draw(st.integers(0, max(answers, 0)) | COUNTS)
    ago = draw(st.integers(-50, 24 * 7 * 15))
    return Bucket(
        NOW - timedelta(hours=ago),
        attempts,
        answers,
        abandons,
        agents=draw(MEASURES),
        handle_time_s=draw(MEASURES),
    )


@st.composite
def subjects(draw, key: str = "1") -> Subject:
    """A campaign with any observations, and any section `pacing` that a manifest may have."""
    handle_time_s = draw(st.none() | st.sampled_from([1e-9, 1.0, 180.0, 86_400.0]))
    wrap_up = draw(st.none() | st.sampled_from([0.0, 0.5, 0.99]))  # of the handle time
    pacing = Pacing(
        agents=draw(st.none() | st.sampled_from([1, 2, 19, 100_000])),
        handle_time_s=handle_time_s,
        wrap_up_s=wrap_up and wrap_up * (handle_time_s or 0),
        list_size=draw(st.none() | st.sampled_from([0, 1, 10**9])),
    )
    usual = team(
        weeks=draw(st.integers(0, 1)), attempts=draw(st.sampled_from([0, 1, 300, 360_000]))
    )
    spec = {
        RATE: draw(st.sampled_from([0.001, 1.0, 100.0])),
        CALLS: draw(st.sampled_from([1, 40, 5000])),
    }
    return replace(
        usual,
        key=key,
        spec=spec,
        pacing=pacing,
        observed=(*draw(st.lists(buckets(), max_size=6)), *usual.observed),
        open_hours=usual.open_hours[: draw(st.sampled_from([0, 1, 77]))],
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=8)
@given(data=st.data())
def test_no_observation_ends_a_strategy(strategy: str, data) -> None:
    asked = [data.draw(subjects(key)) for key in "12"]
    found = advise(strategy, asked, CONTEXT)
    assert [each.key for each in found] == [each.key for each in asked]
    for advice in found:
        made = advice.proposal if isinstance(advice, Declined) else advice
        if made is not None:
            _is_sound(made)


def _is_sound(proposal: Proposal) -> None:
    assert all(isfinite(float(each.proposed)) for each in proposal.changes)
    for prediction in (proposal.before, proposal.after):
        if prediction is not None:
            _is_a_prediction(prediction)


def _is_a_prediction(found: Prediction) -> None:
    for low, mean, high in (found.abandonment, found.utilisation):
        assert 0 <= low <= mean + 1e-12
        assert mean <= high + 1e-12
        assert high <= 1 + 1e-9
    low, mean, high = found.contacts_per_hour
    assert 0 <= low <= mean <= high
    assert isfinite(high)


def test_the_words_for_an_hour_that_cannot_be() -> None:
    hour = team(weeks=1).observed[0]
    many = replace(hour, start=NOW - timedelta(hours=3), attempts=360_001, answers=1, abandons=0)
    crowd = replace(hour, start=NOW - timedelta(hours=4), agents=100_000.5)
    (advice,) = advise("erlang", [replace(team(), observed=(*team().observed, many, crowd))], CONTEXT)  # fmt: skip
    said = getattr(advice, "reason", "") + " ".join(getattr(advice, "notes", ()))
    assert "1 observed hour is left out: no schedule dials more than 360,000 times an hour" in said
    assert "1 observed hour is left out: agents are at most 100,000" in said
