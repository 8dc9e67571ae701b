"""Writes the records of an emergency stop with git: to a ref of the stop's own, to the git remote, and at last to the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Event, Run
from reconciler.commands import ledgers
from reconciler.commands.journal import provenance
from reconciler.commands.ledgers import ALONE, LedgerLocation
from reconciler.commands.session import Session
from reconciler.commands.trust import Trust, trust_for_halt
from reconciler.errors import AccessError, GitError, RemoteTimeout, Unavailable, safe
from reconciler.git import Children, Git, Move
from reconciler.ledger import Ledger, LedgerOptions, waiting
from reconciler.settings import signing_key

GIT_S: Final = 10.0
"""Longest time in seconds for one git command, here or to the remote."""

TAKE_OVER_S: Final = 20.0
"""Longest time in seconds to move the records into the ledger at the end, while others append to it. Shared records count without that."""

_KEYLESS: Final = (
    "{error}. So this halt is recorded without a signature: its holds count all the same, and its other records do as far as they cannot"
    " widen dialing. The next signed apply takes them over"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to be recorded, and when it happened. The event is made later, because that needs git."""

    at: datetime
    make: Callable[[Run], Event]

    def clock(self) -> datetime:
        """Return when it happened."""
        return self.at


class StopWriter:
    """Writes the records of one stop with git. Each method may fail, and is then called again; two threads call them.

    Attributes:
        ref: full name of the ref.
        remote: the git remote that holds the ledger, once it is known; `None` where there is none.
        intents: the intent of each operation, by its hash.
        notes: sentences for the report.
        children: the git commands that run.
    """

    def __init__(self, session: Session, run: str) -> None:
        self.ref = waiting.ref_of(session.folder.platform, run)
        self.remote: str | None = None
        self.intents: dict[str, Event] = {}
        self.notes: list[str] = []
        self.children = Children()
        self._session, self._id = session, run
        self._repository: Git | None = None
        self._run: Run | None = None
        self._trust: Trust | None = None
        self._key: Path | None = None
        self._events: list[Event] = []
        self._made = self._written = 0
        self._batch: waiting.Batch | None = None
        self._there: str | None = None

    def store(self, entries: Sequence[Entry]) -> None:
        """Write entries to the ref in this clone.

        Raises:
            GitError, UsageError, OSError: they are not written, or it is unknown.
        """
        git, run = self._git(), self._open()
        for entry in entries[self._made :]:
            self._make(entry, run)
            self._made += 1
        events = self._events[self._written :]
        if events:
            batch = self._commit(git, audit.encode_events(events))
            git.update_refs(Move(self.ref, batch.commit, git.refs(self.ref).get(self.ref)))
            self._batch, self._written = batch, self._written + len(events)

    def share(self) -> None:
        """Push the ref. If the remote refuses this ref, for example by a rule of the host, add its records to the ledger instead.

        Raises:
            Unavailable: the remote does not answer, or refuses.
            GitError, UsageError, OSError: as `store`.
        """
        git, batch = self._git(), self._batch
        spec = self._settings(git).spec
        location = LedgerLocation.of(self._session.world, git, spec)
        self.remote = location.remote
        if ALONE in location.notes and ALONE not in self.notes:
            self.notes.append(ALONE)
        if self.remote is None or batch is None or batch.commit == self._there:
            return
        try:
            git.push(self.remote, Move(self.ref, batch.commit, self._there, exact=True))
        except RemoteTimeout:
            raise
        except Unavailable:
            there = git.remote_refs(self.remote, self.ref).get(self.ref)
            if there == self._there and self.take_over(None):
                return
            # Somebody may have taken the records over, and deleted the ref. They are pushed again then: they count once.
            self._there = there
            if there != batch.commit:
                raise
        self._there = batch.commit

    def take_over(self, locked: Ledger | None) -> bool:
        """Move the records into the ledger, as any command does that appends to it; return whether that was done.

        Args:
            locked: the ledger whose lock this stop holds, to be released by the same push; `None`: this stop does not hold it.

        Raises:
            ReconcileError: that failed.
        """
        git = self._git()
        trust = self._settings(git)
        if trust.spec.audit.sign and self._key is None:
            return False  # a signed ledger takes only signed commits; until then the holds count by themselves
        folder = self._session.folder
        world = self._session.world
        asked = LedgerOptions(budget_s=TAKE_OVER_S)
        if locked is not None:
            asked = replace(asked, known=locked.snapshot)
        ledger = ledgers.open_ledger(world, git, folder.name, folder.path, trust, asked)
        ledger.append((), releasing=None if locked is None else locked.lock)
        return True

    def _git(self) -> Git:
        if self._repository is None:
            environ = self._session.world.environ
            root = self._session.repository(self.children).root
            self._repository = Git(
                root,
                environ=environ,
                runner=self.children.run,
                timeout_s=GIT_S,
                network_timeout_s=GIT_S,
            )
        return self._repository

    def _open(self) -> Run:
        if self._run is None:
            session, world = self._session, self._session.world
            git = self._git()
            commit, who = git.head(), provenance(world, git)
            self._run = Run(session.folder.platform, commit, self._id, world.now, who)
        return self._run

    def _settings(self, git: Git) -> Trust:
        if self._trust is None:
            world = self._session.world
            self._trust = trust_for_halt(world, git, self._session.folder)
            if self._trust.spec.audit.sign:
                self._choose_key()
        return self._trust

    def _choose_key(self) -> None:
        world = self._session.world
        try:
            self._key = signing_key(world.environ, world.directory)
        except AccessError as error:
            self.notes.append(_KEYLESS.format(error=error))

    def _make(self, entry: Entry, run: Run) -> None:
        """Make the event of an entry. What no record can hold is left out and reported: it must not cost the events after it."""
        try:
            event = entry.make(replace(run, clock=entry.clock))
            audit.chain(event, None, 0)
        except Exception as error:  # noqa: BLE001 - see above
            self.notes.append(
                f"one event of this halt is not recorded: {safe(str(error) or type(error).__name__)}"
            )
        else:
            self._events.append(event)

    def _commit(self, git: Git, lines: bytes) -> waiting.Batch:
        self._settings(git)
        store = partial(
            waiting.store, git, self._id, lines, self._batch, at=self._session.world.now()
        )
        if self._key is not None:
            with contextlib.suppress(GitError):
                return store(signing_key=self._key)
            # An unsigned hold counts, and an unrecorded one does not.
        return store(signing_key=None)
