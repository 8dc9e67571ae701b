"""`audit begin`: declare in `tenant.yaml` which ledger is the tenant's. Begins the ledger if there is none.

A ledger that is declared can neither vanish nor be replaced without being noticed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from reconciler.audit import Run
from reconciler.commands import audit
from reconciler.commands.journal import provenance
from reconciler.commands.ledgers import TenantLedger, require_key
from reconciler.commands.session import require_reason
from reconciler.errors import ExitCode, LedgerError, ManifestError, UsageError
from reconciler.ledger import Ledger
from reconciler.manifests import TENANT_FILE, edits
from reconciler.report import Report, Tone
from reconciler.world import World

_LATER: Final = (
    "the reviewed parent declares another ledger: this declaration counts from the next change on, that is, from the commit after the one that"
    " brings it to main. Until then every command but halt and audit fails"
)


def begin(world: World, path: Path, tenant: str | None, reason: str) -> Report:
    """Declare the tenant's ledger in its `tenant.yaml`; append the first record if the ledger is empty.

    Raises:
        UsageError: the platform is embedded, or the reason is empty; and as `audit.read`.
        LedgerError: the ledger ends in a commit of somebody else, or does not verify, or this clone has one and the remote has none.
        AccessError: its records must be signed, and there is no signing key.
        Unavailable: the remote does not answer.
    """
    require_reason(reason)
    kept = audit.read(world, path, tenant, anyhow=True)
    if kept.location.embedded:
        raise UsageError(
            f"the platform of {kept.name} is embedded (url: sandbox:): its ledger stays in this clone, and nothing is declared"
        )
    declared = kept.trust.spec.audit.began
    first = start(world, kept, reason)
    said, notes = declare(kept, first)
    if declared not in {None, first}:
        notes = (*notes, _LATER)
    return Report(
        title=f"Begin the audit records of tenant {kept.name}",
        verdict=said,
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        notes=notes,
        facts={**kept.facts, "began": first, "reason": reason},
        data={"ledger": kept.ledger.tenant, "began": first},
    )


def start(world: World, kept: TenantLedger, reason: str) -> str:
    """Return the id of the ledger's first record. If the ledger is empty, or another one is declared, the reason is recorded.

    Raises:
        LedgerError, AccessError, Unavailable, GitError: as `begin`.
    """
    ledger, declared = kept.ledger, kept.trust.spec.audit.began
    if (problem := ledger.foreign_commit() or ledger.unshared) is not None:
        raise LedgerError(problem)
    known = _first(ledger)
    if known is not None and declared in {None, known}:
        return known
    require_key(world, kept.trust.spec)
    ledger.check()
    who = provenance(world, kept.git)
    run = Run(ledger.tenant, kept.git.head(), world.new_id(), world.now, who)
    instead = f" in place of the one that began with record {declared}" if declared else ""
    ledger.append([run.note(f"this ledger counts{instead}: {reason}")])
    return ledger.records()[0].id


def _first(ledger: Ledger) -> str | None:
    """Return the id of the ledger's first record; `None` if it is empty.

    Records of a stop that still wait do not count: another clone may add its own records before them.
    """
    return ledger.records()[0].id if ledger.snapshot.records else None


def declare(kept: TenantLedger, first: str) -> tuple[str, tuple[str, ...]]:
    """Write the ledger's name and first record into `tenant.yaml`; return what was done, and notes for the report."""
    file, platform = kept.folder / TENANT_FILE, kept.ledger.tenant
    if kept.trust.asked == first:
        return f"{file} declares this ledger already", ()
    try:
        edits.save(file, _declaring(kept, file, first))
    except (ManifestError, UsageError) as error:
        return f"begun, but not declared: {file} must be edited by hand", (
            f"{error}; {lines(platform, first)}",
        )
    return f"declared in {file}", (f"next: review and commit {file}",)


def _declaring(kept: TenantLedger, file: Path, first: str) -> str:
    """Return the text of `tenant.yaml` with the declaration."""
    wanted = {"ledger": kept.ledger.tenant, "began": first}
    if edits.has(file, ("spec", "audit")):
        return edits.edit_settings(file, {f"spec.audit.{key}": wanted[key] for key in wanted})
    return edits.edit_settings(file, {"spec.audit": wanted})


def lines(platform: str, first: str) -> str:
    """Return a sentence with the lines of YAML that declare a ledger."""
    said = f"ledger: {json.dumps(platform)}, began: {json.dumps(first)}"
    return (
        f"add to `spec` in {TENANT_FILE}: `audit: {{{said}}}` (beside what `audit` holds already)"
    )


def declare_first(kept: TenantLedger) -> tuple[str, ...]:
    """Declare the ledger in `tenant.yaml` if nothing is declared there. Return notes for the report.

    The notes hold the lines as well, because a CI job's checkout is thrown away.
    """
    first = _first(kept.ledger)
    if kept.location.embedded or kept.trust.asked or first is None:
        return ()
    said, notes = declare(kept, first)
    declaring = lines(kept.ledger.tenant, first)
    if not any(declaring in note for note in notes):
        notes = (*notes, f"if this checkout is thrown away, {declaring}")
    return (f"audit records: {said}", *notes)
