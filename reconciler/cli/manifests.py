"""Commands that read manifests only: validate, render, tenants, schema. They start fast, because editors may run them on every save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.errors import ManifestError

if TYPE_CHECKING:
    from reconciler.world import Network


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--online",
    is_flag=True,
    help="Also check against the platform: limits, DNC lists, campaign names.",
)
@options.tenant
@options.remote
@options.network
@options.output
def validate(
    paths: tuple[Path, ...],
    *,
    online: bool,
    tenant: str | None,
    remote: str | None,
    style: str,
    network: Network,
) -> int:
    """Check the manifests below PATH. Reports every problem with file, line and column. Read-only.

    Example: reconcile validate schedules/acme
    """
    from reconciler.commands import validate as command

    request = command.ValidateRequest(paths or (options.DEFAULT_PATH,), tenant, online, network)
    world = options.world(remote)
    try:
        if online:
            # Imports asyncio, which takes longer to import than click: the offline check goes without.
            from reconciler.cli import signals

            report = signals.run(world, command.validate(world, request))
        else:
            report = command.check(world, request)
    except ManifestError as error:
        if style == "text":  # printed to stderr, one line for each problem
            raise
        from reconciler.report.checks import of_problems

        report = of_problems(error.problems, exit_code=error.exit_code)
    return options.show(report, style)


@click.command()
@options.targets
@options.tenant
@options.output
def render(targets: tuple[str, ...], *, tenant: str | None, style: str) -> int:
    """Show the body that the manifest NAME compiles to, with the file and line of each field. Read-only.

    The body is exactly what is compared, sent and recorded. Without NAME the command shows every manifest.

    Example: reconcile render schedules/acme spring-renewals
    """
    from reconciler.commands import validate as command

    path, names = options.split(targets, tenant)
    return options.show(command.render(path, tenant, names), style)


@click.command()
@options.path
@options.output
def tenants(path: Path, *, style: str) -> int:
    """List the tenants below PATH. Read-only. With --format json the list feeds a CI matrix.

    Example: reconcile tenants schedules --format json
    """
    from reconciler.commands import validate as command

    return options.show(command.tenants(path), style)


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the schemas of all kinds into this folder, and print none.",
)
def schema(kind: str | None, *, out: Path | None) -> int:
    """Print the JSON Schema of KIND, or write the schemas of all kinds into a folder with --out.

    Example: reconcile schema --out schemas
    """
    from reconciler.commands import validate as command

    click.echo(command.schema(kind, out), nl=False)
    return 0
