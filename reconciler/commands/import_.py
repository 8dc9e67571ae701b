"""`import`: write the platform's schedules into manifests, then plan. Changes that the plan still shows could not be imported.

Objects without a manifest get a new file. Scalars are edited in place. Nothing is guessed: a field that cannot be written is reported.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconciler import diff, manifests
from reconciler import plan as plans
from reconciler.audit import Applied, Run
from reconciler.commands import begin
from reconciler.commands import plan as plan_command
from reconciler.commands import session as sessions
from reconciler.commands.journal import provenance
from reconciler.commands.ledgers import require_key
from reconciler.commands.session import Session
from reconciler.errors import (
    AccessError,
    ExitCode,
    GitError,
    LedgerError,
    ManifestError,
    Unavailable,
    UsageError,
)
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.manifests import Folder, edits
from reconciler.manifests.writer import SCHEMAS, new_manifest, new_name, schema_of
from reconciler.models import API_VERSION, MANIFESTS, Body, Desired, Manifest
from reconciler.plan import Plan
from reconciler.policies.base import Level
from reconciler.report import Report, Row, Table, Tone, count
from reconciler.report.change_rows import changes_table
from reconciler.report.changes import plan_verdict
from reconciler.report.checks import findings_table
from reconciler.world import Network, World


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Arguments of `import`.

    Attributes:
        path, tenant: which tenant's folder; it may hold `tenant.yaml` alone.
        keys: ids of the objects to import; none means all that hold a schedule.
        network: see `Network`.
    """

    path: Path
    keys: tuple[str, ...] = ()
    tenant: str | None = None
    network: Network = Network()


@dataclass(slots=True)
class _Import:
    """The result of an import: files to write, and fields that could not be imported.

    Attributes:
        names: names that are taken, by manifests or by files.
        texts: new text of each file.
        done: id, name and file of each object that was taken over.
        stored: name and canonical body of each object, by id.
        left: id, name and reason of each field or object that was not.
        unchecked: a new file references no schema, because there is none.
        notes: about the ledger, for the report.
    """

    names: set[str]
    texts: dict[Path, str] = field(default_factory=dict)
    done: list[tuple[str, str, str]] = field(default_factory=list)
    stored: dict[str, tuple[str, Body]] = field(default_factory=dict)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    unchecked: bool = False
    notes: list[str] = field(default_factory=list)


async def run(world: World, asked: ImportRequest) -> Report:
    """Write the platform's schedules into the manifests, and plan.

    Raises:
        UsageError: the platform has no schedule for one of the ids.
        ManifestError: the folder is not valid before or after.
    """
    folder = manifests.load(asked.path, asked.tenant, keep_places=True, may_be_empty=True)
    async with sessions.open_session(world, folder, asked.network) as session:
        snapshot, _ = await session.read()
        objects = _select(snapshot.objects, asked.keys, folder)
        files = {path.stem for path in folder.path.glob("*.yaml")}
        found = _Import(names={each.name for each in folder.desired} | files)
        for key in sorted(objects):
            if (odd := snapshot.unreadable.get(key)) is not None:
                found.left.append((key, objects[key].name or key, odd))
            else:
                _take(found, session, objects[key])
        # The ledger is first: a crash between the two leaves no manifest of a schedule that an apply would create again.
        found.notes += _record(world, session, found, snapshot.at)
        for path, text in found.texts.items():
            edits.save(path, text)
        if not (folder.desired or found.texts):
            return _report(folder, found, None)
        after = replace(session, folder=manifests.load(folder.path))
        plan, _ = await plan_command.make(after)
        return _report(folder, found, plans.only(plan, frozenset(objects)))


def _select(objects: Mapping[str, Live], keys: tuple[str, ...], folder: Folder) -> dict[str, Live]:
    holding = {key: live for key, live in objects.items() if live.stored is not None}
    unknown = [key for key in keys if key not in holding]
    if unknown:
        by_name = {live.name: key for key, live in objects.items()}
        by_name |= {each.name: each.key for each in folder.desired}
        named = [f"{name} is {by_name[name]}" for name in unknown if name in by_name]
        hint = f"import takes ids, and {', '.join(named)}" if named else "nothing to import"
        raise UsageError(f"the platform has no schedule for {', '.join(unknown)}: {hint}")
    return {key: holding[key] for key in keys} if keys else holding


