"""The planner: every combination of desired and live, what the digest names, and what an approval survives."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.kinds.campaign import KINDS
from reconciler.plan import (
    Action,
    Approval,
    Base,
    Cause,
    Cut,
    Known,
    Strictness,
    approval_from,
    approved,
    beyond,
    build,
    canonical_json,
    digest_of,
    drift,
    hold_against,
    live_hash,
    only,
    serialised,
    sha256_of,
)
from reconciler.plan.base import MovedBy
from reconciler.plan.strictness import Weakening
from reconciler.plan.values import FORMAT_VERSION, hash_of
from reconciler.policies.base import Level
from tests.support.bodies import make_body, make_skill_body, make_window
from tests.support.factories import (
    KIND,
    NOW,
    SKILLS,
    make_desired,
    make_finding,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_retired,
    make_silent,
    make_skill_desired,
    make_snapshot,
)

# Golden vectors, computed from the canonical text written out by hand, not by the code under test.
GOLDEN_LIVE = "0f03ba188383050974d3c252312e0f79f7967428b3057c5b7f3a9387217784e2"
GOLDEN_SILENT = "42ea7387ea97f89e227a2805430723d527ddfb987416c5a2e81e6ee80c4e9289"
GOLDEN_OPERATION = "6aeff8efdbd9e565fd5380bd8b23064c438408442cf31852738cd5596ea6a1e7"
GOLDEN_EMPTY = "e5e163409e384f5068fc46757f1b623402559c67591bf818c6fef805c3c3ab13"
GOLDEN_PLAN = "593c64e9fc8a96ecf1128573d4258dcb3e11e9c3f6768b317a29ed543b348ff7"
GOLDEN_BLOCKED = "3f25b08173ccf1dbc6be791ad6580f4fe37480262692558f89db8993fe06b4e1"


def planned(desired, objects=(), **parts):
    return build(make_origin(), desired, make_snapshot(objects), KINDS, **parts)


def one(desired, live, **parts):
    """Return the only operation of a plan for one object, `None` when nothing is to be done."""
    plan = planned([desired], [live], **parts)
    assert len(plan.operations) + len(plan.unchanged) == 1
    return plan.operations[0] if plan.operations else None


# --- desired by live ----------------------------------------------------------------------------------------------------

WANTED = make_desired()
RETIRED = make_retired()
LESS = make_body(dial_rate=20.0)
MORE = make_body(dial_rate=30.0)
OTHERWISE = make_body(dial_rate=20.0, max_concurrent_calls=600)


@pytest.mark.parametrize(
    ("desired", "live", "action", "direction"),
    [
        (WANTED, make_silent(), Action.CREATE, Direction.LOOSEN),
        (WANTED, make_silent(active_id="s-0"), Action.CREATE, Direction.LOOSEN),
        (WANTED, make_live(), None, None),
        (WANTED, make_live(active_id=None), Action.REFRESH, Direction.LOOSEN),
        (WANTED, make_live(active_id="s-0"), Action.REFRESH, Direction.LOOSEN),
        (WANTED, make_live(stored=MORE), Action.UPDATE, Direction.TIGHTEN),
        (WANTED, make_live(stored=LESS), Action.UPDATE, Direction.LOOSEN),
        (WANTED, make_live(stored=OTHERWISE), Action.UPDATE, Direction.MIXED),
        (
            WANTED,
            make_live(stored=make_body(timezone="Europe/London")),
            Action.UPDATE,
            Direction.NEUTRAL,
        ),
        (WANTED, make_live(stored=MORE, active_id=None), Action.UPDATE, Direction.MIXED),
        (WANTED, make_live(stored=MORE, active_id="s-0"), Action.UPDATE, Direction.MIXED),
        (WANTED, make_live(stored=LESS, active_id="s-0"), Action.UPDATE, Direction.LOOSEN),
        (
            WANTED,
            make_live(stored=make_body(timezone="Europe/London"), active_id="s-0"),
            Action.UPDATE,
            Direction.LOOSEN,
        ),
        (WANTED, make_live(stored={}), Action.UPDATE, Direction.LOOSEN),
        (RETIRED, make_silent(), None, None),
        (RETIRED, make_silent(active_id="s-0"), Action.RETIRE, Direction.TIGHTEN),
        (RETIRED, make_live(), Action.RETIRE, Direction.TIGHTEN),
        (RETIRED, make_live(active_id=None), Action.RETIRE, Direction.TIGHTEN),
        (RETIRED, make_live(active_id="s-0"), Action.RETIRE, Direction.TIGHTEN),
        (RETIRED, make_live(stored={"dial_rate": None}), Action.RETIRE, Direction.TIGHTEN),
    ],
    ids=lambda value: value.value if isinstance(value, Action) else "",
)
def test_each_pair_of_desired_and_live_has_its_action_and_direction(
    desired, live, action, direction
):
    operation = one(desired, live)
    assert (operation and operation.action, operation and operation.direction) == (
        action,
        direction,
    )


def test_an_operation_carries_what_it_was_planned_from():
    operation = one(make_desired(platform_name="Campaign 1001"), make_live(stored=MORE))
    assert operation.desired == make_body()
    assert operation.live == MORE
    assert operation.live_hash == live_hash(make_live(stored=MORE), KIND)
    assert operation.fields == (FieldChange("dial_rate", 30.0, 25.0),)
    assert (operation.kind, operation.key, operation.name) == (
        "CampaignSchedule",
        "1001",
        "campaign-1001",
    )
    assert (operation.platform_name, operation.place) == ("Campaign 1001", WANTED.place)
    assert operation.executable


def test_only_an_update_is_explained_field_by_field():
    for desired, live in (
        (WANTED, make_silent()),
        (RETIRED, make_live()),
        (WANTED, make_live(active_id="x")),
    ):
        assert one(desired, live).fields == ()


def test_an_audit_entry_speaks_of_what_is_stored_or_of_what_is_removed():
    assert one(WANTED, make_silent()).audit["dial_rate"] == 25.0
    assert one(RETIRED, make_live(stored=MORE)).audit["dial_rate"] == 30.0
    assert one(RETIRED, make_live(stored={})).audit == {}
    assert one(RETIRED, make_live(stored={"dial_rate": 1})).audit["max_concurrent"] is None
    assert one(RETIRED, make_silent(active_id="s-0")).audit == {}


def test_a_live_body_in_another_form_is_unchanged():
    stored = make_body(dial_rate=25, start_time="2027-01-11T09:00:00-05:00")
    assert one(WANTED, make_live(stored=stored)) is None


def test_a_campaign_that_the_platform_does_not_know_is_a_creation_or_nothing():
    assert planned([WANTED]).operations[0].action is Action.CREATE
    assert planned([RETIRED]).unchanged == ("1001",)


def test_what_no_manifest_names_is_counted_when_it_holds_or_dials_something():
    objects = [
        make_live("9"),
        make_silent("8", active_id="s-0"),
        make_silent("7"),
        make_live("1001"),
    ]
    plan = planned([WANTED], objects)
    assert plan.unmanaged == ("8", "9")
    assert plan.unchanged == ("1001",)
    assert plan.operations == ()


# --- what stands in the way ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("desired", "live", "level", "stops", "executable"),
    [
        (WANTED, make_live(stored=LESS), Level.ERROR, False, False),
        (WANTED, make_live(stored=OTHERWISE), Level.ERROR, False, False),
        (WANTED, make_live(stored=make_body(timezone="Europe/London")), Level.ERROR, False, False),
        (WANTED, make_silent(), Level.ERROR, False, False),
        (WANTED, make_live(active_id=None), Level.ERROR, False, False),
        (WANTED, make_live(stored=MORE), Level.ERROR, False, True),
        (RETIRED, make_live(), Level.ERROR, False, True),
        (WANTED, make_live(stored=MORE), Level.ERROR, True, False),
        (RETIRED, make_live(), Level.ERROR, True, False),
        (WANTED, make_live(stored=LESS), Level.WARNING, False, True),
        (WANTED, make_live(stored=LESS), Level.INFO, False, True),
    ],
    ids=[
        "loosen",
        "mixed",
        "neutral",
        "create",
        "refresh",
        "tighten",
        "retire",
        "stops-tighten",
        "stops-retire",
        "warning",
        "info",
    ],
)
def test_an_error_blocks_its_object_unless_the_operation_only_tightens(
    desired, live, level, stops, executable
):
    operation = one(desired, live, findings=[make_finding(level=level, stops=stops)])
    assert operation.executable is executable
    assert operation.blocked == (() if executable else ("tenant-limits",))


def test_an_error_blocks_its_own_object_alone():
    desired = [make_desired("1"), make_desired("2")]
    plan = planned(desired, [make_silent("1"), make_silent("2")], findings=[make_finding("1")])
    assert [operation.key for operation in plan.executable] == ["2"]
    assert plan.refused


@pytest.mark.parametrize("key", ["", "404"], ids=["of the tenant", "of what no manifest names"])
def test_an_error_about_no_desired_object_blocks_whatever_widens(key):
    lives = [
        make_live("1", stored=make_body(campaign_id="1", dial_rate=30.0)),
        make_live("2", stored=make_body(campaign_id="2", dial_rate=20.0)),
        make_live("3", stored=make_body(campaign_id="3", timezone="Europe/London")),
        make_silent("4"),
        make_live("5"),
    ]
    desired = [*(make_desired(each) for each in "1234"), make_retired("5")]
    error = make_finding(key, rule="unknown-rule")
    plan = planned(desired, lives, findings=[error])
    assert [operation.key for operation in plan.executable] == ["1", "3", "5"]
    assert {each.key: each.blocked for each in plan.operations if each.blocked} == {
        "2": ("unknown-rule",),
        "4": ("unknown-rule",),
    }
    assert only(plan, {"2"}).findings == (error,)
    warning = make_finding(key, rule="unknown-rule", level=Level.WARNING)
    assert len(planned(desired, lives, findings=[warning]).executable) == 5
    (held,) = planned([make_desired("2")], lives, findings=[error], held={"2": "x"}).operations
    assert "unknown-rule" not in held.blocked


def test_a_plan_is_refused_by_errors_alone():
    assert not planned([WANTED], findings=[make_finding(level=Level.WARNING)]).refused


def test_a_hold_leaves_an_object_alone_and_says_why():
    operation = one(
        WANTED, make_silent(), held={"1001": "halted by ops"}, findings=[make_finding()]
    )
    assert operation.action is Action.HELD
    assert operation.blocked == ("halted by ops",)
    assert not operation.executable


STOP = ". Stop it again with `reconcile halt schedules/acme campaign-1001 --reason TEXT`; halted by ops"
AGAIN = f"it still dials{STOP}"


@pytest.mark.parametrize(
    ("stored", "active", "dialing", "said"),
    [
        ("s-1001", "s-1001", True, "it still dials"),
        ("s-1001", "older", True, "it still dials: {}"),
        (None, "older", True, "it still dials: {}"),
        ("s-1001", None, False, "{}: any refresh would make it dial"),
    ],
)
def test_a_hold_that_the_dialer_has_not_obeyed_is_told_as_drift_tells_it(
    stored, active, dialing, said
):
    """A schedule that is stored again, and that the dialer does not use, does not dial yet."""
    live = make_live(stored=stored and LESS, stored_id=stored, active_id=active)
    snapshot = make_snapshot([live])
    plan = build(make_origin(), [WANTED], snapshot, KINDS, held={"1001": "halted by ops"})
    (operation,) = plan.operations
    rows = drift([WANTED], snapshot, KINDS, Known({}), plan.operations).objects
    inactive = "".join(row.notes[0] for row in rows if row.cause is Cause.INACTIVE)
    assert operation.blocked == (f"{said.format(inactive)}{STOP}",)
    assert operation.dialing is dialing


HALTED = {"1001": "halted by ops"}


@pytest.mark.parametrize(
    ("wanted", "live", "base", "action"),
    [
        (make_desired(body=LESS), make_live(stored=MORE), None, Action.UPDATE),
        (make_desired(body=LESS), make_live(stored=MORE), Base(LESS), Action.UPDATE),
        (make_desired(body=MORE), make_live(stored=OTHERWISE), Base(LESS), Action.UPDATE),
        (
            make_desired(body=LESS),
            make_live(stored=LESS, stored_id="ours", active_id="older"),
            Base(LESS, Direction.TIGHTEN, "ours", unfinished=True, sent=LESS),
            Action.REFRESH,
        ),
    ],
    ids=["git narrows", "a hand widened", "both", "a tightening is left"],
)
def test_what_narrows_an_object_that_a_stop_did_not_silence_is_not_held(wanted, live, base, action):
    """To leave it wide because it should be silent would be the worst of both. It stays held, and is reported as dialing."""
    known = {"1001": base} if base else {}
    plan = planned([wanted], [live], held=HALTED, base=known)
    step, rest = plan.operations
    assert (step.action, step.direction, step.executable) == (action, Direction.TIGHTEN, True)
    assert (rest.action, rest.dialing, rest.executable) == (Action.HELD, True, False)
    assert "it still dials" in rest.blocked[0]


@pytest.mark.parametrize("stored", [None, LESS])
def test_what_retires_an_object_that_a_stop_did_not_silence_is_not_held(stored):
    live = make_live(stored=stored, stored_id=stored and "s-1", active_id="older")
    operation = one(make_retired(), live, held=HALTED)
    assert (operation.action, operation.executable) == (Action.RETIRE, True)


@pytest.mark.parametrize("found", [None, LESS])
def test_what_a_stop_removed_and_the_dialer_still_uses_is_held_and_no_removal(found):
    """After a stop of everything there are many of these, and removals count against the limits."""
    live = make_live(stored=None, version=None, stored_id=None, active_id="older")
    last = Base(None, Direction.TIGHTEN, stopped=(LESS, found))
    plan = planned([make_desired(body=LESS)], [live], held=HALTED, base={"1001": last})
    (operation,) = plan.operations
    assert (operation.action, operation.dialing) == (Action.HELD, True)


@pytest.mark.parametrize("running", [True, False])
def test_a_stopped_skill_keeps_its_settings_until_it_is_released(running):
    stored = {**make_skill_body(), "skill_id": "4001"}
    slower = make_skill_desired(maximum_ratio=stored["maximum_ratio"] - 0.5)
    live = make_silent("4001", running=running, stored=stored)
    held = {"4001": "halted by ops"}
    plan = build(make_origin(), [slower], make_snapshot([live]), SKILLS, held=held)
    executable = [each.action for each in plan.operations if each.executable]
    assert executable == ([Action.UPDATE] if running else [])


@pytest.mark.parametrize("active_id", ["ours", "older", None])
@pytest.mark.parametrize(
    "stored",
    [LESS, make_body(dial_rate=20.0, compliance_windows=[]), MORE],
    ids=["less", "at night", "as desired"],
)
def test_nothing_that_may_widen_an_object_that_a_stop_holds_runs(stored, active_id):
    """Also where the dialer uses nothing, or another schedule: to store or refresh anything may make it dial more."""
    live = make_live(stored=stored, stored_id="ours", active_id=active_id)
    for last in (None, Base(stored, Direction.TIGHTEN, "ours", unfinished=True, sent=stored)):
        known = {"1001": last} if last else {}
        plan = planned([make_desired(body=MORE)], [live], held=HALTED, base=known)
        for each in plan.operations:
            runs = each.direction is Direction.TIGHTEN and active_id is not None
            assert runs or not each.executable


def test_what_is_held_and_dials_as_desired_is_told_and_left_alone():
    """Somebody stored it again after the stop: "as its manifest says" would hide that it dials."""
    operation = one(WANTED, make_live(), held={"1001": "halted by ops"})
    assert (operation.action, operation.executable) == (Action.HELD, False)
    assert operation.blocked == (AGAIN,)


def test_a_hold_on_what_is_retired_and_silent_is_nothing():
    assert one(make_retired(), make_silent(), held={"1001": "halted by ops"}) is None


# --- a plan as a value --------------------------------------------------------------------------------------------------

lives = st.sampled_from(
    [
        make_live,
        make_silent,
        lambda key: make_live(key, active_id=None),
        lambda key: make_live(key, stored=make_body(campaign_id=key, dial_rate=20.0)),
        lambda key: make_live(key, stored=make_body(campaign_id=key, compliance_windows=[])),
    ]
)
wants = st.sampled_from([make_desired, make_retired])
KEYS = ("7", "70", "700", "8")
worlds = st.tuples(
    st.dictionaries(st.sampled_from(KEYS), wants, max_size=4),
    st.dictionaries(st.sampled_from(KEYS), lives, max_size=4),
).map(
    lambda world: (
        [make(key) for key, make in world[0].items()],
        [make(key) for key, make in world[1].items()],
    )
)


@given(worlds, st.randoms())
def test_the_order_of_manifests_and_of_objects_does_not_matter(world, order):
    desired, objects = world
    mixed = planned(order.sample(desired, len(desired)), order.sample(objects, len(objects)))
    assert mixed == planned(desired, objects)
    assert mixed.digest == planned(desired, objects).digest


@given(worlds)
def test_every_manifest_is_an_operation_or_unchanged_and_the_rest_is_unmanaged(world):
    desired, objects = world
    plan = planned(desired, objects)
    named = [operation.key for operation in plan.operations]
    assert sorted([*named, *plan.unchanged]) == sorted(item.key for item in desired)
    assert not {*plan.unmanaged} & {item.key for item in desired}
    assert [named, *map(list, (plan.unchanged, plan.unmanaged))] == [
        sorted(each) for each in (named, plan.unchanged, plan.unmanaged)
    ]


@given(worlds)
def test_carrying_a_plan_out_leaves_nothing_to_do(world):
    desired, objects = world
    after = {live.key: live for live in objects}
    for operation in planned(desired, objects).operations:
        after[operation.key] = (
            make_silent(operation.key)
            if operation.desired is None
            else make_live(operation.key, stored=operation.desired)
        )
    assert planned(desired, after.values()).operations == ()


def test_a_plan_may_be_restricted_to_some_objects():
    plan = planned(
        [make_desired(key) for key in ("1", "2", "3")],
        [make_silent("1"), make_live("2"), make_silent("3")],
        findings=[make_finding("1"), make_finding("3"), make_finding("")],
    )
    cut = only(plan, {"1", "2"})
    assert [operation.key for operation in cut.operations] == ["1"]
    assert cut.unchanged == ("2",)
    assert [finding.key for finding in cut.findings] == ["1", ""]
    alone = planned([make_desired("1")], [make_silent("1")], findings=[make_finding("1")])
    assert cut.digest == alone.digest
    assert only(plan, {"1", "2", "3"}) == plan
    plan = planned([make_desired(key) for key in "123"], [make_live(key) for key in "123"], base={})
    assert (plan.unchanged, plan.unrecorded) == (("1", "2", "3"), ("1", "2", "3"))
    assert (only(plan, "1").unchanged, only(plan, "1").unrecorded) == (("1",), ("1",))


# --- golden vectors -----------------------------------------------------------------------------------------------------


def test_canonical_json_is_sorted_compact_ascii():
    value = {"b": [1, 1.0, True, None], "a": "\u00fc\u2028\ud800", "A": {}}
    assert canonical_json(value) == '{"A":{},"a":"\\u00fc\\u2028\\ud800","b":[1,1.0,true,null]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_json_number_has_no_hash(value):
    with pytest.raises(ValueError, match="JSON"):
        sha256_of([value])


def test_the_hash_of_a_live_object_is_this_one():
    assert live_hash(make_live(), KIND) == GOLDEN_LIVE
    assert live_hash(make_silent(), KIND) == GOLDEN_SILENT


def test_the_hash_of_an_operation_is_this_one():
    assert make_operation().hash == GOLDEN_OPERATION


def test_the_digest_of_a_plan_is_this_one():
    assert make_plan().digest == GOLDEN_EMPTY
    assert (
        make_plan(
            [make_operation("1001"), make_operation("1002", action=Action.RETIRE, desired=None)]
        ).digest
        == GOLDEN_PLAN
    )
    blocked = make_operation("1002", action=Action.RETIRE, desired=None, blocked=("identity",))
    assert make_plan([make_operation("1001"), blocked]).digest == GOLDEN_BLOCKED


@pytest.mark.parametrize(
    "parts",
    [
        {"stored_id": "s-2", "active_id": "s-2", "version": '"s-2"'},
        {"stored_at": "2027-01-12T00:00:00Z", "activated_at": None},
        {"name": "Renamed", "running": False},
        {"stored": make_body(dial_rate=25, start_time="2027-01-11T09:00:00-05:00")},
    ],
    ids=["stored-again", "instants", "name", "form"],
)
def test_the_hash_of_a_live_object_does_not_count_what_does_not_dial(parts):
    assert live_hash(make_live(**parts), KIND) == GOLDEN_LIVE


@pytest.mark.parametrize(
    "live",
    [
        make_live(active_id=None),
        make_live(active_id="s-0"),
        make_live(stored=make_body(dial_rate=25.5)),
        make_silent(),
        make_silent(active_id="s-0"),
    ],
)
def test_the_hash_of_a_live_object_counts_what_is_stored_and_what_dials(live):
    assert live_hash(live, KIND) != GOLDEN_LIVE


def test_six_states_of_one_object_have_six_hashes():
    states = [
        make_live(),
        make_live(active_id=None),
        make_live(active_id="s-0"),
        make_live(stored=LESS),
        make_silent(),
        make_silent(active_id="s-0"),
    ]
    assert len({live_hash(live, KIND) for live in states}) == 6


# --- what a digest names ------------------------------------------------------------------------------------------------


def test_findings_commit_place_time_and_skew_are_outside_the_digest():
    operation = make_operation()
    plan = make_plan([operation])
    other = make_plan(
        [
            replace(
                operation,
                name="renamed",
                platform_name="Renamed",
                place=Place("elsewhere.yaml", 7, 7),
                direction=Direction.LOOSEN,
                fields=(FieldChange("dial_rate", 1, 2),),
                live=None,
                audit={"dial_rate": 1},
            )
        ],
        origin=make_origin(commit="0" * 40, skew_s=30.0),
        findings=(make_finding(),),
        unchanged=("1",),
        unmanaged=("2",),
        at=NOW + timedelta(days=1),
    )
    assert other.digest == plan.digest


@pytest.mark.parametrize(
    "operation",
    [
        make_operation("1002"),
        make_operation(kind="SkillPacing"),
        make_operation(action=Action.CREATE),
        make_operation(live_hash="0" * 63 + "1"),
        make_operation(desired=None),
        make_operation(desired=make_body(dial_rate=20.000001)),
        make_operation(desired=make_body(dial_rate=20.0, dnc_verification=False)),
        make_operation(desired=make_body(dial_rate=20.0, compliance_windows=[make_window(end=21)])),
        make_operation(desired=make_body(dial_rate=20.0, end_time="2027-01-15T23:00:01Z")),
        make_operation(desired=make_body(dial_rate=20.0, note=None)),
    ],
)
def test_the_digest_changes_with_every_part_of_an_operation(operation):
    assert make_plan([operation]).digest != make_plan([make_operation()]).digest


@pytest.mark.parametrize("name", ["tenant", "url", "rules_version", "tzdata_version"])
def test_the_digest_changes_with_where_and_by_which_data(name):
    origin = make_origin(**{name: "another"})
    assert (
        make_plan([make_operation()], origin=origin).digest != make_plan([make_operation()]).digest
    )


def test_the_digest_changes_with_each_operation_more_or_less_but_not_with_their_order():
    first, second = make_operation("1"), make_operation("2")
    digests = [make_plan(some).digest for some in ((), (first,), (second,), (first, second))]
    assert len(set(digests)) == 4
    assert make_plan([second, first]).digest == digests[3]


def test_what_is_held_is_not_named_by_the_digest():
    held = make_operation("2", action=Action.HELD, blocked=("narrowed by hand",))
    assert make_plan([make_operation("1"), held]).digest == make_plan([make_operation("1")]).digest


def test_what_is_blocked_has_another_digest_than_what_would_run():
    """Else the digest of a plan that was approved while something was blocked would cover it later."""
    first, second = make_operation("1"), make_operation("2")
    blocked = replace(second, blocked=("dnc-list",))
    digests = [make_plan(some).digest for some in ((first,), (first, second), (first, blocked))]
    assert len(set(digests)) == 3
    other_rule = replace(second, blocked=("calling-windows", "dnc-list"))
    assert make_plan([first, other_rule]).digest == digests[2]


@given(st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), max_size=4))
def test_a_digest_is_of_the_hashes_in_any_order(hashes):
    assert digest_of(make_origin(), hashes) == digest_of(make_origin(), reversed(hashes))


# --- saved and approved -------------------------------------------------------------------------------------------------

SAVED = make_plan(
    [
        make_operation("1001"),
        make_operation("1002", action=Action.RETIRE, desired=None),
        make_operation("1003", action=Action.HELD, blocked=("narrowed by hand",)),
        make_operation("1005", blocked=("dnc-list",)),
    ],
    findings=(make_finding(place=Place("x.yaml", 1, 2)), make_finding("")),
    unchanged=("1004",),
)


def through_a_file(plan):
    return json.loads(json.dumps(serialised(plan)))


def test_a_saved_plan_says_everything_under_its_name():
    """Programs read these names, and a plan that another version saved is read by them."""
    one = make_operation(
        "1001",
        blocked=("dnc-list",),
        notes=("a note",),
        fields=(FieldChange("dial_rate", 30.0, 20.0),),
        reverts=True,
        moved_by=MovedBy.OUTSIDE,
        fields_moved_by={"dial_rate": MovedBy.GIT},
    )
    finding, weakening = make_finding(""), Weakening("owner", "a", "b", ())
    plan = make_plan(
        [one, make_operation("1002")],
        origin=make_origin(commit="c" * 40, skew_s=-1.23456, platform="campaigns/acme.example"),
        unchanged=("1003",),
        unmanaged=("1004",),
        unrecorded=("1005",),
        findings=(finding,),
        strictness=Strictness(weakenings=(weakening,)),
    )
    saved = through_a_file(plan)
    first, second = saved.pop("operations")
    assert saved == {
        "format_version": FORMAT_VERSION,
        "tenant": "acme",
        "url": "https://acme.example",
        "platform": "campaigns/acme.example",
        "digest": plan.digest,
        "commit": "c" * 40,
        "at": NOW.isoformat(),
        "skew_s": -1.235,
        "rules_version": "1",
        "tzdata_version": "2025.2",
        "unchanged": ["1003"],
        "unmanaged": ["1004"],
        "unrecorded": ["1005"],
        "findings": [finding.serialised()],
        "weakenings": [weakening.serialised()],
    }
    assert first == {
        "reverts": True,
        "hash": one.hash,
        "kind": "CampaignSchedule",
        "key": "1001",
        "name": "campaign-1001",
        "platform_name": "Campaign 1001",
        "action": "update",
        "direction": "tighten",
        "moved_by": "outside",
        "fields_moved_by": {"dial_rate": "git"},
        "desired": one.desired,
        "live": one.live,
        "live_hash": "0" * 64,
        "fields": [{"path": "dial_rate", "live": 30.0, "desired": 20.0}],
        "dropped": [],
        "effect": None,
        "blocked": ["dnc-list"],
        "notes": ["a note"],
        "place": "schedules/acme/1001.yaml:1:1",
    }
    assert "reverts" not in second


@given(worlds)
@settings(max_examples=40)
def test_an_approval_of_a_saved_plan_names_its_operations(world):
    plan = planned(*world)
    approval = approval_from(through_a_file(plan))
    assert approval.digest == plan.digest
    assert approval.operations == {op.hash: (op.key, op.desired) for op in plan.executable}
    assert approval.origin == make_origin()
    assert approved(plan).digest == plan.digest


def test_what_is_held_is_not_approved_by_approving_the_plan():
    approval = approval_from(through_a_file(SAVED))
    assert {key for key, _ in approval.operations.values()} == {"1001", "1002"}


def test_what_is_blocked_is_not_approved_by_approving_the_plan():
    for approval in (approval_from(through_a_file(SAVED)), approved(SAVED)):
        assert [key for key, _ in approval.operations.values()] == ["1001", "1002"]
        assert approval.left == {SAVED.operations[2].hash, SAVED.operations[3].hash}


@pytest.mark.parametrize("value", [[], {}, None, "", 0, "dnc-list"])
def test_a_saved_plan_in_which_nothing_blocks_an_operation_any_more_is_refused(value):
    saved = through_a_file(SAVED)
    saved["operations"][3]["blocked"] = value
    with pytest.raises(ValueError, match=r"edited|part of one"):
        approval_from(saved)


def test_a_saved_plan_holds_all_that_a_reviewer_was_shown():
    saved = through_a_file(SAVED)
    assert saved["tenant"] == "acme"
    assert saved["at"] == "2027-01-12T14:00:00+00:00"
    assert [entry["action"] for entry in saved["operations"]] == [
        *("update", "retire", "held", "update"),
    ]
    assert saved["operations"][0]["hash"] == GOLDEN_OPERATION
    assert [finding["place"] for finding in saved["findings"]] == ["x.yaml:1:2", None]
    assert saved["unchanged"] == ["1004"]


BOUND = [
    ("tenant",),
    ("url",),
    ("rules_version",),
    ("tzdata_version",),
    ("digest",),
    ("format_version",),
    *(
        ("operations", n, name)
        for n in (0, 1, 3)
        for name in ("kind", "key", "action", "desired", "live_hash", "hash", "blocked")
    ),
    ("operations", 0, "desired", "dial_rate"),
    ("operations", 0, "desired", "compliance_windows", 0, "end_hour"),
    ("operations", 2, "action"),
]


@pytest.mark.parametrize("path", BOUND, ids=lambda path: ".".join(map(str, path)))
@pytest.mark.parametrize("value", ["update", 1.5, None, {}], ids=repr)
def test_any_edit_of_what_an_approval_binds_is_refused(path, value):
    saved = through_a_file(SAVED)
    inner = saved
    for step in path[:-1]:
        inner = inner[step]
    if inner[path[-1]] == value:
        value = "held"
    inner[path[-1]] = value
    with pytest.raises(ValueError, match=r"edited|part of one|format_version"):
        approval_from(saved)


@pytest.mark.parametrize(("name", "value"), [("key", ["1001"]), ("key", {}), ("desired", ["x"])])
def test_an_operation_that_no_plan_writes_is_refused_though_its_hashes_are_right(name, value):
    saved = through_a_file(make_plan([make_operation("1001")]))
    (entry,) = saved["operations"]
    entry[name] = value
    parts = {each: entry[each] for each in ("action", "desired", "key", "kind")}
    entry["hash"] = hash_of({**parts, "live": entry["live_hash"]}, reverts=False)
    saved["digest"] = digest_of(make_origin(), [entry["hash"]])
    with pytest.raises(ValueError, match="part of one"):
        approval_from(saved)


@pytest.mark.parametrize("path", BOUND, ids=lambda path: ".".join(map(str, path)))
def test_a_plan_that_was_cut_is_refused(path):
    saved = through_a_file(SAVED)
    inner = saved
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    with pytest.raises(ValueError, match=r"edited|part of one"):
        approval_from(saved)


@pytest.mark.parametrize("change", ["drop", "add", "replace"])
def test_an_operation_more_or_less_is_refused(change):
    saved = through_a_file(SAVED)
    extra = through_a_file(make_plan([make_operation("9")]))["operations"][0]
    if change != "add":
        saved["operations"].pop(0)
    if change != "drop":
        saved["operations"].append(extra)
    with pytest.raises(ValueError, match="edited or cut"):
        approval_from(saved)


@pytest.mark.parametrize("name", ["at", "commit", "skew_s", "findings", "unchanged", "unmanaged"])
def test_what_is_beside_the_digest_does_not_change_what_is_approved(name):
    saved = through_a_file(SAVED)
    saved[name] = deepcopy(saved["operations"])
    assert approval_from(saved) == approval_from(through_a_file(SAVED))


@pytest.mark.parametrize(
    "saved",
    [[], None, "plan", 7, {}, {"format_version": 1}, {"format_version": 2, "operations": [7]}],
)
def test_what_is_no_plan_is_refused_as_such(saved):
    with pytest.raises(ValueError, match=r"not a plan|format_version"):
        approval_from(saved)


# --- an approval against what is planned now ----------------------------------------------------------------------------

TIGHTER, WIDER = make_operation("1"), make_operation("2", direction=Direction.LOOSEN)
BLOCKED = make_operation("3", blocked=("tenant-limits",))
FREED = replace(BLOCKED, blocked=())
NOW_PLANNED = make_plan([TIGHTER, WIDER, BLOCKED], unchanged=("4",))
APPROVALS = {"by-yes": approved, "by-file": lambda plan: approval_from(through_a_file(plan))}


def test_without_an_approval_all_that_nothing_stands_in_the_way_of_runs():
    assert hold_against(NOW_PLANNED, None) == Cut((TIGHTER, WIDER))
    assert hold_against(NOW_PLANNED, None, tighten_only=True) == Cut((TIGHTER,))


@pytest.mark.parametrize("saved", [False, True], ids=["by-yes", "by-file"])
def test_what_was_approved_and_still_derives_runs(saved):
    approval = approval_from(through_a_file(NOW_PLANNED)) if saved else approved(NOW_PLANNED)
    assert hold_against(NOW_PLANNED, approval) == Cut((TIGHTER, WIDER))
    assert hold_against(NOW_PLANNED, approval, tighten_only=True) == Cut((TIGHTER,))


def test_a_digest_approves_its_plan_and_no_other():
    assert hold_against(NOW_PLANNED, Approval(NOW_PLANNED.digest)).run == (TIGHTER, WIDER)
    for now in (make_plan([TIGHTER]), make_plan(), make_plan([TIGHTER, WIDER, FREED])):
        cut = hold_against(now, Approval(NOW_PLANNED.digest))
        assert cut == Cut((), other=NOW_PLANNED.digest)
        assert cut.is_stale


def test_what_moved_since_is_stale_and_the_rest_runs():
    moved = make_operation("2", live_hash="f" * 64, direction=Direction.LOOSEN)
    cut = hold_against(make_plan([TIGHTER, moved]), approved(NOW_PLANNED))
    assert cut == Cut((TIGHTER,), stale=("2",))


def test_nothing_is_widened_while_a_narrowing_that_was_approved_with_it_is_stale():
    moved = make_operation("1", live_hash="f" * 64)
    cut = hold_against(make_plan([moved, WIDER]), approved(NOW_PLANNED))
    assert cut == Cut((), stale=("1",), behind=("campaign-2",))
    narrower = make_operation("5")
    approval = approved(make_plan([TIGHTER, WIDER, narrower]))
    assert hold_against(make_plan([moved, WIDER, narrower]), approval).run == (narrower,)


def test_what_is_stale_and_would_widen_keeps_nothing_else_waiting():
    """Somebody narrowed it further by hand: nothing that should come before the rest is missing."""
    moved = make_operation("1", live_hash="f" * 64, direction=Direction.LOOSEN)
    cut = hold_against(make_plan([moved, WIDER]), approved(NOW_PLANNED))
    assert cut == Cut((WIDER,), stale=("1",))


def test_what_nobody_approved_does_not_run_and_is_named():
    cut = hold_against(NOW_PLANNED, approved(make_plan([TIGHTER])))
    assert cut == Cut((TIGHTER,), strange=("campaign-2",))


@pytest.mark.parametrize("by", APPROVALS)
def test_what_was_blocked_when_it_was_approved_does_not_run_once_nothing_blocks_it(by):
    """A waiver was merged meanwhile, or a list became ACTIVE."""
    cut = hold_against(make_plan([TIGHTER, WIDER, FREED]), APPROVALS[by](NOW_PLANNED))
    assert cut == Cut((TIGHTER, WIDER), freed=("campaign-3",))
    assert cut.is_stale
    assert not hold_against(NOW_PLANNED, APPROVALS[by](NOW_PLANNED)).is_stale, "still blocked"


@pytest.mark.parametrize("by", APPROVALS)
def test_what_was_held_when_it_was_approved_does_not_run_because_of_revert(by):
    """The row was shown as held; `--revert` makes the same operation executable."""
    held = replace(
        WIDER, action=Action.HELD, would=Action.UPDATE, reverts=True, blocked=("narrowed",)
    )
    reverted = replace(WIDER, reverts=True)
    assert held.hash == reverted.hash
    cut = hold_against(make_plan([TIGHTER, reverted]), APPROVALS[by](make_plan([TIGHTER, held])))
    assert cut == Cut((TIGHTER,), freed=("campaign-2",))


@pytest.mark.parametrize("by", APPROVALS)
def test_what_was_approved_and_is_blocked_now_does_not_run_and_is_not_stale(by):
    was = make_plan([TIGHTER, WIDER, FREED])
    cut = hold_against(NOW_PLANNED, APPROVALS[by](was))
    assert (cut.run, cut.is_stale) == ((TIGHTER, WIDER), False)


@pytest.mark.parametrize("by", APPROVALS)
def test_a_second_step_does_not_run_without_its_first(by):
    first = make_operation("1")
    second = replace(make_operation("1"), desired=make_body(dial_rate=15.0), after=first.hash)
    both = make_plan([first, second])
    assert hold_against(both, APPROVALS[by](both)).run == (first, second)
    assert hold_against(both, APPROVALS[by](make_plan([second]))).run == ()
    assert hold_against(both, APPROVALS[by](make_plan([first]))).run == (first,)


def test_a_refresh_runs_only_for_what_was_approved():
    """What an earlier run stored is finished under the same approval, what anybody else stored is not."""
    stored = {"action": Action.REFRESH, "direction": Direction.LOOSEN}
    ours = make_operation("1", live=TIGHTER.desired, **stored)
    others = make_operation("6", live=make_operation("6").desired, **stored)
    another_body = make_operation("1", desired=make_body(), live=make_body(), **stored)
    unblocked = make_operation("3", live=BLOCKED.desired, **stored)
    approval = approved(NOW_PLANNED)
    assert hold_against(make_plan([ours, WIDER]), approval).run == (ours, WIDER)
    for refresh in (others, another_body, unblocked):
        assert refresh not in hold_against(make_plan([refresh, WIDER]), approval).run


def test_a_removal_is_finished_only_where_it_was_approved():
    finishing = make_operation("9", action=Action.RETIRE, desired=None, live=None)
    asked = make_operation("9", action=Action.RETIRE, desired=None)
    assert hold_against(make_plan([finishing]), approved(make_plan([asked]))).run == (finishing,)
    for other in (TIGHTER, replace(asked, blocked=("identity",))):
        cut = hold_against(make_plan([finishing]), approved(make_plan([other])))
        assert (cut.run, cut.is_stale) == ((), True)


_bodies = st.sampled_from([make_body(campaign_id="1", dial_rate=rate) for rate in (20.0, 30.0)])
_steps = st.builds(
    make_operation,
    key=st.sampled_from(["1", "2", "3"]),
    action=st.sampled_from([Action.CREATE, Action.UPDATE, Action.RETIRE, Action.REFRESH]),
    desired=st.none() | _bodies,
    live=st.none() | _bodies,
    live_hash=st.sampled_from(["0" * 64, "1" * 64]),
    direction=st.sampled_from(list(Direction)),
    reverts=st.booleans(),
    blocked=st.sampled_from([(), (), ("dnc-list",)]),
)
_held = st.builds(
    lambda step: replace(
        step,
        action=Action.HELD,
        would=step.action,
        reverts=True,
        blocked=("narrowed", *step.blocked),
    ),
    _steps,
)
_lists = st.lists(st.one_of(_steps, _steps, _held), max_size=4, unique_by=lambda each: each.hash)


@st.composite
def _pairs(draw):
    """Return a plan that was shown and one that derives now: some of the same operations, blocked or not, and others."""
    shown = draw(_lists)
    kept = [
        replace(each, blocked=draw(st.sampled_from([(), ("dnc-list",)])))
        for each in shown
        if each.action is not Action.HELD and draw(st.integers(0, 3))
    ]
    more = {each.hash: each for each in (*draw(_lists), *kept)}
    return make_plan(shown), make_plan(more.values())


def _content(operation):
    """Return what an approval binds of an operation."""
    return (
        *(operation.kind, operation.key, operation.action, operation.desired),
        *(operation.live_hash, operation.reverts),
    )


@given(_pairs(), st.sampled_from(sorted(APPROVALS)), st.booleans())
def test_nothing_runs_that_was_not_executable_when_it_was_approved(pair, by, tighten_only):
    """Or it finishes what was: the same body, stored already and not active; the removal of what is gone already."""
    shown, now = pair
    covered = [_content(each) for each in shown.executable]
    bodies = [(each.key, each.desired) for each in shown.executable]
    for each in hold_against(now, APPROVALS[by](shown), tighten_only=tighten_only).run:
        finishes = each.action is Action.REFRESH or (
            each.action is Action.RETIRE and each.live is None
        )
        assert _content(each) in covered or (finishes and (each.key, each.desired) in bodies)
        assert each.executable


@given(_pairs())
def test_a_digest_alone_runs_all_that_was_executable_when_it_was_approved_or_nothing(pair):
    shown, now = pair
    same = make_plan(shown.operations, at=NOW + timedelta(days=1))
    assert hold_against(same, Approval(shown.digest)).run == shown.executable
    run = hold_against(now, Approval(shown.digest)).run
    wanted = sorted(each.hash for each in shown.executable)
    assert sorted(each.hash for each in run) in ([], wanted)
    if run:
        assert {each.hash for each in now.operations if each.refused} == {
            each.hash for each in shown.operations if each.refused
        }


def test_what_was_approved_and_is_done_already_is_not_stale():
    cut = hold_against(make_plan([WIDER], unchanged=("1",)), approved(NOW_PLANNED))
    assert cut == Cut((WIDER,))


@pytest.mark.parametrize("parts", [{"tenant": "other"}, {"url": "https://other.example"}])
def test_an_approval_for_another_tenant_approves_nothing(parts):
    elsewhere = replace(NOW_PLANNED, origin=make_origin(**parts))
    assert hold_against(elsewhere, approved(NOW_PLANNED)) == Cut((), stale=("1", "2"))


def test_newer_rules_do_not_void_an_approval_of_operations():
    newer = replace(NOW_PLANNED, origin=make_origin(rules_version="2"))
    assert hold_against(newer, approved(NOW_PLANNED)).run == (TIGHTER, WIDER)


# --- limits -------------------------------------------------------------------------------------------------------------

ALL = {"changed": 1.0, "retired": 1.0, "loosened": 1.0}


@given(st.integers(10, 2000), st.data())
def test_a_share_is_passed_by_one_object_more_and_by_no_rounding(total, data):
    number = data.draw(st.integers(0, min(total - 1, 30)))
    shares = {**ALL, "changed": number / total}
    moved = [make_operation(str(each)) for each in range(number + 1)]
    assert beyond(moved[:-1], total, shares) == ()
    assert len(beyond(moved, total, shares)) == 1


@given(st.integers(0, 20), st.integers(0, 30))
def test_a_share_of_100_percent_is_no_limit_also_for_objects_that_a_change_takes_over(
    total, number
):
    moved = [make_operation(str(each), direction=Direction.LOOSEN) for each in range(number)]
    assert beyond(moved, total, ALL) == ()


def test_two_steps_of_one_object_are_one_changed_object():
    shares = {**ALL, "changed": 0.1}
    assert beyond([TIGHTER, WIDER, replace(WIDER, key=TIGHTER.key)], 20, shares) == ()


def test_what_is_removed_because_of_a_hand_edit_is_no_retirement():
    """It is held after that, and to refuse it would leave the hand's hours dialing."""
    emptied = make_operation("9", action=Action.RETIRE, desired=None, base=make_body())
    assert beyond([emptied], 20, {**ALL, "retired": 0.0}) == ()


