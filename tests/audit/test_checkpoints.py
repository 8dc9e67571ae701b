"""Laws of the state that a checkpoint holds: no query can tell it from the records that it stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event, Record, RecordKind, checkpoints
from reconciler.plan import Action, Result
from tests.audit.selection import selected
from tests.support.bodies import make_body
from tests.support.factories import make_desired
from tests.support.gitfakes import START, operation, run

COMMITS = ("a" * 40, "b" * 40, "c" * 40)
TARGETS = ("1001", "1002")
VERBS = (Action.CREATE, Action.UPDATE, Action.RETIRE, Action.HALT, Action.HALT)
TIMES = tuple(START + timedelta(hours=hours) for hours in (-2, 0, 2, 30))
ENDS = (START - checkpoints.EXPIRED - timedelta(seconds=1), *TIMES)
"""Ends of holds. At none of `TIMES`, a hold with the first end is in force, so a state may lack it."""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("open", "stop", "close", "intent", "intent", "outcome", "outcome", "outcome"),
                *("hold", "release", "found", "imported", "missing", "creating", "note", "judge"),
            ]
        ),
        st.integers(0, 3),  # run
        st.integers(0, 11),  # what else the step depends on
    ),
    max_size=24,
)


class History:
    """Records of several runs at once: killed ones, stops that overtake applies, outcomes in any order."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.unsettled: list[Record] = []
        self._tips: dict[str, Record] = {}
        self._closed = [0, 0, 0, 0]

    def step(self, what: str, who: int, choice: int) -> None:
        maker = dataclasses.replace(
            run(COMMITS[choice % 3], f"run-{who}-{self._closed[who]}"), judges=choice % 4 != 0
        )
        if (event := self._event(what, maker, choice)) is None:
            return
        record = audit.chain(event, self._tips.get(event.run), len(self.records))
        if record.id in {each.id for each in self.records}:
            return
        self._tips[event.run] = record
        self.records.append(record)
        if record.kind is RecordKind.INTENT:
            self.unsettled.append(record)
        if record.kind is RecordKind.CLOSE:
            self._closed[who] += 1

    def _event(self, what: str, maker: audit.Run, choice: int) -> Event | None:
        if what == "outcome":
            return self._outcome(maker, choice) if self.unsettled else None
        target = TARGETS[choice % 2]
        if what == "missing":
            last = audit.applied(self.records).get(target)
            return last and maker.missing(last.outcome, name="n", reason=f"r{choice}")
        one = operation(target, action=VERBS[choice % 5], rate=20.0 + choice)
        body = make_body(campaign_id=target, dial_rate=float(choice))
        held = (*TARGETS, audit.EVERYTHING)[choice // 2 % 3]
        until = ENDS[choice % 5] if choice % 6 else None
        stored = body if choice % 3 and held == target else None
        makers: dict[str, Callable[[], Event]] = {
            "open": lambda: _opening(maker, audit.APPLY),
            "stop": lambda: _opening(maker, audit.HALT),
            "close": lambda: maker.close({}),
            "intent": lambda: maker.intent(one, digest="d" * 64, generation=len(self.records)),
            "hold": lambda: maker.hold(held, name="n", reason="r", until=until, body=stored),
            "release": lambda: maker.release(held, name="n", reason="r"),
            "found": lambda: maker.found(make_desired(target, body=body), START),
            "imported": lambda: self._imported(maker, target, body),
            "creating": maker.creating,
            "judge": lambda: maker.nothing_to_do([]),
            "note": lambda: maker.note(str(choice)),
        }
        return makers[what]()

    def _imported(self, maker: audit.Run, target: str, body: dict[str, Any]) -> Event:
        return maker.imported("Campaign", target, "n", body, START)

    def _outcome(self, maker: audit.Run, choice: int) -> Event:
        intent = self.unsettled.pop(choice % len(self.unsettled))
        results = [*Result, Result.UPDATED, Result.UNKNOWN]
        return maker.outcome(intent, results[choice % len(results)], audit={})


def _opening(maker: audit.Run, purpose: str) -> Event:
    return maker.open(
        digest="d" * 64, operations=1, tool="t", ledger=None, applied=None, purpose=purpose
    )


def history(steps: Sequence[tuple[str, int, int]]) -> tuple[Record, ...]:
    made = History()
    for step in steps:
        made.step(*step)
    return tuple(made.records)


def answers(records: Sequence[Record]) -> dict[str, Any]:
    """Return the result of every query that a command asks without reading the history."""
    judging = audit.judging_commits(records)
    unsettled = audit.open_intents(records)
    return {
        "applied": {key: told(each) for key, each in audit.applied(records).items()},
        "open intents": unsettled,
        "generations": audit.open_generations(records),
        "may be sent": [audit.may_be_sent(records, each) for each in unsettled],
        "holds": [audit.holds(records, now=now, keys=TARGETS) for now in TIMES],
        "standing": [audit.standing(records, now=now, keys=TARGETS) for now in TIMES],
        "applied last": audit.applied_commits(records)[-1:],
        "judges": (judging[-1:], [each for each in judging if each != judging[-1]][-1:]),
        "began": records[:1],
    }


def told(last: audit.Applied) -> Sequence[object]:
    """Return what commands read of a last write, whether it is two records or one."""
    intent, outcome = last.intent, last.outcome
    one = intent.kind is RecordKind.WRITE
    before = ("name", "direction", "after", "body", "base", "emptied", "verb", "object")
    after = ("result", "timestamp", "schedule_id", "etag", "actor", "run_url")
    return (
        intent.data["intent"] if one else intent.id,
        *map(intent.data.get, before),
        *map(outcome.data.get, after),
        *(outcome.id, outcome.event.run, intent.event.commit, outcome.event.commit),
        *(outcome.seq, outcome.event.ts, last.base, last.missing, last.imports),
        last.stopped and (last.stopped.applied, last.stopped.found),
    )


def tips(records: Sequence[Record]) -> dict[str, Record]:
    last = {each.event.run: each for each in records if each.kind is not RecordKind.WRITE}
    return {name: each for name, each in last.items() if each.kind is not RecordKind.CLOSE}


def stops(records: Sequence[Record]) -> list[Record]:
    """Return the openings of emergency stops that may go on."""
    begun = (each for each in audit.of_stops(records) if each.kind is RecordKind.OPEN)
    return [each for each in begun if each.event.run in tips(records)]


@settings(max_examples=300)
@given(STEPS, st.integers(0, 24))
def test_no_query_can_tell_a_state_from_the_records_that_it_stands_for(steps, cut):
    records = history(steps)
    before, after = records[:cut], records[cut:]
    state = audit.compact(before)
    assert answers((*state, *after)) == answers(records)
    assert tips((*state, *after)) == tips(records)
    assert {each.id for each in stops(records)} <= {each.id for each in state + after}


@settings(max_examples=150)
@given(STEPS, st.integers(0, 12), st.integers(12, 24))
def test_a_state_of_a_state_answers_like_all_the_records_too(steps, first, second):
    records = history(steps)
    state = audit.compact(records[:first])
    state = audit.compact((*state, *records[first:second]))
    assert answers((*state, *records[second:])) == answers(records)
    assert audit.compact(state) == state


@settings(max_examples=300)
@given(
    st.lists(STEPS, max_size=3).map(lambda parts: [step for part in parts for step in part]),
    st.integers(0, 72),
)
def test_a_state_holds_exactly_what_the_page_of_the_format_says(steps, cut):
    records = history(steps)
    state = selected(records[:cut])
    selection = audit.Selection()
    for each in records[:cut]:
        selection.add(each)
    assert selection.fold() == state
    for each in records[cut:]:
        selection.add(each)
    assert selection.fold() == selected((*state, *records[cut:]))
    assert audit.compact((*state, *records[cut:])) == selected((*state, *records[cut:]))


def chained(*events: Event, before: Sequence[Record] = ()) -> list[Record]:
    tips = {each.event.run: each for each in before}
    records: list[Record] = []
    for event in events:
        seq = len(before) + len(records)
        tips[event.run] = audit.chain(event, tips.get(event.run), seq)
        records.append(tips[event.run])
    return records


def whole_run(what: str, target: str, before: Sequence[Record]) -> list[Event]:
    """Return the events of a run that was closed, so that its write may become one record."""
    maker = run(COMMITS[0], f"{what}-{len(before)}")
    ended, body = maker.close({}), make_body(campaign_id=target)
    if what == "missing":
        last = audit.applied(before).get(target)
        return [maker.missing(last.outcome, name="n", reason="r"), ended] if last else []
    if what == "imported":
        return [maker.imported("Campaign", target, "n", body, START), ended]
    if what == "found":
        return [maker.found(make_desired(target, body=body), START), ended]
    verb, result = {
        "apply": (Action.UPDATE, Result.UPDATED),
        "unknown": (Action.UPDATE, Result.UNKNOWN),
        "stop": (Action.HALT, Result.DELETED),
    }[what]
    one = operation(target, action=verb, rate=20.0 + len(before))
    intent = maker.intent(one, digest="d" * 64, generation=len(before))
    outcome = maker.outcome(intent, result, audit={})
    return [_opening(maker, audit.APPLY), intent, outcome, ended]


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["apply", "apply", "unknown", "stop", "imported", "missing", "found"]),
        st.sampled_from(TARGETS),
    ),
    max_size=3,
)


