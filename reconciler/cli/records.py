"""Commands about what was done: audit, lock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from reconciler.cli import options
from reconciler.errors import UsageError


def _tenant(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `[PATH]`, `--tenant` and `--remote`: whose records, and where they are."""
    path = click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
    return path(options.tenant(options.remote(command)))


@click.group()
def audit() -> None:
    """Read the audit records in git. Each is one line of JSON in the notes of the commit that was applied."""


@audit.command()
@_tenant
@options.output
def log(path: Path, *, tenant: str | None, style: str) -> int:
    """List every record of a tenant, oldest first.

    Example: reconcile audit log schedules/acme
    """
    from reconciler.commands import audit as audit_command

    return options.show(audit_command.log(options.world(), path, tenant), style)


@audit.command()
@click.argument("what", metavar="COMMIT|NAME")
@_tenant
@options.output
def show(what: str, path: Path, *, tenant: str | None, style: str) -> int:
    """Show every record about a commit or an object, in full.

    COMMIT is a commit as git names it (HEAD~1); the run that superseded it counts, too. NAME is a manifest's name or a campaign's id.

    Example: reconcile audit show spring-renewals schedules/acme
    """
    from reconciler.commands import audit as audit_command

    return options.show(audit_command.show(options.world(), path, tenant, what), style)


@audit.command()
@_tenant
@click.option(
    "--expect-head",
    metavar="SHA",
    help="A ledger commit that you noted down earlier. It must be there.",
)
@click.option(
    "--signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Allowed signers file (ssh-keygen): every ledger commit must be signed by one of them.",
)
@options.output
def verify(
    path: Path,
    *,
    tenant: str | None,
    style: str,
    expect_head: str | None,
    signers: Path | None,
) -> int:
    """Check that every record is as it was written and that none is missing. Exits 1 otherwise.

    Reports which witness there was: the mirror branch, signatures, or --expect-head. If a record is bad, names the ledger commit that the first
    bad line is from, and what to do.

    Example: reconcile audit verify schedules/acme
    """
    from reconciler.commands import audit as audit_command

    report = audit_command.verify(options.world(), path, tenant, expect_head, signers)
    return options.show(report, style)


@audit.command()
@_tenant
@click.option(
    "--head",
    required=True,
    metavar="SHA",
    help="The ledger commit that you read; it must be the newest.",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why its unsigned records are right.")
@options.output
def vouch(path: Path, *, tenant: str | None, style: str, head: str, reason: str) -> int:
    """Sign the records as they stand at one ledger commit, so that unsigned ones count, too. Read them first.

    For records of an unsigned stop, a ledger from before audit.sign, or a key that was replaced. Needs RECONCILE_SIGNING_KEY, the key of a
    trusted signer. Writes to the ledger only.
    """
    from reconciler.commands import audit as audit_command

    return options.show(audit_command.vouch(options.world(), path, tenant, head, reason), style)


@audit.command()
@_tenant
@click.option(
    "--format",
    "style",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="A list of objects, or one line an entry.",
)
@click.option(
    "--since", metavar="INSTANT|DATE", help="Only entries that took effect then or later."
)
@click.option("--until", metavar="INSTANT|DATE", help="Only entries that took effect before then.")
def export(
    path: Path, *, tenant: str | None, style: str, since: str | None, until: str | None
) -> int:
    """Print the audit entries: one for each write, in the order in which they took effect on the platform.

    A date means its midnight, UTC.

    Example: reconcile audit export schedules/acme --format csv --since 2027-03-01
    """
    from reconciler.commands import audit as audit_command
    from reconciler.renderers import csv, json

    start, end = options.instant("--since", since), options.instant("--until", until)
    if start and end and start >= end:
        raise UsageError(f"--since {since} is not before --until {until}")
    report = audit_command.export(options.world(), path, tenant, start, end)
    sys.stdout.write({"csv": csv, "json": json}[style].render(report))
    return report.exit_code


@audit.command()
@click.argument("instant", metavar="INSTANT")
@_tenant
@click.option(
    "--campaign",
    "what",
    required=True,
    metavar="NAME|ID",
    help="A manifest's name, or the platform's id.",
)
@options.output
def at(instant: str, path: Path, *, tenant: str | None, what: str, style: str) -> int:
    """Show what was stored and active at an instant: by which commit, approved by whom, as which plan.

    INSTANT is read on the platform's clock.

    Example: reconcile audit at 2027-03-01T18:00:00Z --campaign spring-renewals schedules/acme
    """
    from reconciler.commands import audit as audit_command

    moment = options.instant("INSTANT", instant, dates=False)
    assert moment is not None  # noqa: S101 - an argument that must be there
    return options.show(audit_command.at(options.world(), path, tenant, moment, what), style)


@click.group()
def lock() -> None:
    """Show or release the lock that prevents two applies at the same time."""


@lock.command()
@_tenant
@options.output
def status(path: Path, *, tenant: str | None, style: str) -> int:
    """Show who is applying to a tenant.

    Example: reconcile lock status schedules/acme
    """
    from reconciler.commands import audit as audit_command

    return options.show(audit_command.lock_status(options.world(), path, tenant), style)


@lock.command()
@_tenant
@options.output
def release(path: Path, *, tenant: str | None, style: str) -> int:
    """Release the lock of a run that is known to be dead. A live run notices and stops writing.

    Example: reconcile lock release schedules/acme
    """
    from reconciler.commands import audit as audit_command

    return options.show(audit_command.lock_release(options.world(), path, tenant), style)
