"""The linear program behind `allocate`: laws over drawn instances, and every vertex of tiny ones."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler.optimize.sharing import (
    Shares,
    Sharing,
    Unsolved,
    equal_shares,
    solve,
    worth,
)

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=40)
CLOSE = 1e-6
"""Relative: the solver's own tolerances are 1e-7."""


def drawn(seed: int, campaigns: int | None = None, limits: int | None = None) -> Sharing:
    """Return campaigns with rising concave curves, some of them twins, and limits, some of them equal, which bind or not."""
    rng = np.random.default_rng(seed)
    n = campaigns or int(rng.integers(1, 7))
    m = limits or int(rng.integers(1, 9))
    k = int(rng.integers(1, 5))
    widths = rng.integers(0, 20, (n, k)) / 10
    slopes = -np.sort(-rng.integers(0, 50, (n, k)) * 10.0, axis=1)
    use = rng.integers(10, 80, (m, n)) * (rng.random((m, n)) < 0.7)
    sharing = Sharing(
        rates=np.column_stack([np.zeros(n), np.cumsum(widths, axis=1)]),
        contacts=np.column_stack([np.zeros(n), np.cumsum(slopes * widths, axis=1)]),
        least=np.zeros(n),
        use=use.astype(float),
        limits=rng.integers(1, 200, m).astype(float),
    )
    if n > 1 and rng.random() < 0.3:
        sharing = columns(sharing, [*range(n - 1), 0])
    if m > 1 and rng.random() < 0.3:
        sharing = rows(sharing, [*range(m - 1), 0])
    if rng.random() < 0.5:
        sharing = replace(sharing, least=equal_shares(sharing) * rng.random())
    return sharing


def columns(sharing: Sharing, order: list[int]) -> Sharing:
    return Sharing(
        sharing.rates[order],
        sharing.contacts[order],
        sharing.least[order],
        sharing.use[:, order],
        sharing.limits,
    )


def rows(sharing: Sharing, order: list[int]) -> Sharing:
    return replace(sharing, use=sharing.use[order], limits=sharing.limits[order])


def solved(sharing: Sharing) -> Shares:
    found = solve(sharing)
    assert isinstance(found, Shares), found
    return found


def total(sharing: Sharing, rates: np.ndarray) -> float:
    return float(sharing.expected(rates).sum())


def is_feasible(sharing: Sharing, rates: np.ndarray, slack: float = 1e-9) -> bool:
    return bool(
        (rates >= sharing.least - slack).all()
        and (rates <= sharing.top + slack).all()
        and (sharing.use @ rates <= sharing.limits * (1 + slack) + slack).all()
    )


@FEW
@given(SEEDS)
def test_every_answer_is_within_all_limits(seed) -> None:
    sharing = drawn(seed)
    assert is_feasible(sharing, solved(sharing).rates)


@FEW
@given(SEEDS)
def test_no_answer_is_below_equal_shares_or_any_other_that_fits(seed) -> None:
    sharing = drawn(seed)
    best = solved(sharing).contacts
    equal = equal_shares(sharing)
    assert is_feasible(sharing, np.maximum(equal, sharing.least))
    assert best >= total(sharing, equal) - CLOSE * (1 + best)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        other = sharing.least + (sharing.top - sharing.least) * rng.random(len(sharing.least))
        taken = sharing.use @ (other - sharing.least)
        room = sharing.limits - sharing.use @ sharing.least
        part = min([1.0, *(room[taken > room] / taken[taken > room])])
        other = sharing.least + (other - sharing.least) * part
        assert is_feasible(sharing, other)
        assert best >= total(sharing, other) - CLOSE * (1 + best)


@FEW
@given(SEEDS)
def test_tiny_instances_agree_with_the_best_of_all_vertices(seed) -> None:
    sharing = drawn(seed, campaigns=2 + seed % 2, limits=2)
    assert solved(sharing).contacts == pytest.approx(best_vertex(sharing), rel=1e-7, abs=1e-6)


def best_vertex(sharing: Sharing) -> float:
    """Return the most contacts of all points where as many limits, bounds and kinks meet as there are campaigns."""
    n = len(sharing.least)
    planes = [(row, limit) for row, limit in zip(sharing.use, sharing.limits, strict=True)]
    for i in range(n):
        planes += [(np.eye(n)[i], at) for at in {*sharing.rates[i], sharing.least[i]}]
    best = -np.inf
    for chosen in combinations(planes, n):
        matrix = np.array([row for row, _ in chosen])
        if abs(np.linalg.det(matrix)) > 1e-9:
            point = np.linalg.solve(matrix, np.array([at for _, at in chosen]))
            if is_feasible(sharing, point):
                best = max(best, total(sharing, point))
    return best


@FEW
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_campaigns_and_limits_changes_nothing(seed, random) -> None:
    sharing = drawn(seed)
    found = solved(sharing)
    order = random.sample(range(len(sharing.least)), len(sharing.least))
    again = solved(columns(sharing, order))
    assert again.contacts == pytest.approx(found.contacts, rel=CLOSE, abs=CLOSE)
    shuffled = random.sample(range(len(sharing.limits)), len(sharing.limits))
    same = solved(rows(sharing, shuffled))
    assert np.allclose(same.rates, found.rates, rtol=CLOSE, atol=CLOSE)
    assert np.allclose(same.prices, found.prices[shuffled], rtol=CLOSE, atol=CLOSE)


