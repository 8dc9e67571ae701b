"""`release`: end the holds of a halt, by name and with a reason."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from reconciler import audit
from reconciler.audit import Record, Run
from reconciler.commands import audit as audit_command
from reconciler.commands.journal import provenance
from reconciler.commands.session import require_reason
from reconciler.errors import UsageError, safe
from reconciler.manifests import Folder, load_readable
from reconciler.report import Report
from reconciler.report.halt import name_of, of_release
from reconciler.world import World


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """The objects to hold or release, and the reason.

    Attributes:
        path, tenant: the tenant's folder.
        names: names of manifests, or ids of the platform.
        everything: all objects of the tenant instead.
        reason: why; recorded and shown by every plan.
    """

    path: Path
    names: tuple[str, ...] = ()
    _: KW_ONLY
    reason: str
    everything: bool = False
    tenant: str | None = None


def release(world: World, asked: HoldRequest) -> Report:
    """End holds. This starts no dialing: the next apply plans the objects again.

    A known object that is not held is reported, and is no error: somebody may have released it already.

    Raises:
        UsageError: there is no such tenant, or a name is unknown. Then nothing is released.
        Unavailable: the remote that holds the ledger does not answer.
    """
    require_reason(asked.reason)
    kept = audit_command.open_writable(world, asked.path, asked.tenant)
    ledger, clock = kept.ledger, kept.clock(world)
    remarks = (*ledger.notes, *filter(None, [clock.contradiction()]))
    holds = audit.standing(ledger.records(), now=clock.passed())
    names = {key: name_of(each[-1]) for key, each in holds.items()}
    named = {key: {key} for key in holds}
    for key, each in holds.items():
        for hold in each:  # a name may have moved from one object to another between two stops
            named.setdefault(name_of(hold), set()).add(key)
    folder = load_readable(asked.path, asked.tenant)
    free = [name for name in asked.names if name not in named]
    known = _known(folder, ledger.records())
    if unknown := [name for name in free if name not in known]:
        held = ", ".join(sorted(names.values()))
        rest = f"held: {held}" if held else "no object is held, so there is nothing to release"
        raise UsageError(f"no held object is named {', '.join(unknown)}; {rest}")
    keys = sorted(
        holds if asked.everything else set().union(*(named.get(name, ()) for name in asked.names))
    )
    if keys:
        commit = ledger.last_applied() or holds[keys[0]][-1].event.commit
        run = Run(ledger.tenant, commit, world.new_id(), world.now, provenance(world))
        ledger.append(run.release(key, name=names[key], reason=asked.reason) for key in keys)
    manifested = {each.key for each in folder.desired}
    ended = [holds[key] for key in keys]
    report = of_release(folder.name, ended, asked.reason, path=str(folder.path), named=manifested)
    return report._replace(
        notes=(*remarks, *(_not_held(asked.path, each) for each in free), *report.notes)
    )


def _known(folder: Folder, records: Sequence[Record]) -> set[str]:
    """Return the names and keys of all objects that a manifest or a record names."""
    desired = {text for each in folder.desired for text in (each.name, each.key)}
    recorded = (each.data for each in records if each.data.get("target"))
    return desired.union(
        str(data[name]) for data in recorded for name in ("name", "target") if data.get(name)
    )


def _not_held(path: Path, name: str) -> str:
    where, quoted = shlex.quote(str(path)), shlex.quote(name)
    return (
        f"{safe(name)} is not held: it was released already, the hold ended by itself, or nobody halted it. If its schedule is missing on the platform, an apply creates it"
        f" again with: reconcile apply {where} {quoted} --revert {quoted}"
    )
