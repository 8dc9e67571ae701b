"""Canonical JSON of records, fast: the only module that uses orjson.

The canonical form is that of `reconciler.plan.canonical_json`. For plain values orjson writes the same bytes in a fifth of the
time. A value is not plain if orjson might write it differently, or could not write it: a float that needs an exponent,
characters beyond printable ASCII, an integer of more than 64 bits. `json` reads and writes those.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

import orjson

from reconciler.plan import canonical_json

DEPTH_LIMIT: Final = 20
"""Most levels of nested lists and mappings in one record."""

_ATOMS: Final = frozenset({str, int, bool, type(None)})

_LEAST, _MOST = 1e-4, 1e16
"""Floats from the one to below the other have no exponent, whichever program writes them."""

_DELETE: Final = b"\x7f"
"""The one ASCII character that `json` escapes and orjson does not."""

_SORTED: Final = orjson.OPT_SORT_KEYS

_parse: Final = json.JSONDecoder().raw_decode


def encode(value: Any, *, known_as_plain: bool = False) -> bytes:
    """Return the canonical form of a JSON value.

    Args:
        value: the value.
        known_as_plain: it is part of what `parse` and `are_plain` found to be in canonical form.

    Raises:
        TypeError, ValueError, RecursionError: the value has no such form.
    """
    if known_as_plain:
        return orjson.dumps(value, option=_SORTED)
    if _is_plain(value):
        try:
            data = orjson.dumps(value, option=_SORTED)
        except orjson.JSONEncodeError:
            return canonical_json(value).encode("ascii")
        if is_ascii(data):
            return data
    return canonical_json(value).encode("ascii")


@functools.lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """Return the canonical form of a text. Texts such as names of objects are repeated in many records."""
    return encode(text).decode()


def sha256_of(value: Any) -> str:
    """Return the hex SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(encode(value)).hexdigest()


def is_ascii(data: bytes) -> bool:
    """Return whether data is ASCII without DEL, as all canonical JSON is."""
    return data.isascii() and _DELETE not in data


def parse(line: bytes, *, known_as_ascii: bool = False) -> tuple[dict[str, Any], bool]:
    """Parse a line that should be a JSON object in canonical form.

    Args:
        line: the line.
        known_as_ascii: `is_ascii` holds for it.

    Returns:
        The object, and whether the line is known to be in canonical form if the values of the object are plain (`are_plain`).
        If that is not known, the caller must check the form.

    Raises:
        ValueError: the line is no JSON object in ASCII.
    """
    try:
        fields = orjson.loads(line)
        # An integer of more than 64 bits becomes a float, and is not written as it was.
        is_same = orjson.dumps(fields, option=_SORTED) == line
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return _parse_slowly(line), False
    if is_same and type(fields) is dict and (known_as_ascii or is_ascii(line)):
        return fields, True
    return _parse_slowly(line), False


def _parse_slowly(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("ascii")
        fields, end = _parse(text)
    except (ValueError, RecursionError):
        raise ValueError("the line is not JSON") from None
    if end != len(text):
        raise ValueError("the line is not JSON")
    if not isinstance(fields, dict):
        raise ValueError("the line is not a record")  # noqa: TRY004 - a defect of the file, not of the program
    return fields


def _is_plain(value: Any) -> bool:
    """Return whether orjson writes a value as `json` does, except for characters beyond printable ASCII, and integers of more than 64 bits."""
    return are_plain((value,), DEPTH_LIMIT)


def are_plain(values: Iterable[Any], levels: int = DEPTH_LIMIT - 1) -> bool:
    """Return whether all values are plain (`_is_plain`) and nest fewer than `levels` levels. One loop per level, since each line is checked.

    Args:
        values: those of a record, or at least its floats, lists and mappings.
        levels: one more than they may nest.
    """
    for value in values:
        kind = type(value)
        if kind in _ATOMS:
            continue
        if kind is float:
            if value and not _LEAST <= abs(value) < _MOST:
                return False
        elif kind is dict or kind is list:
            if levels == 1 or not are_plain(value.values() if kind is dict else value, levels - 1):
                return False
        else:
            return False
    return True
