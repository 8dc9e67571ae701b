"""Queueing formulas: published numbers, and what holds whatever the numbers."""

from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.integrate import quad

from reconciler.pacing import queueing
from reconciler.pacing.queueing import (
    abandonment_queue,
    concurrent_calls,
    erlang_a,
    erlang_b,
    erlang_c,
    highest_live_rate,
    mean_lines,
    progressive_utilisation,
)

AGENTS = st.integers(1, 2000)
LOADS = st.floats(0, 5000)
"""In erlangs."""
RATES = st.floats(1e-6, 50)
"""Live answers per second."""
TIMES_S = st.floats(1, 3600)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(queueing).failed == 0
    assert doctest.testmod(queueing).attempted == 8


# Published numbers.


def test_erlang_c_of_two_packages() -> None:
    """pyworkforce 0.1.0 and CRAN's ErlangC: 100 calls in 30 min of 3 min each, 14 agents."""
    waiting = erlang_c(14, 100 / 30 * 3)
    assert waiting == pytest.approx(0.1741319335950498, abs=1e-12)
    assert 1 - waiting * math.exp(-(14 - 10) * 20 / 180) == pytest.approx(0.8883500191794669)
    assert waiting * 180 / (14 - 10) == pytest.approx(7.83593701)


@pytest.mark.parametrize(
    ("lines", "load", "blocked"),
    [(15, 8.108, 0.0099996), (10, 4.461, 0.009998), (20, 12.03, 0.009996)],
)
def test_erlang_b_of_the_tables(lines, load, blocked) -> None:
    """The manual of erlang.com (15 lines), and the standard table: 1 % blocking."""
    assert erlang_b(lines, load) == pytest.approx(blocked, abs=1e-6)


def test_erlang_a_of_garnett_mandelbaum_and_reiman() -> None:
    """Garnett, Mandelbaum and Reiman 2002: 50 agents, 48 calls/min of 1 min each, 2 min patience."""
    queue = erlang_a(50, 48 / 60, 60, 120)
    assert queue.abandonment == pytest.approx(0.030912, abs=1e-6)
    assert queue.wait_s == pytest.approx(3.7095, abs=5e-5)
    assert queue.queue_length == pytest.approx(2.9676, abs=5e-5)
    assert queue.waiting == pytest.approx(0.46777, abs=1e-5)
    assert queue.utilisation == pytest.approx(0.93032, abs=1e-5)
    assert erlang_c(50, 48) == pytest.approx(0.69446, abs=1e-5)
    assert erlang_c(50, 48) * 60 / (50 - 48) == pytest.approx(20.834, abs=5e-4)


@pytest.mark.parametrize(
    ("agents", "dial_rate", "answer_rate", "handle_time_s", "abandonment", "utilisation", "lost"),
    [
        (5, 0.03, 0.30, 240, 0.045134, 0.412502, 0.046253),
        (10, 0.10, 0.25, 180, 0.009867, 0.445560, 0.010494),
        (20, 0.30, 0.25, 180, 0.021890, 0.660224, 0.023610),
        (50, 0.9, 0.25, 180, 0.019002, 0.794609, 0.021309),
        (50, 1.2, 0.20, 180, 0.035616, 0.833228, 0.039106),
        (100, 2.0, 0.25, 180, 0.023522, 0.878830, 0.026957),
        (200, 8, 0.20, 120, 0.026030, 0.935012, 0.032651),
    ],
)
def test_abandonment_of_the_reference(
    agents, dial_rate, answer_rate, handle_time_s, abandonment, utilisation, lost
) -> None:
    live = dial_rate * answer_rate
    queue = abandonment_queue(agents, live, handle_time_s)
    assert queue.abandonment == pytest.approx(abandonment, abs=1e-6)
    assert queue.utilisation == pytest.approx(utilisation, abs=1e-6)
    assert erlang_b(agents, live * handle_time_s) == pytest.approx(lost, abs=1e-6)


