"""Repair a damaged ledger: what can be kept of it, and what the checkpoint says of the rest.

A repair changes no history. It begins a new segment, whose checkpoint says what was found damaged, and from which the ledger is verified.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler import audit
from reconciler.audit import Attribution, Record, RecordKind
from reconciler.audit.checkpoints import CUT
from reconciler.audit.records import digest_of
from reconciler.errors import SHORTENED_TO, GitError, LedgerError, safe
from reconciler.git import Git
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import Notes
from reconciler.ledger.snapshot import LedgerSnapshot


def newest_cut(git: Git, notes: Notes, head: str) -> LedgerSnapshot | None:
    """Return the ledger at the newest checkpoint of a repair, which anybody may have made (`is_trusted`); `None` if there is none.

    Args:
        git: the repository.
        notes: reads the ledger's trees.
        head: the ledger's newest commit.
    """
    commit = git.newest_named(head, f"^{CUT}-[0-9]")
    if commit is None:
        return None
    try:
        found = snapshots.read(git, notes, commit)
    except LedgerError:
        return None
    whole = not found.foreign and len(found.tail) == 1 and found.state is not None
    return found if whole and "cut" in found.tail[0].data else None


def is_trusted(
    git: Git, found: LedgerSnapshot, signers: bytes | None, expected: str | None
) -> bool:
    """Return whether the ledger may be verified from a repair on: it was looked at, or a trusted signer made it.

    Anybody with push rights can make a checkpoint that says what a repair says.

    Args:
        git: the repository.
        found: the ledger at the repair's checkpoint.
        signers: content of an allowed signers file.
        expected: ledger commit of a repair that the caller knows.
    """
    commit = str(found.head)
    if commit == expected:
        return True
    return signers is not None and git.signatures(commit, signers)[commit].good


def remark(found: LedgerSnapshot, folder: str, *, trusted: bool) -> str:
    """Return what `audit verify` says of a repair; `folder`: the tenant's, as a word of a shell command."""
    record = found.tail[0]
    said = record.data["cut"]
    told = (
        f"repaired {when(found)}: {_count(said['defects'], 'defect')} up to ledger commit {said['head']} acknowledged,"
        f" {_count(said['dropped'], 'record')} not kept ({said['reason']})."
    )
    if trusted:
        return f"{told} The ledger is verified from ledger commit {found.head} on; what is before it was not verified again"
    return (
        f"{told} No trusted signer signed that, so the whole ledger was verified: anybody who may push can claim a repair. If you know this one,"
        f" verify from there on: reconcile audit verify {folder} --expect-cut {found.head}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def when(found: LedgerSnapshot) -> str:
    """Return when and by whom a repair was made, as its checkpoint says."""
    record = found.tail[0]
    return f"on {record.event.ts} by {record.data.get('actor') or 'somebody'}"


def remark_on_records(records: Iterable[Record]) -> tuple[str, ...]:
    """Return what a report of records must say if they begin at a repair; nothing if they do not."""
    found = next((each for each in records if "cut" in each.data), None)
    if found is None:
        return ()
    said, by = found.data["cut"], found.data.get("actor") or "somebody"
    told = (
        f"These records begin at a repair, on {found.event.ts} by {by}: {said['reason']}. Of the ledger before, which ends at"
        f" {said['head']}, only what the repair kept is shown. Without signatures, anybody who may push can claim a repair. To check the"
        " whole ledger: reconcile audit verify"
    )
    return (told,)


def _restored(git: Git, notes: Notes, snapshot: LedgerSnapshot) -> Sequence[Record] | None:
    """Return the records of a ledger whose state was damaged: the segment before it leaves the same state again.

    Returns:
        `None` if that is not the state whose hash the checkpoint holds.
    """
    first = snapshot.tail[0] if snapshot.tail else None
    if snapshot.problem is None or first is None or first.kind is not RecordKind.CHECKPOINT:
        return None
    try:
        kept = audit.compact(snapshots.read(git, notes, first.data["closes"]).records)
    except (GitError, LedgerError):
        return None
    state = hashlib.sha256(b"".join(map(audit.encode, kept))).hexdigest()
    return (*kept, *snapshot.tail) if state == first.data["state"] else None


def readable(
    git: Git, notes: Notes, snapshot: LedgerSnapshot, tenant: str
) -> tuple[tuple[Record, ...], int]:
    """Return the records that are whole, each once and in order, and the number of records that are not.

    Raises:
        LedgerError: there is no such record.
    """
    kept: list[Record] = []
    ids: set[str] = set()
    restored = _restored(git, notes, snapshot)
    records = restored or snapshot.records
    lost = 0 if restored else _lost(snapshot)
    for record in records:
        if (
            record.kind is RecordKind.WRITE
        ):  # it has no hash of its own: that of the state covers it
            whole = restored is not None or snapshot.problem is None
        else:
            whole = digest_of(record) == record.h and record.event.id == record.id
        follows = not kept or record.seq > kept[-1].seq
        if whole and follows and record.id not in ids and record.event.tenant == tenant:
            kept.append(record)
            ids.add(record.id)
    if not kept:
        raise LedgerError(
            "no record of this ledger can be read, so there is nothing to repair: restore an earlier ledger commit, or begin a new ledger"
        )
    return tuple(kept), len(records) - len(kept) + len(snapshot.unreadable) + lost


def _lost(snapshot: LedgerSnapshot) -> int:
    """Return how many records the state held, as its checkpoint says, that it does not hold any more."""
    first = snapshot.tail[0] if snapshot.tail else None
    if first is None or first.kind is not RecordKind.CHECKPOINT or digest_of(first) != first.h:
        return 0
    held = len(snapshot.state.records) if snapshot.state else 0
    return max(0, int(first.data["records"]) - held)


def cut(head: str, defects: int, dropped: int, reason: str, by: Attribution) -> Mapping[str, Any]:
    """Return what the checkpoint of a repair holds beside the fields of every checkpoint."""
    said = {"head": head, "defects": defects, "dropped": dropped}
    return {**by.fields(), "cut": {**said, "reason": safe(reason, limit=SHORTENED_TO)}}


def wrong_head(head: str, now: str | None) -> str:
    """Return why a ledger cannot be repaired at `head`."""
    if head != now:
        return f"the ledger's head is {now or 'absent'}, not {head}: read what it holds now before you repair it"
    return (
        f"ledger commits up to {head} have no trusted signature, and are ignored: nothing is damaged by them, and the next signed apply leaves"
        " them out"
    )
