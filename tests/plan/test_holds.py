"""Who moved what since it was applied, and what somebody narrowed by hand: never silently widened again."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.kinds.live import Live, Snapshot
from reconciler.plan import (
    Action,
    Base,
    MovedBy,
    Origin,
    approval_from,
    approved,
    build,
    hold_against,
    serialised,
)
from reconciler.plan.base import canonical_base, fields_moved_by
from reconciler.plan.values import state_hash
from tests.support.bodies import make_body, make_skill_body, make_window
from tests.support.factories import (
    KIND,
    NOW,
    SKILLS,
    make_desired,
    make_finding,
    make_live,
    make_retired,
    make_skill_desired,
)

BASE = make_body(dial_rate=20.0, max_concurrent_calls=200)


def planned(desired, live, *, base=BASE, revert=(), held=None):
    """Return the one operation of a plan, or nothing."""
    snapshot = Snapshot({"1001": live}, {}, {}, NOW)
    known = {"1001": base if isinstance(base, Base) else Base(base)} if base != "never" else {}
    plan = build(
        Origin("acme", "sandbox:"),
        [desired],
        snapshot,
        {KIND.name: KIND},
        base=known,
        revert=revert,
        held=held,
    )
    return plan, (plan.operations[0] if plan.operations else None)


def live(**fields) -> Live:
    return make_live(stored={**BASE, **fields})


def test_what_git_moved_is_gits():
    _, operation = planned(make_desired(body={**BASE, "dial_rate": 25.0}), live())
    assert (operation.action, operation.moved_by) == (Action.UPDATE, MovedBy.GIT)
    assert operation.fields_moved_by == {"dial_rate": MovedBy.GIT}


def test_what_was_narrowed_by_hand_is_held_with_its_reason():
    _, operation = planned(make_desired(body=BASE), live(dial_rate=5.0))
    assert (operation.action, operation.would, operation.moved_by) == (
        Action.HELD,
        Action.UPDATE,
        MovedBy.OUTSIDE,
    )
    assert not operation.executable
    assert operation.blocked[0].startswith(
        "`dial_rate` (20 → 5) was narrowed outside git and will not be widened again"
    )


@pytest.mark.parametrize(
    ("moved", "keep"),
    [
        ({"dial_rate": 5.0}, "`reconcile import schedules/acme 1001`."),
        (
            {"compliance_windows": [make_window(start=10)]},
            "edit `compliance_windows` in schedules/",
        ),
    ],
)
def test_a_held_row_names_the_way_that_keeps_its_fields(moved, keep):
    """`import` edits single values, and no windows: whoever followed it came back to the same advice."""
    _, operation = planned(make_desired(body=BASE), live(**moved))
    assert f"Keep it: {keep}" in operation.blocked[0]


@pytest.mark.parametrize("direction", [Direction.TIGHTEN, Direction.LOOSEN])
def test_a_refresh_goes_the_way_of_the_write_that_it_finishes(direction):
    """A narrowing that a dead run stored is a narrowing still: nothing may be widened before it is active."""
    stored = make_live(stored=BASE, stored_id="ours", active_id="older")
    base = Base(BASE, direction, "ours", unfinished=True, sent=BASE)
    _, operation = planned(make_desired(body=BASE), stored, base=base)
    assert (operation.action, operation.direction) == (Action.REFRESH, direction)
    assert operation.finishes
    starts = make_live(stored=BASE, stored_id="ours", active_id=None)
    _, operation = planned(make_desired(body=BASE), starts, base=base)
    assert (operation.action, operation.direction) == (Action.REFRESH, Direction.LOOSEN)
    assert operation.finishes, "the write that it finishes was counted"


@pytest.mark.parametrize("active_id", ["older", None])
@pytest.mark.parametrize(
    ("stored_id", "unfinished", "sent"),
    [
        ("theirs", True, BASE),
        ("ours", False, BASE),
        ("ours", True, {**BASE, "dial_rate": 5.0}),
        ("ours", True, None),
    ],
    ids=["theirs", "was active", "stored wider than sent", "removed"],
)
def test_a_refresh_of_what_no_write_of_ours_sent_or_was_active_counts_as_widening(
    stored_id, unfinished, sent, active_id
):
    """A write that was active once is finished: what the dialer lost since, no apply counted."""
    stored = make_live(stored=BASE, stored_id=stored_id, active_id=active_id)
    base = Base(sent, Direction.TIGHTEN, "ours", unfinished=unfinished, sent=sent)
    _, operation = planned(make_desired(body=BASE), stored, base=base)
    assert (operation.action, operation.direction) == (Action.REFRESH, Direction.LOOSEN)
    assert not operation.finishes


@pytest.mark.parametrize("unfinished", [True, False])
def test_a_removal_finishes_only_one_that_was_not_confirmed(unfinished):
    dialing = make_live(stored=None, version=None, stored_id=None, active_id="older")
    base = Base(None, Direction.TIGHTEN, unfinished=unfinished)
    _, operation = planned(make_retired(), dialing, base=base)
    assert (operation.action, operation.finishes) == (Action.RETIRE, unfinished)


def test_what_was_widened_by_hand_is_narrowed_again_like_any_change():
    _, operation = planned(make_desired(body=BASE), live(dial_rate=40.0))
    assert operation.action is Action.UPDATE
    assert operation.executable


def parts(desired, now, **known):
    """Return what a plan does to the object, step by step."""
    plan, _ = planned(desired, now, **known)
    return plan, plan.operations


def test_what_a_hand_narrowed_is_held_and_what_it_widened_is_taken_back():
    now = live(
        dial_rate=5.0, max_concurrent_calls=900, compliance_windows=[], dnc_verification=False
    )
    _, (back, rest) = parts(make_desired(body=BASE), now)
    assert (back.action, back.direction, back.executable) == (
        Action.UPDATE,
        Direction.TIGHTEN,
        True,
    )
    assert back.desired == {**BASE, "dial_rate": 5.0}
    assert (rest.action, rest.would, rest.desired) == (Action.HELD, Action.UPDATE, BASE)
    assert [change.path for change in rest.fields] == ["dial_rate"]


def test_hours_that_a_hand_moved_are_stored_as_what_both_allow():
    now = live(compliance_windows=[make_window(start=10, end=23)])
    _, (back, rest) = parts(make_desired(body=BASE), now)
    assert back.desired["compliance_windows"] == [make_window(start=10, end=20)]
    assert rest.action is Action.HELD


def test_hours_that_share_nothing_leave_no_schedule_until_somebody_decides():
    now = live(compliance_windows=[make_window(start=20, end=23)])
    _, (back, rest) = parts(make_desired(body=BASE), now)
    assert (back.action, back.desired, back.base) == (Action.RETIRE, None, BASE)
    assert "do not overlap" in back.notes[0]
    assert (rest.action, rest.would) == (Action.HELD, Action.UPDATE)


def test_what_git_widens_waits_until_what_a_hand_widened_is_taken_back():
    """One object, two steps: an error or a failed tightening that keeps the second one off does not keep off the first."""
    wanted = make_desired(body={**BASE, "max_concurrent_calls": 300})
    plan, (back, update, rest) = parts(wanted, live(dial_rate=5.0, dnc_verification=False))
    assert (back.direction, update.direction) == (Direction.TIGHTEN, Direction.LOOSEN)
    assert back.desired == {**BASE, "dial_rate": 5.0} == update.live
    assert update.desired == {**BASE, "dial_rate": 5.0, "max_concurrent_calls": 300}
    assert rest.action is Action.HELD
    only_tightens = hold_against(plan, None, tighten_only=True)
    assert only_tightens.run == (back,)


def test_what_nobody_can_judge_is_set_back_and_said_in_its_own_words():
    kinds = {"SkillSchedule": SKILLS["SkillSchedule"]}
    body = make_skill_body()
    for field, value in (
        ("maximum_ringing_duration_s", 60),
        ("override_business_unit_abandon_rate", True),
        ("aggressiveness", "Aggressive"),
        ("abandon_rate_threshold", 0.0),
    ):
        now = make_live("4001", stored={**body, field: value})
        plan = build(
            Origin("acme", "sandbox:"),
            [make_skill_desired()],
            Snapshot({"4001": now}, {}, {}, NOW),
            kinds,
            base={"4001": Base(body)},
        )
        (operation,) = plan.operations
        assert (operation.action, operation.executable) == (Action.UPDATE, True)
        assert operation.desired == body
        assert operation.direction.widens
        assert (
            "changed outside git, and whether that widens dialing is unknown" in operation.notes[0]
        )


def test_windows_in_an_unknown_zone_are_set_back_and_what_else_was_narrowed_is_held():
    _, operation = planned(
        make_desired(body=BASE),
        live(compliance_windows=[make_window("Mars/Olympus")], dial_rate=5.0),
    )
    assert (operation.action, operation.executable) == (Action.UPDATE, True)
    assert operation.desired == {**BASE, "dial_rate": 5.0}
    assert operation.direction.widens
    (note,) = operation.notes
    assert note.startswith("`compliance_windows` was changed outside git to a time zone that")
    assert "this machine's tzdata does not know (Mars/Olympus)" in note
    assert note.endswith("the manifest's value is stored")


def test_of_windows_in_a_known_and_an_unknown_zone_what_both_allow_is_kept():
    mixed = [make_window(start=10), make_window("Mars/Olympus")]
    _, operation = planned(make_desired(body=BASE), live(compliance_windows=mixed))
    assert operation.desired == {**BASE, "compliance_windows": [make_window(start=10)]}
    assert operation.notes == (
        "what is stored has calling windows in a time zone that this machine's tzdata does not know (Mars/Olympus): they are removed",
    )


def test_a_skills_windows_in_an_unknown_zone_are_set_back():
    body = make_skill_body()
    row = {**body["calling_windows"][0], "timezone": "Mars Standard Time"}
    plan = build(
        Origin("acme", "sandbox:"),
        [make_skill_desired()],
        Snapshot(
            {"4001": make_live("4001", stored={**body, "calling_windows": [row]})}, {}, {}, NOW
        ),
        {"SkillSchedule": SKILLS["SkillSchedule"]},
        base={"4001": Base(body)},
    )
    (operation,) = plan.operations
    assert (operation.desired, operation.executable) == (body, True)
    assert "does not know (Mars Standard Time)" in operation.notes[0]


def test_what_a_manifest_took_over_of_what_is_held_is_recorded():
    """Else a later narrowing of that field would pass for a change of git's."""
    wanted = make_desired(body={**BASE, "max_concurrent_calls": 100})
    plan, (rest,) = parts(wanted, live(dial_rate=5.0, max_concurrent_calls=100))
    assert rest.action is Action.HELD
    assert plan.unrecorded == ("1001",)


