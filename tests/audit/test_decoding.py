"""Law of decoding: whatever a line holds, the fast way and the documented one give the same records, defects and checks."""

from __future__ import annotations

import hashlib
import itertools
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Checker, Event, Record, RecordKind, decoding, lines
from reconciler.plan import Action, canonical_json
from tests.support.gitfakes import operation, run, story

COMMIT = "c" * 40

NUMBERS = ["1e16", "1e+16", "1e-5", "1e-05", "0.00001", "5e-05", "0.0001", "-0.0", "-0", "1E2"]
NUMBERS += ["1.50", "1.0", "1", "01", "9" * 25, "18446744073709551616", "-9223372036854775809"]
NUMBERS += ["1e400", "NaN", "Infinity", "100000000000000000000.0", " 1", "9007199254740993"]
TEXTS = ['"\x7f"', '"\\u007f"', '"\0"', '"\\u0000"', '"\\ud800"', '"\\u00e9"', '"é"', '"\\/"', '""']
NESTED = ["[]", "{}", "[1]", '{"a":1,"a":1}', '{"b":1,"a":1}', '{"a":{"h":"x"}}', '[{"x":1e16}]']
NESTED += ["[" * levels + "]" * levels for levels in (18, 19, 20, 400)]
ODD = [*NUMBERS, *TEXTS, *NESTED, "true", "null", "tru", ""]
"""JSON texts that two readers may read differently, that one form excludes, or that are none."""

PARTS = [bytes([each]) for each in b' "0e.+-,:{}[]\\\x7f\0\xe9\n']
PARTS += [b'"h":"', b'"seq":1,', b"\\u0041"]

FIELDS = ("name", "seq", "latency_s", "body", "extra")

WRONG = ["true", "false", "-1", "9007199254740992", "1.0", "7", "{}", "[[]]", f'"{"A" * 64}"']
WRONG += [f'"{"a" * each}"' for each in (63, 64, 65, 9000)] + [f'"{"a" * 62} a"', '"2027-02-30"']
"""JSON texts that fit some fields and not others."""


def chained(events: list[Event]) -> list[Record]:
    last, found = None, []
    for event in events:
        last = audit.chain(event, last, len(found))
        found.append(last)
    return found


def of_odd_bodies() -> list[Event]:
    """Return writes whose hashes are right, although orjson would write their bodies differently."""
    maker = run(COMMIT, tenant="acme")
    return story(maker, [operation("1", rate=1e-5), operation("2", rate=1e16), operation("é")])


MAKER = run(COMMIT, tenant="acme")
EVENTS = [
    *story(MAKER, [operation("1"), operation("2", action=Action.RETIRE)])[:-1],
    MAKER.hold("1", name="ж", reason="stop", body={"dial_rate": 1e16, "x": [0.00001]}),
    MAKER.release("1", name="a", reason="go"),
    MAKER.note("a"),
]
RECORDS = chained(EVENTS)
BLOBS = [b"".join(map(audit.encode, each)) for each in (RECORDS, chained(of_odd_bodies()))]

PLAIN = [each for each in EVENTS if each.kind is not RecordKind.HOLD]
PLAIN += [MAKER.hold("2", name='a"b\\c', reason="stop", body={"dial_rate": 2.5, "x": [{"y": 1}]})]
TOGETHER = b"".join(map(audit.encode, chained(PLAIN)))
"""A note whose lines can be decoded together."""


def read(blob: bytes) -> str:
    """Return everything that is known of a note after decoding and checking it, with types."""
    checker, told = Checker("acme"), []
    for number, raw, found in audit.lines_of(COMMIT, blob):
        told.append((number, raw, found))
        if isinstance(found, Record):
            assert audit.encode(found) == raw + b"\n"
            told.append((checker.check(found, COMMIT, raw), checker.check(found, COMMIT)))
    return repr(told)


def slowly(blob: bytes) -> str:
    """Return what `read` returns if `json` alone reads and writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "parse", lambda line, **_: (lines._parse_slowly(line), False))
        patch.setattr(lines, "_is_plain", lambda _: False)
        return read(blob)


def one_by_one(blob: bytes) -> str:
    """Return what `read` returns if each line is decoded by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_decode_together", lambda *_, **__: None)
        return read(blob)


def with_field(line: bytes, name: str, text: str, *, hashed: bool) -> bytes:
    """Return a line in which a field has a value, given as JSON; `hashed`: with the hash of what the line then holds."""
    fields = {each: canonical_json(value) for each, value in json.loads(line).items()}
    fields[name] = text
    without = {each: value for each, value in fields.items() if each != "h" or not hashed}
    body = _joined(without).encode("utf-8", "surrogatepass")
    if not hashed:
        return body
    return _joined({**without, "h": f'"{hashlib.sha256(body).hexdigest()}"'}).encode()


def _joined(fields: dict[str, str]) -> str:
    return f"{{{','.join(f'{json.dumps(each)}:{fields[each]}' for each in sorted(fields))}}}"


@st.composite
def blobs(draw: st.DrawFn) -> bytes:
    """Notes of real records, of which one has an odd value, or some bytes are others."""
    found = draw(st.sampled_from(BLOBS)).splitlines()
    at = draw(st.integers(0, len(found) - 1))
    if draw(st.booleans()):
        names = sorted({*json.loads(found[at]), "extra", "é"})
        text = draw(st.sampled_from(ODD))
        if draw(st.booleans()):
            text = f'{{"a":[{text}],"b":{text}}}'
        name = draw(st.sampled_from(names))
        found[at] = with_field(found[at], name, text, hashed=draw(st.booleans()))
    line = bytearray(found[at])
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(line)))
        line[place : place + draw(st.integers(0, 2))] = draw(st.sampled_from(PARTS))
    found[at] = bytes(line)
    return b"\n".join([*found, b""])


