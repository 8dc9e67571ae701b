"""`reconcile import`: from a platform that is dialing to manifests in git."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from reconciler.cli import options


@click.command(name="import")
@click.argument("targets", nargs=-1, metavar="[PATH] [ID]...")
@options.tenant
@options.network
@options.output
def import_(targets: tuple[str, ...], *, tenant: str | None, style: str, **network: Any) -> int:
    """Write what the platform holds into the manifests of the tenant at PATH: all of it, or the objects with these IDs.

    What no manifest names gets a new file; a scalar that differs is edited in place, with comments and order as they are. Writes nothing to the
    platform. Ends with the plan, which is then empty, or says which field could not be taken over and why (exit 2).
    """
    from reconciler.workflows import importing  # noqa: PLC0415 - see `reconciler.cli`

    path, keys = options.split(targets)
    asked = importing.Request(path, keys, tenant=tenant, **network)
    report = asyncio.run(importing.run(options.world(), asked))
    options.show(report, style)
    return report.exit_code
