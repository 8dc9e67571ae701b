"""Two ways to pace a campaign by its schedule: by its dial rate, or by its concurrent calls. Both hold one promise.

The promise: in each open hour, the 90 % quantile of the mean abandonment is at most the target, and the upper end of its 90 %
interval is below the cap. Abandonment rises with the answer rate, so quantiles of the answer rate are those of abandonment.

By rate: with λ*(N, T, x) the live answers per second at which a share x of them is abandoned (M/M/N+D, `pacing.queueing`) and q
the quantiles of the answer rate (`answers`), the rate is the minimum over the open hours of λ*(N, T, target) / q90 and
λ*(N, T, cap) / q95. `max_concurrent_calls` is m + 3 √m, where m is the mean of calls in progress by Little's law.

By lines: `max_concurrent_calls` is the largest number of lines that holds the promise (`pacing.lines`) with a dial rate that is
one of `REFILLS` times what these lines need. Lines follow the agents: while more of them talk, fewer
lines ring. And they follow the hours: where fewer persons answer, more lines ring. So they keep agents busier, above all in
small teams and where answer rates differ. But a line is free during wrap-up, and where that takes longer than assumed, a third of
the persons is abandoned soon. So lines pace only where the manifest says how long wrap-up takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from reconciler.optimize import outlook
from reconciler.optimize.base import CALLS, RATE, Subject
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.wording import rounded_down, rounded_up
from reconciler.pacing import queueing
from reconciler.pacing.lines import paced

FASTEST: Final = 100.0
"""Highest dial rate that a schedule may have, in calls per second."""

MOST_CALLS: Final = 5000
"""Most concurrent calls that a schedule may have."""

CAUTIOUS: Final = 0.9
"""Quantile of the answer rate at which the target holds."""

REFILLS: Final = (4.0, 3.0, 2.0, 1.5, 1.25)
"""Dial rates to try for a number of lines, relative to the attempts that they need on average when each is used at once."""

LARGE: Final = 500
"""Agents above which lines win too little to be tried."""

_NEARLY: Final = 0.98
"""Part of the most contacts for which a lower dial rate is preferred: it is less dangerous if the lines are raised alone."""

_LOWER: Final = 0.98
"""By what a rate is lowered at a time until its interval is below the cap."""


class Way(StrEnum):
    """What paces the dialer."""

    RATE = "rate"
    """The dial rate."""
    LINES = "lines"
    """The concurrent calls."""
    QUIET = "quiet"
    """The concurrent calls: so few that hardly anybody is abandoned."""


class Pace(NamedTuple):
    """A setting that holds the promise.

    Attributes:
        way: what paces the dialer.
        setting: dial rate and concurrent calls, within the tenant's limits.
        binding: the open hour that allows least.
        allowed: what this hour allows: calls per second, or lines.
        needed: concurrent calls that the pace needs; more than the setting has where the tenant's limit is lower.
    """

    way: Way
    setting: Setting
    binding: Hour
    allowed: float
    needed: int


def best(hours: Sequence[Hour], subject: Subject) -> Pace | None:
    """Return the pace with the most contacts; `None` if no pace holds the promise.

    Lines are chosen only if the wrap-up is known.

    Args:
        hours: the open hours, at least one.
        subject: a campaign.
    """
    rate = by_rate(hours, subject)
    if subject.pacing.wrap_up_s is None or (rate is not None and rate.binding.agents > LARGE):
        return rate
    lines = by_lines(hours, subject)
    if rate is None or lines is None:
        return rate or lines
    return max(rate, lines, key=lambda each: outlook.mean_contacts(hours, each.setting))


def by_rate(hours: Sequence[Hour], subject: Subject) -> Pace | None:
    """Return the best pace by dial rate; `None` if nobody takes calls in an open hour."""
    binding = min(outlook.hardest(hours), key=lambda each: room(each, subject))
    allowed = room(binding, subject)
    if not allowed:
        return None
    rate = min(rounded_down(allowed), _limit(subject, RATE, FASTEST))
    while not _is_below_cap(binding, Setting(rate), subject):
        rate = rounded_down(_LOWER * rate)
    busiest = max(hours, key=lambda each: _lines(each, rate, 0.0))
    answered = busiest.rate.mean_quantile(CAUTIOUS)
    lost = outlook.flow(busiest, Setting(rate), answered).abandonment
    needed = max(queueing.concurrent_calls(_lines(busiest, rate, lost)), 1)
    calls = min(needed, int(_limit(subject, CALLS, MOST_CALLS)))
    return Pace(Way.RATE, Setting(rate, calls), binding, allowed, needed)


def room(hour: Hour, subject: Subject) -> float:
    """Return the highest dial rate of an open hour, in calls per second; 0 if nobody takes calls."""
    target, cap = (
        outlook.highest_live_rate(hour.agents, hour.handle_time_s, share)
        for share in (subject.pacing.target_abandonment, subject.pacing.abandonment_cap)
    )
    return min(
        target / hour.rate.mean_quantile(CAUTIOUS), cap / hour.rate.mean_quantile(outlook.HIGH)
    )


def _is_below_cap(hour: Hour, setting: Setting, subject: Subject) -> bool:
    """Return whether the upper end of the interval of abandonment is below the cap, with the noise of single hours."""
    lost = outlook.usual(hour, setting, outlook.HIGH).abandonment
    return lost < subject.pacing.abandonment_cap


def _lines(hour: Hour, dial_rate: float, lost: float) -> float:
    rate = hour.rate.mean_quantile(CAUTIOUS)
    return queueing.mean_lines(dial_rate, rate, hour.handle_time_s, abandonment=lost)


def by_lines(hours: Sequence[Hour], subject: Subject) -> Pace | None:
    """Return the best pace by concurrent calls; `None` if nobody takes calls in an open hour."""
    hard, sparse = outlook.hardest(hours), min(hours, key=lambda each: each.rate.log_odds)
    found: list[tuple[float, Pace]] = []
    lines = 0
    for refill in REFILLS:
        lines = _most_lines(hard, sparse, refill, lines, subject)
        if lines:
            made = _setting(sparse, lines, refill, subject)
            binding = outlook.binding_hour(hard, made)
            found.append(
                (outlook.mean_contacts(hours, made), Pace(Way.LINES, made, binding, lines, lines))
            )
    if not found:
        return None
    most = max(contacts for contacts, _ in found)
    if most < progressive_contacts(hours):
        return _quiet(hours, hard, sparse, subject)
    return next(each for contacts, each in reversed(found) if contacts >= _NEARLY * most)


def _quiet(
    hours: Sequence[Hour], hard: Sequence[Hour], sparse: Hour, subject: Subject
) -> Pace | None:
    """Return a number of lines at which hardly anybody is abandoned, for a team that reaches fewer people than by progressive dialing.

    In a small team all may wrap up at once, so even one line may be too much: then `None`.
    """
    binding = min(hours, key=_talking)
    lines = max(int(min(_talking(binding), _limit(subject, CALLS, MOST_CALLS))), 1)
    for fewer in range(lines, 0, -1):
        setting = _setting(sparse, fewer, REFILLS[0], subject)
        if all(_holds(each, setting, subject) for each in hard):
            return Pace(Way.QUIET, setting, binding, fewer, fewer)
    return None


def _talking(hour: Hour) -> float:
    """Return the lines of all agents when everybody is busy: some of them wrap up."""
    return hour.agents * (1 - hour.wrap_up_s / hour.handle_time_s)


def _most_lines(
    hard: Sequence[Hour], sparse: Hour, refill: float, least: int, subject: Subject
) -> int:
    """Return the most lines that hold the promise in every hour; 0 if none do.

    Args:
        hard: the hours of which one binds.
        sparse: the hour in which fewest persons answer.
        refill: dial rate relative to what lines need.
        least: lines that hold it.
        subject: the campaign.
    """
    low, high = least, int(_limit(subject, CALLS, MOST_CALLS)) + 1
    step = max(int(min(each.agents for each in hard)) - least, 1)
    while high - low > 1:
        middle = min(low + step, (low + high) // 2)
        setting = _setting(sparse, middle, refill, subject)
        if all(_holds(each, setting, subject) for each in hard):
            low, step = middle, 2 * step
        else:
            high = middle
    return low


def _setting(sparse: Hour, lines: int, refill: float, subject: Subject) -> Setting:
    """Return a number of lines with the dial rate that refills them, within the tenant's limits."""
    agents, rate = max(int(sparse.agents), 1), sparse.rate.mean
    wrap_up_s = sparse.wrap_up_s
    used = paced(agents, rate, sparse.handle_time_s, lines=lines, wrap_up_s=wrap_up_s)
    needed = rounded_up(refill * used.attempts_per_s)
    return Setting(min(needed, _limit(subject, RATE, FASTEST)), lines)


def _holds(hour: Hour, setting: Setting, subject: Subject) -> bool:
    """Return whether a setting holds the promise in an hour."""
    lost = outlook.flow(hour, setting, hour.rate.mean_quantile(CAUTIOUS)).abandonment
    return lost <= subject.pacing.target_abandonment and _is_below_cap(hour, setting, subject)


def _limit(subject: Subject, field: str, highest: float) -> float:
    return min(subject.ceilings.get(field, highest), highest)


def progressive_contacts(hours: Sequence[Hour]) -> float:
    """Return the contacts per open hour of one call for each free agent, over the same hours."""
    sample = outlook.sample(hours)
    return sum(
        queueing.progressive_utilisation(each.rate.mean, each.handle_time_s)
        * each.agents
        * 3600
        / each.handle_time_s
        for each in sample
    ) / len(sample)
