"""Prepare proposals for review: direction, effect on dialing, and plots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from reconciler import effect
from reconciler.kinds import Kind
from reconciler.kinds.live import Snapshot
from reconciler.optimize import answers
from reconciler.optimize.base import Proposal, Subject
from reconciler.report import NAMES_SHOWN, count, value
from reconciler.report.optimize import Proposed
from reconciler.report.proposal_plots import MOST_DRAWN, plots


def judged(
    proposals: Iterable[Proposal],
    subjects: Iterable[Subject],
    kinds: Mapping[str, Kind],
    now: datetime,
) -> Iterator[Proposed]:
    """Yield each proposal with its direction and its effect on dialing.

    Args:
        proposals: the proposals.
        subjects: their objects, among others.
        kinds: the kinds of the tenant.
        now: the platform's clock.
    """
    by_key = {each.key: each for each in subjects}
    for each in proposals:
        subject = by_key[each.key]
        kind, before = kinds[subject.kind], subject.spec
        after = {**before, **{change.field: change.proposed for change in each.changes}}
        direction = effect.by_fields(before, after, kind.rules)
        yield Proposed(each, subject, direction, effect.of_change(before, after, kind, now))


def drawn(
    proposed: Sequence[Proposed], subjects: Sequence[Subject], now: datetime
) -> list[Proposed]:
    """Return the proposals with plots; of many, only the first `MOST_DRAWN`.

    Args:
        proposed: the proposals.
        subjects: all objects that the strategy was asked about, with their usable hours: their answer rates are estimated together.
        now: the platform's clock.
    """
    rates = answers.fit(subjects, now)
    few = [
        each._replace(plots=plots(each.proposal, each.subject, rates))
        for each in proposed[:MOST_DRAWN]
    ]
    return [*few, *proposed[MOST_DRAWN:]]


def unlike_live(
    proposals: Sequence[Proposal],
    subjects: Iterable[Subject],
    snapshot: Snapshot,
    kinds: Mapping[str, Kind],
) -> tuple[str, ...]:
    """Return a note for each proposal whose current values are not those that the platform holds, at most `NAMES_SHOWN`.

    Merging such a proposal has a side effect: a commit that changes a field ends the hold of a narrowing made by hand.
    """
    by_key = {each.key: each for each in subjects}
    found = [
        f"{proposal.name}: {said}"
        for proposal in proposals
        if (said := _unlike(proposal, snapshot, kinds[by_key[proposal.key].kind]))
    ]
    more = len(found) - NAMES_SHOWN
    return (*found[:NAMES_SHOWN], *([f"and {more} more like that"] if more > 0 else []))


def _unlike(proposal: Proposal, snapshot: Snapshot, kind: Kind) -> str:
    live = snapshot.objects.get(proposal.key)
    if live is None or live.stored is None:
        return "the platform holds no schedule: it was stopped or removed, or was never applied. The proposal itself makes nothing dial"
    held = kind.canonical(live.stored)
    others = [
        f"{each.field} {value(held.get(each.field))}, and the manifest {value(each.current)}"
        for each in proposal.changes
        if held.get(each.field) != each.current
    ]
    if not others:
        return ""
    return f"the platform holds {'; '.join(others)}. If somebody narrowed it by hand, a merge of this proposal ends that hold"


def undrawn(proposed: Sequence[Proposed]) -> tuple[str, ...]:
    """Return a note if there are proposals that `drawn` leaves without plots."""
    more = len(proposed) - MOST_DRAWN
    said = f"{count(more, 'proposal')} without plots, because the page has many: name a manifest to see its own"
    return (said,) if more > 0 else ()
