"""`audit at` answers from what was found as its manifest says, too, and by the platform's clock wherever a record tells it."""

from datetime import timedelta

import pytest

from reconciler import audit
from reconciler.audit import Event
from reconciler.plan import Result
from tests.audit.test_records import COMMIT, chained
from tests.support.bodies import make_body
from tests.support.desk import Desk, desk, git
from tests.support.factories import make_desired
from tests.support.gitfakes import START, Clock, operation, run

__all__ = ["desk"]

AHEAD = timedelta(days=90)
HOUR = timedelta(hours=1)


def wrote(clock: Clock, **observed: object) -> list[Event]:
    maker = run(COMMIT, "run-2", clock=clock)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    return [intent, maker.outcome(intent, Result.UPDATED, audit={}, **observed)]


def test_what_was_found_counts_from_the_platforms_instant_on() -> None:
    found = run(COMMIT).found(make_desired("1001", body=make_body()), START + AHEAD)
    records = chained([found])
    before = audit.at(records, START + AHEAD - HOUR, "1001")
    assert (before.stored, before.active) == (None, None)
    then = audit.at(records, START + AHEAD, "1001")
    assert then.stored == then.active
    assert then.stored.intent.id == found.id
    assert audit.at(records, START + AHEAD, "1002").stored is None


def test_what_an_import_found_was_stored_unless_a_write_says_otherwise() -> None:
    clock = Clock()
    clock.pass_by(3600)
    intent, outcome = wrote(clock)
    clock.pass_by(3600)
    seen = run(COMMIT).imported("Campaign", "1001", "a", make_body(), clock.now)
    alone = audit.at(chained([seen]), clock.now, "1001")
    assert (alone.stored.intent.id, alone.active) == (seen.id, None)
    after = audit.at(chained([intent, outcome, seen]), clock.now, "1001")
    assert after.stored.intent.id == after.active.intent.id == intent.id


def test_the_last_of_what_was_found_and_what_was_written_counts() -> None:
    clock = Clock()
    found = run(COMMIT).found(make_desired("1001", body=make_body()), START)
    clock.pass_by(3600)
    intent, outcome = wrote(clock)
    records = chained([found, intent, outcome])
    assert audit.at(records, START, "1001").stored.intent.id == found.id
    assert audit.at(records, START + HOUR, "1001").stored.intent.id == intent.id
    clock.pass_by(3600)
    again = run(COMMIT, "run-3").found(make_desired("1001", body=make_body()), clock.now)
    records = chained([intent, outcome, again])
    assert audit.at(records, clock.now, "1001").active.intent.id == again.id


@pytest.mark.parametrize("ahead", [AHEAD, timedelta(), -AHEAD])
def test_a_hold_is_placed_by_the_platforms_clock_that_its_run_saw(ahead: timedelta) -> None:
    clock = Clock()
    stop = run(COMMIT, "run-2", clock=clock)
    hold = stop.hold("1001", name="a", reason="r")
    events = [hold, *wrote(clock, at=audit.stamp(START + ahead))]
    other = run(COMMIT, "run-9", clock=clock).note("another machine's, of which nobody knows more")
    records = chained([*events, other])
    assert len(audit.until(records, START + ahead)) == (3 if ahead < timedelta() else 4)
    early = audit.until(records, START + ahead - HOUR)
    assert hold.id not in {record.id for record in early}


def test_what_was_taken_over_is_told_with_its_commit(desk: Desk) -> None:
    """The samples' platform lives in March 2027, whatever year it is here."""
    assert desk.run("apply", "--yes", "schedules/sandbox") == 0
    head = git(desk.folder, "rev-parse", "HEAD")[:12]
    asked = ("--campaign", "loyalty-survey", "schedules/sandbox")
    assert desk.run("audit", "at", "2027-03-02T00:00:00Z", *asked) == 0
    assert (
        f"stored and active: the schedule of commit {head}, which was found stored and was not written by reconcile"
        in desk.out
    )
    assert "dial_rate" in desk.out
    assert desk.run("audit", "at", "2027-02-28T00:00:00Z", *asked) == 0
    assert desk.out.splitlines()[-1].startswith("not known: no write to loyalty-survey")