@settings(max_examples=300)
@given(st.lists(RUNS, min_size=2, max_size=4))
def test_a_write_that_an_earlier_fold_settled_is_forgotten_once_another_one_follows(parts):
    first = chained(run(COMMITS[0], "first").note("the ledger's first record"))
    records, state, selection = first, tuple(first), audit.Selection()
    selection.add(first[0])
    for part in parts:
        for what, target in part:
            for each in chained(*whole_run(what, target, records), before=records):
                records, state = [*records, each], (*state, each)
                selection.add(each)
        state = selected(state)
        assert selection.fold() == state


def test_a_write_and_an_import_before_its_outcome_are_kept_as_they_are():
    """One line for the write would stand behind the import, and so end it."""
    maker = run(COMMITS[0], "apply")
    intent = maker.intent(operation("1001"), digest="d" * 64, generation=0)
    records = chained(
        *(maker.note("the ledger's first record"), intent),
        run(COMMITS[0], "import").imported("Campaign", "1001", "n", make_body(), START),
        *(maker.outcome(intent, Result.UPDATED, audit={}), maker.close({})),
    )
    state = audit.compact(records)
    assert state == selected(records) == tuple(records)
    assert answers(state) == answers(tuple(records))


def test_all_writes_to_an_object_are_kept_if_the_last_one_alone_would_be_another_one():
    """The outcomes are out of order: the unknown one counts only after that of the oldest write, which no other rule keeps."""
    first, second, third, later = (run(COMMITS[0], name) for name in ("a", "b", "c", "d"))
    oldest, unsure, newest = (
        maker.intent(operation("1001", rate=rate), digest="d" * 64, generation=at)
        for at, (maker, rate) in enumerate(((first, 1.0), (second, 2.0), (third, 3.0)))
    )
    records = chained(
        later.note("the ledger's first record"),
        *(oldest, unsure, newest, first.close({})),
        later.outcome(newest, Result.UPDATED, audit={}),
        later.outcome(oldest, Result.UPDATED, audit={}),
        later.outcome(unsure, Result.UNKNOWN, audit={}),
    )
    assert audit.applied(records)["1001"].intent.id == unsure.id
    selection = audit.Selection()
    for record in records:
        selection.add(record)
    state = selection.fold()
    assert state == selected(records) == tuple(records)
    assert audit.applied(state) == audit.applied(records)
    assert selection.fold() == state


