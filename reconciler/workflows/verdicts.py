"""What an auditor is shown of a verification: what is wrong, which witness there was, and what to note down for the next time."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.audit import Record
from reconciler.ledger import Verdict
from reconciler.report import Report, Row, Table, Tone, count


def report(tenant: str, found: Verdict, kept_by: str) -> Report:
    """Return the report of a verification: exit 1 when anything is wrong; what would have shown a rollback; the head to note down."""
    empty = found.head is None and not found.defects
    tables = (
        Table("Defects", ("note", "line", "what is wrong", "record"), tuple(_defect_rows(found))),
        Table(
            "Writes whose fate is not recorded",
            ("time", "manifest", "id", "what", "run"),
            tuple(map(_open_row, found.open_intents)),
        ),
    )
    return Report(
        title=f"Verify the audit records of tenant {tenant}",
        verdict="empty: nothing was ever recorded" if empty else str(found),
        tone=_verdict_tone(found),
        exit_code=1 if found.defects else 0,
        tables=tuple(table for table in tables if table.rows),
        notes=(*found.remarks, *_advice(found)),
        facts={
            "kept by": kept_by,
            "head": found.head or "none",
            "records": f"{found.records} in {count(found.runs, 'run')}, {count(found.commits, 'ledger commit')}",
            "witnesses": ", ".join(found.witnesses) or "none",
        },
        data={
            "head": found.head,
            "commits": found.commits,
            "records": found.records,
            "runs": found.runs,
            "consistent": not found.defects,
            "witnesses": list(found.witnesses),
            "remarks": list(found.remarks),
            "defects": [
                {"commit": d.commit, "line": d.line, "problem": d.problem, "id": d.id}
                for d in found.defects
            ],
            "open_intents": [record.fields() for record in found.open_intents],
        },
    )


def _verdict_tone(found: Verdict) -> Tone:
    if found.defects:
        return Tone.BAD
    return Tone.GOOD if found.witnesses or found.head is None else Tone.WARN


def _defect_rows(found: Verdict) -> Iterable[Row]:
    for each in found.defects:
        note, line = each.commit[:12] or "ledger", str(each.line or "")
        yield Row((note, line, each.problem, each.id[:12]), Tone.BAD)


def _open_row(record: Record) -> Row:
    data = record.data
    cells = (record.event.ts, str(data.get("name") or ""), data["target"], data["verb"])
    return Row((*cells, record.event.run), Tone.WARN)


def _advice(found: Verdict) -> tuple[str, ...]:
    notes = []
    if found.open_intents:
        notes.append("what is open is no defect: the next apply reads back what became of it")
    if found.defects:
        notes.append(
            "keep this ledger as it is, and compare it with another clone's or with the mirror branch: what it was before stands there"
        )
    elif found.head is not None and not found.witnesses:
        notes.append(
            "whether all of them were rolled back or rewritten together cannot be told: that takes a mirror branch, signatures, or a head that was noted down"
        )
    if found.head is not None and not found.defects:
        notes.append(
            f"note the head down; next time: reconcile audit verify PATH --expect-head {found.head}"
        )
    return tuple(notes)
