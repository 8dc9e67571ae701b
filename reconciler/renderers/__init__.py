"""Renderers: one format a module, one line in a dict. All escaping of a format lives in its renderer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:  # so that `--help` of a command costs no model; the type checker proves at the end that each module is a renderer
    from reconciler.renderers import github, html, json, markdown, text
    from reconciler.report import Report


class Renderer(Protocol):
    """One format. A module satisfies it; `text` also takes the width and the colour of a terminal."""

    def render(self, report: Report) -> str:
        """Return the whole output, with a line feed at its end."""


RENDERERS: Mapping[str, str] = {
    "text": "reconciler.renderers.text",
    "json": "reconciler.renderers.json",
    "markdown": "reconciler.renderers.markdown",
    "html": "reconciler.renderers.html",
    "github": "reconciler.renderers.github",
}
"""Modules by the name that `--format` takes; imported when one is asked for, because a run shows one format."""

if TYPE_CHECKING:
    _proof: tuple[Renderer, ...] = (text, markdown, json, html, github)


def renderer_for(style: str) -> Renderer:
    """Return the renderer of one of `RENDERERS`."""
    return cast("Renderer", import_module(RENDERERS[style]))
