"""Plots: what is drawn also stands as text, lies where its number says, and never outside its drawing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.renderers import html
from reconciler.renderers._plots import plots
from reconciler.report.plots import (
    At,
    Compared,
    Curve,
    HourRate,
    Measure,
    Range,
    RateDay,
    Rates,
    percent,
)
from tests.renderers.plotted import at, curve, plotted, rates

SHARES = st.floats(0, 1)
RANGES = st.lists(SHARES, min_size=3, max_size=3).map(lambda three: Range(*sorted(three)))
HOURS = st.dictionaries(st.integers(0, 23), RANGES, max_size=24)


def dots(output: str, style: str) -> list[tuple[float, float]]:
    """Return the dots of a style in a drawing (those of the legend have a viewBox of their own)."""
    drawing = output.partition("<ul")[0]
    return [
        (float(x), float(y))
        for x, y in re.findall(rf'class="dot {style}" d="M([0-9.]+) ([0-9.-]+)h0"', drawing)
    ]


@given(HOURS, st.sampled_from(range(24)))
def test_each_hour_has_a_bar_from_low_to_high_at_its_place_and_a_row_of_text(hours, binding):
    day = RateDay("Mon", tuple(HourRate(n, hours[n], 7, n == binding) for n in sorted(hours)))
    drawn = Rates("t", "s", (day,))
    output = plots([drawn])
    bars = re.findall(r"M(\d+) ([0-9.-]+)h6V([0-9.-]+)h-6z", output)
    assert {int(x) // 10: (float(high), float(low)) for x, high, low in bars} == {
        n: (
            pytest.approx(100 - 100 * each.high / drawn.top, abs=0.06),
            pytest.approx(100 - 100 * each.low / drawn.top, abs=0.06),
        )
        for n, each in hours.items()
    }
    assert all(0 <= float(high) <= float(low) <= 100 for _, high, low in bars)
    for n, each in hours.items():
        assert f"{n:02}:00" in output
        assert each.percent.replace("<", "&lt;") in output
    assert ('class="o"' in output) == (binding in hours)
    assert output.count(">binding</span>") == (binding in hours)


@given(SHARES, SHARES)
def test_a_percentage_has_two_digits_and_never_rounds_something_to_nothing(one, other):
    assert (percent(one) == "0 %") == (one == 0)
    if one < other:
        low, high = (float(percent(each).strip("<% ")) for each in (one, other))
        assert low <= high or min(one, other) < 0.0001


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (1e-9, "< 0.01 %"), (0.0021, "0.21 %"), (0.0213, "2.1 %"), (0.183, "18 %"), (1, "100 %")],
)  # fmt: skip
def test_percentages_as_people_write_them(share, said):
    assert percent(share) == said


@given(RANGES, RANGES, st.floats(0.01, 10), st.floats(0.01, 10), st.floats(0.001, 0.2))
def test_a_dot_lies_at_its_rate_and_its_abandonment_within_the_drawing(now, then, a, b, cap):
    first, second = sorted((a, b))
    drawn = Curve("t", (At(first, now), At(second, then)), cap, At(first, now), At(second, then))
    output = plots([drawn])
    ((x, y),) = dots(output, "n")
    assert x == pytest.approx(1000 * first / second, abs=0.06)
    assert y == pytest.approx(100 - 100 * now.mean / drawn.top, abs=0.06)
    assert dots(output, "p") == ([] if first == second else [(1000.0, pytest.approx(100 - 100 * then.mean / drawn.top, abs=0.06))])  # fmt: skip
    ((cap_y,),) = [re.findall(r'class="m" d="M0 ([0-9.]+)h1000"', output)]
    assert (y > float(cap_y)) == (now.mean < cap) or abs(now.mean - cap) < 0.001 * drawn.top
    assert f"cap: {percent(cap)}" in output


def test_the_worse_point_is_drawn_above_the_cap_and_the_better_below():
    ((_, now),) = dots(plots([curve()]), "n")
    ((_, proposed),) = dots(plots([curve()]), "p")
    (cap,) = re.findall(r'class="m" d="M0 ([0-9.]+)h1000"', plots([curve()]))
    assert now < float(cap) < proposed


def test_nothing_proposed_is_one_dot():
    one = curve()._replace(proposed=at(0.95))
    assert dots(plots([one]), "p") == []
    assert "proposed" not in plots([one])
    assert one.said.count("calls/s") == 1


@given(RANGES, st.none() | RANGES, st.none() | st.floats(0.01, 0.9))
def test_lanes_are_as_wide_as_their_intervals(before, after, limit):
    measure = Measure("Abandonment", before, after, limit)
    output = plots([Compared("t", (measure,))])
    lanes = re.findall(r'class="([ko])" d="M([0-9.]+) \d+h([0-9.]+)v24', output)
    assert [style for style, _, _ in lanes] == (["k", "o"] if after else ["k"])
    for each, (_, start, width) in zip(filter(None, (before, after)), lanes, strict=True):
        assert float(start) == pytest.approx(1000 * each.low / measure.top, abs=0.06)
        expected = 1000 * (each.high - each.low) / measure.top
        assert float(width) == pytest.approx(max(expected, 4), abs=0.2)
    assert ("not known" in output) == (after is None)
    assert output.count(">cap ") == (limit is not None)


def test_a_closed_day_is_a_drawing_without_bars():
    (day,) = [each for each in rates().days if not each.hours]
    output = plots([Rates("t", "s", (day,))])
    assert "<title>no open hour</title></svg>" in output
    assert "closed" in output


def test_a_report_with_plots_is_small():
    assert len(html.render(plotted()).encode()) < 60_000
