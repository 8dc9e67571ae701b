"""Reading by shape: whatever the file, it gives what the parser gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.errors import ManifestError
from reconciler.manifests import shapes
from reconciler.manifests.reader import _documents_of, read


def outcome(text: str, *, parsed: bool) -> object:
    """Return what a file holds, with the types and the order of all keys, or what is wrong with it.

    Args:
        text: the file.
        parsed: with places, which a shape has not, so that the file is parsed.
    """
    try:
        found = read(text.encode(), "f.yaml", keep_places=parsed)
    except ManifestError as error:
        return [str(each) for each in error.problems]
    return [(each.mark, repr(each.value)) for each in found]


@contextmanager
def patterns() -> Iterator[None]:
    """Match the files of each shape as a whole, from the second one on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "_frequent", shapes.Frequent(many=1))
        yield


def agree(*texts: str) -> None:
    with patterns():
        for text in (*texts, *texts):
            assert outcome(text, parsed=False) == outcome(text, parsed=True)


VALUES = st.one_of(
    st.from_regex(r'[A-Za-z0-9][A-Za-z0-9_./+ -]{0,6}|"[ -~]{0,5}"', fullmatch=True),
    st.sampled_from(["a", "1", "0x1", "010", "-", "~", "", "null", '"', '"a', "'a'", "a: b", "- a", "[a]", "{a: b}", "#a", "zvalue0z", "| ", "&a b", "*a", "!a b", '"a" b', "é", "\0", "a\nb", "a\n  b", "a,b", "---", "..."]),
)  # fmt: skip
PIECES = st.sampled_from(
    ["k: ", "\nk: ", "\n  k: ", "\n    k: ", "\n  - ", "\n- ", "\n", "\n\n", "\r\n", "[", "]", "{", "}", ", ", ",", ", k: ", ": ", ":", " #", "# k: ", "\n#k: ", "'", '"', "k: >\n  ", "k: |\n  ", "\n---\n", "\n...\n", "? ", " ", "  "]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(PIECES | VALUES, max_size=14).map("".join).map("k: ".__add__))
@example("k: a\n# note: b\n")
@example("k: |\n  a: b\n")
@example("k: a\n  b: c\n")
@example("k: a, b\n")
@example("k: a  \n")
@example('k: "a" \n')
@example("{a: b}: c\n")
@example("[a: b, c]\n")
@example("k: {a, b: c, d}\n")
@example("k: {a: b c: d}\n")
@example("k: a # b: c\n")
@example("k: 'a: b\n\n  c: d'\n")
@example("k: 010\nl: 10:30\n")
@example("k: a\nk: a\n")
@example("- a\n- b\n")
def test_a_file_is_what_the_parser_makes_of_it(text: str) -> None:
    agree(text)


BLOCKS = """\
# a comment: with a value
apiVersion: @
kind: @
metadata: {name: @, labels: [@, @, {deep: @}]}
spec:
  times:
    - @
    - start: @   # and one behind it
      end: @
  text: >
    folded: @
  end: @
"""


@settings(max_examples=60)
@given(st.lists(st.lists(VALUES, min_size=11, max_size=11), min_size=2, max_size=3))
def test_files_of_one_shape_keep_their_own_values(files: list[list[str]]) -> None:
    rests = map(iter, files)
    agree(*(re.sub("@", lambda _, rest=rest: next(rest), BLOCKS) for rest in rests))


def test_one_shape_is_parsed_once() -> None:
    _documents_of.cache_clear()
    for number in range(5):
        text = f'k: v{number}\nl: [{number}, "{number}"]\nm: {number}.5\n'
        assert repr(read(text.encode(), "f.yaml")[0].value) == repr(
            {"k": f"v{number}", "l": [number, f"{number}"], "m": number + 0.5}
        )
    assert _documents_of.cache_info().misses == 1


@pytest.mark.parametrize(
    ("file", "is_alike"),
    [
        ('k: x y # a: d\nl: ["w, x", ""]\n', True),
        ('k: x  # a: b\nl: ["w", ""]\n', False),
        ('k: v # a: b\nl: [w, ""]\n', False),
        ('k: v # a: b\nl: ["\\n", ""]\n', False),
        ('k: v # a: b\nl: ["w", ""]\nm: n\n', False),
        ('j: v # a: b\nl: ["w", ""]\n', False),
    ],
)
def test_files_of_a_frequent_shape_are_matched_as_a_whole(file: str, is_alike: bool) -> None:  # noqa: FBT001 - a table
    with patterns():
        shape, _ = shapes.split('k: v # a: b\nl: ["w", ""]\n')
        found, values = shapes.split(file)
    assert (found is shape) == is_alike
    assert not is_alike or [*values] == ["x y", "d", '"w, x"', '""']


def test_few_shapes_become_patterns() -> None:
    frequent = shapes.Frequent(many=2)
    for name in "abacadaeaf" * 2:
        frequent.meet(f"{name}: \0")
    assert [shape[0] for shape, _ in frequent.matches] == ["a", "b", "c", "d"]


def test_the_shape_of_a_long_file_is_not_kept() -> None:
    _documents_of.cache_clear()
    for size, kept in ((4096, 1), (4097, 1)):
        data = b"k: a\n".ljust(size, b"#")
        assert read(data, "f.yaml")[0].value == {"k": "a"}
        assert _documents_of.cache_info().currsize == kept


def test_what_was_read_is_shared_with_nobody() -> None:
    first, second = (read(b"k: {l: [a]}\n", "f.yaml")[0].value for _ in range(2))
    first["k"]["l"].append("b")
    assert second == {"k": {"l": ["a"]}}


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ("zvalue0z", 7),
        ({"k": ["zvalue0z", True]}, {"k": [7, True]}),
    ],
)
def test_a_placeholder_is_a_slot(node: Any, value: Any) -> None:
    assert shapes.filled(shapes.slotted(node), [7]) == value


@pytest.mark.parametrize("node", ["a zvalue0z", {"zvalue0z": 1}, ["zvalue0z z"], {"a zvalue1z": 1}])
def test_a_part_of_a_value_and_a_key_are_none(node: Any) -> None:
    with pytest.raises(shapes.NoWholeValue):
        shapes.slotted(node)
