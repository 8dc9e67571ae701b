"""Predict abandonment, utilisation and contacts in each open hour from dial rate and concurrent calls, by queueing theory.

Agents are a mean over an hour or over weeks, so they need not be whole: with 12.3 agents, there are 13 for 30 % of the time and
12 for the rest. Only the answer rate is uncertain here; agents and handle time are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf, sqrt
from operator import ge, itemgetter
from statistics import fmean
from typing import Final, NamedTuple

from reconciler.models import zone as iana
from reconciler.optimize import staffing
from reconciler.optimize.answer_rates import AnswerRate, AnswerRates
from reconciler.optimize.base import CALLS, RATE, OpenHour, Prediction, Subject
from reconciler.optimize.hours import cell
from reconciler.optimize.intervals import Interval
from reconciler.optimize.observations import SHORTEST_S
from reconciler.pacing import Bucket, queueing
from reconciler.pacing.lines import paced

LOW, HIGH = 0.05, 0.95
"""Probabilities of the ends of a 90 % interval."""

USUAL_WRAP_UP: Final = 0.15
"""Part of the handle time that is expected to be wrap-up where the manifest does not say it."""

MOST_WRAP_UP: Final = 0.5
"""Part of the handle time that may be wrap-up where the manifest does not say it."""

_EQUALLY_LIKELY: Final = tuple((2 * part + 1) / 20 for part in range(10))
"""Probabilities whose quantiles stand for ten equally likely answer rates; the outer ones are the ends of a 90 % interval."""

_SAMPLE: Final = 12
"""Least number of open hours over which contacts are averaged, where there are as many."""

_LOOKED_AT: Final = 60
"""About as many observed hours are compared with what explains them."""

_OFF: Final = ((-sqrt(3), 1 / 6), (0.0, 2 / 3), (sqrt(3), 1 / 6))
"""Nodes and weights of a normal distribution (Gauss and Hermite), for the noise of single hours."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An open hour with all that a prediction needs.

    Attributes:
        open: the hour.
        agents: mean agents, to a tenth.
        handle_time_s: mean handle time, rounded up to three digits.
        wrap_up_s: part of it in which the line is free.
        rate: answer rate.
        is_wrap_up_known: whether the manifest says it.
    """

    open: OpenHour
    agents: float
    handle_time_s: float
    wrap_up_s: float
    rate: AnswerRate
    is_wrap_up_known: bool = True

    @property
    def possible(self) -> tuple[Hour, ...]:
        """The hour; if its wrap-up is unknown, one variant without wrap-up and one with the longest wrap-up."""
        if self.is_wrap_up_known:
            return (self,)
        return tuple(
            replace(self, wrap_up_s=part * self.handle_time_s) for part in (0.0, MOST_WRAP_UP)
        )


class Setting(NamedTuple):
    """The values that pace a campaign.

    Attributes:
        dial_rate: calls per second.
        calls: most calls in progress at the same time (`max_concurrent_calls`).
    """

    dial_rate: float
    calls: float = inf

    @classmethod
    def of(cls, subject: Subject, **proposed: float) -> Setting:
        """Return what the spec of a campaign says, with proposed values instead where there are any."""
        spec = {**subject.spec, **proposed}
        return cls(float(spec[RATE]), float(spec.get(CALLS, inf)))


class Flow(NamedTuple):
    """A campaign in steady state.

    Attributes:
        abandonment: share of the live answers that no agent takes in time, 0 to 1.
        utilisation: share of the agents' time spent on calls and wrap-up, 0 to 1.
    """

    abandonment: float
    utilisation: float


def hours_of(subject: Subject, rates: AnswerRates) -> tuple[Hour, ...]:
    """Return the open hours of an object; empty when it has none, or when agents or handle time are unknown.

    Raises:
        ValueError: the zone is unknown.
    """
    staffed = staffing.of(subject)
    if staffed.missing:
        return ()
    wrap_up_s = subject.pacing.wrap_up_s
    found = []
    for each in subject.open_hours:
        agents, taken_s = staffed.at(each)
        handle_time_s = max(taken_s, SHORTEST_S)
        wrap = USUAL_WRAP_UP * handle_time_s if wrap_up_s is None else min(wrap_up_s, handle_time_s)
        rate = rates.of(subject.key, each.weekday, each.hour)
        tenths = int(min(agents, float(queueing.MOST_SERVERS)) * 10) / 10
        is_known = wrap_up_s is not None
        found.append(Hour(each, tenths, _three_digits_up(handle_time_s), wrap, rate, is_known))
    return tuple(found)


def _three_digits_up(value: float) -> float:
    """Return a value rounded up to three digits, so that hours share their results."""
    rounded = float(f"{value:.3g}")
    return rounded if rounded >= value else float(f"{value * 1.005:.3g}")


def hardest(hours: Iterable[Hour]) -> list[Hour]:
    """Return the candidates for the binding hour: no other hour has as few agents, as long calls and as high an answer rate."""
    found: list[tuple[Hour, tuple[float, ...]]] = []
    ranked = [(each, _hardness(each)) for each in hours]
    for each, hardness in sorted(ranked, key=itemgetter(1), reverse=True):
        if not any(all(map(ge, other, hardness)) for _, other in found):
            found.append((each, hardness))
    return [each for each, _ in found]


def _hardness(hour: Hour) -> tuple[float, ...]:
    """Return the numbers that make an hour harder the higher they are. They are rounded, so that rounding errors make no hour harder."""
    upper, high = (round(hour.rate.mean_quantile(each), 9) for each in (0.9, HIGH))
    return -hour.agents, high, hour.handle_time_s, upper


def predict(hours: Sequence[Hour], setting: Setting) -> Prediction:
    """Predict the results of a setting, as a mean over the coming weeks.

    The intervals are for the unknown mean. The noise of single hours evens out, but raises abandonment a little. The interval of the contacts
    is rather too wide: it assumes that the answer rates of all hours are off in the same direction.

    Args:
        hours: at least one.
        setting: the setting.
    """
    binding = binding_hour(hours, setting)
    likely = [usual(each, setting, part) for each in binding.possible for part in _EQUALLY_LIKELY]
    return Prediction(
        binding.open,
        _interval([each.abandonment for each in likely]),
        _interval([each.utilisation for each in likely]),
        _contacts_interval(hours, setting),
    )


def _contacts_interval(hours: Sequence[Hour], setting: Setting) -> Interval:
    """Return the contacts per open hour, with all answer rates off in the same direction."""
    ends = [[each.possible[end] for each in hours] for end in (0, -1)]
    mean = mean_contacts(hours, setting)
    found = [mean_contacts(each, setting, part) for each in ends for part in (LOW, HIGH)]
    return Interval(min(*found, mean), mean, max(*found, mean))


def binding_hour(hours: Iterable[Hour], setting: Setting) -> Hour:
    """Return the open hour in which most is abandoned."""
    return max(
        hardest(hours),
        key=lambda each: flow(each, setting, each.rate.mean_quantile(HIGH)).abandonment,
    )


def mean_contacts(hours: Sequence[Hour], setting: Setting, probability: float = 0.5) -> float:
    """Return the contacts per open hour, at a quantile of the answer rate of each of a dozen hours."""
    chosen = sample(hours)
    found = (_contacts(each, setting, probability) for each in chosen)
    return sum(found) / len(chosen)


def _contacts(hour: Hour, setting: Setting, probability: float) -> float:
    """Return the calls that the agents of an hour finish in it."""
    busy = flow(hour, setting, hour.rate.mean_quantile(probability)).utilisation
    return busy * hour.agents * 3600 / hour.handle_time_s


def sample(hours: Sequence[Hour]) -> Sequence[Hour]:
    """Return some hours that stand for all: evenly chosen by answer rate, or all of a few."""
    ordered = sorted(hours, key=lambda each: each.rate.log_odds)
    return ordered[:: max(len(ordered) // _SAMPLE, 1)]


def usual(hour: Hour, setting: Setting, probability: float) -> Flow:
    """Return the mean over single hours at a quantile of the hour's mean answer rate."""
    return Flow(*map(sum, zip(*_weighted(hour, setting, probability), strict=True)))


