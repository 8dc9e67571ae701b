"""JSON Schemas of the manifests, for editors and other tools.

A schema checks one file. What needs more than the file (time zones, DST, order of times, the tenant's profile) is checked by
`reconcile validate`.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from reconciler.models.base import Manifest, Strict
from reconciler.models.kinds import MANIFESTS, schema_file
from reconciler.models.tenant import Tenant


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of file, by its file name in `schemas/`."""
    kinds = {schema_file(kind): _of_manifest(model) for kind, model in MANIFESTS.items()}
    return {**kinds, "tenant.json": _of(Tenant)}


def _of_manifest(model: type[Manifest]) -> dict[str, Any]:
    """Return a kind's schema. A profile may supply missing keys of spec, and a tombstone needs only the key of its object."""
    schema = _of(model)
    spec = schema["$defs"][schema["properties"]["spec"]["$ref"].rpartition("/")[2]]
    required, spec["required"] = spec["required"], [model.identified_by]
    may_lack = [
        {"properties": {"profile": {"type": "string"}}, "required": ["profile"]},
        {"properties": {"retired": {"const": True}}, "required": ["retired"]},
    ]
    return {
        **schema,
        "if": {"properties": {"metadata": {"anyOf": may_lack}}},
        "else": {"properties": {"spec": {"required": required}}},
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(schema_generator=_Untitled)
    models = {one.__name__: one for one in _descendants(Strict)}
    for name, definition in [(model.__name__, schema), *schema["$defs"].items()]:
        for key, text in descriptions(models[name]).items():
            definition["properties"][key]["description"] = text
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": model.__name__, **schema}


class _Untitled(GenerateJsonSchema):
    """Without the titles that only repeat the names of the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - as pydantic calls it
        return False


def _descendants(model: type[BaseModel]) -> list[type[BaseModel]]:
    below = model.__subclasses__()
    return [*below, *(one for child in below for one in _descendants(child))]


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a model, by the field's key."""
    found: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, Strict):
            found |= docstrings(ancestor)
    return {
        field.alias or name: found[name]
        for name, field in model.model_fields.items()
        if name in found
    }


@cache
def docstrings(owner: type | ModuleType) -> Mapping[str, str]:
    """Return the docstring below each assignment of a class or a module, by the assigned name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body if isinstance(owner, ModuleType) else getattr(tree.body[0], "body", [])
    found = {}
    for first, second in pairwise(body):
        match first, second:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found
