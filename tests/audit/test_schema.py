"""What each kind of record must say: whoever can push can write one with right hashes and anything in it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event, Record
from reconciler.audit.check import Ids
from reconciler.audit.lines import DEPTH_LIMIT
from reconciler.audit.records import DEFECTS_LIMIT
from reconciler.audit.schema import HEADER, RecordKind, fields_of, problem_of
from reconciler.audit.shapes import problems
from reconciler.audit.values import frozen
from reconciler.errors import LedgerError
from reconciler.ledger.snapshot import LedgerSnapshot, NoteRecords
from reconciler.plan import Action, Result, canonical_json, sha256_of
from tests.support.factories import make_desired
from tests.support.gitfakes import PLATFORM, START, operation, run, story

COMMIT, OTHER = "c" * 40, "e" * 40
GONE = object()
"""In place of a value: the field is missing."""


def events() -> list[Event]:
    """Return at least one event of each kind, and of each that a note can tell."""
    maker = run(COMMIT)
    wanted = [operation(), dataclasses.replace(operation("7"), after="b" * 64, base={"a": 1})]
    begun, *middle, closed = story(maker, wanted)
    return [
        begun,
        *middle,
        maker.hold("1002", name="other", reason="complaints", until=START + timedelta(hours=1)),
        maker.hold("1003", name="third", reason="complaints", body={"dial_rate": "fast"}),
        maker.release("1002", name="other", reason="solved"),
        maker.note("looked at by hand"),
        maker.superseded("d" * 40),
        maker.found(make_desired(), START),
        maker.imported("Campaign", "1004", "fourth", {"dial_rate": 2.5}, START),
        maker.nothing_to_do([]),
        maker.creating(),
        closed,
    ]


def chained(told: Iterable[Event]) -> list[Record]:
    tips: dict[str, Record] = {}
    records = []
    for event in told:
        record = audit.chain(event, tips.get(event.run), len(records))
        tips[event.run] = record
        records.append(record)
    return records


RECORDS = chained(events())
FIRST = {record.kind.value: record for record in reversed(RECORDS)}


def line(fields: Mapping[str, Any]) -> bytes:
    """Return a record's line with the right hash for whatever it says."""
    bare = {name: value for name, value in fields.items() if name not in {"h", *_gone(fields)}}
    h = fields["h"] if fields.get("h") == "x" else sha256_of(bare)
    return canonical_json({**bare, "h": h}).encode() + b"\n"


def _gone(fields: Mapping[str, Any]) -> set[str]:
    return {name for name, value in fields.items() if value is GONE}


def test_every_event_that_a_run_makes_can_be_read_again():
    blob = b"".join(map(audit.encode, RECORDS))
    assert audit.decode(COMMIT, blob) == (tuple(RECORDS), ())
    assert audit.verify({COMMIT: RECORDS}, tenant=PLATFORM) == ()


