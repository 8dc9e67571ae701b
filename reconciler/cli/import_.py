"""`reconcile import`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options, signals

if TYPE_CHECKING:
    from reconciler.world import Network


@click.command(name="import")
@click.argument("targets", nargs=-1, metavar="[PATH] [ID]...")
@options.tenant
@options.network
@options.output
def import_(
    targets: tuple[str, ...],
    *,
    tenant: str | None,
    style: str,
    network: Network,
) -> int:
    """Write the platform's schedules into the manifests of the tenant at PATH. Changes files only, never the platform.

    Imports the objects with these IDs, or all that have a schedule. An object without a manifest gets a new file. In an existing
    manifest single values are edited in place; comments and order are kept. Windows and lists are reported, not edited.

    The ledger records the imported schedules, so that no apply creates or widens again one that is stopped or narrowed later.
    Ends with a plan, which shows each field that could not be imported, and why (exit 2). Then commit, and apply once to
    record the starting point.

    Example: reconcile import schedules/acme 1003
    """
    from reconciler.commands import import_ as command

    path, keys = options.split(targets, tenant)
    request = command.ImportRequest(path, keys, tenant=tenant, network=network)
    world = options.world()
    return options.show(signals.run(world, command.run(world, request)), style)
