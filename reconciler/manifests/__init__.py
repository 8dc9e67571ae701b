"""Manifests on disk: read YAML into models with file, line and column, and edit it without touching comments and order."""

from __future__ import annotations

from typing import Any

from reconciler.errors import Place
from reconciler.manifests.claims import claims
from reconciler.manifests.folders import TENANT_FILE, find_tenants
from reconciler.manifests.folders import show as shown
from reconciler.manifests.loader import (
    choose_tenant,
    load,
    load_committed,
    load_readable,
    load_tenant,
)
from reconciler.manifests.salvage import claims_of
from reconciler.manifests.tenants import clash, load_settings, read_settings
from reconciler.manifests.values import Folder
from reconciler.models import Desired

__all__ = [
    "TENANT_FILE",
    "Folder",
    "choose_tenant",
    "claims",
    "claims_of",
    "clash",
    "explain_compiled",
    "find_tenants",
    "load",
    "load_committed",
    "load_readable",
    "load_settings",
    "load_tenant",
    "read_settings",
    "shown",
]


def explain_compiled(desired: Desired) -> list[tuple[str, Any, Place]]:
    """Return name, value and place of each field of a compiled body. A profile's field has its place in `tenant.yaml`.

    The folder must have been loaded with `keep_places`. Otherwise each place is the start of the manifest.
    """
    body = desired.body or {}
    return [(name, value, desired.places.get(name, desired.place)) for name, value in body.items()]
