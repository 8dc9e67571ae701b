"""`drift`: what was changed outside git since it was last applied. Read-only: pushes nothing, writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler import audit, manifests
from reconciler import plan as plans
from reconciler.audit import Record
from reconciler.commands import plan as plan_command
from reconciler.commands import session as sessions
from reconciler.commands.plan import Past
from reconciler.commands.session import Session
from reconciler.errors import ExitCode, TenantLocked
from reconciler.models import Body
from reconciler.plan import Drift, Hold, Known, LastWrite
from reconciler.report import Report
from reconciler.report import drift as report
from reconciler.report.changes import unknown_fields
from reconciler.report.halt import reason_of
from reconciler.world import Network, World


class FailOn(StrEnum):
    """What makes `drift` exit 2."""

    ANY = "any"
    LOOSENING = "loosening"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """Arguments of `drift`.

    Attributes:
        path, names, tenant: which manifests.
        fail_on: what makes the command exit 2.
        network: see `Network`.
    """

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    fail_on: FailOn = FailOn.ANY
    network: Network = Network()


def exit_code(found: Drift, fail_on: FailOn) -> int:
    """Return the exit code of a drift (DESIGN §7)."""
    fails = {
        FailOn.ANY: bool(found.objects),
        FailOn.LOOSENING: found.widens,
        FailOn.NONE: False,
    }
    return ExitCode.CHANGES if fails[fail_on] else ExitCode.DONE


async def drift(world: World, asked: DriftRequest) -> Report:
    """Return the report of one tenant's drift.

    Raises:
        TenantLocked: a run of reconcile writes to the tenant, so its writes could not be told from drift.
    """
    folder = manifests.load(asked.path, asked.tenant)
    keys = folder.keys_of(asked.names)
    async with sessions.open_session(world, folder, asked.network) as session:
        origin, snapshot = await plan_command.observe(session)
        await asyncio.to_thread(_settle, session)
        past = Past.of(session)
        plan = plans.build(
            origin,
            folder.desired,
            snapshot,
            session.dialect.KINDS,
            held=past.held,
            base=past.base,
        )
        desired = [each for each in folder.desired if keys is None or each.key in keys]
        found = plans.drift(
            desired,
            snapshot,
            session.dialect.KINDS,
            _known(session, past),
            plan.operations,
            whole=keys is None and not folder.partial,
        )
        credentials = session.settings.credentials
        notes = [*session.notes, *unknown_fields(plan)]
        if session.ledger is None:
            notes.append(
                "There is no git repository here, so no record says what was applied: every difference is unknown."
            )
        if clocks := session.clock.contradiction():
            notes.append(clocks)
    return report.of_drift(
        found,
        origin,
        snapshot.at,
        exit_code=exit_code(found, asked.fail_on),
        noun=plan.noun,
        ours=credentials.client_id if credentials else None,
        notes=notes,
    )


def _settle(session: Session) -> None:
    """Read the ledger after the platform, so that each write of reconcile that was seen there is recorded.

    Raises:
        TenantLocked: a run holds the lock, or recorded something meanwhile. Its writes may have been read or not.
        LedgerError: the records do not verify, or some are missing.
    """
    ledger = session.ledger
    if ledger is None:
        return
    before = {record.id for record in ledger.records()}
    ledger.refresh()
    ledger.check()
    if ledger.objection is not None:  # records are missing, and with them what was applied
        raise ledger.objection
    lock = ledger.lock.seen()
    if lock is not None:
        raise TenantLocked(
            f"{lock.holder} is writing to this tenant, and drift cannot tell its writes from others: run `reconcile drift` again when that run has ended"
        )
    if before != {record.id for record in ledger.records()}:
        raise TenantLocked(
            "another run of reconcile recorded changes while drift read the platform: run `reconcile drift` again"
        )


def _known(session: Session, past: Past) -> Known:
    """Return what the ledger says about each object."""
    if session.ledger is None:
        return Known()
    records = session.ledger.records()
    opened: dict[str, list[Body | None]] = {}
    for intent in audit.open_intents(records):
        opened.setdefault(str(intent.data["target"]), []).append(intent.data["body"])
    return Known(
        past.base,
        past.applied,
        {key: _last(each) for key, each in session.ledger.applied().items()},
        _holds(past.standing),
        opened,
    )


def _last(write: audit.Applied) -> LastWrite:
    data = write.outcome.data
    return LastWrite(
        audit.moment(write.outcome).isoformat(),
        write.intent.event.commit,
        data.get("actor"),
        data.get("run_url"),
    )


def _holds(standing: Mapping[str, Sequence[Record]]) -> Mapping[str, Sequence[Hold]]:
    return {
        key: [
            Hold(
                each.data.get("actor"),
                audit.moment(each).isoformat(),
                each.data.get("until"),
                reason_of(each),
            )
            for each in holds
        ]
        for key, holds in standing.items()
        if key != audit.EVERYTHING
    }
