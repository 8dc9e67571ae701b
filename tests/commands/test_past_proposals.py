"""A later `optimize` says what the last merged proposal predicted and what then happened, by the audit records in git."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import sandbox
from reconciler.commands import apply as apply_command
from reconciler.commands import import_, optimize
from reconciler.optimize import predictions
from reconciler.optimize.intervals import Interval
from reconciler.optimize.predictions import Kept
from tests.commands.test_import import Desk
from tests.support import fasttime
from tests.support.gitfakes import git, repository

KEY = "1000000"
PROPOSED = datetime(2027, 3, 8, 12, tzinfo=UTC)
APPLIED = datetime(2027, 3, 9, 15, 30, tzinfo=UTC)
TUESDAY = datetime(2027, 3, 9, 20, tzinfo=UTC)
"""The first Tuesday 15:00 in New York after the apply; that of the proposal is two hours before it."""
LATER = datetime(2027, 3, 11, 12, tzinfo=UTC)
KEPT = Kept(
    KEY,
    PROPOSED,
    {"dial_rate": 1.5},
    1,
    15,
    "America/New_York",
    Interval(0.012, 0.02, 0.029),
    Interval(500, 560, 610),
)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A tenant whose dial rate was proposed, merged and applied."""
    repository(tmp_path)
    (tmp_path / ".gitignore").write_text(".reconcile/\n")
    made = Desk(tmp_path, "campaigns")
    made.world = made.world._replace(
        now=lambda: LATER, sleep=fasttime.sleep, monotonic=fasttime.monotonic
    )
    made.platform.pin("2027-03-07T14:00:00Z")
    sandbox.seed_many(made.platform, 1)
    made.platform.configure(requests_per_second=0, activation_s=0)
    asyncio.run(import_.run(made.world, import_.ImportRequest(made.folder)))
    made.file = made.folder / f"campaign-{KEY}.yaml"
    edit(made, "dial_rate: 1.0", "dial_rate: 1.5")
    (made.folder / predictions.FILE).write_text(predictions.render([KEPT]))
    observe(made, TUESDAY - timedelta(hours=5), 1000, 300, 90)
    observe(made, TUESDAY, 2400, 600, 14)
    yield made
    made.platform.close()


def edit(desk, old: str, new: str) -> None:
    text = desk.file.read_text()
    assert text.count(old) == 1
    desk.file.write_text(text.replace(old, new))


def apply(desk, at: datetime = APPLIED) -> None:
    """Commit and apply; the platform's clock is at `at`, and later afterwards."""
    git(desk.folder.parent, "add", "-A")
    git(desk.folder.parent, "commit", "-q", "-m", "As proposed")
    desk.platform.pin(at.isoformat())
    report = asyncio.run(
        apply_command.apply(desk.world, apply_command.ApplyRequest(desk.folder), asyncio.Event())
    )
    assert report.exit_code == 0, report
    desk.platform.pin(LATER.isoformat())


def observe(desk, start: datetime, attempts: int, answers: int, abandons: int) -> None:
    hour = {
        "attempts": attempts,
        "answers": answers,
        "abandons": abandons,
        "agents": 45,
        "handle_time_s": 180,
    }
    desk.platform.put_metrics(KEY, start, hour)


def looked(desk, target: float = 0.3, **more):
    asked = optimize.OptimizeRequest(
        desk.folder, target_answer_rate=target, strategy="step", **more
    )
    return asyncio.run(optimize.optimize(desk.world, asked))


def test_what_was_observed_after_the_apply_stands_beside_the_prediction(desk) -> None:
    apply(desk)
    report = looked(desk)
    (past,) = report.data["last_proposals"]
    assert past["why"] == ""
    since = datetime.fromisoformat(past["observed"]["since"])
    assert timedelta() <= since - APPLIED < timedelta(minutes=1)
    assert past["observed"]["abandonment"] == {
        "value": 14 / 600,
        "events": 14,
        "of": 600,
        "hours": 1,
        "verdict": "inside",
    }
    assert past["observed"]["contacts_per_hour"]["verdict"] == "inside"
    (table,) = [each for each in report.tables if each.title == "What the last proposals led to"]
    assert table.rows[0].cells == (
        f"campaign-{KEY}",
        "Tue 2027-03-09 10:30 America/New_York",
        "Tue 15:00: predicted 2.0 % (1.2 to 2.9 %), observed 2.3 % (14 of 600 answers in 1 h): inside",
        "predicted 560 (500 to 610), observed 586 (586 in 1 h): inside",
    )


