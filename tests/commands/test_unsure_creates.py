"""A create that an interrupted run may have sent, and that is absent, is held: somebody may have removed it since."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.audit import Attribution, Record, RecordKind, Run
from reconciler.commands import plan as plan_command
from reconciler.commands import recovery
from reconciler.errors import Unavailable
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.plan import Action, Operation, Result
from reconciler.sandbox.writes import Conditions
from reconciler.world import here
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.engine import Notebook, engine
from tests.support.factories import make_desired

__all__ = ["desk", "server"]

NAME, KEY = "spring-renewals", "1001"
PATH = "schedules/sandbox"
HELD = "an interrupted apply may have created the schedule"


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here commits late."""
    monkeypatch.setattr(recovery, "SETTLE_S", 0.0)


def ledger(desk: Desk) -> Ledger:
    there = Git(desk.folder, environ=dict(os.environ))
    return Ledger.open(there, "sandbox/sandbox", here(print))


def run_of(desk: Desk, name: str) -> Run:
    head = git(desk.folder, "rev-parse", "HEAD").strip()
    return Run("sandbox/sandbox", head, name, lambda: datetime.now(UTC), Attribution("somebody"))


def die(desk: Desk, *, attempts: int = 1, creating: Sequence[str] = ("dead",)) -> Operation:
    """Record what a run was about to create, and which runs came to their creates after it; nothing more."""
    plan = asyncio.run(
        plan_command.read(here(lambda _: None), plan_command.PlanRequest(Path(PATH), (NAME,)))
    )
    (operation,) = plan.operations
    assert operation.action is Action.CREATE
    dead = run_of(desk, "dead")
    begun = dead.open(digest=plan.digest, operations=1, tool="test", ledger=None, applied=None)
    tries = [
        dead.intent(operation, digest=plan.digest, generation=0, attempt=number)
        for number in range(attempts)
    ]
    failed = [dead.outcome(each, Result.FAILED, audit={}) for each in tries[:-1]]
    notes = [run_of(desk, name).creating() for name in creating]
    ledger(desk).append([begun, *tries, *failed])
    ledger(desk).append(notes)
    return operation


def apply(desk: Desk, *more: str) -> int:
    return desk.run("apply", "--yes", PATH, NAME, *more)


def outcomes(desk: Desk) -> list[str]:
    records = ledger(desk).records()
    return [each.data["result"] for each in records if each.kind is RecordKind.OUTCOME]


def removed_by_hand(server: sandbox.CampaignState, operation: Operation) -> None:
    server.put_campaign(KEY, "Spring Renewals", schedule=operation.desired)
    by_hand = Conditions()
    server.write_schedule(KEY, None, client="console", ticket=None, conditions=by_hand)
    server.refresh(KEY, "console")


@pytest.mark.parametrize("fault", ["no-keys", "no-etags", ""])
@pytest.mark.parametrize("by_hand", [True, False])
def test_what_may_have_been_created_and_is_absent_is_held_until_it_is_reverted(
    desk: Desk, server: sandbox.CampaignState, fault: str, *, by_hand: bool
) -> None:
    """Nothing that can be read tells "removed by hand" from "never written", so both are held."""
    server.configure(activation_s=0)
    operation = die(desk)
    if by_hand:
        removed_by_hand(server, operation)
    if fault:
        server.faults.add(fault)
    for _ in range(2):
        assert apply(desk) == 0
        assert HELD in desk.out
        assert f"--revert {NAME}" in desk.out
        assert outcomes(desk) == ["unknown"]
        assert ledger(desk).open_intents() == ()
        assert server.executed(KEY) == 0
    assert apply(desk, "--revert", NAME) == 0
    assert server.executed(KEY) == 1
    assert outcomes(desk) == ["unknown", "created"]


def test_a_create_that_was_certainly_not_sent_is_sent(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """The run died before it came to its creates, for instance while it waited for a tightening."""
    die(desk, creating=())
    assert apply(desk) == 0
    assert outcomes(desk) == ["created"]
    assert server.executed(KEY) == 1


def test_the_run_that_came_to_its_creates_may_be_another_than_the_one_that_meant_them(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    """Whoever sends an open write again adds no second record of it."""
    die(desk, creating=("later",))
    assert apply(desk) == 0
    assert outcomes(desk) == ["unknown"]
    assert server.executed(KEY) == 0


def test_a_further_attempt_was_sent_once_already(desk: Desk, server: sandbox.CampaignState) -> None:
    die(desk, attempts=2, creating=())
    assert apply(desk) == 0
    assert outcomes(desk) == ["failed", "unknown"]
    assert server.executed(KEY) == 0


def test_what_was_created_and_is_there_is_confirmed(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    operation = die(desk)
    server.put_campaign(KEY, "Spring Renewals", schedule=operation.desired)
    assert apply(desk) == 0
    assert outcomes(desk) == ["confirmed"]
    assert server.executed(KEY) == 0


def creating(records: Sequence[Record]) -> list[Record]:
    return [each for each in records if each.data.get("creating") is True]


def test_a_run_says_once_that_it_comes_to_its_creates_after_its_intents_and_before_it_sends_one(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.configure(activation_s=0)
    assert apply(desk) == 0
    (note,) = creating(ledger(desk).records())
    (intent,) = [each for each in ledger(desk).records() if each.kind is RecordKind.INTENT]
    (outcome,) = [each for each in ledger(desk).records() if each.kind is RecordKind.OUTCOME]
    assert intent.seq < note.seq < outcome.seq
    desk.edit("dial_rate: ", "dial_rate: 1")
    commit(desk.folder)
    apply(desk)
    assert len(creating(ledger(desk).records())) == 1, "an update needs none"


class Unrecorded(Notebook):
    """A journal that takes no further record."""

    async def creating(self, operations: Sequence[Operation]) -> None:
        del operations
        raise Unavailable("the remote is away")


def test_no_create_is_sent_when_it_cannot_be_recorded_that_one_may_be() -> None:
    with engine({KEY: None}) as bench:
        bench.journal = Unrecorded()
        _, (outcome,) = bench.apply([make_desired(KEY)])
        assert (outcome.result, outcome.code) == (Result.NOT_STARTED, 69)
        assert bench.world.executed(KEY) == 0
