"""The trees of git notes, from commit id to blob: read with limits, because anybody with push rights can write them.

Git spreads many notes over folders (`ab/cdef…`). Flat and spread trees are both read; other paths are kept unchanged.
A tree that `git notes` cannot handle (two notes of one commit, a folder in place of a note) is an error that names the commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from reconciler.errors import LedgerError
from reconciler.git import FILE, TREE, Entry, Git

NOTE_LIMIT: Final = 64 * 1024 * 1024
"""Largest note, in bytes."""

TREE_LIMIT: Final = 16 * 1024 * 1024
"""Largest tree object, in bytes."""

PATHS_LIMIT: Final = 200_000
"""Most paths on one level of a ledger's tree."""

STATE: Final = "state"
"""Path of the state file of a checkpoint."""

_DEPTH: Final = 3
_HEX_PAIR: Final = re.compile(r"[0-9a-f]{2}")
_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Note:
    """The path of a note in the tree, and its blob."""

    path: str
    blob: str


Change: TypeAlias = tuple[str | None, str | None]
"""The blob of a note before and after; `None` if there was none."""


class Notes:
    """Reads and extends trees of notes. Trees are cached by id, since they cannot change."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._trees: dict[str, dict[str, Entry]] = {}

    def find(self, tree: str) -> dict[str, Note]:
        """Return the note of each commit.

        Raises:
            LedgerError: the tree is malformed or too large.
            GitError: an object is not in this clone.
        """
        found: dict[str, Note] = {}
        level = {"": tree}
        for _ in range(_DEPTH):
            self._cache(*level.values())
            if sum(len(self._trees[each]) for each in level.values()) > PATHS_LIMIT:
                raise LedgerError(f"the ledger has more than {PATHS_LIMIT} paths")
            deeper: dict[str, str] = {}
            for prefix, each in level.items():
                for name, (mode, value) in self._trees[each].items():
                    path = f"{prefix}{name}"
                    if mode == TREE and _HEX_PAIR.fullmatch(name):
                        deeper[f"{path}/"] = value
                    elif (commit := _commit_of(path, len(tree))) is not None:
                        _admit(found, commit, Note(path, value), mode)
            level = deeper
        if level:
            raise LedgerError(f"the ledger's tree is deeper than {_DEPTH} levels: {min(level)}")
        return found

    def file(self, tree: str, name: str) -> str | None:
        """Return the blob of a file at the top of the tree, beside the notes; `None` if there is none.

        Raises:
            LedgerError: the tree is malformed or too large, or the name is not that of a file.
        """
        mode, blob = self._entries(tree).get(name, (FILE, None))
        if mode != FILE:
            raise LedgerError(f"the ledger's tree has no file where {name} belongs (mode {mode})")
        return blob

    def put(
        self, tree: str | None, notes: Mapping[str, str], files: Mapping[str, str] | None = None
    ) -> str:
        """Store a tree like `tree` with the given notes (blob by commit) and files (blob by name) in it; return its id."""
        known = self.find(tree) if tree else {}
        for commit, blob in notes.items():
            path = known[commit].path if commit in known else f"{commit[:2]}/{commit[2:]}"
            tree = self._graft(tree, path.split("/"), blob)
        for name, blob in (files or {}).items():
            tree = self._graft(tree, [name], blob)
        if tree is None:
            raise ValueError("no notes to put")
        return tree

    def _is_expected(self, path: str, entry: Entry) -> bool:
        """Return whether a ledger has such an entry: a note, the state, or a folder of notes."""
        if _name_of(path, len(self._git.empty_tree)) is not None:
            return True
        folders = path.split("/")
        return entry[0] == TREE and len(folders) < _DEPTH and all(map(_HEX_PAIR.fullmatch, folders))

    def _graft(self, tree: str | None, path: list[str], blob: str) -> str:
        entries = dict(self._entries(tree)) if tree else {}
        name, *rest = path
        if rest:
            mode, below = entries.get(name, (TREE, None))
            if mode != TREE:
                raise LedgerError(f"the ledger's tree has a file where a folder belongs: {name}")
            entries[name] = (TREE, self._graft(below, rest, blob))
        else:
            entries[name] = (FILE, blob)
        made = self._git.make_tree(entries)
        self._trees[made] = entries
        return made

    def _entries(self, tree: str) -> Mapping[str, Entry]:
        self._cache(tree)
        return self._trees[tree]

    def _cache(self, *trees: str) -> None:
        """Read those trees that are not cached yet, in one git command.

        Raises:
            LedgerError: an object is not a tree, or is too large.
        """
        wanted = tuple(dict.fromkeys(each for each in trees if each not in self._trees))
        for each, stat in self._git.stat(*wanted).items():
            if stat.type != "tree" or stat.size > TREE_LIMIT:
                raise LedgerError(
                    f"object {each} is a {stat.type} of {stat.size} bytes where the ledger needs a tree of at most {TREE_LIMIT}"
                )
        for each, raw in self._git.read(*wanted).items():
            try:
                self._trees[each] = dict(parse_tree(raw, len(each) // 2))
            except ValueError as error:
                raise LedgerError(f"object {each} is a broken tree: {error}") from None

    def changes(
        self,
        trees: Sequence[str],
        before: str | None = None,
        strays: list[tuple[int, str]] | None = None,
    ) -> list[dict[str, Change]]:
        """Return, for each tree, its differences from the tree before it: old and new blob of each note by commit, and of `STATE`.

        Args:
            trees: the trees.
            before: the tree that the first one is compared with; `None`: the empty tree.
            strays: the number of a tree, and the path of a new or changed entry that is no part of a ledger, are appended here.
        """
        nothing = self._git.empty_tree
        found: list[tuple[dict[str, str], dict[str, str]]] = [({}, {}) for _ in trees]
        pairs = pairwise((before or nothing, *trees))
        level = [(at, "", (old, new)) for at, (old, new) in enumerate(pairs)]
        for _ in range(_DEPTH):
            if not level:
                break
            changed = self._git.tree_changes([pair for _, _, pair in level])
            deeper: list[tuple[int, str, tuple[str, str]]] = []
            for (at, prefix, _), changes in zip(level, changed, strict=True):
                for name, *entries in changes:
                    path = f"{prefix}{name}"
                    for side, entry in zip(found[at], entries, strict=True):
                        if entry and (note := _name_of(path, len(nothing))):
                            side[note] = entry[1]
                    if _HEX_PAIR.fullmatch(name):
                        old, new = (_folder(entry) or nothing for entry in entries)
                        deeper += [(at, f"{path}/", (old, new))] if old != new else []
                    if (
                        strays is not None
                        and entries[1]
                        and not self._is_expected(path, entries[1])
                    ):
                        strays.append((at, path))
            level = deeper
        return [
            {each: (old.get(each), new.get(each)) for each in sorted(old.keys() | new.keys())}
            for old, new in found
        ]


def _name_of(path: str, length: int) -> str | None:
    return STATE if path == STATE else _commit_of(path, length)


def _folder(entry: Entry | None) -> str | None:
    return entry[1] if entry and entry[0] == TREE else None


def _commit_of(path: str, length: int) -> str | None:
    commit = path.replace("/", "")
    return commit if len(commit) == length and _HEX.fullmatch(commit) else None


def _admit(found: dict[str, Note], commit: str, note: Note, mode: str) -> None:
    if mode != FILE:
        raise LedgerError(f"the note of {commit} is not a file (mode {mode}): {note.path}")
    if commit in found:
        raise LedgerError(f"{commit} has two notes: {found[commit].path} and {note.path}")
    found[commit] = note


def parse_tree(raw: bytes, id_bytes: int) -> Iterator[tuple[str, Entry]]:
    """Parse a tree object: mode, space, name, NUL, id as bytes.

    Raises:
        ValueError: the object is truncated.
    """
    at = 0
    seen: set[str] = set()
    while at < len(raw):
        nul = raw.index(b"\0", at)
        mode, _, name = raw[at:nul].decode("utf-8", "surrogateescape").partition(" ")
        at = nul + 1 + id_bytes
        if at > len(raw):
            raise ValueError("it ends within an entry")
        if name in seen:
            raise LedgerError(f"the ledger's tree names {name!r} twice")
        seen.add(name)
        yield name, (mode, raw[nul + 1 : at].hex())
