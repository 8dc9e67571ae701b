"""What a run that died left open: read back, closed, and never deployed twice; and HEAD that may not go back."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import sandbox
from reconciler.audit import Attribution, RecordKind, Run, key
from reconciler.commands import apply as apply_command
from reconciler.commands import plan as plan_command
from reconciler.commands import recovery
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.plan import Operation, Result
from reconciler.world import here
from tests.support.desk import Desk, commit, desk, git, server

__all__ = ["desk", "server"]

NAME, KEY = "warranty-reminders", "1003"
PATH = "schedules/sandbox"
LONG_AGO = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here commits late, but where a test says so."""
    monkeypatch.setattr(recovery, "SETTLE_S", 0.0)


def ledger(desk: Desk) -> Ledger:
    return Ledger.open(
        Git(desk.folder, environ=dict(os.environ)),
        "sandbox/sandbox",
        here(print),
    )


def die_after_the_intent(desk: Desk, *, attempts: int = 1) -> Operation:
    """Record what a run of a while ago was about to do with one campaign, and nothing after it; but for the last, attempts failed."""
    plan = asyncio.run(
        plan_command.read(here(lambda _: None), plan_command.PlanRequest(Path(PATH), (NAME,)))
    )
    (operation,) = plan.operations
    run = Run(
        "sandbox/sandbox",
        git(desk.folder, "rev-parse", "HEAD").strip(),
        "dead",
        lambda: datetime.now(UTC) - LONG_AGO,
        Attribution("somebody"),
    )
    begun = run.open(digest=plan.digest, operations=1, tool="test", ledger=None, applied=None)
    tries = [
        run.intent(operation, digest=plan.digest, generation=0, attempt=number)
        for number in range(attempts)
    ]
    failed = [run.outcome(each, Result.FAILED, audit={}) for each in tries[:-1]]
    ledger(desk).append([begun, *tries, *failed])
    return operation


def ends(desk: Desk) -> list[tuple[str, str]]:
    """Return each outcome of the campaign: the run's intent, and how it ended."""
    records = ledger(desk).records()
    runs = {record.id: record.event.run for record in records if record.kind is RecordKind.INTENT}
    outcomes = [record for record in records if record.kind is RecordKind.OUTCOME]
    return [
        (runs[record.data["intent"]], record.data["result"])
        for record in outcomes
        if record.data["target"] == KEY
    ]


def apply(desk: Desk, *more: str) -> int:
    return desk.run("apply", "--yes", PATH, NAME, *more)


def test_a_plan_says_that_something_is_open_and_that_there_is_something_to_do(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die_after_the_intent(desk)
    server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired)
    assert desk.run("plan", PATH, NAME, "--detailed-exitcode") == 2
    assert f"an earlier run did not record the outcome of {NAME}" in desk.out
    assert apply(desk) == 0
    assert desk.run("plan", PATH, NAME, "--detailed-exitcode") == 0


def test_what_had_been_done_is_confirmed_and_not_done_again(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die_after_the_intent(desk)
    server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired)
    assert apply(desk) == 0
    assert ends(desk) == [("dead", "confirmed")]
    assert server.executed(KEY) == 0


def test_what_the_platform_commits_late_is_waited_for_however_old_the_intent_is(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """All intents are recorded before the first write: a run may have sent this one just before it was killed."""
    operation = die_after_the_intent(desk)

    async def late(seconds: float) -> None:
        if seconds == recovery.SETTLE_S:
            server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired)

    world = here(lambda _: None)._replace(sleep=late)
    asyncio.run(
        apply_command.apply(world, apply_command.ApplyRequest(Path(PATH), (NAME,)), asyncio.Event())
    )
    assert ends(desk) == [("dead", "confirmed")]
    assert server.executed(KEY) == 0


