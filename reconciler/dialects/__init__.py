"""Registry of the API dialects. Each dialect is a package and has one line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from reconciler.errors import UsageError
from reconciler.kinds import Kind

if TYPE_CHECKING:  # the type checker proves here that each module is a dialect
    from reconciler.dialects.base import Dialect
    from reconciler.dialects.campaigns import api as _campaigns
    from reconciler.dialects.personal_connection import api as _personal_connection

    _proof: tuple[Dialect, ...] = (_campaigns, _personal_connection)

DIALECTS: Mapping[str, tuple[str, str]] = {
    "campaigns": ("campaigns", "campaign"),
    "personal-connection": ("personal_connection", "skill"),
}
"""Package below `dialects` and module below `kinds` by the `api` that a tenant names; imported when a tenant needs them."""


def dialect_for(api: str) -> Dialect:
    """Return the dialect of a tenant's `api`.

    Raises:
        UsageError: this version does not support the API.
    """
    package, _ = _modules(api)
    return cast("Dialect", import_module(f"reconciler.dialects.{package}.api"))


def kinds_for(api: str) -> Mapping[str, Kind]:
    """Return the kinds of manifest of a dialect, by name, without importing the dialect.

    Raises:
        UsageError: this version does not support the API.
    """
    _, kind = _modules(api)
    return cast("Mapping[str, Kind]", import_module(f"reconciler.kinds.{kind}").KINDS)


def _modules(api: str) -> tuple[str, str]:
    if api not in DIALECTS:
        raise UsageError(
            f"this version does not support api: {api}; it supports {', '.join(DIALECTS)}"
        )
    return DIALECTS[api]