def test_what_an_apply_writes_is_not_recorded_a_second_time():
    """The outcome of a write records it; so does the hold of an emergency stop."""
    wanted = make_desired(body={**BASE, "max_concurrent_calls": 100})
    for held in (None, {"1001": "halted by ops"}):
        assert planned(wanted, live(), held=held)[0].unrecorded == ()


def test_what_an_older_version_recorded_drops_no_hold():
    """A field that is managed since then is missing in its record, and numbers are written in another way."""
    older = {name: value for name, value in BASE.items() if name != "dnc_verification"}
    older |= {"dial_rate": 20, "max_concurrent_calls": 200.0}
    _, (rest,) = parts(make_desired(body=BASE), live(dial_rate=5.0), base=older)
    assert rest.action is Action.HELD
    assert [change.path for change in rest.fields] == ["dial_rate"]


def test_a_value_that_nobody_can_read_ends_no_plan_and_shields_nothing():
    for odd in ({"end_time": None}, {"start_time": "soon"}, {"compliance_windows": None}):
        _, (operation,) = parts(make_desired(body=BASE), live(**odd, dial_rate=50.0))
        assert (operation.action, operation.desired) == (Action.UPDATE, BASE)


def test_a_day_that_a_hand_closed_is_held_and_nothing_is_written():
    week = make_skill_body()["run_window"][:6]
    now = make_live("4001", stored={**make_skill_body(), "run_window": week})
    plan = build(
        Origin("acme", "sandbox:"),
        [make_skill_desired()],
        Snapshot({"4001": now}, {}, {}, NOW),
        {"SkillSchedule": SKILLS["SkillSchedule"]},
        base={"4001": Base(make_skill_body())},
    )
    (rest,) = plan.operations
    assert rest.action is Action.HELD
    assert "Keep it: leave it as it is" in rest.blocked[0]


