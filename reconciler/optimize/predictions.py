"""The table of past predictions in a tenant's folder, and the comparison of predictions with later observations.

`optimize --write` writes the table, so that it is reviewed and merged with the edits. Any kind of merge works, because git's history is not
read. The table has no effect on new proposals. A row counts only if the audit records say that exactly its values were applied, and only
from then on. So a proposal that was never merged, or was edited before, does not count as failed.

A prediction is for a mean over weeks, and single hours differ from it. So an observation counts as outside only if chance does not explain
it: neither the interval of a share (Wilson 1927) or a count (Poisson), nor the differences between the observed hours (ratio estimator,
Cochran 1977, chapter 6). Fewer than `LEAST_HOURS` hours are never judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import inf, sqrt
from typing import Final, NamedTuple, TypeAlias

from reconciler.errors import Place, Problem
from reconciler.models import zone as iana
from reconciler.optimize.base import Proposal, Subject
from reconciler.optimize.hours import cell
from reconciler.optimize.intervals import Interval
from reconciler.pacing import Bucket

FILE: Final = "predictions.md"
"""Name of the table in a tenant's folder."""

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_HEAD: Final = """\
# Predictions of the last proposals

Written by `reconcile optimize --write`, for a later run to compare with what happened. Shares are 0 to 1; three numbers are the 90 % interval around the mean.

| id | proposed | values | binding hour | abandoned in it | contacts per open hour |
|---|---|---|---|---|---|
"""
_TITLE, _, _ = _HEAD.partition("\n")
LEAST_HOURS: Final = 4
"""Fewest observed hours that can show a prediction to be wrong."""

_Z90: Final = 1.6448536269514722
"""Quantile of the standard normal distribution that leaves 5 % on each side."""

_DIGITS: Final = 6
"""Significant digits of a kept number."""

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NUMBER: Final = r"[0-9]{1,12}(?:\.[0-9]{1,18})?(?:e[+-][0-9]{2})?"
_THREE: Final = rf"({_NUMBER}) ({_NUMBER}) ({_NUMBER})"
_VALUE: Final = rf"[a-z_]{{1,40}}={_NUMBER}"
_ROW: Final = re.compile(
    rf"\| `({_ID.pattern})` \| ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}Z) "
    rf"\| ({_VALUE}(?: {_VALUE}){{0,20}}) \| ({'|'.join(WEEKDAYS)}) ([0-9]{{2}}):00 ([A-Za-z0-9_+/-]{{1,60}}) "
    rf"\| {_THREE} \| {_THREE} \|"
)


MINUTE: Final = timedelta(minutes=1)
"""How exactly the table says when a proposal was made."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The prediction of a past proposal.

    Attributes:
        key: the object.
        at: when it was proposed, UTC, in whole minutes.
        values: proposed values by field.
        weekday, hour: the binding hour, on the clock of `zone`; 0 is Monday.
        zone: IANA name.
        abandonment: in the binding hour.
        contacts_per_hour: over all open hours.
    """

    key: str
    at: datetime
    values: Mapping[str, float]
    weekday: int
    hour: int
    zone: str
    abandonment: Interval
    contacts_per_hour: Interval


def of_proposal(proposal: Proposal, zone: str, at: datetime) -> Kept | None:
    """Return what to keep of a proposal; `None` if it predicts nothing, or its values or its id cannot be kept as plain text."""
    after = proposal.after
    values = {each.field: each.proposed for each in proposal.changes}
    numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}  # fmt: skip
    if after is None or after.binding is None or len(numbers) < len(values):
        return None
    kept = Kept(
        proposal.key,
        at.astimezone(UTC).replace(second=0, microsecond=0),
        {name: rounded(value) for name, value in numbers.items()},
        after.binding.weekday,
        after.binding.hour,
        zone,
        Interval(*map(rounded, after.abandonment)),
        Interval(*map(rounded, after.contacts_per_hour)),
    )
    return kept if _ROW.fullmatch(_row(kept)) else None


def is_ours(text: str) -> bool:
    """Return whether a text is such a table, and not somebody's notes of the same name."""
    return text.startswith(_TITLE)


def render(kept: Iterable[Kept]) -> str:
    """Return the table, sorted by id."""
    return _HEAD + "".join(f"{_row(each)}\n" for each in sorted(kept, key=lambda each: each.key))


def _row(kept: Kept) -> str:
    values = " ".join(f"{name}={_text(value)}" for name, value in sorted(kept.values.items()))
    cells = (
        f"`{kept.key}`",
        f"{kept.at:%Y-%m-%dT%H:%MZ}",
        values,
        f"{WEEKDAYS[kept.weekday]} {kept.hour:02}:00 {kept.zone}",
        " ".join(map(_text, kept.abandonment)),
        " ".join(map(_text, kept.contacts_per_hour)),
    )
    return f"| {' | '.join(cells)} |"


def _text(value: float) -> str:
    return f"{value:.{_DIGITS}g}"


def rounded(value: float) -> float:
    """Return a number as the table keeps it."""
    return float(_text(value))


def parse(text: str, file: str) -> tuple[dict[str, Kept], tuple[Problem, ...]]:
    """Read the table: by key, and a problem for each row that is none of ours. Never raises."""
    found: dict[str, Kept] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("| `"):
            continue
        kept = _read(line)
        if kept is None:
            problems.append(Problem(Place(file, number, 1), "this row cannot be read"))
        else:
            found[kept.key] = kept
    return found, tuple(problems)


