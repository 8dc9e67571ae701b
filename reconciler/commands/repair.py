"""`audit repair`: acknowledge the damage of a ledger, so that it can be verified again from there on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

from reconciler.commands import audit
from reconciler.commands.journal import provenance
from reconciler.commands.ledgers import require_key
from reconciler.commands.session import require_reason
from reconciler.errors import ExitCode, LedgerError, UsageError
from reconciler.report import Report, Tone, count
from reconciler.world import World

_WHOLE_ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_LOST: Final = "a hold whose record could not be kept no longer holds: halt again every object that must stay silent, before the next apply"


def _verify_again(folder: Path, cut: str) -> str:
    return (
        f"anybody with push rights can forge a repair: without signatures, verify with `reconcile audit verify {shlex.quote(str(folder))} --expect-cut {cut}`, or the whole"
        " ledger is verified, with its defects"
    )


def repair(world: World, path: Path, tenant: str | None, head: str, reason: str) -> Report:
    """Begin a new segment of the ledger from the records that can still be read at `head`.

    Raises:
        UsageError: `head` is not a full commit id, the reason is empty, or nothing is damaged.
        LedgerError: `head` is not the ledger's newest commit, or no record can be read.
        AccessError: the records must be signed, and there is no key of a trusted signer.
        TenantLocked: somebody else holds the lock.
        Unavailable, GitError: as `Ledger.append`.
    """
    require_reason(reason)
    if not _WHOLE_ID.fullmatch(head):
        raise UsageError(f"--head {head} is not a full commit id")
    kept = audit.read(world, path, tenant, anyhow=True)
    require_key(world, kept.trust.spec)
    ledger, by = kept.ledger, provenance(world, kept.git)
    found = ledger.verify()
    if not found.defects:
        raise UsageError(f"nothing to repair: the ledger of {kept.name} is consistent")
    if found.head != head:
        raise LedgerError(
            f"the ledger's head is {found.head}, not {head}: look at what it holds now (reconcile audit verify {shlex.quote(str(kept.folder))})"
        )
    try:
        ledger.lock.acquire(holder=f"audit repair by {by.actor}")
        dropped = ledger.repair(head, len(found.defects), reason, by=by)
    finally:
        ledger.lock.release()
    after = ledger.verify(expect_cut=ledger.head)
    return Report(
        title=f"Repair the audit records of tenant {kept.name}",
        verdict=f"{count(len(found.defects), 'defect')} acknowledged, {count(dropped, 'record')} could not be kept; now {after}",
        tone=Tone.BAD if after.defects else Tone.GOOD,
        exit_code=ExitCode.ERROR if after.defects else ExitCode.DONE,
        notes=(
            *ledger.notes,
            _verify_again(kept.folder, str(after.head)),
            *([_LOST] if dropped else []),
        ),
        facts={**kept.facts, "damaged": head, "reason": reason},
        data={"head": after.head, "damaged": head, "dropped": dropped},
    )
