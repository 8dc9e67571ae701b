"""Compare the predictions of the last proposals, kept in the tenant's folder, with observations since their apply.

The comparison has no effect on new proposals. So a problem with it is a note and not an error: a ledger that cannot be read, or a table
that somebody edited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Applied
from reconciler.commands.ledgers import TenantLedger
from reconciler.errors import ReconcileError
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.manifests import Folder
from reconciler.manifests.folders import read_file
from reconciler.optimize import predictions
from reconciler.optimize.base import Proposal, Subject
from reconciler.optimize.predictions import Kept
from reconciler.report.optimize import PastProposal
from reconciler.world import World

NOT_APPLIED: Final = "not applied since it was proposed"


@dataclass(frozen=True, slots=True)
class Table:
    """The table of the last predictions in a tenant's folder.

    Attributes:
        path: where it is, or will be.
        content: its bytes; `None` if there is none.
        kept: its rows by the object's key.
        notes: what is wrong with it.
        is_ours: whether `optimize` may write it.
    """

    path: Path
    content: bytes | None
    kept: Mapping[str, Kept]
    notes: tuple[str, ...] = ()
    is_ours: bool = True

    @classmethod
    def read(cls, folder: Folder) -> Table:
        """Read the table of a tenant's folder."""
        path = folder.path / predictions.FILE
        if not path.is_symlink() and not path.exists():
            return cls(path, None, {})
        try:
            content = read_file(str(path))
        except ReconcileError as error:
            return cls(path, None, {}, (str(error),), is_ours=False)
        text = content.decode(errors="replace")
        if not predictions.is_ours(text):
            note = f"{path} is not the table of `reconcile optimize`, so no predictions are kept: rename it"
            return cls(path, content, {}, (note,), is_ours=False)
        kept, problems = predictions.parse(text, str(path))
        return cls(path, content, kept, tuple(map(str, problems)))

    def with_new(self, proposals: Iterable[Proposal], subjects: Mapping[str, Subject], known: Iterable[str], at: datetime) -> str | None:  # fmt: skip
        """Return the table after new proposals; `None` if it stays as it is.

        Args:
            proposals: they replace the rows of their objects.
            subjects: the objects of the proposals, by key.
            known: keys that a manifest claims. The rows of others are dropped.
            at: when the proposals were made.
        """
        if not self.is_ours:
            return None
        claimed = set(known)
        kept = {key: each for key, each in self.kept.items() if key in claimed}
        for proposal in proposals:
            kept.pop(proposal.key, None)
            new = predictions.of_proposal(proposal, subjects[proposal.key].zone, at)
            if new is not None:
                kept[proposal.key] = new
        if not kept and self.content is None:
            return None
        text = predictions.render(kept.values())
        return None if text.encode() == self.content else text


def compare(
    world: World, folder: Folder, table: Table, subjects: Iterable[Subject]
) -> tuple[tuple[PastProposal, ...], tuple[str, ...]]:
    """Compare each kept prediction with the observations since its apply; return also notes on what cannot be compared.

    Args:
        world: see `World`.
        folder: the tenant's folder.
        table: its table.
        subjects: the objects, with their observations.
    """
    wanted = [(table.kept[each.key], each) for each in subjects if each.key in table.kept]
    if not wanted:
        return (), table.notes
    try:
        applied = _applied(world, folder)
    except ReconcileError as error:
        note = f"what the last proposals led to is not known, because the audit records cannot be read: {error}"
        return (), (*table.notes, note)
    return tuple(_compared(*each, applied) for each in wanted), table.notes


def last_changes(
    world: World, folder: Folder, field: str
) -> tuple[Mapping[str, datetime | None], tuple[str, ...]]:
    """Return when a field of each recorded object was last changed (`audit.last_changes`), and a note if the records cannot be read."""
    try:
        ledger = _ledger(world, folder)
        return ({} if ledger is None else audit.last_changes(ledger.records(), field)), ()
    except ReconcileError as error:
        note = f"when {field} was last changed is not known, because the audit records cannot be read: {error}"
        return {}, (note,)


def _applied(world: World, folder: Folder) -> Mapping[str, Applied]:
    """Return the last write to each object; none outside a repository."""
    ledger = _ledger(world, folder)
    return {} if ledger is None else ledger.applied()


def _ledger(world: World, folder: Folder) -> Ledger | None:
    git = Git.find(folder.path, environ=world.environ, budget=world.remote_budget)
    if git is None:
        return None
    kept = TenantLedger.open(world, git, folder.name, folder.path, folder.tenant.spec)
    kept.ledger.check()
    return kept.ledger


def _compared(kept: Kept, subject: Subject, applied: Mapping[str, Applied]) -> PastProposal:
    last = applied.get(kept.key)
    since = None if last is None else audit.moment(last.outcome)
    if last is None or since is None or since < kept.at:
        return PastProposal(kept, subject.name, NOT_APPLIED)
    body = last.intent.data.get("body") or {}
    others = list(_others(kept, body))
    if others and since < kept.at + predictions.MINUTE:
        # The table keeps whole minutes: nobody edits, commits and applies in the rest of one.
        return PastProposal(kept, subject.name, NOT_APPLIED)
    if others:
        return PastProposal(kept, subject.name, f"applied with other values: {', '.join(others)}")
    return PastProposal(kept, subject.name, happened=predictions.compare(kept, subject, since))


def _others(kept: Kept, body: Mapping[str, object]) -> Iterator[str]:
    """Yield the proposed fields that were applied with another value."""
    for name, value in kept.values.items():
        held = body.get(name)
        same = isinstance(held, int | float) and predictions.rounded(held) == value
        if not same:
            yield f"{name} {value:g} became {'nothing' if held is None else held}"
