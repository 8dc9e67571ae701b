"""Reports about audit records, whole, in each format that an auditor may be handed; and cells that no spreadsheet obeys."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Verdict
from reconciler.kinds.live import ScrubList
from reconciler.plan import Action, Result
from reconciler.renderers import csv as spreadsheet
from reconciler.renderers import html, markdown, text
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.audit import keys_of, of_entries, of_instant, of_records
from reconciler.report.records import details_of, log_row, summary, tone_of
from reconciler.report.verify import of_verify
from tests.renderers.reports import TEXTS
from tests.support.gitfakes import START, WHO, Clock, operation

COMMIT = "c" * 40
FACTS = {"kept by": "the git remote origin", "ledger": "e" * 40}
LISTS = (ScrubList("dnc-us", "Federal", "ACTIVE", "2027-01-10T00:00:00Z"),)


def _chained(*events):
    records: list[audit.Record] = []
    last: dict[str, audit.Record] = {}
    for event in events:
        records.append(audit.chain(event, last.get(event.run), len(records)))
        last[event.run] = records[-1]
    read, _ = audit.decode(COMMIT, b"".join(map(audit.encode, records)))  # as a ledger gives them
    return read


def _records():
    """A deployment, then an emergency stop and its end."""
    clock = Clock()
    deploy = audit.Run("acme", COMMIT, "run-1", clock, WHO)
    one = operation("1001")
    begun = deploy.open(
        digest="d" * 64, operations=1, tool="reconcile 1", ledger=None, applied=None
    )
    intent = deploy.intent(one, digest="d" * 64, generation=0)
    clock.pass_by(2)
    outcome = deploy.outcome(
        intent,
        Result.UPDATED,
        audit=one.audit,
        dnc_verified=True,
        dnc_lists=LISTS,
        schedule_id="s-1",
        latency_s=0.4,
    )
    closed = deploy.close({"updated": 1})
    clock.pass_by(3600)
    stopper = audit.Run("acme", COMMIT, "run-2", clock, audit.Attribution("night-shift"))
    until = START + timedelta(days=1)
    hold = stopper.hold("1001", name="campaign-1001", reason="complaints from Ohio", until=until)
    clock.pass_by(60)
    release = stopper.release("1001", name="campaign-1001", reason="they were about another one")
    return _chained(begun, intent, outcome, closed, hold, release)


RECORDS = _records()
DEFECT = audit.Defect(COMMIT, 3, "its content does not match its hash: it was edited", "a" * 64)
REPORTS = {
    "audit-show": of_records("acme", "campaign-1001", RECORDS[1:], FACTS),
    "audit-at": of_instant(
        "acme", "campaign-1001", ("1001",), START + timedelta(seconds=3602), RECORDS, FACTS
    ),
    "audit-verify": of_verify(
        "acme",
        "schedules/acme",
        Verdict("e" * 40, 2, 6, 2, (DEFECT,), RECORDS[1:2], ("the mirror branch",), refused=True),
        "the git remote origin",
    ),
    "audit-export": of_entries("acme", audit.entries(RECORDS)),
}


def test_the_values_of_a_schedule_that_was_removed_are_labelled() -> None:
    """A halt records the rate that it ended, which nobody may read as the rate that dials."""
    written = next(each for each in RECORDS if each.kind is audit.RecordKind.OUTCOME)
    event = dataclasses.replace(written.event, data={**written.data, "verb": "halt"})
    label = "of the schedule that was removed"
    assert any(label in line for line in details_of(dataclasses.replace(written, event=event)))
    assert not any(label in line for line in details_of(written))


def test_a_record_that_was_taken_over_unsigned_is_marked() -> None:
    for each in RECORDS:
        event = dataclasses.replace(each.event, data={**each.data, "unsigned": True})
        assert summary(dataclasses.replace(each, event=event)) == f"{summary(each)} (unsigned)"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_of_records_is_as_it_was_looked_at(name, golden):
    golden(f"{name}.txt", text.render(REPORTS[name]))
    golden(f"{name}.md", markdown.render(REPORTS[name]))
    golden(f"{name}.html", html.render(REPORTS[name]))


def test_an_export_for_a_spreadsheet_is_as_it_was_looked_at(golden):
    golden("audit-export.csv", spreadsheet.render(REPORTS["audit-export"]))


def test_every_kind_of_record_is_told_in_the_log():
    told = [log_row(record).cells[4] for record in RECORDS]
    assert told == [
        "apply: 1 operation, plan dddddddddddd",
        "update 1001 (tighten)",
        "SCHEDULE_DEPLOYED 1001: updated",
        "1 updated",
        "held until 2027-01-12T14:00:00.000Z: complaints from Ohio",
        "released: they were about another one",
    ]
    assert [tone_of(each) for each in RECORDS[2:5]] == [Tone.GOOD, Tone.PLAIN, Tone.WARN]


def test_a_name_that_moved_means_every_object_that_had_it():
    first, second = (
        RECORDS[1],
        dataclasses.replace(
            RECORDS[1],
            event=dataclasses.replace(RECORDS[1].event, data={**RECORDS[1].data, "target": "1002"}),
        ),
    )
    assert keys_of([first, second], "campaign-1001") == ("1001", "1002")
    assert keys_of([first, second], "1002") == ("1002",)
    assert keys_of([first, second], "1003") == ()


def test_a_doubt_lasts_until_the_next_write_that_is_known():
    clock = Clock()
    first, later = (audit.Run("acme", COMMIT, name, clock, WHO) for name in ("run-1", "run-2"))
    one = operation("1001")
    begun, again = (
        each.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
        for each in (first, later)
    )
    intent = first.intent(one, digest="d" * 64, generation=0)
    lost = first.outcome(intent, Result.UNKNOWN, audit=one.audit)
    clock.pass_by(60)
    second = later.intent(one, digest="d" * 64, generation=1)
    done = later.outcome(second, Result.UPDATED, audit=one.audit)
    records = _chained(begun, intent, lost, again, second, done)

    def doubts(seconds: float):
        instant = START + timedelta(seconds=seconds)
        return of_instant("acme", "1001", ("1001",), instant, records, FACTS).notes

    assert len(doubts(30)) == 1
    assert "is not known, so the state may have been different" in doubts(30)[0]
    assert doubts(60) == doubts(-1) == ()


def test_a_stop_of_unknown_outcome_is_a_doubt_although_an_earlier_write_was_recorded_after_it():
    """The apply moves the stop's records into the ledger before it records the outcome of its own write."""
    stop, apply = (audit.Run("acme", COMMIT, name, Clock(), WHO) for name in ("stop", "apply"))
    at = [audit.stamp(START + timedelta(minutes=each)) for each in (1, 2)]
    changed = apply.intent(one := operation("1001"), digest="d" * 64, generation=0)
    removed = stop.intent(operation("1001", action=Action.HALT), digest="d" * 64, generation=0)
    lost = stop.outcome(removed, Result.UNKNOWN, audit={}, at=at[1])
    done = apply.outcome(changed, Result.UPDATED, audit=one.audit, at=at[0])
    begun = (
        each.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
        for each in (apply, stop)
    )
    records, late = _chained(*begun, changed, removed, lost, done), START + timedelta(minutes=3)
    (note,) = of_instant("acme", "1001", ("1001",), late, records, FACTS).notes
    assert "run stop" in note