def _take(found: _Import, session: Session, live: Live) -> None:
    """Import one object into its manifest, or else into a new file."""
    kind = next(iter(session.dialect.KINDS.values()))
    desired = next((each for each in session.folder.desired if each.key == live.key), None)
    body = kind.canonical(live.stored or {})
    name = new_name(live.name, live.key, found.names) if desired is None else desired.name
    found.stored[live.key] = name, body
    try:
        spec = MANIFESTS[kind.name].spec_of(body)
    except (ValueError, KeyError, TypeError) as error:
        found.left.append((live.key, live.name if desired is None else name, _reason(error)))
        return
    if desired is None:
        _create(found, session.folder, kind, live, name, spec)
    else:
        _patch(found, kind, desired, body, spec)


def _record(world: World, session: Session, found: _Import, at: datetime) -> list[str]:
    """Declare the ledger in `tenant.yaml`, and record what is stored; return notes for the report.

    The records keep a schedule that is removed or narrowed before the next apply as it is. If that fails, the import is still done.
    """
    kept = session.kept
    if kept is None or kept.location.embedded:
        return []
    notes: list[str] = []
    try:
        if not kept.trust.asked:
            said, more = begin.declare(kept, begin.start(world, kept, "begun by import"))
            notes = [f"audit records: {said}", *more]
        known = kept.ledger.applied()
        new = {key: each for key, each in found.stored.items() if _is_new(known.get(key), each[1])}
        if new:
            require_key(world, kept.trust.spec)
            kept.ledger.check()
            who = provenance(world, kept.git)
            run = Run(kept.ledger.tenant, kept.git.head(), world.new_id(), world.now, who)
            kind = next(iter(session.dialect.KINDS))
            kept.ledger.append(
                run.imported(kind, key, name, body, at) for key, (name, body) in new.items()
            )
    except (AccessError, GitError, LedgerError, Unavailable) as error:
        notes.append(
            f"the ledger does not hold the imported schedules ({error}). If one is stopped or narrowed before the next apply, that apply creates or"
            " widens it again. Correct this first, then run the same import once more"
        )
    return notes


def _is_new(last: Applied | None, body: Body) -> bool:
    """Return whether an import must record what is stored: the last import since the last write, or else that write, left something else."""
    if last is None:
        return True
    if last.found_since:
        return bool(last.found_since[-1].data["body"] != body)
    return not (body == last.intent.data["body"] == last.base)


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _create(
    found: _Import, folder: Folder, kind: Kind, live: Live, name: str, spec: dict[str, Any]
) -> None:
    model = MANIFESTS[kind.name]
    _, body = found.stored[live.key]
    path = folder.path / f"{name}.yaml"
    document = _document(model, name, live.name, spec)
    try:
        compiled = model.model_validate(document).compile()
    except ValidationError as error:
        reason = _said(error.errors(include_url=False)[0])
        found.left.append((live.key, live.name, reason))
        return
    if compiled != body:
        fields = ", ".join(diff.moved(body, compiled or {}))
        found.left.append(
            (live.key, live.name, f"{fields} would not compile to the platform's value")
        )
    elif path.exists():
        found.left.append((live.key, live.name, f"{path} exists already, for another object"))
    else:
        schema = schema_of(kind.name, folder.path)
        found.unchecked |= schema is None
        try:
            text = new_manifest(kind.name, model, name, live.name, spec, schema)
        except ValueError as error:
            found.left.append((live.key, live.name, f"{error}: rename it on the platform"))
            return
        found.texts[path] = text
        found.done.append((live.key, name, str(path)))
        found.names.add(name)


def _patch(found: _Import, kind: Kind, desired: Desired, body: Body, spec: dict[str, Any]) -> None:
    """Edit the scalars of a manifest that differ. Lists must be edited by hand, because their comments may depend on the items."""
    if desired.body is None:
        reason = "its manifest is a tombstone (`metadata.retired: true`): the schedule will be removed, not imported"
        found.left.append((desired.key, desired.name, reason))
        return
    moved = [name for name in diff.moved(desired.body, body) if name not in kind.fixed]
    plain = {name: spec[name] for name in moved if not isinstance(spec.get(name, []), list | dict)}
    wrong = _invalid(MANIFESTS[kind.name], desired, plain)
    path = Path(desired.place.file)
    for name in moved:
        if name not in plain or name in wrong:
            place = desired.places.get(name, desired.place)
            reason = wrong.get(name) or f"{name} must be edited by hand at {place}"
            found.left.append((desired.key, desired.name, reason))
            continue
        try:
            text = edits.edit(
                path, {(desired.name, f"spec.{name}"): spec[name]}, text=found.texts.get(path)
            )
        except ManifestError as error:
            found.left.append((desired.key, desired.name, str(error)))
        else:
            found.texts[path] = text
            found.done.append((desired.key, desired.name, f"{path}: {name}"))