def test_a_running_object_of_which_all_is_held_is_no_refusal():
    """What would act at once is what is held: nothing is written, so nothing acts."""
    error = make_finding("1001", rule="running")
    now, wanted = live(dial_rate=5.0), make_desired(body=BASE)
    for base, refused in ((Base(BASE), False), (None, True)):
        plan = build(
            Origin("acme", "sandbox:"),
            [wanted],
            Snapshot({"1001": now}, {}, {}, NOW),
            {KIND.name: KIND},
            findings=[error],
            base={"1001": base} if base else {},
        )
        assert plan.refused is refused


def approval_of(plan):
    return approval_from(json.loads(json.dumps(serialised(plan))))


WIDER = make_desired(body={**BASE, "max_concurrent_calls": 300})


def test_the_second_of_two_steps_does_not_run_without_the_first():
    """Both were approved; then the hand went further: the first step is another one now, and the second alone would skip it."""
    both, _ = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    now, _ = parts(
        WIDER, live(dial_rate=5.0, dnc_verification=False, start_time="2027-01-10T14:00:00Z")
    )
    cut = hold_against(now, approval_of(both))
    assert (cut.run, cut.stale) == ((), ("1001",))


def test_a_step_that_was_not_approved_is_named():
    first, _ = parts(make_desired(body=BASE), live(dial_rate=5.0, dnc_verification=False))
    both, (back, _, _) = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    cut = hold_against(both, approval_of(first))
    assert (cut.run, cut.strange) == ((back,), (back.name,))


