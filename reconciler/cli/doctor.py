"""`reconcile doctor`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.world import Network


@click.command()
@options.path
@click.option(
    "--roundtrip",
    metavar="NAME",
    help="Also write the current settings of this manifest (or id) back unchanged, and verify them. On the campaigns API nothing is written, and the report says so.",
)
@options.tenant
@options.network
@options.output
def doctor(
    path: Path,
    *,
    roundtrip: str | None,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Check that the API of the tenant at PATH behaves as reconcile expects. Read-only without --roundtrip.

    Signs in, makes every read that plan and apply need, and says what to do about each failed check. A note needs no action.
    Exits 0 if no check fails.

    Example: reconcile doctor schedules/acme
    """
    from reconciler.commands import doctor as command

    request = command.DoctorRequest(path, tenant, roundtrip, network)
    return options.show(asyncio.run(command.run(options.world(), request)), style)
