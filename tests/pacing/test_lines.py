"""Pacing by lines: a chain that a simulation without any formula confirms, between Engset's and the queue of a constant rate."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pacing.lines import paced
from reconciler.pacing.queueing import abandonment_queue, erlang_b
from reconciler.simulate import runs
from reconciler.simulate.calls import Setting
from reconciler.simulate.scenarios import SCENARIOS

AGENTS = st.integers(1, 80)
RATES = st.floats(0.02, 0.9)
TIMES = st.floats(30, 600)


@given(AGENTS, RATES, TIMES, st.floats(0.01, 0.9))
def test_with_lines_enough_it_is_the_queue_of_a_constant_rate(agents, rate, time, busy) -> None:
    dial_rate = busy * agents / time / rate
    lines = int(dial_rate * (rate * (time + 10) + 18) * 3) + 50
    queue = abandonment_queue(agents, dial_rate * rate, time)
    found = paced(agents, rate, time, lines=lines, dial_rate=dial_rate)
    assert found.abandonment == pytest.approx(queue.abandonment, rel=1e-3, abs=1e-9)
    blocked = erlang_b(agents, dial_rate * rate * time)
    assert found.utilisation == pytest.approx(dial_rate * rate * time * (1 - blocked) / agents)
    assert found.attempts_per_s == pytest.approx(dial_rate, rel=1e-6)


@given(AGENTS, RATES, TIMES)
def test_no_more_lines_than_agents_abandon_nobody(agents, rate, time) -> None:
    assert paced(agents, rate, time, lines=agents).abandonment == 0


@pytest.mark.parametrize(
    ("team", "lines", "dial_rate", "wrap_up", "simulated"),
    [
        ((3, 0.364, 275), 1, 0.093, 0.64, 0.145),
        ((8, 0.44, 257), 5, 0.217, 0.27, 0.028),
        ((12, 0.25, 600), 8, 0.295, 0.3, 0.071),
        ((12, 0.25, 600), 7, 0.302, 0.4, 0.113),
        ((17, 0.1, 880), 13, 0.614, 0.22, 0.009),
    ],
)
def test_a_small_team_may_all_wrap_up_at_once(team, lines, dial_rate, wrap_up, simulated) -> None:
    """By a simulation of lognormal calls and wrap-up. On average more agents talk than there are lines; yet lines are free now and then."""
    agents, _, time = team
    found = paced(*team, lines=lines, dial_rate=dial_rate, wrap_up_s=wrap_up * time)
    assert agents * (1 - wrap_up) >= lines
    assert found.abandonment == pytest.approx(simulated, rel=0.3)


def test_it_is_engsets_loss_when_each_line_is_used_at_once() -> None:
    """Two agents, three lines, and as much ringing as talking: the states weigh 1 : 3 : 3, of which the last loses one in seven."""
    ring_s = 0.5 * 10 + 0.5 * 18
    found = paced(2, 0.5, ring_s / 0.5, lines=3)
    assert found.utilisation == pytest.approx((1 * 3 + 2 * 3) / 7 / 2)
    patient = abandonment_queue(2, 12 / 7 / 28, 28).abandonment / erlang_b(2, 12 / 7)
    assert found.abandonment == pytest.approx(3 / 12 * patient)


@given(AGENTS, RATES, TIMES, st.integers(1, 150), st.floats(0.05, 20), st.floats(0, 1))
def test_more_lines_and_more_attempts_keep_agents_busier(
    agents, rate, time, lines, dial_rate, wrap
) -> None:
    def at(lines: int, dial_rate: float):
        return paced(agents, rate, time, lines=lines, dial_rate=dial_rate, wrap_up_s=wrap * time)

    here = at(lines, dial_rate)
    assert 0 <= here.abandonment <= 1
    assert 0 < here.utilisation <= 1 + 1e-9
    assert here.attempts_per_s <= dial_rate * (1 + 1e-9)
    for more in (at(lines + 5, dial_rate), at(lines, dial_rate * 1.5), at(lines, inf)):
        assert more.utilisation >= here.utilisation - 1e-9
        assert more.abandonment >= here.abandonment - 1e-3


def test_large_teams_overflow_nothing() -> None:
    assert 0.9 < paced(10_000, 0.3, 300, lines=12_000).utilisation <= 1
    assert paced(3000, 0.9, 3000, lines=5000).abandonment > 0


@pytest.mark.parametrize(
    ("scenario", "lines", "refill"),
    [("agents-5", 5, 2.0), ("agents-20", 22, 1.5), ("agents-60", 70, 1.5)],
)
def test_a_simulation_without_any_formula_confirms_it(monkeypatch, scenario, lines, refill) -> None:
    """The simulated agents wrap up for 15 s; the formula errs on the careful side in small teams."""
    (team,) = SCENARIOS[scenario].campaigns
    usual = {"wrap_up_s": team.wrap_up_s, "lines": lines}
    at_once = paced(team.agents, team.answer_rate, team.handle_time_s, **usual)
    dial_rate = refill * at_once.attempts_per_s
    expected = paced(
        team.agents, team.answer_rate, team.handle_time_s, dial_rate=dial_rate, **usual
    )
    monkeypatch.setattr(runs, "POLICIES", {"it": lambda *_: [Setting(dial_rate, lines)]})
    found = [run for seed in (1, 2) for run in runs.play(scenario, seed, ("it",))]
    abandoned = sum(run.abandonment for run in found) / len(found)
    busy = sum(run.utilisation for run in found) / len(found)  # calls that outlast a shift count
    print(f"abandoned {abandoned:.4f}, formula {expected.abandonment:.4f}; busy {busy:.3f}, formula {expected.utilisation:.3f}")  # fmt: skip
    assert expected.utilisation <= busy <= expected.utilisation + 0.035
    assert -0.005 <= expected.abandonment - abandoned <= 0.025
