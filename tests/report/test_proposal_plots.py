"""The plots of a proposal: every open hour once, the binding one marked, and both rates where the prediction puts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.models import Pacing
from reconciler.optimize import outlook
from reconciler.optimize.answer_rates import AnswerRate, AnswerRates
from reconciler.optimize.base import Change, Evidence, OpenHour, Proposal, Subject
from reconciler.renderers import html
from reconciler.report.plots import Compared, Curve, Plot, Rates
from reconciler.report.proposal_plots import plots
from tests.renderers.plotted import plotted, row
from tests.support.bodies import make_body

MONDAY = datetime(2027, 3, 1, tzinfo=UTC)
HOURS = tuple(
    OpenHour(MONDAY + timedelta(days=day, hours=hour), 1.0, day, hour)
    for day in range(5)
    for hour in range(9, 20)
)
RATES = AnswerRates(
    {"1001": tuple(AnswerRate(-1.6 + number / 400, 0.15, 0.05, number) for number in range(168))}
)


def subject(hours: tuple[OpenHour, ...] = HOURS, **pacing: Any) -> Subject:
    known = {"agents": 45, "handle_time_s": 180.0} | pacing
    spec = make_body(campaign_id="1001", dial_rate=1.2, max_concurrent_calls=500)
    return Subject("1001", "spring", spec=spec, pacing=Pacing(**known), open_hours=hours)


def proposal(rate: float, one: Subject, *changes: Change) -> Proposal:
    """Return a proposal with its predictions."""
    hours = outlook.hours_of(one, RATES)
    settings = (outlook.Setting(each, 500) for each in (1.2, rate))
    sides = [outlook.predict(hours, each) if hours else None for each in settings]
    made = changes or (Change("dial_rate", 1.2, rate),)
    return Proposal("1001", "spring", made, "why", Evidence(1, 1), sides[0], sides[1])


def of(drawn: tuple[Plot, ...], kind: type) -> Any:
    (found,) = [each for each in drawn if isinstance(each, kind)]
    return found


@settings(max_examples=25)
@given(st.floats(0.05, 3).map(lambda rate: round(rate, 3)))
def test_both_points_lie_where_the_prediction_puts_them(rate: float) -> None:
    one = subject()
    made = proposal(rate, one)
    drawn = plots(made, one, RATES)
    curve, compared = of(drawn, Curve), of(drawn, Compared)
    assert (curve.now.rate, curve.proposed.rate, curve.cap) == (1.2, rate, 0.03)
    assert made.after is not None
    assert curve.proposed.abandonment == pytest.approx(tuple(made.after.abandonment))
    assert compared.measures[0].after == tuple(made.after.abandonment)
    assert compared.measures[0].limit == 0.03
    rates = [each.rate for each in curve.points]
    lost = [each.abandonment.mean for each in curve.points]
    assert rates == sorted(rates)
    assert rates[-1] > max(1.2, rate)
    assert lost == sorted(lost)
    assert all(each.abandonment.low <= each.abandonment.mean <= each.abandonment.high for each in curve.points)  # fmt: skip


@settings(max_examples=25)
@given(st.sets(st.sampled_from(HOURS), min_size=1))
def test_every_open_hour_stands_once_at_its_day_and_the_binding_one_is_marked(hours) -> None:
    one = subject(tuple(sorted(hours, key=lambda each: each.start)))
    made = proposal(1.0, one)
    days = of(plots(made, one, RATES), Rates).days
    assert [day.name for day in days] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    shown = [(number, hour) for number, day in enumerate(days) for hour in day.hours]
    assert [(number, hour.hour) for number, hour in shown] == sorted((each.weekday, each.hour) for each in hours)  # fmt: skip
    assert all(hour.attempts == number * 24 + hour.hour for number, hour in shown)
    assert made.after is not None
    assert made.after.binding is not None
    assert [(number, hour.hour) for number, hour in shown if hour.binding] == [
        (made.after.binding.weekday, made.after.binding.hour)
    ]


def test_unknown_agents_leave_the_answer_rates() -> None:
    one = subject(agents=None)
    drawn = plots(proposal(1.0, one), one, RATES)
    assert [type(each) for each in drawn] == [Rates]
    assert not any(hour.binding for day in drawn[0].days for hour in day.hours)


def test_other_concurrent_calls_draw_a_curve_of_their_own() -> None:
    one = subject()
    curve = of(plots(proposal(1.2, one), one, RATES), Curve)
    assert (curve.earlier, curve.note) == ((), "")
    made = proposal(1.2, one, Change("max_concurrent_calls", 500, 40))
    curve = of(plots(made, one, RATES), Curve)
    assert curve.now.rate == curve.proposed.rate == 1.2
    assert curve.note == "before, with 500 concurrent calls"
    assert ", 40 concurrent calls;" in curve.title
    pairs = zip(curve.earlier, curve.points, strict=True)
    assert all(then.abandonment.mean <= was.abandonment.mean + 1e-12 for was, then in pairs)
    assert curve.proposed.abandonment.mean < curve.now.abandonment.mean


def test_twenty_proposals_with_every_hour_of_the_week_stay_below_a_megabyte() -> None:
    one = subject(tuple(OpenHour(MONDAY + timedelta(hours=number), 1.0, *divmod(number, 24)) for number in range(168)))  # fmt: skip
    drawn = plots(proposal(1.0, one), one, RATES)
    rows = tuple(row("spring", "loosen")._replace(plots=drawn) for _ in range(20))
    table, *_ = plotted().tables
    page = html.render(plotted()._replace(tables=(table._replace(rows=rows),)))
    assert len(page.encode()) < 1_000_000
