"""Optimization strategies: one module each, listed in `STRATEGIES`.

Call a strategy through `advise`: it leaves out unusable observations, runs the strategy, adds predictions, and applies the veto. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.optimize import allocate, answers, budget, erlang, outlook, ratio, step, veto
from reconciler.optimize.base import (
    CALLS,
    RATE,
    Advice,
    Context,
    Declined,
    Proposal,
    Strategy,
    Subject,
)
from reconciler.optimize.observations import usable
from reconciler.optimize.outlook import Setting

STRATEGIES: Mapping[str, Strategy] = {
    each.NAME: each for each in (erlang, ratio, budget, allocate, step)
}
"""Strategies by the name for `--strategy`."""


def advise(strategy: str, subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Return one piece of advice per subject, in the same order.

    Args:
        strategy: a key of `STRATEGIES`.
        subjects: the objects, each key once. Observed hours that contradict themselves are left out and named.
        context: see `Context`.

    Raises:
        ImportError: the extra `optimize` is not installed.
        ValueError: `step` without a target answer rate.
    """
    cleaned = [usable(each, context.now) for each in subjects]
    others = tuple(usable(each, context.now)[0] for each in context.others)
    usables = [subject for subject, _ in cleaned]
    advice = STRATEGIES[strategy].propose(usables, replace(context, others=others))
    judged = (
        veto.judge(each, subject, context.now)
        for each, subject in zip(_predicted(advice, usables, context), usables, strict=True)
    )
    return tuple(_with(each, left_out) for each, (_, left_out) in zip(judged, cleaned, strict=True))


def _predicted(
    advice: Sequence[Advice], subjects: Sequence[Subject], context: Context
) -> Sequence[Advice]:
    """Return the advice with a prediction for each new dial rate that has none."""
    if not any(_lacks(each) for each in advice):
        return advice
    rates = context.answer_rates or answers.fit(subjects, context.now)
    return [
        _predict(each, outlook.hours_of(subject, rates), subject)
        if isinstance(each, Proposal) and _lacks(each)
        else each
        for each, subject in zip(advice, subjects, strict=True)
    ]


def _lacks(advice: Advice) -> bool:
    """Return whether a proposal changes what `outlook` can predict, and has no prediction."""
    return (
        isinstance(advice, Proposal)
        and advice.after is None
        and any(each.field in {RATE, CALLS} for each in advice.changes)
    )


def _predict(proposal: Proposal, hours: tuple[outlook.Hour, ...], subject: Subject) -> Proposal:
    if not hours or subject.dial_rate is None:
        return proposal
    proposed = {each.field: float(each.proposed) for each in proposal.changes}
    return replace(
        proposal,
        before=outlook.predict(hours, Setting.of(subject)),
        after=outlook.predict(hours, Setting.of(subject, **proposed)),
    )


def _with(advice: Advice, left_out: tuple[str, ...]) -> Advice:
    """Return the advice with notes on the observations that were left out."""
    if not left_out:
        return advice
    if isinstance(advice, Declined):
        return replace(advice, reason="; ".join((advice.reason, *left_out)))
    return replace(advice, notes=(*advice.notes, *(f"{each}." for each in left_out)))