def test_what_finishes_an_earlier_write_is_counted_by_the_apply_that_wrote():
    none = dict.fromkeys(ALL, 0.0)
    again = replace(WIDER, action=Action.REFRESH)
    assert len(beyond([again], 20, none)) == 2
    assert beyond([replace(again, finishes=True), replace(GONE, finishes=True)], 20, none) == ()


def test_a_share_of_29_percent_of_100_is_29():
    assert beyond([TIGHTER] * 29, 100, {**ALL, "changed": 0.29}) == ()


def test_each_limit_counts_what_it_is_about():
    gone = make_operation("9", action=Action.RETIRE, desired=None)
    none = dict.fromkeys(ALL, 0.0)
    assert [
        text.split(" would be ")[1].split(",")[0] for text in beyond([gone, WIDER], 10, none)
    ] == [
        "changed",
        "retired",
        "loosened",
    ]
    assert (
        beyond([make_operation(action=Action.CREATE, direction=Direction.LOOSEN)], 10, none) == ()
    )
    (text,) = beyond([gone, TIGHTER], 10, {**ALL, "changed": 0.1})
    assert text.startswith("2 of 10 objects would be changed, and the limit is 10%")
    assert "limits.changed_share" in text


GONE = make_operation("9", action=Action.RETIRE, desired=None)
THIRD = dict.fromkeys(ALL, 0.3)