# --- a spreadsheet ----------------------------------------------------------------------------------------------------------


ATTACKS = ["=1+1", "+1-2", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\N{FULLWIDTH EQUALS SIGN}1"]
CELLS = st.one_of(st.sampled_from(ATTACKS), TEXTS)


def _read(cells: list[str]) -> list[list[str]]:
    table = Table("", tuple(f"c{n}" for n in range(len(cells))), (Row(tuple(cells)),))
    report = Report("", "", Tone.GOOD, 0, tables=(table,))
    return list(csv.reader(io.StringIO(spreadsheet.render(report))))


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_no_cell_is_a_formula_and_none_is_lost(cells):
    header, row = _read(cells)
    assert len(row) == len(cells) == len(header)
    for cell in row:
        assert re.fullmatch(r"-?[0-9.]+", cell) or not cell.lstrip().startswith(
            tuple("=+-@\t\r\N{FULLWIDTH EQUALS SIGN}")
        )
        assert cell.isprintable() or not cell.isascii()


@pytest.mark.parametrize("cell", ["-0.5", "2.4", "America/New_York 9-20", 'say "hi", twice', ""])
def test_what_is_harmless_is_left_as_it_is(cell):
    assert _read([cell, "x"])[1][0] == cell


@pytest.mark.parametrize("cell", ATTACKS)
def test_what_a_spreadsheet_would_obey_is_text(cell):
    assert _read([cell, "x"])[1][0].startswith("'")
