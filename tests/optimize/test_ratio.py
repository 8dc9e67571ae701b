"""The strategy `ratio`: one call for each agent in small teams, else small steps that observed abandonment allows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.optimize import advise, ratio
from reconciler.optimize.base import RATIO, THRESHOLD, Declined, Proposal, Subject
from tests.optimize.teams import CONTEXT, team


def skill(
    agents: int | None = 60,
    *,
    current: float = 1.5,
    threshold: float = 3.0,
    own: bool = True,
    **more,
) -> Subject:
    spec = {RATIO: current, THRESHOLD: threshold, ratio.OWN: own, "aggressiveness": "5"}
    return replace(
        team(agents, **{"answer_rate": 0.25, "attempts": 500, **more}),
        kind="SkillSchedule",
        spec=spec,
    )


def advise_one(subject: Subject) -> Proposal | Declined:
    (advice,) = advise("ratio", [subject], CONTEXT)
    return advice


def test_a_small_team_never_dials_ahead() -> None:
    advice = advise_one(skill(14, attempts=300))
    assert advice.proposed(RATIO) == 1.0
    assert advice.after.abandonment == (0, 0, 0)
    assert 0.6 < advice.after.utilisation.mean < 0.8
    assert "14 agents are too few to dial ahead" in advice.reason


def test_a_large_team_rises_by_one_step() -> None:
    advice = advise_one(skill(60, current=1.5))
    assert advice.proposed(RATIO) == 1.75
    assert advice.before.abandonment.mean == pytest.approx(0.007, abs=0.002)
    assert advice.after is None
    assert any("is not predicted: compare" in note for note in advice.notes)


def test_a_ratio_is_not_raised_again_by_what_was_observed_before_it_was_raised() -> None:
    """A proposal that is merged and made again would climb to the bound without anybody having seen its effect."""
    merged = replace(skill(60, current=1.5), changed={RATIO: None})
    advice = advise_one(merged)
    assert isinstance(advice, Declined)
    assert "the platform does not hold the manifest's maximum_ratio yet" in advice.reason
    hours = sorted(each.start for each in merged.observed)
    for since, raised in ((hours[0], True), (hours[-1], True), (CONTEXT.now, False)):
        advice = advise_one(replace(merged, changed={RATIO: since}))
        assert isinstance(advice, Proposal) == raised
    assert "0 attempts were observed since maximum_ratio was last changed (" in advice.reason
    falls = replace(skill(20, current=3.0, answer_rate=0.4, attempts=300), changed={RATIO: None})
    assert advise_one(falls).proposed(RATIO) == 1.0, "what is too much is taken back at once"


def test_a_ratio_above_what_answers_allow_falls_at_once() -> None:
    advice = advise_one(skill(20, current=3.0, answer_rate=0.4, attempts=300))
    assert advice.proposed(RATIO) == 1.0


def test_abandonment_at_its_target_keeps_the_ratio() -> None:
    advice = advise_one(skill(60, abandoned=0.025))
    assert isinstance(advice, Declined)
    assert "but abandonment may be at its target of 2 %" in advice.reason


def test_a_ratio_does_not_rise_while_nobody_counts_what_is_abandoned() -> None:
    uncounted = skill(60, current=1.5, observe=lambda _: {"abandons": None})
    advice = advise_one(uncounted)
    assert isinstance(advice, Declined)
    assert "the number of calls abandoned in the last 30 days is unknown" in advice.reason


def test_more_busy_agents_than_there_are_is_a_slip_in_the_manifest() -> None:
    advice = advise_one(skill(15, handle_time_s=600))
    assert "kept 20.7 agents busy, and pacing.agents is 15: correct it" in advice.reason


def test_a_threshold_of_nothing_limits_nothing_and_is_set_to_the_cap() -> None:
    """Even while too much is abandoned: that it becomes 3 % tightens."""
    assert advise_one(skill(threshold=0.0)).proposed(THRESHOLD) == 3.0
    flooded = advise_one(skill(10, current=1.0, threshold=0.0, abandoned=0.2, attempts=100))
    assert flooded.proposed(THRESHOLD) == 3.0


def test_the_threshold_is_never_above_the_cap() -> None:
    assert advise_one(skill(threshold=5.0)).proposed(THRESHOLD) == 3.0
    unused = advise_one(skill(threshold=5.0, own=False))
    assert unused.proposed(THRESHOLD) is None
    assert any("because override_business_unit_abandon_rate is false" in note for note in unused.notes)  # fmt: skip


def test_aggressiveness_is_left_to_the_platform() -> None:
    assert {change.field for change in advise_one(skill(threshold=9.0)).changes} == {
        RATIO,
        THRESHOLD,
    }


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (skill(None), "skills report no agents: write pacing.agents"),
        (skill(attempts=0), "too little data: 0 attempts"),
        (team(), "CampaignSchedule has no maximum_ratio: use --strategy erlang"),
        (replace(skill(), open_hours=()), "the schedule opens at no hour"),
        (skill(14, current=1.0, attempts=300), "14 agents are too few to dial ahead"),
    ],
)
def test_what_cannot_be_proposed_is_declined_with_its_reason(subject, reason: str) -> None:
    advice = advise_one(subject)
    assert isinstance(advice, Declined)
    assert advice.reason.startswith(reason)


@settings(max_examples=30)
@given(
    st.integers(1, 300),
    st.floats(0.02, 0.9),
    st.floats(1, 3).map(lambda value: round(value, 2)),
    st.none() | st.floats(1, 3),
    st.floats(0, 0.05),
)
def test_a_ratio_stays_within_its_limits_and_rises_by_a_step(
    agents, answer_rate, current, limit, abandoned
) -> None:
    subject = skill(agents, answer_rate=answer_rate, current=current, abandoned=abandoned, weeks=1)
    subject = replace(subject, ceilings={} if limit is None else {RATIO: limit})
    advice = advise_one(subject)
    proposed = advice.proposed(RATIO) if isinstance(advice, Proposal) else None
    if proposed is not None:
        assert 1 <= proposed <= min(current + ratio.STEP + 1e-9, limit or 3.0, 3.0)
        assert proposed == round(proposed, 2) or proposed == limit
        assert agents >= ratio.SMALL or proposed == 1