@pytest.mark.parametrize(
    ("kind", "name", "odd"),
    [
        ("open", "commit", "HEAD"),
        ("open", "run", "a b"),
        ("open", "ts", "yesterday"),
        ("open", "ts", "2027-01-11T14:00:00"),
        ("open", "seq", -1),
        ("open", "n", True),
        ("open", "h", "x"),
        ("open", "id", "x"),
        ("open", "tenant", ""),
        ("open", "kind", "edict"),
        ("open", "kind", ["open"]),
        ("open", "operations", -1),
        ("open", "applied", "HEAD"),
        ("open", "ledger", 5),
        ("open", "purpose", "import"),
        ("open", "judges", 0),
        ("open", "digest", "d"),
        ("open", "tool", GONE),
        ("close", "counts", GONE),
        ("close", "counts", []),
        ("close", "counts", {"a": -1}),
        ("intent", "body", GONE),
        ("intent", "body", []),
        ("intent", "direction", "sideways"),
        ("intent", "direction", None),
        ("intent", "verb", "held"),
        ("intent", "object", GONE),
        ("intent", "after", 5),
        ("intent", "before", None),
        ("intent", "generation", -1),
        ("intent", "generation", True),
        ("intent", "attempt", 2**60),
        ("intent", "key", "short"),
        ("intent", "target", 7),
        ("intent", "parts", {"a": 5}),
        ("intent", "base", []),
        ("intent", "first", ["x"]),
        ("intent", "run_url", 5),
        ("intent", "actor", {}),
        ("outcome", "intent", GONE),
        ("outcome", "result", "fine"),
        ("outcome", "timestamp", "now"),
        ("outcome", "timestamp", "2027-01-01T00:00:00"),
        ("outcome", "timestamp", "9999-12-31T23:59:59+00:00"),
        ("outcome", "latency_s", "1"),
        ("outcome", "latency_s", 1e300),
        ("outcome", "latency_s", True),
        ("outcome", "dnc_lists", [5]),
        ("outcome", "dnc_verified", "yes"),
        ("outcome", "schedule_id", 5),
        ("outcome", "name", "\ud800"),
        ("outcome", "message", 5),
        ("outcome", "live", "x"),
        ("hold", "until", 5),
        ("hold", "until", []),
        ("hold", "until", "2027-01-01T00:00:00+05:00"),
        ("hold", "until", "2027-13-01T00:00:00.000Z"),
        ("hold", "until", GONE),
        ("hold", "target", ""),
        ("hold", "reason", GONE),
        ("hold", "body", "x"),
        ("hold", "timestamp", "now"),
        ("release", "name", GONE),
        ("release", "reason", None),
        ("note", "text", 5),
        ("note", "superseded", "x"),
        ("note", "judge", "yes"),
        ("note", "creating", 1),
        ("note", "base", 1),
        ("note", "body", {}),
    ],
)
def test_a_record_that_does_not_say_what_its_kind_must_say_is_a_defect_with_its_place(
    kind: str, name: str, odd: object
) -> None:
    """The others are read: what is shown, and what a stop needs, is not lost with one line."""
    good = audit.encode(RECORDS[0])
    fields = {**FIRST[kind].fields(), name: odd}
    records, defects = audit.decode(COMMIT, good + line(fields) + good)
    assert len(records) == 2
    (defect,) = defects
    assert (defect.commit, defect.line) == (COMMIT, 2)
    assert defect.id == ("" if name == "id" else fields["id"])
    if (kind, name) != ("note", "body"):  # a body asks for other fields
        assert f"the record's {name} " in defect.problem


@pytest.mark.parametrize(
    ("kind", "name", "last", "beyond"),
    [
        ("open", "operations", 0, -1),
        ("open", "operations", 2**53 - 1, 2**53),
        ("open", "run", "x" * 64, "x" * 65),
        ("open", "digest", "a" * 64, "A" * 64),
        ("intent", "before", "a" * 64, "A" * 64),
        ("intent", "before", "a" * 64, "a" * 65),
        ("intent", "before", "0" * 64, "0" * 61 + " 00"),
        ("outcome", "latency_s", 1e9, 1e9 + 1),
        ("outcome", "latency_s", -1e9, -1e9 - 1),
        ("outcome", "timestamp", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z"),
        ("outcome", "timestamp", "8999-12-31T23:59:59Z", "9000-01-01T00:00:00Z"),
        ("intent", "first", ["a" * 64] * 2, ["a" * 64] * 3),
        ("intent", "parts", {"a": []}, {"a": [5]}),
        ("close", "counts", {}, {"a": None}),
    ],
)
def test_what_a_field_may_just_hold_and_what_is_beyond(
    kind: str, name: str, last: object, beyond: object
) -> None:
    fields = FIRST[kind].fields()
    assert problem_of({**fields, name: last}) is None
    assert f"the record's {name} must be" in str(problem_of({**fields, name: beyond}))


ODD = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 1.0, 2**53, "", "x", "\ud800", "ü", [], {}, [5], {"a": 5}),
        *("a" * 64, "A" * 64, "a" * 63 + "g", "a" * 62 + " a", "a" * 40, "2027-01-11T14:00:00Z"),
        *("2027-02-30T14:00:00.000Z", "halt", "update", "k" * 52, GONE),
    ]
)
NAMES = sorted({name for each in FIRST.values() for name in each.fields()} | {"actor", "purpose"})


