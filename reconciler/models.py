"""What a manifest may say, and what it compiles to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from reconciler.errors import Place

Body: TypeAlias = Mapping[str, Any]
"""What the platform holds for one object: JSON values only. Everything that is diffed, hashed, sent and recorded."""


@dataclass(frozen=True, slots=True)
class Desired:
    """One object as the manifests want it.

    Attributes:
        kind: the manifest's kind, e.g. `CampaignSchedule`.
        key: identity on the platform (a campaign's id).
        name: the manifest's `metadata.name`; a rename is no change.
        place: where the manifest starts.
        body: canonical compiled body; `None` when retired.
        platform_name: what the platform must call the object, when the manifest says.
        compliance: what the rules must know; never sent.
        pacing: what the optimiser must know; never sent.
        places: file, line and column of each body field, by name, when they were kept.
    """

    kind: str
    key: str
    name: str
    place: Place
    body: Body | None
    platform_name: str | None = None
    compliance: Mapping[str, Any] = field(default_factory=dict)
    pacing: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def retired(self) -> bool:
        """Whether the manifest is a tombstone."""
        return self.body is None