def test_a_step_that_was_approved_and_no_longer_derives_is_stale():
    both, _ = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    first, (back, _) = parts(make_desired(body=BASE), live(dial_rate=5.0, dnc_verification=False))
    cut = hold_against(first, approval_of(both))
    assert (cut.run, cut.stale) == ((back,), ("1001",))


def test_two_steps_that_an_earlier_run_did_are_not_stale():
    both, (_, update, _) = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    done, _ = parts(WIDER, live(dial_rate=5.0, max_concurrent_calls=300), base=WIDER.body)
    assert update.desired == {**BASE, "dial_rate": 5.0, "max_concurrent_calls": 300}
    assert hold_against(done, approval_of(both)).stale == ()


NOTHING = make_live(stored=None, version=None, stored_id=None, active_id=None)


def stopped(found, applied=BASE) -> Base:
    """Return the base of what an emergency stop ended and `release` let go."""
    return Base(None, Direction.TIGHTEN, None, (applied, found))


def test_to_release_a_stop_is_not_to_undo_what_was_narrowed_before_it():
    base = stopped({**BASE, "dial_rate": 5})
    _, (back, rest) = parts(make_desired(body=BASE), NOTHING, base=base)
    assert (back.action, back.desired) == (Action.CREATE, {**BASE, "dial_rate": 5.0})
    assert back.fields == ()
    assert (rest.action, rest.would) == (Action.HELD, Action.CREATE)
    _, operation = planned(make_desired(body=BASE), NOTHING, base=base, revert={"1001"})
    assert (operation.executable, operation.desired) == (True, BASE)
    changed = make_desired(body={**BASE, "dial_rate": 6.0})
    _, (operation,) = parts(changed, NOTHING, base=base)
    assert operation.desired["dial_rate"] == 6.0


