"""New manifest files: what `import` writes of an object that no manifest names yet."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.models import API_VERSION, Manifest

LONGEST_NAME: Final = 63

SCHEMAS: Final = "schemas"
"""The folder of a repository that holds the schemas."""


def schema_of(kind: str, folder: Path) -> str | None:
    """Return the path, from a tenant's folder, of the schema that editors check a kind's manifests by; `None` where there is none.

    It is looked for as `reconcile schema --out schemas` writes it, in the folder and in those above it, up to the repository's top.
    """
    file = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower() + ".json"
    here = folder.resolve()
    for depth, above in enumerate((here, *here.parents)):
        if (above / SCHEMAS / file).is_file():
            return "/".join([*([".."] * depth), SCHEMAS, file])
        if (above / ".git").exists():
            break
    return None


def new_manifest(
    kind: str,
    model: type[Manifest],
    name: str,
    platform_name: str,
    spec: Mapping[str, Any],
    schema: str | None = None,
) -> str:
    """Return the text of a manifest: one key a line, lists and mappings below them on one line each; `schema` as of `schema_of`."""
    lines = [
        *([f"# yaml-language-server: $schema={schema}"] if schema else []),
        "# Imported: this is what the platform held.",
        f"apiVersion: {API_VERSION}",
        f"kind: {kind}",
        "metadata:",
        f"  name: {name}",
        *([f"  {model.named_by}: {_flow(platform_name)}"] if platform_name else []),
        "spec:",
    ]
    for key, value in spec.items():
        lines += _entry(key, value)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [f"  {key}:", *(f"    {name}: {_flow(part)}" for name, part in value.items())]
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return [f"  {key}:", *(f"    - {_flow(item)}" for item in value)]
    return [f"  {key}: {_flow(value)}"]


def _flow(value: Any) -> str:
    """Return a value on one line: scalars as JSON writes them, keys without quotes."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_flow(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def new_name(platform_name: str, key: str, taken: Collection[str]) -> str:
    """Return a name for an object: its own in small letters; with its id where that is taken, or nothing is left of it.

    >>> new_name("Spring Renewals (US)", "1001", {"x"})
    'spring-renewals-us'
    """
    words = re.sub(r"[^a-z0-9]+", "-", platform_name.lower()).strip("-")
    ident = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
    plain = words[:LONGEST_NAME].strip("-")
    if plain and plain not in taken:
        return plain
    return f"{words[: LONGEST_NAME - len(ident) - 1].strip('-')}-{ident}".strip("-")[:LONGEST_NAME]
