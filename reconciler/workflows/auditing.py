"""`audit` and `lock`: what the ledger says, and who holds the tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.audit import Record, RecordKind
from reconciler.errors import GitError, UsageError
from reconciler.git import Git, toplevel
from reconciler.ledger import Ledger
from reconciler.manifests import find_tenants, load_settings
from reconciler.report import Report, Row, Table, Tone, count
from reconciler.workflows.session import records as ledger_of
from reconciler.workflows.world import World


def opened(world: World, path: Path, tenant: str | None) -> Ledger:
    """Return the ledger of the tenant that the path and the name mean; its manifests need not be valid to look at its records.

    Raises:
        UsageError: no such tenant, or several and none named.
        GitError: no git repository.
        ManifestError: `tenant.yaml` is wrong, so nobody knows where the records are.
        Unavailable: the remote that keeps them does not answer.
    """
    found = [where for where in find_tenants(path) if tenant in {None, where.name}]
    if len(found) != 1:
        names = ", ".join(where.name for where in found) or "none"
        raise UsageError(f"name one tenant with --tenant; {path} has {names}")
    top = toplevel(found[0].path, environ=world.environ)
    if top is None:
        raise GitError(f"{path} is in no git repository, so there are no records")
    url = load_settings(found[0]).spec.url
    return ledger_of(world, Git(top, environ=world.environ), found[0].name, url)


def log(world: World, path: Path, tenant: str | None) -> Report:
    """Return every record, newest last."""
    ledger = opened(world, path, tenant)
    records = ledger.records()
    rows = tuple(_row(record) for record in records)
    return Report(
        title=f"Audit log of tenant {ledger.tenant}",
        verdict=count(len(records), "record"),
        tone=Tone.GOOD,
        exit_code=0,
        tables=(Table("Records", ("time", "record", "commit", "manifest", "what", "by"), rows),)
        if rows
        else (),
        facts={"ledger": ledger.head or "empty"},
        data=[record.fields() for record in records],
    )


def _row(record: Record) -> Row:
    data = record.data
    tone = Tone.PLAIN
    if record.kind is RecordKind.OUTCOME:
        tone = (
            Tone.GOOD
            if str(data.get("action", "")).removeprefix("SCHEDULE_")
            in {"DEPLOYED", "RETIRED", "REFRESHED"}
            else Tone.BAD
        )
    cells = (
        record.event.ts,
        record.kind.value,
        record.event.commit[:12],
        str(data.get("name") or ""),
        _what(record.kind, data),
        str(data.get("actor") or ""),
    )
    return Row(cells, tone)


def _what(kind: RecordKind, data: Any) -> str:  # noqa: ANN401 - JSON of a record
    match kind:
        case RecordKind.OPEN:
            return f"{count(data['operations'], 'operation')}, plan {data['digest'][:12]}"
        case RecordKind.INTENT:
            return f"{data['verb']} {data['target']}"
        case RecordKind.OUTCOME:
            return f"{data['action']} {data['target']}: {str(data['result']).replace('_', ' ')}"
        case RecordKind.CLOSE:
            return ", ".join(
                f"{number} {name.replace('_', ' ')}" for name, number in data["counts"].items()
            )
        case _:
            return str(data.get("reason") or data.get("text") or "")


def lock_status(world: World, path: Path, tenant: str | None) -> Report:
    """Return who holds the tenant."""
    ledger = opened(world, path, tenant)
    lock = ledger.lock()
    verdict = (
        "nobody is applying"
        if lock is None
        else f"held by {lock.holder} since {lock.since}, expires at {lock.expires}"
    )
    return _of_lock(ledger, verdict, lock)


def lock_release(world: World, path: Path, tenant: str | None) -> Report:
    """Take the lock away from whoever holds it: for a run that is known to be dead."""
    ledger = opened(world, path, tenant)
    lock = ledger.release_lock()
    return _of_lock(
        ledger,
        "nobody held it"
        if lock is None
        else f"released; it was held by {lock.holder} since {lock.since}",
        lock,
    )


def _of_lock(ledger: Ledger, verdict: str, lock: Any) -> Report:  # noqa: ANN401 - a lock or nothing
    data = (
        None
        if lock is None
        else {
            "holder": lock.holder,
            "since": lock.since,
            "expires": lock.expires,
            "run_url": lock.run_url,
        }
    )
    return Report(f"Lock of tenant {ledger.tenant}", verdict, Tone.GOOD, 0, data=data)
