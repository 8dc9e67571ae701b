"""What a manifest may say, and what it compiles to.

A second kind is one module with a `Manifest` and one line in `MANIFESTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.models.base import API_VERSION, Body, Desired, Manifest, Strict
from reconciler.models.campaign import (
    CampaignSchedule,
    CampaignSpec,
    canonical,
    compile_campaign,
)
from reconciler.models.moments import canonical_instant, to_instant, zone
from reconciler.models.schemas import json_schemas
from reconciler.models.tenant import (
    EMBEDDED,
    TENANT_NAME,
    Limits,
    Profile,
    Tenant,
    Waiver,
    tenant_url,
)

__all__ = [
    "API_VERSION",
    "EMBEDDED",
    "MANIFESTS",
    "TENANT_NAME",
    "Body",
    "CampaignSchedule",
    "CampaignSpec",
    "Desired",
    "Limits",
    "Manifest",
    "Profile",
    "Strict",
    "Tenant",
    "Waiver",
    "canonical",
    "canonical_instant",
    "compile_campaign",
    "json_schemas",
    "model_for",
    "tenant_url",
    "to_instant",
    "zone",
]

MANIFESTS: dict[str, type[Manifest]] = {
    "CampaignSchedule": CampaignSchedule,
}
"""Every kind of manifest, by the name that `kind` gives."""


def model_for(document: Mapping[str, Any]) -> type[Manifest] | None:
    """Return the model that a document must satisfy, its kind's tombstone when it is retired; `None` for no known kind."""
    kind = document.get("kind")
    model = MANIFESTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None
    metadata = document.get("metadata")
    retired = isinstance(metadata, Mapping) and metadata.get("retired") is True
    return model.Tombstone if retired else model
