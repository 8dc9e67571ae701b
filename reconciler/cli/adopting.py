"""`reconcile import` and `reconcile doctor`: from a platform that is dialing to one that can be trusted to be planned for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.world import Network


@click.command(name="import")
@click.argument("targets", nargs=-1, metavar="[PATH] [ID]...")
@options.tenant
@options.network
@options.output
def import_(targets: tuple[str, ...], *, tenant: str | None, style: str, network: Network) -> int:
    """Write what the platform holds into the manifests of the tenant at PATH: everything, or the objects with these IDs.

    An object that no manifest names gets a new file. A single value that differs is edited in place; comments and order are kept. Windows and
    lists are reported, not edited. Nothing is written to the platform.

    Ends with a plan that changes nothing, or reports which field could not be taken over and why (exit 2). Then commit, and apply once: that
    records what you start from.

    Example: reconcile import schedules/acme 1003
    """
    from reconciler.commands import import_ as import_command

    path, keys = options.split(targets, tenant)
    asked = import_command.ImportRequest(path, keys, tenant=tenant, network=network)
    report = asyncio.run(import_command.run(options.world(), asked))
    return options.show(report, style)


@click.command()
@click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
@click.option(
    "--roundtrip",
    metavar="NAME",
    help="Also write this manifest's (or id's) settings back unchanged and verify them. On the campaigns API nothing is written, and the report says so.",
)
@options.tenant
@options.network
@options.output
def doctor(
    path: Path, *, roundtrip: str | None, tenant: str | None, style: str, network: Network
) -> int:
    """Check that the API of the tenant at PATH behaves as reconcile expects.

    Signs in, makes every read that plan and apply depend on, and says what to do about each check that fails. A note needs
    no action. Exits 0 when no check fails. Writes nothing without --roundtrip.

    Example: reconcile doctor schedules/acme
    """
    from reconciler.commands import doctor as doctor_command

    asked = doctor_command.DoctorRequest(path, tenant, roundtrip, network)
    report = asyncio.run(doctor_command.run(options.world(), asked))
    return options.show(report, style)
