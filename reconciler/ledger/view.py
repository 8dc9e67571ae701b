"""Read a ledger: its refs, the records that count, and remarks and records that the next append must add."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Final

from reconciler import audit
from reconciler.audit import Applied, Event, Record, RecordKind
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger import signatures, waiting
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import Notes
from reconciler.ledger.refs import RefNames, RefState
from reconciler.ledger.signatures import Unsigned
from reconciler.ledger.snapshot import EMPTY, LedgerSnapshot
from reconciler.ledger.waiting import WaitingRun

_NAMES_SHOWN: Final = 8
"""Most objects that one sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """Options of a ledger.

    Attributes:
        mirror: also push to a mirror branch, which a forge can protect against a rollback.
        signing_key: SSH key that signs ledger commits.
        signers: content of an allowed signers file. Only what these signers signed counts (`signatures`); `None`: everything counts.
        required: refuse a ledger without any good signature. Otherwise all of such a ledger counts.
        demanded: a ledger must exist, so an absent one was lost or deleted.
        began: id of the first record that `tenant.yaml` declares; `None`: it declares none.
        asked: the same in the change under review, which counts from the next change on.
        unchecked: also read a ledger that is absent, that begins with another record, that ends in a commit of somebody else, or whose
            state cannot be trusted.
        stop: this is an emergency stop, which records even if signatures or the mirror branch would forbid that.
        known: an earlier reading of the same ledger, with the same signers or with none. What did not change since is not decoded again.
        budget_s: seconds for which one append retries when other writers are first.
        called: the tenant's name for people; the ledger's own name if empty.
        folder: the tenant's folder, as a word of the shell commands that messages print.
    """

    mirror: bool = True
    signing_key: Path | None = None
    signers: bytes | None = None
    required: bool = False
    demanded: bool = False
    began: str | None = None
    asked: str | None = None
    unchecked: bool = False
    stop: bool = False
    known: LedgerSnapshot = EMPTY
    budget_s: float = 120.0
    called: str = ""
    folder: str = "PATH"


@dataclass(frozen=True)
class View:
    """The state of a ledger at one time, as one run sees it.

    Attributes:
        refs: where the refs are.
        snapshot: the records that count.
        unsigned: commits without a trusted signature above those that count.
        waiting: stops whose records are not in the ledger yet.
        strayed: this clone's copy of the ledger holds commits that the remote lacks.
        folder: see `LedgerOptions`.
    """

    refs: RefState
    snapshot: LedgerSnapshot = EMPTY
    unsigned: Unsigned | None = None
    waiting: tuple[WaitingRun, ...] = ()
    strayed: bool = False
    folder: str = "PATH"

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """All records, in the ledger's order, and then those that the next append must add.

        Raises:
            LedgerError: a line is not a record, or the state cannot be trusted.
        """
        if defects := self.snapshot.unreadable:
            raise LedgerError(with_advice(str(defects[0]), self.folder))
        if self.snapshot.problem is not None:
            raise LedgerError(with_advice(self.snapshot.problem, self.folder))
        return (*self.snapshot.records, *self.snapshot.new_records(self.unrecorded))

    @cached_property
    def applied(self) -> Mapping[str, Applied]:
        """The last write to each object, by key (`audit.applied`).

        Raises:
            LedgerError: as `records`.
        """
        return MappingProxyType(audit.applied(self.records))

    def check(self, tenant: str) -> None:
        """Check the records against each other.

        Raises:
            LedgerError: names the first bad record.
        """
        _ = self.records
        if defects := self.snapshot.verify(tenant):
            problem = f"the ledger does not verify: {defects[0]}"
            raise LedgerError(with_advice(problem, self.folder))

    def is_sound(self, tenant: str) -> bool:
        """Return whether `check` finds nothing."""
        try:
            self.check(tenant)
        except LedgerError:
            return False
        return True

    @property
    def unsigned_holds(self) -> tuple[Event, ...]:
        """Holds of unsigned ledger commits, which count, and which the next append must add."""
        waiting = {event.id for each in self.waiting for event in each.events}
        return tuple(
            each
            for each in (self.unsigned.holds if self.unsigned else ())
            if each.id not in waiting
        )

    @property
    def unrecorded(self) -> tuple[Event, ...]:
        """Events that count, and that the next append must add."""
        return (*(event for each in self.waiting for event in each.events), *self.unsigned_holds)

    def remarks(self, names: RefNames, remote: str | None, folder: str) -> tuple[str, ...]:
        """Return sentences for a report: records that are ignored or wait, and refs that differ from what they should be.

        Args:
            names: the ledger's refs.
            remote: the remote that decides; `None` where this clone does.
            folder: see `LedgerOptions`.
        """
        found = self.unsigned
        said: list[str] = []
        if found is not None:
            said.append(
                f"ignored: {found}. The next signed apply leaves them out for good; if they are records of your runs, sign them"
                f" before that: reconcile audit vouch {folder} --head {found.tip} --reason TEXT"
            )
        if held := self._held_unsigned():
            shown = ", ".join(held[:_NAMES_SHOWN])
            said.append(
                f"an unsigned stop holds {shown}{' and more' if len(held) > _NAMES_SHOWN else ''}:"
                " a hold counts without a signature, because it only keeps something from dialing"
            )
        said += waiting.remarks(self.waiting, remote)
        if self.strayed:
            undo = f"git update-ref {names.ledger} {self.refs.ledger}"
            said.append(
                f"{names.ledger} of this clone holds commits that {remote} does not have, such as notes that somebody added by hand. They do not count as"
                f" records and are never pushed. Remove them: {undo if self.refs.ledger else f'git update-ref -d {names.ledger}'}"
            )
        return (*said, *([] if self.refs.warning is None else [self.refs.warning]))

    def _held_unsigned(self) -> list[str]:
        """Return the objects that only unsigned records hold, sorted."""
        events = [event for each in self.waiting if each.unsigned for event in each.events]
        held = (each for each in (*events, *self.unsigned_holds) if each.kind is RecordKind.HOLD)
        targets = sorted({str(each.data["target"]) for each in held})  # `*` is first
        return ["everything" if each == audit.EVERYTHING else each for each in targets]


