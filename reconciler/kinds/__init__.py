"""Kinds of manifest: one table of managed fields for each, and what the engine may ask of a body.

A managed field is declared in two places: its type, limits and description in `models`, everything else in the table of
its kind (`FIELDS` in `campaign` and `skill`).
"""

from __future__ import annotations

from reconciler.kinds.base import CALLS_PER_SECOND, Field, Kind, Words

__all__ = ["CALLS_PER_SECOND", "Field", "Kind", "Words"]
