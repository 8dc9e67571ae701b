"""The approval that an apply was given: a saved plan (`--approved`), a digest (`--expect`), or both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from reconciler import plan as plans
from reconciler.errors import SHORTENED_TO, StalePlan, UsageError, safe
from reconciler.plan import Approval

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. A reader of the file may take the first of two equal keys, and `json` takes the last.

    Raises:
        ValueError: a key stands twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {safe(twice, limit=SHORTENED_TO)} stands twice in one object")
    return found


def read_approval(approved: Path | None, expect: str | None) -> Approval | None:
    """Return the approval from `--approved` (a saved plan), `--expect` (a digest) or both; `None` when neither is given.

    Args:
        approved: file of the plan that was approved.
        expect: digest of the plan that was approved.

    Raises:
        UsageError: the file is not a plan, or the digest is malformed.
        StalePlan: the file is not the plan whose digest was approved.
    """
    digest = None if expect is None else expect.strip().lower()
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise UsageError(
            "--expect is not a digest: give the 64 hex digits that `reconcile plan` shows"
        )
    if approved is None:
        return None if digest is None else Approval(digest)
    try:
        data = approved.read_bytes()
        approval = plans.approval_from(json.loads(data, object_pairs_hook=_unique))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{approved} is not a plan written by `reconcile plan --out`: {error}"
        ) from None
    if digest is not None and digest != approval.digest:
        raise StalePlan(
            f"{approved} is not the plan that was approved: its digest is {approval.digest}, --expect is {expect}"
        )
    return approval
