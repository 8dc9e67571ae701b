"""Commands that only read files: `validate`, `render`, `tenants`, `schema`. `validate --online` also reads the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reconciler import manifests, policies
from reconciler import report as reports
from reconciler.dialects import kinds_for
from reconciler.errors import ExitCode, ManifestError, Problem, UsageError
from reconciler.manifests import Folder
from reconciler.models import EMBEDDED
from reconciler.policies.base import Facts, Finding, Level
from reconciler.report import Report, Row, Table, Tone, checks
from reconciler.world import Network, World

if TYPE_CHECKING:  # offline needs no planner, and its import costs as much as the interpreter
    from reconciler.plan import Strictness


class ValidateRequest(NamedTuple):
    """Arguments of `validate`.

    Attributes:
        paths: folders of tenants, or files.
        tenant: only this one.
        online: check against the platform as well.
        network: see `Network`.
    """

    paths: tuple[Path, ...]
    tenant: str | None = None
    online: bool = False
    network: Network = Network()


async def validate(world: World, asked: ValidateRequest) -> Report:
    """Check every tenant below the paths against the rules.

    Raises:
        ManifestError: every problem of every file.
    """
    if not asked.online:
        return check(world, asked)
    folders = _load_all(asked)
    found = [await _check_online(world, folder, asked) for folder in folders]
    return _report(folders, [each for each, _ in found], [each for _, each in found])


def check(world: World, asked: ValidateRequest) -> Report:
    """Validate the manifests offline. Does not import asyncio, because that takes five times as long as starting Python.

    Raises:
        ManifestError: every problem of every file.
    """
    folders = _load_all(asked)
    return _report(folders, [_check_offline(folder, world) for folder in folders])


def _report(
    folders: Sequence[Folder],
    found: Sequence[tuple[Finding, ...]],
    strictness: Sequence[Strictness] = (),
) -> Report:
    findings = [finding for each in found for finding in each]
    refused = any(finding.level is Level.ERROR for finding in findings)
    return checks.of_validation(
        files=sum(folder.files for folder in folders),
        manifests=sum(len(folder.desired) for folder in folders),
        findings=findings,
        strictness=strictness,
        exit_code=ExitCode.REFUSED if refused else 0,
    )


def _load_all(asked: ValidateRequest) -> list[Folder]:
    folders: dict[tuple[Path, Path], Folder] = {}
    problems: list[Problem] = []
    for path in asked.paths:
        for where in manifests.find_tenants(path):
            if asked.tenant in {None, where.name}:
                try:
                    folders[where.path, path] = manifests.load_tenant(where, keep_places=True)
                except ManifestError as error:
                    problems += error.problems
    problems += _claimed_twice(folders.values())
    if problems:
        raise ManifestError(dict.fromkeys(problems))
    if not folders:
        raise UsageError(f"there is no tenant {asked.tenant!r} below these paths")
    return list(folders.values())


def _claimed_twice(folders: Iterable[Folder]) -> Iterator[Problem]:
    """Yield a problem for each tenant folder whose platform another folder has, too."""
    first: dict[str, Folder] = {}
    for folder in folders:
        other = first.setdefault(folder.platform, folder)
        embedded = folder.tenant.spec.url == EMBEDDED
        if not embedded and other.path.resolve() != folder.path.resolve():
            file = other.path / manifests.TENANT_FILE
            yield manifests.clash(folder.settings, folder.platform, file)


async def _check_online(
    world: World, folder: Folder, asked: ValidateRequest
) -> tuple[tuple[Finding, ...], Strictness]:
    from reconciler.commands import baseline  # noqa: PLC0415 - offline needs no HTTP
    from reconciler.commands import session as sessions  # noqa: PLC0415 - same

    async with sessions.open_session(world, folder, asked.network) as session:
        snapshot, _ = await session.read()
        strictness = baseline.strictness_of(session, snapshot.at)
    kinds = session.dialect.KINDS
    facts = Facts(
        folder.desired,
        kinds,
        snapshot.at,
        snapshot,
        names=strictness.names,
        repointed=strictness.repointed,
    )
    return policies.check_all(facts, strictness.levels, strictness.waivers), strictness


def _check_offline(folder: Folder, world: World) -> tuple[Finding, ...]:
    """Return the findings that need no platform, by the levels and waivers of `tenant.yaml`. Only `--online` reads the policy baseline."""
    spec = folder.tenant.spec
    facts = Facts(folder.desired, kinds_for(spec.api), spec.clock or world.now())
    return policies.check_all(facts, spec.policies, spec.waivers)


def render(path: Path, tenant: str | None, names: tuple[str, ...]) -> Report:
    """Return the compiled body of the named manifests (all of them when none is named), with the place of every field."""
    folder = manifests.load(path, tenant, keep_places=True)
    keys = folder.keys_of(names)
    wanted = [desired for desired in folder.desired if keys is None or desired.key in keys]
    tables = []
    for desired in wanted:
        rows = tuple(
            Row((field, reports.value(value)), place=place)
            for field, value, place in manifests.explain_compiled(desired)
        )
        if desired.retired:
            noun = kinds_for(folder.tenant.spec.api)[desired.kind].words.object
            said = f"retired: compiles to nothing, and apply removes the schedule of {noun} {desired.key}"
            rows = (Row((said,), place=desired.place),)
        columns = ("",) if desired.retired else ("field", "value")
        tables.append(Table(f"{desired.name} ({desired.key})", columns, rows))
    return Report(
        title=f"Render tenant {folder.name}",
        verdict=f"{reports.count(len(wanted), 'manifest')} compiled: this is what is compared, sent and recorded",
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=tables,
        data=[
            {"name": desired.name, "key": desired.key, "kind": desired.kind, "body": desired.body}
            for desired in wanted
        ],
    )


def tenants(path: Path) -> Report:
    """Return the tenants below a path, for people and for a CI matrix."""
    found = manifests.find_tenants(path)
    rows = tuple(Row((where.name, str(where.path))) for where in found)
    return Report(
        title="Tenants",
        verdict=reports.count(len(found), "tenant"),
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(Table("Folders", ("tenant", "folder"), rows),),
        data=[{"tenant": where.name, "path": str(where.path)} for where in found],
    )


def schema(kind: str | None, out: Path | None) -> str:
    """Return one JSON Schema as text, or write all of them and return what was written.

    Raises:
        UsageError: no such kind, or nothing named.
    """
    import json  # noqa: PLC0415 - what checks manifests needs none

    from reconciler.models.schemas import json_schemas  # noqa: PLC0415 - what checks manifests needs no schemas

    texts = {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in json_schemas().items()
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
        return "".join(f"{out / name}\n" for name in texts)
    named = {_kind(name): text for name, text in texts.items()}
    if kind is None or kind not in named:
        raise UsageError(f"name a kind: {', '.join(sorted(named))}; or write all with --out FOLDER")
    return named[kind]


def _kind(file: str) -> str:
    """Return the kind that a schema's file is named after: ``campaign-schedule.json`` → ``CampaignSchedule``."""
    return "".join(part.capitalize() for part in file.removesuffix(".json").split("-"))
