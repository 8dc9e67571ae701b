"""`reconcile explain`: print the reference that the pages in `.github/docs/` hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.commands.explain import Topics
    from reconciler.report import Table


@click.command()
@click.argument("topic", nargs=-1)
@options.output
def explain(topic: tuple[str, ...], *, style: str) -> int:
    """Explain an exit code, a rule, a word of a plan, a field, an environment variable, a command, an assumption or a scenario.

    TOPIC is exit-codes, environment, rules, words, fields, assumptions, strategies, scenarios, commands, or a name such as 75, held, calling-windows, dial_rate or CXONE_SCOPE.
    Without TOPIC the command lists the topics. A name of several words needs no quotes. Reads no files.

    Example: reconcile explain exit-codes
    """
    from reconciler.commands.explain import explain as explained

    return options.show(explained(" ".join(topic) or None, topics()), style)


def topics() -> Topics:
    """Return every topic: those that `commands.explain` knows, and the commands, which only click knows."""
    from reconciler.commands.explain import TOPICS

    return {**TOPICS, "commands": commands}


def commands() -> Sequence[Table]:
    """Return every command with its arguments and what it does; its whole help as details."""
    from reconciler.cli import reconcile
    from reconciler.report import Row, Table

    rows = []
    for path, command in _leaves("reconcile", reconcile):
        first, *rest = _paragraphs(command)
        options = [line for param in command.params for line in _option(param)]
        usage = _usage(path, command)
        rows.append(Row((usage, first), details=(*_space(rest), *options), name=usage))
    return [Table("Commands", ("command", "does"), tuple(rows))]


def _leaves(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is no group with the words that call it, in the order of `--help`."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None:
            yield from _leaves(f"{path} {name}", below)


def _paragraphs(command: click.Command) -> list[str]:
    return [" ".join(text.split()) for text in (command.help or "").split("\n\n")]


def _space(paragraphs: Sequence[str]) -> Iterator[str]:
    """Yield paragraphs, each with an empty line behind it."""
    for text in paragraphs:
        yield from (text, "")


def _usage(path: str, command: click.Command) -> str:
    """Return a command with its arguments and its required options: `reconcile halt [PATH] [NAME]... --reason TEXT`."""
    arguments = [_metavar(each) for each in command.params if isinstance(each, click.Argument)]
    needed = [
        f"{each.opts[0]} {_metavar(each)}"
        for each in command.params
        if isinstance(each, click.Option) and each.required
    ]
    return " ".join([path, *arguments, *needed])


def _option(param: click.Parameter) -> Iterator[str]:
    """Yield the line of an option: its names, its value, its help and its default."""
    if not isinstance(param, click.Option):
        return
    value = "" if param.is_flag else f" {_metavar(param)}"
    names = ", ".join(f"`{name}{value}`" for name in param.opts)
    shown = f"{param.default:g}" if isinstance(param.default, float) else param.default
    default = f" Default: {shown}." if param.show_default else ""
    yield f"- {names}: {param.help}{' Required.' if param.required else ''}{default}"


def _metavar(param: click.Parameter) -> str:
    if param.metavar:
        return param.metavar
    if isinstance(param.type, click.Choice):
        return "|".join(param.type.choices)
    if isinstance(param, click.Argument):
        name = (param.name or "").upper()
        return name if param.required else f"[{name}]"
    return param.type.name.partition(" ")[0].upper()