@given(STEPS)
def test_a_state_is_a_selection_of_records_in_order(steps):
    records = history(steps)
    state = audit.compact(records)
    intents = {each.id: each for each in records if each.kind is RecordKind.INTENT}
    writes = {each.seq for each in state if each.kind is RecordKind.WRITE}
    due = [
        audit.write_of(intents[each.data["intent"]], each) if each.seq in writes else each
        for each in records
    ]
    assert list(state) == [each for each in due if each in state]


def test_a_thousand_applies_of_one_object_leave_a_handful_of_records():
    records: list[Record] = []
    for number in range(1000):
        maker = run(COMMITS[number % 3], f"run-{number}")
        opened = maker.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
        intent = maker.intent(operation(rate=20.0 + number), digest="d" * 64, generation=number)
        outcome = maker.outcome(intent, Result.UPDATED, audit={})
        last = None
        for event in (opened, intent, outcome, maker.close({})):
            last = audit.chain(event, last, len(records))
            records.append(last)
    state = audit.compact(records)
    assert len(state) <= 9
    assert len(audit.compact((*audit.compact(records[:2000]), *records[2000:]))) == len(state)


@pytest.mark.parametrize(
    ("ended", "kept"), [(timedelta(), True), (timedelta(seconds=1), False)], ids=["just", "later"]
)
def test_a_hold_is_forgotten_thirty_days_after_its_end_by_the_platforms_clock(ended, kept):
    stop = run(COMMITS[0], "stop")
    until = START - timedelta(days=30) - ended
    events = [
        stop.note("the ledger's first record"),
        stop.hold("1001", name="n", reason="r", until=until),
        stop.hold("1001", name="n", reason="another", until=None),
    ]
    records: list[Record] = []
    for event in events:
        records.append(audit.chain(event, records[-1] if records else None, len(records)))
    assert audit.compact(records) == tuple(records), "no clock of the platform is known"
    found = run(COMMITS[0], "later").found(make_desired("1002"), START)
    records.append(audit.chain(found, None, len(records)))
    assert (records[1] in audit.compact(records)) is kept
    assert records[2] in audit.compact(records)


