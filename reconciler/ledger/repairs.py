"""Repair a damaged ledger: what can be kept of it, and what the checkpoint says of the rest.

A repair changes no history. It begins a new segment, whose checkpoint says what was found damaged, and from which the ledger is verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.audit import Attribution, Record
from reconciler.audit.checkpoints import CUT
from reconciler.audit.records import digest_of
from reconciler.errors import SHORTENED_TO, LedgerError, safe
from reconciler.git import Git
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import Notes
from reconciler.ledger.snapshot import LedgerSnapshot


def newest_cut(git: Git, notes: Notes, head: str, signers: bytes | None) -> LedgerSnapshot | None:
    """Return the ledger at the newest checkpoint of a repair; `None` if there is none, or if it may be forged.

    Args:
        git: the repository.
        notes: reads the ledger's trees.
        head: the ledger's newest commit.
        signers: content of an allowed signers file: the checkpoint's commit must be signed by one of them.
    """
    commit = git.newest_named(head, f"^{CUT}-[0-9]")
    if commit is None:
        return None
    if signers is not None and not git.signatures(commit, signers)[commit].good:
        return None
    try:
        found = snapshots.read(git, notes, commit)
    except LedgerError:
        return None
    whole = not found.foreign and len(found.tail) == 1 and found.state is not None
    return found if whole and "cut" in found.tail[0].data else None


def remark(found: LedgerSnapshot) -> str:
    """Return what `audit verify` says of a repair."""
    record = found.tail[0]
    said = record.data["cut"]
    return (
        f"repaired on {record.event.ts} by {record.data.get('actor') or 'somebody'}: {said['defects']} defects up to ledger commit"
        f" {said['head']} were acknowledged, and {said['dropped']} records could not be kept ({said['reason']}). The ledger is verified from"
        f" ledger commit {found.head} on; what is before it was not verified again"
    )


def readable(snapshot: LedgerSnapshot, tenant: str) -> tuple[tuple[Record, ...], int]:
    """Return the records that are whole, each once and in order, and the number of lines that are not.

    Raises:
        LedgerError: there is no such record.
    """
    kept: list[Record] = []
    ids: set[str] = set()
    for record in snapshot.records:
        whole = digest_of(record) == record.h and record.event.id == record.id
        follows = not kept or record.seq > kept[-1].seq
        if whole and follows and record.id not in ids and record.event.tenant == tenant:
            kept.append(record)
            ids.add(record.id)
    if not kept:
        raise LedgerError(
            "no record of this ledger can be read, so there is nothing to repair: restore an earlier ledger commit, or begin a new ledger"
        )
    return tuple(kept), len(snapshot.records) - len(kept) + len(snapshot.unreadable)


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
