"""Which records count where ledger commits must be signed: those below the newest good signature.

Whoever signs reads and verifies the ledger first, so one good signature vouches for everything below it, and only the newest one has to be
found. The commits above it were made by somebody who is no trusted signer. Their records are ignored; only a hold counts, for it
can do no more than keep something from dialing. The next signed commit continues from the signed notes, so that ignored records stay out of
them. They remain in the history of the ledger, and the signed commit names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from reconciler import audit
from reconciler.audit import Event, Record, RecordKind
from reconciler.errors import GitError, LedgerError
from reconciler.git import Git, Signature
from reconciler.ledger import snapshot as books
from reconciler.ledger.notes import Notes
from reconciler.ledger.snapshot import Book
from reconciler.plan import Action, sha256_of
from reconciler.report import count

_FIRST_LOOK: Final = 1
"""Commits that are checked first: nearly always the newest one is signed."""

_HEADROOM: Final = 512
"""Bytes of a line that an unsigned hold must leave free, so that it can be recorded again."""

_UNCHECKED: Final = frozenset({"body"})
"""What an unsigned hold says that could do more than narrow: the stored body would become the base of later plans."""


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Ledger commits above the newest good signature, and the records that they added.

    Attributes:
        tip: the newest of them.
        anchor: the ledger commit below them, which has a good signature.
        commits: how many they are.
        records: what they added, holds apart; none of it counts.
        holds: the holds that they added, as events to be recorded again; they count.
        unreadable: lines that are no record.
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
        span = f"{self.anchor[:12]}..{self.tip[:12]}"
        return f"{count(kinds.total(), 'record')} ({what}) of ledger commits {span} without a trusted signature"

    def rejection(self, book: Book, ts: str) -> Event:
        """Return the note that a signed commit leaves where it continues without these records."""
        last = book.records[-1].event
        data = {"text": f"rejected: {self}", "rejects": self.tip, "restores": self.anchor}
        return Event(RecordKind.NOTE, last.tenant, last.commit, f"reject-{self.tip[:24]}", ts, data)


def trusted(
    git: Git, notes: Notes, tip: str | None, signers: bytes, *, known: Book, required: bool
) -> tuple[Book, Unsigned | None]:
    """Return what counts of the ledger at `tip`, and what does not.

    Args:
        git: the repository.
        notes: the ledger's trees.
        tip: ledger commit.
        signers: the content of an allowed signers file.
        known: an earlier reading.
        required: the ledger must hold a good signature; else one that holds none counts as a whole.

    Raises:
        LedgerError: a required signature is missing, or the ledger cannot be read.
    """
    if tip is None:
        return books.EMPTY, None
    above: list[str] = []
    for commit, signature in _signatures(git, tip, signers):
        if signature.good:
            book = books.read(git, notes, commit, known=known)
            _require_own(book, commit, signature.subject)
            if not above:
                return book, None
            unsigned = _unsigned(git, notes, book, above[::-1])
            return Book(tip, book.tree, book.pages), unsigned
        above.append(commit)
    if required:
        raise LedgerError(
            f"no commit of this ledger has a good signature of a trusted signer ({len(above)} commits up to {tip}), so no record"
            " counts. Either somebody replaced the ledger, or the key of its signer is not in audit.signers of tenant.yaml any more."
            " Compare it with another clone and read it (git log, reconcile audit verify); if its records are those of"
            f" your runs, sign them: reconcile audit vouch PATH --head {tip} --reason TEXT"
        )
    return books.read(git, notes, tip, known=known), None


def _signatures(git: Git, tip: str, signers: bytes) -> Iterator[tuple[str, Signature]]:
    start, number = 0, _FIRST_LOOK
    while True:
        found = git.signatures(tip, signers, at=range(start, start + number))
        yield from found.items()
        if len(found) < number:
            return
        start, number = start + number, number * 8


def _require_own(book: Book, commit: str, subject: str) -> None:
    """Refuse a signed commit that no ledger made: its signer may use the same key for other commits of the repository."""
    last = book.records[-1] if book.records else None
    if last is None or subject != f"{last.event.run} {last.h}":
        raise LedgerError(
            f"commit {commit} is signed by a trusted signer, but is no ledger commit: somebody moved the ledger's ref to it."
            " Use a key for the ledger that signs nothing else"
        )


def _unsigned(git: Git, notes: Notes, book: Book, commits: Sequence[str]) -> Unsigned:
    anchor = git.parent(commits[0]) or ""
    found = Unsigned(commits[-1], anchor, len(commits))
    try:
        lines = list(added(git, notes, book, commits))
    except (GitError, LedgerError):
        return replace(found, unreadable=1)
    records = [each for each in lines if each is not None]
    return replace(
        found,
        records=tuple(each for each in records if each.kind is not RecordKind.HOLD),
        holds=tuple(_narrowing(book, records)),
        unreadable=len(lines) - len(records),
    )


def added(git: Git, notes: Notes, book: Book, commits: Sequence[str]) -> Iterator[Record | None]:
    """Yield each record that ledger commits added, whether or not a later one dropped it; `None` for a line that is no record.

    Args:
        git: the repository.
        notes: the ledger's trees.
        book: what there was before; its records are left out.
        commits: oldest first.
    """
    trees = [git.resolve(f"{commit}^{{tree}}") or commit for commit in commits]
    history = notes.changes([book.tree or git.empty_tree, *trees])
    blobs = {
        new: note
        for changes in islice(history, 1, None)
        for note, (_, new) in changes.items()
        if new
    }
    seen = {record.h for record in book.records}
    for blob, data in books.contents(git, {blob: blob for blob in blobs}):
        records, defects = audit.decode(blobs[blob], data)
        yield from (None for _ in defects)
        for record in records:
            if record.h not in seen:
                seen.add(record.h)
                yield record if record.event.commit == blobs[blob] else None


def left_behind(
    git: Git, notes: Notes, book: Book, commits: Sequence[str], signers: bytes
) -> tuple[tuple[Record, ...], tuple[Event, ...]]:
    """Return what commits that only this clone has may bring to the remote: records as they are, and holds as events.

    Nothing tells whether this clone made a commit without a trusted signature, or fetched it. Of such commits only what an emergency
    stop records counts, which can do no more than narrow.

    Args:
        git: the repository.
        notes: the ledger's trees.
        book: what counts of the remote's ledger.
        commits: oldest first.
        signers: the content of an allowed signers file.
    """
    states = git.signatures(commits[-1], signers)
    good = next((at for at in reversed(range(len(commits))) if _is_good(states, commits[at])), -1)
    start = git.parent(commits[0]) if good < 0 else commits[good]
    before = books.read(git, notes, start)
    above = commits[good + 1 :]
    found = [each for each in added(git, notes, before, above) if each] if above else []
    signed = before.records if good >= 0 else ()
    holds = tuple(_narrowing(book, found)) if book.records else ()
    return (*signed, *_of_stops(found)), holds


def _is_good(states: Mapping[str, Signature], commit: str) -> bool:
    return commit in states and states[commit].good


def _of_stops(records: Sequence[Record]) -> Iterator[Record]:
    """Yield what emergency stops recorded of their own runs, holds apart."""
    runs = {
        each.event.run
        for each in records
        if each.kind is RecordKind.OPEN and each.data.get("purpose") == audit.HALT
    }
    intents = {
        each.id
        for each in records
        if each.kind is RecordKind.INTENT and each.data["verb"] == Action.HALT
    }
    for each in records:
        if each.event.run in runs and (
            each.kind in {RecordKind.OPEN, RecordKind.CLOSE}
            or each.id in intents
            or (each.kind is RecordKind.OUTCOME and each.data["intent"] in intents)
        ):
            yield each


def _narrowing(book: Book, records: Iterable[Record]) -> Iterator[Event]:
    """Yield the holds among unsigned records, made fit to be recorded again in runs of their own."""
    homes: dict[str, str] = {}
    tenant = book.records[-1].event.tenant
    for record in records:
        event = record.event
        if record.kind is not RecordKind.HOLD or event.tenant != tenant:
            continue
        data = {name: value for name, value in event.data.items() if name not in _UNCHECKED}
        event = replace(event, data={**data, "unsigned": True})
        if event.run in book.tips or homes.setdefault(event.run, event.commit) != event.commit:
            event = replace(event, run=f"unsigned-{sha256_of([event.run, event.commit])[:24]}")
        if len(audit.encode(replace(record, event=event))) <= audit.LINE_LIMIT - _HEADROOM:
            yield event


def vouched(record: Record) -> str | None:
    """Return the ledger commit whose records a record vouches for; `None`: it is about something else."""
    return _named(record.data, "vouches") if record.kind is RecordKind.NOTE else None


def rejected(record: Record) -> tuple[str, str] | None:
    """Return the newest ledger commit that a record rejects and the one that it continues from; `None`: it is about something else."""
    tip, anchor = (_named(record.data, name) for name in ("rejects", "restores"))
    return (tip, anchor) if record.kind is RecordKind.NOTE and tip and anchor else None


def _named(data: Mapping[str, object], name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None
