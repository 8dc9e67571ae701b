"""`audit at` answers from what was found as its manifest says, too, and by the platform's clock wherever a record tells it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event, Record
from reconciler.plan import Action, Result
from tests.audit.test_records import COMMIT, chained
from tests.support.bodies import make_body
from tests.support.desk import Desk, desk, git
from tests.support.factories import make_desired
from tests.support.gitfakes import START, Clock, operation, run

__all__ = ["desk"]

AHEAD = timedelta(days=90)
HOUR = timedelta(hours=1)


def wrote(
    clock: Clock, *, rate: float = 25.0, name: str = "run-2", **observed: object
) -> list[Event]:
    maker = run(COMMIT, name, clock=clock)
    intent = maker.intent(operation(rate=rate), digest="d" * 64, generation=0)
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


# --- the order of records -----------------------------------------------------------------------------------------------


def ids(records: Sequence[Record], seconds: float) -> tuple[str | None, str | None]:
    """Return the ids of the writes that `at` names as stored and active."""
    state = audit.at(records, START + AHEAD + timedelta(seconds=seconds), "1001")
    stored, active = state.stored, state.active
    return stored and stored.intent.id, active and active.intent.id


def apply_overtaken_by_a_stop() -> tuple[list[Event], list[Event]]:
    """Return an apply's update that took effect at 14 s, and a stop that took effect at 16 s."""
    apply, stop = (run(COMMIT, name) for name in ("apply", "stop"))
    changed = apply.intent(operation(), digest="d" * 64, generation=0)
    removed = stop.intent(operation(action=Action.HALT), digest="d" * 64, generation=0)
    early, late = (audit.stamp(START + AHEAD + timedelta(seconds=each)) for each in (14, 16))
    return (
        [changed, apply.outcome(changed, Result.UPDATED, audit={}, at=early)],
        [removed, stop.outcome(removed, Result.DELETED, audit={}, at=late)],
    )


def test_a_stop_that_is_recorded_before_an_earlier_write_ended_that_write() -> None:
    """A stop that cannot take the lock: the apply moves its records into the ledger, and then appends its own outcomes."""
    (intent, outcome), stopped = apply_overtaken_by_a_stop()
    records = chained([intent, *stopped, outcome])
    assert ids(records, 15) == (intent.id, intent.id)
    assert ids(records, 17) == (stopped[0].id, stopped[0].id)
    assert [each["action"] for each in audit.entries(records)] == [
        "SCHEDULE_DEPLOYED",
        "SCHEDULE_HALTED",
    ]


_RESULTS = st.sampled_from([Result.UPDATED, Result.STORED_NOT_ACTIVE, Result.DELETED])
_WRITES = st.tuples(_RESULTS, st.sampled_from([0.0, 0.5, 2.25]), st.booleans())


@st.composite
def overtaking(draw: st.DrawFn) -> tuple[list[list[Event]], dict[str, int], list[int], list[int]]:
    """Return the events of runs, the seconds at which their outcomes took effect, and two orders of records: the runs, one by one."""
    seconds = draw(st.lists(st.integers(0, 30), min_size=2, max_size=7, unique=True))
    shared = draw(st.lists(st.integers(0, 2), min_size=len(seconds), max_size=len(seconds)))
    runs: list[list[Event]] = [[], [], []]
    effects: dict[str, int] = {}
    for second, number in sorted(zip(seconds, shared, strict=True)):
        result, latency, is_found = draw(_WRITES)
        maker = run(COMMIT, f"run-{number}{f'-{second}' if is_found else ''}")
        then = START + AHEAD + timedelta(seconds=second)
        if is_found:
            seen = [maker.found(make_desired("1001", body=make_body()), then)]
        else:
            intent = maker.intent(operation(rate=float(second)), digest="d" * 64, generation=0)
            took = {"at": audit.stamp(then), "latency_s": latency}
            seen = [intent, maker.outcome(intent, result, audit={}, **took)]
        if is_found or result is not Result.STORED_NOT_ACTIVE:
            effects[seen[0].id] = second
        runs[number] += seen
    order = [number for number, events in enumerate(runs) for _ in events]
    return runs, effects, draw(st.permutations(order)), draw(st.permutations(order))


