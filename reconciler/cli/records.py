"""Commands about what was done: audit, lock."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli import options


@click.group()
def audit() -> None:
    """Read the audit records: one line of JSON each, in the git notes of the commit that was applied."""


@audit.command()
@click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
@options.tenant
@options.output
def log(path: Path, *, tenant: str | None, style: str) -> int:
    """List every record of a tenant, oldest first."""
    from reconciler.workflows import auditing  # noqa: PLC0415 - see `reconciler.cli`

    options.show(auditing.log(options.world(), path, tenant), style)
    return 0


@click.group()
def lock() -> None:
    """Show or release the lock that keeps two applies apart."""


@lock.command()
@click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
@options.tenant
@options.output
def status(path: Path, *, tenant: str | None, style: str) -> int:
    """Say who is applying to a tenant."""
    from reconciler.workflows import auditing  # noqa: PLC0415 - see `reconciler.cli`

    options.show(auditing.lock_status(options.world(), path, tenant), style)
    return 0


@lock.command()
@click.argument("path", default=options.DEFAULT_PATH, type=click.Path(path_type=Path))
@options.tenant
@options.output
def release(path: Path, *, tenant: str | None, style: str) -> int:
    """Release the lock of a run that is known to be dead; a live one notices and stops writing."""
    from reconciler.workflows import auditing  # noqa: PLC0415 - see `reconciler.cli`

    options.show(auditing.lock_release(options.world(), path, tenant), style)
    return 0