@settings(max_examples=400)
@given(
    st.sampled_from(sorted(FIRST)),
    st.lists(st.tuples(st.sampled_from(NAMES), ODD), max_size=3),
    st.integers(0, 2),
)
def test_fields_that_are_checked_together_are_checked_like_each_alone(kind, changes, again):
    fields = {**FIRST[kind].fields(), **dict(changes)}
    fields = {name: value for name, value in fields.items() if value is not GONE}
    said = fields.get("kind")
    more = fields_of(RecordKind(said)) if said in list(RecordKind) else {}
    found = next(problems(fields, {**HEADER, **more}), None)
    assume(found is not None or said != "note" or "body" not in fields)  # a body asks for more
    for _ in range(again + 1):  # what is remembered of one record must not let another one pass
        assert problem_of(FIRST[kind].fields()) is None
        assert problem_of(fields) == found


@pytest.mark.parametrize(
    ("kind", "name", "value", "problem"),
    [
        ("open", "tool", GONE, "the record's tool is missing"),
        ("open", "h", "x", "the record's h must be 64 hexadecimal digits, not 'x'"),
        ("open", "tool", "\ud800", "the record's tool must be a text, not '\\ud800'"),
        ("open", "tool", 10**39, f"the record's tool must be a text, not 1{'0' * 39}"),
        ("open", "tool", 10**40, f"the record's tool must be a text, not 1{'0' * 38}…"),
        ("open", "purpose", "x", "the record's purpose must be one of apply, halt, not 'x'"),
        (
            "outcome",
            "latency_s",
            math.nan,
            "the record's latency_s must be a number of seconds or null, not NaN",
        ),
        ("open", "actor", 5, "the record's actor must be a text or null, not 5"),
        ("hold", "target", "", "the record's target must be a text that is not empty, not ''"),
    ],
)
def test_a_problem_names_the_field_what_it_must_be_and_what_it_is(
    kind: str, name: str, value: object, problem: str
) -> None:
    fields = {**FIRST[kind].fields(), name: value}
    assert problem_of({each: fields[each] for each in fields.keys() - _gone(fields)}) == problem


def test_a_record_whose_counts_are_all_texts_is_told_which_is_wrong():
    fields = {**FIRST["release"].fields(), "v": "1", "seq": "1", "n": "1"}
    (defect,) = audit.decode(COMMIT, line(fields))[1]
    assert defect.problem == "the record's v must be a count (0, 1, …), not '1'"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(FIRST)), st.dictionaries(st.text(min_size=1), json_values))
def test_what_no_kind_declares_is_kept_and_not_read(kind: str, more: dict[str, Any]) -> None:
    """So a later version can add a field that an earlier one need not know."""
    known = FIRST[kind]
    more = {f"x-{name}": value for name, value in more.items()}
    try:
        data = json.loads(canonical_json({**known.data, **more}))
        record = audit.chain(dataclasses.replace(known.event, data=data), None, 0)
    except (LedgerError, ValueError):
        return  # no finite number, or too long
    assert audit.decode(COMMIT, audit.encode(record)) == ((record,), ())


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_what_nests_too_deep_is_neither_written_nor_read():
    note = run(COMMIT).note("x")
    deepest = DEPTH_LIMIT - 2  # beside the record itself, and what lies in the last list
    fine = dataclasses.replace(note, data={**note.data, "x": nested(deepest)})
    assert audit.decode(COMMIT, audit.encode(audit.chain(fine, None, 0)))[1] == ()
    deep = dataclasses.replace(note, data={**note.data, "x": nested(DEPTH_LIMIT + 1)})
    with pytest.raises(LedgerError, match="too deep"):
        audit.chain(deep, None, 0)
    fields = {**audit.chain(note, None, 0).fields(), "x": nested(DEPTH_LIMIT + 1)}
    assert "nests deeper" in audit.decode(COMMIT, line(fields))[1][0].problem


