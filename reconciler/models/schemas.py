"""JSON Schemas of the manifests, for editors and for whoever checks files without this product."""

from __future__ import annotations

from typing import Any


def json_schemas() -> dict[str, dict[str, Any]]:
    """."""
    return {}
