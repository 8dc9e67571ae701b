"""What a ledger says when it is asked: which commits judge, what was applied, what stood at an instant."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event, Record
from reconciler.audit.writes import BeforeStop
from reconciler.plan import Action, Result
from tests.support.bodies import make_body
from tests.support.factories import make_desired
from tests.support.gitfakes import START, Clock, operation, run

ONE, TWO, THREE = (digit * 40 for digit in "abc")


def chained(*events: Event) -> tuple[Record, ...]:
    tips: dict[str, Record] = {}
    records = []
    for event in events:
        tips[event.run] = audit.chain(event, tips.get(event.run), len(records))
        records.append(tips[event.run])
    return tuple(records)


def further(records: tuple[Record, ...], event: Event) -> tuple[Record, ...]:
    return chained(*(each.event for each in records), event)


def begun(commit: str, *, purpose: str = audit.APPLY, judges: bool = True) -> Event:
    maker = dataclasses.replace(run(commit, f"{purpose}-{commit[0]}"), judges=judges)
    return maker.open(
        digest="d" * 64, operations=0, tool="t", ledger=None, applied=None, purpose=purpose
    )


def without(event: Event, name: str) -> Event:
    data = {key: value for key, value in event.data.items() if key != name}
    return dataclasses.replace(event, data=data)


# --- who judges ---------------------------------------------------------------------------------------------------------------


def test_the_commit_of_a_stop_was_not_applied_and_judges_nothing():
    """Else whoever may stop, anywhere, would choose the rules that the next change is judged by."""
    records = chained(begun(ONE), begun(TWO, purpose=audit.HALT))
    assert audit.applied_commits(records) == audit.judging_commits(records) == (ONE,)


@pytest.mark.parametrize(
    ("event", "applied", "judges"),
    [
        (begun(TWO), True, True),
        (begun(TWO, judges=False), True, False),
        (without(begun(TWO), "purpose"), True, True),
        (run(TWO).nothing_to_do([]), True, True),
        (run(TWO).nothing_to_do(["policies.dnc-flag"]), True, True),
        (run(TWO).found(make_desired(), START), True, True),
        (dataclasses.replace(run(TWO), judges=False).found(make_desired(), START), True, False),
        (run(TWO).imported("Campaign", "1", "n", make_body(), START), False, False),
        (run(TWO).note("looked at"), False, False),
        (run(TWO).creating(), False, False),
        (run(TWO).superseded("d" * 40), False, False),
        (run(TWO).hold("1", name="n", reason="r", body=make_body()), False, False),
        (run(TWO).release("1", name="n", reason="r"), False, False),
        (run(TWO).close({}), False, False),
        (run(TWO).intent(operation(), digest="d" * 64, generation=0), False, False),
    ],
)
def test_what_makes_a_commit_the_one_that_was_applied(
    event: Event, *, applied: bool, judges: bool
) -> None:
    records = chained(begun(ONE), event)
    assert audit.applied_commits(records) == ((ONE, TWO) if applied else (ONE,))
    assert audit.judging_commits(records) == ((ONE, TWO) if judges else (ONE,))


# --- writes -------------------------------------------------------------------------------------------------------------------


def write(rate: float, result: Result, *, at: str | None = None, **more: object) -> list[Event]:
    maker = run(ONE, f"rate-{rate:g}")
    one = dataclasses.replace(operation(rate=rate), **more)
    intent = maker.intent(one, digest="d" * 64, generation=0)
    return [intent, maker.outcome(intent, result, audit={}, at=at)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ONE, TWO]),
            st.sampled_from([20.0, 21.0]),
            st.sampled_from(["ends", "dies", "is stopped"]),
        ),
        max_size=12,
    )
)
def test_two_writes_never_have_one_key_and_a_run_that_begins_again_uses_the_same(runs):
    """Else the platform would answer a new write with what it stored for an old one, or execute one write twice."""
    records: tuple[Record, ...] = ()
    keys: dict[str, str] = {}
    for number, (commit, rate, ending) in enumerate(runs):
        one = operation(rate=rate)
        unsettled = {each.data["key"]: each.data["op"] for each in audit.open_intents(records)}
        maker = run(commit, f"run-{number}")
        generation = audit.open_generations(records).get(
            (commit, one.hash), audit.next_seq(records)
        )
        intent = maker.intent(one, digest="d" * 64, generation=generation)
        key = intent.data["key"]
        assert key not in keys or unsettled.get(key) == one.hash
        if key not in keys:
            keys[key] = one.hash
            records = further(records, intent)
        if ending == "ends":
            records = further(records, maker.outcome(intent, Result.UPDATED, audit={}))
        if ending == "is stopped":
            stop = operation(rate=rate, action=Action.HALT)
            halt = run(commit, f"stop-{number}").intent(stop, digest="d" * 64, generation=0)
            assert halt.data["key"] not in keys
            keys[halt.data["key"]] = stop.hash
            records = further(records, halt)


def test_a_further_attempt_is_not_repeated_under_its_key_and_neither_is_a_stop():
    maker, one = run(ONE), operation()
    first = maker.intent(one, digest="d" * 64, generation=3)
    failed = maker.outcome(first, Result.FAILED, audit={})
    second = maker.intent(one, digest="d" * 64, generation=3, attempt=1)
    stop = maker.intent(operation(action=Action.HALT), digest="d" * 64, generation=0)
    assert audit.open_generations(chained(first)) == {(ONE, one.hash): 3}
    assert audit.open_generations(chained(first, failed, second, stop)) == {}


def test_a_create_may_have_been_sent_once_its_run_came_to_creates_or_it_is_a_further_attempt():
    maker = run(ONE)
    first, second = (
        maker.intent(operation(action=Action.CREATE), digest="d" * 64, generation=0, attempt=n)
        for n in range(2)
    )
    before = chained(maker.creating(), first, maker.note("x"))
    assert not audit.may_be_sent(before, before[1])
    after = chained(first, maker.creating())
    assert audit.may_be_sent(after, after[0])
    further = chained(second)
    assert audit.may_be_sent(further, further[0])


def test_a_write_that_nobody_can_tell_of_counts_as_applied_unless_a_later_one_is_known():
    known, doubtful = write(20.0, Result.UPDATED), write(10.0, Result.UNKNOWN)

    def rate(*events: Event) -> float:
        return audit.applied(chained(*events))["1001"].intent.data["body"]["dial_rate"]

    assert rate(*known, *doubtful) == 10.0
    assert rate(*doubtful, *known) == 20.0
    assert rate(doubtful[0], *known, doubtful[1]) == 20.0
    assert rate(doubtful[0], known[0], known[1], doubtful[1]) == 20.0
    late = write(5.0, Result.UPDATED)
    assert rate(late[0], *known, late[1]) == 5.0, "a known one counts when it ends"


def test_a_stop_of_what_was_never_applied_ended_nothing_of_ours():
    stop = dataclasses.replace(operation(), action=Action.HALT, desired=None)
    maker = run(ONE, "stop")
    intent = maker.intent(stop, digest="d" * 64, generation=0)
    ended = maker.outcome(intent, Result.DELETED, audit={})
    hold = maker.hold("1001", name="n", reason="r", body=make_body(dial_rate=9.0))
    bare = audit.applied(chained(intent, ended))["1001"].stopped
    seen = audit.applied(chained(hold, intent, ended))["1001"].stopped
    assert bare == BeforeStop(None, None)
    assert seen == BeforeStop(None, make_body(dial_rate=9.0))


def test_only_a_stop_ends_what_was_applied():
    assert audit.applied(chained(*write(20.0, Result.UPDATED)))["1001"].stopped is None


def test_what_the_manifest_wanted_is_the_base_also_where_a_hand_was_kept():
    kept = write(20.0, Result.UPDATED, base={"dial_rate": 30.0, "campaign_id": "1001"})
    base = audit.applied(chained(*kept))["1001"].base
    assert base is not None
    assert (base["dial_rate"], base["max_concurrent_calls"]) == (30.0, 500)


@given(st.lists(st.tuples(st.sampled_from([1.0, 2.0]), st.booleans()), max_size=6))
def test_a_field_changed_last_where_a_write_stored_another_value_than_the_one_before(writes):
    events, stored = [], []
    for number, (rate, works) in enumerate(writes):
        maker, at = run(ONE, f"run-{number}"), START + timedelta(hours=number)
        intent = maker.intent(operation(rate=rate), digest="d" * 64, generation=0)
        result = Result.UPDATED if works else Result.REFUSED
        events += [intent, maker.outcome(intent, result, audit={}, at=audit.stamp(at))]
        stored += [(rate, at)] if works else []
    changed = [at for (old, _), (new, at) in pairwise(stored) if new != old]
    wanted = {"1001": changed[-1] if changed else None} if stored else {}
    assert audit.last_changes(chained(*events), "dial_rate") == wanted


def test_a_release_ends_the_holds_of_its_object_alone():
    maker = run(ONE)
    holds = [maker.hold(key, name="n", reason="r") for key in "12"]
    standing = audit.standing(chained(*holds, maker.release("1", name="n", reason="r")), now=START)
    assert set(standing) == {"2"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", audit.EVERYTHING]),
            st.sampled_from(["hold", "release"]),
            st.none() | st.integers(1, 4),
        ),
        max_size=9,
    ),
    st.integers(0, 5),
)
def test_a_hold_of_everything_holds_each_object_until_one_of_both_is_released(story, hours):
    """They count beside the holds of the object itself. A release of one object leaves the others held."""
    now = START + timedelta(hours=hours)
    own, wide = {"1": [], "2": []}, {"1": [], "2": [], audit.EVERYTHING: []}
    events = []
    for at, (key, what, end) in enumerate(story):
        maker, everything = run(ONE, f"r{at}"), key == audit.EVERYTHING
        until = None if end is None else START + timedelta(hours=end)
        if what == "hold":
            events.append(maker.hold(key, name="n", reason=f"{at}", until=until))
            if until is None or until > now:
                for held in wide.values() if everything else [own[key]]:
                    held.append(f"{at}")
        else:
            events.append(maker.release(key, name="n", reason="r"))
            wide |= {each: [] for each in (wide if everything else [key])}
            own |= {} if everything else {key: []}
    found = audit.standing(chained(*events), now=now, keys="12")
    told = {key: [each.data["reason"] for each in held] for key, held in found.items()}
    expected = {key: sorted([*own.get(key, ()), *held], key=int) for key, held in wide.items()}
    assert told == {key: held for key, held in expected.items() if held}


def test_a_stop_of_everything_counts_once_for_an_object_that_it_also_holds_by_itself():
    stop, other = run(ONE, "stop"), run(ONE, "other")
    events = (
        other.hold("1", name="n", reason="r"),
        stop.hold(audit.EVERYTHING, name="everything", reason="r"),
        stop.hold("1", name="n", reason="r"),
    )
    found = audit.standing(chained(*events), now=START, keys="12")
    assert [each.seq for each in found["1"]] == [0, 2]
    assert [each.seq for each in found["2"]] == [1]


def test_a_stop_that_learns_later_what_was_stored_holds_once_and_remembers_it():
    stop = dataclasses.replace(operation(), action=Action.HALT, desired=None)
    maker, other = run(ONE, "stop"), run(ONE, "other")
    intent = maker.intent(stop, digest="d" * 64, generation=0)
    events = (
        other.hold("1001", name="n", reason="r"),
        maker.hold("1001", name="n", reason="r"),
        intent,
        maker.hold("1001", name="n", reason="r", body=make_body(dial_rate=9.0)),
        maker.outcome(intent, Result.DELETED, audit={}),
    )
    held = audit.standing(chained(*events), now=START)["1001"]
    assert [(each.event.run, "body" in each.data) for each in held] == [
        ("other", False),
        ("stop", True),
    ]
    stopped = audit.applied(chained(*events))["1001"].stopped
    assert stopped == BeforeStop(None, make_body(dial_rate=9.0))


def test_of_two_holds_that_last_alike_the_last_one_counts():
    holds = [run(ONE, f"r{at}").hold("1", name="n", reason=f"{at}") for at in range(3)]
    assert audit.holds(chained(*holds), now=START)["1"].data["reason"] == "2"


# --- at an instant ------------------------------------------------------------------------------------------------------------


def rates(records: tuple[Record, ...], seconds: float) -> tuple[float | None, float | None]:
    state = audit.at(records, START + timedelta(seconds=seconds), "1001")
    return tuple(  # type: ignore[return-value]
        each and each.intent.data["body"]["dial_rate"] for each in (state.stored, state.active)
    )


@pytest.mark.parametrize(
    ("latency", "stored_from"),
    [(None, 10), (4.0, 6), (10.0, 0), (13.0, -3), (13.1, 10), (-1.0, 10)],
)
def test_a_latency_is_believed_as_far_as_our_clock_and_a_little_slack_allow(
    latency: float | None, stored_from: float
) -> None:
    clock = Clock()
    maker = run(ONE, clock=clock)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    clock.pass_by(10)
    ended = audit.stamp(clock())
    outcome = maker.outcome(intent, Result.UPDATED, audit={}, at=ended, latency_s=latency)
    records = chained(intent, outcome)
    assert rates(records, stored_from)[0] == 25.0
    assert rates(records, stored_from - 0.1)[0] is None
    assert rates(records, 10)[1] == 25.0
    assert rates(records, 9.9)[1] is None


def test_what_was_found_counts_from_when_it_was_read():
    found = chained(run(ONE).found(make_desired(body=make_body(dial_rate=7.0)), START))
    assert rates(found, 0) == (7.0, 7.0)
    assert rates(found, -1) == (None, None)
    assert audit.at(found, START, "9") == audit.State(None, None)


def test_a_record_without_the_platforms_time_is_placed_by_its_runs_other_records():
    """The platform's clock was an hour ahead of ours: what we wrote at 14:00 was at 15:00 there."""
    ahead = audit.stamp(START + timedelta(hours=1))
    records = chained(*write(20.0, Result.UPDATED, at=ahead))
    assert audit.until(records, START + timedelta(minutes=59)) == ()
    assert audit.until(records, START + timedelta(hours=1)) == records
    other = chained(run(ONE, "other").note("x"))
    assert audit.until(other, START) == other


def test_entries_are_outcomes_from_since_on_and_before_until():
    at = audit.stamp(START)
    records = chained(*write(20.0, Result.UPDATED, at=at), run(ONE, "x").note("y"))
    second = timedelta(seconds=1)
    assert len(audit.entries(records)) == 1
    assert len(audit.entries(records, since=START, until=START + second)) == 1
    assert audit.entries(records, until=START) == []
    assert audit.entries(records, since=START + second) == []


@pytest.mark.parametrize(("digits", "count"), [(6, 0), (7, 1), (8, 1), (40, 1)])
def test_a_commit_is_named_by_seven_digits_at_least(digits: int, count: int) -> None:
    assert len(audit.about(chained(run(ONE).note("x")), ONE[:digits])) == count
