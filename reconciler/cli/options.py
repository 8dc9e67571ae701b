"""Arguments and options that several commands share, and the output of a command's report."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler import defaults
from reconciler.errors import ReconcileError, UsageError, safe
from reconciler.renderers import RENDERERS, renderer_for

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import World

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_PATH = Path("schedules")

_SPAN = re.compile(r"\+(\d{1,4})([mhd])", re.ASCII)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Number(click.FloatRange):
    """A finite number in a range. click itself accepts `inf`, and `nan`, which passes every range check."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail as click does."""
        number = float(click.FLOAT.convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(super().convert(number, param, ctx))


def instant(text: str, or_date: str = "") -> datetime:
    """Parse an instant, and return it in UTC. The offset is required: without it the text means another instant in each zone.

    Raises:
        click.BadParameter: not an instant, or one without an offset.
    """
    moment = _parse(text)
    if moment is not None and moment.tzinfo is not None:
        return moment
    if moment is None or _parse(f"{text}Z") is None:
        example = f"2027-03-01T18:00:00Z{or_date}"
        raise click.BadParameter(f"{text!r} is not an instant: write it like {example}")
    raise click.BadParameter(
        f"{text!r} has no offset: write {text}Z for UTC, or append the zone's offset, e.g. -05:00"
    )


def instant_or_date(text: str) -> datetime:
    """Parse an instant or a date, and return it in UTC. A date means 00:00 UTC on that day.

    Raises:
        click.BadParameter: neither.
    """
    midnight = _parse(f"{text}T00:00:00Z") if len(text) == len("2027-03-01") else None
    return midnight or instant(text, " or 2027-03-01")


def instant_or_span(text: str) -> datetime | timedelta:
    """Return an instant in UTC, or the span of `+30m`, `+6h` or `+2d`.

    Raises:
        click.BadParameter: neither.
    """
    span = _SPAN.fullmatch(text)
    return instant(text, " or +6h") if span is None else int(span[1]) * _UNITS[span[2]]


def _parse(text: str) -> datetime | None:
    """Parse ISO 8601. Returns UTC if the text has an offset, a naive time if not, and `None` if it is invalid."""
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # an offset may lead out of the calendar
        return None


def combine(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds several options."""

    def add(command: Command) -> Command:
        for option in options:
            command = option(command)
        return command

    return add


path = click.argument("path", default=DEFAULT_PATH, type=click.Path(path_type=Path))
"""Add `[PATH]`."""

targets = click.argument("targets", nargs=-1, metavar="[PATH] [NAME]...")
"""Add `[PATH] [NAME]…`; `split` separates the path from the names."""

output = click.option(
    "--format",
    "style",
    type=click.Choice(RENDERERS),
    default="text",
    show_default=True,
    help="How to show the result.",
)
"""Add `--format`."""

tenant = click.option(
    "--tenant", metavar="NAME", help="Tenant to use if there are several below PATH."
)
"""Add `--tenant`."""

remote = click.option(
    "--remote",
    metavar="NAME",
    help="Git remote that holds the audit records and the lock. Default: origin. A `sandbox:` tenant keeps both in this clone.",
)
"""Add `--remote`, for `world`."""

revert = click.option(
    "--revert",
    multiple=True,
    metavar="NAME",
    help="Undo narrowings made by hand on the object of this manifest. May be repeated.",
)
"""Add `--revert`."""

accept_history = click.option(
    "--accept-history",
    metavar="REASON",
    help="Accept that HEAD does not descend from the commit applied last. Use it after you reviewed a rewritten history.",
)
"""Add `--accept-history`."""

events = combine(
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
)
"""Add `--events` and `--publish-events`."""


def network(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--deadline`, `--ca-bundle` and `--proxy`. The command gets them as one `Network`."""

    @functools.wraps(command)
    def run(*, deadline_s: float, ca_bundle: Path | None, proxy: str | None, **others: Any) -> int:
        from reconciler.world import Network

        return command(network=Network(deadline_s, ca_bundle, proxy), **others)

    return combine(
        click.option(
            "--deadline",
            "deadline_s",
            type=Number(min=1),
            default=defaults.DEADLINE_S,
            show_default=True,
            metavar="SECONDS",
            help="Time limit of the whole command.",
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
    )(run)


def wait(text: str) -> Callable[[Command], Command]:
    """Add `--wait` with its help text."""
    return click.option(
        "--wait",
        "wait_s",
        type=Number(min=0),
        default=defaults.WAIT_S,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


def split(arguments: Sequence[str], tenant: str | None) -> tuple[Path, tuple[str, ...]]:
    """Split the arguments `[PATH] [NAME]…` into the path and the names.

    The first argument is the path if it exists on disk or contains a slash. Otherwise it is a name.

    Raises:
        UsageError: the first argument looks like a missing file, or it is a name and the default folder is missing or ambiguous.
    """
    if not arguments:
        return DEFAULT_PATH, ()
    first, *names = arguments
    if "/" in first or Path(first).exists():
        return Path(first), tuple(names)
    missing = f"there is no file or folder {first}"
    if first.lower().endswith((".yaml", ".yml")):
        raise UsageError(missing)
    if not DEFAULT_PATH.exists():
        raise UsageError(
            f"{missing}, and no folder {DEFAULT_PATH} that could hold a manifest of that name"
        )
    if tenant is None and len(tenants := _tenants(DEFAULT_PATH)) > 1:
        if first in tenants:
            raise UsageError(f"{missing}: did you mean {DEFAULT_PATH / first}?")
        raise UsageError(
            f"{missing}; if it is a manifest's name, put its tenant's folder before it ({DEFAULT_PATH}/{tenants[0]} {first})"
        )
    return DEFAULT_PATH, tuple(arguments)


def _tenants(path: Path) -> list[str]:
    """Return the names of the tenants at a path; none if they cannot be read, which the command itself reports."""
    from reconciler.manifests import find_tenants

    try:
        return [found.name for found in find_tenants(path)]
    except ReconcileError:
        return []


def show(report: Report, style: str, *, err: bool = False, unshown: int = 1) -> int:
    """Print a report in one of `RENDERERS`, and return its exit code.

    Args:
        report: the report.
        style: the name of a renderer.
        err: print it to stderr.
        unshown: exit code of a command that succeeded, if its report cannot be printed.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None:  # the caller closed it
        return report.exit_code
    if style == "text":
        from shutil import get_terminal_size

        from reconciler.cli.encoding import as_printed, in_report
        from reconciler.environment import NO_COLOR
        from reconciler.renderers import text

        terminal = stream.isatty()
        width = get_terminal_size().columns if terminal else None
        colour = terminal and NO_COLOR not in os.environ
        change = as_printed(stream, os.environ)
        if change is None:
            rendered = text.render(report, width=width, colour=colour)
        else:
            rendered = change(text.render(in_report(report, change), width=width, colour=colour))
    else:
        rendered = renderer_for(style).render(report)
        if style == "html":  # the page declares UTF-8, and the stream may have another encoding
            rendered = rendered.encode("ascii", "xmlcharrefreplace").decode("ascii")
    try:
        stream.write(rendered)
        stream.flush()
    except BrokenPipeError:  # the reader closed the pipe; the command's work is done all the same
        pass
    except OSError as error:
        progress(
            f"error: cannot print the report ({error.strerror}); the command's result: {report.verdict}"
        )
        return report.exit_code or unshown
    return report.exit_code


def is_whole(report: Report, style: str) -> bool:
    """Return whether a format shows every row that must not be cut. If not, print an error."""
    if style != "markdown":
        return True
    from reconciler.renderers import markdown

    left = markdown.left_out(report)
    if left:
        progress(f"error: {left} rows that must not be cut do not fit: use --format text or json")
    return not left


def progress(line: str) -> None:
    """Print a line of progress to stderr. A closed or full stderr ends no halt and no apply."""
    with contextlib.suppress(OSError):
        click.echo(safe(line), err=True)


def world(remote: str | None = None) -> World:
    """Return the world of this process, with progress on stderr."""
    from reconciler.world import here

    return here(progress, remote=remote)