def test_a_run_that_died_long_ago_is_forgotten_and_a_stop_is_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoints, "RECENT", 3)
    made = History()
    for step in (
        ("note", 0, 0),
        ("stop", 1, 0),
        ("note", 2, 0),
        *(("note", 3, n) for n in range(5)),
    ):
        made.step(*step)
    state = audit.compact(made.records)
    assert {each.event.run for each in state} == {"run-0-0", "run-1-0", "run-3-0"}
    assert len([each for each in state if each.event.run == "run-3-0"]) == 1


def test_a_checkpoint_says_what_it_stands_for():
    made = History()
    for step in (("open", 0, 0), ("intent", 0, 1), ("close", 0, 0)):
        made.step(*step)
    state = audit.state_of(made.records)
    event = audit.checkpoint(made.records, state, segment=1, closes="f" * 40, now=TIMES[3])
    record = audit.chain(event, None, 3)
    assert audit.decode(event.commit, audit.encode(record)) == ((record,), ())
    assert event.data["records"] == len(audit.compact(made.records))
    later = audit.checkpoint((record,), b"", segment=2, closes="e" * 40, now=START)
    assert later.data["latest"] == audit.stamp(TIMES[3]), (
        "of all that earlier checkpoints stand for"
    )
    assert (event.data["last"], event.data["latest"]) == (
        made.records[-1].h,
        "2027-01-11T14:00:00.000Z",
    )


@pytest.mark.parametrize("result", [Result.UPDATED, Result.STORED_NOT_ACTIVE])
def test_a_write_that_a_repair_kept_says_what_was_stored_and_active_at_an_instant(result):
    maker = run(COMMITS[0], "apply")
    intent = maker.intent(operation("1001"), digest="d" * 64, generation=0)
    events = [
        maker.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None),
        intent,
        maker.outcome(intent, result, audit={}),
        maker.close({}),
    ]
    records: list[Record] = []
    for event in events:
        records.append(audit.chain(event, records[-1] if records else None, len(records)))
    state = audit.compact(records)
    assert [each.kind for each in state] == ["open", "write", "close"]
    for hours in (-1, 1):
        whole, kept = (
            audit.at(each, START + timedelta(hours=hours), "1001") for each in (records, state)
        )
        for one, other in ((whole.stored, kept.stored), (whole.active, kept.active)):
            assert (one and told(one)) == (other and told(other))
    assert audit.entries(state)[0] == audit.entries(records)[0]
