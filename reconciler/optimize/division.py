"""The division of a capacity by `allocate`: limits by hour, the program's answer as values of manifests, and the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np

from reconciler.models import Capacity
from reconciler.optimize import answers, outlook, veto
from reconciler.optimize.base import (
    CALLS,
    RATE,
    Advice,
    Change,
    Context,
    Declined,
    Evidence,
    Proposal,
    Subject,
)
from reconciler.optimize.demand import RESOURCES, Demand, Limit, program
from reconciler.optimize.erlang import CLOSE, PACED_BY_LINES, reason_of
from reconciler.optimize.observations import recent
from reconciler.optimize.outlook import Setting
from reconciler.optimize.pace import Way
from reconciler.optimize.parties import Aside, Party, sort_out
from reconciler.optimize.prices import Price, prices
from reconciler.optimize.sharing import Floats, Shares, Sharing, solve
from reconciler.optimize.wording import clock, number, rounded_down, setting

WORTH: Final = 0.01
"""Part of its contacts that a campaign must gain by a higher dial rate."""


def divide(
    subjects: Sequence[Subject], everybody: Sequence[Subject], context: Context
) -> tuple[Advice, ...]:
    """Return one piece of advice per subject, in the same order.

    Args:
        subjects: campaigns that advice is asked for.
        everybody: all campaigns of the tenant, by key.
        context: with a capacity.
    """
    rates = context.answer_rates or answers.fit(subjects, context.now)
    asked = {each.key for each in subjects}
    parties, asides, reasons = sort_out(everybody, asked, rates, context.now)
    advice = _divide(parties, asides, context)
    return tuple(
        advice.get(each.key) or Declined(each.key, each.name, reasons[each.key])
        for each in subjects
    )


def _divide(
    parties: Sequence[Party], asides: Sequence[Aside], context: Context
) -> Mapping[str, Advice]:
    """Return the advice for each campaign that shares, by key. What the veto takes from one of them goes to the others."""
    advice = _divided(parties, asides, context)
    held = [
        veto.objection(each, party.subject, context.now) if isinstance(each, Proposal) else None
        for party, each in zip(parties, advice, strict=True)
    ]
    if any(held):
        again = [
            party.hold(reason) if reason else party
            for party, reason in zip(parties, held, strict=True)
        ]
        return _divide(again, asides, context)
    return {party.subject.key: each for party, each in zip(parties, advice, strict=True)}


def _divided(
    parties: Sequence[Party], asides: Sequence[Aside], context: Context
) -> Sequence[Advice]:
    """Return the advice for each campaign that shares."""
    if not parties:
        return []
    limits = _limits(parties, asides, context.capacity)
    demands = [each.demand for each in parties]
    reason = _exceeded(limits, parties, asides)
    if reason is None:
        found = program(demands, limits)
        reason = "the capacity leaves less than one concurrent call for each campaign in some hour: raise spec.capacity, or narrow windows"
        if found is not None:
            sharing, equal = found
            shares = solve(sharing)
            if isinstance(shares, Shares):
                price = prices(demands, limits, sharing, shares)
                answer = _answer(parties, sharing, shares, price, equal)
                return [_advise(each, answer, at, context.now) for at, each in enumerate(parties)]
            reason = f"the solver found no answer ({shares.reason}): use --strategy erlang"
    return [Declined(each.subject.key, each.subject.name, reason) for each in parties]


def _limits(
    parties: Sequence[Party], asides: Sequence[Aside], capacity: Capacity
) -> tuple[Limit, ...]:
    """Return what is left of the capacity in each hour in which a campaign that shares is open."""
    starts = sorted({start for each in parties for start in each.demand.starts})
    return tuple(
        limit
        for start in starts
        for limit in _left(start, [each for each in asides if start in each.starts], capacity)
    )


def _left(start: datetime, asides: Sequence[Aside], capacity: Capacity) -> Iterator[Limit]:
    """Yield what is left of the capacity in one hour.

    Args:
        start: the hour.
        asides: who dials then and does not share.
        capacity: of the tenant.
    """
    if capacity.concurrent_calls is not None:
        taken = sum(each.calls for each in asides)
        yield Limit(start, CALLS, capacity.concurrent_calls - taken)
    if capacity.calls_per_second is not None:
        yield Limit(start, RATE, capacity.calls_per_second - sum(each.rate for each in asides))


def _exceeded(
    limits: Sequence[Limit], parties: Sequence[Party], asides: Sequence[Aside]
) -> str | None:
    """Return an objection if the campaigns that do not share use the whole capacity in some hour; else `None`."""
    full = min(limits, key=lambda each: each.amount)
    if full.amount > 0:
        return None
    hour = next(hour for each in parties for hour in each.hours if hour.start == full.start)
    names = ", ".join(each.name for each in asides if full.start in each.starts)
    return f"on {clock(hour)} campaigns that stay as they are may take the whole capacity: {names}. Lower their {full.resource}, or raise spec.capacity"


class _Given(NamedTuple):
    """What a campaign gets.

    Attributes:
        setting: dial rate and concurrent calls.
        contacts: contacts of a week, each times its value.
        least: the contacts of a week that it must keep.
    """

    setting: Setting
    contacts: float
    least: float


@dataclass(frozen=True, slots=True)
class _Answer:
    """What all campaigns get.

    Attributes:
        given: what each campaign gets.
        prices: what more capacity is worth.
        contacts, equal: contacts of all campaigns together in a week, and with equal shares.
        unit: what is counted.
    """

    given: tuple[_Given, ...]
    prices: Sequence[Price]
    contacts: float
    equal: float
    unit: str

    def is_short(self, resource: str) -> bool:
        """Return whether there is too little of a resource in some hour."""
        return any(each.resource == resource for each in self.prices)


def _answer(
    parties: Sequence[Party],
    sharing: Sharing,
    shares: Shares,
    price: Sequence[Price],
    equal: Shares,
) -> _Answer:
    demands = [each.demand for each in parties]
    current = [[each.subject.spec.get(name) or 0 for name in RESOURCES] for each in parties]
    amounts = _kept(np.array(current, dtype=float), _written(demands, sharing, shares), sharing)
    given = []
    for party, (calls, rate), least in zip(
        parties, amounts.tolist(), sharing.least.tolist(), strict=True
    ):
        setting_ = _calmest(party, Setting(rate, calls))
        given.append(_Given(setting_, party.demand.contacts(setting_), least))
    return _Answer(
        tuple(given),
        price,
        sum(each.contacts for each in given),
        float(equal.contacts.sum()),
        "contacts" if all(each.value == 1 for each in demands) else "contacts times value",
    )


def _calmest(party: Party, best: Setting) -> Setting:
    """Return the current dial rate with the given calls, if a rise is small or reaches few more."""
    slower = best._replace(dial_rate=min(best.dial_rate, Setting.of(party.subject).dial_rate))
    if slower.dial_rate >= (1 - CLOSE) * best.dial_rate:
        return slower
    reached = party.demand.contacts(slower)
    return slower if reached >= (1 - WORTH) * party.demand.contacts(best) else best


def _written(demands: Sequence[Demand], sharing: Sharing, shares: Shares) -> Floats:
    """Return the amounts as manifests hold them, (n, 2): whole calls, and rates of three digits, not above the limits."""
    calls, rates = shares.amounts.T
    scarce = {RESOURCES[number] for number in sharing.resource.tolist()}
    most = np.array([each.best.dial_rate for each in demands])
    lower = np.array([rounded_down(rate) for rate in rates.tolist()])
    is_less = (rates < most * (1 - 1e-6)) & (RATE in scarce)
    if CALLS in scarce:
        calls = _whole(calls, sharing)
    return np.column_stack([calls.round(), np.where(is_less, lower, most)])


def _whole(calls: Floats, sharing: Sharing) -> Floats:
    """Return whole calls: rounded down, then up where the limits have room, the largest fractions first."""
    of_calls = sharing.resource == RESOURCES.index(CALLS)
    is_open, limits = sharing.is_open[of_calls], sharing.limits[of_calls]
    found = np.floor(calls + 1e-6)
    for at in np.argsort(found - calls, kind="stable").tolist():
        more = found + (np.arange(len(found)) == at)
        if calls[at] - found[at] > 1e-6 and (is_open @ more <= limits).all():  # noqa: PLR2004 - the solver's tolerance
            found = more
    return found


def _kept(current: Floats, best: Floats, sharing: Sharing) -> Floats:
    """Return the best amounts, (n, 2), or the current ones where both are close to them and all together within the limits."""
    is_close = (np.abs(current - best) <= CLOSE * best).all(axis=1, keepdims=True)
    kept = np.where(is_close, current, best)
    taken = (sharing.is_open * kept.T[sharing.resource]).sum(axis=1)
    if (taken <= sharing.limits * (1 + 1e-9)).all():
        return kept
    return np.where(is_close & (current <= best), current, best)


def _advise(party: Party, answer: _Answer, at: int, now: datetime) -> Advice:
    """Return the advice for the campaign at a place of the answer."""
    subject, after = party.subject, answer.given[at].setting
    before = Setting.of(subject)
    then: Mapping[str, float | int] = {RATE: after.dial_rate, CALLS: int(after.calls)}
    changes = tuple(
        Change(name, subject.spec[name], then[name])
        for name in (RATE, CALLS)
        if name in subject.spec and subject.spec[name] != then[name]
    )
    why = "; ".join(_why(party, answer, at))
    if not changes:
        reason = f"its values are within {setting(CLOSE)} of the best ones: {why}"
        return Declined(subject.key, subject.name, reason)
    loosens = after.dial_rate > before.dial_rate or after.calls > before.calls
    return Proposal(
        subject.key,
        subject.name,
        changes,
        why,
        Evidence.of(recent(subject.observed, now)),
        before=outlook.predict(party.week, before),
        after=outlook.predict(party.week, after),
        notes=tuple(_notes(party, answer, loosens=loosens)),
    )


def _why(party: Party, answer: _Answer, at: int) -> Iterator[str]:
    """Yield the parts of the reason: what binds the values, and what one more call would bring."""
    (rate, calls), contacts, least = answer.given[at]
    best, needed = party.demand.best
    if party.held:
        yield f"no value may rise, because {party.held}"
    if calls >= needed * (1 - CLOSE) and (rate >= best * (1 - CLOSE) or not answer.is_short(RATE)):
        if not party.held:
            yield reason_of(party.subject, party.best)
        yield f"the capacity has room for the {needed:.0f} concurrent calls that it can use"
        return
    part = f"{calls:.0f} of the {needed:.0f} concurrent calls"
    if calls >= needed * (1 - CLOSE):
        part = f"{number(rate)} of the {number(best)} calls/s"
    kept = ", half of the contacts of an equal share" if contacts <= least * (1 + CLOSE) else ""
    yield f"the capacity leaves {part} that it could use{kept}"
    for each in answer.prices:
        said = _worth(each, answer, party)
        if said:
            yield said


def _worth(price: Price, answer: _Answer, party: Party) -> str | None:
    """Return what one more call is worth, in a week and in the dearest hour in which the campaign is open; `None`: it is never short then."""
    hours = {each.start: each for each in party.hours if each.start in price.by_hour}
    if not hours:
        return None
    dearest = max(sorted(hours), key=lambda start: price.by_hour[start])
    one = "concurrent call" if price.resource == CALLS else "call per second"
    return f"one more {one} is worth {amount(price.by_hour[dearest])} {answer.unit} on {clock(hours[dearest])}, and {amount(price.a_week)} a week"


def amount(value: float) -> str:
    """Return an amount with two digits that count, or more before the point.

    >>> amount(19234.2), amount(4.13), amount(0.123)
    ('19,234', '4.1', '0.12')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"  # noqa: PLR2004 - from there on digits are whole


def _notes(party: Party, answer: _Answer, *, loosens: bool) -> Iterator[str]:
    """Yield notes for the reviewer of a proposal."""
    if party.best.way is not Way.RATE:
        yield PACED_BY_LINES
    if answer.prices:
        yield f"All campaigns together then reach {amount(answer.contacts)} {answer.unit} a week; equal shares of the capacity reach {amount(answer.equal)}."
        if loosens:
            yield "Merge it together with the other proposals: those that lower a value make the room."
