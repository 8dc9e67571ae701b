"""Share limits between campaigns: the linear program of `allocate`, over arrays.

Each campaign has operating points: what it takes of each resource there, and the contacts that it reaches. Between points it
takes and reaches their mean, so where contacts are concave in what is taken, this is the usual piecewise linear form:

    maximise    sum of contacts_ij x_ij
    subject to  sum of takes_ij x_ij over the open campaigns <= limit_t     for each limit t, such as one hour's calls
                sum over j of contacts_ij x_ij >= least_i                   for each campaign i
                sum over j of x_ij = 1, x_ij >= 0

HiGHS solves it (Huangfu and Hall 2018, doi:10.1007/s12532-017-0130-5), through `scipy.optimize.linprog`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import block_diag, csr_array, eye_array, hstack, vstack

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]

TIME_LIMIT_S: Final = 30.0
"""After this the solver gives up. 200 campaigns and a week take a small part of a second."""

_SLACK: Final = 1e-9
"""Part of a campaign's least contacts that rounding errors may cost."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """n campaigns with k operating points each, which share f resources within m limits.

    Attributes:
        contacts: (n, k) contacts at each point.
        takes: (n, k, f) what each point takes of each resource; not negative.
        least: (n,) contacts that each campaign keeps.
        is_open: (m, n) whether a campaign takes of what a limit is for.
        resource: (m,) the resource that is limited.
        limits: (m,) what there is of it.
    """

    contacts: Floats
    takes: Floats
    least: Floats
    is_open: NDArray[np.bool_]
    resource: Integers
    limits: Floats


@dataclass(frozen=True, slots=True)
class Shares:
    """An optimal answer.

    Attributes:
        amounts: (n, f) what each campaign takes of each resource.
        contacts: (n,) contacts that each campaign reaches.
        prices: (m,) the duals: contacts gained for each unit by which this limit, and every limit that is equal to it, is raised.
            0 for a limit that does not bind.
        alike: (m,) the number of the group of equal limits to which a limit belongs.
    """

    amounts: Floats
    contacts: Floats
    prices: Floats
    alike: Integers


@dataclass(frozen=True, slots=True)
class Unsolved:
    """No answer: what the solver said, and whether the limits leave no answer at all."""

    reason: str
    is_infeasible: bool


def solve(sharing: Sharing) -> Shares | Unsolved:
    """Return what gives the most contacts.

    Campaigns whose figures are all equal get equal amounts. The order of the limits changes the amounts by no more than rounding
    errors, nor does that of the campaigns where one answer alone is the best.
    """
    campaigns, points = sharing.contacts.shape
    # Equal limits have one dual together: two of them would share it in any way.
    keys = np.column_stack([sharing.resource, sharing.limits, sharing.is_open])
    _, first, alike = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    alike = alike.reshape(-1)
    scale = float(sharing.contacts.max(initial=0.0)) or 1.0
    worths = sharing.contacts / scale
    floors = np.maximum(sharing.least * (1 - _SLACK), 0.0) / scale
    resources = sharing.takes.shape[2]
    amounts = campaigns * resources  # the variables are the amounts, then the weights of the points
    found = linprog(  # type: ignore[call-overload] # its stubs know dense matrices only
        np.concatenate([np.zeros(amounts), -worths.ravel()]),
        A_ub=block_diag([_taken(sharing, first), -_by_campaign(worths)], format="csr"),
        b_ub=np.concatenate([sharing.limits[first], -floors]),
        A_eq=_means(sharing.takes),
        b_eq=np.concatenate([np.zeros(amounts), np.ones(campaigns)]),
        bounds=(0, None),
        method="highs",
        options={"time_limit": TIME_LIMIT_S},
    )
    if found.status != 0:
        return Unsolved(str(found.message), is_infeasible=found.status == 2)  # noqa: PLR2004 - SciPy's number for it
    weights = np.maximum(found.x[amounts:].reshape(campaigns, points), 0.0)
    weights /= weights.sum(axis=1, keepdims=True)
    both = np.concatenate([sharing.takes, sharing.contacts[:, :, None]], axis=2)
    means = _even(sharing, np.einsum("ij,ijf->if", weights, both))
    prices = np.maximum(0.0, -found.ineqlin.marginals[: len(first)]) * scale
    return Shares(means[:, :-1], means[:, -1], prices[alike], alike)


def equal_shares(sharing: Sharing) -> Shares | Unsolved:
    """Return what gives the most contacts when each limit is divided equally among the open campaigns.

    What one campaign leaves of its share is lost.
    """
    campaigns, resources = len(sharing.least), sharing.takes.shape[2]
    share = np.full((resources, campaigns), sharing.takes.max())  # where nothing is limited
    for row, resource, limit in zip(
        sharing.is_open, sharing.resource.tolist(), sharing.limits.tolist(), strict=True
    ):
        if row.any():
            share[resource, row] = np.minimum(share[resource, row], limit / row.sum())
    own = replace(
        sharing,
        least=np.zeros(campaigns),
        is_open=np.tile(np.eye(campaigns, dtype=bool), (resources, 1)),
        resource=np.repeat(np.arange(resources), campaigns),
        limits=share.ravel(),
    )
    return solve(own)


def _taken(sharing: Sharing, rows: Integers) -> csr_array:
    """Return the coefficients of the amounts, resource by resource, in some limits."""
    parts = [
        sharing.is_open[rows] * (sharing.resource[rows] == resource)[:, None]
        for resource in range(sharing.takes.shape[2])
    ]
    return csr_array(np.hstack(parts).astype(float))


def _means(takes: Floats) -> csr_array:
    """Return the coefficients of: each amount is the mean of what the points take, and the weights of a campaign are 1 together."""
    campaigns, points, resources = takes.shape
    amounts = campaigns * resources
    weights = [_by_campaign(takes[:, :, resource]) for resource in range(resources)]
    weights.append(_by_campaign(np.ones((campaigns, points))))
    of_amounts = -eye_array(amounts + campaigns, amounts)
    return csr_array(hstack([of_amounts, vstack(weights)], format="csr"))


def _by_campaign(values: Floats) -> csr_array:
    """Return coefficients of the weights with a row for each campaign, in which only its own count."""
    return csr_array(block_diag(values[:, None, :], format="csr"))


def _even(sharing: Sharing, amounts: Floats) -> Floats:
    """Return amounts by campaign, with those of equal campaigns replaced by their mean, which is as good and takes as much."""
    campaigns = len(amounts)
    figures = np.column_stack(
        [
            sharing.contacts,
            sharing.takes.reshape(campaigns, -1),
            sharing.least,
            sharing.is_open.T,
        ]
    )
    _, group = np.unique(figures, axis=0, return_inverse=True)
    group = group.reshape(-1)
    sums = np.zeros((group.max() + 1, amounts.shape[1]))
    np.add.at(sums, group, amounts)
    means: Floats = sums / np.bincount(group)[:, None]
    return means[group]
