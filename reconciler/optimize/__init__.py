"""Optimization strategies: one module each, listed in `STRATEGIES`."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.optimize import step
from reconciler.optimize.base import Strategy

STRATEGIES: Mapping[str, Strategy] = {step.NAME: step}
"""Strategies by the name for `--strategy`."""