def with_advice(problem: str, folder: str) -> str:
    """Return a problem of the records, with the command that shows all of them; `folder`: see `LedgerOptions`."""
    return f"{problem}. See: reconcile audit verify {folder}"


def read(
    git: Git, notes: Notes, refs: RefState, options: LedgerOptions, known: View, *, tenant: str
) -> View:
    """Read the ledger that `refs` name, and the records of stops that are not in it yet.

    Args:
        git: the repository, which has the commits.
        notes: reads the ledger's trees.
        refs: where the refs are.
        options: see `LedgerOptions`.
        known: an earlier view; what did not change since is taken from it.
        tenant: the platform of the ledger.

    Raises:
        LedgerError: the ledger cannot be read, or too many stops wait.
    """
    view = _read_counting(git, notes, refs.ledger, options, replace(known, refs=refs))
    counts = view.unsigned.anchor if view.unsigned else view.snapshot.head
    reader = waiting.Reader(git, notes, tenant, counts, view.snapshot.by_id, options.signers)
    runs = waiting.forget_taken_over(git, reader.read(refs))
    return replace(view, waiting=runs, strayed=_is_strayed(git, refs))


def _is_strayed(git: Git, refs: RefState) -> bool:
    copy, ledger = refs.copy, refs.ledger
    return copy is not None and (ledger is None or not git.is_ancestor(copy, ledger))


def _read_counting(
    git: Git, notes: Notes, head: str | None, options: LedgerOptions, known: View
) -> View:
    """Read the records that count at a ledger commit."""
    decoded = known.snapshot if known.snapshot.head else options.known
    if options.signers is None:
        found = snapshots.read(git, notes, head, known=decoded)
        return _sound(replace(known, snapshot=found), options)
    if head is not None and head == known.snapshot.head:
        return known
    required = options.required and not options.stop
    snapshot, unsigned = signatures.read(
        git,
        notes,
        head,
        options.signers,
        known=decoded,
        demanded_in=options.folder if required else None,
    )
    return _sound(replace(known, snapshot=snapshot, unsigned=unsigned), options)


def _sound(view: View, options: LedgerOptions) -> View:
    """Return a view whose state can be trusted.

    Raises:
        LedgerError: it cannot, and the options require it.
    """
    if view.snapshot.problem is not None and not options.unchecked:
        raise LedgerError(with_advice(view.snapshot.problem, options.folder))
    return view
