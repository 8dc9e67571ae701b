"""What an apply leaves undone is said with its reason, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.commands.unapplied import not_reverted, notes_on
from reconciler.effect import Direction
from reconciler.plan import Action, Approval, approved, hold_against
from tests.support.factories import make_desired, make_operation, make_plan

TIGHTER, WIDER = make_operation("1"), make_operation("2", direction=Direction.LOOSEN)
MIXED = make_operation("3", direction=Direction.MIXED)
BLOCKED = make_operation("4", direction=Direction.LOOSEN, blocked=("dnc-list",))
HELD = make_operation("5", action=Action.HELD, would=Action.UPDATE, blocked=("narrowed",))


def said(plan, approval=None, *, tighten_only=False):
    cut = hold_against(plan, approval, tighten_only=tighten_only)
    return notes_on(cut, plan, tighten_only=tighten_only)


def test_what_is_blocked_and_what_is_held_is_named_with_its_reason():
    assert said(make_plan([TIGHTER, BLOCKED, HELD])) == (
        "blocked: campaign-4: dnc-list",
        "held: campaign-5: narrowed",
    )


def test_what_tighten_only_leaves_is_named():
    plan = make_plan([TIGHTER, WIDER, MIXED])
    note = "left out by --tighten-only: campaign-2, campaign-3"
    assert said(plan, tighten_only=True) == (note,)
    assert said(plan, approved(plan), tighten_only=True) == (note,)
    assert said(plan) == ()
    assert said(make_plan([TIGHTER]), tighten_only=True) == ()


def test_what_was_not_approved_is_not_left_by_tighten_only():
    (note,) = said(make_plan([TIGHTER, WIDER]), approved(make_plan([TIGHTER])), tighten_only=True)
    assert note.startswith("not approved: campaign-2 needs a change")


def test_what_was_blocked_when_it_was_approved_is_said_as_that():
    shown = make_plan([TIGHTER, BLOCKED])
    (note,) = said(make_plan([TIGHTER, replace(BLOCKED, blocked=())]), approved(shown))
    assert note.startswith("not approved: campaign-4 was blocked or held when the plan was")
    assert note.endswith("plan and approve again")


def test_what_was_approved_and_is_blocked_now_is_said_as_blocked():
    shown = make_plan([TIGHTER, replace(BLOCKED, blocked=())])
    assert said(make_plan([TIGHTER, BLOCKED]), approved(shown)) == (
        "blocked: campaign-4: dnc-list",
    )


def test_another_digest_is_named_beside_the_one_that_was_approved():
    plan = make_plan([TIGHTER])
    (note,) = said(plan, Approval("d" * 64))
    assert plan.digest in note
    assert "d" * 64 in note
    assert "--approved FILE" in note


@pytest.mark.parametrize(
    ("operations", "because"),
    [
        ((), "no change outside git is held for it"),
        ((TIGHTER,), "no change outside git is held for it"),
        ((replace(HELD, key="1", would=None),), "an emergency stop holds it"),
    ],
)
def test_revert_of_what_is_not_held_says_so_and_what_to_do(operations, because):
    (note,) = not_reverted(make_plan(operations), [make_desired("1")], ["campaign-1"] * 2)
    assert note.startswith(f"--revert campaign-1 has no effect: {because}")


def test_revert_of_what_is_held_says_nothing():
    plan = make_plan([replace(WIDER, reverts=True)])
    assert not_reverted(plan, [make_desired("2")], ["campaign-2"]) == ()
    assert not_reverted(plan, [make_desired("1")], []) == ()
