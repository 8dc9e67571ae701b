"""Open hours and answer rates of a scenario."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from reconciler.simulate.scenarios import HISTORY_DAYS, SCENARIOS, Campaign, Scenario
from reconciler.simulate.truth import Truth, minutes_outside

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_shift_is_one_window_on_the_clock_of_the_contacts(name) -> None:
    scenario = SCENARIOS[name]
    truth = Truth(scenario, 1)
    for campaign, past, future in zip(scenario.campaigns, truth.past, truth.future, strict=True):
        assert (len(past), len(future)) == (HISTORY_DAYS, scenario.days)
        for shift in (*past, *future):
            start, end = (
                datetime.fromtimestamp(each, UTC).astimezone(ZoneInfo(campaign.zone))
                for each in (shift.start, shift.end)
            )
            assert (start.hour, start.minute) == (campaign.start_hour, 0)
            assert (end.hour, end.minute) == (campaign.end_hour, 0)


def test_the_clocks_change_within_the_week_of_that_name() -> None:
    truth = Truth(SCENARIOS["clock-change"], 1)
    offsets = [
        datetime.fromtimestamp(each.start, UTC).astimezone(NEW_YORK).utcoffset()
        for each in truth.future[0]
    ]
    assert len(set(offsets)) == 2
    assert len(set(offsets[:3])) == len(set(offsets[3:])) == 1


def test_the_same_seed_gives_the_same_truth() -> None:
    one, other = (Truth(SCENARIOS["hourly-drift"], 7) for _ in range(2))
    assert all(
        (mine.answer_rate == theirs.answer_rate).all()
        for mine, theirs in zip(one.future[0], other.future[0], strict=True)
    )
    third = Truth(SCENARIOS["hourly-drift"], 8)
    assert (one.future[0][0].answer_rate != third.future[0][0].answer_rate).all()


@pytest.mark.parametrize(("name", "level"), [("answers-rise", 1.4), ("answers-fall", 0.6)])
def test_an_answer_rate_that_changes_has_changed_after_two_weeks(name, level) -> None:
    truth = Truth(SCENARIOS[name], 1)
    before, after = (
        np.mean([shift.expected.mean() for shift in shifts])
        for shifts in (truth.past[0], truth.future[0][14:])
    )
    assert after / before == pytest.approx(level, rel=0.01)
    last, later = (truth.future[0][day].expected.mean() for day in (13, 20))
    assert last == pytest.approx(later)  # the same weekday: all of the change has happened
    days = [shift.expected.mean() for shift in truth.future[0][:14]]
    ratios = np.array(days[7:]) / np.array(days[:7])
    assert (ratios > 1).all() if level > 1 else (ratios < 1).all()


def test_noise_does_not_move_the_mean() -> None:
    every = [shift for seed in range(40) for shift in Truth(SCENARIOS["agents-60"], seed).future[0]]
    actual, expected = (
        np.concatenate([getattr(shift, name) for shift in every])
        for name in ("answer_rate", "expected")
    )
    assert actual.mean() == pytest.approx(expected.mean(), rel=0.01)
    assert (actual / expected).std() == pytest.approx(0.08 * (1 - 0.23), rel=0.1)


def test_minutes_outside_the_window_are_found() -> None:
    """The same attempts, an hour later, are an hour outside: the measure can fail."""
    campaign = SCENARIOS["clock-change"].campaigns[0]
    for shift in Truth(SCENARIOS["clock-change"], 1).future[0]:
        dialed = np.arange(shift.start, shift.end, 7.0)
        assert minutes_outside(campaign, [dialed]) == 0
        assert minutes_outside(campaign, [dialed + 3600]) == 60
        assert minutes_outside(campaign, [dialed, dialed - 60]) == 1


def test_all_campaigns_of_a_scenario_open_together() -> None:
    for scenario in SCENARIOS.values():
        windows = {(each.zone, each.start_hour, each.end_hour) for each in scenario.campaigns}
        assert len(windows) == 1


def test_a_climb_is_even_about_its_mean() -> None:
    scenario = Scenario(
        "climb", "", (Campaign("team", 5, 0.2, 0.1, start_hour=9, end_hour=21),), climb=0.42
    )
    rates = [scenario.shape(0, hour) for hour in range(9, 21)]
    assert (rates[0], rates[-1]) == (pytest.approx(0.58), pytest.approx(1.42))
    assert sum(rates) / len(rates) == pytest.approx(1)
    assert replace(scenario, climb=None).shape(0, 18) > replace(scenario, climb=None).shape(0, 9)
