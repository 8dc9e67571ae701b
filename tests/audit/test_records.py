"""Records: golden vectors for every digest, laws for lines and chains, every kind of tampering."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from datetime import datetime, timedelta
from functools import partial
from pprint import pformat
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event, Record, RecordKind
from reconciler.audit.keys import is_key
from reconciler.audit.records import LINE_LIMIT
from reconciler.audit.schema import is_deep
from reconciler.errors import LedgerError
from reconciler.kinds.live import ScrubList
from reconciler.plan import Action, Result
from tests.support.bodies import make_body
from tests.support.factories import KIND, make_desired
from tests.support.gitfakes import PLATFORM, START, Clock, operation, story
from tests.support.gitfakes import run as run_on

run = partial(run_on, tenant="acme")

COMMIT = "c" * 40
OTHER = "e" * 40


def chained(events: list[Event], seq: int = 0) -> tuple[Record, ...]:
    """Return the records of one run or several, in the ledger's order."""
    tips: dict[str, Record] = {}
    records = []
    for event in events:
        record = audit.chain(event, tips.get(event.run), seq + len(records))
        tips[event.run] = record
        records.append(record)
    return tuple(records)


def of_every_kind() -> list[Event]:
    maker = run(COMMIT)
    begun, intent, outcome, closed = story(maker, [operation()])
    return [
        begun,
        intent,
        maker.hold("1002", name="other", reason="complaints", until=START + timedelta(hours=1)),
        maker.release("1002", name="other", reason="solved"),
        maker.note("looked at by hand"),
        maker.superseded("d" * 40),
        outcome,
        closed,
    ]


def sound(records: tuple[Record, ...], commit: str = COMMIT) -> tuple[audit.Defect, ...]:
    return audit.verify({commit: records}, tenant="acme")


def test_a_write_belongs_into_a_state_and_into_no_note():
    records = chained(of_every_kind())
    intent, outcome = records[1], records[6]
    write = audit.write_of(intent, outcome)
    line = audit.encode(write)
    assert audit.decode_state(line) == (write,)
    records, defects = audit.decode(COMMIT, line)
    assert records == ()
    assert "kind must be one of open, intent" in defects[0].problem
    assert len(line) < 0.7 * len(audit.encode(intent) + audit.encode(outcome))
    for bad in (b'"body":{', b'"intent":"', b'"result":"updated"', b'"timestamp":"'):
        assert bad in line
        with pytest.raises(ValueError, match="line 1: "):
            audit.decode_state(line.replace(bad, bad.replace(b'":', b'x":')))


# --- golden vectors -------------------------------------------------------------------------------------------------------

GOLDEN = {
    "0 open": (
        "ebc8a01718cca516fb34d113d9726cf15ee05859574ac8000ef48288b86b5b8e",
        "7eb96ccdeb40abbd7def1d13281d44be85ac3e23c45ea219f8cbed95de516616",
    ),
    "1 intent": (
        "d87adee328e2a9a68a3ae0ebdb29117e37aa608569e4c4260317c2e69d6172c4",
        "efb7028f2c30f63de9cbfe27a56f3ec0b6d78f3ca647896638ad95c7f427b81d",
    ),
    "2 hold": (
        "4d4ec15775ef7ae133ea747b9dc0c9c7505def56404680d07627bd8f38edf4aa",
        "3fe065a4500368d48b9c09a97075440521bbc0fac4750696a358beae4d989fc1",
    ),
    "3 release": (
        "8fbf53040f7e72ccba7499c86ba718e132194395715181e76dd7635e76be22ce",
        "2db0332e42682c3cab83d7f61d06669a43d1f10b25a6b1b9b9d13a421b1178d9",
    ),
    "4 note": (
        "584cd1779c600bfeb5adfd9afb84ed9c55986eea5a8c3731e4133c3710292a31",
        "bba0d8605687cb26301a5de670b2cc30762767b6d56397416e10a118b9a7da11",
    ),
    "5 note": (
        "5f45492ffe2b31c6605a043a494bc7c1a053f0ec566ac1f306d2e81b677246ae",
        "28e744ee181ead60d59fc72c784ad780b57a72d388305a8e9e670e11be1d2af6",
    ),
    "6 outcome": (
        "ecf55d7a469587d95a08e4812383498de10867d7d199f952092c452969fa812b",
        "751c114c2915b7b9192e48ca275e06180147a334c4ebb2cba20e9338c07a6ec2",
    ),
    "7 close": (
        "8dd1480330be244e3e77be5cceb510ea8917b39afaffe158015a303d122820b5",
        "b15ff5544eb43b5654d114e1853d418d229f36abffd23a343af46805359762b1",
    ),
}


