"""Which records count where ledger commits must be signed: those at and below the newest good signature.

A signer reads and verifies the ledger before signing. So one good signature vouches for everything below it, and only the
newest one must be found. Commits above it were not made by a trusted signer. Their records are ignored, except
holds, which can only keep something from dialing. The next signed commit continues from the signed notes and names the
commits that it leaves out; these stay in the ledger's history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Event, Record, RecordKind
from reconciler.errors import AccessError, GitError, LedgerError
from reconciler.git import Git, Identity, Signature
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import STATE, Notes
from reconciler.ledger.snapshot import LedgerSnapshot

IDENTITY: Final = Identity("reconcile", "reconcile@localhost")
"""Author of ledger commits. The records say who acted."""

_FIRST_LOOK: Final = 1
"""Commits whose signature is checked first: nearly always the newest one is signed."""

_NOTHING_SIGNED: Final = (
    "no commit of this ledger has a good signature of a trusted signer ({commits} commits up to {tip}), so no record counts."
    " Either somebody replaced the ledger, or its signer's key is no longer in audit.signers of tenant.yaml. Compare the ledger"
    " with another clone and read it (git log, reconcile audit verify {folder}). If the records are those of your runs, sign them:"
    " reconcile audit vouch {folder} --head {tip} --reason TEXT"
)


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Ledger commits above the newest good signature, and the records that they added.

    Attributes:
        tip: the newest of these commits.
        anchor: the ledger commit below them, which has a good signature.
        commits: number of these commits.
        records: the records that they added, except holds; these do not count.
        holds: the holds that they added, as events to be recorded again; these count.
        unreadable: number of lines that are not records.
    """

    tip: str
    anchor: str
    commits: int
    records: tuple[Record, ...] = ()
    holds: tuple[Event, ...] = ()
    unreadable: int = 0

    def __str__(self) -> str:
        kinds = Counter(record.kind.value for record in self.records)
        kinds.update({"unreadable": self.unreadable} if self.unreadable else {})
        what = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "none"
        records = "1 record" if kinds.total() == 1 else f"{kinds.total()} records"
        span = f"{self.anchor[:12]}..{self.tip[:12]}"
        return f"{records} ({what}) of ledger commits {span} without a trusted signature"

    def rejection(self, snapshot: LedgerSnapshot, ts: str) -> Event:
        """Return the note for a signed commit that leaves these records out."""
        last = snapshot.records[-1].event
        data = {"text": f"rejected: {self}", "rejects": self.tip, "restores": self.anchor}
        return Event(RecordKind.NOTE, last.tenant, last.commit, f"reject-{self.tip[:24]}", ts, data)


def read(
    git: Git,
    notes: Notes,
    tip: str | None,
    signers: bytes,
    *,
    known: LedgerSnapshot,
    demanded_in: str | None,
) -> tuple[LedgerSnapshot, Unsigned | None]:
    """Read the ledger at `tip`; return the records that count, and the unsigned commits above them (`None` if there are none).

    Args:
        git: the repository.
        notes: reads the ledger's trees.
        tip: ledger commit.
        signers: content of an allowed signers file.
        known: an earlier snapshot.
        demanded_in: refuse a ledger without any good signature, with commands for this folder. `None`: all of such a ledger counts.

    Raises:
        LedgerError: a required signature is missing, or the ledger cannot be read.
    """
    if tip is None:
        return snapshots.EMPTY, None
    above: list[str] = []
    for commit, signature in _signatures(git, tip, signers):
        if signature.good:
            snapshot = snapshots.read(git, notes, commit, known=known)
            _require_ledger_commit(snapshot, commit, signature.subject)
            if not above:
                return snapshot, None
            unsigned = _unsigned(git, notes, snapshot, above[::-1])
            return LedgerSnapshot(
                tip, snapshot.tree, snapshot.notes, state=snapshot.state
            ), unsigned
        above.append(commit)
    if demanded_in is not None:
        raise LedgerError(_NOTHING_SIGNED.format(commits=len(above), tip=tip, folder=demanded_in))
    return snapshots.read(git, notes, tip, known=known), None


