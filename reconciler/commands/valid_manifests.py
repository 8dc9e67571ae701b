"""Load the valid manifests of a folder for a command that writes to no platform, and name the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from reconciler import manifests
from reconciler.errors import ManifestError, Problem
from reconciler.manifests import Folder
from reconciler.models import Desired
from reconciler.report import NAMES_SHOWN, count


def load_valid(path: Path, tenant: str | None, names: tuple[str, ...]) -> tuple[Folder, list[str]]:
    """Return a tenant's folder with the manifests that can be used, and a note on each problem of the others.

    A file with a problem is left out as a whole, and so is each manifest whose object or name another one claims.

    Args:
        path: the tenant's folder, or a folder above it.
        tenant: the tenant's name, where the path holds several.
        names: manifests that must be among those that can be used.

    Raises:
        ManifestError: `tenant.yaml` or a named manifest is not valid, or no manifest is.
        UsageError: as `manifests.load`.
    """
    try:
        return manifests.load(path, tenant), []
    except ManifestError as error:
        problems = error.problems
        folder = manifests.load_readable(path, tenant)
        kept = tuple(_unspoilt(folder, problems))
        if not kept or not {*names} <= {each.name for each in kept}:
            raise
    return replace(folder, desired=kept, partial=True), list(_notes(problems))


def _unspoilt(folder: Folder, problems: tuple[Problem, ...]) -> Iterator[Desired]:
    """Yield the manifests without a problem; none if a problem is not one of a manifest."""
    spoilt = {problem.place.file for problem in problems}
    of_manifests = {each.place.file for each in folder.desired} | {*folder.invalid}
    if spoilt <= of_manifests:
        keys = Counter((each.kind, each.key) for each in folder.desired)
        names = Counter(each.name for each in folder.desired)
        for each in folder.desired:
            claimed = max(keys[each.kind, each.key], names[each.name])
            if claimed == 1 and each.place.file not in spoilt:
                yield each


def _notes(problems: tuple[Problem, ...]) -> Iterator[str]:
    files = sorted({problem.place.file for problem in problems})
    yield f"{count(len(files), 'file')} left out, because of {count(len(problems), 'problem')}; all other manifests are used"
    yield from map(str, problems[:NAMES_SHOWN])
    if len(problems) > NAMES_SHOWN:
        yield f"{count(len(problems) - NAMES_SHOWN, 'more problem')}: see `reconcile validate`"
