"""Append to one tenant's ledger, and hold its lock."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.audit import Event, Provenance, Record, Run, stamp
from reconciler.errors import AccessError, GitError, LedgerError, TenantLocked, Unavailable
from reconciler.git import Git, Move
from reconciler.ledger import history, locks
from reconciler.ledger import snapshot as books
from reconciler.ledger.locks import TTL_S, Lock
from reconciler.ledger.reading import Options, Reader
from reconciler.ledger.refs import Store

_STUCK: Final = 5
"""Refusals in a row, with nothing moved by anybody else, after which it is no race."""

_BEATS: Final = 2
"""Further tries at a heartbeat: one that is lost on the way must not stop a run."""

_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Held:
    """The lock that is ours: its commit, what it says, and when (both clocks) the beat that proved it began."""

    commit: str
    lock: Lock
    monotonic: float
    wall: datetime


class Ledger(Reader):
    """One tenant's ledger. Safe to use from several threads."""

    def __init__(
        self, git: Git, tenant: str, store: Store, clock: Callable[[], datetime], options: Options
    ) -> None:
        """Keep the ledger of `tenant` in `store`; `open` chooses one and reads it."""
        super().__init__(git, tenant, store, clock, options)
        self._held: _Held | None = None
        self._beat: _Held | None = None
        self._lost: TenantLocked | None = None
        self._proved = False

    # --- appending ----------------------------------------------------------------------------------------------------

    def append(self, events: Iterable[Event]) -> tuple[Record, ...]:
        """Record events, and return their records once they are acknowledged where it counts.

        An event that is there already, written by this run or another, is not added: its record is returned.

        Raises:
            Unavailable: the remote does not answer or will not take them; they may or may not be recorded.
            GitError: git could not, here.
            TenantLocked: the lock that we held is no longer ours; nothing was recorded.
            LedgerError: a record or a note would be too large, or the ledger cannot be read.
        """
        wanted = tuple(events)
        with self._guard:
            self._not_lost()
            self._publish(wanted)
            return tuple(self._book.by_id[event.id] for event in wanted)

    def publish(self) -> bool:
        """Bring to the remote what was recorded here while it was out of reach; return whether there was anything.

        Raises:
            Unavailable, GitError, TenantLocked, LedgerError: as `append`; what is here stays here.
        """
        with self._guard:
            if not self._pending and self._book.head == self._heads.ledger:
                return False
            if self._is_refused:
                return False
            self._publish(())
            return True

    def _publish(self, wanted: Sequence[Event]) -> None:
        options = self._options
        end = options.monotonic() + options.budget_s
        stuck = 0
        for attempt in itertools.count():
            if not self._book.added((*self._pending, *wanted)) and (
                self._book.head == self._heads.ledger
            ):
                return
            self._require_allowed()
            error = self._try(self._book.added((*self._rejection(), *self._further(), *wanted)))
            if error is None:
                return
            options.checkpoint("ledger:refused")
            before = self._heads
            self._pause(attempt)
            self.refresh()
            stuck = stuck + 1 if self._heads == before else 0
            if stuck >= _STUCK or options.monotonic() > end:
                raise error

    def _rejection(self) -> tuple[Event, ...]:
        """Return the note that says which records a signed commit leaves out, where it leaves any out."""
        found = self._unsigned
        if found is None or self._options.signing_key is None:
            return ()
        return (found.rejection(self._book, stamp(self._clock())),)

    @property
    def _is_refused(self) -> bool:
        """Whether the mirror branch forbids to begin anything. A run that holds the lock may end what it began."""
        return self._heads.refused and self._held is None and not self._options.stop

    def _require_allowed(self) -> None:
        """Refuse to begin what the mirror branch or the signing key forbid.

        Raises:
            LedgerError: the mirror branch holds records that the ledger does not.
            AccessError: the signing key is not that of a trusted signer, so what it signs would count for nothing.
        """
        if self._is_refused:
            raise LedgerError(f"{self._heads.said}. Until then nothing is applied or released")
        if not self._options.stop:
            self._prove()

    def _prove(self) -> None:
        """Sign a commit that no ref leads to, and check the signature: once, before anything is recorded.

        Raises:
            AccessError: the key is not that of a trusted signer, so what it signs would count for nothing.
        """
        key, signers = self._options.signing_key, self._options.signers
        if key is None or signers is None or self._proved:
            return
        commit = self._git.commit_tree(
            self._git.empty_tree,
            parents=[],
            message="key\n",
            identity=self._options.identity,
            at=self._clock(),
            signing_key=key,
        )
        if not self._git.signatures(commit, signers)[commit].good:
            raise AccessError(
                "RECONCILE_SIGNING_KEY is not the key of a trusted signer, so what it signs would count for nothing: use the key"
                " of one. A key counts from the change after the one that adds it to audit.signers of tenant.yaml: apply that one with a key that"
                " counts already"
            )
        self._proved = True

    def vouch(self, head: str, reason: str, *, new_id: Callable[[], str], by: Provenance) -> Record:
        """Sign the whole ledger as it stands at `head`: from then on all of it counts.

        Raises:
            LedgerError: the ledger's head is another one, or what it holds does not verify.
            AccessError: the signing key is not that of a trusted signer.
            Unavailable, GitError: as `append`.
        """
        with self._guard:
            self._prove()
            if self._heads.ledger != head:
                raise LedgerError(
                    f"the ledger's head is {self._heads.ledger or 'absent'}, not {head}: read what it holds now before you sign it"
                )
            self._book, self._unsigned = books.read(self._git, self._notes, head), None
            self.check()
            commit = self._book.records[-1].event.commit
            event = Run(self.tenant, commit, new_id(), self._clock, by).vouched(head, reason)
            error = self._try(self._book.added([event, *self._pending]))
            if error is not None:
                raise error
            return self._book.by_id[event.id]

    def _pause(self, attempt: int) -> None:
        """Wait before trying again: half fixed, half random, so that the last winner is not favoured."""
        longest = min(_LONGEST_PAUSE_S, _PAUSE_S * 2 ** min(attempt, 10))
        self._options.sleep(longest * (1 + self._options.random()) / 2)

    def _try(self, records: Sequence[Record]) -> GitError | Unavailable | None:
        """Build a ledger commit and move the refs to it, with a heartbeat; return why that was not done."""
        book = self._committed(records) if records else self._book
        if book.head is None:
            raise ValueError("nothing to record")
        moves = [Move(self._names.ledger, book.head, self._heads.ledger)]
        beat = self._next_beat()
        if beat and self._held:
            moves.append(Move(self._names.lock, beat.commit, self._held.commit, exact=True))
        self._beat = beat
        try:
            self._heads = self._store.move(self._heads, *moves)
        except (GitError, Unavailable) as error:
            return error
        self._options.checkpoint("ledger:moved")
        self._book, self._pending, self._unsigned, self._held = book, (), None, beat
        return None

    def _committed(self, records: Sequence[Record]) -> books.Book:
        options = self._options
        head = self._book.head
        tree, pages = books.extended(self._git, self._notes, self._book, records)
        options.checkpoint("ledger:stored")
        commit = self._git.commit_tree(
            tree,
            parents=[head] if head else [],
            message=history.message(records[-1]),
            identity=options.identity,
            at=self._clock(),
            signing_key=options.signing_key,
        )
        options.checkpoint("ledger:committed")
        return books.Book(commit, tree, pages)

    # --- the lock -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(
        self, *, holder: str, run_url: str | None = None, force: bool = False
    ) -> Iterator[Ledger]:
        """Hold the tenant's lock, with the ledger read again and verified (`acquire`, `check`, `release`).

        Raises:
            TenantLocked: somebody else holds it.
            LedgerError: the ledger does not verify.
        """
        try:
            self.acquire(holder=holder, run_url=run_url, force=force)
            self.check()
            yield self
        finally:
            self.release()

    def acquire(self, *, holder: str, run_url: str | None = None, force: bool = False) -> None:
        """Take the tenant's lock, and read the ledger again.

        Args:
            holder: who, for whoever waits.
            run_url: where the run can be watched.
            force: take it from whoever holds it (an emergency stop).

        Raises:
            TenantLocked: somebody else holds it.
            GitError, Unavailable: it cannot be taken.
            LedgerError, AccessError: the mirror branch or the signing key forbid to begin.
        """
        lock = locks.fresh(holder, run_url, self._options.nonce(), self._clock())
        with self._guard:
            self._require_allowed()
            mine = self._beat_of(lock, parent=None)
            self._options.checkpoint("lock:made")
            for attempt in itertools.count():
                self.refresh()
                if self._heads.lock == mine.commit:
                    break  # the last try was refused, or so it seemed
                standing = self._standing(self._heads.lock)
                if standing and not force and not standing.expired(self._clock()):
                    raise locks.refusal(self._called, self._names.lock, standing)
                error = self._moved(
                    Move(self._names.lock, mine.commit, self._heads.lock, exact=True)
                )
                if error is None:
                    break
                if attempt >= _STUCK:
                    raise error
                self._pause(attempt)
            self._options.checkpoint("lock:moved")
            self._held = mine
            self.refresh()

    def _moved(self, move: Move) -> GitError | Unavailable | None:
        """Move the lock; return why that was not done, or seems not to be."""
        try:
            self._heads = self._store.move(self._heads, move)
        except (GitError, Unavailable) as error:
            return error
        return None

    def release(self) -> None:
        """Give the lock back. One that cannot be given back expires; one that was taken is not ours to give."""
        with self._guard:
            held, self._held, self._beat, self._lost = self._held, None, None, None
            if held is None:
                return
            error = self._moved(Move(self._names.lock, None, held.commit, exact=True))
            self._options.checkpoint("release:refused" if error else "release:moved")

    def heartbeat(self) -> None:
        """Prove that the lock is still ours, and extend it.

        Raises:
            TenantLocked: it is not.
            GitError, Unavailable: it could not be learned.
        """
        with self._guard:
            self._not_lost()
            held, beat = self._held, self._next_beat()
            if held is None or beat is None:
                raise ValueError("no lock is held")
            self._beat = beat
            self._options.checkpoint("lock:beating")
            move = Move(self._names.lock, beat.commit, held.commit, exact=True)
            for attempt in itertools.count():
                error = self._moved(move)
                self._options.checkpoint("lock:beaten")
                if error is None:
                    self._held = beat
                    return
                self._pause(attempt)
                self.refresh()
                if self._held is beat:
                    return
                if attempt >= _BEATS:
                    raise error

    def may_write(self) -> bool:
        """Return whether the platform may be written to: the last acknowledged heartbeat is younger than half the expiry.

        Both clocks count, since a machine that slept may have stopped the monotonic one.
        """
        held = self._held
        if held is None:
            return False
        elapsed = max(
            self._options.monotonic() - held.monotonic,
            (self._clock() - held.wall).total_seconds(),
        )
        return elapsed < TTL_S / 2

    def still_ours(self) -> bool:
        """Look whether the lock is still ours, without extending it."""
        with self._guard:
            held = self._held
            return held is not None and self._store.read().lock == held.commit

    def lock(self) -> Lock | None:
        """Return who holds the tenant's lock, as of now."""
        with self._guard:
            return self._standing(self._store.read().lock)

    def release_lock(self) -> Lock | None:
        """Take the lock away from whoever holds it, and return what it said; `None`: nobody held it.

        Raises:
            GitError, Unavailable: it moved meanwhile, or the remote does not answer.
        """
        with self._guard:
            heads = self._store.read()
            if heads.lock is not None:
                self._store.move(heads, Move(self._names.lock, None, heads.lock, exact=True))
            return self._standing(heads.lock)

    def _standing(self, commit: str | None) -> Lock | None:
        return None if commit is None else locks.read(self._git, commit)

    def _notice(self) -> None:
        """After a move of unknown fate: the lock is at our last beat, at our next one, or no longer ours."""
        if self._held is None or self._heads.lock == self._held.commit:
            return
        if self._beat and self._heads.lock == self._beat.commit:
            self._held = self._beat
            return
        self._held = None
        self._lost = locks.lost(self._called, self._standing(self._heads.lock))
        raise self._lost

    def _not_lost(self) -> None:
        """Refuse whatever a run that lost its lock still wants."""
        if self._lost is not None:
            raise self._lost

    def _next_beat(self) -> _Held | None:
        if self._held is None:
            return None
        return self._beat_of(locks.beaten(self._held.lock, self._clock()), self._held.commit)

    def _beat_of(self, lock: Lock, parent: str | None) -> _Held:
        """Store a lock's commit. The times are taken before it can be acknowledged: the safe side."""
        now, monotonic = self._clock(), self._options.monotonic()
        commit = self._git.commit_tree(
            self._git.empty_tree,
            parents=[parent] if parent else [],
            message=lock.message(),
            identity=self._options.identity,
            at=now,
        )
        return _Held(commit, lock, monotonic, now)