@pytest.mark.parametrize("rate", [20, 40])
def test_what_was_not_narrowed_before_a_stop_comes_back_after_its_release(rate):
    _, operation = planned(
        make_desired(body=BASE), NOTHING, base=stopped({**BASE, "dial_rate": rate})
    )
    assert (operation.action, operation.executable) == (Action.CREATE, True)


def test_what_was_stored_by_hand_after_a_stop_is_held_when_it_is_narrower():
    _, operation = planned(make_desired(body=BASE), live(dial_rate=5.0), base=stopped(BASE))
    assert (operation.action, operation.would) == (Action.HELD, Action.UPDATE)


def test_what_a_stop_could_not_see_may_have_been_narrowed():
    """The platform's list could not be read, or what was stored had been removed by hand and still dialed."""
    _, operation = planned(make_desired(body=BASE), NOTHING, base=stopped(None))
    assert (operation.action, operation.would) == (Action.HELD, Action.CREATE)
    assert "may have been narrowed outside git" in operation.blocked[0]
    changed = make_desired(body={**BASE, "max_concurrent_calls": 300})
    _, operation = planned(changed, NOTHING, base=stopped(None))
    assert (operation.action, operation.would) == (Action.HELD, Action.CREATE)
    _, operation = planned(make_desired(), NOTHING, base=stopped(None, applied=None))
    assert operation.executable


def test_what_was_stopped_before_it_was_ever_applied_is_like_new():
    _, operation = planned(make_desired(body=BASE), NOTHING, base=stopped(BASE, applied=None))
    assert operation.action is Action.CREATE


def test_a_schedule_removed_by_hand_is_held():
    _, operation = planned(
        make_desired(body=BASE),
        make_live(stored=None, version=None, stored_id=None, active_id=None),
    )
    assert (operation.action, operation.would) == (Action.HELD, Action.CREATE)
    assert "removed outside git" in operation.blocked[0]
    _, operation = planned(make_desired(body={**BASE, "dial_rate": 6.0}), NOTHING)
    assert (operation.action, operation.would) == (Action.HELD, Action.CREATE)
    _, operation = planned(make_desired(body=BASE), NOTHING, revert={"1001"})
    assert (operation.action, operation.executable) == (Action.CREATE, True)


def test_a_commit_to_the_very_field_decides_and_one_to_another_field_does_not():
    _, (operation, rest) = parts(
        make_desired(body={**BASE, "dial_rate": 22.0}),
        live(dial_rate=5.0, max_concurrent_calls=100),
    )
    assert (operation.action, operation.moved_by) == (Action.UPDATE, MovedBy.BOTH)
    assert operation.desired == {**BASE, "dial_rate": 22.0, "max_concurrent_calls": 100}
    assert [change.path for change in rest.fields] == ["max_concurrent_calls"]
    assert operation.fields_moved_by == {
        "dial_rate": MovedBy.BOTH,
        "max_concurrent_calls": MovedBy.OUTSIDE,
    }


def test_retiring_what_was_narrowed_by_hand_is_never_held():
    _, operation = planned(make_retired("1001"), live(dial_rate=5.0))
    assert operation.action is Action.RETIRE
    assert operation.executable


def test_without_a_ledger_nobody_knows_and_nothing_is_held():
    _, operation = planned(make_desired(body=BASE), live(dial_rate=5.0), base="never")
    assert (operation.action, operation.moved_by) == (Action.UPDATE, MovedBy.UNKNOWN)


def test_an_approval_of_that_very_operation_reverts_it_and_of_another_plan_does_not():
    wanted, now = make_desired(body=BASE), live(dial_rate=5.0)
    held, _ = planned(wanted, now)
    asked, operation = planned(wanted, now, revert=["1001"])
    assert operation.executable
    approval = approval_from(json.loads(json.dumps(serialised(asked))))
    assert [each.action for each in hold_against(held, approval).run] == [Action.UPDATE]
    assert hold_against(held, approved(held)).run == ()
    assert hold_against(held, None).run == ()


