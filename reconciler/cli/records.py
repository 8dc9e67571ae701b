"""Commands about the records and the lock of a tenant: audit, lock."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.errors import UsageError, safe
from reconciler.renderers import EXPORTS, renderer_for

_tenant = options.combine(options.remote, options.tenant, options.path)
"""Add `[PATH]`, `--tenant` and `--remote`: the tenant, and the git remote that holds its records."""


@click.group()
def audit() -> None:
    """Read and check the audit records in git. A record is one line of JSON in a note of the commit that was applied."""


@audit.command()
@_tenant
@click.option(
    "--since",
    type=options.instant_or_date,
    metavar="INSTANT|DATE",
    help="Only records of changes that took effect then or later. Older parts of the ledger are not read.",
)
@options.output
def log(
    path: Path, *, tenant: str | None, remote: str | None, since: datetime | None, style: str
) -> int:
    """List the records of a tenant, oldest first. Read-only.

    Example: reconcile audit log schedules/acme --since 2027-03-01
    """
    from reconciler.commands import audit as command

    return options.show(command.log(options.world(remote), path, tenant, since), style)


@audit.command()
@click.argument("what", metavar="COMMIT|NAME")
@_tenant
@options.output
def show(what: str, path: Path, *, tenant: str | None, remote: str | None, style: str) -> int:
    """Show every record about a commit or an object, in full. Read-only.

    COMMIT is any name that git has for a commit, such as HEAD~1. If a later run superseded the commit, the record of that run is
    shown, too. NAME is a manifest's name or a campaign's id.

    Example: reconcile audit show spring-renewals schedules/acme
    """
    from reconciler.commands import audit as command

    return options.show(command.show(options.world(remote), path, tenant, what), style)


@audit.command()
@_tenant
@click.option(
    "--expect-head",
    metavar="SHA",
    help="Ledger commit that you noted down earlier. The check fails if it is missing.",
)
@click.option(
    "--expect-cut",
    metavar="SHA",
    help="Ledger commit of a repair that you accept. The check begins there.",
)
@click.option(
    "--signers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Allowed signers file (ssh-keygen). Every ledger commit must be signed by one of them.",
)
@options.output
def verify(
    path: Path,
    *,
    tenant: str | None,
    remote: str | None,
    expect_head: str | None,
    expect_cut: str | None,
    signers: Path | None,
    style: str,
) -> int:
    """Check that no record was changed and none is missing. Read-only. Exits 1 if the check fails.

    Reports what the records were checked against: the mirror branch, signatures, or --expect-head. If a record is bad, the report
    names the ledger commit of the first bad line, and says what to do.

    Example: reconcile audit verify schedules/acme
    """
    from reconciler.commands import audit as command

    report = command.verify(options.world(remote), path, tenant, expect_head, signers, expect_cut)
    return options.show(report, style)


@audit.command()
@_tenant
@click.option(
    "--head",
    required=True,
    metavar="SHA",
    help="Ledger commit whose records you read. It must be the newest.",
)
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Why you trust the unsigned records. It is recorded.",
)
@options.output
def vouch(
    path: Path, *, tenant: str | None, remote: str | None, style: str, head: str, reason: str
) -> int:
    """Sign the ledger as it is at one commit, so that its unsigned records count, too. Writes to the ledger only.

    Read the records first. Use it after an unsigned emergency stop, for a ledger from before `audit.sign`, or after a key was
    replaced. Needs RECONCILE_SIGNING_KEY, the key of a trusted signer.

    Example: reconcile audit vouch schedules/acme --head SHA --reason "stop of 2027-03-01 checked"
    """
    from reconciler.commands import audit as command

    return options.show(command.vouch(options.world(remote), path, tenant, head, reason), style)


@audit.command()
@_tenant
@click.option(
    "--head",
    required=True,
    metavar="SHA",
    help="Ledger commit whose damage you inspected. It must be the newest.",
)
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.output
def repair(
    path: Path, *, tenant: str | None, remote: str | None, style: str, head: str, reason: str
) -> int:
    """Accept damage that `audit verify` reports, and continue the ledger after it. Writes to the ledger only.

    Keeps the records that can still be read, and removes nothing from git. Afterwards `audit verify --expect-cut SHA` begins at the repair
    and reports it. Restore the ledger instead if you can: an object whose hold was lost would dial again. Takes the tenant's lock.

    Example: reconcile audit repair schedules/acme --head SHA --reason "note of 2027-03-01 edited by hand, see ticket 17"
    """
    from reconciler.commands import repair as command

    return options.show(command.repair(options.world(remote), path, tenant, head, reason), style)


@audit.command()
@_tenant
@click.option("--reason", required=True, metavar="TEXT", help="Why. It is recorded.")
@options.output
def begin(path: Path, *, tenant: str | None, remote: str | None, style: str, reason: str) -> int:
    """Declare the tenant's ledger in `tenant.yaml`, so that its loss is detected. Writes to that file and the ledger only.

    Begins the ledger if it is empty. If `tenant.yaml` declares another ledger, the command declares the existing one instead. Review it
    first: objects that the other ledger held would dial again. Then commit `tenant.yaml`.

    Example: reconcile audit begin schedules/acme --reason "first records of acme"
    """
    from reconciler.commands import begin as command

    return options.show(command.begin(options.world(remote), path, tenant, reason), style)


@audit.command()
@_tenant
@click.option(
    "--format",
    "style",
    type=click.Choice(EXPORTS),
    default="json",
    show_default=True,
    help="json: a list of objects. csv: one line for each entry.",
)
@click.option(
    "--since",
    type=options.instant_or_date,
    metavar="INSTANT|DATE",
    help="Only entries that took effect then or later.",
)
@click.option(
    "--until",
    type=options.instant_or_date,
    metavar="INSTANT|DATE",
    help="Only entries that took effect before then.",
)
def export(
    path: Path,
    *,
    tenant: str | None,
    remote: str | None,
    style: str,
    since: datetime | None,
    until: datetime | None,
) -> int:
    """Print one audit entry per write. Read-only. Entries are in the order in which they took effect on the platform.

    A date means 00:00 UTC on that day.

    Example: reconcile audit export schedules/acme --format csv --since 2027-03-01
    """
    from reconciler.commands import audit as command

    if since and until and since >= until:
        raise UsageError(f"--since {since.isoformat()} is not before --until {until.isoformat()}")
    report = command.export(options.world(remote), path, tenant, since, until)
    sys.stdout.write(renderer_for(style).render(report))
    for note in report.notes:
        click.echo(f"note: {safe(note)}", err=True)
    return report.exit_code


@audit.command()
@click.argument("instant", type=options.instant, metavar="INSTANT")
@_tenant
@click.option(
    "--campaign",
    "what",
    required=True,
    metavar="NAME|ID",
    help="A manifest's name, or the platform's id.",
)
@options.output
def at(
    instant: datetime, path: Path, *, tenant: str | None, remote: str | None, what: str, style: str
) -> int:
    """Show the schedule of an object at an instant. Read-only.

    Shows what was stored and active, by which commit and plan, and who approved it.

    INSTANT counts by the platform's clock.

    Example: reconcile audit at 2027-03-01T18:00:00Z --campaign spring-renewals schedules/acme
    """
    from reconciler.commands import audit as command

    return options.show(command.at(options.world(remote), path, tenant, instant, what), style)


@click.group()
def lock() -> None:
    """Show or release the lock that prevents two applies at the same time."""


@lock.command()
@_tenant
@options.output
def status(path: Path, *, tenant: str | None, remote: str | None, style: str) -> int:
    """Show who is applying to a tenant. Read-only.

    Example: reconcile lock status schedules/acme
    """
    from reconciler.commands import audit as command

    return options.show(command.lock_status(options.world(remote), path, tenant), style)


@lock.command()
@_tenant
@options.output
def release(path: Path, *, tenant: str | None, remote: str | None, style: str) -> int:
    """Release the lock of a run that you know to be dead. If the run is alive after all, it notices and stops writing.

    Example: reconcile lock release schedules/acme
    """
    from reconciler.commands import audit as command

    return options.show(command.lock_release(options.world(remote), path, tenant), style)
