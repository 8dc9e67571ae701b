"""Read a ledger: its refs, the records that count, and remarks and records that the next append must add."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler.audit import Event
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger import signatures
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.notes import Notes
from reconciler.ledger.refs import RefState
from reconciler.ledger.signatures import Unsigned
from reconciler.ledger.snapshot import EMPTY, LedgerSnapshot

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
        unchecked: also read a ledger that is absent, that begins with another record, or that ends in a commit of somebody else.
        stop: this is an emergency stop, which records even if signatures or the mirror branch would forbid that.
        budget_s: seconds for which one append retries when other writers are first.
        called: the tenant's name for people; the ledger's own name if empty.
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
    budget_s: float = 120.0
    called: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The state of a ledger at one time, as one run sees it.

    Attributes:
        refs: where the refs are.
        snapshot: the records that count.
        pending: what this clone recorded and the remote lacks.
        unsigned: commits without a trusted signature above those that count.
    """

    refs: RefState
    snapshot: LedgerSnapshot = EMPTY
    pending: tuple[Event, ...] = ()
    unsigned: Unsigned | None = None

    @property
    def unrecorded(self) -> tuple[Event, ...]:
        """Events that the next append must add: holds that count although unsigned, then what the remote lacks."""
        return (*(self.unsigned.holds if self.unsigned else ()), *self.pending)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for a report: records that are ignored, and a mirror branch that differs."""
        found = self.unsigned
        said: list[str] = []
        if found is not None:
            said.append(
                f"ignored: {found}. The next signed apply leaves them out for good; if they are records of your runs, sign them"
                f" before that: reconcile audit vouch PATH --head {found.tip} --reason TEXT"
            )
        if found is not None and found.holds:
            names = sorted({str(event.data["target"]) for event in found.holds})
            shown = ", ".join(names[:_NAMES_SHOWN])
            said.append(
                f"an unsigned stop holds {shown}{' and more' if len(names) > _NAMES_SHOWN else ''}:"
                " a hold counts without a signature, because it only keeps something from dialing"
            )
        return (*said, *([] if self.refs.warning is None else [self.refs.warning]))


def read(git: Git, notes: Notes, refs: RefState, options: LedgerOptions, known: View) -> View:
    """Read the ledger that `refs` name.

    Args:
        git: the repository, which has the commits.
        notes: reads the ledger's trees.
        refs: where the refs are.
        options: see `LedgerOptions`.
        known: an earlier view; what did not change since is taken from it.

    Raises:
        LedgerError: the ledger cannot be read, or this clone and the remote contradict each other.
    """
    base, copy = refs.ledger, refs.copy
    ours = copy is not None and (base is None or git.is_ancestor(base, copy))
    if ours and (base is None or options.signers is None):
        base = copy
    view = _read_counting(git, notes, base, options, replace(known, refs=refs, pending=()))
    if copy is not None and base is not None and not git.is_ancestor(copy, base):
        return replace(view, pending=_unpushed(git, notes, view.snapshot, copy, base, options))
    return view


def _read_counting(
    git: Git, notes: Notes, head: str | None, options: LedgerOptions, known: View
) -> View:
    """Read the records that count at a ledger commit."""
    if options.signers is None:
        return replace(known, snapshot=snapshots.read(git, notes, head, known=known.snapshot))
    if head is not None and head == known.snapshot.head:
        return known
    required = options.required and not options.stop
    snapshot, unsigned = signatures.read(
        git, notes, head, options.signers, known=known.snapshot, required=required
    )
    return replace(known, snapshot=snapshot, unsigned=unsigned)


def _unpushed(
    git: Git,
    notes: Notes,
    snapshot: LedgerSnapshot,
    copy: str,
    base: str,
    options: LedgerOptions,
) -> tuple[Event, ...]:
    """Return the records of this clone that the remote lacks.

    Where records must be signed, this clone's copy may also hold what somebody pushed to the remote for a while. So only
    the records of an emergency stop are returned from unsigned commits.
    """
    holds: tuple[Event, ...] = ()
    if options.signers is None:
        ours = snapshots.read(git, notes, copy).records
    else:
        commits = git.commits_beyond(base, copy)
        ours, holds = signatures.unpushed(git, notes, snapshot, commits, options.signers)
    for record in ours:
        theirs = snapshot.by_id.get(record.id)
        if theirs and theirs.event.run == record.event.run and theirs.event != record.event:
            raise LedgerError(
                f"record {record.id} differs between the remote and this clone: one of them was edited. See: reconcile audit verify"
            )
    events = (*holds, *(each.event for each in ours))
    return tuple(each for each in events if each.id not in snapshot.by_id)
