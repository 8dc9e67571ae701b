"""Values of a record: texts cut to a size, hashes of parts of a body, and data as JSON gives it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.errors import LedgerError, safe
from reconciler.plan import canonical_json, sha256_of

TEXT_LIMIT: Final = 500
"""Characters of a reason, a note or a message."""

MARK: Final = 16
"""Hexadecimal digits of a mark: enough to tell values of one body apart, few enough for one record."""

TEXT_BYTES: Final = 6 * TEXT_LIMIT + 2
"""Most bytes of such a text in a record: `TEXT_LIMIT` characters of any script, fewer of emoji and escaped characters."""


def marks(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return short hashes of each field of a body: one for each item of a list, one for any other value."""
    return {
        name: [sha256_of(item)[:MARK] for item in (value if isinstance(value, list) else [value])]
        for name, value in body.items()
    }


def shortened(text: str | None) -> str | None:
    """Return a text for a record, escaped and cut to `TEXT_LIMIT` and `TEXT_BYTES`; `None` stays."""
    if text is None:
        return None
    text = safe(text, limit=TEXT_LIMIT)
    while (size := len(canonical_json(text))) > TEXT_BYTES:
        text = text[: len(text) * TEXT_BYTES // size - 2] + "…"
    return text


def frozen(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return data as it will be read back from JSON.

    Raises:
        LedgerError: JSON cannot hold a value.
    """
    try:
        return MappingProxyType({name: _read_back(value) for name, value in data.items()})
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"an audit record cannot hold this: {error}") from error


def _read_back(value: Any) -> Any:
    """Return a value after a round trip through JSON.

    Values that JSON does not change are returned without the round trip, because a run makes thousands of records.
    """
    kind = type(value)
    if value is None or kind is str or kind is int or kind is bool:
        return value
    if kind is list or kind is tuple:
        return [_read_back(item) for item in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: _read_back(item) for name, item in value.items()}
    return json.loads(canonical_json(value))