@settings(max_examples=150)
@given(blobs() | st.binary(max_size=40))
def test_the_fast_way_decodes_and_checks_as_the_documented_one(blob: bytes) -> None:
    assert read(blob) == slowly(blob)


@settings(max_examples=150)
@given(st.data(), st.sampled_from([TOGETHER, *BLOBS]), st.sampled_from([1, 2000, 32 * 1024]))
def test_lines_that_are_decoded_together_are_decoded_like_each_alone(
    data: st.DataObject, blob: bytes, size: int
) -> None:
    found = blob.splitlines()
    for at in data.draw(st.lists(st.integers(0, len(found) - 1), max_size=3, unique=True)):
        name = data.draw(st.sampled_from([*json.loads(found[at]), "extra"]))
        text = data.draw(st.sampled_from([*ODD, *WRONG]))
        hashed = data.draw(st.booleans())
        found[at] = with_field(found[at], name, text, hashed=hashed)
    blob = b"\n".join([*found, data.draw(st.sampled_from([b"", b"{", b"\n"]))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BATCH", size)
        assert read(blob) == one_by_one(blob)


@pytest.mark.parametrize("text", [*ODD, *WRONG])
def test_a_wrong_value_among_others_is_told_as_if_its_line_stood_alone(text: str) -> None:
    every = TOGETHER.splitlines()
    for at, name in itertools.product(
        range(len(every)), ("v", "n", "id", "kind", "target", "run", "ts")
    ):
        bad = with_field(every[at], name, text, hashed=False)
        blob = b"\n".join([*every[:at], bad, *every[at + 1 :], b""])
        assert read(blob) == one_by_one(blob), bad


def test_lines_of_a_sound_note_and_of_a_state_are_decoded_together(monkeypatch) -> None:
    def alone(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(decoding, "_decode_line", alone)
    monkeypatch.setattr(decoding, "_decode_state_line", alone)
    blob = TOGETHER * (2 + 2 * decoding._BATCH // len(TOGETHER))
    records, defects = audit.decode(COMMIT, blob)
    assert (b"".join(map(audit.encode, records)), defects) == (blob, ())
    state = audit.state_of(audit.decode(COMMIT, TOGETHER)[0])
    assert b"".join(map(audit.encode, audit.decode_state(state))) == state


@settings(max_examples=100)
@given(st.data())
def test_lines_of_a_state_are_decoded_together_like_each_alone(data: st.DataObject) -> None:
    found = audit.state_of(chained(PLAIN)).splitlines()
    assert any(b'"kind":"write"' in line for line in found)
    for at in data.draw(st.lists(st.integers(0, len(found) - 1), max_size=2, unique=True)):
        name = data.draw(st.sampled_from([*json.loads(found[at]), "extra"]))
        text = data.draw(st.sampled_from([*ODD, *WRONG]))
        found[at] = with_field(found[at], name, text, hashed=False)
    state = b"".join(line + b"\n" for line in found)

    def decoded() -> str:
        try:
            return repr(audit.decode_state(state))
        except ValueError as error:
            return str(error)

    together = decoded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_decode_together", lambda *_, **__: None)
        assert together == decoded()


@pytest.mark.parametrize("text", ODD)
def test_an_odd_value_is_decoded_and_checked_alike(text: str) -> None:
    lines_of_kinds = BLOBS[0].splitlines()
    for line, name, hashed in itertools.product(lines_of_kinds, FIELDS, (True, False)):
        blob = with_field(line, name, text, hashed=hashed) + b"\n"
        assert read(blob) == slowly(blob), blob


def test_writes_with_odd_bodies_are_sound() -> None:
    for blob in BLOBS:
        records, defects = audit.decode(COMMIT, blob)
        assert (defects, audit.verify({COMMIT: records}, tenant="acme")) == ((), ())


@pytest.mark.parametrize("made", [RECORDS, chained(of_odd_bodies())])
def test_a_write_of_a_state_is_encoded_alike(made: list[Record]) -> None:
    read_again = audit.decode(COMMIT, b"".join(map(audit.encode, made)))[0]
    for outcome in (each for each in made if each.kind is RecordKind.OUTCOME):
        intent = next(each for each in made if each.id == outcome.data["intent"])
        due = audit.encode(audit.write_of(intent, outcome))
        write = audit.write_of(read_again[intent.seq], read_again[outcome.seq])
        assert audit.encode(write) == due
        assert write.is_plain == (made is RECORDS)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400", '{"a":[NaN]}'])
@pytest.mark.parametrize("field", ["extra", "latency_s", "body"])
def test_a_number_that_json_does_not_have_is_told_with_its_record_and_field(field: str, text: str):
    """Python reads it, and cannot write it again: its own words ("not JSON compliant") name no record and no field."""
    kind = {"latency_s": RecordKind.OUTCOME, "body": RecordKind.HOLD}.get(field, RecordKind.NOTE)
    record = next(each for each in RECORDS if each.kind is kind)
    fields = {**record.fields(), field: "PLACE"}
    line = canonical_json(fields).replace('"PLACE"', text).encode()
    told = (
        f"the record's {field} (holds NaN or Infinity: JSON has no such number|must be .*, not .+)"
    )
    (defect,) = audit.decode(COMMIT, line + b"\n")[1]
    assert defect.id == record.id
    assert re.fullmatch(told, defect.problem)
    with pytest.raises(ValueError, match=told):
        audit.decode_state(line + b"\n")