@pytest.mark.parametrize("before", [live(dial_rate=5.0), NOTHING])
def test_an_approval_from_before_somebody_narrowed_it_by_hand_does_not_undo_that(before):
    """A job that is run again brings the plan that was approved once; what was put back by hand looks as it did then."""
    wanted = make_desired(body=BASE)
    old = None if before is NOTHING else before.stored
    first, operation = planned(wanted, before, base=Base(old) if old else "never")
    assert operation.executable
    approval = approval_from(json.loads(json.dumps(serialised(first))))
    assert hold_against(first, approval).run
    for revert in ((), ("1001",)):
        again, _ = planned(wanted, before, revert=revert)
        cut = hold_against(again, approval)
        assert (cut.run, cut.stale) == ((), ("1001",))


def test_an_emergency_stop_is_lifted_by_no_approval():
    wanted, now = (
        make_desired(body=BASE),
        make_live(stored=None, version=None, stored_id=None, active_id=None),
    )
    asked, _ = planned(wanted, now, revert=["1001"])
    stopped, operation = planned(
        wanted, now, held={"1001": "halted by ops: complaint"}, revert=["1001"]
    )
    assert (operation.action, operation.would, operation.blocked) == (
        Action.HELD,
        None,
        ("halted by ops: complaint",),
    )
    assert hold_against(stopped, approved(asked)).run == ()


@given(st.sampled_from([1.0, 10.0, 20.0, 30.0]), st.sampled_from([100, 200, 300]), st.booleans())
def test_no_hand_narrowing_is_ever_undone_without_a_word(rate, calls, dnc):
    """Whatever somebody made of it by hand: what runs on its own never widens a field that was narrowed."""
    body = {
        "dial_rate": rate,
        "max_concurrent_calls": calls,
        "dnc_verification": dnc or BASE["dnc_verification"],
    }
    plan, _ = planned(make_desired(body=BASE), live(**body))
    for operation in plan.executable:
        assert operation.desired["dial_rate"] <= min(rate, 20.0)
        assert operation.desired["max_concurrent_calls"] <= min(calls, 200)


def test_the_reason_names_the_way_out():
    """The reason and the way out stand in the plan, as a command to be copied."""
    wanted = replace(make_desired(body=BASE), place=Place("my schedules/acme/spring.yaml", 3, 1))
    _, operation = planned(wanted, live(dial_rate=5.0))
    name = operation.name
    keep = "`reconcile import 'my schedules/acme' 1001`"
    undo = f"`reconcile apply 'my schedules/acme' {name} --revert {name}`"
    assert operation.blocked[0].endswith(f". Keep it: {keep}. Undo it: {undo}")


# --- who moved it, field by field ------------------------------------------------------------------------------------------


def test_a_field_that_a_body_lacks_counts_as_a_value():
    lacking = Base({})
    assert fields_moved_by(lacking, {}, {"a": None}) == {"a": MovedBy.GIT}
    assert fields_moved_by(lacking, {"a": 1}, {}) == {"a": MovedBy.OUTSIDE}
    assert fields_moved_by(lacking, {"a": 1}, {"a": None}) == {"a": MovedBy.BOTH}
    assert fields_moved_by(Base({"a": None}), {}, {"a": 1}) == {"a": MovedBy.BOTH}
    assert fields_moved_by(Base({"a": None}), {"a": 1}, {}) == {"a": MovedBy.BOTH}
    assert fields_moved_by(Base(None), {}, {"a": 1}) == {"a": MovedBy.UNKNOWN}


# --- what is gone, and what the platform stores in its own way --------------------------------------------------------------


def test_a_removal_for_want_of_common_hours_ends_with_a_commit_to_the_hours():
    night = [make_window(start=21, end=23)]
    base = Base(BASE, emptied={**BASE, "compliance_windows": night})
    for other in ({}, {"dial_rate": BASE["dial_rate"] / 2}):
        _, same = planned(make_desired(body={**BASE, **other}), NOTHING, base=base)
        assert (same.action, same.would) == (Action.HELD, Action.CREATE)
        assert "did not overlap" in same.blocked[0]
    later = make_desired(body={**BASE, "compliance_windows": [make_window(start=10)]})
    _, moved = planned(later, NOTHING, base=base)
    assert (moved.action, moved.executable) == (Action.CREATE, True)
    assert moved.desired == later.body
    _, removed = planned(later, NOTHING, base=Base(BASE))
    assert removed.action is Action.HELD
    _, released = planned(make_desired(body=BASE), NOTHING, base=base._replace(missing=True))
    assert released.executable