@pytest.mark.parametrize("total", range(2, 10))
def test_a_small_tenant_may_retire_one_loosen_one_and_narrow_any_number(total):
    allowed = max(1, int(total * 0.3))
    assert beyond([TIGHTER] * total, total, THIRD) == ()
    for operation, what in ((GONE, "retired"), (WIDER, "loosened")):
        assert beyond([operation] * allowed, total, THIRD) == ()
        (text,) = beyond([operation] * (allowed + 1), total, THIRD)
        assert f"would be {what}, and the limit is 30% or 1, whichever is more" in text


def test_a_share_of_nothing_allows_nothing_in_a_small_tenant_too():
    for what, operation in (("changed", TIGHTER), ("retired", GONE), ("loosened", WIDER)):
        (text,) = beyond([operation], 4, {**ALL, what: 0.0})
        assert f"1 of 4 objects would be {what}, and the limit is 0%:" in text


@pytest.mark.parametrize("total", [0, 1])
def test_a_limit_of_a_single_object_is_told_in_the_singular(total):
    (text,) = beyond([GONE], total, {**ALL, "retired": 0.0})
    assert text.startswith("1 of 1 object would be retired, and the limit is 0%:")
    assert beyond([GONE], total, ALL) == ()


def test_what_was_applied_or_is_live_counts_and_what_the_manifests_add_does_not():
    lives = [make_live("1"), make_silent("2"), make_silent("3", active_id="s-0"), make_live("9")]
    base = {"1": Base(make_body()), "7": Base(make_body()), "8": Base(None)}
    base["9"] = Base(make_body(), imported=True)  # and no manifest names it
    desired = [make_desired("1"), make_desired("2"), make_desired("3"), make_retired("404")]
    plan = planned(desired, lives, base=base)
    assert plan.total == 3
    assert only(plan, {"1"}).total == 3
    assert planned(desired, lives).total == 2


