"""The kinds of manifest there are. Another one is a module with a `Manifest`, and a line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from reconciler.models.base import TRUTHS, Manifest

_HOMES: Final = {"CampaignSchedule": "campaign", "SkillSchedule": "skill"}
"""The module of each kind."""


class _Manifests(Mapping[str, type[Manifest]]):
    """The model of each kind, imported when a document is of it: a model costs more than the interpreter."""

    def __getitem__(self, kind: str) -> type[Manifest]:
        return _imported(kind)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


@cache
def _imported(kind: str) -> type[Manifest]:
    model: type[Manifest] = getattr(import_module(f"reconciler.models.{_HOMES[kind]}"), kind)
    return model


MANIFESTS: Final[Mapping[str, type[Manifest]]] = _Manifests()
"""Every kind of manifest, by the name that `kind` gives."""


def model_for(document: Mapping[str, Any]) -> type[Manifest] | None:
    """Return the model that a document must satisfy, its kind's tombstone when it is retired; `None` for no known kind."""
    kind = document.get("kind")
    model = MANIFESTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        return None
    return model.tombstone() if meant_retired(document) else model


def meant_retired(document: Mapping[str, Any]) -> bool:
    """Return whether a document is to be read as a tombstone: also where it says so by another word for true, which is its one error then."""
    metadata = document.get("metadata")
    retired = metadata.get("retired") if isinstance(metadata, Mapping) else None
    return retired is True or (isinstance(retired, str) and TRUTHS.get(retired.lower(), False))
