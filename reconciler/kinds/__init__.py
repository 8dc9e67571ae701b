"""Kinds of manifest: one table of managed fields for each, and the functions that the engine applies to bodies.

A managed field is declared in two places: its type, limits and description in `models`, everything else in the table of
its kind (`FIELDS` in `campaign` and `skill`).
"""

from __future__ import annotations

from reconciler.kinds.base import Kind

__all__ = ["Kind", "audit_labels"]


def audit_labels() -> dict[str, str]:
    """Return the labels of the body's fields in audit entries, for all kinds, by field name in an audit entry."""
    from reconciler.kinds import campaign, skill  # noqa: PLC0415 - a kind's model costs a lot to make, and few ask for all

    fields = (*campaign.FIELDS, *skill.FIELDS)
    return {field.audit: field.label for field in fields if field.audit and field.label}
