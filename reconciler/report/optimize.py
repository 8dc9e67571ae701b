"""The report of `optimize`: what is proposed, what it is expected to do, and why the other manifests are left as they are.

The same report is the body of a pull request (`--report`), so it says everything that a reviewer needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from reconciler.effect import Direction, Effect
from reconciler.errors import ExitCode
from reconciler.models import Body
from reconciler.optimize.base import Declined, OpenHour, Prediction, Proposal, Subject
from reconciler.optimize.predictions import WEEKDAYS, Happened, Kept, Observed, Verdict
from reconciler.optimize.wording import setting
from reconciler.report import (
    NAMES_SHOWN,
    Report,
    Row,
    Table,
    Tone,
    count,
    effects,
    object_row,
    value,
)
from reconciler.report.fields import local
from reconciler.report.plots import Plot, Range, percent

APPLY_LATER: Final = (
    "nothing is applied: commit the edits, and have them reviewed like any other change"
)
WRITE_FIRST: Final = "nothing is edited and nothing applied: `--write` puts this into the manifests"
MEASURES: Final = (
    "abandonment and utilisation are those of the binding hour, contacts the mean of all open hours"
)
INTERVALS: Final = "in parentheses: 90 % intervals of the mean over the coming weeks, for what the observed hours leave open about the answer rate; single hours differ more"


class Proposed(NamedTuple):
    """A proposal with everything that a reviewer needs.

    Attributes:
        proposal: the proposal.
        subject: the object that it is for.
        direction: whether it lets the dialer do more.
        effect: what it lets the dialer do.
        plots: drawings for the page.
    """

    proposal: Proposal
    subject: Subject
    direction: Direction
    effect: Effect
    plots: tuple[Plot, ...] = ()

    @property
    def after(self) -> Body:
        """The body with the proposed values."""
        changes = {each.field: each.proposed for each in self.proposal.changes}
        return {**self.subject.spec, **changes}


class PastProposal(NamedTuple):
    """The last proposal for an object, compared with observations.

    Attributes:
        kept: the prediction.
        name: the manifest.
        why: why nothing can be compared; empty if something is.
        happened: the observations since the apply; `None`: see `why`.
    """

    kept: Kept
    name: str
    why: str = ""
    happened: Happened | None = None


def of_advice(
    title: str,
    proposals: Sequence[Proposed],
    declined: Sequence[Declined],
    *,
    written: Sequence[str],
    notes: Sequence[str],
    past: Sequence[PastProposal] = (),
) -> Report:
    """Return the report of proposed values.

    Args:
        title: title of the report.
        proposals: the proposals.
        declined: the manifests without a proposal.
        written: files that the proposals were written to.
        notes: sentences after the tables.
        past: the last proposals, compared with observations.
    """
    tables = (
        _changes(proposals),
        _predictions(proposals),
        _reasons(proposals),
        _left(declined),
        _past_table(past),
    )
    verb = f"written to {', '.join(written)}" if written else "proposed"
    more = (APPLY_LATER if written else WRITE_FIRST,) if proposals else ()
    intervals = (MEASURES, INTERVALS) if tables[1].rows else ()
    return Report(
        title=title,
        verdict=f"{count(len(proposals), 'change')} {verb}; {count(len(declined), 'schedule')} left as {'it is' if len(declined) == 1 else 'they are'}",
        tone=Tone.CHANGE if proposals else Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=tuple(table for table in tables if table.rows),
        notes=(*intervals, *more, *notes),
        data={
            "proposals": [_serialised(each) for each in proposals],
            "declined": [
                {
                    "key": each.key,
                    "name": each.name,
                    "reason": each.reason,
                    "proposal": each.proposal and _values(each.proposal),
                }
                for each in declined
            ],
            "last_proposals": [_of_past(each) for each in past],
            "written": list(written),
            "notes": list(notes),
        },
    )


def _changes(proposals: Sequence[Proposed]) -> Table:
    """Return a row for each proposal, with its effect as details. What may widen dialing comes first."""
    rows = tuple(
        object_row(
            "update",
            each.proposal.name,
            each.proposal.key,
            each.direction.value,
            _changed(each.proposal),
            tone=Tone.CHANGE,
            details=effects.lines(each.effect, each.subject.spec, each.subject.zone),
            names=(each.proposal.name,) if each.direction.widens else (),
        )._replace(direction=each.direction.value, plots=each.plots)
        for each in sorted(proposals, key=lambda each: not each.direction.widens)
    )
    return Table("Changes", ("action", "manifest", "id", "direction", "change"), rows)


def _changed(proposal: Proposal) -> str:
    return ", ".join(
        f"{change.field} {value(change.current)} → {value(change.proposed)}"
        for change in proposal.changes
    )


def _predictions(proposals: Iterable[Proposed]) -> Table:
    """Return a row for each proposal whose effect can be predicted."""
    columns = (
        "manifest",
        "binding hour",
        "abandoned then",
        "utilisation then",
        "contacts an hour",
    )
    rows = tuple(
        Row((each.name, *_predicted(each, subject)))
        for each, subject, *_ in proposals
        if each.before or each.after
    )
    return Table("Predicted, before → after", columns, rows)


def _predicted(proposal: Proposal, subject: Subject) -> Iterator[str]:
    sides = (proposal.before, proposal.after)
    hours = [_hour(side.binding if side else None, subject.zone) for side in sides]
    yield hours[0] if hours[0] == hours[1] else " → ".join(filter(None, hours))
    yield f"{_abandoned(sides)}; cap {setting(subject.pacing.abandonment_cap)}"
    yield " → ".join(Range(*side.utilisation).percent if side else "not known" for side in sides)
    contacts = " → ".join(
        Range(*side.contacts_per_hour).number if side else "not known" for side in sides
    )
    yield f"{contacts}{_relative(*sides)}"


def _abandoned(sides: Iterable[Prediction | None]) -> str:
    return " → ".join(Range(*side.abandonment).percent if side else "not known" for side in sides)


def _relative(before: Prediction | None, after: Prediction | None) -> str:
    """Return by how much the contacts change: ``; -13 %``."""
    was = before.contacts_per_hour.mean if before else 0.0
    return (
        f"; {after.contacts_per_hour.mean / was - 1:+.0%}".replace("%", " %")
        if after and was
        else ""
    )


def _hour(hour: OpenHour | None, zone: str) -> str:
    """Return an hour of the week on a schedule's clock: ``Tue 18:00 America/New_York``."""
    return "" if hour is None else f"{WEEKDAYS[hour.weekday]} {hour.hour:02}:00 {zone}"