def _read(line: str) -> Kept | None:
    match = _ROW.fullmatch(line.rstrip())
    if match is None:
        return None
    key, at, values, weekday, hour, zone, *numbers = match.groups()
    pairs = (each.split("=") for each in values.split())
    kept = [rounded(float(each)) for each in numbers]
    shares, counts = Interval(*kept[:3]), Interval(*kept[3:])
    try:
        iana(zone)
        moment = datetime.strptime(at, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    if int(hour) >= 24 or not (sorted(shares) == [*shares] and sorted(counts) == [*counts]):  # noqa: PLR2004 - hours of a day
        return None
    fields = {name: rounded(float(value)) for name, value in pairs}
    return Kept(key, moment, fields, WEEKDAYS.index(weekday), int(hour), zone, shares, counts)


# --- what then happened -------------------------------------------------------------------------------------------------


class Verdict(StrEnum):
    """How an observation compares with a predicted interval."""

    INSIDE = "inside"
    CHANCE = "outside, but no more than by chance"
    BELOW = "below"
    ABOVE = "above"
    UNSEEN = "not observed yet"


class Observed(NamedTuple):
    """An observed quantity beside its prediction.

    Attributes:
        value: a share of the answers, or contacts per open hour.
        events: abandoned answers, or contacts.
        of: answers, or open hours.
        hours: observed hours.
        verdict: how it compares with the predicted interval.
    """

    value: float
    events: int
    of: float
    hours: int
    verdict: Verdict


class Happened(NamedTuple):
    """Observations since a proposal was applied.

    Attributes:
        kept: what was predicted.
        since: from when on its values were applied.
        abandonment: in the binding hour.
        contacts_per_hour: over the observed open hours.
    """

    kept: Kept
    since: datetime
    abandonment: Observed
    contacts_per_hour: Observed


def compare(kept: Kept, subject: Subject, since: datetime) -> Happened:
    """Compare a prediction with the observations of the whole hours after its values were applied.

    Args:
        kept: what was predicted.
        subject: the object, with its observations and its open hours.
        since: when the values were applied, with a zone.
    """
    hours = [each for each in subject.observed if each.start >= since]
    where = iana(kept.zone)
    binding = [each for each in hours if cell(each.start, where) == (kept.weekday, kept.hour)]
    lost = [
        (each.abandons, float(each.answers))
        for each in binding
        if each.answers and each.abandons is not None
    ]
    served = _contacts(hours, subject)
    return Happened(
        kept,
        since,
        _observed(lost, kept.abandonment, wilson),
        _observed(served, kept.contacts_per_hour, _poisson),
    )


def _contacts(hours: Sequence[Bucket], subject: Subject) -> list[tuple[int, float]]:
    """Return the contacts of each open hour whose abandoned calls are known, and which part of it is open."""
    where = iana(subject.zone)
    shares = {(each.weekday, each.hour): each.share for each in subject.open_hours}
    dialed = ((shares.get(cell(each.start, where), 0.0), each) for each in hours if each.attempts)
    return [
        (each.answers - each.abandons, share)
        for share, each in dialed
        if share and each.abandons is not None
    ]


_Pairs: TypeAlias = Sequence[tuple[int, float]]
"""Events of each hour, and what they are of: answers, or open hours."""


def _observed(
    pairs: _Pairs, predicted: Interval, alone: Callable[[int, float], tuple[float, float]]
) -> Observed:
    """Return the ratio of the sums, and how it compares with a prediction.

    Args:
        pairs: by hour.
        predicted: the predicted interval.
        alone: returns the 90 % interval of the ratio if the hours did not differ.
    """
    events, of = sum(event for event, _ in pairs), sum(base for _, base in pairs)
    if not of:
        return Observed(0.0, events, of, len(pairs), Verdict.UNSEEN)
    value = events / of
    low, high = alone(events, of)
    half = spread(pairs)
    if predicted.low <= value <= predicted.high:
        verdict = Verdict.INSIDE
    elif min(low, value - half) <= predicted.high and max(high, value + half) >= predicted.low:
        verdict = Verdict.CHANCE
    else:
        verdict = Verdict.BELOW if value < predicted.low else Verdict.ABOVE
    return Observed(value, events, of, len(pairs), verdict)


def spread(pairs: _Pairs) -> float:
    """Return half of the 90 % interval of a ratio of sums, by how the hours differ; infinite for fewer than `LEAST_HOURS`."""
    number = len(pairs)
    if number < LEAST_HOURS:
        return inf
    from scipy.special import stdtrit  # noqa: PLC0415 - SciPy takes half a second to import

    of = sum(base for _, base in pairs)
    ratio = sum(event for event, _ in pairs) / of
    squares = sum((event - ratio * base) ** 2 for event, base in pairs)
    return float(stdtrit(number - 1, 0.95)) * sqrt(number / (number - 1) * squares) / of


def wilson(count: int, of: float) -> tuple[float, float]:
    """Return the 90 % interval of a share by Wilson's score; 0 to 1 without observations.

    >>> [round(each, 4) for each in wilson(14, 612)]
    [0.0148, 0.0351]
    """
    if not of:
        return 0.0, 1.0
    share, square = count / of, _Z90 * _Z90 / of
    middle = (share + square / 2) / (1 + square)
    half = _Z90 * sqrt(share * (1 - share) / of + square / (4 * of)) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def _poisson(count: int, hours: float) -> tuple[float, float]:
    """Return the 90 % interval of a count per hour, by the normal approximation."""
    half = _Z90 * sqrt(count + 1)
    return max(0.0, count - half) / hours, (count + half) / hours