def test_a_note_of_nothing_but_bad_lines_is_not_read_to_its_end():
    """A note may have 64 MiB: a defect for each of as many line ends would take gigabytes."""
    good = audit.encode(RECORDS[0])
    records, defects = audit.decode(COMMIT, good + b"\n" * 10**6 + good)
    assert len(records) == 1
    assert len(defects) == DEFECTS_LIMIT + 1
    assert (defects[-1].line, defects[-1].problem) == (102, "from here on nothing was read")


def test_what_could_not_be_read_again_is_not_written():
    held = run(COMMIT).hold("1", name="n", reason="r")
    odd = dataclasses.replace(held, data={**held.data, "until": 5})
    with pytest.raises(
        LedgerError,
        match=r"of n cannot be written, because no command could read it: the record's until must",
    ):
        audit.chain(odd, None, 0)


# --- what records say of each other -----------------------------------------------------------------------------------------


def retold(at: int, **changes: Any) -> tuple[list[Record], Record]:
    """Return the ledger of somebody who knows every hash and the chain, and changed one record; and that record."""
    told = [record.event for record in RECORDS]
    told[at] = dataclasses.replace(told[at], data={**told[at].data, **changes})
    records = chained(told)
    return records, records[at]


INTENT = RECORDS[1].data
FAST = {**INTENT["body"], "dial_rate": 99.0}
AT = {record.kind.value: at for at, record in reversed(list(enumerate(RECORDS)))}


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        ("intent", {"after": "0" * 64}, "`after` is not the hash of its body"),
        ("intent", {"after": None}, "`after` is not the hash of its body"),
        ("intent", {"body": FAST}, "`after` is not the hash of its body"),
        ("intent", {"body": None, "after": None}, "does not match its object, body"),
        ("intent", {"body": FAST, "after": sha256_of(FAST)}, "does not match its object, body"),
        ("intent", {"before": "0" * 64}, "does not match its object, body"),
        ("intent", {"target": "1"}, "does not match its object, body"),
        ("intent", {"verb": "create"}, "does not match its object, body"),
        ("intent", {"object": "SkillSchedule"}, "does not match its object, body"),
        ("intent", {"key": "a" * 52}, "idempotency key does not match its write"),
        ("intent", {"generation": 1}, "idempotency key does not match its write"),
        ("intent", {"digest": "0" * 64}, "of another plan than its run was opened for"),
        ("outcome", {"intent": "0" * 64}, "without an intent before it"),
        ("outcome", {"intent": RECORDS[0].id}, "without an intent before it"),
        ("outcome", {"op": "0" * 64}, "of another operation than its intent"),
        ("outcome", {"target": "1"}, "target is not that of its intent"),
        ("outcome", {"object": "SkillSchedule"}, "object is not that of its intent"),
        ("outcome", {"attempt": 1}, "attempt is not that of its intent"),
        ("outcome", {"generation": 1}, "generation is not that of its intent"),
        ("outcome", {"verb": "retire", "action": "SCHEDULE_RETIRED"}, "verb is not that"),
        ("outcome", {"action": "SCHEDULE_RETIRED"}, "audit action does not match its result"),
        ("outcome", {"result": "failed"}, "audit action does not match its result"),
        ("release", {"target": "1"}, "a release of an object that was never held"),
        ("open", {"digest": "0" * 64}, "of another plan than its run was opened for"),
    ],
)
def test_one_lie_in_an_otherwise_sound_ledger_is_found(
    kind: str, changes: Mapping[str, Any], problem: str
) -> None:
    records, liar = retold(AT[kind], **changes)
    found = audit.verify({COMMIT: records}, tenant=PLATFORM)
    assert problem in " ".join(each.problem for each in found)
    if kind != "open":
        assert liar.id in {each.id for each in found}


