"""`timeline`: show when the manifests let each object dial. Reads files and git only, never a platform."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler import manifests
from reconciler.dialects import kinds_for
from reconciler.errors import ManifestError, UsageError, safe
from reconciler.git import Git, worktree
from reconciler.kinds import Kind
from reconciler.manifests import Folder
from reconciler.manifests.folders import TenantFolder, show
from reconciler.models import Desired, zone
from reconciler.report import Report, clocks
from reconciler.report import timeline as reports
from reconciler.report.loads import capacity_of
from reconciler.report.strips import HORIZON_DAYS, Schedule, Subject, Window, first_week
from reconciler.world import World

WEEK: Final = timedelta(days=7)

EARLIEST: Final = date(1970, 1, 1)
LATEST: Final = date(9000, 1, 1)
"""Days that can be shown."""


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """Arguments of `timeline`.

    Attributes:
        path, names, tenant: which manifests; no name means all.
        first, end: the days [first, end), on the clock of each strip. Without `first`: the Monday of the first week from
            today on in which anything dials. Without `end`: seven days.
        zone: zone of the clock of all strips and charts; `None`: each contact's own, and for charts the zone that most manifests
            name.
        compare: a commit to compare with.
    """

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    first: date | None = None
    end: date | None = None
    zone: str | None = None
    compare: str | None = None


def timeline(world: World, asked: TimelineRequest) -> Report:
    """Return the timeline of one tenant's manifests.

    Raises:
        UsageError: the days, the zone, a name or the commit are wrong.
        ManifestError: a file is invalid; a file of the compared commit is named `REVISION:PATH`.
    """
    _check_zone(asked.zone)
    folder = manifests.load(asked.path, asked.tenant)
    revision, base, notes = _base(world, folder, asked.compare)
    subjects = _subjects(folder, base, asked.names, compared=revision is not None)
    clock = asked.zone or reports.usual_clock(subjects)
    now = folder.tenant.spec.clock or world.now()
    window = _window(asked, subjects, now, clock)
    kinds = kinds_for(folder.tenant.spec.api)
    noun = next(iter(kinds.values())).words.object
    if not any(kind.rate for kind in kinds.values()):
        notes = (
            *notes,
            f"A {noun} has no limit of calls per second or of calls in progress, so no load is shown.",
        )
    return reports.of_timeline(
        reports.Asked(
            folder.name,
            noun,
            subjects,
            window,
            clock,
            capacity_of(folder.tenant.spec),
            revision,
            notes,
        )
    )


def _check_zone(name: str | None) -> None:
    try:
        zone(name or "UTC")
    except ValueError as error:
        raise UsageError(f"--zone {error}") from None


def _window(
    asked: TimelineRequest, subjects: tuple[Subject, ...], now: datetime, clock: str
) -> Window:
    """Return the days to show.

    Raises:
        UsageError: they are none, too many, or too far away.
    """
    today = now.astimezone(zone(clock)).date()
    first = asked.first or first_week(subjects, today, clock) or clocks.monday(today)
    for option, day in (("--from", first), ("--to", asked.end)):
        if day is not None and not EARLIEST <= day <= LATEST:
            raise UsageError(f"{option} {day} is not between {EARLIEST} and {LATEST}")
    end = asked.end or first + WEEK
    if first >= end:
        default = "" if asked.first else " (the first week with dialing; name another with --from)"
        raise UsageError(f"--from {first}{default} is not before --to {end}")
    if (end - first).days > HORIZON_DAYS:
        raise UsageError(
            f"--from {first} to --to {end} is {(end - first).days} days: show at most {HORIZON_DAYS}"
        )
    return Window(first, end, asked.zone)


def _base(
    world: World, folder: Folder, name: str | None
) -> tuple[tuple[str, str] | None, tuple[Desired, ...], tuple[str, ...]]:
    """Return the commit to compare with and its id, its manifests, and notes; `None` where nothing is compared.

    Raises:
        UsageError: there is no such commit.
    """
    if name is None:
        return None, (), ()
    git = Git.find(folder.path, environ=world.environ)
    if git is None:
        raise UsageError(f"--compare {safe(name)}: there is no git repository here")
    commit = None if name.startswith("-") else git.resolve(f"{name}^{{commit}}")
    if commit is None:
        raise UsageError(
            f"--compare {safe(name)} names no commit of this clone: fetch it, or write a branch, a tag or a commit id"
        )
    where, notes = manifests.choose_tenant(folder.path, None), tuple[str, ...]()
    if worktree.read_at(git, commit, folder.path / manifests.TENANT_FILE) is None:
        said = f"At {name} there is no {folder.path / manifests.TENANT_FILE}"
        former = _former(git, commit, folder)
        if former is None:
            return (name, commit), (), (f"{said}, so everything is new.",)
        where = TenantFolder(former.name, former)
        notes = (
            f"{said}. It is compared with {show(former)}, the one folder of the same platform there.",
        )
    contents = dict(worktree.contents(git, commit, where.path))
    found = manifests.load_committed(where, name, contents)
    if found.tenant.spec.api != folder.tenant.spec.api:
        raise UsageError(
            f"--compare {safe(name)}: the tenant's api was {found.tenant.spec.api} then, and is {folder.tenant.spec.api} now"
        )
    return (name, commit), found.desired, notes


def _former(git: Git, commit: str, folder: Folder) -> Path | None:
    """Return the folder of the same platform at a commit, if there is exactly one: the tenant's folder was renamed since."""
    spec = folder.tenant.spec
    found = []
    for file in worktree.find_named(git, commit, manifests.TENANT_FILE):
        with suppress(ManifestError):
            was = manifests.read_settings(worktree.read_at(git, commit, file) or b"", str(file))
            if (was.spec.api, was.spec.url) == (spec.api, spec.url):
                found.append(file.parent)
    return found[0] if len(found) == 1 else None


def _subjects(
    folder: Folder, base: tuple[Desired, ...], names: tuple[str, ...], *, compared: bool
) -> tuple[Subject, ...]:
    """Return the objects to show, by key: those of the folder, and in a comparison those that only the commit has.

    Raises:
        UsageError: neither has a manifest of one of the names.
    """
    kinds = kinds_for(folder.tenant.spec.api)
    now = {each.key: each for each in folder.desired}
    was = {each.key: each for each in base}
    if folder.partial:  # the commit's other files are not what was asked about
        was = {key: each for key, each in was.items() if key in now}
    then = {each.name: each.key for each in was.values()}
    known = tuple(name for name in names if name not in then)
    keys = folder.keys_of(known) if known or not names else frozenset()
    if names and keys is not None:
        keys |= {then[name] for name in names if name in then}
    return tuple(
        Subject(
            key,
            (now.get(key) or was[key]).name,
            (now.get(key) or was[key]).kind,
            _schedule(kinds, was.get(key)) if compared else None,
            _schedule(kinds, now.get(key)),
        )
        for key in sorted({*now, *was})
        if keys is None or key in keys
    )


def _schedule(kinds: Mapping[str, Kind], desired: Desired | None) -> Schedule | None:
    if desired is None or desired.body is None:
        return None
    return Schedule.of(kinds[desired.kind], desired.body)
