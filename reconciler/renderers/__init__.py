"""Renderers: one format a module, one line in a dict. All escaping of a format lives in its renderer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from reconciler.renderers import github, html, json, markdown, text
from reconciler.report import Report


class Renderer(Protocol):
    """One format. A module satisfies it; `text` also takes the width and the colour of a terminal."""

    def render(self, report: Report) -> str:
        """Return the whole output, with a line feed at its end."""


RENDERERS: Mapping[str, Renderer] = {
    "text": text,
    "markdown": markdown,
    "json": json,
    "html": html,
    "github": github,
}
"""By the name that `--format` takes."""
