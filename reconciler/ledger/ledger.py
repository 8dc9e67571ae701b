"""One tenant's ledger, for commands: open, read, verify and append. Its lock is `Ledger.lock`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from reconciler import audit
from reconciler.audit import Applied, Attribution, Defect, Event, Record, Verdict
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger import foreign, history
from reconciler.ledger.connection import Connection
from reconciler.ledger.past import Past
from reconciler.ledger.refs import LocalRefs, RefNames, RefStore
from reconciler.ledger.remote_refs import RemoteRefs
from reconciler.ledger.snapshot import LedgerSnapshot
from reconciler.ledger.tenant_lock import TenantLock
from reconciler.ledger.view import LedgerOptions
from reconciler.ledger.writer import Writer
from reconciler.world import World

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

_LOOKS: Final = 3
"""How often a ledger with defects is verified if it moves meanwhile."""


class Ledger:
    """One tenant's ledger. Safe to use from several threads.

    Attributes:
        tenant: the tenant's platform, which the records name.
        lock: the tenant's lock.
    """

    def __init__(self, connection: Connection) -> None:
        """Use a connection. Callers use `open`, which makes it and reads the ledger."""
        self.tenant = connection.tenant
        self.lock = TenantLock(connection)
        self._connection = connection
        self._writer = Writer(connection)

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
        connection = Connection(git, tenant, store, world, chosen)
        connection.refresh()
        return cls(connection)

    @property
    def git(self) -> Git:
        """The repository."""
        return self._connection.git

    @property
    def head(self) -> str | None:
        """The acknowledged ledger commit: the remote's, or this clone's without a remote. `None` means that there is no ledger yet."""
        return self._connection.view.refs.acknowledged

    @property
    def snapshot(self) -> LedgerSnapshot:
        """The records that count, as the ledger was read last. Records of stops that wait are not among them."""
        return self._connection.view.snapshot

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a report (`View.remarks`)."""
        at = self._connection
        return at.view.remarks(at.names, self._remote, at.options.folder)

    @property
    def _remote(self) -> str | None:
        """The git remote whose refs decide; `None` where this clone's do."""
        store = self._connection.store
        return store.name if isinstance(store, RemoteRefs) else None

    def refresh(self) -> None:
        """Read the ledger again (`Connection.refresh`)."""
        self._connection.refresh()

    def foreign_commit(self) -> str | None:
        """Return what is wrong if the ledger's newest commit was not made by reconcile; `None` if it was."""
        return (
            foreign.commit(self._connection.place())
            if self._connection.view.snapshot.foreign
            else None
        )

    @property
    def unshared(self) -> str | None:
        """What is wrong if this clone has a ledger and the remote has none; `None` if that is not so."""
        return self._connection.unshared

    def fetch_history(self) -> None:
        """Fetch the ledger's history into a shallow clone. Commands that read more than the newest segment need it.

        Raises:
            Unavailable: the remote does not answer.
        """
        with self._connection.guard:
            self._connection.store.deepen()

    def records(self) -> tuple[Record, ...]:
        """Return all records, in the ledger's order, and then those that the next append must add.

        Raises:
            LedgerError: a line is not a record, or the state cannot be trusted.
        """
        return self._connection.view.records

    def applied(self) -> Mapping[str, Applied]:
        """Return the last write to each object, by key (`audit.applied`).

        Raises:
            LedgerError: as `records`.
        """
        return self._connection.view.applied

    @property
    def objection(self) -> LedgerError | None:
        """Why no operation may start (`Connection.objection`)."""
        return self._connection.objection

    @property
    def is_asked_for(self) -> bool:
        """Whether only the change under review declares the ledger (`Connection.is_asked_for`)."""
        return self._connection.is_asked_for

    @property
    def has_new_stops(self) -> bool:
        """Whether `still_ours` saw records of stops that the last `refresh` did not read."""
        return not self._connection.store.stops <= self._connection.view.refs.waiting.keys()

    def past(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield the records of all segments in order, checked one by one, then those that the next append must add.

        Args:
            since: leave out closed segments of which every record is older.

        Raises:
            LedgerError: a record is bad, or this clone lacks a segment.
            Unavailable: this clone is shallow, and the remote does not answer.
        """
        with self._connection.guard:
            self._connection.store.deepen()
            snapshot = self._connection.view.snapshot
            added = snapshot.new_records(self._connection.view.unrecorded)
        at = self._connection
        found = Past(at.git, at.notes, snapshot.tree, at.tenant, at.options.folder)
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
        """Check the records against each other, unless they have not changed since the last check. `verify` checks the history and the witnesses as well.

        Raises:
            LedgerError: names the first bad record.
        """
        self._connection.view.check(self.tenant)

    def verify(
        self,
        *,
        expect_head: str | None = None,
        expect_cut: str | None = None,
        signers: bytes | None = None,
    ) -> Verdict:
        """Check the whole ledger: records, history and every witness.

        Args:
            expect_head: a ledger commit, noted down earlier, that the ledger must hold.
            expect_cut: ledger commit of a repair to begin at. Without it, only a repair that a trusted signer signed counts.
            signers: content of an allowed signers file to use instead of the ledger's own. Every ledger commit is checked.

        Raises:
            LedgerError: the ledger cannot be read at all, or its history is shallow.
        """
        at = self._connection
        for _ in range(_LOOKS):
            at.refresh()
            self.fetch_history()
            with at.guard:
                view, closed, problem = at.view, at.store.closed(), at.problem()
            if problem is not None and view.refs.ledger is None:
                raise LedgerError(problem)
            head = view.snapshot.head
            subject = history.LedgerHistory(
                at.git, at.notes, head, self.tenant, closed, self._remote, at.options.folder
            )
            verdict = history.verify(
                subject,
                mirror=view.refs.mirror,
                expect_head=expect_head,
                expect_cut=expect_cut,
                signers=signers or at.options.signers,
            )
            if not verdict.defects or not self._has_moved(view.refs.ledger, closed):
                break
        rolled_back = view.refs.warning if view.refs.blocked else None
        found = tuple(Defect("", 0, each) for each in (problem, rolled_back) if each is not None)
        refused = bool(found) or not view.is_sound(self.tenant)
        return replace(verdict, defects=(*verdict.defects, *found), refused=refused)

    def _has_moved(self, ledger: str | None, closed: Mapping[str, str]) -> bool:
        """Return whether the ledger moved while it was verified: its refs are not read at one moment."""
        at = self._connection
        at.refresh()
        return (at.view.refs.ledger, at.store.closed()) != (ledger, closed)

    def append(
        self, events: Iterable[Event], *, releasing: TenantLock | None = None
    ) -> tuple[Record, ...]:
        """Record events; return their records once they are acknowledged (`Writer.append`)."""
        return self._writer.append(events, releasing=None if releasing is None else releasing.lease)

    def begin_segment(self) -> bool:
        """Begin the next segment if that is due (`Writer.begin_segment`)."""
        return self._writer.begin_segment()

    def repair(self, head: str, defects: int, reason: str, *, by: Attribution) -> int:
        """Acknowledge the damage of the ledger (`Writer.repair`)."""
        return self._writer.repair(head, defects, reason, by=by)

    def vouch(self, head: str, reason: str, *, by: Attribution) -> Record:
        """Sign the whole ledger (`Writer.vouch`)."""
        return self._writer.vouch(head, reason, by=by)

    @contextlib.contextmanager
    def locked(
        self, *, holder: str, run_url: str | None = None, force: bool = False
    ) -> Iterator[Ledger]:
        """Hold the tenant's lock, with the ledger read again and checked.

        Raises:
            TenantLocked: somebody else holds the lock.
            LedgerError: the ledger does not verify.
        """
        try:
            self.lock.acquire(holder=holder, run_url=run_url, force=force)
            self.check()
            yield self
        finally:
            self.lock.release()
