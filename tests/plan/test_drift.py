"""Drift: every edit outside git is there once, with the right direction; nothing else is."""

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.effect import Direction, direction
from reconciler.kinds.live import unread
from reconciler.plan import Base, Cause, Fate, Hold, Known, Way, build, drift
from tests.plan.test_merge import (
    SPAN,
    by_hand,
    campaign_calls,
    campaigns,
    every_day,
    skill_calls,
    skills,
    some_days,
)
from tests.support.bodies import make_body, make_skill_body, make_window
from tests.support.factories import (
    KIND,
    KINDS,
    NOW,
    SKILL,
    SKILLS,
    make_desired,
    make_live,
    make_origin,
    make_retired,
    make_silent,
    make_skill_desired,
    make_snapshot,
)

BASE = make_body(campaign_id="1001")
SKILL_BASE = make_skill_body()
BEFORE = datetime.fromisoformat(SPAN[0])
"""No span that these tests use began earlier, so no part of one is in the past."""
NIGHT = make_window("America/Chicago", 21, 23)


def found(desired, objects, *, base=None, kinds=KINDS, at=NOW, **known):
    """Return the drift of a tenant. `base`: bodies applied last, by key; without it, those of the manifests."""
    wanted = list(desired)
    bases = {each.key: Base(each.body) for each in wanted} if base is None else base
    snapshot = make_snapshot(objects, at=at)
    held = dict.fromkeys(known.get("holds", {}), "halted")
    plan = build(make_origin(), wanted, snapshot, kinds, base=bases, held=held)
    return drift(wanted, snapshot, kinds, Known(bases, **known), plan.operations)


def edited(live, *, applied=None, desired=None, at=NOW):
    """Return the drift of one campaign."""
    applied = applied or BASE
    wanted = make_desired(body=desired or applied)
    return found([wanted], [make_live(stored=live)], base={"1001": Base(applied)}, at=at)


def rows(drifted):
    return [(each.cause, each.way) for each in drifted.objects]


# --- laws ---------------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(by_hand)
def test_nothing_that_is_as_it_was_applied_has_drifted(body):
    assert edited(body, applied=body).objects == ()


@settings(max_examples=20)
@given(skills(every_day))
def test_no_skill_that_is_as_it_was_applied_has_drifted(body):
    wanted = make_skill_desired(**body)
    drifted = found([wanted], [make_live("4001", stored=wanted.body)], kinds=SKILLS)
    assert drifted.objects == ()
    assert drifted.matching == 1


def holds_the_laws(drifted, calls, applied, live):
    """Every field that differs is there, and the sum of the directions is not milder than the oracle's."""
    changed = {name for name in applied if applied[name] != live.get(name)}
    (row,) = drifted.objects
    paths = [one.path for one in row.fields]
    assert len(paths) == len(set(paths))
    assert {path.partition("[")[0] for path in paths} == changed
    if calls(live) - calls(applied):
        assert row.way.widens
    if row.way is Way.NARROWED:
        assert calls(live) <= calls(applied)


@settings(max_examples=60)
@given(campaigns(), by_hand)
def test_every_edited_field_of_a_campaign_is_there_once_and_never_too_mild(applied, live):
    drifted = edited(live, applied=applied, at=BEFORE)
    if applied == live:
        assert drifted.objects == ()
    else:
        holds_the_laws(drifted, campaign_calls, applied, live)


@settings(max_examples=40)
@given(skills(every_day), skills(some_days))
def test_every_edited_field_of_a_skill_is_there_once_and_never_too_mild(applied, live):
    drifted = found(
        [make_skill_desired(**applied)],
        [make_live("4001", stored=live)],
        base={"4001": Base(applied)},
        kinds=SKILLS,
    )
    if applied == live:
        assert drifted.objects == ()
    else:
        holds_the_laws(drifted, skill_calls, applied, live)


SAME = {
    Direction.LOOSEN: Way.WIDENED,
    Direction.TIGHTEN: Way.NARROWED,
    Direction.MIXED: Way.MIXED,
    Direction.NEUTRAL: Way.NEUTRAL,
}


@settings(max_examples=60)
@given(campaigns(), by_hand)
def test_drift_gives_an_edit_the_direction_that_a_plan_would_give_it(applied, live):
    drifted = edited(live, applied=applied)
    assert [each.way for each in drifted.objects] == [
        SAME[direction(applied, live, KIND, NOW)] for _ in range(applied != live)
    ]


