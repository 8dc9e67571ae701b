"""The report of `optimize`: proposals, and why the other manifests are left as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from reconciler.effect import Direction
from reconciler.errors import ExitCode
from reconciler.optimize.base import Declined, Prediction, Proposal
from reconciler.report import Report, Row, Table, Tone, count, object_row, value

APPLY_LATER: Final = (
    "nothing is applied: commit the edits, and have them reviewed like any other change"
)
WRITE_FIRST: Final = "nothing is edited and nothing applied: --write puts this into the manifests"


def of_advice(
    title: str,
    proposals: Sequence[tuple[Proposal, Direction]],
    declined: Sequence[Declined],
    *,
    written: Sequence[str],
    notes: Sequence[str],
) -> Report:
    """Return the report of proposed values.

    Args:
        title: title of the report.
        proposals: each with its direction.
        declined: the manifests without a proposal.
        written: files that the proposals were written to.
        notes: sentences after the tables.
    """
    proposed = [proposal for proposal, _ in proposals]
    tables = (_changes(proposals), _reasons(proposed), _declined(declined))
    verb = f"written to {', '.join(written)}" if written else "proposed"
    return Report(
        title=title,
        verdict=f"{count(len(proposals), 'change')} {verb}; {count(len(declined), 'schedule')} left as {'it is' if len(declined) == 1 else 'they are'}",
        tone=Tone.CHANGE if proposals else Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=tuple(table for table in tables if table.rows),
        notes=(*((APPLY_LATER if written else WRITE_FIRST,) if proposals else ()), *notes),
        data={
            "proposals": [_serialised(each) for each in proposed],
            "declined": [
                {
                    "key": each.key,
                    "name": each.name,
                    "reason": each.reason,
                    "proposal": each.proposal and _serialised(each.proposal),
                }
                for each in declined
            ],
            "written": list(written),
        },
    )


def _changes(proposals: Sequence[tuple[Proposal, Direction]]) -> Table:
    """Return a row for each proposal. What may widen dialing comes first."""
    rows = tuple(
        object_row(
            "update",
            each.name,
            each.key,
            direction.value,
            ", ".join(
                f"{change.field} {value(change.current)} → {value(change.proposed)}"
                for change in each.changes
            ),
            tone=Tone.CHANGE,
            names=(each.name,) if direction.widens else (),
        )
        for each, direction in sorted(proposals, key=lambda pair: not pair[1].widens)
    )
    return Table("Changes", ("action", "manifest", "id", "direction", "change"), rows)


def _reasons(proposals: Sequence[Proposal]) -> Table:
    rows = tuple(
        Row(
            (
                each.name,
                *(_abandonment(when) for when in (each.before, each.after)),
                " ".join((f"{each.reason}.", *each.notes)) if each.notes else each.reason,
            )
        )
        for each in proposals
    )
    return Table("Why", ("manifest", "abandoned now", "abandoned then", "reason"), rows)


def _abandonment(prediction: Prediction | None) -> str:
    """Return the predicted abandonment with its 90 % interval."""
    if prediction is None:
        return "unknown"
    low, mean, high = prediction.abandonment
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def _declined(declined: Sequence[Declined]) -> Table:
    rows = tuple(Row((each.name, each.reason), Tone.DIM) for each in declined)
    return Table("Left as they are", ("manifest", "reason"), rows)


def _serialised(proposal: Proposal) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "name": proposal.name,
        "changes": [asdict(each) for each in proposal.changes],
        "reason": proposal.reason,
        "attempts": proposal.evidence.attempts,
        "answers": proposal.evidence.answers,
        "projected_answer_rate": proposal.projected_answer_rate,
        "before": _predicted(proposal.before),
        "after": _predicted(proposal.after),
        "notes": list(proposal.notes),
    }


def _predicted(prediction: Prediction | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    binding = prediction.binding
    return {
        "binding": None if binding is None else binding.start.isoformat(),
        "abandonment": prediction.abandonment._asdict(),
        "utilisation": prediction.utilisation._asdict(),
        "contacts_per_hour": prediction.contacts_per_hour._asdict(),
    }
