"""Append to one tenant's ledger, and hold its lock."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.audit import Event, Record
from reconciler.errors import GitError, TenantLocked, Unavailable
from reconciler.git import Git, Move
from reconciler.ledger import book as books
from reconciler.ledger import history, locks
from reconciler.ledger.locks import TTL_S, Lock
from reconciler.ledger.reading import Options, Reader
from reconciler.ledger.stores import Store

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
            self._publish(())
            return True

    def _publish(self, wanted: Sequence[Event]) -> None:
        options = self._options
        end = options.monotonic() + options.budget_s
        stuck = 0
        for attempt in itertools.count():
            records = self._book.added((*self._pending, *wanted))
            if not records and self._book.head == self._heads.ledger:
                return
            error = self._try(records)
            if error is None:
                return
            options.checkpoint("ledger:refused")
            before = self._heads
            self._pause(attempt)
            self.refresh()
            stuck = stuck + 1 if self._heads == before else 0
            if stuck >= _STUCK or options.monotonic() > end:
                raise error

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
        self._book, self._pending, self._held = book, (), beat
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
        """
        lock = locks.fresh(holder, run_url, self._options.nonce(), self._clock())
        with self._guard:
            mine = self._beat_of(lock, parent=None)
            self._options.checkpoint("lock:made")
            for attempt in itertools.count():
                self.refresh()
                if self._heads.lock == mine.commit:
                    break  # the last try was refused, or so it seemed
                standing = self._standing(self._heads.lock)
                if standing and not force and not standing.expired(self._clock()):
                    raise locks.refusal(self.tenant, standing)
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
        self._lost = locks.lost(self.tenant, self._standing(self._heads.lock))
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