def test_ids_and_hashes_of_every_kind_are_the_golden_ones():
    records = chained(of_every_kind())
    assert {f"{r.n} {r.kind}": (r.id, r.h) for r in records} == GOLDEN


def test_the_key_of_a_write_is_the_golden_one():
    assert (
        audit.key("acme", COMMIT, "f" * 64, 0, 0)
        == "b23cx27ipow2im2v5hypwp4ermkpkwsdqjlvfkwank7bwo74w3wa"
    )
    assert (
        audit.key("acme", COMMIT, "f" * 64, 1, 0)
        == "spegkajxrrnd2nzx4zgirvx5lalb3pvya5i2zminwfmtno6z4zta"
    )
    assert (
        audit.key("acme", COMMIT, "f" * 64, 0, 1)
        == "schk7gqre2e4z4p64cnuwya736ypoilrdel46wlyxprgtktlhc5q"
    )


def test_the_line_of_an_outcome_is_the_golden_one():
    """The brief's audit entry, whole, beside who and by whose leave."""
    line = audit.encode(chained(of_every_kind())[6]).decode()
    assert line == (
        '{"action":"SCHEDULE_DEPLOYED"'
        ',"actor":"ci-bot"'
        ',"approver":"lead"'
        ',"attempt":0'
        ',"campaign_id":"1001"'
        ',"commit":"cccccccccccccccccccccccccccccccccccccccc"'
        ',"compliance_windows":[{"end_hour":20'
        ',"start_hour":9'
        ',"timezone":"America/New_York"}]'
        ',"dial_rate":25.0'
        ',"digest":"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"'
        ',"direction":"tighten"'
        ',"dnc_lists":[]'
        ',"dnc_verified":null'
        ',"generation":0'
        ',"h":"751c114c2915b7b9192e48ca275e06180147a334c4ebb2cba20e9338c07a6ec2"'
        ',"id":"ecf55d7a469587d95a08e4812383498de10867d7d199f952092c452969fa812b"'
        ',"intent":"d87adee328e2a9a68a3ae0ebdb29117e37aa608569e4c4260317c2e69d6172c4"'
        ',"kind":"outcome"'
        ',"latency_s":null'
        ',"live":null'
        ',"max_concurrent":500'
        ',"message":null'
        ',"n":6'
        ',"name":"campaign-1001"'
        ',"object":"CampaignSchedule"'
        ',"op":"94a54cb2a3d2ccae2e2825bb028cc2dc5b92cfe2e9a6ae24cbb7134c47edc0a9"'
        ',"prev":"28e744ee181ead60d59fc72c784ad780b57a72d388305a8e9e670e11be1d2af6"'
        ',"pull_request":"42"'
        ',"result":"updated"'
        ',"reviewed_head":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"'
        ',"run":"run-1"'
        ',"run_url":"https://ci.example/runs/7"'
        ',"schedule_id":"s-1001"'
        ',"seq":6'
        ',"target":"1001"'
        ',"tenant":"acme"'
        ',"timestamp":"2027-01-11T14:00:00.000Z"'
        ',"ts":"2027-01-11T14:00:00.000Z"'
        ',"v":1'
        ',"verb":"update"}'
        "\n"
    )


# --- what a record is -------------------------------------------------------------------------------------------------------


def test_the_same_event_has_the_same_id_whoever_writes_it_and_when():
    late = Clock(START + timedelta(days=1))
    one = run(COMMIT, "one").intent(operation(), digest="d" * 64, generation=0)
    two = run(COMMIT, "two", clock=late).intent(operation(), digest="9" * 64, generation=0)
    assert one.id == two.id
    ends = [
        run(COMMIT, name).outcome(one, result, audit={}).id
        for name, result in (("one", Result.UPDATED), ("settler", Result.CONFIRMED))
    ]
    assert ends[0] == ends[1] != one.id


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.intent(operation(rate=20.0), digest="d" * 64, generation=0),
        lambda m: m.intent(operation(), digest="d" * 64, generation=1),
        lambda m: m.intent(operation(), digest="d" * 64, generation=0, attempt=1),
        lambda _: run(OTHER).intent(operation(), digest="d" * 64, generation=0),
    ],
)
def test_another_operation_generation_attempt_or_commit_is_another_event_with_another_key(change):
    maker = run(COMMIT)
    this, that = maker.intent(operation(), digest="d" * 64, generation=0), change(maker)
    assert this.id != that.id
    assert this.data["key"] != that.data["key"]


def test_a_key_is_a_bare_token_that_the_contract_allows():
    token = audit.key("a" * 40, "f" * 64, "0" * 64, 10**6, 10**6)
    assert len(token) <= 64
    assert token.isalnum()
    assert token == token.lower()


