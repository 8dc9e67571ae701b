"""Read one tenant's ledger, here or from a remote."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from reconciler import audit
from reconciler.audit import Event, Record, Verdict
from reconciler.errors import LedgerError
from reconciler.git import Git, Identity
from reconciler.ledger import history, signatures
from reconciler.ledger import snapshot as books
from reconciler.ledger.notes import Notes
from reconciler.ledger.refs import Heads, Local, Names, Remote, Store
from reconciler.ledger.signatures import Unsigned

IDENTITY: Final = Identity("reconcile", "reconcile@localhost")
"""Author of ledger commits. Who acted stands in the records."""

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
    "release:refused",
    "release:moved",
)
"""Points that `Options.checkpoint` is told of: a crash at each of them loses nothing (tests kill there)."""


_NAMES: Final = 8
"""Objects that one sentence names at most."""


_ABSENT: Final = (
    "{ref} of {store} holds no ledger, although the parent of HEAD requires signed records: somebody deleted it, or nothing was ever"
    " applied. Look for a clone that has it (git log {ref}), and push it from there: git push {store} {ref}. Only where you are sure that"
    " nothing was ever applied or stopped, check out the commit that turned signing on, and run reconcile apply there: what deleted records"
    " held would dial again"
)


def _pass(_: str) -> None:
    """Go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a ledger behaves, and the parts of the world that it needs.

    Attributes:
        identity: author of its commits.
        mirror: push a mirror branch along, which a forge can protect against a rollback.
        signing_key: sign its commits with this SSH key.
        signers: the content of an allowed signers file: only what they signed counts (`signatures`); `None`: everything does.
        required: a ledger without any good signature is refused; else it counts as a whole.
        demanded: the reviewed parent requires a signed ledger of this platform, so that a ledger that is absent was deleted.
        stop: this is an emergency stop, which neither signatures nor a mirror branch keep from recording.
        budget_s: seconds that one append may go on against other writers.
        checkpoint: told of each point in `CHECKPOINTS`.
        called: the tenant's name for people; the ledger's own where it is empty.
        sleep, monotonic, random, nonce: the world.
    """

    identity: Identity = IDENTITY
    mirror: bool = True
    signing_key: Path | None = None
    signers: bytes | None = None
    required: bool = False
    demanded: bool = False
    stop: bool = False
    budget_s: float = 120.0
    checkpoint: Callable[[str], None] = _pass
    called: str = ""
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random
    nonce: Callable[[], str] = secrets.token_hex


class Reader:
    """One tenant's ledger, to read. Safe to use from several threads."""

    def __init__(
        self, git: Git, tenant: str, store: Store, clock: Callable[[], datetime], options: Options
    ) -> None:
        """Read the ledger of `tenant` from `store`; `open` chooses one and reads it."""
        self.tenant = tenant
        self._called = options.called or tenant
        self._git = git
        self._store = store
        self._clock = clock
        self._options = options
        self._names = Names.of(tenant)
        self._notes = Notes(git)
        self._guard = threading.RLock()
        self._heads = Heads(None, None)
        self._book = books.EMPTY
        self._pending: tuple[Event, ...] = ()
        self._unsigned: Unsigned | None = None

    @classmethod
    def open(
        cls,
        git: Git,
        tenant: str,
        *,
        clock: Callable[[], datetime],
        remote: str | None = None,
        offline: bool = False,
        options: Options | None = None,
    ) -> Self:
        """Return a tenant's ledger, read.

        Args:
            git: the repository.
            tenant: whose: the identity of its platform, which the records name.
            clock: our clock, aware.
            remote: name or URL of the git remote whose refs decide; `None`: this clone's do.
            offline: append to this clone's copy although a remote decides; what is appended is pushed later.
            options: see `Options`.

        Raises:
            Unavailable: the remote does not answer: which is never an empty ledger.
            LedgerError: it cannot be read, or was rolled back.
        """
        chosen = options or Options()
        names = Names.of(tenant)
        store: Store = Local(git, names, copy=offline)
        if remote is not None and not offline:
            store = Remote(
                git,
                names,
                remote,
                mirrors=chosen.mirror,
                sleep=chosen.sleep,
                signers=chosen.signers,
                strict=not chosen.stop,
            )
        ledger = cls(git, tenant, store, clock, chosen)
        ledger.refresh()
        return ledger

    @property
    def head(self) -> str | None:
        """The ledger commit that is acknowledged where it counts; `None`: there is no ledger yet."""
        return self._heads.anchor

    def refresh(self) -> None:
        """Read again, fetching first where there is a remote.

        Raises:
            Unavailable: the remote does not answer.
            LedgerError: it cannot be read, or was rolled back.
            TenantLocked: the lock that we held is no longer ours.
        """
        with self._guard:
            self._heads = self._store.read()
            self._options.checkpoint("ledger:read")
            self._notice()
            base, copy = self._heads.ledger, self._heads.copy
            if base is None and self._options.demanded and not self._options.stop:
                raise LedgerError(_ABSENT.format(ref=self._names.ledger, store=self._store.name))
            self._pending = ()
            ours = copy is not None and (base is None or self._git.is_ancestor(base, copy))
            if ours and (base is None or self._options.signers is None):
                base = copy
            self._read(base)
            if copy is not None and base is not None and not self._git.is_ancestor(copy, base):
                self._pending = self._left_behind(copy, base)

    def _read(self, head: str | None) -> None:
        """Read the records that count at a ledger commit."""
        options = self._options
        if options.signers is None:
            self._book = books.read(self._git, self._notes, head, known=self._book)
        elif head is None or head != self._book.head:
            self._book, self._unsigned = signatures.trusted(
                self._git,
                self._notes,
                head,
                options.signers,
                known=self._book,
                required=options.required and not options.stop,
            )

    def _left_behind(self, copy: str, base: str) -> tuple[Event, ...]:
        """Return what this clone recorded and the remote has not got.

        Where records must be signed, the copy may also hold what somebody else pushed to the remote for a while. So of commits without a
        trusted signature only what a stop records is returned.
        """
        signers = self._options.signers
        holds: tuple[Event, ...] = ()
        if signers is None:
            ours = books.read(self._git, self._notes, copy).records
        else:
            commits = self._git.commits_beyond(base, copy)
            ours, holds = signatures.left_behind(
                self._git, self._notes, self._book, commits, signers
            )
        for record in ours:
            theirs = self._book.by_id.get(record.id)
            if theirs and theirs.event.run == record.event.run and theirs.event != record.event:
                raise LedgerError(
                    f"the remote tells record {record.id} in other words than this clone: one of them was edited"
                )
        events = (*holds, *(each.event for each in ours))
        return tuple(each for each in events if each.id not in self._book.by_id)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say of the ledger: records that do not count, and a mirror branch that differs."""
        found = self._unsigned
        ignored: list[str] = []
        if found is not None:
            ignored.append(
                f"ignored: {found}. The next signed apply leaves them out for good; if they are records of your runs, sign them"
                f" before that: reconcile audit vouch PATH --head {found.tip} --reason TEXT"
            )
        if found is not None and found.holds:
            names = sorted({str(event.data["target"]) for event in found.holds})
            ignored.append(
                f"an unsigned stop holds {', '.join(names[:_NAMES])}{' and more' if len(names) > _NAMES else ''}:"
                " a hold counts without a signature, because it only keeps something from dialing"
            )
        said = self._heads.said
        return (*ignored, *([] if said is None else [said]))

    def _further(self) -> tuple[Event, ...]:
        """Return what this clone recorded and the remote has not got, after the holds that count without a signature."""
        return (*(self._unsigned.holds if self._unsigned else ()), *self._pending)

    def records(self, commit: str | None = None) -> tuple[Record, ...]:
        """Return the records, all or those in one commit's note, in the ledger's order.

        Raises:
            LedgerError: a line is no record.
        """
        with self._guard:
            defects = sorted(d for page in self._book.pages.values() for d in page.defects)
            if defects:
                raise LedgerError(f"{defects[0]}. See: reconcile audit verify")
            records = (*self._book.records, *self._book.added(self._further()))
        return tuple(each for each in records if commit in {None, each.event.commit})

    def open_intents(self) -> tuple[Record, ...]:
        """Return the writes whose fate the ledger does not tell."""
        return audit.open_intents(self.records())

    def generations(self) -> Counter[tuple[str, str]]:
        """Return how many outcomes there are for each (commit, operation hash)."""
        return audit.generations(self.records())

    def last_applied(self) -> str | None:
        """Return the commit that the last apply was about; an emergency stop applies none."""
        commits = audit.applied_commits(self.records())
        return commits[-1] if commits else None

    def check(self) -> None:
        """Hold the records against each other.

        Raises:
            LedgerError: the first bad record, named.
        """
        with self._guard:
            self.records()
            pages = {commit: page.records for commit, page in self._book.pages.items()}
        for defect in audit.verify(pages, tenant=self.tenant):
            raise LedgerError(f"the ledger does not verify: {defect}. See: reconcile audit verify")

    def verify(self, *, expect_head: str | None = None, signers: bytes | None = None) -> Verdict:
        """Hold the whole ledger against its history and every witness.

        Args:
            expect_head: a ledger commit that it must hold, noted down earlier.
            signers: the content of an allowed signers file, instead of the ledger's own; every ledger commit is then held against it.

        Raises:
            LedgerError: it cannot be read at all, or its history is shallow.
        """
        self.refresh()
        with self._guard:
            book = self._book
            if self._unsigned is not None:
                book = books.read(self._git, self._notes, book.head)
            subject = history.Subject(self._git, self._notes, book, self.tenant)
            mirror = self._heads.mirror
            signers = signers or self._options.signers
        return history.verify(subject, mirror=mirror, expect_head=expect_head, signers=signers)

    def _notice(self) -> None:
        """Look at the refs that were read, before what they name is."""
