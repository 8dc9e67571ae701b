"""The kinds of manifests. A new kind is a module with a `Manifest`, and a line here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from reconciler.models.base import TRUTHS, Manifest

_HOMES: Final = {"CampaignSchedule": "campaign", "SkillSchedule": "skill"}
"""The module of each kind."""


class _Manifests(Mapping[str, type[Manifest]]):
    """The model of each kind, imported when the first document needs it, because a model takes longer to import than Python to start."""

    def __getitem__(self, kind: str) -> type[Manifest]:
        return _import(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


@cache
def _import(kind: str) -> type[Manifest]:
    model: type[Manifest] = getattr(import_module(f"reconciler.models.{_HOMES[kind]}"), kind)
    return model


MANIFESTS: Final[Mapping[str, type[Manifest]]] = _Manifests()
"""Every kind of manifest, by the name that `kind` gives."""


def schema_file(kind: str) -> str:
    """Return the name of a kind's file in `schemas/`: `CampaignSchedule` → `campaign-schedule.json`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower() + ".json"


def model_for(document: Mapping[str, Any]) -> type[Manifest] | None:
    """Return the model of a document's kind, or its tombstone if the document is retired; `None` for an unknown kind."""
    kind = document.get("kind")
    model = MANIFESTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None
    return model.tombstone() if is_meant_retired(document) else model


def is_meant_retired(document: Mapping[str, Any]) -> bool:
    """Return whether a document is meant as a tombstone. Another word for true (`yes`) counts, so that it is reported as the only error."""
    metadata = document.get("metadata")
    retired = metadata.get("retired") if isinstance(metadata, Mapping) else None
    return retired is True or (isinstance(retired, str) and TRUTHS.get(retired.lower(), False))
