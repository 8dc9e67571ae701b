"""The strict subset of YAML: what it reads, what it refuses, and that ruamel's own loader agrees."""

from __future__ import annotations

import gc
import json
import sys
from collections import Counter
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.cyaml import CParser
from ruamel.yaml.error import YAMLError

from reconciler.errors import ManifestError
from reconciler.manifests.characters import MAX_BYTES, MAX_PROBLEMS
from reconciler.manifests.reader import MAX_DEPTH, MAX_NODES, read

CORPUS = Path(__file__).parent.parent / "corpus"
REFUSED = sorted((CORPUS / "refused").glob("*.yaml"))
ACCEPTED = sorted((CORPUS / "accepted").glob("*.yaml"))


class _DatesAreText(RoundTripConstructor):
    """The core schema of YAML 1.2 has no dates and no `=`; ruamel reads them all the same."""


for _tag in ("timestamp", "value"):
    _DatesAreText.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda _, node: node.value)


def by_ruamel(text: str) -> list[Any]:
    """Return what ruamel's round-trip loader, in pure Python, makes of a text."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _DatesAreText
    return [_plain(value) for value in yaml.load_all(text) if value is not None]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    kinds = (int, float, str)
    return next(
        (kind(value) for kind in kinds if isinstance(value, kind) and type(value) is not bool),
        value,
    )


def ours(text: str | bytes) -> list[Any]:
    data = text.encode() if isinstance(text, str) else text
    return [document.value for document in read(data, "f.yaml")]


def complaints(text: str | bytes) -> list[str]:
    with pytest.raises(ManifestError) as raised:
        ours(text)
    return [str(problem) for problem in raised.value.problems]


# What it refuses


def test_the_corpus_of_hostile_files_is_refused_with_exactly_these_words() -> None:
    said = []
    for file in REFUSED:
        with pytest.raises(ManifestError) as raised:
            read(file.read_bytes(), file.name)
        said += [str(problem) for problem in raised.value.problems]
    golden = (CORPUS / "refused.txt").read_text(encoding="utf-8")
    assert "\n".join(said) + "\n" == golden


@pytest.mark.parametrize("file", REFUSED, ids=lambda file: file.stem)
def test_a_hostile_file_is_refused_after_few_calls(file: Path) -> None:
    data, calls = file.read_bytes(), Counter[str]()
    sys.setprofile(lambda _, event, __: calls.update([event]))
    try:
        with pytest.raises(ManifestError):
            read(data, file.name)
    finally:
        sys.setprofile(None)
    assert calls.total() < 4000


def test_a_file_may_hold_256_kib_and_not_a_byte_more() -> None:
    line = b"# " + b"x" * 77 + b"\n"
    data = b"a: b\n" + line * (MAX_BYTES // len(line))
    data += b"#" * (MAX_BYTES - len(data))
    assert ours(data) == [{"a": "b"}]
    assert complaints(data + b"#") == [
        "f.yaml: is larger than 256 KiB: split it into several files"
    ]


def test_a_file_may_hold_50000_values_and_not_one_more() -> None:
    values = MAX_NODES - 3  # the mapping, its key and the list are three
    assert ours(f"a: [{'1,' * values}]") == [{"a": [1] * values}]
    (said,) = complaints(f"a: [{'1,' * (values + 1)}]")
    assert said.endswith("holds more than 50000 values: split it into several files")


def test_a_value_may_be_nested_twenty_deep_and_not_one_more() -> None:
    def nested(depth: int) -> str:
        return "a: " + "[" * (depth - 1) + "]" * (depth - 1)

    assert ours(nested(MAX_DEPTH))
    assert complaints(nested(MAX_DEPTH + 1)) == ["f.yaml:1:23: is nested more than 20 deep"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_merge_conflict_is_named_where_it_begins(end: str) -> None:
    lines = ("a: 1", "<<<<<<< HEAD", "b: 2", "=======", "b: 3", ">>>>>>> other", "")
    (said,) = complaints(end.join(lines))
    assert said.startswith("f.yaml:2:1: a merge conflict begins here")


def test_every_problem_of_a_file_is_told_in_one_run() -> None:
    assert complaints("a: &x 010\na: *x\n1: !!str b\n") == [
        'f.yaml:1:4: 010 is a number that tools read differently: write it as a plain decimal, or as text in quotes, "010"',
        "f.yaml:1:4: sets an anchor (&x): write values out, or use a profile",
        "f.yaml:2:1: the key 'a' is duplicated in this mapping: remove one",
        "f.yaml:2:4: uses an alias (*x): write the value out, or use a profile",
        "f.yaml:3:1: a key must be text: put it in quotes",
        "f.yaml:3:4: sets a tag (tag:yaml.org,2002:str): remove it",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "".join(map(chr, range(0xE0020, 0xE0080))) * 600,
        "a: [" + "*x," * 80_000 + "]",
        "a: 1\n" * 50_000,
    ],
)
def test_a_file_full_of_problems_is_given_up_early(text: str) -> None:
    assert len(complaints(text)) == MAX_PROBLEMS


@given(st.binary(max_size=200))
def test_whatever_the_bytes_only_our_own_error_comes_out(data: bytes) -> None:
    with suppress(ManifestError):
        read(data, "f.yaml", keep_places=True)


# What it reads


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.stem)
def test_ruamel_reads_the_accepted_corpus_alike(file: Path) -> None:
    data = file.read_bytes()
    assert _typed(ours(data)) == _typed(by_ruamel(data.decode()))


def test_text_that_yaml_1_1_takes_for_something_else_stays_text() -> None:
    (document,) = ours((CORPUS / "accepted/text-that-yaml-1.1-reads-otherwise.yaml").read_bytes())
    assert all(type(value) is str for value in document.values())


_PIECES = "a|b: |c:\n  |- |\n|  |{|}|[|]|, |: |'|\"|#| #|>\n|? |?|---\n|...\n|1|0|1.5|~|true|no|x y|:|@|2027-01-01|-|é"


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(_PIECES.split("|")), max_size=14).map(
        lambda pieces: "a: " + "".join(pieces)
    )
)
def test_what_we_read_ruamel_reads_alike_and_what_it_refuses_we_refuse(text: str) -> None:
    # YAML 1.2 (9.2) lets a document end more than once. libyaml and we agree; ruamel's own parser does not.
    assume("...\n...\n" not in text)
    try:
        expected = by_ruamel(text)
    except YAMLError:
        complaints(text)
        return
    except NotImplementedError:  # ruamel cannot place some comments
        return
    try:
        found = ours(text)
    except ManifestError:
        return
    assert _typed(found) == _typed(expected)


_WORDS = [
    "no",
    "yes",
    "~",
    "null",
    "true",
    "010",
    "1_000",
    "10:30",
    "2027-01-11",
    "1e3",
    ".inf",
    "",
    "-",
    "a: b",
    "#",
]
_TEXT = st.sampled_from(_WORDS) | st.text("abz19 .,_'\"()/-éß", max_size=20)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15).map(
        lambda f: round(f, 3)
    )
    | _TEXT
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=15,
)
_DOCUMENTS = st.lists(
    st.dictionaries(_TEXT, _VALUES, min_size=1, max_size=4), min_size=1, max_size=3
)


@settings(max_examples=60)
@given(_DOCUMENTS, st.booleans())
def test_what_was_written_we_read_as_it_was_and_so_does_ruamel(documents, flow) -> None:
    text = _written(documents, flow=flow)
    assert _typed(ours(text)) == _typed(documents) == _typed(by_ruamel(text))


@settings(max_examples=40)
@given(_DOCUMENTS, st.booleans())
def test_keeping_places_changes_no_value_and_places_all(documents, flow) -> None:
    data = _written(documents, flow=flow).encode()
    kept = read(data, "f.yaml", keep_places=True)
    assert _typed([document.value for document in kept]) == _typed(documents)
    assert [set(document.spots) for document in kept] == [set(_paths(value)) for value in documents]


def test_every_value_and_key_knows_its_line_and_column() -> None:
    text = "é: 1\nb:\n  - {c: 'd', e: [f]}\n"
    (document,) = read(text.encode(), "f.yaml", keep_places=True)
    marks = {path: (spot.mark(of_key=True), spot.mark()) for path, spot in document.spots.items()}
    assert marks == {
        ("é",): ((1, 1), (1, 4)),
        ("b",): ((2, 1), (3, 3)),
        ("b", 0): ((3, 5), (3, 5)),
        ("b", 0, "c"): ((3, 6), (3, 9)),
        ("b", 0, "e"): ((3, 14), (3, 17)),
        ("b", 0, "e", 0): ((3, 18), (3, 18)),
    }
    assert text[document.spots["b", 0, "c"].text] == "'d'"


def _written(documents: list[Any], *, flow: bool) -> str:
    """Return documents as JSON, which is YAML in flow style, or in ruamel's block style."""
    if flow:
        return "".join(f"---\n{json.dumps(document)}\n" for document in documents)
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = False
    out = StringIO()
    yaml.dump_all(documents, out)
    return out.getvalue()


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path for key, item in items for path in ((*here, key), *_paths(item, (*here, key)))]


def _typed(value: Any) -> Any:
    """Return a value in which 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value).__name__, value


def test_reading_a_file_leaves_nothing_to_the_cyclic_collector():
    """The command line lets it run seldom, so each loader that it has to free costs memory until the end."""
    gc.collect()
    gc.disable()
    try:
        read(b"a: 1\n", "f.yaml")
        assert not [each for each in gc.get_objects() if isinstance(each, CParser)]
    finally:
        gc.enable()