@pytest.mark.parametrize("more", [{}, {"max_concurrent_calls": 1}])
def test_an_end_that_moves_while_every_window_is_closed_widens_nothing(more):
    """18:00 to 20:00 in New York, where the windows end at 18:00: a plan called that neutral, and drift widened."""
    base = {**BASE, "compliance_windows": [make_window(end=18)]}
    for end in ("2027-01-15T23:00:00.999000Z", "2027-01-16T01:00:00Z"):
        (row,) = edited({**base, "end_time": end, **more}, applied=base).objects
        assert row.way is (Way.NARROWED if more else Way.NEUTRAL)
        assert {each.path: each.way for each in row.fields}["end_time"] is Way.NEUTRAL


@settings(max_examples=30)
@given(campaigns(), by_hand, st.sampled_from(["dial_rate", "dnc_verification", "end_time"]))
def test_what_git_changes_is_no_drift(applied, desired, name):
    """The manifest moved and the platform did not."""
    assert edited(applied, applied=applied, desired={**applied, name: desired[name]}).objects == ()


# --- single edits -------------------------------------------------------------------------------------------------------

CAMPAIGN_EDITS = [
    ("dial_rate", 30.0, Way.WIDENED),
    ("dial_rate", 1.0, Way.NARROWED),
    ("dial_rate", "fast", Way.UNKNOWN),
    ("max_concurrent_calls", 501, Way.WIDENED),
    ("max_concurrent_calls", 1, Way.NARROWED),
    ("dnc_verification", False, Way.WIDENED),
    ("start_time", "2027-01-11T13:00:00Z", Way.NEUTRAL),  # both are in the past
    ("start_time", "2027-01-13T15:00:00Z", Way.NARROWED),
    ("end_time", "2028-01-15T23:00:00Z", Way.WIDENED),
    ("end_time", "2027-01-15T22:00:00Z", Way.NARROWED),
    ("end_time", "some day", Way.UNKNOWN),
    ("timezone", "America/Chicago", Way.NEUTRAL),
    ("compliance_windows", [make_window(), NIGHT], Way.WIDENED),
    ("compliance_windows", [make_window(start=10)], Way.NARROWED),
    ("compliance_windows", [make_window(start=10, end=21)], Way.MIXED),
    ("compliance_windows", [NIGHT], Way.MIXED),
    ("compliance_windows", [], Way.WIDENED),
    ("compliance_windows", [make_window(start="9am")], Way.UNKNOWN),
    ("compliance_windows", [make_window("Mars/Olympus")], Way.UNKNOWN),
    ("compliance_windows", "always", Way.UNKNOWN),
]

SKILL_EDITS = [
    ("maximum_ratio", 1.6, Way.WIDENED),
    ("maximum_ratio", 1.0, Way.NARROWED),
    ("aggressiveness", "9", Way.WIDENED),
    ("aggressiveness", "bold", Way.UNKNOWN),
    ("block_multiple_calls", False, Way.WIDENED),
    ("percentage_of_agents_before_overdial", 10.0, Way.WIDENED),
    ("percentage_of_agents_before_overdial", 30.0, Way.NARROWED),
    ("abandon_rate_threshold", 2.0, Way.UNKNOWN),
    ("override_business_unit_abandon_rate", True, Way.UNKNOWN),
    ("maximum_ringing_duration_s", 30, Way.UNKNOWN),
    ("dnc_groups", [], Way.WIDENED),
    ("dnc_groups", ["70", "71"], Way.NARROWED),
    ("run_window", SKILL_BASE["run_window"][:6], Way.NARROWED),
    ("calling_windows", [], Way.NARROWED),
    ("timezone", "America/Chicago", Way.UNKNOWN),
]


@pytest.mark.parametrize(("name", "value", "way"), CAMPAIGN_EDITS)
def test_a_single_edit_of_a_campaign_has_its_direction(name, value, way):
    (row,) = edited({**BASE, name: value}).objects
    assert (row.cause, row.way) == (Cause.CHANGED, way)
    assert {one.path.partition("[")[0] for one in row.fields} == {name}
    assert {one.way for one in row.fields} == {way}


@pytest.mark.parametrize(("name", "value", "way"), SKILL_EDITS)
def test_a_single_edit_of_a_skill_has_its_direction(name, value, way):
    wanted = make_skill_desired()
    live = make_live("4001", stored={**wanted.body, name: value})
    (row,) = found([wanted], [live], kinds=SKILLS).objects
    assert (row.cause, row.way) == (Cause.CHANGED, way)
    assert {one.path.partition("[")[0] for one in row.fields} == {name}


