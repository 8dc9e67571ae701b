"""Draw the plots of a proposal as SVG within HTML. Every number that is drawn also stands beside it as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from reconciler.renderers._markup import inline
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
    percent,
)

_HOUR: Final = 10
"""Width of an hour in the drawing of a day."""

_WIDTH, _HEIGHT = 1000, 100
"""Size of the other drawings. They are stretched to the size of the page."""

_SCALE: Final = (
    '<thead><tr><th scope="col">Day</th><th scope="col" class="scale"><span>0</span><span>6</span>'
    '<span>12</span><span>18</span><span>24</span></th><th scope="col">Answer rate</th></tr></thead>'
)


def plots(drawn: Sequence[Plot]) -> str:
    """Return the plots of one row."""
    return f'<div class="plots">{"".join(map(_plot, drawn))}</div>' if drawn else ""


def _plot(plot: Plot) -> str:
    match plot:
        case Rates():
            return _rates(plot)
        case Curve():
            return _curve(plot)
        case Compared():
            return _compared(plot)


# --- answer rates -------------------------------------------------------------------------------------------------------


def _rates(rates: Rates) -> str:
    days = "".join(_day(day, rates.top) for day in rates.days)
    scale = f"full height {percent(rates.top)}".replace(" ", "&nbsp;")
    return (
        f'<div class="strip"><table class="week rates"><caption>{inline(rates.title)} <span class="total">{scale}</span></caption>'
        f'{_SCALE}<tbody>{days}</tbody></table><p class="said">{inline(rates.said)}</p>'
        f"<details><summary>By hour</summary>{_by_hour(rates.days)}</details></div>"
    )


def _day(day: RateDay, top: float) -> str:
    return (
        f'<tr><th scope="row">{inline(day.name)}</th><td>{_day_drawing(day, top)}</td>'
        f"<td><span>{inline(day.said)}</span></td></tr>"
    )


def _day_drawing(day: RateDay, top: float) -> str:
    """Return a day as a drawing: a bar from the low to the high end of each hour's interval, with a tick at its mean."""
    marked = "".join(
        f"M{hour.hour * _HOUR} 0h{_HOUR}v{_HEIGHT}h-{_HOUR}z" for hour in day.hours if hour.binding
    )
    bars = {
        style: "".join(_bar(hour, top) for hour in day.hours if hour.binding is binding)
        for style, binding in (("k", False), ("o", True))
    }
    drawn = [("h", marked), *bars.items()]
    paths = "".join(f'<path class="{style}" d="{path}"/>' for style, path in drawn if path)
    ticks = "".join(
        f"M{hour.hour * _HOUR + 1} {_down(hour.rate.mean, top)}h{_HOUR - 2}" for hour in day.hours
    )
    means = f'<path class="t" d="{ticks}"/>' if ticks else ""
    return (
        f'<svg role="img" viewBox="0 0 {24 * _HOUR} {_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{inline(_day_title(day))}</title>{paths}{means}</svg>"
    )


def _day_title(day: RateDay) -> str:
    """Return what a drawing shows, in words other than those beside it."""
    if not day.hours:
        return "no open hour"
    best = max(day.hours, key=lambda hour: hour.rate.mean)
    binding = "".join(f", binding hour {hour.hour:02}:00" for hour in day.hours if hour.binding)
    return f"highest at {best.hour:02}:00: {best.rate.percent}{binding}"


def _bar(hour: HourRate, top: float) -> str:
    high, low = _down(hour.rate.high, top), _down(hour.rate.low, top)
    return f"M{hour.hour * _HOUR + 2} {high}h{_HOUR - 4}V{low}h-{_HOUR - 4}z"


