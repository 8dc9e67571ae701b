"""The kinds of manifest there are. Another one is a module with a `Manifest`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.models.base import Manifest
from reconciler.models.campaign import CampaignSchedule
from reconciler.models.skill import SkillSchedule

MANIFESTS: dict[str, type[Manifest]] = {
    "CampaignSchedule": CampaignSchedule,
    "SkillSchedule": SkillSchedule,
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
