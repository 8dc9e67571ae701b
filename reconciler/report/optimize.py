"""The report of `optimize`: proposals, and why the other manifests are left as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reconciler.effect import Direction
from reconciler.errors import ExitCode
from reconciler.optimize.base import Declined, Proposal
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
    field: str,
    written: Sequence[str],
    notes: Sequence[str],
) -> Report:
    """Return the report of proposed values.

    Args:
        title: title of the report.
        proposals: each with its direction.
        declined: the manifests without a proposal.
        field: the field whose value is proposed.
        written: files that the proposals were written to.
        notes: sentences after the tables.
    """
    proposed = [proposal for proposal, _ in proposals]
    tables = (_changes(proposals, field), _reasons(proposed), _declined(declined))
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
                {"key": each.key, "name": each.name, "reason": each.reason} for each in declined
            ],
            "written": list(written),
        },
    )


def _changes(proposals: Sequence[tuple[Proposal, Direction]], field: str) -> Table:
    """Return a row for each proposal. What may widen dialing comes first."""
    rows = tuple(
        object_row(
            "update",
            each.name,
            each.key,
            direction.value,
            f"{field} {value(each.current)} → {value(each.proposed)}",
            tone=Tone.CHANGE,
            names=(each.name,) if direction.widens else (),
        )
        for each, direction in sorted(proposals, key=lambda pair: not pair[1].widens)
    )
    return Table("Changes", ("action", "manifest", "id", "direction", "change"), rows)


def _reasons(proposals: Sequence[Proposal]) -> Table:
    rows = tuple(
        Row((each.name, f"{each.projected_answer_rate:.3f}", each.reason)) for each in proposals
    )
    return Table("Why", ("manifest", "projected answer rate", "reason"), rows)


def _declined(declined: Sequence[Declined]) -> Table:
    rows = tuple(Row((each.name, each.reason), Tone.DIM) for each in declined)
    return Table("Left as they are", ("manifest", "reason"), rows)


def _serialised(proposal: Proposal) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "name": proposal.name,
        "current": proposal.current,
        "proposed": proposal.proposed,
        "reason": proposal.reason,
        "attempts": proposal.evidence.attempts,
        "answers": proposal.evidence.answers,
        "projected_answer_rate": proposal.projected_answer_rate,
    }
