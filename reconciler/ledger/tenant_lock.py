"""The lock of a tenant, through a connection to its ledger: take it, extend it, release it, and look who has it."""

from __future__ import annotations

import itertools
from typing import Final

from reconciler.errors import GitError, RemoteTimeout, Unavailable
from reconciler.git import Move
from reconciler.ledger import locks
from reconciler.ledger.connection import STUCK, Connection
from reconciler.ledger.locks import Lock
from reconciler.ledger.refs import move_command
from reconciler.world import Clock

_BEAT_RETRIES: Final = 2
"""Retries of a heartbeat: one that is lost on the way must not stop a run."""


class TenantLock:
    """The lock of a tenant. Safe to use from several threads.

    Attributes:
        lease: the lock as far as this run holds it.
        replaced: what each push of `acquire` was to replace, in order: the lock of another run, or `None` for a free lock. A push whose
            answer was lost may have been accepted, so the last element is not the only one that counts.
    """

    def __init__(self, connection: Connection) -> None:
        """Use the lock of the tenant that `connection` leads to."""
        self._connection = connection
        self._guard = connection.guard
        self.lease = connection.lease
        self.replaced: tuple[Lock | None, ...] = ()
        self._world = connection.world
        self._ref = connection.names.lock

    def go_by(self, clock: Clock) -> None:
        """Stamp locks by this clock from now on, and decide by it which have expired. Without it this machine's clock counts."""
        self.lease.clock = clock

    def acquire(self, *, holder: str, run_url: str | None = None, force: bool = False) -> None:
        """Take the tenant's lock, and read the ledger again.

        Args:
            holder: shown to whoever has to wait.
            run_url: link to the run.
            force: take the lock from whoever holds it (an emergency stop). The ledger is not read first: if the lock has moved since the
                last reading, the remote refuses the first try.

        Raises:
            TenantLocked: somebody else holds the lock.
            GitError, Unavailable: the lock cannot be taken.
            LedgerError, AccessError: the mirror branch or the signing key does not permit new operations.
        """
        with self._guard:
            self._connection.require_allowed()
            if not force:
                self._connection.refresh()
            mine = self.lease.make(holder, run_url)
            self._world.checkpoint("lock:made")
            for attempt in itertools.count():
                if attempt:
                    self._connection.refresh()
                if (current := self._connection.view.refs.lock) == mine.commit:
                    break  # the last try looked refused, but was not
                if not self.lease.owns(current):
                    standing = self._read(current)
                    if standing and not force and not standing.expired(self.lease.clock.passed()):
                        clocks = self.lease.clock.contradiction()
                        raise locks.refusal(self.lease.tenant, self._ref, standing, clocks)
                    self.replaced += (standing,)
                error = self._connection.move(Move(self._ref, mine.commit, current, exact=True))
                if error is None:
                    break
                if attempt >= STUCK:
                    raise self._connection.explained(error)
                self._connection.pause(attempt)
            self._world.checkpoint("lock:moved")
            self.lease.held = mine
            self._connection.refresh()

    def release(self) -> None:
        """Release the lock, if it is ours. If it may still be ours afterwards, progress says when it expires, and how to delete it."""
        with self._guard:
            if held := self.lease.drop():
                error = self._connection.move(Move(self._ref, None, held.commit, exact=True))
                if error is not None and (left := self._left(held.commit, error)) is not None:
                    delete = move_command(self._ref, left, None, self._connection.place().remote)
                    said = locks.unreleased(self.lease.tenant, held.lock, error, delete)
                    self._world.progress(said)
                self._world.checkpoint("release:refused" if error else "release:moved")

    def _left(self, ours: str, error: GitError | Unavailable) -> str | None:
        """Return the commit of our lock if it may still stand after a failed push; `None` if it was released all the same, or taken by another run."""
        if isinstance(error, RemoteTimeout):
            return ours  # a read may wait as long as the push did
        try:
            now = self._connection.store.lock()
        except (GitError, Unavailable):
            return ours
        return now if self.lease.owns(now) else None

    def heartbeat(self) -> None:
        """Prove that the lock is still ours, and extend it.

        Raises:
            TenantLocked: somebody else took the lock.
            GitError, Unavailable: the result is unknown.
        """
        with self._guard:
            self.lease.require_kept()
            held, beat = self.lease.held, self.lease.beat()
            if held is None or beat is None:
                raise ValueError("no lock is held")
            self._world.checkpoint("lock:beating")
            move = Move(self._ref, beat.commit, held.commit, exact=True)
            for attempt in itertools.count():
                error = self._connection.move(move)
                self._world.checkpoint("lock:beaten")
                if error is None:
                    self.lease.held = beat
                    return
                self._connection.pause(attempt)
                self._connection.refresh()
                if self.lease.held is beat:
                    return
                if attempt >= _BEAT_RETRIES:
                    raise error

    def may_write(self) -> bool:
        """Return whether the platform may be written to (`Lease.is_fresh`)."""
        return self.lease.is_fresh()

    def still_ours(self, limit_s: float | None = None) -> bool:
        """Return whether the lock is still ours, without extending it. Does not wait for another thread that uses this ledger.

        Args:
            limit_s: time limit in seconds, if not the usual one.

        Raises:
            GitError, Unavailable: the lock cannot be read.
        """
        return self.lease.made(self._connection.store.lock(limit_s))

    def standing(self) -> Lock | None:
        """Return the tenant's lock as it is now; `None` if nobody holds it."""
        with self._guard:
            return self._read(self._connection.store.read().lock)

    def seen(self) -> Lock | None:
        """Return the tenant's lock as it was when the ledger was last read; `None` if nobody held it, or if it has expired."""
        lock = self._read(self._connection.view.refs.lock)
        return None if lock is None or lock.expired(self.lease.clock.passed()) else lock

    def delete(self) -> Lock | None:
        """Delete the tenant's lock, whoever holds it; return the deleted lock, or `None` if there was none.

        Raises:
            GitError, Unavailable: the lock changed meanwhile, or the remote does not answer.
        """
        with self._guard:
            refs = self._connection.store.read()
            if refs.lock is not None:
                self._connection.store.move(refs, Move(self._ref, None, refs.lock, exact=True))
            return self._read(refs.lock)

    def _read(self, commit: str | None) -> Lock | None:
        return None if commit is None else locks.read(self._connection.git, commit)
