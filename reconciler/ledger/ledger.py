"""One tenant's ledger: read, append, verify, and hold the tenant's lock.

One class holds both the records and the lock, because an append and a heartbeat move their refs in one atomic push.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from reconciler import audit
from reconciler.audit import Attribution, Event, Record, Run, Verdict
from reconciler.errors import GitError, LedgerError, ReconcileError, Unavailable
from reconciler.git import Git, Move
from reconciler.ledger import foreign, history, locks, reading, repairs, signatures, waiting
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.locks import Lease, Lock
from reconciler.ledger.notes import Notes
from reconciler.ledger.past import Past
from reconciler.ledger.reading import LedgerOptions, View
from reconciler.ledger.refs import LocalRefs, RefNames, RefState, RefStore
from reconciler.ledger.remote_refs import RemoteRefs
from reconciler.ledger.signatures import IDENTITY
from reconciler.ledger.snapshot import LedgerSnapshot
from reconciler.ledger.waiting import WaitingRun
from reconciler.world import Clock, World

CHECKPOINTS: Final = (
    "lock:made",
    "lock:moved",
    "lock:beating",
    "lock:beaten",
    "ledger:read",
    "ledger:stored",
    "ledger:committed",
    "ledger:moved",
    "ledger:refused",
    "segment:stored",
    "segment:moved",
    "release:refused",
    "release:moved",
)
"""Points that `World.checkpoint` is called with. A crash at any of them loses nothing; tests end the process there."""

_STUCK: Final = 5
"""Consecutive refusals, without any moved ref, after which the cause cannot be a race."""

_REFUSED_DELETIONS: Final = 2
"""Consecutive refusals, without any moved ref, after which an append no longer deletes refs of stops."""

_BEAT_RETRIES: Final = 2
"""Retries of a heartbeat: one that is lost on the way must not stop a run."""

_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


def backoff_s(attempt: int, chance: float) -> float:
    """Return seconds to wait before a retry: half fixed, half by chance (0 to 1), so that the last winner has no advantage."""
    longest: float = min(_LONGEST_PAUSE_S, _PAUSE_S * 2 ** min(attempt, 10))
    return longest * (1 + chance) / 2


def _left(runs: Iterable[WaitingRun], settled: Sequence[WaitingRun]) -> tuple[WaitingRun, ...]:
    """Return the stops whose refs remain after an append that took over the records of all of them."""
    return tuple(replace(each, events=()) for each in runs if each not in settled)


class Ledger:
    """One tenant's ledger. Safe to use from several threads."""

    def __init__(
        self, git: Git, tenant: str, store: RefStore, world: World, options: LedgerOptions
    ) -> None:
        """Use `store` for the ledger of `tenant`. Callers use `open`, which chooses the store and reads the ledger."""
        self.tenant = tenant
        self._git = git
        self._store = store
        self._world = world
        self._options = options
        self._names = RefNames.of(tenant)
        self._notes = Notes(git)
        self._guard = threading.RLock()
        self._view = View(RefState(None, None))
        self._lease = Lease(git, world, options.called or tenant)
        self._proved = False

    @classmethod
    def open(
        cls,
        git: Git,
        tenant: str,
        world: World,
        *,
        remote: str | None = None,
        options: LedgerOptions | None = None,
    ) -> Ledger:
        """Open and read a tenant's ledger.

        Args:
            git: the repository.
            tenant: the identity of the tenant's platform, which the records name.
            world: clocks, sleep and randomness.
            remote: name or URL of the git remote whose refs decide; `None` means this clone's refs.
            options: see `LedgerOptions`.

        Raises:
            Unavailable: the remote does not answer, which never means an empty ledger.
            LedgerError: the ledger cannot be read, or was rolled back.
        """
        chosen = options or LedgerOptions()
        names = RefNames.of(tenant)
        store: RefStore = LocalRefs(git, names)
        if remote is not None:
            store = RemoteRefs(
                git,
                names,
                remote,
                mirrors=chosen.mirror,
                sleep=world.block,
                signers=chosen.signers,
                strict=not chosen.stop,
            )
        ledger = cls(git, tenant, store, world, chosen)
        ledger.refresh()
        return ledger

    # --- reading ------------------------------------------------------------------------------------------------------

    @property
    def head(self) -> str | None:
        """The acknowledged ledger commit: the remote's, or this clone's without a remote. `None` means that there is no ledger yet."""
        return self._view.refs.acknowledged

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a report (`View.remarks`)."""
        remote = self._store.name if isinstance(self._store, RemoteRefs) else None
        return self._view.remarks(self._names, remote)

    def refresh(self) -> None:
        """Read the ledger again, fetching first if there is a remote.

        Raises:
            Unavailable: the remote does not answer.
            LedgerError: the ledger cannot be read, or was rolled back.
            TenantLocked: somebody else took our lock.
        """
        with self._guard:
            refs = self._store.read()
            self._view = replace(self._view, refs=refs)
            self._world.checkpoint("ledger:read")
            self._lease.observe(refs.lock)
            self._view = reading.read(
                self._git, self._notes, refs, self._options, self._view, tenant=self.tenant
            )
            problem = self.problem()
            if problem is not None and not (self._options.stop or self._options.unchecked):
                raise LedgerError(problem)
            if problem is None:
                self._view = replace(self._view, refs=self._store.keep(refs))

    def problem(self) -> str | None:
        """Return why the ledger that was read is not the tenant's, or not reconcile's, with what to do; `None` if it is."""
        return foreign.problem(self._place(), self._view.snapshot, self._options)

    def foreign_commit(self) -> str | None:
        """Return what is wrong if the ledger's newest commit was not made by reconcile; `None` if it was."""
        return foreign.commit(self._place()) if self._view.snapshot.foreign else None

    def _place(self) -> foreign.LedgerPlace:
        refs = self._view.refs
        return foreign.LedgerPlace(self._names, self._store.name, refs, self._git, self._notes)

    def fetch_history(self) -> None:
        """Fetch the ledger's history into a shallow clone. Commands that read more than the newest segment need it.

        Raises:
            Unavailable: the remote does not answer.
        """
        with self._guard:
            self._store.deepen()

    def records(self) -> tuple[Record, ...]:
        """Return all records, in the ledger's order.

        Raises:
            LedgerError: a line is not a record.
        """
        with self._guard:
            snapshot = self._view.snapshot
            if defects := snapshot.unreadable:
                raise LedgerError(f"{defects[0]}. See: reconcile audit verify")
            return (*snapshot.records, *snapshot.new_records(self._view.unrecorded))

    @property
    def objection(self) -> LedgerError | None:
        """Why no operation may start: the mirror branch holds records that the ledger does not. `None`: it may."""
        if not self._is_blocked:
            return None
        return LedgerError(f"{self._view.refs.warning}. Until then nothing is applied or released")

    def past(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield the records of all segments in order, checked one by one, then those that the next append must add.

        Args:
            since: leave out closed segments of which every record is older.

        Raises:
            LedgerError: a record is bad, or this clone lacks a segment.
            Unavailable: this clone is shallow, and the remote does not answer.
        """
        with self._guard:
            self._store.deepen()
            snapshot = self._view.snapshot
            added = snapshot.new_records(self._view.unrecorded)
        found = Past(self._git, self._notes, snapshot.tree, self.tenant)
        yield from found.records(since)
        yield from added

    def open_intents(self) -> tuple[Record, ...]:
        """Return the intents whose outcome is not recorded."""
        return audit.open_intents(self.records())

    def last_applied(self) -> str | None:
        """Return the commit of the last apply; an emergency stop applies none."""
        commits = audit.applied_commits(self.records())
        return commits[-1] if commits else None

    def check(self) -> None:
        """Check the records against each other. `verify` checks the history and the witnesses as well.

        Raises:
            LedgerError: names the first bad record.
        """
        with self._guard:
            self.records()
            defects = self._view.snapshot.verify(self.tenant)
        if defects:
            raise LedgerError(
                f"the ledger does not verify: {defects[0]}. See: reconcile audit verify"
            )

    def verify(self, *, expect_head: str | None = None, signers: bytes | None = None) -> Verdict:
        """Check the whole ledger: records, history and every witness.

        Args:
            expect_head: a ledger commit, noted down earlier, that the ledger must hold.
            signers: content of an allowed signers file to use instead of the ledger's own. Every ledger commit is checked.

        Raises:
            LedgerError: the ledger cannot be read at all, or its history is shallow.
        """
        self.refresh()
        self.fetch_history()
        with self._guard:
            view = self._view
            closed = self._store.closed()
            head = view.snapshot.head
            subject = history.LedgerHistory(self._git, self._notes, head, self.tenant, closed)
            problem = self.problem()
        if problem is not None and view.refs.ledger is None:
            raise LedgerError(problem)
        verdict = history.verify(
            subject,
            mirror=view.refs.mirror,
            expect_head=expect_head,
            signers=signers or self._options.signers,
        )
        found = () if problem is None else (audit.Defect("", 0, problem),)
        return replace(verdict, defects=(*verdict.defects, *found))

    # --- appending ----------------------------------------------------------------------------------------------------

    def append(self, events: Iterable[Event]) -> tuple[Record, ...]:
        """Record events; return their records once they are acknowledged by the remote, or by this clone without a remote.

        An event that this run or another has recorded already is not added again; its record is returned.

        Raises:
            Unavailable: the remote does not answer or refuses. The events may or may not be recorded.
            GitError: git failed in this clone.
            TenantLocked: somebody else took our lock; nothing was recorded.
            LedgerError: a record or a note would be too large, or the ledger cannot be read.
        """
        wanted = tuple(events)
        with self._guard:
            self._lease.require_kept()
            groups = tuple(snapshots.parts(wanted)) or ((),)
            return tuple(record for part in groups for record in self._publish(part))

    def begin_segment(self) -> bool:
        """Begin the ledger's next segment if this one is long and we hold the lock; return whether that was done.

        A failure is no error, because the next apply tries again.
        """
        with self._guard:
            if self._lease.held is None or not self._view.snapshot.is_long:
                return False
            try:
                return self._may_close_segment() and self._close_segment() is None
            except ReconcileError:
                return False

    def _may_close_segment(self) -> bool:
        """Return whether all records count and are pushed, so that a checkpoint may stand for them."""
        view, asked = self._view, self._options
        counts = asked.signers is None or asked.signing_key is not None
        return counts and not view.unrecorded and view.unsigned is None

    def _close_segment(self) -> GitError | Unavailable | None:
        """Check the records of this segment, and begin the next one with a checkpoint; return the error if that failed."""
        self.check()
        return self._begin_segment(None)

    def _begin_segment(
        self, cut: tuple[Sequence[Record], Mapping[str, Any]] | None
    ) -> GitError | Unavailable | None:
        before, now = self._view.snapshot, self._world.now()
        stored = snapshots.store_checkpoint(self._git, self._notes, before, now, cut)
        record, tree, notes, state = stored
        self._world.checkpoint("segment:stored")
        commit = self._commit_tree(tree, record, before.head)
        ref = f"{self._names.closed}/{before.segment + 1:06}-{str(before.head)[:12]}"
        snapshot = LedgerSnapshot(commit, tree, notes, state=state)
        if error := self._advance(snapshot, Move(ref, before.head, None)):
            return error
        self._world.checkpoint("segment:moved")
        return None

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
            self._check_key()
            view = self._view
            if view.refs.ledger != head or view.unsigned is not None:
                raise LedgerError(repairs.wrong_head(head, view.refs.ledger))
            kept, dropped = repairs.readable(view.snapshot, self.tenant)
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
            self._check_key()
            refs = self._view.refs
            if refs.ledger != head:
                raise LedgerError(
                    f"the ledger's head is {refs.ledger or 'absent'}, not {head}: read what it holds now before you sign it"
                )
            snapshot = snapshots.read(self._git, self._notes, head)
            self._view = replace(self._view, snapshot=snapshot, unsigned=None)
            self.check()
            commit = snapshot.records[-1].event.commit
            run = Run(self.tenant, commit, self._world.new_id(), self._world.now, by)
            event = run.vouched(head, reason)
            _, error = self._try_append([[event]], ())
            if error is not None:
                raise error
            return self._view.snapshot.by_id[event.id]

    @property
    def _is_blocked(self) -> bool:
        """Whether the mirror branch forbids new operations. A run that holds the lock may finish its own."""
        return self._view.refs.blocked and self._lease.held is None and not self._options.stop

    def _publish(self, wanted: Sequence[Event]) -> tuple[Record, ...]:
        """Append the events, and before them the records of stops that wait; return the records of the events.

        When another writer was first, it retries until the budget is used up.
        """
        end = self._world.monotonic() + self._options.budget_s
        attempt = stuck = 0
        tried: LedgerSnapshot | None = None
        while True:
            view = self._view
            settled = [each for each in view.waiting if each.is_settled]
            if not settled and not view.snapshot.new_records(wanted):
                return view.snapshot.of(wanted)
            if tried is not None and self._is_acknowledged(tried):
                return tried.of(wanted)
            self._require_allowed()
            groups = [part for each in settled for part in snapshots.parts(each.events)]
            groups.append((*self._rejection(), *view.unsigned_holds, *wanted))
            self._make_room([event for group in groups for event in group])
            # A host that refuses to delete refs must not keep anything from being recorded.
            deleted = settled if stuck < _REFUSED_DELETIONS else []
            tried, error = self._try_append(groups, deleted)
            if error is None:
                return tried.of(wanted)
            self._world.checkpoint("ledger:refused")
            self._pause(attempt)
            attempt += 1
            self.refresh()
            stuck = stuck + 1 if self._view.refs == view.refs else 0
            if stuck >= _STUCK or self._world.monotonic() > end:
                raise error

    def _is_acknowledged(self, tried: LedgerSnapshot) -> bool:
        """Return whether a commit that we tried to push is in the ledger. A later checkpoint may have left its records out already."""
        head = self._view.refs.ledger
        return None not in {head, tried.head} and self._git.is_ancestor(str(tried.head), str(head))

    def _make_room(self, events: Sequence[Event]) -> None:
        """Begin the next segment first if a note would become long. A failure is no error: notes may become longer."""
        snapshot = self._view.snapshot
        records = snapshot.new_records(events)
        if self._lease.held is None or snapshot.has_room(records) or not self._may_close_segment():
            return
        with contextlib.suppress(ReconcileError):
            self._close_segment()

    def _rejection(self) -> tuple[Event, ...]:
        """Return a `note` record that lists the unsigned records left out by the next signed commit; empty if there are none."""
        found = self._view.unsigned
        if found is None or self._options.signing_key is None:
            return ()
        return (found.rejection(self._view.snapshot, audit.stamp(self._world.now())),)

    def _require_allowed(self) -> None:
        """Refuse to start an operation if the mirror branch or the signing key forbids it.

        Raises:
            LedgerError: the mirror branch holds records that the ledger does not.
            AccessError: the signing key is not that of a trusted signer.
        """
        if (error := self.objection) is not None:
            raise error
        if not self._options.stop:
            self._check_key()

    def _check_key(self) -> None:
        """Check the signing key once, before anything is recorded (`signatures.check_key`)."""
        key, signers = self._options.signing_key, self._options.signers
        if key is not None and signers is not None and not self._proved:
            signatures.check_key(self._git, key, signers, self._world.now())
            self._proved = True

    def _try_append(
        self, groups: Iterable[Sequence[Event]], settled: Sequence[WaitingRun]
    ) -> tuple[LedgerSnapshot, GitError | Unavailable | None]:
        """Make a ledger commit for each group of events, and move the refs to the last one, with a heartbeat.

        Args:
            groups: the events of each commit.
            settled: stops whose records the groups hold; their refs are deleted.

        Returns:
            The ledger at the last commit, and the error if the refs could not be moved.
        """
        snapshot = self._view.snapshot
        for events in groups:
            if records := snapshot.new_records(events):
                snapshot = self._commit(snapshot, records)
        moves = [Move(each.ref, None, each.commit, exact=True) for each in settled if each.commit]
        if error := self._advance(snapshot, *moves):
            return snapshot, error
        self._world.checkpoint("ledger:moved")
        self._view = replace(self._view, waiting=_left(self._view.waiting, settled))
        for each in settled:
            if each.here is not None:
                waiting.forget(self._git, each.ref, each.here)
        return snapshot, None

    def _advance(self, snapshot: LedgerSnapshot, *more: Move) -> GitError | Unavailable | None:
        """Move the ledger to a commit of ours, with a heartbeat and other moves; return the error if that failed."""
        moves = list(more)
        if snapshot.head is not None and snapshot.head != self._view.refs.ledger:
            moves.insert(0, Move(self._names.ledger, snapshot.head, self._view.refs.ledger))
        held, beat = self._lease.held, self._lease.beat()
        if held and beat:
            moves.append(Move(self._names.lock, beat.commit, held.commit, exact=True))
        if moves and (error := self._move(*moves)):
            return error
        self._view = View(self._view.refs, snapshot, waiting=self._view.waiting)
        self._lease.held = beat
        return None

    def _commit(self, snapshot: LedgerSnapshot, records: Sequence[Record]) -> LedgerSnapshot:
        """Store a ledger commit that adds records to a snapshot. No ref moves."""
        head = snapshot.head
        tree, notes = snapshots.store(self._git, self._notes, snapshot, records)
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

    def _move(self, *moves: Move) -> GitError | Unavailable | None:
        """Move refs; return the error if that failed or its result is unknown."""
        try:
            self._view = replace(self._view, refs=self._store.move(self._view.refs, *moves))
        except (GitError, Unavailable) as error:
            return error
        return None

    def _pause(self, attempt: int) -> None:
        self._world.block(backoff_s(attempt, self._world.random.random()))

    # --- the lock -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(
        self, *, holder: str, run_url: str | None = None, force: bool = False
    ) -> Iterator[Ledger]:
        """Hold the tenant's lock, with the ledger read again and checked (`acquire`, `check`, `release`).

        Raises:
            TenantLocked: somebody else holds the lock.
            LedgerError: the ledger does not verify.
        """
        try:
            self.acquire(holder=holder, run_url=run_url, force=force)
            self.check()
            yield self
        finally:
            self.release()

    def go_by(self, clock: Clock) -> None:
        """Stamp locks by this clock from now on, and decide by it which have expired. Without it this machine's clock counts."""
        self._lease.clock = clock

    def acquire(self, *, holder: str, run_url: str | None = None, force: bool = False) -> None:
        """Take the tenant's lock, and read the ledger again.

        Args:
            holder: shown to whoever has to wait.
            run_url: link to the run.
            force: take the lock from whoever holds it (an emergency stop).

        Raises:
            TenantLocked: somebody else holds the lock.
            GitError, Unavailable: the lock cannot be taken.
            LedgerError, AccessError: the mirror branch or the signing key does not permit new operations.
        """
        with self._guard:
            self._require_allowed()
            self.refresh()
            mine = self._lease.make(holder, run_url)
            self._world.checkpoint("lock:made")
            for attempt in itertools.count():
                if attempt:
                    self.refresh()
                if (current := self._view.refs.lock) == mine.commit:
                    break  # the last try looked refused, but was not
                standing = self._read_lock(current)
                if standing and not force and not standing.expired(self._lease.clock.passed()):
                    called, clocks = (
                        self._options.called or self.tenant,
                        self._lease.clock.contradiction(),
                    )
                    raise locks.refusal(called, self._names.lock, standing, clocks)
                error = self._move(Move(self._names.lock, mine.commit, current, exact=True))
                if error is None:
                    break
                if attempt >= _STUCK:
                    raise error
                self._pause(attempt)
            self._world.checkpoint("lock:moved")
            self._lease.held = mine
            self.refresh()

    def release(self) -> None:
        """Release the lock, if it is ours. If that fails, the lock expires."""
        with self._guard:
            if held := self._lease.drop():
                error = self._move(Move(self._names.lock, None, held.commit, exact=True))
                self._world.checkpoint("release:refused" if error else "release:moved")

    def heartbeat(self) -> None:
        """Prove that the lock is still ours, and extend it.

        Raises:
            TenantLocked: somebody else took the lock.
            GitError, Unavailable: the result is unknown.
        """
        with self._guard:
            self._lease.require_kept()
            held, beat = self._lease.held, self._lease.beat()
            if held is None or beat is None:
                raise ValueError("no lock is held")
            self._world.checkpoint("lock:beating")
            move = Move(self._names.lock, beat.commit, held.commit, exact=True)
            for attempt in itertools.count():
                error = self._move(move)
                self._world.checkpoint("lock:beaten")
                if error is None:
                    self._lease.held = beat
                    return
                self._pause(attempt)
                self.refresh()
                if self._lease.held is beat:
                    return
                if attempt >= _BEAT_RETRIES:
                    raise error

    def may_write(self) -> bool:
        """Return whether the platform may be written to (`Lease.is_fresh`)."""
        return self._lease.is_fresh()

    def still_ours(self, limit_s: float | None = None) -> bool:
        """Return whether the lock is still ours, without extending it. Does not wait for another thread that uses this ledger.

        Args:
            limit_s: time limit in seconds, if not the usual one.

        Raises:
            GitError, Unavailable: the lock cannot be read.
        """
        return self._lease.made(self._store.lock(limit_s))

    @property
    def has_new_stops(self) -> bool:
        """Whether `still_ours` saw records of stops that the last `refresh` did not read."""
        return not self._store.stops <= self._view.refs.waiting.keys()

    def lock(self) -> Lock | None:
        """Return the tenant's lock as it is now; `None` if nobody holds it."""
        with self._guard:
            return self._read_lock(self._store.read().lock)

    def seen_lock(self) -> Lock | None:
        """Return the tenant's lock as it was when the ledger was last read; `None` if nobody held it, or if it has expired."""
        lock = self._read_lock(self._view.refs.lock)
        return None if lock is None or lock.expired(self._lease.clock.passed()) else lock

    def release_lock(self) -> Lock | None:
        """Delete the tenant's lock, whoever holds it; return the deleted lock, or `None` if there was none.

        Raises:
            GitError, Unavailable: the lock changed meanwhile, or the remote does not answer.
        """
        with self._guard:
            refs = self._store.read()
            if refs.lock is not None:
                self._store.move(refs, Move(self._names.lock, None, refs.lock, exact=True))
            return self._read_lock(refs.lock)

    def _read_lock(self, commit: str | None) -> Lock | None:
        return None if commit is None else locks.read(self._git, commit)
