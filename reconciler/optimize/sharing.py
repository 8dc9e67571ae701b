"""Share limits between campaigns: the linear program of `allocate`, over arrays.

    maximise    sum of contacts_i(r_i)            contacts_i concave and piecewise linear
    subject to  sum of use_ti r_i <= limit_t      for each limit t, such as one hour's calls in progress
                least_i <= r_i <= top_i           for each campaign i

A concave curve becomes one variable for each of its segments: a steeper segment comes first, so the solver fills them in
order. HiGHS solves it (Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5), through `scipy.optimize.linprog`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import block_array, csr_array, identity, kron

Floats: TypeAlias = NDArray[np.float64]

TIME_LIMIT_S: Final = 30.0
"""After this the solver gives up. 200 campaigns and a week take a small part of a second."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """n campaigns that share m limits. Dial rates are in calls per second.

    Attributes:
        rates: (n, k + 1) dial rates at which each campaign's curve is known: from 0 up to the highest lawful rate, not falling.
        contacts: (n, k + 1) expected contacts at those rates: 0 at 0, not falling, concave.
        least: (n,) lowest rate of each campaign, between 0 and its highest.
        use: (m, n) what a campaign takes of a limit for each call per second; not negative, 0 where the campaign is closed.
        limits: (m,) what there is of each limit.
    """

    rates: Floats
    contacts: Floats
    least: Floats
    use: Floats
    limits: Floats

    @property
    def top(self) -> Floats:
        """Highest rate of each campaign, (n,)."""
        return self.rates[:, -1]

    def expected(self, rates: Floats) -> Floats:
        """Return the contacts of each campaign at the given rates, (n,)."""
        curves = zip(rates, self.rates, self.contacts, strict=True)
        return np.array([np.interp(*curve) for curve in curves], dtype=float)


@dataclass(frozen=True, slots=True)
class Shares:
    """An optimal answer.

    Attributes:
        rates: (n,) dial rates, within all limits.
        contacts: expected contacts of all campaigns together.
        prices: (m,) the duals: contacts gained for each unit by which this limit, and every limit with the same use and the
            same amount, is raised. 0 for a limit that does not bind.
        alike: (m,) the number of the group of equal limits to which a limit belongs.
    """

    rates: Floats
    contacts: float
    prices: Floats
    alike: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Unsolved:
    """No answer: what the solver said, and whether the limits leave no answer at all."""

    reason: str
    infeasible: bool


def solve(sharing: Sharing) -> Shares | Unsolved:
    """Return the rates that give the most contacts.

    Campaigns whose figures are all equal get equal rates. The rates do not depend on the order of the limits beyond
    rounding errors, nor on the order of campaigns where one answer alone is the best.
    """
    if not len(sharing.least):
        nothing = np.zeros(len(sharing.limits))
        return Shares(np.zeros(0), 0.0, nothing, nothing.astype(np.intp))
    # Equal limits have one dual together: two of them would share it in any way.
    rows, alike = np.unique(
        np.column_stack([sharing.limits, sharing.use]), axis=0, return_inverse=True
    )
    widths = np.diff(sharing.rates)
    slopes = _slopes(sharing, widths)
    scale = float(slopes.max()) or 1.0
    found = linprog(  # type: ignore[call-overload] # its stubs know dense matrices only
        np.concatenate([np.zeros(len(sharing.least)), -slopes.ravel() / scale]),
        A_ub=_padded(rows[:, 1:], slopes.size),
        b_ub=rows[:, 0],
        A_eq=_sums(*slopes.shape),
        b_eq=np.zeros(len(sharing.least)),
        bounds=_bounds(sharing, widths),
        method="highs",
        options={"time_limit": TIME_LIMIT_S},
    )
    if found.status != 0:
        return Unsolved(str(found.message), infeasible=found.status == 2)  # noqa: PLR2004 - SciPy's number for it
    rates = _within(sharing, _even(sharing, found.x[: len(sharing.least)]))
    prices = np.maximum(0.0, -found.ineqlin.marginals) * scale
    alike = alike.reshape(-1)
    return Shares(rates, float(sharing.expected(rates).sum()), prices[alike], alike)


def worth(sharing: Sharing, raised: Floats) -> float:
    """Return the contacts that are gained when each limit is raised by an amount, (m,).

    A dual holds for a small amount only: until another limit binds. This solves both programs.
    """
    before, after = solve(sharing), solve(replace(sharing, limits=sharing.limits + raised))
    if isinstance(before, Unsolved) or isinstance(after, Unsolved):
        return 0.0
    return max(0.0, after.contacts - before.contacts)


def equal_shares(sharing: Sharing) -> Floats:
    """Return the rates when each limit is divided equally among the campaigns that use it, (n,). What one leaves is lost."""
    using = (sharing.use > 0).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        most: Floats = sharing.limits[:, None] / (using * sharing.use)
    most[sharing.use <= 0] = np.inf
    lowest: Floats = most.min(axis=0, initial=np.inf)
    return np.minimum(sharing.top, lowest)


def _slopes(sharing: Sharing, widths: Floats) -> Floats:
    """Return contacts for each call per second in each segment, (n, k); never rising, against rounding errors."""
    rises = np.diff(sharing.contacts)
    slopes = np.divide(rises, widths, out=np.zeros_like(rises), where=widths > 0)
    slopes[widths <= 0] = np.inf
    slopes = np.minimum.accumulate(slopes, axis=1)
    slopes[np.isinf(slopes)] = 0.0
    return np.maximum(slopes, 0.0)


def _bounds(sharing: Sharing, widths: Floats) -> Floats:
    """Return lowest and highest value of each variable: the rates, then the segments, campaign by campaign."""
    filled = np.clip(sharing.least[:, None] - sharing.rates[:, :-1], 0.0, widths)
    lower = np.concatenate([sharing.least, filled.ravel()])
    return np.column_stack([lower, np.concatenate([sharing.top, widths.ravel()])])


def _padded(use: Floats, segments: int) -> csr_array:
    """Return the limits' coefficients for all variables: segments take nothing themselves."""
    empty = csr_array((len(use), segments))
    return csr_array(block_array([[csr_array(use), empty]]))


def _sums(campaigns: int, segments: int) -> csr_array:
    """Return the coefficients of: each rate is the sum of its segments."""
    each = identity(campaigns, format="csr")
    return csr_array(block_array([[-each, kron(each, np.ones((1, segments)))]]))


def _even(sharing: Sharing, rates: Floats) -> Floats:
    """Return the rates with those of equal campaigns replaced by their mean, which is as good and takes as much."""
    figures = np.column_stack([sharing.rates, sharing.contacts, sharing.least, sharing.use.T])
    _, group = np.unique(figures, axis=0, return_inverse=True)
    group = group.reshape(-1)
    means: Floats = np.bincount(group, weights=rates) / np.bincount(group)
    return means[group]


def _within(sharing: Sharing, rates: Floats) -> Floats:
    """Return the rates without the solver's tolerance: what is above a limit is taken from all that use the limits."""
    rates = np.clip(rates, sharing.least, sharing.top)
    room = sharing.limits - sharing.use @ sharing.least
    taken = sharing.use @ (rates - sharing.least)
    over = taken > room
    part = float((np.maximum(room[over], 0.0) / taken[over]).min(initial=1.0))
    return sharing.least + (rates - sharing.least) * part
