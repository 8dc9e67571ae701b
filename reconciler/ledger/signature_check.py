"""Check all signatures of a ledger: which commits lack a good one, and which are left out by a signed commit after them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler import audit
from reconciler.audit import Record, RecordKind
from reconciler.git import Git
from reconciler.ledger import signatures
from reconciler.ledger.notes import STATE, Notes
from reconciler.ledger.snapshot import read_notes

_BATCH: Final = 256
"""Ledger commits whose notes are searched at once."""

_MARKS: Final = (b'"vouches":"', b'"rejects":"')
"""What a line holds that vouches for ledger commits, or leaves them out."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking all signatures.

    Attributes:
        missing: commits that need a good signature and have none, oldest first.
        rejected: commits whose records the next signed commit leaves out.
        remarks: see `Verdict`.
    """

    missing: tuple[str, ...]
    rejected: frozenset[str]
    remarks: tuple[str, ...]


def check(git: Git, notes: Notes, commits: Sequence[str], signers: bytes) -> Checked:
    """Check every signature. A signed commit vouches for the commits below it, or names those that it leaves out.

    Args:
        git: the repository.
        notes: reads the ledger's trees.
        commits: ids of the ledger commits to check, oldest first; at least one. After a repair, these are only the last ones.
        signers: content of an allowed signers file.
    """
    found = git.signatures(commits[-1], signers)
    states = {each: found[each] for each in commits if each in found}
    good = {id_ for id_, signature in states.items() if signature.good}
    strangers = {id_ for id_, signature in states.items() if signature.stranger}
    newest = next((at for at in reversed(range(len(commits))) if commits[at] in good), 0)
    below = frozenset(commits[:newest])
    said = list(_said(git, notes, commits, good))
    vouched = {signatures.vouched(each): each for _, each in said}
    rejected, told = _rejections(commits, good, said)
    missing: list[str] = []
    remarks: list[str] = []
    anchor: str | None = None
    for is_good, group in itertools.groupby(commits, good.__contains__):
        ids = tuple(each for each in group if each not in rejected)
        if is_good and ids:
            if anchor is None and ids[0] != commits[0] and not remarks:
                remarks.append(
                    f"signed from ledger commit {ids[0]} on, whose signer vouches for the commits before it"
                )
            anchor = ids[-1]
        elif not ids:
            continue
        elif note := vouched.get(ids[-1]):
            remarks.append(str(note.data["text"]))
        elif anchor is not None and ids[-1] in below and strangers.issuperset(ids):
            remarks.append(
                f"ledger commits {ids[0]} to {ids[-1]} are signed by a key that is no longer trusted; a trusted signer accepted them with the next commit"
            )
        elif anchor is not None or not good:
            missing += ids
    return Checked(tuple(missing), frozenset(rejected), (*remarks, *told))


def _rejections(
    commits: Sequence[str], good: set[str], said: Sequence[tuple[int, Record]]
) -> tuple[set[str], list[str]]:
    """Return the unsigned commits that a record rejects, and the text of those records.

    The newest good signature vouches for the records below it. So a rejection there counts even if the key that signed it
    is no longer trusted. A rejection above it may be forged.
    """
    places = {each: at for at, each in enumerate(commits)}
    newest = max((places[each] for each in good), default=-1)
    rejected: set[str] = set()
    remarks: list[str] = []
    for at, record in said:
        tip, anchor = signatures.rejected(record) or ("", "")
        ids = commits[places.get(anchor, -1) + 1 : places.get(tip, -1) + 1]
        if at <= newest and anchor in places and ids and good.isdisjoint(ids):
            rejected.update(ids)
            remarks.append(str(record.data["text"]))
    return rejected, remarks


def _said(
    git: Git, notes: Notes, commits: Sequence[str], good: Collection[str]
) -> Iterator[tuple[int, Record]]:
    """Yield the notes that vouch for commits or reject them, each with the place of the commit that added it.

    Such a note is about commits without a good signature, and was added by the commit after them. So only such commits, and
    those after them, are searched.
    """
    odd = [
        at
        for at, commit in enumerate(commits)
        if commit not in good or (at and commits[at - 1] not in good)
    ]
    seen: set[str] = set()
    for start in range(0, len(odd), _BATCH):
        part = odd[start : start + _BATCH]
        near = git.commits([commits[each] for at in part for each in (max(at - 1, 0), at)])
        for at, before, commit in zip(part, near[::2], near[1::2], strict=True):
            tree = None if before.id == commit.id else before.tree
            for record in _added(git, notes, tree, commit.tree):
                if record.id not in seen:
                    seen.add(record.id)
                    yield at, record


def _added(git: Git, notes: Notes, before: str | None, tree: str) -> Iterator[Record]:
    (changes,) = notes.changes([tree], before)
    blobs = {note: new for note, (_, new) in changes.items() if new and note != STATE}
    for note, data in read_notes(git, blobs):
        if any(mark in data for mark in _MARKS):
            lines = (line for line in data.splitlines(keepends=True) if _is_marked(line))
            for line in lines:
                records, _ = audit.decode(note, line)
                yield from (each for each in records if each.kind is RecordKind.NOTE)


def _is_marked(line: bytes) -> bool:
    return any(mark in line for mark in _MARKS)