@pytest.mark.parametrize(
    ("agents", "load", "utilisation", "dial_rate", "careful_load", "mistaken"),
    [
        (5, 1.896, 0.368, 0.053, 1.541, 0.059),
        (10, 5.591, 0.542, 0.155, 4.861, 0.075),
        (20, 14.15, 0.686, 0.393, 12.81, 0.097),
        (30, 23.32, 0.754, 0.648, 21.46, 0.112),
        (50, 42.39, 0.822, 1.178, 39.64, 0.132),
        (100, 91.77, 0.890, 2.549, 87.17, 0.158),
        (200, 192.9, 0.935, 5.358, 185.2, 0.181),
        (300, 295.1, 0.954, 8.197, 284.8, 0.191),
    ],
)
def test_highest_rates_of_the_reference(
    agents, load, utilisation, dial_rate, careful_load, mistaken
) -> None:
    """At 180 s and a cap of 3 %; then at 1.5 %; then the abandonment when 25 % more people answer than assumed."""
    live = highest_live_rate(agents, 180, 0.03)
    assert live * 180 == pytest.approx(load, rel=3e-4)
    assert abandonment_queue(agents, live, 180).utilisation == pytest.approx(utilisation, abs=6e-4)
    assert live / 0.20 == pytest.approx(dial_rate, abs=6e-4)
    assert highest_live_rate(agents, 180, 0.015) * 180 == pytest.approx(careful_load, rel=4e-4)
    assert abandonment_queue(agents, 1.25 * live, 180).abandonment == pytest.approx(
        mistaken, abs=6e-4
    )


@pytest.mark.parametrize(
    ("agents", "lines"),
    [(10, 7.41), (20, 18.76), (50, 56.19)],
)
def test_lines_of_the_reference(agents, lines) -> None:
    dial_rate = highest_live_rate(agents, 180, 0.03) / 0.25
    assert mean_lines(dial_rate, 0.25, 180, abandonment=0.03) == pytest.approx(lines, abs=6e-3)


@pytest.mark.parametrize(
    ("answer_rate", "utilisation", "simulated"),
    [
        (0.1, 0.511, 0.514),
        (0.2, 0.686, 0.686),
        (0.25, 0.736, 0.736),
        (0.3, 0.774, 0.771),
        (0.4, 0.828, 0.827),
    ],
)
def test_progressive_dialing_of_the_reference(answer_rate, utilisation, simulated) -> None:
    computed = progressive_utilisation(answer_rate, 180)
    assert computed == pytest.approx(utilisation, abs=6e-4)
    assert computed == pytest.approx(simulated, abs=5e-3)


def test_the_sample_of_the_brief_passes_the_cap_by_its_own_step() -> None:
    """140 agents, 150 s, 33.4 % answers: 2.4 calls/s is lawful, the step to 2.76 is not."""
    highest = highest_live_rate(140, 150, 0.03) / 0.334
    assert 2.4 < highest < 2.76
    assert abandonment_queue(140, 2.4 * 0.334, 150).abandonment == pytest.approx(0.006, abs=1e-3)
    assert abandonment_queue(140, 2.76 * 0.334, 150).abandonment == pytest.approx(0.051, abs=1e-3)


# Laws.


@given(AGENTS, LOADS)
def test_who_may_wait_waits_at_least_as_often_as_others_are_lost(agents, load) -> None:
    assert 0 <= erlang_b(agents, load) <= erlang_c(agents, load) <= 1


@given(AGENTS, LOADS, LOADS)
def test_more_load_loses_more(agents, one, other) -> None:
    less, more = sorted((one, other))
    assert erlang_b(agents, less) <= erlang_b(agents, more) + 1e-15
    assert erlang_c(agents, less) <= erlang_c(agents, more) + 1e-15


@given(st.integers(1, 200), st.floats(0.01, 300))
def test_erlang_b_is_the_share_of_poisson_weights(agents, load) -> None:
    """The textbook's sum of a^k / k!, taken in logarithms."""
    weights = [k * math.log(load) - math.lgamma(k + 1) for k in range(agents + 1)]
    top = max(weights)
    whole = math.fsum(math.exp(weight - top) for weight in weights)
    expected = math.exp(weights[-1] - top) / whole
    assert erlang_b(agents, load) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(AGENTS, RATES, TIMES_S, st.floats(0, 60))
def test_a_queue_is_made_of_shares(agents, live, handle_time_s, patience_s) -> None:
    queue = abandonment_queue(agents, live, handle_time_s, patience_s=patience_s)
    assert 0 <= queue.abandonment <= 1
    assert 0 <= queue.waiting <= 1
    assert 0 <= queue.utilisation <= 1
    assert 0 <= queue.wait_s <= patience_s * (1 + 1e-12)
    assert queue.queue_length == pytest.approx(live * queue.wait_s)
    served = live * (1 - queue.abandonment) * handle_time_s
    assert queue.utilisation == pytest.approx(served / agents)


