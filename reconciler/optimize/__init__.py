"""Optimisers: one strategy a module, one line in a dict."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.optimize import step
from reconciler.optimize.base import Strategy

STRATEGIES: Mapping[str, Strategy] = {step.NAME: step}
"""By the name that `--strategy` takes."""
