"""Options that several commands share, and what every command does with its result."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler import defaults
from reconciler.errors import ReconcileError, UsageError, safe
from reconciler.renderers import RENDERERS, renderer_for

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import World


class Number(click.FloatRange):
    """A finite number in a range. click alone accepts `nan`, which no comparison refuses, and `inf`."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail as click does."""
        number = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(super().convert(number, param, ctx))


Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_PATH = Path("schedules")
_REMOTE = "reconciler.remote"


def targets(command: Command) -> Command:
    """Add `[PATH] [NAME]…`: a first argument that exists on disk, or has a slash, is the path."""
    return click.argument("targets", nargs=-1, metavar="[PATH] [NAME]...")(command)


def split(arguments: Sequence[str], tenant: str | None) -> tuple[Path, tuple[str, ...]]:
    """Return the path and the names that `[PATH] [NAME]…` means; a first argument that is no path is a name.

    Raises:
        UsageError: it can be no name either: it is a file's, or there is not one tenant whose it could be.
    """
    if not arguments or "/" in arguments[0] or Path(arguments[0]).exists():
        return (Path(arguments[0]), tuple(arguments[1:])) if arguments else (DEFAULT_PATH, ())
    first = arguments[0]
    if first.lower().endswith((".yaml", ".yml")):
        raise UsageError(f"there is no file or folder {first}")
    if not DEFAULT_PATH.exists():
        raise UsageError(
            f"there is no file or folder {first}, and no folder {DEFAULT_PATH} with a manifest of that name"
        )
    if tenant is None and len(names := _tenants(DEFAULT_PATH)) > 1:
        raise UsageError(
            f"there is no file or folder {first}; if it is a manifest's name, name its tenant's folder before it ({DEFAULT_PATH}/{names[0]} …)"
        )
    return DEFAULT_PATH, tuple(arguments)


def _tenants(path: Path) -> list[str]:
    """Return the tenants at a path; none where they cannot be told, which is said by whoever needs them."""
    from reconciler.manifests import find_tenants

    try:
        return [found.name for found in find_tenants(path)]
    except ReconcileError:
        return []


def instant(name: str, text: str | None, *, dates: bool = True) -> datetime | None:
    """Return an instant; of a date its midnight, UTC.

    Raises:
        UsageError: neither, or a time without an offset, which means another instant to every reader.
    """
    if text is None:
        return None
    moment = _parsed(text)
    if moment is not None and moment.tzinfo is None and dates and len(text) == len("2027-03-01"):
        moment = moment.replace(tzinfo=UTC)
    if moment is not None and moment.tzinfo is not None:
        return moment
    if moment is not None and _parsed(f"{text}Z") is not None:
        raise UsageError(
            f"{name} {text!r}: the offset is missing, so it is another instant in every zone: write {text}Z when you mean UTC,"
            " or the zone's offset behind it, e.g. -05:00"
        )
    or_date = " or 2027-03-01" if dates else ""
    raise UsageError(f"{name} {text!r} is no instant: write it like 2027-03-01T18:00:00Z{or_date}")


def _parsed(text: str) -> datetime | None:
    """Return what ISO 8601 says, in UTC when it has an offset."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # an offset may lead out of the calendar
        return None


def output(command: Command) -> Command:
    """Add `--format`."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(list(RENDERERS)),
        default="text",
        show_default=True,
        help="How to show the result.",
    )(command)


def tenant(command: Command) -> Command:
    """Add `--tenant`."""
    return click.option(
        "--tenant", metavar="NAME", help="Tenant to use, when the path holds several."
    )(command)


def remote(command: Command) -> Command:
    """Add `--remote`, which `world` reads: no command but for that does anything with it."""
    return click.option(
        "--remote",
        metavar="NAME",
        expose_value=False,
        callback=lambda ctx, _, name: ctx.meta.__setitem__(_REMOTE, name),
        help="Git remote that keeps the audit records and the lock. Default: origin. Those of a `sandbox:` tenant stay in this clone.",
    )(command)


def revert(command: Command) -> Command:
    """Add `--revert`."""
    said = "Undo what was narrowed by hand on this manifest's object. May be repeated."
    return click.option("--revert", multiple=True, metavar="NAME", help=said)(command)


def events(command: Command) -> Command:
    """Add where telemetry events go."""
    for option in (
        click.option(
            "--publish-events",
            "publish",
            is_flag=True,
            help="Also send telemetry events to the platform (scope telemetry:write).",
        ),
        click.option(
            "--events",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Append telemetry events to this file, one JSON line each.",
        ),
    ):
        command = option(command)
    return command


def network(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how to reach the platform; the command is given them as one `Network`."""

    @functools.wraps(command)
    def run(
        *, deadline_s: float, ca_bundle: Path | None, proxy: str | None, **others: Any
    ) -> int | None:
        from reconciler.world import Network

        result: int | None = command(network=Network(deadline_s, ca_bundle, proxy), **others)
        return result

    for option in (
        click.option(
            "--deadline",
            "deadline_s",
            type=Number(min=1),
            default=defaults.DEADLINE_S,
            show_default=True,
            metavar="SECONDS",
            help="Most time that the whole command may take.",
        ),
        click.option(
            "--ca-bundle",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="PEM file of the certificate authorities to trust, instead of the public ones.",
        ),
        click.option(
            "--proxy",
            metavar="URL",
            help="HTTP proxy, e.g. http://USER@proxy.example:3128; the password comes from RECONCILE_PROXY_PASSWORD."
            " Other proxy variables of the environment are ignored.",
        ),
    ):
        run = option(run)
    return run


def wait(help_: str) -> Callable[[Command], Command]:
    """Add `--wait`."""
    return click.option(
        "--wait",
        "wait_s",
        type=Number(min=0),
        default=defaults.WAIT_S,
        show_default=True,
        metavar="SECONDS",
        help=help_,
    )


def show(report: Report, style: str, *, err: bool = False) -> int:
    """Print a report in one of `RENDERERS`, and return its exit code."""
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # closed by whoever called: nobody wants to see it
        return report.exit_code
    if style == "text":
        from reconciler.environment import NO_COLOR
        from reconciler.renderers import text

        terminal = stream.isatty()
        width = _columns() if terminal else None
        rendered = text.render(report, width=width, colour=terminal and NO_COLOR not in os.environ)
    else:
        rendered = renderer_for(style).render(report)
        if style == "html":  # the page says UTF-8, and the stream may be none
            rendered = rendered.encode("ascii", "xmlcharrefreplace").decode("ascii")
    try:
        stream.write(rendered)
        stream.flush()
    except BrokenPipeError:  # nobody reads on, which changes nothing of what was done
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        progress(f"error: the result could not be shown, but stands: {error.strerror}")
        return report.exit_code or 1
    return report.exit_code


def is_whole(report: Report, style: str) -> bool:
    """Return whether a format shows all of a report that must be shown; where it does not, say so."""
    if style != "markdown":
        return True
    from reconciler.renderers import markdown

    left = markdown.left_out(report)
    if left:
        progress(f"error: {left} rows that must be shown do not fit: use --format text or json")
    return not left


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def progress(line: str) -> None:
    """Tell whoever watches what is going on, on stderr. That nobody can be told ends no stop and no apply."""
    with contextlib.suppress(OSError):
        click.echo(safe(line), err=True)


def world() -> World:
    """Return everything that commands take from outside, with progress on stderr."""
    from reconciler.world import here

    context = click.get_current_context(silent=True)
    return here(progress, remote=context.meta.get(_REMOTE) if context else None)
