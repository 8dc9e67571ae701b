"""The report of drift: worst first, times as the manifest writes them, and a first screen that holds the worst."""

from reconciler.plan import Base, Drift, Hold, Known, build, drift
from reconciler.renderers import renderer_for
from reconciler.report import Tone
from reconciler.report.drift import of_drift, verdict
from tests.support.bodies import make_body, make_window
from tests.support.factories import (
    KINDS,
    NOW,
    make_desired,
    make_live,
    make_origin,
    make_snapshot,
)

TIMES = "\N{MULTIPLICATION SIGN}"


def reported(edits):
    """Return the report of campaigns of which hands changed these fields, by key."""
    wanted = [make_desired(key) for key in edits]
    lives = [make_live(key, stored=make_body(campaign_id=key, **edits[key])) for key in edits]
    base = {each.key: Base(each.body) for each in wanted}
    snapshot = make_snapshot(lives)
    plan = build(make_origin(), wanted, snapshot, KINDS, base=base)
    found = drift(wanted, snapshot, KINDS, Known(base), plan.operations)
    return of_drift(found, make_origin(), NOW, exit_code=2, noun="campaign")


def keys(report):
    return [row.key for row in report.tables[0].rows]


def test_the_largest_widening_comes_first_whatever_its_id():
    report = reported(
        {
            "1001": {"dial_rate": 26.0},
            "1002": {"dial_rate": 1.0},
            "1003": {"dial_rate": 250.0, "max_concurrent_calls": 1},
            "1004": {"dnc_verification": False},
            "1005": {"max_concurrent_calls": 5000},
        }
    )
    assert keys(report) == ["1003", "1005", "1004", "1001", "1002"]
    assert [each["key"] for each in report.data["drift"]] == keys(report)


def test_times_are_local_with_their_weekday():
    (row,) = reported({"1001": {"end_time": "2027-01-18T02:00:00Z"}}).tables[0].rows
    assert "Sun 2027-01-17 21:00" in row.cells[4]
    assert "on a Sunday" in row.cells[4]


def test_a_row_shows_what_widens_before_what_does_not():
    fields = {
        "compliance_windows": [make_window(start=10)],
        "dial_rate": 1.0,
        "end_time": "2027-01-15T22:00:00Z",
        "max_concurrent_calls": 5000,
    }
    (row,) = reported({"1001": fields}).tables[0].rows
    assert row.cells[4].startswith(f"max_concurrent_calls 500 → 5000 (raised {TIMES}10)")
    assert row.cells[4].endswith("and 1 more field")
    assert len(row.details) >= 4, "all of them are below"


def test_the_first_screen_of_three_hundred_holds_the_worst():
    edits = {str(1000 + n): {"dial_rate": 24.0} for n in range(299)}
    report = reported(edits | {"9999": {"dial_rate": 500.0}})
    for style in ("text", "markdown"):
        screen = renderer_for(style).render(report)[:3000]
        assert "9999" in screen
        assert f"raised {TIMES}20" in screen


def test_an_object_without_a_manifest_is_counted_once():
    plan = build(make_origin(), [], snapshot := make_snapshot([make_live("1001")]), KINDS, base={})
    found = drift([], snapshot, KINDS, Known({}), plan.operations)
    assert verdict(found, "campaign") == "Drift: 1 campaign is not managed and may dial"


def test_what_a_stop_left_dialing_comes_before_the_largest_widening():
    """The sentence must not say that nothing dials more than was applied: the stop asked for silence."""
    hold = Hold("ann", "2027-01-12T02:00:00+00:00", None, "calls at night")
    wanted = [make_desired("1001"), make_desired("1002")]
    wide = make_live("1001", stored=make_body(campaign_id="1001", dial_rate=48.0))
    base = {each.key: Base(each.body) for each in wanted}
    for lives, rest in (
        ([wide, make_live("1002")], "1 may dial more than was applied; 1 campaign was changed"),
        ([make_live("1001"), make_live("1002")], "1 schedule is as applied"),
    ):
        snapshot, holds = make_snapshot(lives), {"1002": (hold,)}
        held = {"1002": "halted"}
        plan = build(make_origin(), wanted, snapshot, KINDS, base=base, held=held)
        found = drift(wanted, snapshot, KINDS, Known(base, holds=holds), plan.operations)
        report = of_drift(found, make_origin(), NOW, exit_code=2, noun="campaign")
        assert report.verdict == f"Drift: 1 STILL DIALING: campaign-1002; {rest}"
        assert report.tone is Tone.BAD
        row = report.tables[0].rows[0]
        assert (row.key, row.cells[0], row.tone) == ("1002", "dialing", Tone.BAD)
        assert row.cells[4] == (
            "it still dials; held by a stop of Tue 2027-01-12 02:00 UTC until it is released: calls at night"
        )


def test_no_drift_is_one_sentence():
    assert verdict(Drift((), 3), "campaign") == "No drift. 3 schedules are as applied."
    assert verdict(Drift((), 0, unapplied=("a", "b")), "campaign") == (
        "No drift is known. 0 schedules are as applied, and 2 not recorded as applied."
    )
