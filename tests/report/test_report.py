"""What a plan, an apply and a validation say to whoever runs the dialer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.plan import Action, Base, MovedBy, Outcome, Result, build, serialised
from reconciler.policies.base import Level
from reconciler.report import Tone, count, duration, value
from reconciler.report.apply import of_apply
from reconciler.report.change_rows import BODIES_SHOWN, changes_table
from reconciler.report.changes import clock_note, of_plan, plan_verdict
from reconciler.report.checks import findings_table, of_validation
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    KINDS,
    make_desired,
    make_finding,
    make_live,
    make_operation,
    make_origin,
    make_plan,
    make_snapshot,
)

SLOWER = (FieldChange("dial_rate", 25.0, 20.0),)


def create(key="1", **parts):
    body = make_body(campaign_id=key)
    return make_operation(
        key,
        **{
            "action": Action.CREATE,
            "direction": Direction.LOOSEN,
            "desired": body,
            "live": None,
            **parts,
        },
    )


def update(key="1", **parts):
    return make_operation(key, **{"fields": SLOWER, **parts})


def retire(key="1", **parts):
    return make_operation(key, **{"action": Action.RETIRE, "desired": None, **parts})


def refresh(key="1"):
    return make_operation(key, action=Action.REFRESH, direction=Direction.LOOSEN)


def hold(key="1"):
    return make_operation(
        key, action=Action.HELD, blocked=("narrowed by hand since it was applied",)
    )


# --- words --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (None, "none"),
        (True, "true"),
        (False, "false"),
        (25.0, "25"),
        (20.5, "20.5"),
        (99.999999, "99.999999"),
        (1234567.0, "1234567"),
        (500, "500"),
        ("America/New_York", "America/New_York"),
        ([], "none"),
        (
            [make_window(), make_window("Europe/London", 8, 17)],
            "America/New_York 9-20, Europe/London 8-17",
        ),
        (["a", 1], "a, 1"),
        ({"tag": "x"}, "x"),
        ({"n": 1}, "1"),
        ({}, "none"),
    ],
)
def test_values_are_written_as_people_write_them_and_exactly(thing, expected):
    assert value(thing) == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")]
)
def test_counts_agree_with_their_nouns(number, expected):
    assert count(number, "entry", "entries") == expected
    assert count(number, "change") == f"{number} change" + ("" if number == 1 else "s")


# --- the verdict of a plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operations", "unchanged", "expected"),
    [
        ((), ("1",), "No changes. 1 schedule matches its manifest."),
        ((), ("1", "2"), "No changes. 2 schedules match their manifests."),
        ((), (), "No changes. 0 schedules match their manifests."),
        ((update(),), (), "1 to update"),
        ((create(),), ("2",), "1 to create; 1 may widen dialing; 1 schedule matches its manifest"),
        (
            (create("1"), update("2"), update("3"), retire("4"), refresh("5"), hold("6")),
            ("7", "8"),
            "1 to create, 2 to update, 1 to retire, 1 to refresh; 2 may widen dialing; 1 held; 2 schedules match their manifests",
        ),
        (
            (create(blocked=("dnc-list",)), retire("2")),
            (),
            "1 to create, 1 to retire; 1 blocked by findings",
        ),
        ((hold(),), (), "1 held"),
    ],
    ids=["one-same", "two-same", "nothing", "one", "widens", "each", "blocked", "held"],
)
def test_a_plan_is_one_sentence_without_empty_parts(operations, unchanged, expected):
    assert plan_verdict(make_plan(operations, unchanged=unchanged)) == expected


@pytest.mark.parametrize(
    ("plan", "tone"),
    [
        (make_plan(), Tone.GOOD),
        (make_plan([update()]), Tone.CHANGE),
        (make_plan([update()], findings=(make_finding(level=Level.WARNING),)), Tone.CHANGE),
        (make_plan(findings=(make_finding(),)), Tone.BAD),
    ],
    ids=["same", "changes", "warning", "error"],
)
def test_a_plan_sounds_as_it_is(plan, tone):
    assert of_plan(plan, exit_code=0).tone is tone


# --- the changes --------------------------------------------------------------------------------------------------------


def test_identical_changes_are_one_line():
    table = changes_table([update(str(n)) for n in range(12)])
    (row,) = table.rows
    assert row.cells == ("update", "12 campaigns", "", "", "tighten", "dial_rate 25 → 20")
    assert row.details == (
        "campaign-0 (0 Campaign 0), campaign-1 (1 Campaign 1), campaign-2 (2 Campaign 2), campaign-3 (3 Campaign 3)",
        "campaign-4 (4 Campaign 4), campaign-5 (5 Campaign 5), campaign-6 (6 Campaign 6), campaign-7 (7 Campaign 7) and 4 more",
    )


def test_a_change_of_its_own_is_a_line_of_its_own():
    table = changes_table(
        [
            update("1"),
            update("2", fields=(FieldChange("dial_rate", 25.0, 21.0),)),
            update("3", blocked=("tenant-limits",)),
            update("4", direction=Direction.LOOSEN),
            update("5"),
        ]
    )
    assert [row.cells[1] for row in table.rows] == [
        "campaign-3",
        "campaign-4",
        "2 campaigns",
        "campaign-2",
    ]
    assert table.rows[2].details == ("campaign-1 (1 Campaign 1), campaign-5 (5 Campaign 5)",)


@pytest.mark.parametrize("make", [create, retire, refresh, hold])
def test_only_updates_are_drawn_together(make):
    assert len(changes_table([make("1"), make("2")]).rows) == 2


def test_several_fields_stand_in_the_row_decisive_ones_first():
    fields = (*SLOWER, FieldChange("compliance_windows[Europe/London]", "9-20", None))
    (row,) = changes_table([update(fields=fields)]).rows
    assert row.cells[5] == "compliance_windows[Europe/London] 9-20 → none; dial_rate 25 → 20"
    assert row.details == ()


def test_fields_without_room_in_the_row_are_named_there_and_stand_whole_below():
    zones = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
    fields = tuple(FieldChange(f"compliance_windows[{zone}]", "9-20", "9-19") for zone in zones)
    (row,) = changes_table([update(fields=fields)]).rows
    assert row.cells[5].endswith("9-20 → 9-19; also compliance_windows[America/Los_Angeles]")
    assert row.details == tuple(f"compliance_windows[{zone}] 9-20 → 9-19" for zone in zones)


def test_a_creation_is_shown_whole_but_for_its_id():
    (row,) = changes_table([create("1001")]).rows
    assert row.cells[:5] == ("create", "campaign-1001", "1001", "Campaign 1001", "loosen")
    assert row.cells[5].startswith("newly dials: dial_rate 25; max_concurrent_calls 500; …")
    assert "start_time Mon 2027-01-11 09:00 America/New_York" in row.details
    assert "compliance_windows America/New_York 9-20" in row.details
    assert "dial_rate 25" in row.details
    assert not any("campaign_id" in detail for detail in row.details)


@pytest.mark.parametrize("stored", [True, False])
def test_that_nobody_can_read_what_dials_now_is_told_once(stored):
    """A refresh listed each field with the value that is stored, although that is not what dials."""
    wanted = make_desired()
    live = make_live(active_id="older", **({} if stored else {"stored": None, "stored_id": None}))
    plan = build(
        make_origin(), [wanted], make_snapshot([live]), KINDS, base={"1001": Base(wanted.body)}
    )
    counts = ", counts as loosening" if stored else ""
    assert of_plan(plan, exit_code=0).tables[0].rows[0].details == (
        f"effect unknown{counts}: what dials now cannot be read",
    )


def test_the_rule_of_a_finding_stands_before_its_message_and_under_no_other_column():
    plan = make_plan([update()], findings=(make_finding("1", level=Level.WARNING),))
    (table,) = of_plan(plan, exit_code=0).tables
    cells = dict(zip(table.columns, table.rows[1].cells, strict=True))
    assert cells["direction"] == ""
    assert cells["change"].startswith("tenant-limits: dial_rate 60 is above")


def test_many_creations_are_a_line_each():
    assert all(
        row.details for row in changes_table([create(str(n)) for n in range(BODIES_SHOWN)]).rows
    )
    many = changes_table([create(str(n)) for n in range(BODIES_SHOWN + 1)])
    assert len(many.rows) == BODIES_SHOWN + 1
    assert [len(row.details) for row in many.rows] == [1] * len(many.rows)
    assert "dial_rate 25; " in many.rows[0].details[0]


@pytest.mark.parametrize(
    ("operation", "said", "tone"),
    [
        (retire(), "remove the schedule of Campaign 1", Tone.REMOVE),
        (retire(platform_name=""), "remove the schedule of 1", Tone.REMOVE),
        (
            retire(live=None),
            "no schedule is stored, but the dialer still uses an older one: make it drop that",
            Tone.REMOVE,
        ),
        (refresh(), "stored, but the dialer has not taken it", Tone.CHANGE),
        (update(), "dial_rate 25 → 20", Tone.CHANGE),
        (hold(), "Campaign 1", Tone.WARN),
        (update(blocked=("tenant-limits",)), "dial_rate 25 → 20", Tone.BAD),
    ],
)
def test_each_action_says_what_it_does(operation, said, tone):
    (row,) = changes_table([operation]).rows
    assert row.cells[5] == said
    assert row.tone is tone


def test_what_stands_in_the_way_is_said_under_the_change():
    blocked, held = changes_table(
        [hold("1"), update("2", blocked=("dnc-list", "tenant-limits"))]
    ).rows
    assert held.details[-1] == "held: narrowed by hand since it was applied"
    assert held.brief.endswith("; held: narrowed by hand since it was applied")
    assert blocked.details[-1] == "blocked by: dnc-list, tenant-limits"


def test_every_row_has_a_cell_for_each_column():
    operations = [create("1"), update("2"), retire("3"), refresh("4"), hold("5")]
    for table in (changes_table(operations), findings_table([make_finding()])):
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}


def test_findings_keep_their_order_level_and_place():
    place = Place("a.yaml", 3, 5)
    table = findings_table([make_finding(place=place), make_finding(level=Level.INFO)])
    assert [row.tone for row in table.rows] == [Tone.BAD, Tone.DIM]
    assert table.rows[0].place == place
    assert table.rows[0].cells[:3] == ("error", "tenant-limits", "campaign-1001")


# --- notes and facts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unmanaged", "expected"),
    [
        (("1008",), "1 campaign is not managed by any manifest and will not be changed: 1008"),
        (
            tuple(str(n) for n in range(10)),
            "10 campaigns are not managed by any manifest and will not be changed: 0, 1, 2, 3, 4, 5, 6, 7 and 2 more",
        ),
    ],
)
def test_what_no_manifest_names_is_counted_and_named(unmanaged, expected):
    assert of_plan(make_plan(unmanaged=unmanaged), exit_code=0).notes == (expected,)


@pytest.mark.parametrize(
    ("skew_s", "expected"),
    [
        (0.0, ""),
        (60.0, ""),
        (-60.0, ""),
        (
            61.0,
            "The platform's clock is 1 min 1 s ahead of this machine's. The plan uses the platform's clock.",
        ),
        (
            -3600.0,
            "The platform's clock is 1 h 0 min behind this machine's. The plan uses the platform's clock.",
        ),
    ],
)
def test_a_clock_that_differs_by_more_than_a_minute_is_worth_a_sentence(skew_s, expected):
    assert clock_note(skew_s) == expected


def test_a_plan_is_named_by_digest_commit_and_clock():
    plan = make_plan([update()], origin=make_origin(commit="c0ffee"))
    report = of_plan(plan, exit_code=2, notes=("a note",))
    assert report.facts == {
        "digest": plan.digest,
        "commit": "c0ffee",
        "platform clock": "2027-01-12 14:00:00 UTC",
    }
    assert "commit" not in of_plan(make_plan(), exit_code=0).facts
    assert report.title == "Plan for tenant acme (https://acme.example)"
    assert (report.exit_code, report.notes) == (2, ("a note",))
    assert report.data == serialised(plan)


def test_a_plan_without_changes_or_findings_has_no_tables():
    assert of_plan(make_plan(), exit_code=0).tables == ()
    shown = of_plan(make_plan([update()], findings=(make_finding(),)), exit_code=5).tables
    assert [table.title for table in shown] == ["Blocked", "Changes"]


# --- apply --------------------------------------------------------------------------------------------------------------


def outcome(result, key="1", **parts):
    return Outcome(update(key), result, **parts)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ((), "2 planned, 0 applied, 0 active, 0 failed, 0 held, 2 not run"),
        ((Result.UPDATED, Result.CONFIRMED), "2 planned, 2 applied, 2 active, 0 failed, 0 held"),
        (
            (Result.UPDATED, Result.STORED_NOT_ACTIVE),
            "2 planned, 2 applied, 1 active, 0 failed, 0 held",
        ),
        ((Result.FAILED, Result.UNKNOWN), "2 planned, 0 applied, 0 active, 2 failed, 0 held"),
        (
            (Result.REFUSED, Result.NOT_STARTED),
            "2 planned, 0 applied, 0 active, 1 failed, 0 held, 1 not run",
        ),
        (
            (Result.STALE, Result.DELETED),
            "2 planned, 1 applied, 1 active, 0 failed, 0 held, 1 not run",
        ),
    ],
)
def test_an_apply_is_counted_in_one_sentence(results, expected):
    plan = make_plan([update("1"), update("2")])
    outcomes = [outcome(result, str(n)) for n, result in enumerate(results)]
    assert of_apply(plan, outcomes, exit_code=0).verdict == expected


@pytest.mark.parametrize("result", list(Result))
def test_every_result_is_counted_once(result):
    plan = make_plan([update()])
    words = of_apply(plan, [outcome(result)], exit_code=0).verdict.replace(",", "").split()
    counts = dict(zip(words[1::2], map(int, words[::2]), strict=False))
    not_run = counts.get("not", 0)
    assert counts["applied"] + counts["failed"] + counts["held"] + not_run == 1


def test_what_findings_block_is_not_counted_as_held():
    plan = make_plan([update("1"), update("2", blocked=("dnc-list",)), hold("3")])
    said = of_apply(plan, [outcome(Result.UPDATED)], exit_code=3).verdict
    assert said == "3 planned, 1 applied, 1 active, 0 failed, 1 blocked, 1 held"


@pytest.mark.parametrize(
    ("operations", "errors", "planned", "applied"),
    [
        ((), ("1",), "1 error to correct. No changes. ", "1 error to correct. No changes. "),
        ((), ("1", "2"), "2 errors to correct. No changes. ", "2 errors to correct. No changes. "),
        ((update("1"),), ("9",), "1 to update; 1 error to correct", "0 held, 1 error to correct"),
        ((hold("1"),), ("1",), "1 held; 1 error to correct", "1 held, 1 error to correct"),
        ((update("1", blocked=("r",)),), ("1",), "1 blocked by findings", "1 blocked, 0 held"),
    ],
)
def test_a_verdict_says_why_the_exit_code_is_that_of_a_refusal(
    operations, errors, planned, applied
):
    plan = make_plan(operations, findings=tuple(map(make_finding, errors)))
    assert plan.refused
    assert planned in plan_verdict(plan)
    done = [outcome(Result.UPDATED) for each in operations if each.executable]
    assert applied in of_apply(plan, done, exit_code=5).verdict


def test_a_reason_for_which_apply_refuses_stands_first():
    report = of_plan(make_plan([update()]), exit_code=5, refusals=("4 of 10 objects would be …",))
    assert report.tables[0].rows[0].cells == (
        "apply would refuse this: 4 of 10 objects would be …",
    )
    assert report.tables[0].rows[0].must_show
    assert report.verdict.startswith("Apply would refuse this. 1 to update")
    assert report.tone is Tone.BAD


def test_a_history_that_is_accepted_is_shown_by_every_renderer():
    report = of_plan(make_plan(), exit_code=0, accepted=("history accepted: x", "y is nowhere"))
    (row,) = report.tables[0].rows
    assert (row.cells, row.details) == (("history accepted: x",), ("y is nowhere",))
    assert row.must_show


def test_a_held_creation_names_the_schedule_that_is_not_created():
    operation = make_operation(
        "1", action=Action.HELD, desired={"dial_rate": 2.0}, live=None, blocked=("halted",)
    )
    (row,) = changes_table([operation]).rows
    assert row.cells[5] == f"create the schedule of {operation.platform_name}"


def test_an_apply_with_nothing_to_do_says_so():
    report = of_apply(make_plan(unchanged=("1",)), (), exit_code=0)
    assert report.verdict == "No changes. 1 schedule matches its manifest."
    assert (report.tone, report.tables) == (Tone.GOOD, ())


@pytest.mark.parametrize(
    ("results", "exit_code", "tone"),
    [
        ((Result.UPDATED,), 0, Tone.GOOD),
        ((Result.FAILED,), 3, Tone.BAD),
        ((Result.UPDATED,), 4, Tone.WARN),
    ],
)
def test_an_apply_sounds_as_it_ended(results, exit_code, tone):
    plan = make_plan([update()])
    assert of_apply(plan, [outcome(result) for result in results], exit_code=exit_code).tone is tone


def test_each_outcome_is_a_line_with_its_latency_or_its_reason():
    outcomes = [
        outcome(Result.UPDATED, latency_s=1.234, stored_id="s-2"),
        outcome(
            Result.STORED_NOT_ACTIVE,
            message="stored, not active: the dialer is locked",
            latency_s=9.0,
        ),
    ]
    report = of_apply(make_plan([update("1"), update("2")]), outcomes, exit_code=75, notes=("n",))
    waiting, done = report.tables[0].rows
    assert done.cells == ("updated", "campaign-1", "1", "1.23 s")
    assert (done.tone, done.details) == (Tone.GOOD, ())
    assert waiting.cells == ("stored not active", "campaign-1", "1", "")
    assert (waiting.tone, waiting.details) == (
        Tone.BAD,
        ("stored, not active: the dialer is locked",),
    )
    assert report.notes == ("n",)
    assert json.loads(json.dumps(report.data))["outcomes"][0]["schedule_id"] == "s-2"


# --- validate -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "said", "tone"),
    [
        ((), "1 manifest in 2 files: no findings", Tone.GOOD),
        ((Level.ERROR,), "1 manifest in 2 files: 1 error", Tone.BAD),
        (
            (Level.WARNING, Level.INFO, Level.WARNING),
            "1 manifest in 2 files: 2 warnings, 1 note",
            Tone.WARN,
        ),
        ((Level.INFO,), "1 manifest in 2 files: 1 note", Tone.DIM),
        (
            (Level.INFO, Level.ERROR, Level.ERROR),
            "1 manifest in 2 files: 2 errors, 1 note",
            Tone.BAD,
        ),
    ],
)
def test_a_validation_counts_what_it_found(levels, said, tone):
    findings = [make_finding(level=level) for level in levels]
    report = of_validation(2, 1, findings, exit_code=0)
    assert (report.verdict, report.tone) == (said, tone)
    assert len(report.tables) == bool(findings)
    assert json.loads(json.dumps(report.data))["findings"] == [
        {
            "rule": "tenant-limits",
            "level": level.value,
            "message": findings[0].message,
            "key": "1001",
            "name": "campaign-1001",
            "place": None,
        }
        for level in levels
    ]


def test_every_tone_that_is_not_plain_has_a_mark_or_needs_none():
    assert {tone for tone in Tone if tone.symbol == " "} == {Tone.PLAIN, Tone.DIM}
    assert all(len(tone.symbol) == 1 for tone in Tone)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (-59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (90, "1 min 30 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7260, "2 h 1 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (100 * 86_400 + 7199, "100 d 1 h"),
    ],
)
def test_a_span_of_time_is_told_as_people_do(seconds, told):
    assert duration(seconds) == told


@given(st.floats(-1e9, 1e9))
def test_a_span_of_time_is_told_to_less_than_its_smaller_unit(seconds):
    sizes = {"d": 86_400, "h": 3600, "min": 60, "s": 1}
    words = duration(seconds).split()
    told = sum(
        int(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True)
    )
    assert 0 <= round(abs(seconds)) - told < sizes[words[-1]]


def test_a_clock_that_is_a_day_ahead_is_told_in_days():
    assert "clock is 1 d 0 h ahead of this machine's" in clock_note(86_400.0)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (MovedBy.OUTSIDE, " (changed outside git)"),
        (MovedBy.BOTH, " (changed in git and outside git)"),
        (MovedBy.GIT, ""),
        (MovedBy.UNKNOWN, ""),
    ],
)
def test_a_plan_says_which_field_somebody_moved_whom_no_commit_knows_of(by, said):
    """A commit to one field takes back what somebody did by hand to another: its reviewer must see that."""
    operation = update(
        "1",
        fields=(
            FieldChange("dial_rate", 1.2, 2.0),
            FieldChange("compliance_windows[Europe/London]", "9-17", "9-20"),
        ),
        fields_moved_by={"dial_rate": by, "compliance_windows": by},
    )
    (row,) = changes_table([operation]).rows
    assert f"dial_rate 1.2 → 2{said}" in row.cells[5] + str(row.details)
    assert f"compliance_windows[Europe/London] 9-17 → 9-20{said}" in row.cells[5] + str(row.details)


def test_what_git_moved_and_what_a_hand_moved_are_not_one_line():
    fields = (FieldChange("dial_rate", 25.0, 20.0),)
    operations = [
        update("1", fields=fields, fields_moved_by={"dial_rate": MovedBy.GIT}),
        update("2", fields=fields, fields_moved_by={"dial_rate": MovedBy.OUTSIDE}),
    ]
    assert len(changes_table(operations).rows) == 2


def test_two_rows_of_one_object_stay_two():
    """What is taken back and what is held of one campaign are different news."""
    steps = [
        update("1", action=action, blocked=blocked)
        for action, blocked in ((Action.RETIRE, ()), (Action.HELD, ("narrowed outside git",)))
    ]
    rows = changes_table(steps).rows
    assert [row.cells[0] for row in rows] == ["retire", "held"]
