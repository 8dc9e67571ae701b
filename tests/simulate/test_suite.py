"""The published suite: a cut of it in the gate, all of it on request."""

from __future__ import annotations

import time

import pytest

from reconciler.commands.simulate import SEEDS, SimulateRequest, simulate
from reconciler.renderers import text
from reconciler.simulate.scenarios import SCENARIOS


def test_the_bars_hold_in_a_cut_of_the_suite() -> None:
    """A team that lines pace, and one whose machine detector is wrong."""
    report = simulate(SimulateRequest(("agents-20", "machine-detection"), 1, processes=1))
    assert report.exit_code == 0, text.render(report)
    assert [bar["holds"] for bar in report.data["bars"]] == [True, True, True, True, None]


@pytest.mark.long
def test_the_bars_hold_in_the_whole_suite_within_ten_minutes() -> None:
    began = time.monotonic()
    report = simulate(SimulateRequest())
    print(text.render(report))
    print(f"{len(SCENARIOS)} scenarios, {SEEDS} seeds: {time.monotonic() - began:.0f} s")
    assert report.exit_code == 0
    assert time.monotonic() - began < 600