def _reasons(proposals: Iterable[Proposed]) -> Table:
    reasons = (
        (each.name, " ".join((f"{each.reason}.", *each.notes)) if each.notes else each.reason, ())
        for each, *_ in proposals
    )
    return Table("Why", ("manifest", "reason"), _by_reason(reasons, Tone.PLAIN))


def _left(declined: Sequence[Declined]) -> Table:
    reasons = ((each.name, each.reason, _refused(each.proposal)) for each in declined)
    return Table("Left as they are", ("manifest", "reason"), _by_reason(reasons, Tone.DIM))


def _by_reason(reasons: Iterable[tuple[str, str, tuple[str, ...]]], tone: Tone) -> tuple[Row, ...]:
    """Return a row for each reason, with the names that share it as details; `reasons`: name, reason and further lines of each manifest."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, reason, more in reasons:
        groups.setdefault((reason, more), []).append(name)
    return tuple(
        Row((names[0], reason), tone, more)
        if len(names) == 1
        else Row((count(len(names), "manifest"), reason), tone, (*_lines(names), *more))
        for (reason, more), names in groups.items()
    )


def _lines(names: Sequence[str]) -> Iterator[str]:
    """Yield names, a few on each line, because renderers cut long lines."""
    for first in range(0, len(names), NAMES_SHOWN):
        yield ", ".join(names[first : first + NAMES_SHOWN])


def _refused(proposal: Proposal | None) -> tuple[str, ...]:
    """Return what a declined proposal would have done."""
    if proposal is None:
        return ()
    abandoned = _abandoned((proposal.before, proposal.after))
    return (f"not proposed: {_changed(proposal)}; abandoned {abandoned}",)


def _past_table(past: Iterable[PastProposal]) -> Table:
    """Return a row for the last proposal of each object: its prediction, and the observations since."""
    columns = ("manifest", "since", "abandoned in the binding hour", "contacts per open hour")
    return Table("What the last proposals led to", columns, tuple(map(_row_of_past, past)))


def _row_of_past(past: PastProposal) -> Row:
    kept, happened = past.kept, past.happened
    if happened is None:
        said = f"{past.why} ({kept.at:%Y-%m-%d})"
        return Row((past.name, said), Tone.DIM)
    lost, contacts = happened.abandonment, happened.contacts_per_hour
    abandoned = (
        f"{percent(lost.value)} ({lost.events:,} of {lost.of:,.0f} answers in {lost.hours} h)"
    )
    served = f"{contacts.value:,.0f} ({contacts.events:,} in {contacts.of:g} h)"
    hour = f"{WEEKDAYS[kept.weekday]} {kept.hour:02}:00"
    return Row(
        (
            past.name,
            local(f"{happened.since:%Y-%m-%dT%H:%M}:00Z", kept.zone),
            f"{hour}: {_beside(Range(*kept.abandonment).percent, abandoned, lost)}",
            _beside(Range(*kept.contacts_per_hour).number, served, contacts),
        ),
        Tone.WARN if lost.verdict is Verdict.ABOVE else Tone.PLAIN,
    )


def _beside(predicted: str, observed: str, found: Observed) -> str:
    """Return a prediction with what was observed."""
    if found.verdict is Verdict.UNSEEN:
        return f"predicted {predicted}, {found.verdict}"
    return f"predicted {predicted}, observed {observed}: {found.verdict}"


def _of_past(past: PastProposal) -> dict[str, Any]:
    kept, happened = past.kept, past.happened
    return {
        "key": kept.key,
        "name": past.name,
        "proposed_at": kept.at.isoformat(),
        "values": dict(kept.values),
        "binding": {"weekday": WEEKDAYS[kept.weekday], "hour": kept.hour, "zone": kept.zone},
        "predicted": {
            "abandonment": kept.abandonment._asdict(),
            "contacts_per_hour": kept.contacts_per_hour._asdict(),
        },
        "why": past.why,
        "observed": happened
        and {
            "since": happened.since.isoformat(),
            "abandonment": happened.abandonment._asdict(),
            "contacts_per_hour": happened.contacts_per_hour._asdict(),
        },
    }


def _serialised(proposed: Proposed) -> dict[str, Any]:
    return {
        **_values(proposed.proposal),
        "direction": proposed.direction.value,
        "effect": proposed.effect.serialised(),
        "zone": proposed.subject.zone,
    }


def _values(proposal: Proposal) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "name": proposal.name,
        "changes": [asdict(each) for each in proposal.changes],
        "reason": proposal.reason,
        "attempts": proposal.evidence.attempts,
        "answers": proposal.evidence.answers,
        "abandons": None if proposal.evidence.uncounted else proposal.evidence.abandons,
        "hours": proposal.evidence.hours,
        "projected_answer_rate": proposal.projected_answer_rate,
        "before": _prediction(proposal.before),
        "after": _prediction(proposal.after),
        "notes": list(proposal.notes),
    }


def _prediction(prediction: Prediction | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    binding = prediction.binding
    return {
        "binding": None
        if binding is None
        else {
            "start": binding.start.isoformat(),
            "weekday": WEEKDAYS[binding.weekday],
            "hour": binding.hour,
        },
        "abandonment": prediction.abandonment._asdict(),
        "utilisation": prediction.utilisation._asdict(),
        "contacts_per_hour": prediction.contacts_per_hour._asdict(),
    }
