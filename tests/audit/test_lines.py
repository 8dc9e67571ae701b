"""Laws of the fast canonical form: it is `canonical_json`, and a line is read as `json` reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.audit import lines
from reconciler.audit.schema import is_deep
from reconciler.plan import canonical_json

FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 1e-4, 9.999e-5, 1e16, 1e15, -1e16, 5e-324, 25.0, 0.1, 123456789012345.6]
)
INTS = st.integers() | st.sampled_from([2**53, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30])
ATOMS = st.none() | st.booleans() | INTS | FLOATS | st.text(st.characters())
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


def parsed(line: bytes) -> tuple[Any, bool]:
    """Return the object of a line, and whether it is known that the line is in canonical form and does not nest too deeply."""
    found, is_known = lines.parse(line)
    return found, is_known and lines.are_plain(found.values())


def same(one: Any, other: Any) -> bool:
    """Return whether two values have the same types, too: `1`, `1.0` and `True` are equal."""
    return repr(one) == repr(other)


@given(VALUES)
@example("\x7f")
@example("\ud800")
@example({"a": 1e16, "b": [1e-5]})
def test_the_form_is_the_documented_one(value):
    assert lines.encode(value) == canonical_json(value).encode("ascii")


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": {1, 2}}, {1j: 2}])
def test_what_the_documented_form_refuses_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        lines.encode(value)


@settings(max_examples=40)
@given(st.dictionaries(st.text(st.characters()), VALUES))
def test_a_canonical_line_is_read_as_json_reads_it(fields):
    line = canonical_json(fields).encode()
    found, is_known = parsed(line)
    assert same(found, json.loads(line))
    assert not (is_known and is_deep(found))


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=3), VALUES, min_size=1), st.data())
def test_a_line_that_is_known_as_canonical_is(fields, data):
    line = bytearray(canonical_json(fields).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line) - 1))
        new = data.draw(st.sampled_from([*b' "0123456789.eE+-,:{}[]\\u\x7f', 0xE9]))
        line[at : at + data.draw(st.integers(0, 1))] = bytes([new])
    try:
        found, is_known = parsed(bytes(line))
    except ValueError:
        return
    assert same(found, json.loads(bytes(line)))
    assert not is_known or canonical_json(found).encode() == line


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.50}',
        b'{"a":1e16}',
        b'{"a":0.00005}',
        b'{"a":1E2}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\/"}',
        b'{"a":"\x7f"}',
        b'{"a":{"c":1,"b":2}}',
        b'{"a":100000000000000000000.0}',
    ],
)
def test_two_ways_to_write_one_record_are_never_both_canonical(line):
    found, is_known = parsed(line)
    assert not is_known
    assert lines.encode(found) != line


@pytest.mark.parametrize("line", [b"", b"[]", b'"a"', b"{", b"{} ", '{"a":"é"}'.encode(), b"\xff"])
def test_what_is_no_object_in_ascii_is_refused(line):
    with pytest.raises(ValueError, match="the line is not"):
        lines.parse(line)


def test_deep_nesting_is_left_to_the_caller():
    line = b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"
    with pytest.raises(ValueError, match="the line is not JSON"):
        lines.parse(line)
    found, is_known = parsed(b'{"a":' + b"[" * 19 + b"1" + b"]" * 19 + b"}")
    assert is_deep(found)
    assert not is_known