def test_every_field_of_both_kinds_is_edited_here():
    """The id is the object itself."""
    assert {name for name, *_ in CAMPAIGN_EDITS} == {*KIND.fields} - {"campaign_id"}
    assert {name for name, *_ in SKILL_EDITS} == {*SKILL.fields} - {"skill_id"}


def test_an_unreadable_value_is_shown_as_it_is():
    (row,) = edited({**BASE, "dial_rate": {"calls": ["many"]}}).objects
    assert row.way.widens
    assert [one.live for one in row.fields] == [{"calls": ["many"]}]


def test_a_missing_field_is_a_change_of_unknown_direction():
    live = {name: value for name, value in BASE.items() if name != "dnc_verification"}
    (row,) = edited(live).objects
    assert [(one.path, one.live) for one in row.fields] == [("dnc_verification", None)]
    assert row.way.widens


# --- what apply would do ------------------------------------------------------------------------------------------------


def fates(drifted):
    return {one.path: one.fate for row in drifted.objects for one in row.fields}


def test_a_widening_is_set_back_and_a_narrowing_kept():
    drifted = edited({**BASE, "dial_rate": 1.0, "dnc_verification": False})
    assert fates(drifted) == {"dial_rate": Fate.KEPT, "dnc_verification": Fate.SET_BACK}
    assert rows(drifted) == [(Cause.CHANGED, Way.MIXED)]
    assert any("--revert" in note for note in drifted.objects[0].notes)


def test_windows_without_common_hours_are_said_to_be_removed():
    moved = [{**each, "start_hour": 0, "end_hour": 1} for each in BASE["compliance_windows"]]
    drifted = edited({**BASE, "compliance_windows": moved})
    assert {*fates(drifted).values()} == {Fate.REMOVED}


def test_a_field_that_git_changed_too_gets_the_manifests_value():
    drifted = edited({**BASE, "dial_rate": 1.0}, desired={**BASE, "dial_rate": 2.0})
    assert fates(drifted) == {"dial_rate": Fate.REPLACED}


def test_windows_that_a_hand_moved_both_ways_are_merged():
    drifted = edited({**BASE, "compliance_windows": [make_window(start=10, end=21)]})
    assert {*fates(drifted).values()} == {Fate.MERGED}


def test_an_edit_that_equals_gits_next_change_is_drift_that_apply_leaves_alone():
    drifted = edited({**BASE, "dial_rate": 2.0}, desired={**BASE, "dial_rate": 2.0})
    assert fates(drifted) == {"dial_rate": Fate.UNPLANNED}
    assert rows(drifted) == [(Cause.CHANGED, Way.NARROWED)]


# --- other causes -------------------------------------------------------------------------------------------------------


def test_a_removed_schedule_is_missing():
    drifted = found([make_desired()], [make_silent()])
    assert rows(drifted) == [(Cause.MISSING, Way.NARROWED)]


def test_a_removed_schedule_that_still_dials_is_missing_and_dialing():
    drifted = found([make_desired()], [make_live(stored=None, stored_id=None)])
    assert rows(drifted) == [(Cause.INACTIVE, Way.UNKNOWN), (Cause.MISSING, Way.NARROWED)]


def test_an_object_that_the_platform_lacks_is_missing_and_says_so():
    (row,) = found([make_desired()], []).objects
    assert row.cause is Cause.MISSING
    assert "the platform has no object with this id" in row.notes


def test_a_schedule_stored_after_its_removal_widens():
    wanted = make_retired()
    drifted = found([wanted], [make_live()], base={"1001": Base(None)})
    assert rows(drifted) == [(Cause.RECREATED, Way.WIDENED)]


def test_a_skill_that_was_stopped_unread_is_not_recreated():
    """The stop of a skill removes nothing, so its settings are still there."""
    live = make_live("4001", stored=SKILL_BASE)
    stopped = Base(None, stopped=(None, None))
    drifted = found([], [live], base={"4001": stopped}, kinds=SKILLS)
    assert rows(drifted) == [(Cause.UNMANAGED, Way.WIDENED)], (
        "it runs again, and no manifest names it"
    )


