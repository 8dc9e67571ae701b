"""Renderers: one module per output format, listed in `RENDERERS`. A renderer does all escaping of its format."""

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
    """Import and return a renderer from `RENDERERS` or `EXPORTS`. The import is lazy, because a run needs only one format."""
    return cast("Renderer", import_module(f"{__name__}.{style}"))
