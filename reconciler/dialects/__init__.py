"""API dialects: one module each, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from reconciler.dialects.base import Dialect
from reconciler.errors import UsageError

if TYPE_CHECKING:  # the type checker proves here that each module is a dialect
    from reconciler.dialects import campaigns, personal_connection

    _proof: tuple[Dialect, ...] = (campaigns, personal_connection)

DIALECTS: Mapping[str, str] = {
    "campaigns": "reconciler.dialects.campaigns",
    "personal-connection": "reconciler.dialects.personal_connection",
}
"""Modules by the `api` that a tenant names; imported when a tenant needs one, never by a name from a file."""


def dialect_for(api: str) -> Dialect:
    """Return the dialect of a tenant's `api`.

    Raises:
        UsageError: this version does not speak it.
    """
    if api not in DIALECTS:
        raise UsageError(f"this version does not speak api: {api}; it speaks {', '.join(DIALECTS)}")
    return cast("Dialect", import_module(DIALECTS[api]))