def _invalid(model: type[Manifest], desired: Desired, values: Mapping[str, Any]) -> dict[str, str]:
    """Return why a manifest cannot say some of the platform's values, by field. The others are valid together."""
    wrong: dict[str, str] = {}
    spec = model.spec_of(desired.body or {})
    while left := {name: value for name, value in values.items() if name not in wrong}:
        try:
            model.model_validate(_document(model, desired.name, "", spec | left))
        except ValidationError as error:
            said = [
                each for each in error.errors(include_url=False) if {*each["loc"][1:2]} & {*left}
            ]
            wrong |= {str(each["loc"][1]): _said(each) for each in said}
            if not said:  # a value that is there already contradicts one of them
                wrong |= dict.fromkeys(left, str(error.errors(include_url=False)[0]["msg"]))
        else:
            break
    return wrong


def _said(error: Any) -> str:
    """Return a problem of a value, with its field."""
    loc = error["loc"][1:] or error["loc"]
    return f"{'.'.join(map(str, loc))}: {error['msg']}"


def _document(
    model: type[Manifest], name: str, platform_name: str, spec: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": model.__name__,
        "metadata": {"name": name, model.named_by: platform_name or None},
        "spec": spec,
    }


def _report(folder: Folder, found: _Import, plan: Plan | None) -> Report:
    remaining = plan.operations if plan else ()
    noun = plan.noun if plan else "object"
    whole, partial, none = _outcomes(found)
    columns = "id", "name", "taken over", "not taken over"
    taken_in_part = [Row((*row, "")) for row in found.done if row[0] in partial]
    left_in_part = [
        Row((key, name, "", why), Tone.WARN) for key, name, why in found.left if key in partial
    ]
    tables = (
        Table(
            "Not taken over",
            ("id", "name", "reason"),
            tuple(Row(row, Tone.WARN) for row in found.left if row[0] in none),
        ),
        Table("Taken over in part", columns, (*left_in_part, *taken_in_part)),
        Table(
            "Taken over",
            ("id", "name", "where"),
            tuple(Row(row) for row in found.done if row[0] in whole),
        ),
        findings_table(
            each for each in (plan.findings if plan else ()) if each.level is Level.ERROR
        ),
        changes_table(remaining, noun),
    )
    clean = not remaining and not found.left
    after = plan_verdict(plan) if plan else "no changes"
    some = [(len(partial), "only in part"), (len(none), "not imported")]
    said = ", ".join(
        [f"{count(len(whole), noun)} imported", *(f"{n} {what}" for n, what in some if n)]
    )
    return Report(
        title=f"Import tenant {folder.name}",
        verdict=f"{said}; {after[:1].lower()}{after[1:]}",
        tone=Tone.GOOD if clean else Tone.WARN,
        exit_code=ExitCode.DONE if clean else ExitCode.CHANGES,
        tables=tuple(table for table in tables if table.rows),
        notes=_notes(folder, found, plan),
        data={
            "taken": [
                {"key": key, "name": name, "where": where} for key, name, where in found.done
            ],
            "left": [{"key": key, "name": name, "reason": why} for key, name, why in found.left],
            "changes": [operation.key for operation in remaining],
            "unrecorded": sorted(plan.unrecorded) if plan else [],
        },
    )


def _outcomes(found: _Import) -> tuple[set[str], set[str], set[str]]:
    """Return the ids of the objects that were taken over, only in part, and not at all."""
    done, left = {key for key, *_ in found.done}, {key for key, *_ in found.left}
    return done - left, done & left, left - done


def _notes(folder: Folder, found: _Import, plan: Plan | None) -> tuple[str, ...]:
    path = shlex.quote(str(folder.path))
    notes = list(found.notes)
    if plan and plan.unrecorded:
        notes.append(
            f"next: commit the manifests, then `reconcile apply {path}`, which records their starting point"
        )
    if found.unchecked:
        notes.append(
            f"the new files reference no schema for editors, because {SCHEMAS}/ is missing: run `reconcile schema --out {SCHEMAS}` at the top of the repository"
        )
    return tuple(notes)