@given(AGENTS, RATES, RATES, TIMES_S)
@example(1, 9.0, 42.86084017746986, 1921.343423430829)
def test_more_live_answers_abandon_more(agents, one, other, handle_time_s) -> None:
    less, more = sorted((one, other))
    slow = abandonment_queue(agents, less, handle_time_s)
    fast = abandonment_queue(agents, more, handle_time_s)
    assert slow.abandonment <= fast.abandonment + 1e-12
    rounding = (
        1e-15 * more * handle_time_s / agents
    )  # of 1 - abandonment, times the load of an agent
    assert slow.utilisation <= fast.utilisation + rounding + 1e-15


@given(st.integers(1, 1999), RATES, TIMES_S)
def test_one_more_agent_abandons_fewer(agents, live, handle_time_s) -> None:
    few = abandonment_queue(agents, live, handle_time_s)
    many = abandonment_queue(agents + 1, live, handle_time_s)
    assert many.abandonment <= few.abandonment + 1e-12


@given(AGENTS, RATES, TIMES_S, st.floats(0, 60), st.floats(0, 60))
def test_patience_lowers_abandonment(agents, live, handle_time_s, one, other) -> None:
    short, long = sorted((one, other))
    hasty = abandonment_queue(agents, live, handle_time_s, patience_s=short)
    patient = abandonment_queue(agents, live, handle_time_s, patience_s=long)
    assert patient.abandonment <= hasty.abandonment + 1e-12


@given(AGENTS, RATES, TIMES_S)
def test_without_patience_it_is_erlang_b(agents, live, handle_time_s) -> None:
    blocked = erlang_b(agents, live * handle_time_s)
    for patience_s in (0.0, 1e-9):
        queue = abandonment_queue(agents, live, handle_time_s, patience_s=patience_s)
        assert queue.abandonment == pytest.approx(blocked, abs=1e-9, rel=1e-6)


@given(st.integers(1, 300), RATES, TIMES_S, st.floats(0.1, 20))
def test_the_wait_is_the_integral_of_its_distribution(agents, live, handle_time_s, patience_s):
    """E[min(V, τ)] for the density of the offered wait V: λ π e^(dv) below τ, with service alone after it."""
    drift = live - agents / handle_time_s
    assume(abs(drift * patience_s) < 500)
    tail = math.exp(drift * patience_s) * handle_time_s / agents
    inside, _ = quad(lambda v: math.exp(drift * v), 0, patience_s, epsabs=0, epsrel=1e-10)
    spent, _ = quad(lambda v: v * math.exp(drift * v), 0, patience_s, epsabs=0, epsrel=1e-10)
    blocked = erlang_b(agents - 1, live * handle_time_s)
    whole = 1 + live * blocked * (inside + tail)
    queue = abandonment_queue(agents, live, handle_time_s, patience_s=patience_s)
    assert queue.wait_s == pytest.approx(
        live * blocked * (spent + patience_s * tail) / whole, rel=1e-7, abs=1e-12
    )
    assert queue.waiting == pytest.approx(
        live * blocked * (inside + tail) / whole, rel=1e-7, abs=1e-12
    )
    assert queue.abandonment == pytest.approx(live * blocked * tail / whole, rel=1e-7, abs=1e-12)


@given(AGENTS, TIMES_S)
def test_nothing_breaks_at_a_load_of_as_many_erlangs_as_agents(agents, handle_time_s) -> None:
    at = abandonment_queue(agents, agents / handle_time_s, handle_time_s)
    beside = abandonment_queue(agents, agents / handle_time_s * (1 + 1e-12), handle_time_s)
    assert at.abandonment == pytest.approx(beside.abandonment, rel=1e-6)
    assert at.wait_s == pytest.approx(beside.wait_s, rel=1e-6)


@given(AGENTS, TIMES_S, st.floats(1e-6, 0.9), st.floats(0, 10))
def test_the_highest_rate_abandons_just_the_cap(agents, handle_time_s, cap, patience_s) -> None:
    live = highest_live_rate(agents, handle_time_s, cap, patience_s=patience_s)
    queue = abandonment_queue(agents, live, handle_time_s, patience_s=patience_s)
    assert queue.abandonment == pytest.approx(cap, rel=1e-6)