def test_a_schedule_stored_during_a_stop_widens():
    holds = {"1001": (Hold("ann", "2027-01-12T02:00:00+00:00", None, "calls at night"),)}
    stopped = Base(None, stopped=(BASE, BASE))
    drifted = found([make_desired()], [make_live()], base={"1001": stopped}, holds=holds)
    assert rows(drifted) == [(Cause.DIALING, Way.WIDENED), (Cause.RECREATED, Way.WIDENED)]


HELD = {"1001": (Hold("ann", "2027-01-12T02:00:00+00:00", None, "calls at night"),)}
REFUSED = Base(BASE)
"""A stop that the platform refused changes nothing of what was applied last."""
UNKNOWN = Base(None, stopped=(BASE, BASE), unfinished=True)
"""Whether the stop was executed is unknown."""


@settings(max_examples=60)
@given(
    st.sampled_from([None, BASE, {**BASE, "dial_rate": 1.0}, {**BASE, "dial_rate": 30.0}]),
    st.sampled_from([None, "s-1001", "older"]),
    st.sampled_from([REFUSED, UNKNOWN, UNKNOWN._replace(unfinished=False)]),
    st.booleans(),
)
def test_a_stop_that_silenced_nothing_is_never_told_as_one_that_did(
    stored, active_id, base, unreadable
):
    """What still dials comes first in the drift, and only that. A plan says so, too, unless it retires the object."""
    live = make_live(stored=stored, stored_id=stored and "s-1001", active_id=active_id)
    odd = {"1001": "no number"} if unreadable else {}
    snapshot = make_snapshot([unread("1001") if unreadable else live], unreadable=odd)
    known = Known({"1001": base}, holds=HELD)
    held = {"1001": "halted"}
    wanted = [make_desired()]
    plan = build(make_origin(), wanted, snapshot, KINDS, base=known.base, held=held)
    dials = KIND.dials(snapshot.objects["1001"])
    drifted = drift(wanted, snapshot, KINDS, known, plan.operations)
    causes = [each.cause for each in drifted.objects]
    assert (Cause.HELD in causes) is not dials
    assert causes.count(Cause.DIALING) == dials == (causes[0] is Cause.DIALING)
    assert drifted.widens or not dials
    assert dials >= any(operation.dialing for operation in plan.operations)


def test_an_object_that_a_stop_left_dialing_shows_its_hold_and_who_stored_it():
    live = make_live(stored_by="ann")
    (row,) = found([make_desired()], [live], base={"1001": REFUSED}, holds=HELD).objects
    assert (row.cause, row.way) == (Cause.DIALING, Way.WIDENED)
    assert (row.holds, row.by) == (HELD["1001"], "ann")
    assert any("it still dials" in note for note in row.notes)


def test_what_a_stop_left_dialing_is_told_although_the_next_apply_retires_it():
    drifted = found([make_retired()], [make_live()], base={"1001": REFUSED}, holds=HELD)
    assert rows(drifted) == [(Cause.DIALING, Way.WIDENED)]


@pytest.mark.parametrize("holds", [HELD, {}])
def test_what_a_stop_may_not_have_removed_is_compared_with_what_was_applied(holds):
    for rate, way in ((30.0, Way.WIDENED), (1.0, Way.NARROWED)):
        live = make_live(stored={**BASE, "dial_rate": rate})
        drifted = found([make_desired()], [live], base={"1001": UNKNOWN}, holds=holds)
        assert rows(drifted)[len(holds) :] == [(Cause.CHANGED, way)]
    same = found([make_desired()], [make_live()], base={"1001": UNKNOWN}, holds=holds)
    assert rows(same) == [(Cause.DIALING, Way.WIDENED)][: len(holds)]
    assert same.stopped == ()
    assert same.matching == (not holds)


def test_what_was_never_applied_and_a_stop_may_not_have_removed_is_not_recreated():
    never = UNKNOWN._replace(stopped=(None, BASE))
    assert rows(found([make_desired()], [make_live()], base={"1001": never})) == []
    assert rows(found([], [make_live()], base={"1001": never})) == [(Cause.UNMANAGED, Way.WIDENED)]


def test_a_skill_that_a_stop_left_running_is_compared_with_what_was_applied():
    live = make_live("4001", stored={**SKILL_BASE, "maximum_ratio": 1.6})
    stopped = Base(None, stopped=(SKILL_BASE, None), unfinished=True)
    wanted = make_skill_desired(**SKILL_BASE)
    holds = {"4001": HELD["1001"]}
    drifted = found([wanted], [live], base={"4001": stopped}, kinds=SKILLS, holds=holds)
    assert rows(drifted) == [(Cause.DIALING, Way.WIDENED), (Cause.CHANGED, Way.WIDENED)]


