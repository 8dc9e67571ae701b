"""One run's connection to a ledger: its refs and records as they were read last, and the lock that the run holds.

Appends and the lock share it, because an append and a heartbeat move their refs in one atomic push.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from dataclasses import replace
from typing import Final

from reconciler.errors import GitError, LedgerError, ReconcileError, Unavailable
from reconciler.git import Git, Move
from reconciler.ledger import foreign, signatures, view
from reconciler.ledger.locks import Lease
from reconciler.ledger.notes import Notes
from reconciler.ledger.refs import LocalRefs, RefNames, RefState, RefStore
from reconciler.ledger.view import LedgerOptions, View
from reconciler.world import World

STUCK: Final = 5
"""Consecutive refusals, without any moved ref, after which the cause cannot be a race."""

_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


def backoff_s(attempt: int, chance: float) -> float:
    """Return seconds to wait before a retry: half fixed, half by chance (0 to 1), so that the last winner has no advantage."""
    longest: float = min(_LONGEST_PAUSE_S, _PAUSE_S * 2 ** min(attempt, 10))
    return longest * (1 + chance) / 2


class Connection:
    """One run's connection to a ledger.

    Attributes:
        git: the repository.
        tenant: the tenant's platform, which the records name.
        store: where the refs that decide are.
        world: clocks, sleep and randomness.
        options: see `LedgerOptions`.
        names: the ledger's refs.
        notes: reads and writes the ledger's trees.
        guard: held while `view` changes.
        view: what was read last.
        lease: the lock that this run holds.
    """

    def __init__(
        self, git: Git, tenant: str, store: RefStore, world: World, options: LedgerOptions
    ) -> None:
        """Use a store. Nothing is read before `refresh`."""
        self.git = git
        self.tenant = tenant
        self.store = store
        self.world = world
        self.options = options
        self.names = RefNames.of(tenant)
        self.notes = Notes(git)
        self.guard = threading.RLock()
        self.view = View(RefState(None, None), folder=options.folder)
        self.lease = Lease(git, world, options.called or tenant)
        self._proved = False

    def refresh(self) -> None:
        """Read the ledger again, fetching first if there is a remote.

        Raises:
            Unavailable: the remote does not answer.
            LedgerError: the ledger cannot be read, or was rolled back.
            TenantLocked: somebody else took our lock.
        """
        with self.guard:
            try:
                self._read()
            except (GitError, LedgerError) as error:
                raise self._misnamed() or error from None

    def _read(self) -> None:
        refs = self.store.read()
        self.view = replace(self.view, refs=refs)
        self.world.checkpoint("ledger:read")
        self.lease.observe(refs.lock)
        if self.unshared is not None and not (self.options.stop or self.options.unchecked):
            raise LedgerError(self.unshared)
        self.view = view.read(
            self.git, self.notes, refs, self.options, self.view, tenant=self.tenant
        )
        problem = self.problem()
        lenient = self.options.stop or self.options.unchecked or self.is_asked_for
        if problem is not None and not lenient:
            raise LedgerError(problem)
        if problem is None:
            self.view = replace(self.view, refs=self.store.keep(refs))

    def _misnamed(self) -> LedgerError | None:
        """Return the error for a ref of this clone that names something else than a commit; `None` if there is none."""
        found = self.git.refs(self.names.ledger, self.names.seen)
        stats = self.git.stat(*found.values(), fetched=False)
        decides = {self.names.ledger} if self.store.name == LocalRefs.name else set()
        for ref, value in found.items():
            if value in stats and stats[value].type != "commit":
                what = f"{ref} of this clone names a {stats[value].type}, not a commit ({value}): reconcile did not write that"
                restore = f"Find its last commit (git reflog show {ref}), and restore it: git update-ref {ref} COMMIT"
                delete = f"Delete the ref: git update-ref -d {ref}"
                return LedgerError(f"{what}. {restore if ref in decides else delete}")
        return None

    @property
    def unshared(self) -> str | None:
        """What is wrong if this clone has a ledger and the remote has none; `None` if that is not so."""
        refs, ref = self.view.refs, self.names.ledger
        if refs.ledger is not None or refs.copy is None:
            return None
        return (
            f"this clone has a ledger in {ref}, and the remote has none, so its holds would be forgotten. If it is that of this tenant, for example"
            f" because there was no remote before, push it: git push {shlex.quote(self.store.name)} {ref}. If not, delete it: git update-ref -d {ref}"
        )

    def problem(self) -> str | None:
        """Return why the ledger that was read is not the tenant's, or not reconcile's, with what to do; `None` if it is."""
        return foreign.problem(self.place(), self.view.snapshot, self.options)

    @property
    def is_asked_for(self) -> bool:
        """Whether only the change under review declares the ledger (`foreign.is_asked_for`)."""
        return foreign.is_asked_for(self.view.snapshot, self.options)

    def place(self) -> foreign.LedgerPlace:
        """Return where the ledger was read, for messages."""
        refs = self.view.refs
        return foreign.LedgerPlace(self.names, self.store.name, refs, self.git, self.notes)

    @property
    def objection(self) -> LedgerError | None:
        """Why no operation may start: the ledger counts only from the next change on, or the mirror branch holds records that it lacks. `None`: it may."""
        if self.is_asked_for and not self.options.stop:
            return LedgerError(str(self.problem()))
        if not self._is_blocked:
            return None
        return LedgerError(f"{self.view.refs.warning}. Until then nothing is applied or released")

    @property
    def _is_blocked(self) -> bool:
        """Whether the mirror branch forbids new operations. A run that holds the lock may finish its own."""
        return self.view.refs.blocked and self.lease.held is None and not self.options.stop

    def require_allowed(self) -> None:
        """Refuse to start an operation if the declaration, the mirror branch or the signing key forbids it.

        Raises:
            LedgerError: see `objection`.
            AccessError: the signing key is not that of a trusted signer.
        """
        if (error := self.objection) is not None:
            raise error
        if not self.options.stop:
            self.check_key()

    def check_key(self) -> None:
        """Check the signing key once, before anything is recorded (`signatures.check_key`)."""
        key, signers = self.options.signing_key, self.options.signers
        if key is not None and signers is not None and not self._proved:
            signatures.check_key(self.git, key, signers, self.world.now())
            self._proved = True

    def move(self, *moves: Move) -> GitError | Unavailable | None:
        """Move refs; return the error if that failed or its result is unknown."""
        try:
            self.view = replace(self.view, refs=self.store.move(self.view.refs, *moves))
        except (GitError, Unavailable) as error:
            return error
        return None

    def explained(self, error: GitError | Unavailable) -> ReconcileError:
        """Return the error to raise for moves that are refused again and again: the given one, or which ref is in the way of ours."""
        with contextlib.suppress(GitError, Unavailable):
            for ref in self.store.existing(*self.names.parents):
                return LedgerError(foreign.in_the_way(self.place(), ref))
        return error

    def pause(self, attempt: int) -> None:
        """Wait before a retry."""
        self.world.block(backoff_s(attempt, self.world.random.random()))
