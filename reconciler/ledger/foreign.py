"""Messages about a ledger that is not the tenant's: it is absent, begins with another record, or ends in a commit of somebody else.

Git and people can move the ledger's ref: `git notes add`, `git commit --amend` with `notes.rewriteRef`, a push by hand. Only
commits that reconcile made are ever pushed, so such a commit must be taken out before anything is appended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from reconciler.errors import safe
from reconciler.git import Git
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import Notes
from reconciler.ledger.refs import RefNames, RefState, move_command
from reconciler.ledger.snapshot import LedgerSnapshot
from reconciler.ledger.view import LedgerOptions

_MESSAGE: Final = re.compile(r"\S+ [0-9a-f]{64}\n")
"""The message of a ledger commit: run, hash of its last record."""

_BEGIN: Final = "Only after a review, and if nobody has it any more, begin a new ledger: reconcile audit begin {} --reason TEXT. What the lost records held would dial again"


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where a ledger was read.

    Attributes:
        names: its refs.
        store: the remote's name, or "this clone".
        refs: the refs as they were read.
        git: the repository.
        notes: reads the ledger's trees.
    """

    names: RefNames
    store: str
    refs: RefState
    git: Git
    notes: Notes

    @property
    def ref(self) -> str:
        """The ledger's ref."""
        return self.names.ledger

    @property
    def remote(self) -> str | None:
        """The remote's name for commands; `None` where this clone's refs decide."""
        return None if self.store == "this clone" else safe(self.store)

    def put_back(self, bad: str, good: str | None) -> str:
        """Return the command that moves the ledger's ref from a bad commit to a good one; `None` deletes the ref."""
        return move_command(self.ref, bad, good, self.remote)


def problem(place: LedgerPlace, found: LedgerSnapshot, asked: LedgerOptions) -> str | None:
    """Return why a ledger is not the tenant's, or not reconcile's, with what to do; `None` if it is."""
    if found.head is None:
        return absent(place, asked) if asked.demanded else None
    if found.foreign:
        return commit(place)
    if asked.began is not None and found.problem is None and found.records[0].id != asked.began:
        return other(place, found, asked)
    return None


def is_asked_for(found: LedgerSnapshot, asked: LedgerOptions) -> bool:
    """Return whether a ledger that is not the declared one is the one that the change under review declares.

    It may then be read, so that this change can be planned. Nothing is applied by it before the change is reviewed.
    """
    if found.head is None or found.foreign or found.problem is not None or asked.began is None:
        return False
    return found.records[0].id == asked.asked != asked.began


def absent(place: LedgerPlace, asked: LedgerOptions) -> str:
    """Return what is wrong if a ledger must exist and does not."""
    why = (
        "tenant.yaml declares it (audit.began)"
        if asked.began
        else "the parent of HEAD requires signed records"
    )
    begin = _BEGIN.format(asked.folder)
    closed, waiting = f"{place.names.closed}/*", f"{place.names.waiting}/*"
    refs = f"{place.ref}:{place.ref} '{closed}:{closed}' '{waiting}:{waiting}'"
    if place.remote is None:
        return (
            f"{place.ref} does not exist in this clone, although {why}: this clone was made without its audit records, or somebody deleted them."
            f" Fetch them from the repository that has them: git fetch URL {refs}. {begin}"
        )
    have = f"this clone has {place.refs.copy}: " if place.refs.copy else ""
    copy = f"git push {place.remote} {place.refs.copy}:{place.ref} '{closed}:{closed}'"
    source = copy if have else f"git fetch URL {refs} && git push {place.remote} {refs}"
    where = have or "find the clone or the former remote that has it (URL): "
    return (
        f"{place.ref} does not exist in {place.remote}, although {why}: the repository was copied without its audit records, or somebody deleted"
        f" them. Bring them back: {where}{source}. {begin}"
    )


def other(place: LedgerPlace, found: LedgerSnapshot, asked: LedgerOptions) -> str:
    """Return what is wrong if a ledger begins with another record than `tenant.yaml` declares."""
    first = found.records[0].id
    said = f"{place.ref} of {place.store} begins with record {first}, and tenant.yaml declares {asked.began} (audit.began): it is another ledger."
    if asked.asked == first:
        return (
            f"{said} The change under review declares this one. That counts from the next change on: merge it after a review of the records"
            f" (reconcile audit verify {asked.folder}), and apply the commit after it"
        )
    back = place.put_back(str(found.head), "COMMIT")
    return (
        f"{said} Find the ledger that is declared, in another clone or the former remote, and put it back: {back}. Only after a review"
        f" (reconcile audit verify {asked.folder}), go on with the ledger that is there: reconcile audit begin {asked.folder} --reason TEXT. What the declared"
        " ledger held would dial again"
    )


def commit(place: LedgerPlace) -> str:
    """Return what is wrong if the ledger's newest commit was not made by reconcile, with the command that takes it out again."""
    bad = str(place.refs.ledger)
    good = newest_of_ours(place.git, place.notes, bad)
    back = place.put_back(bad, good)
    mirror = ""
    if place.remote is not None and place.refs.mirror == bad:
        mirror = f" && {move_command(place.names.mirror, bad, good, place.remote)}"
    return (
        f"{place.ref} of {place.store} ends in commit {bad}, which reconcile did not make: `git notes`, `git commit --amend` with"
        f" notes.rewriteRef, or a push by hand moved it. Look at it: git show {bad}. Then take it out: {back}{mirror}"
    )


def in_the_way(place: LedgerPlace, ref: str) -> str:
    """Return what is wrong if a ref exists below which refs of the ledger must be."""
    where = place.remote or "this clone"
    delete = (
        f"git push {place.remote} --delete {ref}" if place.remote else f"git update-ref -d {ref}"
    )
    return (
        f"{where} has the ref {ref}, and git can create no ref below another one. The audit records need refs below that name:"
        f" copy the ref to another name if somebody needs it, and delete it: {delete}"
    )


def newest_of_ours(git: Git, notes: Notes, tip: str) -> str | None:
    """Return the newest commit of a ledger that reconcile made; `None` if there is none.

    In a shallow clone that lacks the history, return the first parent of the oldest commit that is here.
    """
    found = git.walk(tip)
    here = {each.id for each in found}
    for each in found:
        if not _MESSAGE.fullmatch(each.message):
            continue
        read = snapshots.read(git, notes, each.id)
        if not read.foreign and read.problem is None:
            return each.id
    return next(
        (each.parents[0] for each in found if each.parents and each.parents[0] not in here), None
    )