def _signatures(git: Git, tip: str, signers: bytes) -> Iterator[tuple[str, Signature]]:
    """Yield commits and their signatures, newest first. They are checked in batches of growing size."""
    start, number = 0, _FIRST_LOOK
    while True:
        found = git.signatures(tip, signers, at=range(start, start + number))
        yield from found.items()
        if len(found) < number:
            return
        start, number = start + number, number * 8


def _require_ledger_commit(snapshot: LedgerSnapshot, commit: str, subject: str) -> None:
    """Refuse a signed commit that no ledger made: its signer may use the same key for other commits of the repository."""
    last = snapshot.records[-1] if snapshot.records else None
    if last is None or subject != f"{last.event.run} {last.h}":
        raise LedgerError(
            f"commit {commit} is signed by a trusted signer, but is not a ledger commit: somebody moved the ledger's ref to it."
            " Use a key for the ledger that signs nothing else"
        )


def _unsigned(git: Git, notes: Notes, snapshot: LedgerSnapshot, commits: Sequence[str]) -> Unsigned:
    anchor = git.parent(commits[0]) or ""
    found = Unsigned(commits[-1], anchor, len(commits))
    try:
        lines = list(added_records(git, notes, snapshot, commits))
    except (GitError, LedgerError):
        return replace(found, unreadable=1)
    records = [each for each in lines if each is not None]
    return replace(
        found,
        records=tuple(each for each in records if each.kind is not RecordKind.HOLD),
        holds=_holds(snapshot, records),
        unreadable=len(lines) - len(records),
    )


def _holds(snapshot: LedgerSnapshot, records: Iterable[Record]) -> tuple[Event, ...]:
    tenant = snapshot.records[-1].event.tenant
    return tuple(audit.holds_to_repeat(records, tenant=tenant, runs=snapshot.tips))


def added_records(
    git: Git, notes: Notes, before: LedgerSnapshot, commits: Sequence[str]
) -> Iterator[Record | None]:
    """Yield each record that ledger commits added, even if a later commit dropped it; `None` for a line that is not a record.

    Args:
        git: the repository.
        notes: reads the ledger's trees.
        before: the ledger below the commits; its records are left out.
        commits: oldest first.
    """
    trees = [git.resolve(f"{commit}^{{tree}}") or commit for commit in commits]
    history = notes.changes([before.tree or git.empty_tree, *trees])
    blobs = {
        new: note
        for changes in islice(history, 1, None)
        for note, (_, new) in changes.items()
        if new and note != STATE
    }
    seen = {record.h for record in before.records}
    for blob, data in snapshots.read_notes(git, {blob: blob for blob in blobs}):
        records, defects = audit.decode(blobs[blob], data)
        yield from (None for _ in defects)
        for record in records:
            if record.h not in seen:
                seen.add(record.h)
                yield record if record.event.commit == blobs[blob] else None


def check_key(git: Git, key: Path, signers: bytes, at: datetime) -> None:
    """Check that a signing key is trusted, by signing a commit that no ref leads to.

    Raises:
        AccessError: the key is not that of a trusted signer, so no record that it signs would count.
    """
    commit = git.commit_tree(
        git.empty_tree, parents=[], message="key\n", identity=IDENTITY, at=at, signing_key=key
    )
    if not git.signatures(commit, signers)[commit].good:
        raise AccessError(
            "RECONCILE_SIGNING_KEY is not the key of a trusted signer, so no record that it signs would count: use the key of a"
            " trusted signer. A key is trusted from the change after the one that adds it to audit.signers of tenant.yaml: apply"
            " that change with a key that is trusted already"
        )


def vouched(record: Record) -> str | None:
    """Return the ledger commit that a record vouches for; `None` if the record is about something else."""
    return _commit_in(record.data, "vouches") if record.kind is RecordKind.NOTE else None


def rejected(record: Record) -> tuple[str, str] | None:
    """Return the newest ledger commit that a record rejects, and the commit that it continues from; `None` for other records."""
    tip, anchor = (_commit_in(record.data, name) for name in ("rejects", "restores"))
    return (tip, anchor) if record.kind is RecordKind.NOTE and tip and anchor else None


def _commit_in(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None