def test_what_only_a_stop_of_everything_held_may_be_released_by_itself() -> None:
    maker = run(COMMIT)
    events = [
        maker.hold(audit.EVERYTHING, name="everything", reason="r"),
        maker.release("1", name="n", reason="r"),
    ]
    assert audit.verify({COMMIT: chained(events)}, tenant=PLATFORM) == ()
    (alone,) = audit.verify({COMMIT: chained(events[1:])}, tenant=PLATFORM)
    assert alone.problem == "a release of an object that was never held"


@pytest.mark.parametrize("kind", ["intent", "close"])
def test_what_a_run_did_has_an_opening_before_it(kind: str) -> None:
    maker = run(COMMIT)
    one = maker.intent(operation(), digest="d" * 64, generation=0)
    event = one if kind == "intent" else maker.close({})
    found = audit.verify({COMMIT: chained([event])}, tenant=PLATFORM)
    assert [each.problem for each in found] == [f"{kind} without the opening of its run"]


def test_a_record_under_another_events_id_or_in_another_note_is_found():
    records = list(RECORDS)
    at = AT["note"]
    fields = {**records[at].fields(), "id": "0" * 64}
    ((records[at],), _) = audit.decode(COMMIT, line(fields))
    found = audit.verify({COMMIT: records[: at + 1]}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["its id does not match its event"]
    strayed = audit.verify({OTHER: RECORDS}, tenant=PLATFORM)
    assert {each.problem for each in strayed} == {f"it belongs to the note of {COMMIT[:12]}"}


@pytest.mark.parametrize("gone", [1, 2])
def test_whole_runs_that_were_dropped_leave_a_gap(gone: int) -> None:
    """Nothing else tells: the chains of the others are whole."""
    records = chained(run(COMMIT, f"run-{at}").note("x") for at in range(4))
    found = audit.verify({COMMIT: [records[0], *records[1 + gone :]]}, tenant=PLATFORM)
    assert [each.problem for each in found] == [f"{gone} of the records before it are missing"]


def test_two_records_in_one_place_of_the_ledger_are_found_and_two_notes_have_no_order():
    one, two = (run(COMMIT if at else OTHER, f"run-{at}").note("x") for at in range(2))
    records = [audit.chain(one, None, 0), audit.chain(two, None, 0)]
    found = audit.verify({OTHER: records[:1], COMMIT: records[1:]}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["another record has its place in the ledger"]
    later = audit.chain(one, None, 1)
    assert audit.verify({OTHER: [later], COMMIT: records[1:]}, tenant=PLATFORM) == ()


def test_a_place_in_a_note_and_in_a_run_is_checked_by_itself():
    one, two = (run(COMMIT, f"run-{at}").note("x") for at in range(2))
    first, second = audit.chain(one, None, 0), audit.chain(two, None, 1)
    swapped = audit.verify({COMMIT: [second, first]}, tenant=PLATFORM)
    assert [each.problem for each in swapped] == ["it stands after a later record"]
    maker = run(COMMIT, "run-0")
    third = audit.chain(maker.note("y"), dataclasses.replace(first, n=4), 1)
    found = audit.verify({COMMIT: [first, third]}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["it is number 5 of its run where number 1 is due"]
    moved = audit.chain(run(OTHER, "run-0").note("y"), first, 1)
    found = audit.verify({COMMIT: [first], OTHER: [moved]}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["its run began in the note of another commit"]


def test_an_outcome_before_its_intent_has_none():
    begun, intent, outcome, closed = story(run(COMMIT), [operation()])
    found = audit.verify({COMMIT: chained([begun, outcome, intent, closed])}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["an outcome without an intent before it"]


def test_two_outcomes_of_one_write_are_one_too_many():
    begun, intent, outcome, _ = story(run(COMMIT), [operation()])
    again = run(OTHER, "settler").outcome(intent, Result.CONFIRMED, audit={})
    notes = chained([begun, intent, outcome, again])
    found = audit.verify({COMMIT: notes[:3], OTHER: notes[3:]}, tenant=PLATFORM)
    assert [each.problem for each in found] == ["the same event is recorded twice"]


def test_a_later_run_may_end_what_another_one_began_in_its_own_words():
    """It was approved by somebody else, as part of another plan, and stands in the note of another commit."""
    begun, intent, *_ = story(run(COMMIT), [operation()])
    settled = run(OTHER, "settler").outcome(intent, Result.CONFIRMED, audit={})
    records = chained([begun, intent, settled])
    assert audit.verify({COMMIT: records[:2], OTHER: records[2:]}, tenant=PLATFORM) == ()


@pytest.mark.parametrize("reverts", [False, True])
@pytest.mark.parametrize("verb", [each for each in Action if each is not Action.HELD])
def test_every_write_that_a_plan_can_hold_is_sound(verb: Action, *, reverts: bool) -> None:
    one = dataclasses.replace(operation(action=verb), reverts=reverts)
    assert audit.verify({COMMIT: chained(story(run(COMMIT), [one]))}, tenant=PLATFORM) == ()


def test_the_line_of_a_bad_record_counts_the_lines_that_are_none():
    records, liar = retold(AT["release"], target="1")
    at = AT["release"]
    found = audit.verify(
        {COMMIT: records}, tenant=PLATFORM, lines={COMMIT: range(2, len(records) + 2)}
    )
    assert (found[0].line, found[0].id) == (at + 2, liar.id)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=4000))
def test_a_set_of_hashes_holds_what_was_added_and_nothing_else(values: list[int]) -> None:
    ids, known = Ids(), set[int]()
    for value in values:
        assert ids.has(value) == ((value or 1) in known)
        assert ids.add(value) == ((value or 1) not in known)
        known.add(value or 1)
    assert len(ids) == len(known)
    assert not ids.has(next(each for each in range(4, 10_000) if each not in known))


def test_records_after_a_checkpoint_are_checked_against_its_state():
    begun, intent, outcome, closed = story(run(COMMIT), [operation()])
    mark = audit.checkpoint(chained([begun]), b"", segment=1, closes=COMMIT, now=START)
    records = chained([begun, intent, mark, outcome, closed])
    checker = audit.Checker(PLATFORM)
    checker.resume(records[:2], due=2)
    assert [checker.check(each, COMMIT) for each in records[2:]] == [[], [], []]
    forgetful = audit.Checker(PLATFORM)
    forgetful.resume(records[:1], due=2)
    assert forgetful.check(records[2], COMMIT) == []
    assert "an outcome without an intent before it" in forgetful.check(records[3], COMMIT)


def test_a_checkpoint_stands_at_the_beginning_of_a_segment_and_nowhere_else():
    one, two = (run(COMMIT, f"run-{at}").note("x") for at in range(2))
    mark = audit.checkpoint(chained([one]), b"", segment=1, closes=COMMIT, now=START)
    records = chained([one, mark, two])
    state = records[:1]
    assert audit.verify({COMMIT: records[1:]}, tenant=PLATFORM, state=state) == ()
    (found,) = audit.verify({COMMIT: records[:2]}, tenant=PLATFORM)
    assert found.problem == "a checkpoint that does not begin a segment"
    (found,) = audit.verify({COMMIT: records[2:]}, tenant=PLATFORM, state=state)
    assert found.problem == "its segment does not begin with a checkpoint"


# --- an id that exists ------------------------------------------------------------------------------------------------------


def book(*records: Record, bad: tuple[audit.Defect, ...] = ()) -> LedgerSnapshot:
    return LedgerSnapshot("h", "t", {COMMIT: NoteRecords("b", 1, records, bad)})


def intent(by: str, digest: str = "d", **parts: Any) -> Event:
    one = dataclasses.replace(operation(), **parts)
    return run(COMMIT, by).intent(one, digest=digest * 64, generation=0)


def test_the_same_event_told_by_another_run_is_not_added():
    known = chained([intent("one")])[0]
    assert book(known).new_records([intent("two", digest="9", name="renamed")]) == ()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"body": FAST}, "body"),
        ({"body": FAST, "after": sha256_of(FAST)}, "after, body"),
        ({"before": "0" * 64}, "before"),
        ({"verb": "create"}, "verb"),
        ({"target": "1"}, "target"),
        ({"object": "SkillSchedule"}, "object"),
        ({"base": {"dial_rate": 1.0}}, "base"),
        ({"first": ["0" * 64, "0" * 64]}, "first"),
        ({"parts": {}}, "parts"),
        ({"key": "a" * 52}, "key"),
    ],
)
def test_a_forged_intent_under_an_id_that_a_run_needs_is_an_error_that_names_both(
    changes: Mapping[str, Any], names: str
) -> None:
    """The append returned the forged one: what another run wrote there was then carried out, and settled, as ours."""
    event = intent("forger")
    forged = chained([dataclasses.replace(event, data={**event.data, **changes})])[0]
    assert forged.id == event.id
    bad = (audit.Defect(COMMIT, 1, "the line is not JSON"),)
    with pytest.raises(LedgerError) as raised:
        book(forged, bad=bad).new_records([intent("honest")])
    said = str(raised.value)
    assert f"note of cccccccccccc, line 2: the record (record {forged.id[:12]})" in said
    assert f"has the id of the intent of campaign-1001, but differs in {names}:" in said


