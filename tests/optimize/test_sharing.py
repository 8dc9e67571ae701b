"""The linear program behind `allocate`: laws over drawn instances, and brute force on tiny ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.optimize.sharing import Shares, Sharing, Unsolved, equal_shares, solve

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=25)
CLOSE = 1e-6
"""Relative: the solver's own tolerances are 1e-7."""


def drawn(seed: int, campaigns: int | None = None, limits: int | None = None) -> Sharing:
    """Return campaigns with rising concave curves of two resources, some of them twins, and limits, some of them equal.

    The first point of each campaign takes nothing, so there is always an answer.
    """
    rng = np.random.default_rng(seed)
    n = campaigns or int(rng.integers(1, 7))
    m = limits or int(rng.integers(1, 9))
    k = int(rng.integers(2, 6))
    calls = np.cumsum(rng.integers(0, 20, (n, k)), axis=1) - 0.0
    calls[:, 0] = 0
    slopes = -np.sort(-rng.integers(1, 50, (n, k - 1)), axis=1)
    contacts = np.column_stack([np.zeros(n), np.cumsum(slopes * np.diff(calls), axis=1)])
    sharing = Sharing(
        contacts=contacts,
        takes=np.stack([calls, calls / rng.integers(20, 60, (n, 1))], axis=2),
        least=np.zeros(n),
        is_open=rng.random((m, n)) < 0.7,
        resource=rng.integers(0, 2, m),
        limits=rng.integers(1, 100, m).astype(float),
    )
    sharing = replace(sharing, limits=np.where(sharing.resource, 0.03, 1) * sharing.limits)
    if n > 1 and rng.random() < 0.3:
        sharing = columns(sharing, [*range(n - 1), 0])
    if m > 1 and rng.random() < 0.3:
        sharing = rows(sharing, [*range(m - 1), 0])
    if rng.random() < 0.5:
        sharing = replace(sharing, least=solved(equal_shares(sharing)).contacts * rng.random())
    return sharing


def columns(sharing: Sharing, order: list[int]) -> Sharing:
    return replace(
        sharing,
        contacts=sharing.contacts[order],
        takes=sharing.takes[order],
        least=sharing.least[order],
        is_open=sharing.is_open[:, order],
    )


def rows(sharing: Sharing, order: list[int]) -> Sharing:
    return replace(
        sharing,
        is_open=sharing.is_open[order],
        resource=sharing.resource[order],
        limits=sharing.limits[order],
    )


def solved(found: Shares | Unsolved) -> Shares:
    assert isinstance(found, Shares), found
    return found


def best(sharing: Sharing) -> Shares:
    return solved(solve(sharing))


def taken(sharing: Sharing, amounts: np.ndarray) -> np.ndarray:
    """Return what is taken of each limit."""
    return (sharing.is_open * amounts.T[sharing.resource]).sum(axis=1)


def is_feasible(sharing: Sharing, amounts: np.ndarray, contacts: np.ndarray) -> bool:
    fits = (taken(sharing, amounts) <= sharing.limits * (1 + CLOSE) + CLOSE).all()
    return bool(fits and (contacts >= sharing.least * (1 - CLOSE) - CLOSE).all())


@FEW
@given(SEEDS)
def test_every_answer_is_within_all_limits_and_leaves_nobody_below_the_least(seed) -> None:
    sharing = drawn(seed)
    found = best(sharing)
    assert is_feasible(sharing, found.amounts, found.contacts)


@FEW
@given(SEEDS)
def test_every_answer_lies_on_the_curves(seed) -> None:
    sharing = drawn(seed)
    found = best(sharing)
    assert (found.amounts >= -CLOSE).all()
    for at in range(len(sharing.least)):
        curve = np.interp(found.amounts[at, 0], sharing.takes[at, :, 0], sharing.contacts[at])
        assert found.contacts[at] <= curve * (1 + CLOSE) + CLOSE


