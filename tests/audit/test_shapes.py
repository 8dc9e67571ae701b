"""Shapes of records: found by the last one, by a table, or anew, whichever thread asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.audit import shapes
from reconciler.audit.records import stamp
from reconciler.audit.rules import COUNT, HASH, TEXT, Rule, are_stamps, is_instant
from reconciler.audit.shapes import Checks, Shape

RULES: Mapping[str, Rule] = {"h": HASH, "n": COUNT, "text": TEXT}


STAMPS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
    datetime(8999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(stamp)

WRONG = st.sampled_from(
    (
        *("1969-12-31T23:59:59.999Z", "9000-01-01T00:00:00.000Z", "2027-02-30T00:00:00.000Z"),
        *("2027-01-11T24:00:00.000Z", "2027-01-11T14:60:00.000Z", "2027-01-11T14:00:00.000z"),
        *(
            "\uff12027-01-11T14:00:00.000Z",
            "\ud800027-01-11T14:00:00.000Z",
            "2027-01-11 14:00:00.000Z",
            "2027-01-11T14:00:00,000Z",
            "0Z",
        ),
    )
)
"""No instants, or none that a record may hold."""


@given(st.lists(STAMPS))
def test_stamps_that_are_checked_together_are_instants(texts: list[str]) -> None:
    assert are_stamps(texts)
    assert all(map(is_instant, texts))


@given(st.lists(STAMPS), WRONG, st.data())
@example([], "2027-01-11T24:00:00.000Z", None)
def test_one_wrong_instant_is_found_among_stamps(
    texts: list[str], wrong: str, data: st.DataObject | None
) -> None:
    at = data.draw(st.integers(0, len(texts))) if data else 0
    assert not is_instant(wrong)
    assert not are_stamps([*texts[:at], wrong, *texts[at:]])


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
