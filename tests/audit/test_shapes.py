"""Shapes of records: found by the last one, by a table, or anew, whichever thread asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.audit import shapes
from reconciler.audit.rules import COUNT, HASH, TEXT, Rule
from reconciler.audit.shapes import Checks, Shape

RULES: Mapping[str, Rule] = {"h": HASH, "n": COUNT, "text": TEXT}


def test_a_thread_that_asks_while_another_one_learns_a_shape_gets_that_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several threads read records. The second one asks at the moment at which the first has compared, and not yet learned."""
    good: dict[str, Any] = {"h": "0" * 64, "n": 1, "text": "x"}
    bad: dict[str, Any] = {"h": "0" * 64, "n": True, "text": "x"}
    checks = Checks(RULES)
    assert checks.shape(good).problem(good) is None
    others: list[Shape] = []

    class Interrupted(Shape):
        def __init__(self, rules: Mapping[str, Rule], types: Mapping[str, type]) -> None:
            monkeypatch.setattr(shapes, "Shape", Shape)
            others.append(checks.shape(bad))
            super().__init__(rules, types)

    monkeypatch.setattr(shapes, "Shape", Interrupted)
    for shape in (checks.shape(bad), *others, checks.shape(bad)):
        assert "must be a count" in str(shape.problem(bad))
    assert len(others) == 1
    assert checks.shape(good).problem(good) is None
