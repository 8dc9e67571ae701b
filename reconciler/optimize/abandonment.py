"""Estimate the abandoned share from observed abandons, without a model of agents.

With A of L live answers abandoned, the share has the distribution Beta(0.5 + A, 0.5 + L - A). This is Jeffreys' prior, which gives a valid
interval even when no call was abandoned yet. Answers of hours whose abandoned calls are unknown do not count. Source of its use as an
alarm: the abandonment budget of the reference (B4).
"""

from __future__ import annotations

from reconciler.optimize.base import Evidence
from reconciler.optimize.intervals import Interval


def interval(evidence: Evidence) -> Interval:
    """Return the share of the answers that is abandoned, with its 90 % interval."""
    mean = (evidence.abandons + 0.5) / (evidence.counted + 1)
    return Interval(quantile(evidence, 0.05), mean, quantile(evidence, 0.95))


def quantile(evidence: Evidence, probability: float) -> float:
    """Return the share below which the true one lies with a probability."""
    from scipy.special import betaincinv  # noqa: PLC0415 - SciPy takes half a second to import

    return float(betaincinv(*_shape(evidence), probability))


def passes(evidence: Evidence, cap: float) -> float:
    """Return the probability that the share is above a cap."""
    from scipy.special import betaincc  # noqa: PLC0415 - same

    return float(betaincc(*_shape(evidence), cap))


def _shape(evidence: Evidence) -> tuple[float, float]:
    return 0.5 + evidence.abandons, 0.5 + evidence.counted - evidence.abandons