def _weighted(hour: Hour, setting: Setting, probability: float) -> Iterator[Flow]:
    for deviations, weight in _OFF:
        found = flow(hour, setting, hour.rate.mean_quantile(probability, deviations))
        yield Flow(weight * found.abandonment, weight * found.utilisation)


def _interval(likely: Sequence[float]) -> Interval:
    """Return the interval of results at equally likely answer rates. With few lines, the highest rate need not give the highest abandonment."""
    return Interval(min(likely), fmean(likely), max(likely))


def flow(hour: Hour, setting: Setting, answer_rate: float) -> Flow:
    """Return the steady state of an hour with a setting at an answer rate."""
    whole, part = int(hour.agents), hour.agents % 1
    lower = _whole(whole, hour, setting, answer_rate)
    if not part:
        return lower
    upper = _whole(whole + 1, hour, setting, answer_rate)
    busy = (1 - part) * whole * lower.utilisation + part * (whole + 1) * upper.utilisation
    lost = (1 - part) * lower.abandonment + part * upper.abandonment
    return Flow(lost, busy / hour.agents)


def _whole(agents: int, hour: Hour, setting: Setting, answer_rate: float) -> Flow:
    if not agents:
        return Flow(1.0, 0.0)
    used = queueing.mean_lines(setting.dial_rate, answer_rate, hour.handle_time_s, abandonment=0.0)
    if queueing.concurrent_calls(used) <= setting.calls:
        live_per_s = setting.dial_rate * answer_rate
        queue = queueing.abandonment_queue(agents, live_per_s, hour.handle_time_s)
        return Flow(queue.abandonment, queue.utilisation)
    found = paced(
        agents,
        answer_rate,
        hour.handle_time_s,
        lines=int(setting.calls),
        dial_rate=setting.dial_rate,
        wrap_up_s=hour.wrap_up_s,
    )
    return Flow(found.abandonment, found.utilisation)