def test_what_had_not_been_written_is_sent_under_the_dead_runs_own_key(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die_after_the_intent(desk)
    assert apply(desk) == 0
    intents = [record for record in ledger(desk).records() if record.kind is RecordKind.INTENT]
    head = git(desk.folder, "rev-parse", "HEAD").strip()
    assert [intent.data["key"] for intent in intents] == [
        key("sandbox/sandbox", head, operation.hash, 0, 0)
    ]
    assert ends(desk) == [("dead", "updated")]
    assert server.executed(KEY) == 1


def test_a_further_attempt_that_was_not_written_is_closed_because_this_run_has_another_key(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    die_after_the_intent(desk, attempts=2)
    assert apply(desk) == 0
    assert sorted(result for _, result in ends(desk)) == ["failed", "not_started", "updated"]
    assert ledger(desk).open_intents() == ()
    assert server.executed(KEY) == 1


def test_no_report_promises_to_activate_what_a_stop_holds(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die_after_the_intent(desk)
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired, active=False)
    apply(desk)
    assert f"an earlier run left {NAME} open" in desk.out
    assert "the dialer has not taken it yet: look at this object in the plan" in desk.out
    assert "activates it" not in desk.out
    assert server.executed(KEY) == 0


def test_what_was_stored_and_not_active_is_activated_without_another_write(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.faults.add(f"locked:{KEY}:times=1")
    assert apply(desk, "--wait", "0") == 75
    assert apply(desk) == 0
    assert [result for _, result in ends(desk)] == ["stored_not_active", "refreshed"]
    assert server.executed(KEY) == 1


def test_what_somebody_else_wrote_over_is_closed_as_unknown(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die_after_the_intent(desk)
    server.put_campaign(
        KEY, "Warranty Reminders", schedule={**(operation.desired or {}), "dial_rate": 9.0}
    )
    assert apply(desk) == 0
    assert ends(desk)[0] == ("dead", "unknown")
    assert "it is unknown whether it was" in desk.out


@pytest.mark.parametrize("fault", ["no-keys", "no-etags", ""])
def test_what_a_dead_run_stored_and_somebody_put_back_by_hand_is_not_stored_again(
    desk: Desk, server: sandbox.CampaignState, fault: str
) -> None:
    """By its body alone nothing had been written; the id says that it was stored again."""
    assert apply(desk) == 0
    desk.edit("dial_rate: 2.4", "dial_rate: 3.0", f"{NAME}.yaml")
    commit(desk.folder)
    operation = die_after_the_intent(desk)
    for body in (operation.desired, operation.live):
        server.put_campaign(KEY, "Warranty Reminders", schedule=body)
    if fault:
        server.faults.add(fault)
    assert apply(desk) == 0
    assert ("dead", "unknown") in ends(desk)
    assert f"held: {NAME}: `dial_rate` (3 → 2.4) was narrowed outside git" in desk.out
    assert json.loads(str(server.campaign(KEY)["schedule"]))["dial_rate"] == 2.4
    assert apply(desk, "--revert", NAME) == 0
    assert json.loads(str(server.campaign(KEY)["schedule"]))["dial_rate"] == 3.0


def test_what_is_not_wanted_any_more_is_closed_and_not_written(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    die_after_the_intent(desk)
    desk.edit("dial_rate: 2.4", "dial_rate: 3.0", f"{NAME}.yaml")
    commit(desk.folder)
    assert apply(desk) == 0
    assert ends(desk) == [("dead", "not_started")]
    assert server.executed(KEY) == 0


def test_a_narrowing_that_a_dead_run_did_is_ours_and_not_somebodys_hand(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """Applied at 3, then at 2.4 by a run that died: going back to 3 in git is a change of ours, and is not held."""
    desk.edit("dial_rate: 2.4", "dial_rate: 2.9", f"{NAME}.yaml")
    commit(desk.folder)
    assert apply(desk) == 0
    desk.edit("dial_rate: 2.9", "dial_rate: 2.4", f"{NAME}.yaml")
    commit(desk.folder)
    operation = die_after_the_intent(desk)
    server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired)
    desk.edit("dial_rate: 2.4", "dial_rate: 2.9", f"{NAME}.yaml")
    commit(desk.folder)
    assert apply(desk) == 0
    body: dict[str, Any] = json.loads(str(server.campaign(KEY)["schedule"]))
    assert body["dial_rate"] == 2.9


def test_what_was_narrowed_by_hand_after_an_apply_is_held_until_it_is_reverted(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert apply(desk) == 0
    body: dict[str, Any] = json.loads(str(server.campaign(KEY)["schedule"]))
    server.put_campaign(
        KEY,
        "Warranty Reminders",
        schedule={
            **{name: body[name] for name in body if name not in {"id", "updated_at", "updated_by"}},
            "dial_rate": 0.5,
        },
    )
    assert desk.run("plan", PATH, NAME, "--detailed-exitcode") == 2
    assert apply(desk) == 0  # held is no refusal: nobody's rule says no
    assert f"held: {NAME}: `dial_rate` (2.4 → 0.5) was narrowed outside git" in desk.out
    assert "1 planned, 0 applied, 0 active, 0 failed, 1 held" in desk.out
    assert server.executed(KEY) == 1
    assert apply(desk, "--revert", NAME) == 0
    assert server.executed(KEY) == 2


def test_a_head_that_goes_back_is_refused_and_nothing_is_written(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    first = git(desk.folder, "rev-parse", "HEAD").strip()
    desk.edit("dial_rate: 2.4", "dial_rate: 2.2", f"{NAME}.yaml")
    commit(desk.folder)
    assert apply(desk) == 0
    git(desk.folder, "checkout", "-q", "--detach", first)
    assert "would go back" in desk.says(5, "apply", "--yes", PATH, NAME)
    assert server.executed(KEY) == 1


def test_commits_that_got_no_apply_of_their_own_are_recorded_once(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    assert apply(desk) == 0
    passed_over = []
    for rate in ("2.3", "2.2"):
        desk.edit(
            "dial_rate: 2.4" if rate == "2.3" else "dial_rate: 2.3",
            f"dial_rate: {rate}",
            f"{NAME}.yaml",
        )
        commit(desk.folder)
        passed_over.append(git(desk.folder, "rev-parse", "HEAD").strip())
    (desk.folder / "elsewhere.txt").write_text("no business of this tenant\n", encoding="utf-8")
    commit(desk.folder)
    for _ in range(3):
        assert apply(desk) == 0
    records = ledger(desk).records()
    assert [
        record.data["superseded"] for record in records if "superseded" in record.data
    ] == passed_over


def test_a_shallow_clone_gets_the_history_that_it_lacks(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = git(desk.folder, "rev-parse", "HEAD").strip()
    desk.edit("dial_rate: 2.4", "dial_rate: 2.2", f"{NAME}.yaml")
    commit(desk.folder)
    thin = tmp_path_factory.mktemp("thin") / "clone"
    git(desk.folder, "clone", "-q", "--depth", "1", f"file://{desk.folder}", str(thin))
    there = Git(thin, environ=dict(os.environ))
    assert there.resolve(f"{first}^{{commit}}") is None
    notes = "refs/notes/reconcile/one"
    for number in range(2):
        git(desk.folder, "notes", f"--ref={notes}", "append", "-m", f"note {number}", "HEAD")
    git(thin, "fetch", "-q", "--depth=1", "origin", f"{notes}:{notes}")
    there.unshallow("origin")
    assert there.is_ancestor(first, there.head())
    assert there.cut_off(there.head()) == ()
    assert "promisor" not in git(thin, "config", "--list"), "git would fetch the ledger by itself"
    assert there.cut_off(notes_head := git(thin, "rev-parse", notes).strip()) == (notes_head,)
    there.unshallow("origin")


def test_a_settled_run_is_recorded_before_the_plan_that_is_refused(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """Whatever comes after it, what was read back is not lost."""
    operation = die_after_the_intent(desk)
    server.put_campaign(KEY, "Warranty Reminders", schedule=operation.desired)
    assert desk.run("apply", "--expect", "0" * 64, PATH, NAME) == 4
    assert ends(desk) == [("dead", "confirmed")]