def recorded(runs: Sequence[Sequence[Event]], order: Sequence[int]) -> tuple[Record, ...]:
    """Return the records of runs in an order, which keeps that of each run."""
    left = [iter(events) for events in runs]
    return tuple(chained([next(left[number]) for number in order]))


@settings(max_examples=150)
@given(overtaking())
def test_the_order_in_which_different_runs_were_recorded_does_not_count(
    story: tuple[list[list[Event]], dict[str, int], list[int], list[int]],
) -> None:
    runs, effects, *orders = story
    one, other = (recorded(runs, order) for order in orders)
    for second in range(-3, 32):
        assert ids(one, second) == ids(other, second)
        past = {seconds: id_ for id_, seconds in effects.items() if seconds <= second}
        assert ids(one, second)[1] == (past[max(past)] if past else None)
    exported = audit.entries(one)
    times = [each["timestamp"] for each in exported]
    assert times == sorted(times)
    assert [each["id"] for each in exported] == [each["id"] for each in audit.entries(other)]


def test_of_two_writes_at_the_same_instant_the_later_record_counts() -> None:
    now = audit.stamp(START + AHEAD)
    first, second = (wrote(Clock(), rate=rate, name=f"run-{rate}", at=now) for rate in (1.0, 2.0))
    for events in ([*first, *second], [*second, *first]):
        records = chained(events)
        assert ids(records, 0) == (events[2].id, events[2].id)
        assert [each["id"] for each in audit.entries(records)] == [events[1].id, events[3].id]


def test_the_writes_of_one_run_took_effect_in_their_order_whatever_the_platforms_clock_says() -> (
    None
):
    """The platform's clock is read from two places, of which one knows whole seconds only."""
    maker = run(COMMIT)
    events: list[Event] = []
    for rate, seconds in ((20.0, 14.9), (25.0, 14.7)):
        intent = maker.intent(operation(rate=rate), digest="d" * 64, generation=0)
        at = audit.stamp(START + AHEAD + timedelta(seconds=seconds))
        events += [intent, maker.outcome(intent, Result.UPDATED, audit={}, at=at)]
    assert ids(chained(events), 15) == (events[2].id, events[2].id)
    assert [each["id"] for each in audit.entries(chained(events))] == [events[1].id, events[3].id]


def test_a_write_without_the_platforms_time_counts_after_those_recorded_before_it() -> None:
    """A machine whose clock is wrong, and which read the outcome back after a crash, must not hide every later write."""
    wrong = Clock(START + AHEAD + HOUR)
    first, settled = wrote(Clock(), rate=1.0, at=audit.stamp(START + AHEAD)), wrote(wrong, rate=2.0)
    last = wrote(Clock(), name="run-3", at=audit.stamp(START + AHEAD + timedelta(minutes=1)))
    records = chained([*first, *settled, *last])
    assert ids(records, 7200) == (last[0].id, last[0].id)
    assert [each["id"] for each in audit.entries(records)] == [
        first[1].id,
        settled[1].id,
        last[1].id,
    ]


def test_a_write_of_the_far_future_places_no_other_write() -> None:
    """A stop's records count unsigned, so anybody may have made its instant up."""
    _, (removed, _) = apply_overtaken_by_a_stop()
    far = run(COMMIT, "stop").outcome(removed, Result.DELETED, audit={}, at="2999-01-01T00:00:00Z")
    settled = wrote(Clock(), rate=1.0)
    last = wrote(Clock(), name="run-3", at=audit.stamp(START + AHEAD))
    records = chained([removed, far, *settled, *last])
    assert ids(records, 7200) == (last[0].id, last[0].id)


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
