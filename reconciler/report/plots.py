"""Plots of a proposal, as plain data: answer rates by hour of week, abandonment by dial rate, predictions before and after.

They hold numbers and words, so a renderer draws them without a model. Shares are 0 to 1. Formats that draw nothing leave them out: the
tables of the report say the same.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

PERCENT, TENTH, HUNDREDTH = 0.1, 0.01, 0.0001
"""Shares from which no, one and two decimals of a percentage are shown; below the last, a share is shown as less than 0.01 %."""


def percent(share: float) -> str:
    """Return a share as a percentage with two significant digits.

    >>> percent(0.183), percent(0.0213), percent(0.0021), percent(0)
    ('18 %', '2.1 %', '0.21 %', '0 %')
    """
    if not share:
        return "0 %"
    return f"{100 * share:.{_decimals(share)}f} %" if share >= HUNDREDTH else "< 0.01 %"


def _decimals(share: float) -> int:
    return 0 if share >= PERCENT else 1 if share >= TENTH else 2


class Range(NamedTuple):
    """A value with its 90 % interval."""

    low: float
    mean: float
    high: float

    @property
    def percent(self) -> str:
        """A range of shares in words, with the decimals that suit its high end: ``0.7 % (0.0 to 2.8 %)``."""
        if self.high < HUNDREDTH:
            return percent(self.high)
        low, mean, high = (f"{100 * each:.{_decimals(self.high)}f}" for each in self)
        return f"{mean} % ({low} to {high} %)"

    @property
    def number(self) -> str:
        """A range of counts in words: ``1,310 (1,280 to 1,340)``."""
        return f"{self.mean:,.0f} ({self.low:,.0f} to {self.high:,.0f})"


class HourRate(NamedTuple):
    """The answer rate of one hour of a weekday.

    Attributes:
        hour: local hour, 0 to 23.
        rate: answers per attempt.
        attempts: attempts observed in this hour; 0 where the rate is only inferred from other hours.
        binding: whether this hour limits the proposed rate.
    """

    hour: int
    rate: Range
    attempts: int
    binding: bool = False


class RateDay(NamedTuple):
    """The open hours of one weekday, sorted."""

    name: str
    hours: tuple[HourRate, ...]

    @property
    def said(self) -> str:
        """The lowest and the highest mean of the day in words."""
        means = [hour.rate.mean for hour in self.hours]
        if not means:
            return "closed"
        low, high = percent(min(means)), percent(max(means))
        return low if low == high else f"{low.removesuffix(' %')} to {high}"


class Rates(NamedTuple):
    """Answer rates by hour of week.

    Attributes:
        title: what is drawn, and on which clock.
        said: the binding hour in words.
        days: weekdays.
    """

    title: str
    said: str
    days: tuple[RateDay, ...]

    @property
    def top(self) -> float:
        """The highest value to draw."""
        highest = max((hour.rate.high for day in self.days for hour in day.hours), default=0)
        return 1.15 * highest or 1.0


class At(NamedTuple):
    """The predicted abandonment at a dial rate, in calls per second."""

    rate: float
    abandonment: Range


class Curve(NamedTuple):
    """The predicted abandonment by dial rate in one hour.

    Attributes:
        title: what is drawn.
        points: the curve, by rising rate.
        cap: the highest lawful abandonment.
        now, proposed: where the manifest is and where the proposal leads; equal rates where the rate stays.
        earlier: the curve before the change, where something else than the rate changes too; empty otherwise.
        note: what that is; empty if there is no such curve.
    """

    title: str
    points: tuple[At, ...]
    cap: float
    now: At
    proposed: At
    earlier: tuple[At, ...] = ()
    note: str = ""

    @property
    def top(self) -> float:
        """The highest abandonment to draw: the curve may leave the plot, the points may not."""
        return 1.25 * max(self.cap, self.now.abandonment.high, self.proposed.abandonment.high)

    @property
    def said(self) -> str:
        """The points and the cap in words."""
        marks = f"{self.now.rate:g} calls/s {percent(self.now.abandonment.mean)}"
        if self.proposed.rate != self.now.rate:
            mean = percent(self.proposed.abandonment.mean)
            marks += f", {self.proposed.rate:g} calls/s {mean}"
        return f"{marks}; cap {percent(self.cap)}"


class Measure(NamedTuple):
    """A predicted quantity before and after a change.

    Attributes:
        name: what it is, with its unit unless it is a share.
        before, after: the predictions; `None` where there is none.
        limit: its cap; `None` where it has none.
        is_share: whether the values are shares.
    """

    name: str
    before: Range | None
    after: Range | None
    limit: float | None = None
    is_share: bool = True

    def said(self, value: Range | None) -> str:
        """Return a prediction in words."""
        if value is None:
            return "not known"
        return value.percent if self.is_share else value.number

    @property
    def top(self) -> float:
        """The highest value to draw."""
        highest = [each.high for each in (self.before, self.after) if each]
        return 1.05 * max([*highest, self.limit or 0]) or 1.0


class Compared(NamedTuple):
    """Predictions before and after a change."""

    title: str
    measures: tuple[Measure, ...]


Plot: TypeAlias = Rates | Curve | Compared