@given(
    st.integers(0, 2**40), st.integers(0, 51), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567")
)
def test_a_key_is_recognized_and_with_any_other_character_is_not(generation, at, other):
    write = ("acme", COMMIT, "f" * 64, generation, 0)
    right = audit.key(*write)
    assert is_key(right, *write)
    assume(right[at] != other)
    assert not is_key(f"{right[:at]}{other}{right[at + 1 :]}", *write)


@pytest.mark.parametrize(
    ("verb", "result", "action"),
    [
        (Action.CREATE, Result.CREATED, "SCHEDULE_DEPLOYED"),
        (Action.UPDATE, Result.UPDATED, "SCHEDULE_DEPLOYED"),
        (Action.UPDATE, Result.CONFIRMED, "SCHEDULE_DEPLOYED"),
        (Action.RETIRE, Result.DELETED, "SCHEDULE_RETIRED"),
        (Action.REFRESH, Result.REFRESHED, "SCHEDULE_REFRESHED"),
        (Action.UPDATE, Result.STORED_NOT_ACTIVE, "SCHEDULE_STORED"),
        (Action.HALT, Result.STORED_NOT_ACTIVE, "SCHEDULE_REMOVED"),
        (Action.RETIRE, Result.OVERTAKEN, "SCHEDULE_REMOVED"),
        (Action.UPDATE, Result.STALE, "SCHEDULE_UNCHANGED"),
        (Action.RETIRE, Result.REFUSED, "SCHEDULE_UNCHANGED"),
        (Action.CREATE, Result.UNKNOWN, "SCHEDULE_UNKNOWN"),
    ],
)
def test_only_what_dials_now_is_called_deployed(verb, result, action):
    maker = run(COMMIT)
    intent = maker.intent(operation(action=verb), digest="d" * 64, generation=0)
    assert maker.outcome(intent, result, audit={}).data["action"] == action


def test_an_outcome_answers_for_a_removal_and_for_numbers_without_a_point():
    maker = run(COMMIT)
    intent = maker.intent(operation("7", action=Action.RETIRE), digest="d" * 64, generation=0)
    data = maker.outcome(
        intent,
        Result.DELETED,
        audit=KIND.audit_fields(KIND.canonical({"dial_rate": 25})),
        latency_s=1,
        at="2027-01-11T14:00:09Z",
        dnc_verified=True,
        dnc_lists=[ScrubList("b", "B", "SYNCING"), ScrubList("a", "A", "ACTIVE", "2027-01-01")],
    ).data
    assert data["campaign_id"] == "7"
    assert (data["dial_rate"], data["latency_s"]) == (25.0, 1.0)
    assert isinstance(data["dial_rate"], float)
    assert data["timestamp"] == "2027-01-11T14:00:09Z"
    assert [each["id"] for each in data["dnc_lists"]] == ["a", "b"]


def test_an_unknown_approver_is_unknown_and_never_the_actor():
    maker = dataclasses.replace(run(COMMIT), provenance=audit.Attribution("somebody"))
    assert maker.note("x").data["approver"] is None


def test_foreign_text_is_escaped_and_cut():
    data = run(COMMIT).note("a\x1b[2Jb" + "x" * 1000).data
    assert "\\u001b" in data["text"]
    assert len(data["text"]) < 600


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    maker = run(COMMIT)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    with pytest.raises(LedgerError, match="cannot hold"):
        maker.outcome(intent, Result.UPDATED, audit={"dial_rate": value})


def test_a_record_that_is_too_long_is_refused_before_it_is_written():
    maker = run(COMMIT)
    intent = maker.intent(operation(), digest="d" * 64, generation=0)
    long = maker.outcome(intent, Result.UPDATED, audit={"compliance_windows": ["x" * 9000]})
    with pytest.raises(LedgerError, match=r"campaign-1001 has \d+ bytes; 8192 are allowed"):
        audit.chain(long, None, 0)


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "a\nb"])
def test_a_run_id_is_a_plain_word(name):
    with pytest.raises(ValueError, match="not a run id"):
        run(COMMIT, name)


# --- lines ------------------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from([Action.UPDATE, Action.HALT]),
    st.sampled_from([PLATFORM, "ä", "\x7f", '"']),
    st.integers(0, 2**53 - 1),
)
def test_an_id_is_the_same_if_its_event_was_checked_before(action, tenant, generation):
    maker = dataclasses.replace(run(COMMIT), tenant=tenant)
    intent = maker.intent(operation(action=action), digest="d" * 64, generation=generation)
    for event in (intent, maker.outcome(intent, Result.UPDATED, audit={}), maker.creating()):
        assert audit.records.id_of_checked(event) == event.id


