"""List every field of a manifest with its constraint, default and meaning, for `reconcile explain` and the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.models.explain import FieldType
from reconciler.models.schemas import descriptions

_STEPS = {tuple: "[]", dict: ".NAME"}
"""What a path shows for the items of a list or of a mapping."""

_SECTIONS = ("apiVersion", "kind", "metadata", "spec")
"""The order in which manifests are written; other sections follow in the order of their declaration."""


class FieldDoc(NamedTuple):
    """One field of a manifest.

    Attributes:
        path: its keys, such as `spec.compliance_windows[].start_hour`.
        expected: what the value must be.
        default: the value when the key is absent, `required` when it may not be.
        meaning: the docstring below the field in its model.
    """

    path: str
    expected: str
    default: str
    meaning: str


def fields_of(model: type[BaseModel]) -> Iterator[FieldDoc]:
    """Yield every field of a model and of the models within it, in the order in which manifests are written.

    A model that occurs twice, such as the window of each weekday, is described at its first place.
    """
    yield from _walk(model, "", {model})


def _walk(model: type[BaseModel], prefix: str, seen: set[type[BaseModel]]) -> Iterator[FieldDoc]:
    meanings = descriptions(model)
    keys = {field.alias or name: field for name, field in model.model_fields.items()}
    for key in sorted(keys, key=_place):
        field = keys[key]
        spot = FieldType(model).at(key)
        path = prefix + key
        yield FieldDoc(path, spot.expected, _default(field), " ".join(meanings[key].split()))
        if spot.origin in _STEPS:
            path, spot = path + _STEPS[spot.origin], spot.at("")
        if spot.model is not None and spot.model not in seen:
            seen.add(spot.model)
            yield from _walk(spot.model, f"{path}.", seen)


def _place(key: str) -> int:
    return _SECTIONS.index(key) if key in _SECTIONS else len(_SECTIONS)


def _default(field: FieldInfo) -> str:
    """Return the default as YAML shows it; nothing where it is an empty section or list."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if isinstance(value, BaseModel) or value in (None, (), {}) else json.dumps(value)
