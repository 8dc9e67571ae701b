"""Plot a proposal: predictions before and after, answer rates by hour of week, and abandonment by dial rate in the binding hour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from reconciler.optimize import outlook
from reconciler.optimize.answer_rates import AnswerRates
from reconciler.optimize.base import CALLS, RATE, Prediction, Proposal, Subject
from reconciler.optimize.intervals import Interval
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.predictions import WEEKDAYS
from reconciler.optimize.wording import number
from reconciler.report.plots import (
    At,
    Compared,
    Curve,
    HourRate,
    Measure,
    Plot,
    Range,
    RateDay,
    Rates,
)

MOST_DRAWN: Final = 20
"""Proposals with plots on one page, in its order: with them a page stays below 1 MB."""

_POINTS: Final = 32
"""Points of a curve."""

_FROM, _TO = 0.4, 1.4
"""Where the points of a curve begin, as a part of the slower rate, and where they end, of the faster one. Below, hardly anybody is abandoned."""


def plots(proposal: Proposal, subject: Subject, rates: AnswerRates) -> tuple[Plot, ...]:
    """Return the plots of a proposal. What cannot be predicted, because agents or handle time are unknown, is not drawn.

    Args:
        proposal: the proposal.
        subject: its object.
        rates: the answer rates of the coming week, of this object among others.
    """
    return (
        *_compared(proposal, subject),
        _rates(proposal, subject, rates),
        *_curve(proposal, subject, rates),
    )


def _compared(proposal: Proposal, subject: Subject) -> Iterator[Compared]:
    if proposal.before is None and proposal.after is None:
        return

    def measure(name: str, of: Callable[[Prediction], Interval]) -> Measure:
        sides = [
            None if each is None else Range(*of(each)) for each in (proposal.before, proposal.after)
        ]
        return Measure(name, sides[0], sides[1])

    lost = measure("Abandoned", lambda side: side.abandonment)
    busy = measure("Utilisation", lambda side: side.utilisation)
    contacts = measure("Contacts an hour", lambda side: side.contacts_per_hour)
    yield Compared(
        "Predicted with 90 % intervals: in the binding hour; contacts over all open hours",
        (
            lost._replace(limit=subject.pacing.abandonment_cap),
            busy,
            contacts._replace(is_share=False),
        ),
    )


def _rates(proposal: Proposal, subject: Subject, rates: AnswerRates) -> Rates:
    binding = _binding(proposal.after)
    days = tuple(
        RateDay(
            name,
            tuple(
                _hour(subject.key, day, hour, rates, binding)
                for hour in sorted({each.hour for each in subject.open_hours if each.weekday == day})
            ),
        )
        for day, name in enumerate(WEEKDAYS)
    )  # fmt: skip
    said = "Bars are 90 % intervals, ticks are means."
    if binding is not None:
        said += f" The hour that binds the proposal is {WEEKDAYS[binding[0]]} {binding[1]:02}:00."
    return Rates(f"Answer rate by hour of week, on the clock of {subject.zone}", said, days)


def _hour(
    key: str, day: int, hour: int, rates: AnswerRates, binding: tuple[int, int] | None
) -> HourRate:
    rate = rates.of(key, day, hour)
    return HourRate(hour, Range(*rate.interval), rate.attempts, (day, hour) == binding)


def _binding(prediction: Prediction | None) -> tuple[int, int] | None:
    """Return the weekday and the hour of the binding hour."""
    if prediction is None or prediction.binding is None:
        return None
    return prediction.binding.weekday, prediction.binding.hour


def _curve(proposal: Proposal, subject: Subject, rates: AnswerRates) -> Iterator[Curve]:
    binding = _binding(proposal.after)
    hours = outlook.hours_of(subject, rates)
    found = [each for each in hours if (each.open.weekday, each.open.hour) == binding]
    if subject.dial_rate is None or not found:
        return
    hour = found[0]
    numbers = {each.field: float(each.proposed) for each in proposal.changes if each.field in {RATE, CALLS}}  # fmt: skip
    now, then = Setting.of(subject), Setting.of(subject, **numbers)
    first, last = (
        _FROM * min(now.dial_rate, then.dial_rate),
        _TO * max(now.dial_rate, then.dial_rate),
    )
    steps = [first + (last - first) * step / (_POINTS - 1) for step in range(_POINTS)]
    other = now.calls != then.calls
    yield Curve(
        f"Abandonment by dial rate on {WEEKDAYS[hour.open.weekday]} {hour.open.hour:02}:00, with {number(hour.agents)} agents, {number(hour.handle_time_s)} s a call{_calls(then, ', ')}; 90 % intervals",
        tuple(_point(hour, Setting(rate, then.calls)) for rate in steps),
        subject.pacing.abandonment_cap,
        _at(hour, now),
        _at(hour, then),
        tuple(_point(hour, Setting(rate, now.calls)) for rate in steps) if other else (),
        f"before, with{_calls(now)}" if other else "",
    )


def _calls(setting: Setting, comma: str = " ") -> str:
    """Return the concurrent calls of a setting in words; empty if they are not limited."""
    return "" if setting.calls == inf else f"{comma}{setting.calls:g} concurrent calls"


def _at(hour: Hour, setting: Setting) -> At:
    return At(setting.dial_rate, Range(*outlook.predict([hour], setting).abandonment))


def _point(hour: Hour, setting: Setting) -> At:
    """Return a point of the curve: like a prediction, but at the middle answer rate instead of the mean over all, which takes five times as long."""
    shares = (outlook.usual(hour, setting, each).abandonment for each in (outlook.LOW, 0.5, outlook.HIGH))  # fmt: skip
    return At(setting.dial_rate, Range(*shares))
