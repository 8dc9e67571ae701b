"""JSON: the data and nothing else, the same bytes for the same value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from reconciler.renderers import json as renderer
from reconciler.report import Report, Tone
from tests.renderers.reports import JSON_VALUES


def of(data: object) -> Report:
    return Report("t", "v", Tone.PLAIN, 0, data=data)


@settings(max_examples=60)
@given(JSON_VALUES)
def test_what_is_written_is_what_is_read(data: object) -> None:
    output = renderer.render(of(data))
    assert json.loads(output) == data
    assert output.isascii()


def test_keys_are_sorted_so_that_their_order_does_not_matter() -> None:
    assert renderer.render(of({"b": 1, "a": 2})) == '{\n  "a": 2,\n  "b": 1\n}\n'
    assert renderer.render(of({"b": 1, "a": 2})) == renderer.render(of({"a": 2, "b": 1}))


def test_a_number_that_json_has_not_is_a_bug_and_never_output() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        renderer.render(of({"rate": float("nan")}))
