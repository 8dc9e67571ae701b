"""Append records to a ledger, and begin its segments.

An append makes its commits here, and moves the refs to them by compare-and-swap. When another writer was first, it reads the
ledger again and chains the records anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from reconciler import audit
from reconciler.audit import Attribution, Event, Record, Run
from reconciler.errors import GitError, LedgerError, ReconcileError, Unavailable
from reconciler.git import Move
from reconciler.ledger import repairs, storage, waiting
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.connection import STUCK, Connection
from reconciler.ledger.locks import Lease
from reconciler.ledger.signatures import IDENTITY
from reconciler.ledger.snapshot import LedgerSnapshot
from reconciler.ledger.waiting import WaitingRun

_REFUSED_DELETIONS: Final = 2
"""Consecutive refusals, without any moved ref, after which an append no longer deletes refs of stops."""


def _left(runs: Iterable[WaitingRun], settled: Sequence[WaitingRun]) -> tuple[WaitingRun, ...]:
    """Return the stops whose refs remain after an append that took over the records of all of them."""
    return tuple(replace(each, events=()) for each in runs if each not in settled)


class Writer:
    """Writes to a ledger. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        """Write to the ledger that `connection` leads to."""
        self._connection = connection
        self._git = connection.git
        self._guard = connection.guard
        self._lease = connection.lease
        self._names = connection.names
        self._notes = connection.notes
        self._options = connection.options
        self._world = connection.world

    def append(
        self, events: Iterable[Event], *, releasing: Lease | None = None
    ) -> tuple[Record, ...]:
        """Record events; return their records once they are acknowledged by the remote, or by this clone without a remote.

        An event that this run or another has recorded already is not added again; its record is returned.

        Args:
            events: to be recorded.
            releasing: a lock that another ledger of this run holds. The push releases it, unless somebody took it or the host refuses that.

        Raises:
            Unavailable: the remote does not answer or refuses. The events may or may not be recorded.
            GitError: git failed in this clone.
            TenantLocked: somebody else took our lock; nothing was recorded.
            LedgerError: a record or a note would be too large, or the ledger cannot be read.
        """
        wanted = tuple(events)
        with self._guard:
            self._lease.require_kept()
            groups = tuple(storage.parts(wanted)) or ((),)
            *first, last = groups
            before = [record for part in first for record in self._publish(part)]
            return (*before, *self._publish(last, releasing))

    def begin_segment(self) -> bool:
        """Begin the ledger's next segment if this one is long and we hold the lock; return whether that was done.

        A failure is no error, because the next apply tries again.
        """
        with self._guard:
            if self._lease.held is None or not self._connection.view.snapshot.is_long:
                return False
            try:
                return self._may_close_segment() and self._close_segment() is None
            except ReconcileError:
                return False

    def _may_close_segment(self) -> bool:
        """Return whether all records count and are pushed, so that a checkpoint may stand for them."""
        view, asked = self._connection.view, self._options
        counts = asked.signers is None or asked.signing_key is not None
        return counts and not view.unrecorded and view.unsigned is None

    def _close_segment(self) -> GitError | Unavailable | None:
        """Check the records of this segment, and begin the next one with a checkpoint; return the error if that failed."""
        self._connection.view.check(self._connection.tenant)
        return self._begin_segment(None)

    def _begin_segment(
        self, cut: tuple[Sequence[Record], Mapping[str, Any]] | None
    ) -> GitError | Unavailable | None:
        before, now = self._connection.view.snapshot, self._world.now()
        stored = storage.store_checkpoint(self._git, self._notes, before, now, cut)
        record, tree, notes, state = stored
        self._world.checkpoint("segment:stored")
        commit = self._commit_tree(tree, record, before.head)
        snapshot = LedgerSnapshot(commit, tree, notes, state=state)
        if error := self._advance(snapshot, *self._closing(before)):
            return error
        self._world.checkpoint("segment:moved")
        return None

    def _closing(self, before: LedgerSnapshot) -> tuple[Move, ...]:
        """Return the move that makes the ref of a closed segment; none if that ref is there already, after a rollback to this commit."""
        name = f"{before.segment + 1:06}-{str(before.head)[:12]}"
        if self._connection.store.closed().get(name) == before.head:
            return ()
        return (Move(f"{self._names.closed}/{name}", before.head, None),)

    def repair(self, head: str, defects: int, reason: str, *, by: Attribution) -> int:
        """Acknowledge the damage of the ledger at `head`: begin a segment from the records that can still be read. Needs the lock.

        Args:
            head: the ledger commit that was looked at.
            defects: what `verify` found there.
            reason: why, for later readers.
            by: who does that.

        Returns:
            The number of records that could not be kept.

        Raises:
            LedgerError: the ledger's head is another commit, no record can be read, or unsigned commits are above the signed ones.
            AccessError: the signing key is not that of a trusted signer.
            Unavailable, GitError: as `append`.
        """
        with self._guard:
            self._lease.require_kept()
            if self._lease.held is None:
                raise ValueError("no lock is held")
            self._connection.check_key()
            view = self._connection.view
            if view.refs.ledger != head or view.unsigned is not None:
                raise LedgerError(repairs.wrong_head(head, view.refs.ledger))
            at = self._connection
            kept, dropped = repairs.readable(
                at.git, at.notes, view.snapshot, at.tenant, at.options.signers
            )
            error = self._begin_segment((kept, repairs.cut(head, defects, dropped, reason, by)))
            if error is not None:
                raise error
            return dropped

    def vouch(self, head: str, reason: str, *, by: Attribution) -> Record:
        """Sign the whole ledger at `head`, so that all its records count from then on.

        Raises:
            LedgerError: the ledger's head is another commit, or its records do not verify.
            AccessError: the signing key is not that of a trusted signer.
            Unavailable, GitError: as `append`.
        """
        with self._guard:
            self._connection.check_key()
            refs = self._connection.view.refs
            if refs.ledger != head:
                raise LedgerError(
                    f"the ledger's head is {refs.ledger or 'absent'}, not {head}: read what it holds now before you sign it"
                )
            snapshot = snapshots.read(self._git, self._notes, head)
            self._connection.view = replace(self._connection.view, snapshot=snapshot, unsigned=None)
            self._connection.view.check(self._connection.tenant)
            commit = snapshot.records[-1].event.commit
            run = Run(self._connection.tenant, commit, self._world.new_id(), self._world.now, by)
            event = run.vouched(head, reason)
            _, error = self._try_append([[event]], ())
            if error is not None:
                raise error
            return self._connection.view.snapshot.by_id[event.id]

    def _publish(
        self, wanted: Sequence[Event], releasing: Lease | None = None
    ) -> tuple[Record, ...]:
        """Append the events, and before them the records of stops that wait; return the records of the events.

        When another writer was first, it retries until the budget is used up.
        """
        end = self._world.monotonic() + self._options.budget_s
        attempt = stuck = 0
        tried: LedgerSnapshot | None = None
        while True:
            view = self._connection.view
            settled = [each for each in view.waiting if each.is_settled]
            if not settled and not view.snapshot.new_records(wanted):
                return view.snapshot.of(wanted)
            if tried is not None and self._is_acknowledged(tried):
                return tried.of(wanted)
            self._connection.require_allowed()
            groups = [part for each in settled for part in storage.parts(each.events)]
            groups.append((*self._rejection(), *view.unsigned_holds, *wanted))
            self._make_room([event for group in groups for event in group])
            # A host that refuses to delete refs must not keep anything from being recorded.
            deleted, lock = (settled, releasing) if stuck < _REFUSED_DELETIONS else ([], None)
            tried, error = self._try_append(groups, deleted, lock)
            if error is None:
                return tried.of(wanted)
            self._world.checkpoint("ledger:refused")
            self._connection.pause(attempt)
            attempt += 1
            self._connection.refresh()
            stuck = stuck + 1 if self._connection.view.refs == view.refs else 0
            if stuck >= STUCK or self._world.monotonic() > end:
                raise self._connection.explained(error)

    def _is_acknowledged(self, tried: LedgerSnapshot) -> bool:
        """Return whether a commit that we tried to push is in the ledger. A later checkpoint may have left its records out already."""
        head = self._connection.view.refs.ledger
        return None not in {head, tried.head} and self._git.is_ancestor(str(tried.head), str(head))

    def _make_room(self, events: Sequence[Event]) -> None:
        """Begin the next segment first if a note would become long. A failure is no error: notes may become longer."""
        snapshot = self._connection.view.snapshot
        records = snapshot.new_records(events)
        if self._lease.held is None or snapshot.has_room(records) or not self._may_close_segment():
            return
        with contextlib.suppress(ReconcileError):
            self._close_segment()

    def _rejection(self) -> tuple[Event, ...]:
        """Return a `note` record that lists the unsigned records left out by the next signed commit; empty if there are none."""
        found = self._connection.view.unsigned
        if found is None or self._options.signing_key is None:
            return ()
        return (found.rejection(self._connection.view.snapshot, audit.stamp(self._world.now())),)

    def _try_append(
        self,
        groups: Iterable[Sequence[Event]],
        settled: Sequence[WaitingRun],
        releasing: Lease | None = None,
    ) -> tuple[LedgerSnapshot, GitError | Unavailable | None]:
        """Make a ledger commit for each group of events, and move the refs to the last one, with a heartbeat.

        Args:
            groups: the events of each commit.
            settled: stops whose records the groups hold; their refs are deleted.
            releasing: see `append`.

        Returns:
            The ledger at the last commit, and the error if the refs could not be moved.
        """
        snapshot = self._connection.view.snapshot
        for events in groups:
            if records := snapshot.new_records(events):
                snapshot = self._commit(snapshot, records)
        moves = [Move(each.ref, None, each.commit, exact=True) for each in settled if each.commit]
        ours = None if releasing is None else releasing.held
        if ours and ours.commit == self._connection.view.refs.lock:
            moves.append(Move(self._names.lock, None, ours.commit, exact=True))
        if error := self._advance(snapshot, *moves):
            return snapshot, error
        self._world.checkpoint("ledger:moved")
        self._connection.view = replace(
            self._connection.view, waiting=_left(self._connection.view.waiting, settled)
        )
        if releasing is not None:
            releasing.drop()
        for each in settled:
            if each.here is not None:
                waiting.forget(self._git, each.ref, each.here)
        return snapshot, None

    def _advance(self, snapshot: LedgerSnapshot, *more: Move) -> GitError | Unavailable | None:
        """Move the ledger to a commit of ours, with a heartbeat and other moves; return the error if that failed."""
        moves = list(more)
        if snapshot.head is not None and snapshot.head != self._connection.view.refs.ledger:
            moves.insert(
                0, Move(self._names.ledger, snapshot.head, self._connection.view.refs.ledger)
            )
        held, beat = self._lease.held, self._lease.beat()
        if held and beat:
            moves.append(Move(self._names.lock, beat.commit, held.commit, exact=True))
        if moves and (error := self._connection.move(*moves)):
            return error
        view = self._connection.view
        self._connection.view = replace(view, snapshot=snapshot, unsigned=None, strayed=False)
        self._lease.held = beat
        return None

    def _commit(self, snapshot: LedgerSnapshot, records: Sequence[Record]) -> LedgerSnapshot:
        """Store a ledger commit that adds records to a snapshot. No ref moves."""
        head = snapshot.head
        tree, notes = storage.store(self._git, self._notes, snapshot, records)
        self._world.checkpoint("ledger:stored")
        commit = self._commit_tree(tree, records[-1], head)
        self._world.checkpoint("ledger:committed")
        return LedgerSnapshot(commit, tree, notes, state=snapshot.state)

    def _commit_tree(self, tree: str, last: Record, parent: str | None) -> str:
        """Store a ledger commit whose last record is `last`; return its id. No ref moves."""
        return self._git.commit_tree(
            tree,
            parents=[parent] if parent else [],
            message=snapshots.message(last),
            identity=IDENTITY,
            at=self._world.now(),
            signing_key=self._options.signing_key,
        )