def test_a_commit_to_the_hours_undoes_no_other_narrowing_of_a_schedule_that_was_removed():
    night = {**BASE, "compliance_windows": [make_window(start=21, end=23)], "dial_rate": 0.5}
    base = Base(BASE, emptied=night)
    later = make_desired(body={**BASE, "compliance_windows": [make_window(start=10)]})
    plan, _ = planned(later, NOTHING, base=base)
    create, rest = plan.operations
    assert (create.action, create.executable) == (Action.CREATE, True)
    assert create.desired == {**later.body, "dial_rate": 0.5}
    assert (rest.action, "dial_rate" in rest.blocked[0]) == (Action.HELD, True)
    _, asked = planned(later, NOTHING, base=base, revert=[later.key])
    assert asked.desired == later.body


def test_what_is_gone_and_still_dials_is_silenced():
    dialing = make_live(stored=None, version=None, stored_id=None, active_id="older")
    _, (silence, rest) = parts(make_desired(body=BASE), dialing)
    assert (silence.action, silence.desired, silence.fields) == (Action.RETIRE, None, ())
    assert (silence.direction, silence.base) == (Direction.TIGHTEN, BASE)
    assert not silence.empties
    assert (rest.action, rest.would) == (Action.HELD, Action.CREATE)
    _, (silence, rest) = parts(make_desired(body=BASE), dialing, base=stopped(None))
    assert (silence.action, silence.base) == (Action.RETIRE, BASE), "else it would be created again"
    assert rest.action is Action.HELD


def test_what_a_hand_widened_is_taken_back_to_what_was_applied():
    _, (first, *_) = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    assert first.direction is Direction.TIGHTEN
    assert first.base == BASE
    assert [change.path for change in first.fields] == ["dnc_verification"]


def test_the_second_step_is_planned_against_what_the_first_stores():
    _, (first, second, _) = parts(WIDER, live(dial_rate=5.0, dnc_verification=False))
    assert second.live == first.desired
    assert (second.live_hash, second.after) == (state_hash(first.desired), first.live_hash)
    assert second.base == WIDER.body, "the narrowing stays one"
    _, (whole,) = parts(WIDER, live())
    assert (whole.base, whole.after) == (None, None)


@pytest.mark.parametrize("active_id", ["older still", None])
@pytest.mark.parametrize(
    ("stored_id", "unfinished", "sent_rate", "direction"),
    [
        ("s-1001", True, 5.0, Direction.TIGHTEN),
        ("older", True, 5.0, Direction.LOOSEN),
        ("s-1001", False, 5.0, Direction.LOOSEN),
        ("s-1001", True, 4.0, Direction.LOOSEN),
    ],
    ids=["is left", "theirs", "was active", "stored wider than sent"],
)
def test_what_a_hand_narrowed_and_nobody_activated_is_refreshed(
    stored_id, unfinished, sent_rate, direction, active_id
):
    """What the dialer takes widens, as without a narrowing, unless it finishes our last write."""
    sent = {**BASE, "dial_rate": sent_rate}
    base = Base(BASE, Direction.TIGHTEN, stored_id, unfinished=unfinished, sent=sent)
    now = make_live(stored={**BASE, "dial_rate": 5.0}, active_id=active_id)
    _, (refresh, rest) = parts(make_desired(body=BASE), now, base=base)
    assert refresh.finishes == (direction is Direction.TIGHTEN)
    starts = active_id is None
    assert refresh.action is Action.REFRESH
    assert refresh.direction is (Direction.LOOSEN if starts else direction)
    assert (refresh.desired, refresh.fields) == (now.stored, ())
    assert rest.action is Action.HELD
    _, (rest,) = parts(make_desired(body=BASE), make_live(stored=now.stored), base=base)
    assert rest.action is Action.HELD
    unknown = Base(BASE, Direction.TIGHTEN, None, unfinished=True, sent=sent)
    nameless = make_live(stored=now.stored, stored_id=None)
    _, (refresh, _) = parts(make_desired(body=BASE), nameless, base=unknown)
    assert refresh.direction is Direction.LOOSEN


