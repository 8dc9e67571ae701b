"""Laws of the simulated dialer: nothing is lost, nobody is in two places, limits hold, and chance is the same for everybody."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.pacing.queueing import abandonment_queue, progressive_utilisation
from reconciler.simulate import fast
from reconciler.simulate.calls import (
    LIVE,
    LOST,
    MACHINE_RING_S,
    PATIENCE_S,
    TIMEOUT_S,
    TRIES,
    ContactList,
    Draws,
    Fate,
    Outcome,
    Setting,
    dial_times,
)
from reconciler.simulate.dialer import Dialer, dial
from reconciler.simulate.scenarios import SCENARIOS, Campaign, Detection, Scenario
from reconciler.simulate.truth import Truth

TEAM = Campaign("team", 8, 0.25, 0.1, start_hour=16, end_hour=18)
SMALL = Scenario("small", "A small team.", (TEAM,), days=1)
DETECTED = replace(SMALL, detection=Detection(0.05, 0.2, 1.0))
SHARED = replace(
    SMALL,
    campaigns=(TEAM, replace(TEAM, name="other", agents=5, handle_time_s=90.0)),
    lines=6,
    calls_per_s=0.5,
)
SEEDS = st.integers(0, 10_000)
RATES = st.floats(0.01, 0.6)
LINES = st.none() | st.integers(1, 30)
SETTINGS = st.builds(Setting, RATES, LINES) | st.just(Setting(0.0, progressive=True))

few = settings(max_examples=15)


def shift_of(scenario: Scenario, seed: int, *chosen: Setting, size: float = inf) -> list[Outcome]:
    truth = Truth(scenario, seed)
    lists = [ContactList(size) for _ in scenario.campaigns]
    return dial(truth, [own[0] for own in truth.future], chosen, lists)


def same(one: Outcome, other: Outcome) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in ("dialed", "fate", "begun", "handle_s")
    )


def most_at_once(begins: np.ndarray, ends: np.ndarray) -> int:
    times = np.concatenate([begins, ends])
    steps = np.concatenate([np.ones(len(begins)), -np.ones(len(ends))])
    order = np.lexsort((steps, times))  # who ends makes room for who begins at the same time
    return int(np.cumsum(steps[order]).max(initial=0))


@few
@given(SEEDS, SETTINGS, st.sampled_from([SMALL, DETECTED]))
def test_every_attempt_has_one_fate(seed, setting, scenario) -> None:
    (outcome,) = shift_of(scenario, seed, setting)
    assert sum(outcome.count(fate) for fate in Fate) == len(outcome.dialed)
    assert (outcome.by_hour().sum(axis=0) == [outcome.count(fate) for fate in Fate]).all()
    assert outcome.by_hour().shape == (2, len(Fate))
    assert len(outcome.placed) == len(outcome.dialed) - outcome.count(Fate.BLOCKED)
    is_taken = np.isin(outcome.fate, (Fate.SERVED, Fate.MISTAKEN))
    assert (np.isnan(outcome.begun) == ~is_taken).all()
    assert (outcome.handle_s[~is_taken] == 0).all()
    assert (np.diff(outcome.dialed) >= 0).all()


@few
@given(SEEDS, SETTINGS, st.sampled_from([SMALL, DETECTED]))
def test_no_agent_serves_two_calls_at_once(seed, setting, scenario) -> None:
    (outcome,) = shift_of(scenario, seed, setting)
    is_taken = ~np.isnan(outcome.begun)
    begun, handle_s = outcome.begun[is_taken], outcome.handle_s[is_taken]
    assert most_at_once(begun, begun + handle_s) <= TEAM.agents


@few
@given(SEEDS, SETTINGS, st.sampled_from([SMALL, DETECTED]))
def test_nobody_waits_longer_than_the_patience(seed, setting, scenario) -> None:
    (outcome,) = shift_of(scenario, seed, setting)
    truth = Truth(scenario, seed)
    draws = Draws.of(truth, truth.future[0][0], len(outcome.dialed))
    served = outcome.fate == Fate.SERVED
    waits = (outcome.begun - outcome.dialed - draws.person_s)[served]
    assert (waits > -1e-6).all()
    assert (waits < PATIENCE_S - scenario.detection.delay_s).all()
    if setting.progressive:
        assert waits.max(initial=0.0) < 1e-6
        assert not outcome.count(Fate.ABANDONED)


@few
@given(SEEDS, SETTINGS)
def test_dialing_stays_within_the_open_hours(seed, setting) -> None:
    (outcome,) = shift_of(SMALL, seed, setting)
    assert (outcome.dialed >= outcome.shift.start).all()
    assert (outcome.dialed < outcome.shift.end).all()


def lines_of(outcome: Outcome, wrap_up_s: float = TEAM.wrap_up_s) -> tuple[np.ndarray, np.ndarray]:
    """Return when each attempt takes its line and when it leaves it at the earliest."""
    shortest_s = np.where(outcome.fate == Fate.NOBODY, TIMEOUT_S, MACHINE_RING_S[0])
    shortest_s[np.isin(outcome.fate, LIVE)] = 0.0
    talk_s = np.maximum(outcome.handle_s - wrap_up_s, 0.0)
    is_taken = ~np.isnan(outcome.begun)
    ends = np.where(is_taken, outcome.begun + talk_s, outcome.dialed + shortest_s)
    is_placed = outcome.fate != Fate.BLOCKED
    return outcome.dialed[is_placed], ends[is_placed]


@few
@given(SEEDS, RATES, st.integers(1, 20))
def test_a_campaign_keeps_within_its_lines(seed, rate, lines) -> None:
    (outcome,) = shift_of(SMALL, seed, Setting(rate, lines))
    assert most_at_once(*lines_of(outcome)) <= lines


@settings(max_examples=8)
@given(SEEDS, SETTINGS, SETTINGS)
def test_a_tenant_keeps_within_its_lines_and_its_pace(seed, one, other) -> None:
    found = shift_of(SHARED, seed, one, other)
    begins, ends = (np.concatenate(each) for each in zip(*map(lines_of, found), strict=True))
    assert most_at_once(begins, ends) <= SHARED.lines
    placed = np.sort(np.concatenate([each.placed for each in found]))
    assert len(placed)
    within = np.searchsorted(placed, placed + 100.0, side="left") - np.arange(len(placed))
    assert within.max() <= 100 * SHARED.calls_per_s + 1


def test_a_tenant_that_wants_more_uses_its_lines_and_its_pace() -> None:
    """The limits are reached: they are not kept by placing nothing."""
    wide = replace(SHARED, calls_per_s=None)
    found = shift_of(wide, 1, Setting(0.5), Setting(0.5))
    begins, ends = (np.concatenate(each) for each in zip(*map(lines_of, found), strict=True))
    assert most_at_once(begins, ends) == SHARED.lines
    slow = replace(SHARED, lines=None, calls_per_s=0.3)
    placed = sum(len(each.placed) for each in shift_of(slow, 1, Setting(5.0), Setting(5.0)))
    assert placed == pytest.approx(0.3 * 2 * 3600, rel=0.05)
    agents = shift_of(wide, 1, *[Setting(0.0, progressive=True)] * 2)
    begins, ends = (np.concatenate(each) for each in zip(*map(lines_of, agents), strict=True))
    assert most_at_once(begins, ends) == SHARED.lines


@few
@given(SEEDS, RATES, LINES, st.sampled_from([SMALL, DETECTED]))
def test_the_fast_way_gives_what_the_dialer_gives(seed, rate, lines, scenario) -> None:
    truth = Truth(scenario, seed)
    shift, setting = truth.future[0][0], Setting(rate, lines)
    (slow,) = Dialer(truth, [shift], [setting], [ContactList()]).run()
    found = fast.together(truth, [shift], [setting])
    assert (found is None) == bool(slow.count(Fate.BLOCKED))
    assert found is None or same(found[0], slow)
    assert lines is None or same(fast.within_lines(truth, shift, setting), slow)


@few
@given(
    SEEDS,
    st.floats(0.01, 0.2),
    st.floats(0.01, 0.2),
    st.sampled_from([{"calls_per_s": None, "lines": 16}, {"calls_per_s": 2.0, "lines": None}]),
)
def test_the_fast_way_gives_what_the_dialer_gives_where_limits_are_shared(
    seed, one, other, limits
) -> None:
    truth = Truth(replace(SHARED, **limits), seed)
    shifts, chosen = [own[0] for own in truth.future], [Setting(one), Setting(other)]
    slow = Dialer(truth, shifts, chosen, [ContactList(), ContactList()]).run()
    found = fast.together(truth, shifts, chosen)
    assert (found is None) == any(each.count(Fate.BLOCKED) for each in slow)
    assert found is None or all(map(same, found, slow))


@few
@given(SEEDS, st.sampled_from([SMALL, DETECTED]))
def test_the_fast_way_of_progressive_dialing_gives_what_the_dialer_gives(seed, scenario) -> None:
    truth = Truth(scenario, seed)
    shift = truth.future[0][0]
    (slow,) = Dialer(truth, [shift], [Setting(0.0, progressive=True)], [ContactList()]).run()
    assert same(fast.progressive(truth, shift), slow)


@few
@given(SEEDS, RATES, st.floats(1, 5))
def test_a_faster_dialer_meets_the_same_attempts_sooner(seed, rate, factor) -> None:
    truth = Truth(SMALL, seed)
    shift = truth.future[0][0]
    late = dial_times(truth, shift, Setting(rate)) - shift.start
    soon = dial_times(truth, shift, Setting(rate * factor)) - shift.start
    assert len(soon) >= len(late)
    assert soon[: len(late)] * factor == pytest.approx(late, rel=1e-6, abs=1e-3)
    first, more = Draws.of(truth, shift, len(late)), Draws.of(truth, shift, len(soon))
    for name in Draws.__slots__:
        assert (getattr(more, name)[: len(late)] == getattr(first, name)).all()


def test_other_seeds_and_shifts_meet_other_attempts() -> None:
    truth = Truth(SMALL, 1)
    first = Draws.of(truth, truth.future[0][0], 5)
    others = [
        Draws.of(Truth(SMALL, 2), truth.future[0][0], 5),
        Draws.of(truth, truth.past[0][0], 5),
        Draws.of(Truth(replace(SMALL, name="else"), 1), truth.future[0][0], 5),
    ]
    for other in others:
        assert not np.isin(other.outcome, first.outcome).any()


@few
@given(SEEDS, SETTINGS, st.integers(0, 300))
def test_a_list_is_tried_three_times_and_then_ends(seed, setting, size) -> None:
    (outcome,) = shift_of(SMALL, seed, setting, size=size)
    assert len(outcome.placed) <= len(TRIES) * size
    assert outcome.count(Fate.SERVED, Fate.ABANDONED) <= size
    if outcome.has_ended:
        assert outcome.lasted_s < outcome.shift.end - outcome.shift.start
        reached = outcome.count(Fate.SERVED, Fate.ABANDONED)
        assert len(outcome.placed) >= reached + len(TRIES) * (size - reached)
    else:
        assert outcome.lasted_s == outcome.shift.end - outcome.shift.start


def test_fewer_answer_when_they_are_called_again() -> None:
    (outcome,) = shift_of(SMALL, 3, Setting(0.5), size=1000)
    answered = np.isin(outcome.fate, LIVE)
    assert len(answered) > 2300
    again = answered[1000:1700]
    assert again.mean() < answered[:1000].mean()


# Against what is known.

EVEN = Scenario(
    "even", "An answer rate that never changes.", (replace(TEAM, agents=20, end_hour=22),), days=40
)
EVEN = replace(EVEN, climb=0.0, noise=0.0)


def shares(setting: Setting, days: int) -> tuple[float, float, float]:
    """Return abandonment, its standard error over days, and utilisation, each day without its first half hour."""
    truth = Truth(EVEN, 5)
    lost, busy = [], 0.0
    for shift in truth.future[0][:days]:
        (outcome,) = dial(truth, [shift], [setting], [ContactList()])
        warm = outcome.dialed > shift.start + 1800
        fate = outcome.fate[warm]
        lost.append(np.isin(fate, LOST).sum() / np.isin(fate, LIVE).sum())
        busy += outcome.handle_s[warm].sum() / (shift.end - shift.start - 1800)
    error = float(np.std(lost, ddof=1) / np.sqrt(days))
    return float(np.mean(lost)), error, busy / days / 20


def test_the_dialer_abandons_as_the_queue_with_a_fixed_patience_does() -> None:
    """The queue knows nothing of ringing. The dialer knows nothing of the queue."""
    expected = abandonment_queue(20, 0.31 * 0.25, 180)
    abandonment, error, utilisation = shares(Setting(0.31), 40)
    assert abs(abandonment - expected.abandonment) < 3 * error
    assert error < expected.abandonment / 10
    assert utilisation == pytest.approx(expected.utilisation, abs=0.02)


def test_progressive_dialing_keeps_agents_as_busy_as_the_closed_form_says() -> None:
    """Who gets a machine waits less than the full time, which the closed form does not know: 0.4 of the others at 16 s, not 18 s."""
    expected = progressive_utilisation(0.25, 180, ring_none_s=0.4 * 16 + 0.6 * 18)
    abandonment, _, utilisation = shares(Setting(0.0, progressive=True), 20)
    assert abandonment == 0
    assert utilisation == pytest.approx(expected, abs=0.005)


def test_lognormal_handle_times_have_the_mean_and_the_spread_that_they_should() -> None:
    scenario = SCENARIOS["lognormal"]
    truth = Truth(scenario, 1)
    seconds = Draws.of(truth, truth.future[0][0], 200_000).handle_s
    assert seconds.mean() == pytest.approx(180, rel=0.01)
    assert seconds.std() / seconds.mean() == pytest.approx(0.8, rel=0.02)


def test_a_detector_is_wrong_as_often_as_the_scenario_says() -> None:
    """Of all verdicts, on persons and on machines, one in ten."""
    scenario = SCENARIOS["machine-detection"]
    truth = Truth(scenario, 1)
    counts = np.zeros(len(Fate))
    for shift in truth.future[0]:
        (outcome,) = dial(truth, [shift], [Setting(0.6)], [ContactList()])
        counts += np.bincount(outcome.fate, minlength=len(Fate))
    machines = counts[[Fate.MACHINE, Fate.MISTAKEN, Fate.MISSED]].sum()
    live = counts[list(LIVE)].sum()
    wrong = counts[[Fate.MISTAKEN, Fate.MISSED, Fate.SILENCED]].sum()
    assert counts[Fate.SILENCED] / live == pytest.approx(0.01, abs=0.003)
    assert wrong / (machines + live) == pytest.approx(0.10, abs=0.01)
