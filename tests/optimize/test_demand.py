"""What a campaign reaches with a part of its concurrent calls, or of its dial rate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.optimize import outlook
from reconciler.optimize.answer_rates import AnswerRate
from reconciler.optimize.base import CALLS, RATE, OpenHour
from reconciler.optimize.demand import LEAST, SOONER, Demand, Limit, program
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.prices import prices
from reconciler.optimize.sharing import Shares, solve
from reconciler.pacing import queueing

NOW = datetime(2027, 3, 1, 14, tzinfo=UTC)
FEW = settings(max_examples=8)


def demand(
    agents: int = 20,
    answers: float = 0.25,
    handle_time_s: float = 180.0,
    hours: int = 3,
    **more,
) -> Demand:
    """Return a campaign with the same answer rate at all of its hours, and the dial rate that abandons 2 %."""
    rate = queueing.highest_live_rate(agents, handle_time_s, 0.02) / answers
    lines = queueing.mean_lines(rate, answers, handle_time_s, abandonment=0)
    each = tuple(
        Hour(
            OpenHour(NOW + timedelta(hours=n), 1.0, 0, 9 + n),
            float(agents),
            handle_time_s,
            0.15 * handle_time_s,
            AnswerRate(log(answers / (1 - answers)), 0.001),
        )
        for n in range(hours)
    )
    return Demand(Setting(rate, queueing.concurrent_calls(lines)), each, **more)


DEMANDS = st.builds(
    demand,
    agents=st.integers(1, 100),
    answers=st.floats(0.02, 0.8),
    handle_time_s=st.floats(20, 900),
    hours=st.integers(1, 9),
    list_size=st.floats(1, 100_000) | st.just(float("inf")),
    value=st.floats(0.1, 100),
    weeks=st.integers(1, 4),
)


def test_with_all_calls_that_it_needs_a_campaign_reaches_what_its_queue_serves() -> None:
    one = demand()
    live = one.best.dial_rate * 0.25
    served = 1 - queueing.abandonment_queue(20, live, 180).abandonment
    assert one.contacts(one.best) == pytest.approx(3 * 3600 * live * served, rel=1e-3)


def test_with_few_calls_a_campaign_reaches_less_than_its_lines_can_carry() -> None:
    """A line that is always in use takes 0.25 x (10 s + 180 s) + 0.75 x 18 s for each attempt, less the wrap-up of 27 s."""
    one = demand(hours=1)
    reached = one.contacts(one.best._replace(calls=10))
    most = 10 * 3600 * 0.25 / (0.25 * (10 + 180 - 27) + 0.75 * 18)
    assert 0.8 * most < reached < 1.05 * most


def test_a_part_of_an_hour_counts_as_a_part_and_a_week_as_one_of_several() -> None:
    one = demand(hours=1)
    [hour] = one.hours
    half = replace(one, hours=(replace(hour, open=replace(hour.open, share=0.5)),), weeks=2)
    assert half.contacts(one.best) == pytest.approx(one.contacts(one.best) / 4)


def test_the_contacts_of_a_week_are_the_sum_of_its_hours() -> None:
    one = demand(value=3.0)
    fewer = one.best._replace(calls=12)
    assert one.by_hour(fewer).sum() == pytest.approx(one.contacts(fewer))
    flow = outlook.flow(one.hours[0], fewer, one.hours[0].rate.mean)
    assert one.by_hour(fewer)[0] == pytest.approx(3 * flow.utilisation * 20 * 3600 / 180)


@FEW
@given(DEMANDS)
def test_more_calls_reach_more_and_ever_less_more(one) -> None:
    points = one.points([CALLS])
    assert all(rate == one.best.dial_rate for _, rate, _ in points)
    assert points[0][0] == 1
    assert points[-1][0] == one.best.calls
    close = 0.03 * points[-1][2]  # two formulas meet where the calls begin to suffice
    for a, b in pairwise(points):
        assert b[2] >= a[2] - close
    whole = points[-1][2] - points[0][2]
    for calls, _, contacts in points:  # above its chord: concave
        part = (calls - points[0][0]) / max(points[-1][0] - points[0][0], 1)
        assert contacts >= points[0][2] + part * whole - close


@FEW
@given(DEMANDS)
def test_a_faster_rate_reaches_more_with_the_same_calls(one) -> None:
    points = one.points([RATE])
    assert points[-1][:2] == (one.best.calls, one.best.dial_rate)
    for a, b in pairwise(points):
        assert a[0] == b[0]
        assert a[1] < b[1]
        assert a[2] <= b[2] * (1 + 1e-9)


@FEW
@given(DEMANDS)
def test_no_list_gives_more_contacts_than_it_has(one) -> None:
    endless = replace(one, list_size=float("inf")).contacts(one.best)
    reached = one.contacts(one.best)
    assert reached * one.weeks <= one.list_size * one.value * (1 + 1e-9)
    assert one.points([CALLS])[-1][2] == pytest.approx(reached + SOONER * (endless - reached))


def test_calls_that_only_end_a_list_sooner_go_to_others() -> None:
    """Both could use 100 calls or so. The list of the first ends with a few of them."""
    ends, lasts = demand(60, list_size=300), demand(60)
    amounts, contacts = divided([ends, lasts], CALLS, 100)
    assert contacts[0] == pytest.approx(300, rel=0.02)
    assert amounts[1][0] > 80


def divided(demands: list[Demand], resource: str, amount: float):
    """Return the amounts and the contacts of campaigns that share one limit at all hours."""
    starts = sorted({start for each in demands for start in each.starts})
    found = program(demands, [Limit(start, resource, amount) for start in starts])
    assert found is not None
    shares = solve(found[0])
    assert isinstance(shares, Shares)
    return shares.amounts.tolist(), shares.contacts.tolist()


@FEW
@given(st.lists(DEMANDS, min_size=1, max_size=4), st.floats(4, 500), st.floats(0.05, 10))
def test_every_program_has_an_answer_with_each_campaign_at_its_least(demands, calls, rate) -> None:
    demands = [replace(each, weeks=1) for each in demands]
    starts = sorted({start for each in demands for start in each.starts})
    limits = [limit for at in starts for limit in (Limit(at, CALLS, calls), Limit(at, RATE, rate))]
    found = program(demands, limits)
    if found is None:
        assert rate / len(demands) < max(each.best.dial_rate for each in demands) / 1000 * 1.01
        return
    sharing, equal = found
    shares = solve(sharing)
    assert isinstance(shares, Shares)
    assert shares.contacts.sum() >= equal.contacts.sum() * (1 - 1e-6)
    assert (shares.contacts >= LEAST * equal.contacts * (1 - 1e-6) - 1e-6).all()
    for start in starts:
        is_open = np.array([start in each.starts for each in demands])
        assert (is_open @ shares.amounts <= np.array([calls, rate]) * (1 + 1e-6)).all()


def test_a_share_below_one_call_is_no_share() -> None:
    one = demand()
    assert program([one, one], [Limit(NOW, CALLS, 1.5)]) is None


def test_a_campaign_takes_nothing_while_it_is_closed() -> None:
    early = demand()
    late = tuple(
        replace(each, open=replace(each.open, start=each.open.start + timedelta(hours=2)))
        for each in early.hours
    )
    limits = [Limit(NOW + timedelta(hours=n), CALLS, 50) for n in range(5)]
    found = program([early, replace(early, hours=late)], limits)
    assert found is not None
    assert found[0].is_open.T.tolist() == [[True] * 3 + [False] * 2, [False] * 2 + [True] * 3]


@FEW
@given(st.lists(DEMANDS, min_size=1, max_size=3), st.floats(5, 100), st.sampled_from([CALLS, RATE]))
def test_a_price_is_what_one_more_gains_and_no_more_than_the_duals(demands, amount, resource):
    demands = [replace(each, weeks=2) for each in demands]
    amount = amount / 50 if resource == RATE else amount
    starts = sorted({start for each in demands for start in each.starts})
    limits = [Limit(start, resource, amount) for start in starts]
    found = program(demands, limits)
    assert found is not None
    sharing, _ = found
    shares = solve(sharing)
    assert isinstance(shares, Shares)
    after = solve(replace(sharing, limits=sharing.limits + 1))
    assert isinstance(after, Shares)
    gained = after.contacts.sum() - shares.contacts.sum()
    close = 1e-6 * (1 + shares.contacts.sum())
    for price in prices(demands, limits, sharing, shares):
        assert price.resource == resource
        assert price.a_week == pytest.approx(gained, abs=close)
        groups = np.unique(shares.alike, return_index=True)[1]
        assert price.a_week <= shares.prices[groups].sum() + close
        assert sum(price.by_hour.values()) / 2 <= price.a_week * (1 + 1e-6) + close


def test_an_hour_has_its_part_of_the_price() -> None:
    """All of three hours are alike and short, and there is one week: each has a third."""
    one = demand()
    limits = [Limit(start, CALLS, 20) for start in sorted(one.starts)]
    found = program([one], limits)
    assert found is not None
    shares = solve(found[0])
    assert isinstance(shares, Shares)
    [price] = prices([one], limits, found[0], shares)
    assert list(price.by_hour.values()) == pytest.approx([price.a_week / 3] * 3)
    assert price.by_hour[NOW] == pytest.approx(contacts_of_one_more(one, 20), rel=0.2)


def contacts_of_one_more(one: Demand, calls: int) -> float:
    """Return what one more call brings in an hour, without a program."""
    more, fewer = (one.contacts(one.best._replace(calls=each)) for each in (calls + 1, calls))
    return (more - fewer) / 3


def test_no_price_where_nothing_is_short() -> None:
    one = demand()
    limits = [Limit(NOW, CALLS, 500)]
    found = program([one], limits)
    assert found is not None
    shares = solve(found[0])
    assert isinstance(shares, Shares)
    assert prices([one], limits, found[0], shares) == []