@pytest.mark.parametrize("active_id", ["older still", None])
@pytest.mark.parametrize("calls", [BASE["max_concurrent_calls"], 100])
def test_a_narrowing_that_the_platform_does_not_store_is_not_given_up(calls, active_id):
    """A hand narrowed the rate, our write sent it so, and the platform rounded it up to the manifest's. Git asks for no other rate."""
    kept = {**BASE, "dial_rate": 5.0}
    base = Base(BASE, Direction.TIGHTEN, "s-1001", unfinished=True, sent=kept)
    now = make_live(stored=BASE, active_id=active_id)
    wanted = make_desired(body={**BASE, "max_concurrent_calls": calls})
    _, (rest,) = parts(wanted, now, base=base)
    assert (rest.action, rest.executable) == (Action.HELD, False)
    assert "the platform stored `dial_rate` (5 → 20) wider than sent" in rest.blocked[0]
    _, (whole,) = parts(wanted, now, base=base, revert=[wanted.key])
    assert (whole.executable, whole.reverts, whole.direction.widens) == (True, True, True)
    for free in (
        {"base": base._replace(stored_id="theirs")},
        {"base": base._replace(sent={**kept, "dial_rate": 20.0})},
        {"base": base._replace(body=kept)},
    ):
        _, *more = parts(wanted, now, **free)
        assert all("wider than sent" not in said for each in more[0] for said in each.blocked)


def test_what_a_stop_found_without_common_hours_is_not_created_again():
    night = {**BASE, "compliance_windows": [make_window(start=21, end=23)]}
    dialing = make_live(stored=None, version=None, stored_id=None, active_id="older")
    _, (silence, rest) = parts(make_desired(body=BASE), dialing, base=stopped(night))
    assert (silence.action, silence.desired, silence.fields) == (Action.RETIRE, None, ())
    assert silence.direction is Direction.TIGHTEN
    assert rest.action is Action.HELD


@pytest.mark.parametrize(
    ("sent", "stored_id", "kept"),
    [
        (BASE, "s-1001", True),
        (None, "s-1001", False),
        (BASE, None, False),
        (BASE, "older", False),
        ({**BASE, "dial_rate": 19.0}, "s-1001", False),
    ],
)
def test_only_what_we_sent_and_nobody_wrote_since_is_stored_by_the_platform_in_its_own_way(
    sent, stored_id, kept
):
    base = Base(BASE, stored_id=stored_id, sent=sent)
    _, (operation,) = parts(make_desired(body=BASE), live(dial_rate=19.5), base=base)
    assert operation.action is Action.HELD
    assert ("differently from what was sent" in operation.blocked[0]) is kept
    _, (widened,) = parts(make_desired(body=BASE), live(dial_rate=20.5), base=base)
    assert widened.action is Action.UPDATE


def test_a_base_of_an_older_version_is_read_in_todays_form():
    old = {**BASE, "start_time": "2027-01-11T09:00:00-05:00"}
    del old["timezone"]
    kept = Base(old, Direction.TIGHTEN, "s-1", sent=old)
    found = canonical_base(kept, KIND)
    assert (found.body, found.sent) == (KIND.canonical(old), KIND.canonical(old))
    assert (found.direction, found.stored_id, found.stopped) == (Direction.TIGHTEN, "s-1", None)
    assert canonical_base(Base(None), KIND) == Base(None)
    both = canonical_base(Base(None, stopped=(old, None)), KIND)
    assert both.stopped == (KIND.canonical(old), None)
    assert canonical_base(None, KIND) is None