@given(st.integers(1, 300), RATES, TIMES_S, st.floats(1, 1e5))
def test_erlang_a_is_the_birth_death_chain(agents, arrivals, handle_time_s, patience_s) -> None:
    """Weights of states 0 to 20,000 in logarithms, an independent sum."""
    assume(arrivals * patience_s < 10_000)
    weights = [0.0]
    for calls in range(1, 20_000):
        leaving = min(calls, agents) / handle_time_s + max(0, calls - agents) / patience_s
        weights.append(weights[-1] + math.log(arrivals / leaving))
        if weights[-1] < max(weights[0], weights[min(calls, agents)]) - 60 and calls > agents:
            break
    top = max(weights)
    shares = [math.exp(weight - top) for weight in weights]
    whole = math.fsum(shares)
    length = math.fsum((n - agents) * x for n, x in enumerate(shares) if n > agents) / whole
    queue = erlang_a(agents, arrivals, handle_time_s, patience_s)
    assert queue.waiting == pytest.approx(math.fsum(shares[agents:]) / whole, rel=1e-6, abs=1e-12)
    assert queue.queue_length == pytest.approx(length, rel=1e-6, abs=1e-6)
    assert queue.abandonment == pytest.approx(length / patience_s / arrivals, rel=1e-6, abs=1e-9)
    assert 0 <= queue.utilisation <= 1


def test_endless_patience_is_erlang_c() -> None:
    assert erlang_a(14, 10 / 180, 180, 1e9).waiting == pytest.approx(erlang_c(14, 10), rel=1e-5)


@given(st.floats(0.01, 1), st.floats(0.01, 1), TIMES_S)
def test_progressive_agents_are_busier_when_more_people_answer(one, other, handle_time_s) -> None:
    few, many = sorted((one, other))
    slow, fast = (progressive_utilisation(share, handle_time_s) for share in (few, many))
    assert 0 < slow <= fast < 1


@given(st.floats(0, 1e6))
def test_lines_leave_room_above_the_mean(mean) -> None:
    assert concurrent_calls(mean) >= mean


# Bad input.


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: erlang_b(-1, 1), "whole number from 0"),
        (lambda: erlang_b(10, math.nan), "load must be"),
        (lambda: erlang_b(10, math.inf), "load must be"),
        (lambda: erlang_c(0, 1), "whole number from 1"),
        (lambda: erlang_c(10, -1), "load must be"),
        (lambda: erlang_a(10, -1, 60, 60), "arrivals_per_s must be"),
        (lambda: erlang_a(10, 1, 60, 0), "patience_s must be"),
        (lambda: abandonment_queue(59.5, 1, 60), "whole number"),
        (lambda: abandonment_queue(math.nan, 1, 60), "whole number"),
        (lambda: abandonment_queue(math.inf, 1, 60), "whole number"),
        (lambda: abandonment_queue(10**6, 1, 60), "to 100000, not 1000000"),
        (lambda: abandonment_queue(10, 1, 0), "handle_time_s must be"),
        (lambda: abandonment_queue(10, 1, 1e300), "handle_time_s must be"),
        (lambda: abandonment_queue(10, 1e300, 60), "live_per_s must be"),
        (lambda: abandonment_queue(10, 1, 60, patience_s=-1), "patience_s must be"),
        (lambda: highest_live_rate(10, 60, 0), "cap must be"),
        (lambda: highest_live_rate(10, 60, 1), "cap must be"),
        (lambda: highest_live_rate(0, 60, 0.03), "whole number"),
        (lambda: highest_live_rate(10, -60, 0.03), "handle_time_s must be"),
        (lambda: mean_lines(1, 1.1, 60, abandonment=0.03), "answer_rate must be"),
        (lambda: mean_lines(-1, 0.1, 60, abandonment=0.03), "dial_rate must be"),
        (lambda: mean_lines(1, 0.1, 60, abandonment=3), "abandonment must be"),
        (lambda: mean_lines(1, 0.1, 60, abandonment=0, ring_none_s=-1), "ring_none_s must be"),
        (lambda: progressive_utilisation(0, 60), "answer_rate must be"),
        (lambda: progressive_utilisation(2, 60), "answer_rate must be"),
        (lambda: concurrent_calls(-1), "mean must be"),
    ],
)
def test_what_is_out_of_range_is_named(call, said) -> None:
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("agents", [1, 2000, 10_000])
@pytest.mark.parametrize("live", [0.0, 1e-9, 1e9])
@pytest.mark.parametrize("handle_time_s", [1e-9, 1e9])
@pytest.mark.parametrize("patience_s", [0.0, 1e9])
def test_the_corners_of_the_range_overflow_nowhere(agents, live, handle_time_s, patience_s) -> None:
    queue = abandonment_queue(agents, live, handle_time_s, patience_s=patience_s)
    assert 0 <= queue.abandonment <= 1
    assert 0 <= queue.utilisation <= 1
    assert 0 <= queue.waiting <= 1
    assert 0 <= queue.wait_s <= 1e9 * (1 + 1e-12)
    assert math.isfinite(queue.queue_length)