@FEW
@given(SEEDS)
def test_no_answer_is_below_equal_shares_or_any_other_that_fits(seed) -> None:
    sharing = drawn(seed)
    total = best(sharing).contacts.sum()
    equal = solved(equal_shares(sharing))
    assert is_feasible(sharing, equal.amounts, equal.contacts)
    assert total >= equal.contacts.sum() * (1 - CLOSE) - CLOSE
    rng = np.random.default_rng(seed)
    campaigns, points = sharing.contacts.shape
    for _ in range(20):
        weights = rng.dirichlet(np.ones(points), campaigns)
        amounts = np.einsum("ij,ijf->if", weights, sharing.takes)
        contacts = (weights * sharing.contacts).sum(axis=1)
        if is_feasible(sharing, amounts, contacts):
            assert total >= contacts.sum() * (1 - CLOSE) - CLOSE


@FEW
@given(SEEDS)
def test_an_equal_share_takes_no_more_than_its_part(seed) -> None:
    sharing = drawn(seed)
    amounts = solved(equal_shares(sharing)).amounts
    for row, resource, limit in zip(sharing.is_open, sharing.resource, sharing.limits, strict=True):
        if row.any():
            part = limit / row.sum()
            assert (amounts[row, resource] <= part * (1 + CLOSE) + CLOSE).all()


@FEW
@given(SEEDS)
def test_tiny_instances_agree_with_trying_every_amount(seed) -> None:
    """With whole kinks and limits of nested sets, some whole amounts are best."""
    sharing = drawn(seed, campaigns=2, limits=2)
    sharing = replace(
        sharing,
        resource=np.zeros(2, dtype=int),
        least=np.zeros(2),
        limits=np.ceil(sharing.limits),
        is_open=np.array([[True, True], [False, True]]),
    )
    calls = [np.arange(each + 1) for each in sharing.takes[:, -1, 0]]
    first, second = (
        np.interp(*curve)
        for curve in zip(calls, sharing.takes[:, :, 0], sharing.contacts, strict=True)
    )
    both = first[:, None] + second
    fits = (calls[0][:, None] + calls[1] <= sharing.limits[0]) & (calls[1] <= sharing.limits[1])
    assert best(sharing).contacts.sum() == pytest.approx(both[fits].max(), rel=CLOSE, abs=CLOSE)


@FEW
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_campaigns_and_limits_changes_nothing(seed, random) -> None:
    sharing = drawn(seed)
    found = best(sharing)
    order = random.sample(range(len(sharing.least)), len(sharing.least))
    again = best(columns(sharing, order))
    assert again.contacts.sum() == pytest.approx(found.contacts.sum(), rel=CLOSE, abs=CLOSE)
    shuffled = random.sample(range(len(sharing.limits)), len(sharing.limits))
    same = best(rows(sharing, shuffled))
    assert np.allclose(same.amounts, found.amounts, rtol=CLOSE, atol=CLOSE)
    assert np.allclose(same.prices, found.prices[shuffled], rtol=CLOSE, atol=CLOSE)


@FEW
@given(SEEDS)
def test_equal_campaigns_get_equal_amounts(seed) -> None:
    sharing = replace(drawn(seed, campaigns=3), least=np.zeros(3))
    found = best(columns(sharing, [0, 1, 0, 2, 0]))
    assert (found.amounts[[0, 0]] == found.amounts[[2, 4]]).all()
    assert found.contacts[0] == found.contacts[2] == found.contacts[4]


def moved(sharing: Sharing, found: Shares, by: float) -> tuple[Shares | Unsolved, float]:
    """Return the answer when the dearest limit, and all that are equal to it, are moved, and its price."""
    group = found.alike == found.alike[np.argmax(found.prices)]
    limits = np.maximum(sharing.limits + np.where(group, by, 0.0), 0.0)
    return solve(replace(sharing, limits=limits)), float(found.prices[group][0])