def _by_hour(days: Sequence[RateDay]) -> str:
    rows = "".join(_hour_row(day, hour) for day in days for hour in day.hours)
    return (
        '<table class="loads"><thead><tr><th scope="col">Hour</th><th scope="col">Answer rate</th>'
        f'<th scope="col">Attempts</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _hour_row(day: RateDay, hour: HourRate) -> str:
    note = ' <span class="place">binding</span>' if hour.binding else ""
    return (
        f'<tr><th scope="row">{inline(day.name)} {hour.hour:02}:00{note}</th>'
        f"<td>{inline(hour.rate.percent)}</td><td>{hour.attempts}</td></tr>"
    )


# --- abandonment by dial rate -------------------------------------------------------------------------------------------


def _curve(curve: Curve) -> str:
    widest = curve.points[-1].rate if curve.points else 1.0
    cap = _down(curve.cap, curve.top)
    marks = [("n", "now", curve.now), ("p", "proposed", curve.proposed)]
    if curve.now.rate == curve.proposed.rate:
        marks.pop()
    drawn = "".join(_mark(style, at, curve.top, widest) for style, _, at in marks)
    signs = "".join(_sign(style, f"{name}: {_said(at)}") for style, name, at in marks)
    return (
        f'<figure class="plot"><figcaption>{inline(curve.title)}</figcaption>'
        f'<p class="axis">{percent(curve.top)} abandoned</p>'
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{inline(f'{curve.title}: {curve.said}')}</title>{_band(curve, widest)}"
        f'<path class="m" d="M0 {cap}h{_WIDTH}"/>{drawn}</svg>'
        f'<p class="axis ends" aria-hidden="true"><span>0</span><span>{widest:.3g} calls/s</span></p>'
        f'<ul class="legend">{signs}{_sign("m", f"cap: {percent(curve.cap)}")}{_sign("f", curve.note) if curve.note else ""}</ul></figure>'
    )


def _band(curve: Curve, widest: float) -> str:
    """Return the interval as an area, and the mean as a line."""

    def points(values: Iterable[tuple[float, float]]) -> str:
        return "L".join(f"{_across(x, widest)} {_down(y, curve.top)}" for x, y in values)

    if not curve.points:
        return ""
    low = points((at.rate, at.abandonment.low) for at in curve.points)
    high = points((at.rate, at.abandonment.high) for at in reversed(curve.points))
    mean = points((at.rate, at.abandonment.mean) for at in curve.points)
    earlier = points((at.rate, at.abandonment.mean) for at in curve.earlier)
    dashed = f'<path class="f" d="M{earlier}"/>' if earlier else ""
    return f'<path class="r" d="M{low}L{high}z"/>{dashed}<path class="t" d="M{mean}"/>'


def _mark(style: str, at: At, top: float, widest: float) -> str:
    """Return a point as a dot on its interval. A line without a length has a round end, whatever the drawing's proportions."""
    x = _across(at.rate, widest)
    low, mean, high = (_down(each, top) for each in at.abandonment)
    return (
        f'<path class="e" d="M{x} {low}V{high}"/>'
        f'<path class="dot" d="M{x} {mean}h0"/><path class="dot {style}" d="M{x} {mean}h0"/>'
    )


def _sign(style: str, word: str) -> str:
    drawn = f'<path class="{style}" d="M2 10h20"/>' if style in {"m", "f"} else ""
    if not drawn:
        drawn = f'<path class="dot" d="M12 10h0"/><path class="dot {style}" d="M12 10h0"/>'
    return f'<li><svg viewBox="0 0 24 20" aria-hidden="true">{drawn}</svg>{inline(word)}</li>'


def _said(at: At) -> str:
    return f"{at.rate:g} calls/s, {at.abandonment.percent}"


# --- before and after ---------------------------------------------------------------------------------------------------


def _compared(compared: Compared) -> str:
    rows = "".join(map(_measure, compared.measures))
    return (
        f'<table class="measures"><caption>{inline(compared.title)} <span class="total">before above, after below</span></caption><thead><tr><th scope="col">Predicted</th>'
        f'<th scope="col">Before</th><th scope="col">After</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _measure(measure: Measure) -> str:
    limit = f' <span class="place">cap {percent(measure.limit)}</span>' if measure.limit else ""
    said = (measure.said(each).partition(" (") for each in (measure.before, measure.after))
    cells = "".join(
        f"<td>{mean}{f' <span>({ends}</span>' if ends else ''}</td>" for mean, _, ends in said
    )
    return f'<tr><th scope="row">{inline(measure.name)}{limit}{_lanes(measure)}</th>{cells}</tr>'


def _lanes(measure: Measure) -> str:
    """Return the intervals as a drawing: before in the upper lane, after in the lower one, and the limit as a line."""
    lanes = "".join(
        _lane(value, y, style, measure.top)
        for value, y, style in ((measure.before, 25, "k"), (measure.after, 75, "o"))
        if value is not None
    )
    x = _across(measure.limit, measure.top) if measure.limit else None
    limit = "" if x is None else f'<path class="m" d="M{x} 0v{_HEIGHT}"/>'
    return (
        f'<svg aria-hidden="true" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">'
        f"{lanes}{limit}</svg>"
    )


def _lane(value: Range, middle: int, style: str, top: float) -> str:
    low, mean, high = (_across(each, top) for each in value)
    length = max(round(high - low, 1), 4)
    return (
        f'<path class="{style}" d="M{low} {middle - 12}h{length:g}v24h-{length:g}z"/>'
        f'<path class="t" d="M{mean} {middle - 20}v40"/>'
    )


# --- coordinates --------------------------------------------------------------------------------------------------------


def _down(value: float, top: float) -> str:
    """Return how far below the top of a drawing a value stands. What is above the top is drawn just above it."""
    return f"{round(_HEIGHT * (1 - min(value / top, 1.1)), 1):g}"


def _across(value: float, widest: float) -> float:
    return round(_WIDTH * value / (widest or 1), 1)