def test_a_proposal_that_was_not_applied_is_not_judged(desk) -> None:
    (past,) = looked(desk).data["last_proposals"]
    assert (past["observed"], past["why"]) == (None, "not applied since it was proposed")
    apply(desk, PROPOSED - timedelta(minutes=1))
    (past,) = looked(desk).data["last_proposals"]
    assert past["why"] == "not applied since it was proposed"


def test_a_proposal_that_was_edited_before_the_merge_is_not_judged(desk) -> None:
    edit(desk, "dial_rate: 1.5", "dial_rate: 1.25")
    apply(desk)
    (past,) = looked(desk).data["last_proposals"]
    assert past["observed"] is None
    assert past["why"] == "applied with other values: dial_rate 1.5 became 1.25"


def test_an_apply_a_few_seconds_before_the_proposal_is_not_taken_for_its_own(desk) -> None:
    """The sandbox's clock stands almost still, and the table keeps whole minutes."""
    edit(desk, "dial_rate: 1.5", "dial_rate: 1.25")
    apply(desk, PROPOSED + timedelta(seconds=2))
    (past,) = looked(desk).data["last_proposals"]
    assert (past["observed"], past["why"]) == (None, "not applied since it was proposed")


def test_a_table_that_somebody_spoiled_costs_no_proposal(desk) -> None:
    apply(desk)
    path = desk.folder / predictions.FILE
    path.write_text(path.read_text().replace("0.02", "many") + "<script>alert(1)</script>\n")
    report = looked(desk)
    assert report.data["last_proposals"] == []
    assert any("predictions.md:7:1: this row cannot be read" in note for note in report.notes)


def test_somebodys_own_notes_are_neither_read_nor_overwritten(desk) -> None:
    apply(desk)
    path = desk.folder / predictions.FILE
    path.write_text("# My predictions\n")
    report = looked(desk, 0.5, write=True)
    assert report.data["written"] == [str(desk.file)]
    assert any("is not the table of `reconcile optimize`" in note for note in report.notes)
    assert path.read_text() == "# My predictions\n"


def test_a_ledger_that_cannot_be_read_costs_no_proposal(desk) -> None:
    apply(desk)
    root = desk.folder.parent
    (ref,) = git(root, "for-each-ref", "--format=%(refname)", "refs/notes/reconcile/").splitlines()
    git(root, "update-ref", ref, "HEAD")
    report = looked(desk)
    assert report.data["last_proposals"] == []
    assert any("what the last proposals led to is not known" in note for note in report.notes)


def test_a_shallow_clone_of_a_squashed_merge_knows_as_much(desk, tmp_path) -> None:
    apply(desk)
    root = desk.folder.parent
    git(root, "checkout", "-q", "--orphan", "squashed")
    git(root, "commit", "-q", "-m", "All in one")
    (past,) = looked(desk).data["last_proposals"]
    assert past["observed"]["abandonment"]["verdict"] == "inside"


def test_a_new_proposal_replaces_its_row_and_an_object_without_a_manifest_loses_its(desk) -> None:
    apply(desk)
    path = desk.folder / predictions.FILE
    other = replace(KEPT, key="gone")
    path.write_text(predictions.render([KEPT, other]))
    report = looked(desk, 0.5, write=True)
    assert {*report.data["written"]} == {str(desk.file), str(path)}
    kept, problems = predictions.parse(path.read_text(), "p.md")
    assert problems == ()
    assert all((key, row.values) == (KEY, {"dial_rate": 1.275}) for key, row in kept.items())
