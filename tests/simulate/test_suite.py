"""The published suite: a cut of it in the gate, all of it on request."""

from __future__ import annotations

import pytest

from reconciler.commands.simulate import SimulateRequest, simulate
from reconciler.renderers import text


def test_the_bars_hold_in_a_cut_of_the_suite() -> None:
    """A team that lines pace, and one whose machine detector is wrong."""
    report = simulate(SimulateRequest(("agents-20", "machine-detection"), 1, processes=1))
    assert report.exit_code == 0, text.render(report)
    assert [bar["holds"] for bar in report.data["bars"]] == [True, True, True, True, None]


@pytest.mark.long
def test_the_bars_hold_in_the_whole_suite() -> None:
    report = simulate(SimulateRequest())
    assert report.exit_code == 0, text.render(report)