def test_a_record_that_was_read_is_as_frozen_as_one_that_was_made() -> None:
    made = chained(of_every_kind())[1]
    (found,), _ = audit.decode(COMMIT, audit.encode(made))
    assert found == made
    for each, name in ((found, "h"), (found.event, "run")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(each, name, None)
    assert dataclasses.replace(found.event, run="other").id == found.id
    assert dataclasses.replace(made.event, commit=OTHER).id != made.event.id


@given(st.dictionaries(st.sampled_from(["other", "more", "ä", "\ud800"]), json_values, max_size=3))
def test_reading_what_was_written_gives_the_same_record(extra: dict[str, Any]):
    event = run(COMMIT).hold("1001", name="n", reason="r")
    event = dataclasses.replace(event, data=json.loads(json.dumps({**event.data, **extra})))
    assume(not is_deep(event.data))
    record = audit.chain(event, None, 0)
    line = audit.encode(record)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert audit.decode(COMMIT, line) == ((record,), ())
    assert sound((record,)) == ()


words = st.sampled_from([Action.UPDATE, Result.UPDATED])
odd_values = st.recursive(
    json_values | words | st.tuples(json_values, words),
    lambda inner: (
        st.tuples(inner)
        | st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.dictionaries(st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(odd_values)
def test_an_event_says_at_once_what_will_be_read_back(value: Any):
    """To the type: a tuple is a list by then, a word of ours a text, a number that names something a text, too."""
    intent = run(COMMIT).intent(operation(), digest="d" * 64, generation=0)
    event = run(COMMIT).outcome(intent, Result.UPDATED, audit={"odd": value})
    assert pformat(event.data["odd"]) == pformat(json.loads(json.dumps(value)))


@given(st.binary(max_size=80))
def test_no_bytes_crash_the_reader(data: bytes):
    records, defects = audit.decode(COMMIT, data)
    assert not records
    assert defects


GOOD = audit.encode(chained(of_every_kind())[4])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\n", "not JSON"),
        (b"[]\n", "not a record"),
        (b"{}\n", "v is missing"),
        (b"[" * 5000 + b"\n", "not JSON"),
        (b'{"v":' + b"9" * 5000 + b"}\n", "not JSON"),
        (GOOD.replace(b'"v":1', b'"v":2'), "version 2"),
        (GOOD.replace(b'"v":1', b'"v":true'), "v must be a count"),
        (GOOD.replace(b'"n":4', b'"n":"4"'), "n must be a count"),
        (GOOD.replace(b'"kind":"note"', b'"kind":"edict"'), "edict"),
        (GOOD.replace(b'"text":', b'"txet":'), "text is missing"),
        (GOOD.replace(b'"v":1', b'"v": 1'), "canonical"),
        (GOOD.replace(b'"v":1', b'"v":1,"v":1'), "canonical"),
        (GOOD.replace(b'"v":1', b'"v":1,"w":1e400'), "NUL|canonical|float|JSON"),
        (GOOD.replace(b"looked", b"lo\0ked"), "NUL"),
        (GOOD.replace(b"looked", b"x" * 9000), "bytes"),
        (GOOD[:-1], "cut"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_place(line, problem):
    records, defects = audit.decode(COMMIT, GOOD + line)
    assert len(records) == 1
    assert defects[0].line == 2
    assert re.search(problem, str(defects[0]))
    assert str(defects[0]).startswith("note of cccccccccccc, line 2: ")


def test_an_empty_note_is_a_defect():
    assert audit.decode(COMMIT, b"")[1]


# --- verify -----------------------------------------------------------------------------------------------------------------

histories = st.lists(st.integers(min_value=0, max_value=3), min_size=1, max_size=5)


def two_commits(sizes: list[int]) -> dict[str, tuple[Record, ...]]:
    """Return an honest ledger of one run for each of `sizes`, in turn on two commits."""
    events = []
    for number, size in enumerate(sizes):
        where = (COMMIT, OTHER)[number % 2]
        operations = [operation(str(100 * number + key)) for key in range(size)]
        events += story(run(where, f"run-{number}"), operations)
    records = chained(events)
    return {
        where: tuple(each for each in records if each.event.commit == where)
        for where in (COMMIT, OTHER)
    }


@given(histories)
def test_an_honest_ledger_raises_no_alarm(sizes):
    assert audit.verify(two_commits(sizes), tenant="acme") == ()


def test_a_ledger_of_every_kind_verifies():
    assert sound(chained(of_every_kind())) == ()


@given(histories, st.data())
def test_every_single_edit_is_found_and_the_first_bad_record_named(sizes, data):
    notes = {commit: list(records) for commit, records in two_commits(sizes).items() if records}
    commit = data.draw(st.sampled_from(sorted(notes)))
    index = data.draw(st.integers(0, len(notes[commit]) - 1))
    victim = notes[commit][index]
    kind = data.draw(st.sampled_from(["drop", "repeat", "edit", "move", "swap", "retell"]))
    if kind == "drop":
        last = max(each.seq for records in notes.values() for each in records)
        if victim.seq == last:
            return  # the ledger's end: its history tells, not its records
        del notes[commit][index]
    elif kind == "repeat":
        notes[commit].insert(index, victim)
    elif kind == "edit":
        event = dataclasses.replace(victim.event, ts="2030-01-01T00:00:00.000Z")
        notes[commit][index] = dataclasses.replace(victim, event=event)
    elif kind == "move":
        other = OTHER if commit == COMMIT else COMMIT
        notes.setdefault(other, []).append(notes[commit].pop(index))
    elif kind == "swap":
        if index == 0:
            return
        notes[commit][index - 1 : index + 1] = notes[commit][index - 1 : index + 1][::-1]
    else:
        event = dataclasses.replace(victim.event, data={**victim.data, "actor": "nobody"})
        forged = dataclasses.replace(victim, event=event)
        forged = dataclasses.replace(forged, h=audit.chain(event, None, victim.seq).h)
        notes[commit][index] = forged
    defects = audit.verify(notes, tenant="acme")
    assert defects
    assert defects[0].id in {each.id for records in notes.values() for each in records}
    assert defects[0].line >= 1


def forged(event: Event, like: Record) -> Record:
    """Return a record that a forger who knows the hash would write."""
    bare = dataclasses.replace(like, event=event, id=event.id)
    return dataclasses.replace(bare, h=audit.records.digest_of(bare))


@pytest.mark.parametrize(
    ("index", "change", "problem"),
    [
        (1, {"key": "0" * 52}, "idempotency key does not match its write"),
        (6, {"intent": "0" * 64}, "without an intent"),
        (6, {"op": "0" * 64}, "another operation"),
    ],
)
def test_a_well_hashed_lie_is_found_too(index, change, problem):
    records = list(chained(of_every_kind()))
    event = dataclasses.replace(records[index].event, data={**records[index].data, **change})
    records[index] = forged(event, records[index])
    found = sound(tuple(records))
    assert problem in " ".join(each.problem for each in found)


@pytest.mark.parametrize(
    ("drop", "problem"),
    [(slice(0, 1), "without the opening"), (slice(7, 8), None)],
)
def test_a_run_begins_with_its_opening_and_may_lack_its_end(drop, problem):
    events = of_every_kind()
    del events[drop]
    found = sound(chained(events))
    assert (problem is None and found == ()) or problem in found[0].problem


def test_nothing_follows_the_end_of_a_run():
    events = of_every_kind()
    found = sound(chained([*events, run(COMMIT).note("late")]))
    assert [each.problem for each in found] == ["its run was closed before it"]


def test_a_record_of_another_tenant_is_named():
    records = chained(of_every_kind())
    found = audit.verify({COMMIT: records}, tenant="other")
    assert "belongs to the tenant acme" in found[0].problem


# --- questions ---------------------------------------------------------------------------------------------------------------


def test_an_outcome_may_be_recorded_by_a_run_on_a_later_commit():
    begun, intent, *_ = story(run(COMMIT), [operation()])
    settled = run(OTHER, "settler").outcome(intent, Result.CONFIRMED, audit={})
    records = chained([begun, intent, settled])
    assert audit.open_intents(records) == ()


def test_an_intent_without_an_outcome_is_open():
    begun, intent, other, outcome, *_ = story(run(COMMIT), [operation(), operation("7")])
    records = chained([begun, intent, other, outcome])
    assert [each.id for each in audit.open_intents(records)] == [other.id]


def test_what_was_applied_last_is_the_last_write_that_left_something():
    maker = run(COMMIT)
    begun, *_ = story(maker, [])
    events = [begun]
    for rate, result in ((25.0, Result.UPDATED), (20.0, Result.REFUSED)):
        intent = maker.intent(operation(rate=rate), digest="d" * 64, generation=0)
        events += [intent, maker.outcome(intent, result, audit={})]
    assert audit.applied(chained(events))["1001"].intent.data["body"]["dial_rate"] == 25.0


def test_what_a_stop_ended_is_what_was_applied_before_and_what_it_found():
    maker, stops = run(COMMIT), [run(COMMIT, "stop-1"), run(COMMIT, "stop-2")]
    first = maker.intent(operation(), digest="d" * 64, generation=0)
    events = [first, maker.outcome(first, Result.UPDATED, audit={})]
    for stop, rate in zip(stops, (5, 3), strict=True):
        gone = dataclasses.replace(operation(), action=Action.HALT, desired=None)
        intent = stop.intent(gone, digest="d" * 64, generation=0)
        events += [
            stop.hold("1001", name="a", reason="r", body={"dial_rate": rate}),
            intent,
            stop.outcome(intent, Result.DELETED, audit={}),
        ]
    ended = audit.applied(chained(events))["1001"].stopped
    assert (ended.applied["dial_rate"], ended.found) == (25.0, {"dial_rate": 3})


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,)])
def test_a_stop_that_finishes_another_tells_what_that_one_found(order):
    """In whatever order the outcomes come: that of a stop which died is told by the next apply."""
    maker, stops = run(COMMIT), [run(COMMIT, "stop-1"), run(COMMIT, "stop-2")]
    first = maker.intent(operation(), digest="d" * 64, generation=0)
    events = [first, maker.outcome(first, Result.UPDATED, audit={})]
    gone = dataclasses.replace(operation(), action=Action.HALT, desired=None)
    intents = [stop.intent(gone, digest="d" * 64, generation=0) for stop in stops]
    for stop, intent, body in zip(stops, intents, ({"dial_rate": 5}, None), strict=True):
        events += [stop.hold("1001", name="a", reason="r", body=body), intent]
    events += [stops[at].outcome(intents[at], Result.DELETED, audit={}) for at in order]
    ended = audit.applied(chained(events))["1001"].stopped
    assert (ended.applied["dial_rate"], ended.found) == (25.0, {"dial_rate": 5})


def test_what_a_stop_before_the_last_write_found_is_nothing_that_a_later_stop_ended():
    maker, early, late = run(COMMIT), run(COMMIT, "stop-1"), run(COMMIT, "stop-2")
    gone = dataclasses.replace(operation(), action=Action.HALT, desired=None)
    first, again, last = (
        maker.intent(operation(), digest="d" * 64, generation=0),
        maker.intent(operation(), digest="d" * 64, generation=1),
        late.intent(gone, digest="d" * 64, generation=0),
    )
    events = [
        *(first, maker.outcome(first, Result.UPDATED, audit={})),
        early.hold("1001", name="a", reason="r", body={"dial_rate": 5}),
        *(again, maker.outcome(again, Result.UPDATED, audit={})),
        late.hold("1001", name="a", reason="r"),
        *(last, late.outcome(last, Result.DELETED, audit={})),
    ]
    ended = audit.applied(chained(events))["1001"].stopped
    assert (ended.applied["dial_rate"], ended.found) == (25.0, None)


def test_what_was_found_as_its_manifest_says_counts_as_applied():
    maker = run(COMMIT)
    first = maker.intent(operation(), digest="d" * 64, generation=0)
    found = maker.found(make_desired("1001", body=make_body(dial_rate=7.0)), START)
    last = audit.applied(chained([first, maker.outcome(first, Result.UPDATED, audit={}), found]))
    assert last["1001"].intent.data["body"]["dial_rate"] == 7.0


def test_what_an_import_found_replaces_no_write():
    """Another run may write between the moment that an import reads the platform and the moment that it records."""
    maker = run(COMMIT)
    first = maker.intent(operation(), digest="d" * 64, generation=0)
    wrote = (first, maker.outcome(first, Result.UPDATED, audit={}))
    found = maker.imported("Campaign", "1001", "a", make_body(dial_rate=7.0), START)
    (before, after) = (audit.applied(chained(each)) for each in ([found], [found, *wrote]))
    assert before["1001"].is_imported
    assert before["1001"].base["dial_rate"] == 7.0
    assert not after["1001"].is_imported
    assert audit.applied(chained([*wrote, found]))["1001"].intent.id == first.id


def test_what_imports_found_is_remembered_until_a_later_write_is_known():
    """Any of the imports may have written the manifest that is applied one day. A write that is settled later began earlier."""
    *imports, late = (
        run(COMMIT, f"import-{rate}").imported(
            "Campaign", "1001", "a", make_body(dial_rate=rate), START
        )
        for rate in (1.0, 2.0, 3.0)
    )
    stop, unsure, known = (
        run(COMMIT, f"{verb}-{generation}").intent(
            operation(action=verb), digest="d" * 64, generation=generation
        )
        for generation, verb in enumerate([Action.HALT, Action.UPDATE, Action.UPDATE])
    )
    ends = zip(
        (stop, unsure, known),
        (Result.DELETED, Result.UNKNOWN, Result.UPDATED),
        strict=True,
    )
    ended = [run(COMMIT, each.run).outcome(each, result, audit={}) for each, result in ends]
    events = [*imports, stop, ended[0], unsure, ended[1], known, late, ended[2]]

    def rates(count: int) -> list[float]:
        last = audit.applied(chained(events[:count]))["1001"]
        return [each.data["body"]["dial_rate"] for each in last.every_import]

    assert [rates(count) for count in (2, 4, 6)] == [[1.0, 2.0]] * 3
    assert (rates(8), rates(9)) == ([1.0, 2.0, 3.0], [3.0])


def test_an_import_ends_the_permission_to_create_a_missing_schedule_again():
    found = run(COMMIT).found(make_desired("1001"), START)
    missing = run(COMMIT, "b").missing(chained([found])[0], name="a", reason="r")
    again = run(COMMIT, "c").imported("Campaign", "1001", "a", make_body(), START)
    before, after = (
        audit.applied(chained(each))["1001"] for each in ([found, missing], [found, missing, again])
    )
    assert (before.missing is None, after.missing is None) == (False, True)


def test_a_body_that_fits_no_record_is_not_found():
    many = [{"timezone": f"Z{i}", "start_hour": 9, "end_hour": 20} for i in range(40_000)]
    body = make_body(compliance_windows=many)
    found = run(COMMIT).found(make_desired("1001", body=body), START)
    imported = run(COMMIT).imported("Campaign", "1001", "a", body, START)
    assert audit.applied(chained([found])) == audit.applied(chained([imported])) == {}


def test_a_second_stop_with_an_end_does_not_end_the_first_that_has_none():
    """Whoever stops for an hour what somebody else stopped for good must not make it dial after that hour."""
    first = run(COMMIT, "run-1").hold("1", name="a", reason="for good")
    hour = START + timedelta(hours=1)
    second = run(COMMIT, "run-2").hold("1", name="a", reason="an hour", until=hour)
    for records in (chained([first, second]), chained([second, first])):
        assert audit.holds(records, now=hour)["1"].data["reason"] == "for good"


def test_of_two_stops_with_an_end_the_later_end_counts():
    ends = [START + timedelta(hours=hours) for hours in (2, 1)]
    holds = [
        run(COMMIT, f"r{i}").hold("1", name="a", reason="r", until=end)
        for i, end in enumerate(ends)
    ]
    assert set(audit.holds(chained(holds), now=ends[1])) == {"1"}
    assert set(audit.holds(chained(holds), now=ends[0])) == set()


@given(
    st.lists(
        st.tuples(
            st.sampled_from("12"),
            st.sampled_from(["hold", "release"]),
            st.none() | st.integers(1, 4),
        ),
        max_size=8,
    ),
    st.integers(0, 5),
)
def test_what_counts_is_one_of_what_stands_and_none_of_it_lasts_longer(story, hours):
    """Every stop since the last release stands until it is over by itself, in the order of the records."""
    events, expected = [], {"1": [], "2": []}
    now = START + timedelta(hours=hours)
    for i, (key, what, end) in enumerate(story):
        maker = run(COMMIT, f"r{i}")
        if what == "release":
            events.append(maker.release(key, name="a", reason="go"))
            expected[key] = []
        else:
            until = None if end is None else START + timedelta(hours=end)
            events.append(maker.hold(key, name="a", reason=f"stop {i}", until=until))
            if until is None or until > now:
                expected[key].append((f"stop {i}", end))
    records = chained(events)
    standing = audit.standing(records, now=now)
    told = {key: [each.data["reason"] for each in held] for key, held in standing.items()}
    assert told == {key: [reason for reason, _ in held] for key, held in expected.items() if held}
    counts = audit.holds(records, now=now)
    assert counts.keys() == standing.keys()
    for key, hold in counts.items():
        ends = [math.inf if end is None else end for _, end in expected[key]]
        assert dict(expected[key])[hold.data["reason"]] in {max(ends), None}
        assert (hold.data["until"] is None) == (max(ends) == math.inf)


@pytest.mark.parametrize("text", ["x", "ж", "漢", "😀", "\u202e", "\U000e0001", '"', "\\"])
@pytest.mark.parametrize("windows", [0, 40, 60, 200])
def test_a_hold_fits_into_a_record_whatever_was_said_and_stored(text: str, windows: int):
    """One that does not is none: nothing of that stop would be recorded, and the next apply would dial again."""
    body = {"compliance_windows": [{"timezone": f"America/Zone_{i}"} for i in range(windows)]}
    held = run(COMMIT).hold("1", name=text * 600, reason=text * 600, body=body)
    assert len(audit.encode(audit.chain(held, None, 10**9))) <= LINE_LIMIT
    assert held.data.get("body", body) == body


@pytest.mark.parametrize("length", [64, 3000, 5000, 6000])
def test_an_outcome_fits_whatever_target_somebody_wrote_into_an_intent_of_a_stop(length: int):
    """An apply records what became of every open intent. An outcome that is too long would end every apply (exit 1)."""
    halt = dataclasses.replace(operation("1" * length), action=Action.HALT, desired=None)
    intent = run(COMMIT).intent(halt, digest="d" * 64, generation=0)
    intent = dataclasses.replace(intent, data={**intent.data, "name": "n" * (6500 - length)})
    ended = run(COMMIT, "run-2").outcome(intent, Result.UNKNOWN, audit={}, message="m" * 100)
    record = audit.chain(ended, None, 10**9)
    assert record.data["target"] == "1" * length
    assert record.data.get("campaign_id", "1" * length) == "1" * length


def test_a_reason_in_any_script_is_kept_as_far_as_a_latin_one():
    held = run(COMMIT).hold("1", name="a", reason="ж" * 500)
    assert held.data["reason"] == "ж" * 500


def test_a_hold_stands_until_released_or_over():
    maker = run(COMMIT)
    later = START + timedelta(hours=1)
    held = maker.hold("1", name="a", reason="stop")
    timed = maker.hold("2", name="b", reason="stop", until=later)
    records = chained([held, timed])
    assert set(audit.holds(records, now=START)) == {"1", "2"}
    assert set(audit.holds(records, now=later)) == {"1"}
    released = chained([held, timed, maker.release("1", name="a", reason="go")])
    assert set(audit.holds(released, now=START)) == {"2"}
    assert RecordKind.HOLD is audit.holds(records, now=START)["1"].kind


def test_a_commit_or_a_name_shows_what_was_recorded_about_it():
    records = chained([*of_every_kind(), *story(run(OTHER, "b"), [operation("7")])])
    assert len(audit.about(records, COMMIT)) == 8
    assert audit.about(records, OTHER[:7]) == records[8:]
    assert audit.about(records, "ccc") == ()
    assert [each.kind for each in audit.about(records, "campaign-7")] == ["intent", "outcome"]
    assert [each.kind for each in audit.about(records, "1002")] == ["hold", "release"]
    assert [each.kind for each in audit.about(records, "d" * 40)] == ["note"]


def applied_at(
    maker, rate: float, result: Result, when: str, latency_s: float | None
) -> list[Event]:
    intent = maker.intent(operation(rate=rate), digest="d" * 64, generation=0)
    if latency_s is not None:
        maker.clock.pass_by(latency_s)
    return [intent, maker.outcome(intent, result, audit={}, at=when, latency_s=latency_s)]


def test_what_was_stored_and_what_dialed_at_an_instant_are_told_apart():
    maker = run(COMMIT)
    records = chained(
        [
            story(maker, [])[0],
            *applied_at(maker, 25.0, Result.CREATED, "2027-01-11T10:00:30Z", 30.0),
            *applied_at(maker, 20.0, Result.STORED_NOT_ACTIVE, "2027-01-11T11:00:00Z", None),
            *applied_at(maker, 15.0, Result.FAILED, "2027-01-11T12:00:00Z", None),
        ]
    )

    def rates(text: str) -> tuple[float | None, float | None]:
        state = audit.at(records, datetime.fromisoformat(text), "1001")
        stored, active = state.stored, state.active
        return (
            stored and stored.intent.data["body"]["dial_rate"],
            active and active.intent.data["body"]["dial_rate"],
        )

    assert rates("2027-01-11T09:59:59Z") == (None, None)
    assert rates("2027-01-11T10:00:10Z") == (25.0, None)
    assert rates("2027-01-11T10:00:30Z") == (25.0, 25.0)
    assert rates("2027-01-11T13:00:00+01:00") == (20.0, 25.0)
    assert audit.at(records, START, "9") == audit.State(None, None)


def test_our_clock_counts_where_the_platform_gave_no_instant():
    record = chained([run(COMMIT).note("x")])[0]
    assert audit.queries.moment(record) == START


def test_exported_entries_are_the_outcomes_of_the_time_asked_for_with_every_column():
    records = chained(story(run(COMMIT), [operation()]))
    (entry,) = audit.entries(records, since=START, until=START + timedelta(seconds=1))
    assert tuple(entry) == audit.COLUMNS
    assert (entry["dial_rate"], entry["max_concurrent"], entry["commit"]) == (25.0, 500, COMMIT)
    assert audit.entries(records, until=START) == []
    assert audit.entries(records, since=START + timedelta(seconds=1)) == []


def test_two_stops_of_the_same_object_are_two_events_and_two_applies_of_one_operation_are_one():
    """Clones that are out of reach stop what they must: none of their records may pass for the other's."""
    stop, change = operation(action=Action.HALT), operation()
    first, second = run(COMMIT, "run-1"), run(COMMIT, "run-2")
    ids = [each.intent(stop, digest="d" * 64, generation=0).id for each in (first, second)]
    assert len(set(ids)) == 2
    ids = [each.intent(change, digest="d" * 64, generation=0).id for each in (first, second)]
    assert len(set(ids)) == 1
