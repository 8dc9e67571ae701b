"""Write new manifest files, for objects that `import` takes over."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.manifests.characters import is_hidden_in_yaml
from reconciler.models import API_VERSION, Manifest, schema_file

LONGEST_NAME: Final = 63

SCHEMAS: Final = "schemas"
"""The folder of a repository that holds the schemas."""

_EXPONENT: Final = re.compile(r"^(-?[0-9]+)e")
"""A number with an exponent and without a point."""


def schema_of(kind: str, folder: Path) -> str | None:
    """Return the path of a kind's JSON Schema, relative to a tenant's folder, for editors; `None` if there is none.

    It is searched where `reconcile schema --out schemas` writes it: in the folder and its parents, up to the top of the repository.
    """
    file = schema_file(kind)
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
    """Return the text of a manifest: one key per line, nested lists and mappings on one line each; `schema` is from `schema_of`.

    Raises:
        ValueError: a text holds a hidden character.
    """
    lines = [
        *([f"# yaml-language-server: $schema={schema}"] if schema else []),
        "# Imported: this is what the platform held.",
        f"apiVersion: {API_VERSION}",
        f"kind: {kind}",
        "metadata:",
        f"  name: {scalar(name)}",  # `null`, `true` and `2027` are names too
        *([f"  {model.named_by}: {flow(platform_name)}"] if platform_name else []),
        "spec:",
    ]
    for key, value in spec.items():
        lines += _entry(key, value)
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [f"  {key}:", *(f"    {name}: {flow(part)}" for name, part in value.items())]
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return [f"  {key}:", *(f"    - {flow(item)}" for item in value)]
    return [f"  {key}: {flow(value)}"]


def flow(value: Any, quote: str = "") -> str:
    """Return a value on one line: scalars in JSON notation, each key between two of `quote`."""
    if isinstance(value, Mapping):
        parts = (f"{quote}{name}{quote}: {flow(part, quote)}" for name, part in value.items())
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(part, quote) for part in value) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Return a scalar in JSON notation, which every YAML reader reads as the same value.

    One exception is written differently: YAML 1.1 reads `1e-07` as text, because it expects a point in the number.

    Raises:
        ValueError: the text holds a hidden character. The reader refuses hidden characters in manifests, even escaped ones.
    """
    if isinstance(value, str) and (char := next(filter(is_hidden_in_yaml, value), None)):
        raise ValueError(f"{value!r} holds the hidden character U+{ord(char):04X}")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _EXPONENT.sub(r"\1.0e", text) if isinstance(value, float) else text


def new_name(platform_name: str, key: str, taken: Collection[str]) -> str:
    """Return a manifest name for an object: its own name in lower case, with its id if that is taken or empty.

    >>> new_name("Spring Renewals (US)", "1001", {"x"})
    'spring-renewals-us'
    """
    words = re.sub(r"[^a-z0-9]+", "-", platform_name.lower()).strip("-")
    ident = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")
    plain = words[:LONGEST_NAME].strip("-")
    if plain and plain not in taken:
        return plain
    return f"{words[: LONGEST_NAME - len(ident) - 1].strip('-')}-{ident}".strip("-")[:LONGEST_NAME]