@FEW
@given(SEEDS)
def test_equal_campaigns_get_equal_rates(seed) -> None:
    sharing = replace(drawn(seed, campaigns=3), least=np.zeros(3))
    found = solved(columns(sharing, [0, 1, 0, 2, 0])).rates
    assert found[0] == found[2] == found[4]


@FEW
@given(SEEDS, st.floats(-1, 3))
def test_a_dual_bounds_what_a_moved_limit_changes(seed, by) -> None:
    """Contacts are a concave function of the limits, so a dual never understates a cut nor overstates a rise."""
    sharing = drawn(seed)
    found = solved(sharing)
    group = found.alike == found.alike[np.argmax(found.prices)]
    price = found.prices[group][0]
    moved = solve(replace(sharing, limits=sharing.limits + np.where(group, by, 0.0)))
    assume(isinstance(moved, Shares))
    assert moved.contacts <= found.contacts + price * by + CLOSE * (1 + found.contacts)


@FEW
@given(SEEDS)
def test_a_small_move_of_a_limit_changes_contacts_by_one_of_its_duals(seed) -> None:
    """The change lies between the duals before and after the move, and these agree unless another limit begins to bind."""
    sharing, small = drawn(seed), 1e-3
    found = solved(sharing)
    group = found.alike == found.alike[np.argmax(found.prices)]
    after = solved(replace(sharing, limits=sharing.limits + np.where(group, small, 0.0)))
    at = np.argmax(group)
    slope = (after.contacts - found.contacts) / small
    near = 1e-3 * (1 + found.prices[at])
    assert after.prices[at] - near <= slope <= found.prices[at] + near


@FEW
@given(SEEDS)
def test_a_limit_with_room_has_no_price(seed) -> None:
    sharing = drawn(seed)
    found = solved(sharing)
    room = sharing.limits - sharing.use @ found.rates
    assert not found.prices[room > 1e-5 * sharing.limits].any()


@FEW
@given(SEEDS)
def test_what_a_raise_is_worth_is_what_solving_again_gains(seed) -> None:
    sharing = drawn(seed)
    gain = worth(sharing, np.ones(len(sharing.limits)))
    assert gain >= 0
    assert gain <= solved(sharing).prices[first_of_each(sharing)].sum() + CLOSE * (
        1 + solved(sharing).contacts
    )


def first_of_each(sharing: Sharing) -> np.ndarray:
    return np.unique(solved(sharing).alike, return_index=True)[1]


def test_a_limit_that_cannot_be_kept_is_infeasible() -> None:
    one = Sharing(
        rates=np.array([[0.0, 2.0]]),
        contacts=np.array([[0.0, 100.0]]),
        least=np.array([1.0]),
        use=np.array([[50.0]]),
        limits=np.array([40.0]),
    )
    found = solve(one)
    assert isinstance(found, Unsolved)
    assert found.infeasible
    assert worth(one, np.ones(1)) == 0


def test_nothing_to_share_gives_nothing() -> None:
    none = Sharing(
        np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros((2, 0)), np.array([1.0, 2.0])
    )
    assert solved(none).contacts == 0
    assert len(solved(none).prices) == 2


def test_the_campaign_that_earns_more_with_a_call_in_progress_goes_first() -> None:
    """100 calls in progress: 2 calls/s x 30 of the first (500 each) leave 40 for the second (300 each): 40 / 50 calls/s."""
    found = solved(
        Sharing(
            rates=np.array([[0.0, 2.0], [0.0, 2.0]]),
            contacts=np.array([[0.0, 1000.0], [0.0, 600.0]]),
            least=np.zeros(2),
            use=np.array([[30.0, 50.0]]),
            limits=np.array([100.0]),
        )
    )
    assert found.rates == pytest.approx([2.0, 0.8])
    assert found.contacts == pytest.approx(1240)
    assert found.prices == pytest.approx([6.0])  # 300 contacts for 50 calls


def test_a_week_of_200_campaigns_takes_less_than_a_second() -> None:
    rng = np.random.default_rng(1)
    n, hours, k = 200, 168, 8
    part = np.linspace(0, 1, k + 1)
    top = rng.uniform(0.2, 5, n)
    is_open = rng.random((hours, n)) < 0.6
    lines = rng.uniform(45, 65, (hours, n)) * is_open
    sharing = Sharing(
        rates=top[:, None] * part,
        contacts=(rng.uniform(100, 1000, n) * top)[:, None] * (part - 0.12 * part**6),
        least=np.zeros(n),
        use=np.vstack([lines, is_open.astype(float)]),
        limits=np.repeat([0.5 * (lines @ top).max(), 0.5 * (is_open @ top).max()], hours),
    )
    sharing = replace(sharing, least=equal_shares(sharing) / 4)
    start = time.process_time()
    found = solved(sharing)
    assert time.process_time() - start < 1
    assert found.contacts > 1.3 * total(sharing, equal_shares(sharing))
