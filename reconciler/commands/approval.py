"""The approval that an apply was given: a saved plan (`--approved`), a digest (`--expect`), or both."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler import plan as plans
from reconciler.errors import SHORTENED_TO, StalePlan, UsageError, safe
from reconciler.manifests import Folder
from reconciler.plan import Approval

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


LARGEST: Final = 1 << 28
"""Most bytes of a saved plan that is read. A device such as /dev/zero never ends."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object without duplicate keys. Of duplicates some readers take the first, and `json` takes the last.

    Raises:
        ValueError: a key is duplicated.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {safe(twice, limit=SHORTENED_TO)} is duplicated in one object")
    return found


def read_file(path: Path) -> tuple[Approval, Mapping[str, Any]]:
    """Return the approval in a saved plan, and the whole content of the file.

    Raises:
        UsageError: the file is not a plan, or it was edited or cut.
    """
    try:
        data = plans.require_whole(json.loads(_bytes(path), object_pairs_hook=_unique))
        return plans.approval_from(data), data
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise not_a_plan(path, error) from None


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
    return data


def not_a_plan(path: Path, why: Exception) -> UsageError:
    """Return the error for a file that is not a plan, or not the whole of one."""
    said = f"line {why.lineno} is not JSON" if isinstance(why, json.JSONDecodeError) else why
    return UsageError(
        f"{path} is not a plan written by `reconcile plan --out`: {said}. Save the plan again with `reconcile plan --out {shlex.quote(str(path))}`"
    )


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
    approval, _ = read_file(approved)
    if digest is not None and digest != approval.digest:
        raise StalePlan(
            f"{approved} is not the plan that was approved: its digest is {approval.digest}, --expect is {expect}"
        )
    return approval


def require_platform(approval: Approval | None, folder: Folder) -> None:
    """Check that a saved plan is for the platform of a tenant's folder. The folder may have another name by now.

    Raises:
        StalePlan: it is for another platform.
    """
    origin = None if approval is None else approval.origin
    if origin is not None and folder.platform != origin.platform:
        raise StalePlan(
            f"the plan is for {origin.platform}, and {folder.path} is for {folder.platform}: name the folder of tenant {origin.tenant}"
        )
