"""Commands that need no change to look at: validate, render, tenants, schema. They start fast: people run them at every save."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options
from reconciler.errors import ManifestError

if TYPE_CHECKING:
    from reconciler.report import Report
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
    paths: tuple[Path, ...], *, online: bool, tenant: str | None, style: str, network: Network
) -> int:
    """Check the manifests below PATH. Reports every problem with file, line and column. Changes nothing.

    Example: reconcile validate schedules/acme
    """
    from reconciler.commands import validate as validate_command

    asked = validate_command.ValidateRequest(
        paths or (options.DEFAULT_PATH,), tenant, online, network
    )
    try:
        world = options.world()
        report = (
            _run(validate_command.validate(world, asked))
            if online
            else validate_command.check(world, asked)
        )
    except ManifestError as error:
        if style == "text":  # on a terminal its lines on stderr say it all
            raise
        from reconciler.report.checks import of_problems

        report = of_problems(error.problems, exit_code=error.exit_code)
    return options.show(report, style)


@click.command()
@options.targets
@options.tenant
@options.output
def render(targets: tuple[str, ...], *, tenant: str | None, style: str) -> int:
    """Show the body that NAME compiles to: exactly what is compared, sent and recorded. Each field has its file and line.

    Without NAME every manifest is shown.

    Example: reconcile render schedules/acme spring-renewals
    """
    from reconciler.commands import validate as validate_command

    path, names = options.split(targets, tenant)
    return options.show(validate_command.render(path, tenant, names), style)


@click.command()
@click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
@options.output
def tenants(path: Path, *, style: str) -> int:
    """List the tenants below PATH. With --format json the list feeds a CI matrix.

    Example: reconcile tenants schedules --format json
    """
    from reconciler.commands import validate as validate_command

    return options.show(validate_command.tenants(path), style)


@click.command()
@click.argument("kind", required=False)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write every schema into this folder instead.",
)
def schema(kind: str | None, *, out: Path | None) -> int:
    """Print the JSON Schema of KIND, or write all of them with --out.

    Example: reconcile schema --out schemas
    """
    from reconciler.commands import validate as validate_command

    click.echo(validate_command.schema(kind, out), nl=False)
    return 0


def _run(work: Coroutine[Any, Any, Report]) -> Report:
    """Carry out what talks to a platform; what does not needs no event loop, whose import costs more than click's."""
    import asyncio

    return asyncio.run(work)