def test_what_an_emergency_stop_ended_still_counts():
    """Else a stop of all but a few would make the tenant a small one, in which any number may be narrowed."""
    stopped = Base(None, Direction.TIGHTEN, None, (make_body(), make_body()))
    foreign = Base(make_body(), Direction.TIGHTEN, None, (None, make_body()))
    assert planned([make_desired("1")], base={"1": stopped, "2": stopped, "3": foreign}).total == 2


_FILES = ("a.yaml", "b.yaml", "c.yaml", "d.yaml")
_folders = st.dictionaries(
    st.sampled_from(_FILES),
    st.tuples(st.sampled_from(KEYS), st.sampled_from([make_desired, make_retired])),
).filter(lambda files: len({key for key, _ in files.values()}) == len(files))


@given(
    _folders,
    _folders,
    st.dictionaries(st.sampled_from(KEYS), lives),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from([Base(make_body()), Base(None)])),
)
def test_no_change_of_manifests_moves_what_limits_count(before, after, objects, base):
    """Tombstones and creates of what is not there, live objects taken over, manifests that are deleted or point elsewhere."""

    def total(files, strictness):
        desired = [
            replace(make(key), place=Place(file, 1, 1)) for file, (key, make) in files.items()
        ]
        live = [make(key) for key, make in objects.items()]
        return planned(desired, live, base=base, strictness=strictness).total

    changed = {file for file in _FILES if before.get(file) != after.get(file)}
    claimed = {before[file][0] for file in changed if file in before}
    strictness = Strictness(changed=frozenset(changed), claimed=frozenset(claimed))
    assert total(after, strictness) == total(before, Strictness())


def test_a_hash_that_was_asked_for_is_not_taken_along_to_another_operation() -> None:
    first = make_operation()
    assert first.hash
    other = replace(first, key="another")
    assert other.hash != first.hash
    assert replace(other, key=first.key).hash == first.hash


def test_what_is_halted_and_as_desired_does_nothing_to_dialing():
    held = one(make_desired(), make_live(), held={"1001": "halted"})
    assert (held.action, held.direction, held.fields) == (Action.HELD, Direction.NEUTRAL, ())
    refresh = one(make_desired(), make_live(active_id="older"))
    assert (refresh.action, refresh.direction) == (Action.REFRESH, Direction.LOOSEN)
