"""Repair a damaged ledger: what can be kept of it, and what the checkpoint says of the rest.

A repair changes no history. It begins a new segment, whose checkpoint says what was found damaged, and from which the ledger is verified.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from reconciler import audit
from reconciler.audit import Attribution, Defect, Ids, Record, RecordKind, Selection
from reconciler.audit.checkpoints import CUT
from reconciler.audit.records import digest_of
from reconciler.errors import SHORTENED_TO, LedgerError, safe
from reconciler.git import Git, Stat, blob_id
from reconciler.ledger import segments, signature_check
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.segments import Segment
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
    whole = (
        not (found.foreign or found.problem) and len(found.tail) == 1 and found.state is not None
    )
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


def remark_on_records(records: Iterable[Record], folder: str) -> tuple[str, ...]:
    """Return what a report of records must say if they begin at a repair; nothing if they do not. `folder`: the tenant's, as a word of the shell."""
    found = next((each for each in records if "cut" in each.data), None)
    if found is None:
        return ()
    said, by = found.data["cut"], found.data.get("actor") or "somebody"
    told = (
        f"These records begin at a repair, on {found.event.ts} by {by}: {said['reason']}. Of the ledger before, which ends at"
        f" {said['head']}, only what the repair kept is shown. Without signatures, anybody who may push can claim a repair. To check the"
        f" whole ledger: reconcile audit verify {folder}"
    )
    return (told,)


def readable(
    git: Git, notes: Notes, snapshot: LedgerSnapshot, tenant: str, signers: bytes | None
) -> tuple[tuple[Record, ...], int]:
    """Return the records that a repair selects from, each once and in order, and the number of records that are lost.

    They are read from the whole history: of each segment every version of its notes, because an earlier version may hold what a
    later one lost. The states of checkpoints are left out, because anybody who may push can forge one. Only the holds of the newest
    state count, too: a hold only keeps something from dialing.

    Args:
        git: the repository, which has the ledger's history.
        notes: reads the ledger's trees.
        snapshot: the damaged ledger.
        tenant: the platform.
        signers: content of an allowed signers file. Commits that a trusted signer left out are not read.

    Raises:
        LedgerError: there is no record that is whole, or this clone lacks a part of the history.
    """
    ids, start = _history(git, notes, str(snapshot.head), signers)
    first = snapshots.read(git, notes, ids[start])
    selection, seen, last = Selection(), Ids(), -1
    before: tuple[Record, ...] = ()
    kept: list[Record] = []
    dropped = 0
    read = _segments(git, notes, ids, start, signers)
    for found, damaged in itertools.chain([_held(first)], read):
        for record in kept:
            selection.add(record)
        before, kept, dropped = selection.fold(), [], dropped + damaged
        for record in found:
            if not seen.add(_key(record)):
                continue
            if record.seq > last and record.event.tenant == tenant:
                kept.append(record)
                last = record.seq
            else:
                dropped += 1
    known = {record.seq: record for record in (*before, *kept)}
    for record in snapshot.state.records if snapshot.state else ():
        if snapshot.segment != first.segment and not seen.has(_key(record)):
            is_hold = record.kind is RecordKind.HOLD and record.event.tenant == tenant
            if is_hold and _is_whole(record) and record.seq not in known:
                known[record.seq] = record
            else:
                dropped += 1
    if not known:
        raise LedgerError(
            "no record of this ledger can be read, so there is nothing to repair: restore an earlier ledger commit, or begin a new ledger"
        )
    return tuple(known[seq] for seq in sorted(known)), dropped


def _key(record: Record) -> int:
    return int(record.id[:16], 16)


def _is_whole(record: Record) -> bool:
    return digest_of(record) == record.h and record.event.id == record.id


def _history(git: Git, notes: Notes, head: str, signers: bytes | None) -> tuple[list[str], int]:
    """Return the ledger commits, oldest first, and the place of the newest trusted repair; 0 if there is none."""
    ids = git.ancestry(head)
    cut = newest_cut(git, notes, head)
    return ids, ids.index(str(cut.head)) if cut and is_trusted(git, cut, signers, None) else 0


def _held(first: LedgerSnapshot) -> tuple[list[Record], int]:
    """Return the whole records of the state that a history begins with, and its checkpoint, and the number of lost ones."""
    if first.state is None:
        return [], 0
    records = (*first.state.records, *first.tail[:1])
    held = [
        each
        for each in records
        if first.problem is None or (each.kind is not RecordKind.WRITE and _is_whole(each))
    ]
    return held, len(records) - len(held) + _lost(first)


def _segments(
    git: Git, notes: Notes, ids: list[str], start: int, signers: bytes | None
) -> Iterator[tuple[list[Record], int]]:
    """Yield the whole records of each segment, in order, and the number of damaged ones."""
    rejected: Collection[str] = ()
    if signers is not None:
        rejected = signature_check.check(git, notes, ids[start:], signers).rejected
    linked = segments.linked(git, ids[start:], ids[:start], [])
    commits = (each for each in linked if each.id not in rejected)
    for segment, data, stats in segments.load(git, segments.walk(notes, commits)):
        yield _whole(_versions(git, segment, dict(data), stats))


def _versions(
    git: Git, segment: Segment, newest: Mapping[str, bytes], stats: Mapping[str, Stat]
) -> Iterator[tuple[str, bytes]]:
    """Yield the versions of each note of a segment, oldest first, except those that a later version begins with."""
    for note, versions in segment.versions().items():
        found = [newest[note]] if note in newest else []
        for _, blob in reversed(versions):
            stat = stats.get(blob)
            if stat is None or stat.type != "blob" or stat.size > NOTE_LIMIT:
                continue
            begins = (memoryview(each)[: stat.size] for each in found)
            if all(blob_id(each, len(blob)) != blob for each in begins):
                found.append(git.read_blob(blob, limit=NOTE_LIMIT))
        yield from ((note, data) for data in reversed(found))


def _whole(versions: Iterable[tuple[str, bytes]]) -> tuple[list[Record], int]:
    """Return the whole records of a segment, in order, and the number of damaged ones.

    Of several records with one number, the first one counts that was recorded; a hold counts before others.
    """
    found: dict[int, Record] = {}
    others: set[str] = set()
    whole, damaged = set[tuple[str, int]](), set[tuple[str, int]]()
    for note, data in versions:
        for line, _, record in audit.lines_of(note, data):
            if isinstance(record, Defect) or not _is_whole(record):
                damaged.add((note, line))
                continue
            whole.add((note, line))
            if record.kind is RecordKind.CHECKPOINT:  # it says nothing that other records do not
                continue
            known = found.get(record.seq)
            if known is None or known.id == record.id:
                found[record.seq] = record
                continue
            is_hold = record.kind is RecordKind.HOLD and known.kind is not RecordKind.HOLD
            found[record.seq] = record if is_hold else known
            others.add(known.id if is_hold else record.id)
    records = [found[seq] for seq in sorted(found)]
    return records, len(damaged - whole) + len(others - {each.id for each in records})


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
