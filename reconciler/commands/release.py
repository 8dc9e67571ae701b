"""`release`: end the holds of a halt, by name and with a reason."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from reconciler import audit
from reconciler.audit import Applied, Record, Run
from reconciler.commands import audit as audit_command
from reconciler.commands import session as sessions
from reconciler.commands.journal import provenance
from reconciler.commands.session import require_reason
from reconciler.dialects import kinds_for
from reconciler.errors import ReconcileError, UsageError, safe
from reconciler.ledger import Ledger
from reconciler.manifests import Folder, load_readable
from reconciler.report import Report
from reconciler.report.changes import unseen_note
from reconciler.report.halt import Released, name_of, of_release, rest_note
from reconciler.world import Network, World


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """The objects to hold or release, and the reason.

    Attributes:
        path, tenant: the tenant's folder.
        names: names of manifests, or ids of the platform.
        everything: all objects of the tenant instead.
        reason: why; recorded and shown by every plan.
        network: see `Network`.

    Raises:
        UsageError: a name is `*`, which no object has: records use it for everything.
    """

    path: Path
    names: tuple[str, ...] = ()
    _: KW_ONLY
    reason: str
    everything: bool = False
    tenant: str | None = None
    network: Network = Network()

    def __post_init__(self) -> None:
        if audit.EVERYTHING in self.names:
            raise UsageError(f"{audit.EVERYTHING} is no name: --all means everything")


def release(world: World, asked: HoldRequest) -> Report:
    """End holds. This starts no dialing: the next apply plans the objects again.

    An object without a hold whose schedule reconcile applied is read. If the schedule is missing on the platform, the next apply
    may create it again. Another known object that is not held is reported, and is no error: somebody may have released it already.

    Raises:
        UsageError: there is no such tenant, or a name is unknown. Then nothing is released.
        Unavailable: the remote that holds the ledger does not answer.
    """
    require_reason(asked.reason)
    kept = audit_command.open_writable(world, asked.path, asked.tenant)
    ledger, clock = kept.ledger, kept.clock(world)
    folder = load_readable(asked.path, asked.tenant)
    manifested = {each.key: each.name for each in folder.desired}
    own = audit.standing(ledger.records(), now=clock.passed())
    called = _names(manifested, ledger.records(), own)
    # what only a stop of everything holds can be released by its name
    every = audit.standing(ledger.records(), now=clock.passed(), keys=called)
    holds = own if asked.everything else every
    names = {key: called[key][-1] for key in holds}
    named = _by_name({key: called[key] for key in holds})
    free = [name for name in asked.names if name not in named]
    known = _known(folder, ledger.records())
    _require_known([name for name in free if name not in known], held=own)
    keys = sorted(
        holds if asked.everything else set().union(*(named.get(name, ()) for name in asked.names))
    )
    last = ledger.applied()
    free_of_holds = {key: each for key, each in last.items() if key not in holds}
    missing, unread = _missing(world, asked, folder, free, free_of_holds)
    _record(world, ledger, asked.reason, {key: names[key] for key in keys}, missing, last)
    ended = [Released(key, names[key], holds[key]) for key in keys]
    report = of_release(
        folder.name, ended, asked.reason, path=str(folder.path), named=manifested, missing=missing
    )
    done = {text for pair in missing.items() for text in pair}
    gone = [each for each in free if each not in manifested.values()]
    former = {
        str(each.data["name"]): names[each.data["target"]]
        for each in ledger.records()
        if each.data.get("name") in gone and each.data.get("target") in names
    }
    kinds = kinds_for(folder.tenant.spec.api).values()
    removes = any(kind.silenced({}) is None for kind in kinds)  # else a stop keeps what is stored
    unseen = [names[key] for key in keys if removes and key in last and last[key].is_unseen]
    return report._replace(
        notes=(
            *ledger.notes,  # as they are now: what waited has just been recorded
            *filter(None, [clock.contradiction()]),
            *(_renamed(asked.path, *each) for each in former.items()),
            *(_not_held(asked.path, each, unread) for each in free if each not in {*done, *former}),
            *([unseen_note(unseen)] if unseen else ()),
            *([rest_note(str(folder.path))] if audit.EVERYTHING in holds.keys() - {*keys} else ()),
            *report.notes,
        )
    )


def _names(
    manifested: Mapping[str, str],
    records: Iterable[Record],
    own: Mapping[str, Sequence[Record]],
) -> dict[str, Sequence[str]]:
    """Return the names of each known object, by key; the last one is for reports.

    An object has the names of its manifest and of the holds on itself. Only if there are none, it has that of its last record, unless
    the name moved: a manifest gives it to another object now.

    Args:
        manifested: names of manifests, by key.
        records: all records, in order.
        own: the holds on objects themselves, by key.
    """
    named = {str(each.data["target"]): name_of(each) for each in records if each.data.get("target")}
    taken = {*manifested.values()}
    names: dict[str, Sequence[str]] = {
        key: (key if name in taken else name,) for key, name in named.items()
    }
    names |= {key: (name,) for key, name in manifested.items()}
    for key, holds in own.items():
        names[key] = [*([manifested[key]] if key in manifested else []), *map(name_of, holds)]
    return names


def _by_name(names: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the keys of held objects by each name and key. A name may have moved to another object between two stops."""
    named = {key: {key} for key in names}
    for key, each in names.items():
        for name in each if key != audit.EVERYTHING else ():
            named.setdefault(name, set()).add(key)
    return named