def explained(subject: Subject, buckets: Iterable[Bucket]) -> float:
    """Return the share of the answers of some hours that should have been abandoned, according to agents and handle time.

    Args:
        subject: a campaign whose agents and handle time are known.
        buckets: observed hours.
    """
    staffed = staffing.of(subject)
    where = iana(subject.zone)
    lost = answered = 0.0
    dialed = [each for each in buckets if each.answers]
    for each in dialed[:: max(len(dialed) // _LOOKED_AT, 1)]:
        agents, handle_time_s = staffed.at(OpenHour(each.start, 1.0, *cell(each.start, where)))
        agents = min(each.agents or agents, float(queueing.MOST_SERVERS))
        live_per_s, seconds = each.answers / 3600, each.handle_time_s or handle_time_s
        lost += each.answers * _share_lost(agents, live_per_s, seconds)
        answered += each.answers
    return lost / answered if answered else 0.0


def highest_live_rate(agents: float, handle_time_s: float, share: float) -> float:
    """Return the live answers per second at which a share of them is abandoned; 0 if more are at any rate.

    Args:
        agents: mean agents, 0 or more.
        handle_time_s: above 0.
        share: of the live answers, above 0 and below 1.
    """
    return _highest(min(agents, float(queueing.MOST_SERVERS)), handle_time_s, share)


@lru_cache(maxsize=4096)
def _highest(agents: float, handle_time_s: float, share: float) -> float:
    from scipy.optimize import brentq  # noqa: PLC0415 - SciPy takes half a second to import

    whole, part = int(agents), agents % 1
    low = queueing.highest_live_rate(whole, handle_time_s, share) if whole else 0.0
    if not part:
        return low
    if not whole and 1 - part >= share:  # nobody is there for too long
        return 0.0

    def beyond(live_per_s: float) -> float:
        queues = (
            (1 - part, whole),
            (part, whole + 1),
        )
        return (
            sum(weight * _lost(each, live_per_s, handle_time_s) for weight, each in queues) - share
        )

    high = queueing.highest_live_rate(whole + 1, handle_time_s, share)
    return float(brentq(beyond, low, high, xtol=1e-12))


def _share_lost(agents: float, live_per_s: float, handle_time_s: float) -> float:
    whole, part = int(agents), agents % 1
    lower = _lost(whole, live_per_s, handle_time_s)
    if not part:
        return lower
    return (1 - part) * lower + part * _lost(whole + 1, live_per_s, handle_time_s)


def _lost(agents: int, live_per_s: float, handle_time_s: float) -> float:
    if not agents:
        return 1.0
    return queueing.abandonment_queue(agents, live_per_s, handle_time_s).abandonment
