"""API dialects: one package each, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from reconciler.dialects.kinds import Kind
from reconciler.errors import UsageError

if TYPE_CHECKING:  # the type checker proves here that each module is a dialect
    from reconciler.dialects.base import Dialect
    from reconciler.dialects.campaigns import api as _campaigns
    from reconciler.dialects.personal_connection import api as _personal_connection

    _proof: tuple[Dialect, ...] = (_campaigns, _personal_connection)

DIALECTS: Mapping[str, str] = {
    "campaigns": "reconciler.dialects.campaigns",
    "personal-connection": "reconciler.dialects.personal_connection",
}
"""Packages by the `api` that a tenant names; imported when a tenant needs one, never by a name from a file."""


def dialect_for(api: str) -> Dialect:
    """Return the dialect of a tenant's `api`.

    Raises:
        UsageError: this version does not speak it.
    """
    return cast("Dialect", import_module(f"{_package(api)}.api"))


def kinds_for(api: str) -> Mapping[str, Kind]:
    """Return the kinds of manifest that a dialect holds, by name, without the dialect.

    Raises:
        UsageError: this version does not speak it.
    """
    return cast("Mapping[str, Kind]", import_module(f"{_package(api)}.kind").KINDS)


def _package(api: str) -> str:
    if api not in DIALECTS:
        raise UsageError(f"this version does not speak api: {api}; it speaks {', '.join(DIALECTS)}")
    return DIALECTS[api]
