"""Runs night by night: what policies may know, and what is measured."""

from __future__ import annotations

import pytest

from reconciler.simulate import runs
from reconciler.simulate.policies import CAP, POLICIES, compared
from reconciler.simulate.runs import play
from reconciler.simulate.scenarios import SCENARIOS


@pytest.fixture(scope="module")
def team() -> dict[str, runs.Run]:
    return {run.policy: run for run in play("agents-20", 1)}


def test_every_policy_runs(team) -> None:
    assert list(team) == compared(SCENARIOS["agents-20"])
    assert set(compared(SCENARIOS["shared-capacity"])) == set(POLICIES)
    assert set(POLICIES) - set(team) <= {"allocate", "equal-shares"}
    assert {run.agent_hours for run in team.values()} == {20 * 7 * 4}


def test_measures_fit_together(team) -> None:
    for run in team.values():
        assert run.contacts <= run.live <= run.attempts
        assert run.abandonment == pytest.approx(1 - run.contacts / run.live)
        assert run.utilisation == pytest.approx(run.contacts_per_agent_hour * 180 / 3600, rel=0.05)
        assert run.minutes_outside == 0


def test_progressive_dialing_abandons_nobody(team) -> None:
    assert team["progressive"].abandonment == 0


def test_the_oracles_stay_near_the_cap(team) -> None:
    assert 0.015 < team["oracle"].abandonment < CAP + 0.005
    assert team["oracle"].contacts < team["oracle-hourly"].contacts


def test_a_run_is_the_same_whoever_ran_before() -> None:
    alone = play("agents-5", 3, ["oracle"])
    beside = play("agents-5", 3, ["constant", "oracle"])
    assert alone[0] == beside[1]


def test_policies_see_what_a_platform_would_report(monkeypatch) -> None:
    """Attempts, answers and abandons of past hours; nothing of the future, nor who heard silence."""
    seen = []

    def watch(scenario, views):
        seen.extend(views)
        return [view.setting for view in views]

    monkeypatch.setattr(runs, "POLICIES", {"watch": watch})
    play("machine-detection", 1, ["watch"])
    for view in seen:
        assert all(bucket.start < view.now for bucket in view.observed)
        assert all(bucket.abandons <= bucket.answers <= bucket.attempts for bucket in view.observed)
        assert {bucket.agents for bucket in view.observed} == {60}
        assert view.setting.dial_rate == SCENARIOS["machine-detection"].campaigns[0].dial_rate
    assert [len(view.observed) for view in seen] == [4 * (28 + night) for night in range(7)]
    # Machines that reach agents count as answers, and make the mean call shorter.
    last = seen[-1].observed
    assert sum(each.answers for each in last) / sum(each.attempts for each in last) > 0.27
    assert max(each.handle_time_s for each in last) < 180


def test_what_a_platform_lost_or_nobody_knows_is_not_seen(monkeypatch) -> None:
    seen = {}
    for name in ("missing-hours", "agents-unknown"):

        def watch(scenario, views):
            seen[scenario.name] = views[0].observed
            return [view.setting for view in views]

        monkeypatch.setattr(runs, "POLICIES", {"watch": watch})
        play(name, 1, ["watch"])
    assert len(seen["agents-unknown"]) == 4 * 34
    assert 40 < len(seen["missing-hours"]) < 96
    assert {each.agents for each in seen["agents-unknown"]} == {None}
    assert {each.handle_time_s for each in seen["agents-unknown"]} == {None}


def test_agents_turn_to_something_else_when_a_list_ends() -> None:
    (run,) = play("list-exhaustion", 1, ["progressive"])
    assert run.agent_hours < 60 * 4 * 4
    assert run.attempts <= 3 * 20_000