def _require_known(unknown: Sequence[str], held: Mapping[str, Sequence[Record]]) -> None:
    if unknown:
        objects = (name_of(each[-1]) for key, each in held.items() if key != audit.EVERYTHING)
        names = ", ".join(sorted(objects))
        rest = f"held: {names}" if names else "no object is held, so there is nothing to release"
        if audit.EVERYTHING in held:
            rest = f"a halt of everything holds also what this clone does not know: fetch the commit with its manifest, or use --all{f'. Held by name: {names}' if names else ''}"
        raise UsageError(f"no held object is named {', '.join(unknown)}; {rest}")


def _record(
    world: World,
    ledger: Ledger,
    reason: str,
    held: Mapping[str, str],
    missing: Mapping[str, str],
    last: Mapping[str, Applied],
) -> None:
    """Record the end of holds, and what may be created again. Objects are names by key."""
    if not held and not missing:
        return
    commit = ledger.last_applied() or ledger.records()[-1].event.commit
    who = provenance(world, ledger.git)
    run = Run(ledger.tenant, commit, world.new_id(), world.now, who)
    ends = [run.release(key, name=name, reason=reason) for key, name in held.items()]
    again = [
        run.missing(last[key].outcome, name=name, reason=reason) for key, name in missing.items()
    ]
    ledger.append([*ends, *again])


def _missing(
    world: World,
    asked: HoldRequest,
    folder: Folder,
    names: Sequence[str],
    last: Mapping[str, Applied],
) -> tuple[dict[str, str], str]:
    """Return the names of the objects whose applied schedule is missing on the platform now, by key; and why they could not be read.

    Args:
        world: see `World`.
        asked: see `HoldRequest`.
        folder: the manifests.
        names: names or keys of objects that are not held.
        last: the last write to each object.
    """
    wanted = {each.key: each.name for each in folder.desired if {each.name, each.key} & {*names}}
    ours = {key: name for key, name in wanted.items() if key in last and last[key].was_stored}
    if not ours:
        return {}, ""
    try:
        return asyncio.run(_read_missing(world, folder, asked.network, ours)), ""
    except ReconcileError as error:
        return {}, f" It could not be read: {error}."


async def _read_missing(
    world: World, folder: Folder, network: Network, objects: Mapping[str, str]
) -> dict[str, str]:
    async with sessions.open_session(world, folder, network, recorded=False) as session:
        read = session.dialect.read_one
        found = {key: await session.client.run(read(key)) for key in objects}
    return {key: objects[key] for key, live in found.items() if live.stored is None}


def _known(folder: Folder, records: Sequence[Record]) -> set[str]:
    """Return the names and keys of all objects that a manifest or a record names."""
    desired = {text for each in folder.desired for text in (each.name, each.key)}
    unnamed = {None, "", audit.EVERYTHING}
    recorded = (each.data for each in records if each.data.get("target") not in unnamed)
    return desired.union(
        str(data[name]) for data in recorded for name in ("name", "target") if data.get(name)
    )


def _renamed(path: Path, name: str, now: str) -> str:
    command = f"reconcile release {shlex.quote(str(path))} {shlex.quote(now)} --reason TEXT"
    return f"{safe(name)} is a former name of {safe(now)}, which is held: {command}"


def _not_held(path: Path, name: str, unread: str) -> str:
    where, quoted = shlex.quote(str(path)), shlex.quote(name)
    return (
        f"{safe(name)} is not held: it was released already, the hold ended by itself, or nobody halted it.{unread} If its schedule is missing on the platform, an apply"
        f" creates it again with: reconcile apply {where} {quoted} --revert {quoted}"
    )
