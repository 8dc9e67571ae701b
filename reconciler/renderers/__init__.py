"""Renderers: one format a module, one name in `RENDERERS`. All escaping of a format is in its renderer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

if (
    TYPE_CHECKING
):  # `--help` imports no renderer; the type checker proves below that each module is one
    from reconciler.renderers import csv, github, html, json, markdown, text
    from reconciler.report import Report


class Renderer(Protocol):
    """One format: a module. `text` also takes the width and the colours of a terminal."""

    def render(self, report: Report) -> str:
        """Return the whole output, with a line feed at its end."""


RENDERERS: Final = ("text", "json", "markdown", "html", "github")
"""Modules of this package that show any report, by the name that `--format` takes."""

EXPORTS: Final = ("json", "csv")
"""Modules of this package that show a report of plain values (`audit export`)."""

if TYPE_CHECKING:
    _proof: tuple[Renderer, ...] = (text, markdown, json, html, github, csv)


def renderer_for(style: str) -> Renderer:
    """Return one of `RENDERERS` or `EXPORTS`. It is imported only now, because a run shows one format."""
    return cast("Renderer", import_module(f"{__name__}.{style}"))