def test_one_run_tells_an_event_once_and_only_its_time_may_differ():
    maker = run(COMMIT)
    note = maker.note("x")
    known = chained([note])[0]
    later = dataclasses.replace(note, ts="2027-01-11T15:00:00.000Z")
    assert book(known).new_records([note, later, later]) == ()
    for changed in ({"judge": True}, {"actor": "somebody else"}):
        other = dataclasses.replace(note, data={**note.data, **changed})
        with pytest.raises(LedgerError, match=f"differs in {next(iter(changed))}:"):
            book(known).new_records([other])
        with pytest.raises(LedgerError, match=f"differs in {next(iter(changed))}:"):
            book().new_records([note, other])


def test_two_runs_tell_how_one_write_ended_as_each_saw_it():
    one = intent("one")
    known = chained([run(COMMIT, "one").outcome(one, Result.UPDATED, audit={})])[0]
    settled = run(OTHER, "two").outcome(one, Result.CONFIRMED, audit={"dial_rate": 1.0})
    assert book(known).new_records([settled]) == ()
    forged = dataclasses.replace(settled, data={**settled.data, "target": "1"})
    with pytest.raises(LedgerError, match="differs in target:"):
        book(known).new_records([forged])


@pytest.mark.parametrize("kind", ["open", "close", "hold", "release", "note"])
def test_a_record_that_claims_the_id_of_another_runs_event_is_an_error(kind: str) -> None:
    record = FIRST[kind]
    other = dataclasses.replace(record.event, run="another")
    claimed = dataclasses.replace(record, event=other)
    with pytest.raises(LedgerError, match="differs in run:"):
        book(claimed).new_records([record.event])


def test_what_nests_too_deep_in_an_event_of_a_run_is_not_written_either():
    """The data of such an event cannot be changed, and so is no plain mapping."""
    note = run(COMMIT).note("x")
    deep = frozen({**note.data, "x": nested(DEPTH_LIMIT + 1)})
    with pytest.raises(LedgerError, match="too deep"):
        audit.chain(dataclasses.replace(note, data=deep), None, 0)


def test_what_nests_too_deep_is_left_out_of_a_record_of_what_the_platform_holds():
    """One odd value on the platform would else keep an apply from recording anything, and so from starting."""
    maker = run(COMMIT)
    intent = maker.intent(operation("1"), digest="d" * 64, generation=0)
    for kept, windows in ((False, nested(DEPTH_LIMIT)), (True, nested(DEPTH_LIMIT - 3))):
        stored = {"compliance_windows": windows}
        for event in (
            maker.imported("Campaign", "1", "a", stored, START),
            maker.hold("1", name="a", reason="complaints", body=stored),
            maker.outcome(intent, Result.CONFIRMED, audit=stored),
        ):
            name = "compliance_windows" if event.kind is RecordKind.OUTCOME else "body"
            assert (name in event.data) is kept
            audit.chain(event, None, 0)