@FEW
@given(SEEDS, st.floats(-1, 3))
def test_a_dual_bounds_what_a_moved_limit_changes(seed, by) -> None:
    """Contacts are a concave function of the limits, so a dual never overstates a rise nor understates a cut."""
    sharing = replace(drawn(seed), least=np.zeros_like(drawn(seed).least))
    found = best(sharing)
    by = max(by, -float(sharing.limits.min()))
    after, price = moved(sharing, found, by)
    total = found.contacts.sum()
    assert solved(after).contacts.sum() <= total + price * by + CLOSE * (1 + total)


@FEW
@given(SEEDS)
def test_a_small_move_of_a_limit_changes_contacts_by_one_of_its_duals(seed) -> None:
    """The change lies between the duals before and after the move, and these agree unless another limit begins to bind."""
    sharing, small = drawn(seed), 1e-3
    found = best(sharing)
    after, price = moved(sharing, found, small)
    slope = (solved(after).contacts.sum() - found.contacts.sum()) / small
    at = np.argmax(found.prices)
    assert solved(after).prices[at] - 1e-3 * (1 + price) <= slope <= price + 1e-3 * (1 + price)


@FEW
@given(SEEDS)
def test_a_limit_with_room_has_no_price(seed) -> None:
    sharing = drawn(seed)
    found = best(sharing)
    room = sharing.limits - taken(sharing, found.amounts)
    assert not found.prices[room > 1e-5 * (1 + sharing.limits)].any()


def test_what_cannot_be_kept_is_infeasible() -> None:
    found = solve(one_resource([[0, 10]], [[4, 5]], limit=3.0))
    assert isinstance(found, Unsolved)
    assert found.is_infeasible


def one_resource(contacts: list[list[float]], calls: list[list[float]], limit: float) -> Sharing:
    return Sharing(
        contacts=np.array(contacts, dtype=float),
        takes=np.array(calls, dtype=float)[:, :, None],
        least=np.zeros(len(contacts)),
        is_open=np.ones((1, len(contacts)), dtype=bool),
        resource=np.array([0]),
        limits=np.array([limit]),
    )


def test_the_campaign_that_reaches_more_with_a_call_goes_first() -> None:
    """100 calls: the first campaign reaches 30 with each of 60, the second 12 with each of the 40 that are left."""
    found = best(one_resource([[0, 1800], [0, 600]], [[0, 60], [0, 50]], limit=100.0))
    assert found.amounts[:, 0] == pytest.approx([60, 40])
    assert found.contacts == pytest.approx([1800, 480])
    assert found.prices == pytest.approx([12])


def test_a_least_is_kept_at_the_cost_of_the_sum() -> None:
    sharing = one_resource([[0, 1800], [0, 600]], [[0, 60], [0, 50]], limit=50.0)
    assert best(sharing).contacts == pytest.approx([1500, 0])
    assert best(replace(sharing, least=np.array([0.0, 120.0]))).contacts == pytest.approx(
        [1200, 120]
    )


def test_a_week_of_200_campaigns_is_shared_better_than_equally() -> None:
    rng = np.random.default_rng(1)
    n, hours = 200, 168
    part = np.linspace(0, 1, 13)
    calls = rng.integers(5, 200, (n, 1)) * part
    is_open = rng.random((hours, n)) < 0.6
    sharing = Sharing(
        contacts=rng.uniform(5, 20, (n, 1)) * calls * (1.5 - 0.5 * part),
        takes=np.stack([calls, calls / 50], axis=2),
        least=np.zeros(n),
        is_open=np.vstack([is_open, is_open]),
        resource=np.repeat([0, 1], hours),
        limits=np.repeat([0.5, 0.012], hours) * calls[:, -1].sum(),
    )
    equal = solved(equal_shares(sharing))
    found = best(replace(sharing, least=equal.contacts / 2))
    assert found.contacts.sum() > 1.1 * equal.contacts.sum()