def test_a_stop_alone_is_a_hold_with_who_since_when_and_until_when():
    holds = HELD
    stopped = Base(None, stopped=(BASE, BASE))
    drifted = found([make_desired()], [make_silent()], base={"1001": stopped}, holds=holds)
    assert rows(drifted) == [(Cause.HELD, Way.NARROWED)]
    assert drifted.objects[0].holds == holds["1001"]


def test_an_object_without_a_manifest_counts_if_it_may_dial():
    objects = [make_live(), make_live("2001"), make_silent("2002")]
    drifted = found([make_desired()], objects)
    assert [(each.key, each.cause, each.way) for each in drifted.objects] == [
        ("2001", Cause.UNMANAGED, Way.WIDENED)
    ]


def test_an_object_whose_manifest_vanished_is_compared_and_named():
    base = {"1001": Base(BASE), "1002": Base(make_body(campaign_id="1002"))}
    live = make_live("1002", stored=make_body(campaign_id="1002", dial_rate=30.0))
    drifted = found([make_desired()], [make_live(), live], base=base, names={"1002": "old-one"})
    assert rows(drifted) == [(Cause.CHANGED, Way.WIDENED), (Cause.UNMANAGED, Way.WIDENED)]
    assert {each.name for each in drifted.objects} == {"old-one"}


def test_a_stored_schedule_that_is_not_active_has_an_unknown_direction():
    drifted = found([make_desired()], [make_live(active_id="older")])
    assert rows(drifted) == [(Cause.INACTIVE, Way.UNKNOWN)]


def test_what_was_never_applied_is_unknown_unless_it_matches_its_manifest():
    unlike = make_live(stored={**BASE, "dial_rate": 1.0})
    assert rows(found([make_desired()], [unlike], base={})) == [(Cause.UNRECORDED, Way.UNKNOWN)]
    like = found([make_desired()], [make_live()], base={})
    assert (like.objects, like.unapplied) == ((), ("campaign-1001",))
    assert found([make_desired()], [make_silent()], base={}).objects == ()


def test_a_write_whose_outcome_is_open_is_not_drift():
    body = {**BASE, "dial_rate": 30.0}
    wanted, live = make_desired(body=body), make_live(stored=body)
    drifted = found([wanted], [live], base={"1001": Base(BASE)}, open={"1001": [body]})
    assert (drifted.objects, drifted.unsettled) == ((), ("campaign-1001",))
    other = make_live(stored={**BASE, "dial_rate": 40.0})
    (row,) = found([wanted], [other], base={"1001": Base(BASE)}, open={"1001": [body]}).objects
    assert any("may be its own" in note for note in row.notes)


@pytest.mark.parametrize(("rate", "causes"), [(20.0, []), (26.0, [Cause.CHANGED])])
def test_what_the_platform_stores_otherwise_is_drift_only_where_it_is_wider(rate, causes):
    base = Base(BASE, stored_id="s-1001", sent=BASE)
    live = make_live(stored={**BASE, "dial_rate": rate})
    drifted = found([make_desired()], [live], base={"1001": base})
    assert [each.cause for each in drifted.objects] == causes
    assert drifted.stored_otherwise == (() if causes else ("campaign-1001",))


def test_a_narrowing_that_an_apply_kept_is_still_drift():
    """Base is what the manifest said, and what was sent is narrower."""
    kept = {**BASE, "dial_rate": 1.0}
    base = Base(BASE, stored_id="s-1001", sent=kept)
    drifted = found([make_desired()], [make_live(stored=kept)], base={"1001": base})
    assert rows(drifted) == [(Cause.CHANGED, Way.NARROWED)]


def test_what_widens_comes_first():
    keys = ("1001", "1002", "1003", "1004")
    lives = [
        make_live("1001", stored=make_body(campaign_id="1001", dial_rate=1.0)),
        make_silent("1002"),
        make_live("1003", active_id="older"),
        make_live("1004", stored=make_body(campaign_id="1004", dial_rate=30.0)),
        make_live("2001"),
    ]
    drifted = found(map(make_desired, keys), lives)
    assert [each.key for each in drifted.objects] == ["1004", "2001", "1003", "1001", "1002"]
