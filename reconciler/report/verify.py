"""Report of `audit verify`: defects, witnesses, and the head to note down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.audit import Record, Verdict
from reconciler.errors import ExitCode
from reconciler.report import Report, Row, Table, Tone, count


def of_verify(tenant: str, folder: str, found: Verdict, kept_by: str) -> Report:
    """Return the report of a verification. The exit code is 1 when there is a defect.

    Args:
        tenant: its name.
        folder: its folder, as a word of the shell commands that notes print.
        found: the result.
        kept_by: where the records are.
    """
    empty = found.head is None and not found.defects
    tables = (
        Table("Defects", ("note", "line", "what is wrong", "record"), tuple(_defect_rows(found))),
        Table(
            "Writes without a recorded outcome",
            ("time", "manifest", "id", "what", "run"),
            tuple(map(_open_row, found.open_intents)),
        ),
    )
    return Report(
        title=f"Verify the audit records of tenant {tenant}",
        verdict="empty: nothing is recorded" if empty else str(found),
        tone=_verdict_tone(found),
        exit_code=ExitCode.ERROR if found.defects else 0,
        tables=tuple(table for table in tables if table.rows),
        notes=(*found.remarks, *_advice(found, folder)),
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
            "first_bad_line_from": found.source.commit if found.source else None,
        },
    )


def _verdict_tone(found: Verdict) -> Tone:
    if found.defects:
        return Tone.BAD
    return Tone.GOOD if found.witnesses or found.head is None else Tone.WARN


def _defect_rows(found: Verdict) -> Iterable[Row]:
    for each in found.defects:
        note, line = each.commit[:12] or "ledger", str(each.line or "")
        yield Row((note, line, each.problem, each.id[:12]), Tone.BAD, name=note)


def _open_row(record: Record) -> Row:
    data = record.data
    cells = (record.event.ts, str(data.get("name") or ""), data["target"], data["verb"])
    return Row((*cells, record.event.run), Tone.WARN)


def _restoring(found: Verdict, folder: str) -> Iterator[str]:
    """Yield instructions for a damaged ledger. They call no commit intact, because a damaged ledger cannot prove that."""
    if found.refused:
        yield "Until the ledger is restored or repaired, plan, apply and release fail with exit code 1. halt still stops dialing, and its records wait in a ref of their own until then."
    elif found.claimed is not None:
        yield (
            "plan, apply and release begin at the repair, so what is damaged before it does not stop them. If nobody of you made the repair, run no apply"
            " and keep scheduled ones from running until the ledger is restored: what the repair left out does not hold, and may dial again."
        )
    else:
        yield (
            "plan, apply and release do not detect this and still run, so an object that is held may dial again. Run no apply, and keep scheduled ones"
            " from running, until the ledger is restored or repaired. halt still stops dialing."
        )
    if found.source is not None:
        before = found.source.before
        yield (
            f"The first bad line is from ledger commit {found.source.commit}. Before it, the ledger was at "
            f"{before or 'no commit'}. Find out who pushed it: see the forge's log of pushes. The author in the commit proves nothing."
        )
    yield (
        f"Keep this ledger for the investigation: git update-ref refs/reconcile/damaged {found.head}. Then restore the ledger's ref, and its "
        "mirror branch, to the last commit that a second source confirms: a head that was noted down (`audit verify --expect-head`), "
        "`refs/reconcile/seen/` of a clone that has not fetched since, or the mirror branch if only CI may push to it. Last, in each clone, "
        "forget what it saw: git update-ref -d refs/reconcile/seen/<api>/<host>"
    )
    if found.claimed is None:
        yield (
            f"If nothing can be restored: reconcile audit repair {folder} --head {found.head} --reason TEXT. It goes on with the records that can still be"
            " read in the whole history; what lost records held would dial again"
        )


def _advice(found: Verdict, folder: str) -> tuple[str, ...]:
    notes = []
    if found.open_intents:
        notes.append(
            "A write without a recorded outcome is no defect. The next apply reads its outcome back."
        )
    if found.defects:
        notes += _restoring(found, folder)
    elif found.head is not None and not found.witnesses:
        notes.append(
            "This check cannot detect a rollback or a rewrite of the whole ledger. That needs a mirror branch, signatures, or --expect-head."
        )
    if found.head is not None and not found.defects:
        notes.append(
            f"Note the head down. Next time: reconcile audit verify {folder} --expect-head {found.head}"
        )
    return tuple(notes)
