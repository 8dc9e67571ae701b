"""The command line: parse arguments, call a command, print its report, return its exit code.

Results go to stdout, progress and errors to stderr. A command imports its dependencies when it runs, so that `--help` imports only click.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from typing import Any, Final

import click

from reconciler._version import __version__
from reconciler.cli.encoding import replace_unencodable

GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Change schedules": {
        "validate": ("manifests", "Check manifests; with --online also against the platform."),
        "render": (
            "manifests",
            "Show what a manifest compiles to, and the source of each field.",
        ),
        "plan": ("changes", "Show what would change on the platform. Read-only."),
        "show": ("drift", "Show a saved plan; with --check, say whether it is up to date."),
        "drift": ("drift", "Show what was changed outside git since it was applied. Read-only."),
        "timeline": ("timeline", "Show on a calendar when each object may dial. Read-only."),
        "apply": ("changes", "Apply the changes: write, activate, verify, record."),
    },
    "Stop dialing": {
        "halt": ("halt", "Stop dialing at once, and keep it stopped. Needs no approval."),
        "release": ("halt", "End a halt, so that apply may dial again. Starts no dialing itself."),
    },
    "Start with a tenant": {
        "doctor": ("doctor", "Check that a tenant's API behaves as reconcile expects."),
        "import": ("import_", "Write manifests from the schedules on the platform."),
        "sandbox": ("sandbox", "Serve, reset or fill the embedded platform."),
    },
    "Look back": {
        "audit": ("records", "Read and check the audit records in git."),
        "lock": ("records", "Show or release a tenant's lock."),
    },
    "More": {
        "explain": ("explain", "Explain an exit code, rule, field, variable or command."),
        "optimize": (
            "optimize",
            "Propose better dial rates from observed calls. Never applies them.",
        ),
        "simulate": ("simulate", "Try pacing strategies on published scenarios. Changes nothing."),
        "tenants": ("manifests", "List the tenants below a path."),
        "schema": ("manifests", "Print the JSON Schemas of the manifests."),
    },
}
"""Module and help line of each command, by its group in `--help`. Kept here so that `--help` imports no command."""

COMMANDS: Final = {name: entry for group in GROUPS.values() for name, entry in group.items()}


class _Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"reconciler.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a wrong table is a bug, and the tests walk it
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        width = max(map(len, COMMANDS))
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", line) for name, (_, line) in group.items()])


_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a write to a full disk."""


@click.group(
    cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="reconcile")
def reconcile() -> None:
    """Keep the outbound campaign schedules of NICE CXone tenants as YAML in git.

    `reconcile explain` explains exit codes, rules, fields and environment variables.
    """


def _leave_deleted_folder() -> None:
    """Change to / if the working directory was deleted: a stop that names its folder by an absolute path needs no other one."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib is imported only where it is needed
    except FileNotFoundError:
        os.chdir("/")
        said = "the working directory was deleted: change to another one (cd). Until then relative paths name nothing"
        with suppress(OSError):
            click.echo(said, err=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Only this function turns errors into exit codes."""
    replace_unencodable()
    _leave_deleted_folder()
    try:
        result: Any = reconcile.main(
            args=list(arguments) if arguments is not None else None,
            prog_name="reconcile",
            standalone_mode=False,
        )
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as wrong:
        return _usage(wrong)
    except click.exceptions.Abort as abort:
        from reconciler.errors import ExitCode

        said = str(abort) or "interrupted; nothing more was started"
        return _say(said, ExitCode.INTERRUPTED)
    except SystemExit:  # click's reaction to a closed pipe, which is no error
        return 0
    except Exception as error:
        if (code := _report(error)) is None:
            raise
        return code
    return result if isinstance(result, int) else 0


def _report(error: Exception) -> int | None:
    """Print an expected error and return its code; `None` for any other."""
    from reconciler.errors import ReconcileError

    if isinstance(error, ReconcileError):
        return _say(str(error), error.exit_code)
    if isinstance(error, OSError) and error.errno in _FULL:
        return _say(f"cannot write: {error}", ReconcileError.exit_code)
    return None


def _usage(wrong: click.UsageError) -> int:
    """Map click's own exit code 2, which means "changes present" here, to 64."""
    from reconciler.errors import UsageError, safe

    command = wrong.ctx.command_path if wrong.ctx else "reconcile"
    said = wrong.format_message()
    if isinstance(wrong, click.exceptions.NoArgsIsHelpError):
        click.echo(said, err=True)  # the whole help: many lines, and ours
        said = "name a command"
    return _say(f"{safe(said.removesuffix('.'))} (see {command} --help)", UsageError.exit_code)


def _say(message: str, code: int) -> int:
    from reconciler.errors import safe

    for line in message.splitlines() or [""]:
        with suppress(OSError):  # the exit code stands without it
            click.echo(
                f"error: {safe(line)}", err=True
            )  # may quote a record, which anyone who can push wrote
    return code
