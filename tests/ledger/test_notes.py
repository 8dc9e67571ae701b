"""Trees of notes: whatever their fan-out, read with limits and never trusted. No git: a store of tree objects in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import LedgerError
from reconciler.git import FILE, TREE, Entry
from reconciler.git.values import Stat
from reconciler.ledger import notes
from reconciler.ledger.notes import Note, Notes

LINK = "120000"


@dataclass
class Trees:
    """Tree objects, as git keeps them; `types` and `sizes` are of what is no tree of its own."""

    objects: dict[str, bytes] = field(default_factory=dict)
    stats: dict[str, Stat] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    @property
    def empty_tree(self) -> str:
        return self.make_tree({})

    def make_tree(self, entries: Mapping[str, Entry]) -> str:
        raw = b"".join(
            f"{mode} {name}\0".encode() + bytes.fromhex(value)
            for name, (mode, value) in sorted(entries.items())
        )
        return self.put(raw)

    def put(self, raw: bytes) -> str:
        name = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        self.objects[name] = raw
        return name

    def stat(self, *ids: str) -> dict[str, Stat]:
        return {each: self.stats.get(each) or Stat("tree", len(self.objects[each])) for each in ids}

    def read(self, *ids: str) -> dict[str, bytes]:
        self.reads += ids
        return {each: self.objects[each] for each in ids}

    def entries(self, tree: str) -> dict[str, Entry]:
        return dict(notes.parse_tree(self.objects[tree], 20))

    def tree_changes(self, pairs: Sequence[tuple[str, str]]):
        made = []
        for pair in pairs:
            old, new = map(self.entries, pair)
            names = sorted(old.keys() | new.keys())
            made.append([(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)])
        return made


def commit(number: int) -> str:
    return f"{number:02x}" * 20


def blob(number: int) -> str:
    return f"{number:040x}"


def planted(trees: Trees, found: Mapping[str, int], depth: int) -> str:
    """Return a tree of notes in folders of `depth` levels."""
    if depth == 0:
        return trees.make_tree({name: (FILE, blob(at)) for name, at in found.items()})
    below: dict[str, dict[str, int]] = {}
    for name, at in found.items():
        below.setdefault(name[:2], {})[name[2:]] = at
    return trees.make_tree(
        {head: (TREE, planted(trees, rest, depth - 1)) for head, rest in below.items()}
    )


SOME = st.dictionaries(st.integers(0, 255).map(commit), st.integers(1, 9), max_size=6)


@settings(max_examples=30)
@given(SOME, st.integers(0, 2))
def test_notes_are_found_at_every_fan_out(found: dict[str, int], depth: int) -> None:
    trees = Trees()
    read = Notes(trees).find(planted(trees, found, depth))
    assert {name: note.blob for name, note in read.items()} == {
        name: blob(at) for name, at in found.items()
    }
    assert {note.path.count("/") for note in read.values()} <= {depth}


@settings(max_examples=30)
@given(SOME, SOME, st.integers(0, 2))
def test_what_is_put_stands_where_it_stood_and_the_rest_stays(
    found: dict[str, int], more: dict[str, int], depth: int
) -> None:
    trees = Trees()
    tree = planted(trees, found, depth)
    store = Notes(trees)
    if not more:
        assert store.put(tree, {}) == tree
        return
    put = store.put(tree, {name: blob(at) for name, at in more.items()})
    before, after = Notes(trees).find(tree), Notes(trees).find(put)
    assert {name: note.blob for name, note in after.items()} == {
        name: blob(at) for name, at in (found | more).items()
    }
    for name in found:
        assert after[name].path == before[name].path
    for name in more.keys() - found.keys():
        assert after[name].path == f"{name[:2]}/{name[2:]}"


@settings(max_examples=30)
@given(st.lists(st.tuples(SOME, st.integers(0, 2)), max_size=4))
def test_changes_tell_each_note_that_differs_from_the_tree_before(
    versions: list[tuple[dict[str, int], int]],
) -> None:
    """A note that only moved to another folder has not changed: then old and new are one blob."""
    trees = Trees()
    history = Notes(trees).changes([planted(trees, *each) for each in versions])
    before: dict[str, int] = {}
    for (now, _), changes in zip(versions, history, strict=True):
        told = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
        assert told == {
            name: tuple(
                None if at is None else blob(at) for at in (before.get(name), now.get(name))
            )
            for name in before.keys() | now.keys()
            if before.get(name) != now.get(name)
        }
        before = now


def test_what_is_no_note_is_left_where_it_is():
    trees = Trees()
    folder = trees.make_tree({"x": (FILE, blob(1))})
    odd = {
        "README": (FILE, blob(1)),
        "docs": (TREE, folder),
        commit(1)[:-1]: (FILE, blob(2)),
        commit(1)[:-1] + "G": (FILE, blob(2)),
        commit(1).upper().replace("0", "A"): (FILE, blob(2)),
        "a" * 39 + "z": (FILE, blob(2)),
    }
    tree = trees.make_tree({**odd, commit(1): (FILE, blob(3))})
    assert Notes(trees).find(tree) == {commit(1): Note(commit(1), blob(3))}
    put = Notes(trees).put(tree, {commit(2): blob(4)})
    assert {name: trees.entries(put)[name] for name in odd} == odd


def test_a_file_that_is_named_like_a_folder_is_no_folder():
    trees = Trees()
    versions = [trees.make_tree({"aa": (FILE, blob(at))}) for at in range(2)]
    assert Notes(trees).changes(versions) == [{}, {}]
    assert Notes(trees).find(versions[0]) == {}


def test_a_commit_is_noted_once():
    trees = Trees()
    inner = trees.make_tree({commit(1)[2:]: (FILE, blob(2))})
    tree = trees.make_tree({commit(1): (FILE, blob(1)), commit(1)[:2]: (TREE, inner)})
    with pytest.raises(LedgerError, match=f"{commit(1)} has two notes: 0.*/.* and|has two notes"):
        Notes(trees).find(tree)


@pytest.mark.parametrize("mode", [LINK, "100755", "160000", TREE])
def test_a_note_is_a_plain_file(mode: str) -> None:
    trees = Trees()
    tree = trees.make_tree({commit(1): (mode, blob(1))})
    with pytest.raises(
        LedgerError, match=rf"the note of {commit(1)} is not a file \(mode {mode}\)"
    ):
        Notes(trees).find(tree)


def test_a_folder_is_read_three_levels_down_and_no_further():
    trees = Trees()
    tree = trees.make_tree({})
    for name in ("cc", "bb"):
        tree = trees.make_tree({name: (TREE, tree)})
    assert Notes(trees).find(tree) == {}
    with pytest.raises(LedgerError, match="deeper than 3 levels: aa/bb/cc/"):
        Notes(trees).find(trees.make_tree({"aa": (TREE, tree)}))


def test_the_paths_of_a_level_are_counted_before_they_are_read(monkeypatch):
    monkeypatch.setattr(notes, "PATHS_LIMIT", 3)
    trees = Trees()
    found = {commit(number): 1 for number in range(4)}
    few = dict(list(found.items())[:3])
    assert len(Notes(trees).find(planted(trees, few, 1))) == 3
    for depth in (0, 1, 2):
        with pytest.raises(LedgerError, match="more than 3 paths"):
            Notes(trees).find(planted(trees, found, depth))


def test_what_is_no_tree_or_too_large_is_not_read():
    trees = Trees()
    tree = trees.make_tree({commit(1): (FILE, blob(1))})
    for stat in (Stat("blob", 5), Stat("tree", notes.TREE_LIMIT + 1)):
        trees.stats[tree] = stat
        with pytest.raises(LedgerError, match=f"is a {stat.type} of {stat.size} bytes"):
            Notes(trees).find(tree)
    assert trees.reads == []
    trees.stats[tree] = Stat("tree", notes.TREE_LIMIT)
    assert len(Notes(trees).find(tree)) == 1


def test_a_tree_is_read_once():
    trees = Trees()
    store = Notes(trees)
    tree = planted(trees, {commit(1): 1, commit(2): 2}, 1)
    store.find(tree)
    store.find(tree)
    assert sorted(trees.reads) == sorted(set(trees.reads))
    reads = len(trees.reads)
    made = store.put(tree, {commit(1): blob(7)})
    store.find(made)
    assert len(trees.reads) == reads, "what was made here is known"


def test_a_file_where_a_folder_belongs_stops_the_write():
    trees = Trees()
    tree = trees.make_tree({commit(1)[:2]: (FILE, blob(1))})
    with pytest.raises(LedgerError, match="a file where a folder belongs: 01"):
        Notes(trees).put(tree, {commit(1): blob(2)})


def test_a_first_note_makes_the_tree_and_none_makes_none():
    trees = Trees()
    made = Notes(trees).put(None, {commit(1): blob(2)})
    assert Notes(trees).find(made)[commit(1)].blob == blob(2)
    with pytest.raises(ValueError, match="no notes to put"):
        Notes(trees).put(None, {})


ENTRY = b"100644 README\0" + bytes(20)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (ENTRY * 2, "names 'README' twice"),
        (ENTRY[:-1], "is a broken tree: it ends within an entry"),
        (ENTRY + b"100644 x", "is a broken tree"),
        (b"\n", "is a broken tree"),
    ],
)
def test_a_broken_tree_is_named(raw: bytes, problem: str) -> None:
    trees = Trees()
    with pytest.raises(LedgerError, match=problem):
        Notes(trees).find(trees.put(raw))


@given(st.binary(max_size=120))
def test_no_tree_crashes_the_reader(raw: bytes) -> None:
    trees = Trees()
    tree = trees.put(raw)
    try:
        Notes(trees).find(tree)
    except (LedgerError, KeyError):  # a folder that is not here: `Git` says so
        return
