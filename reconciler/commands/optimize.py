"""`optimize`: desired and observed → advice → a proposal, shown as a plan; written into the manifests when asked, never applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler import diff, effect, manifests
from reconciler.commands import session as sessions
from reconciler.commands.session import Session
from reconciler.dialects.base import Bucket, Measured, Snapshot
from reconciler.errors import ExitCode, ManifestError, UsageError
from reconciler.manifests import edits
from reconciler.models import Desired
from reconciler.optimize import STRATEGIES, metrics
from reconciler.optimize.base import Advice, Declined, Proposal, Subject
from reconciler.pacing import during
from reconciler.plan import Action, Operation
from reconciler.report import NAMES_SHOWN, Report, Row, Table, Tone, count
from reconciler.report.changes import changes_table
from reconciler.telemetry import EventSinks, Projected, Telemetry
from reconciler.world import Network, World

FIELD: Final = "dial_rate"
"""The quantity that strategies propose."""

APPLY_LATER: Final = (
    "nothing is applied: commit the edits, and have them reviewed like any other change"
)
WRITE_FIRST: Final = "nothing is edited and nothing applied: --write puts this into the manifests"

LOOK_BACK: Final = timedelta(days=7)
"""Observations that are looked at when no start is given."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """What `optimize` was asked; see its options on the command line. Naive instants are UTC."""

    path: Path
    names: tuple[str, ...] = ()
    tenant: str | None = None
    strategy: str = "step"
    target_answer_rate: float = 0.0
    metrics: Path | None = None
    start: datetime | None = None
    end: datetime | None = None
    write: bool = False
    events: EventSinks = EventSinks()
    network: Network = Network()


async def optimize(world: World, asked: OptimizeRequest) -> Report:
    """Return what a strategy advises for each object; edit the proposals into the manifests when asked."""
    folder = manifests.load(asked.path, asked.tenant)
    keys = folder.keys_of(asked.names)
    every = [
        each
        for each in folder.desired
        if each.body is not None and (keys is None or each.key in keys)
    ]
    wanted = [each for each in every if FIELD in (each.body or {})]
    others = [each for each in every if FIELD not in (each.body or {})]
    async with sessions.open_session(world, folder, asked.network, recorded=False) as session:
        snapshot, _ = await session.read()
        observed, left_out = await _observed(session, asked, every, snapshot)
        ceiling = snapshot.ceilings.get(FIELD)
        subjects = [
            Subject(each.key, each.name, _rate(each), observed.get(each.key, ()), ceiling)
            for each in wanted
        ]
        advice = STRATEGIES[asked.strategy].propose(
            subjects, target_answer_rate=asked.target_answer_rate
        )
        advice = (*advice, *(_without_a_rate(each, observed.get(each.key, ())) for each in others))
        proposals = [each for each in advice if isinstance(each, Proposal)]
        lost = await _tell(session, asked, proposals, snapshot)
    written = _write(wanted, proposals) if asked.write else ()
    return _report(session, asked, wanted, advice, written, (*left_out, *lost))


def _without_a_rate(desired: Desired, hours: Sequence[Bucket]) -> Declined:
    """Return what was observed of an object that is not paced in calls per second: no strategy here can propose for it."""
    attempts, answers = sum(h.attempts for h in hours), sum(h.answers for h in hours)
    seen = "nothing was observed"
    if attempts and answers:
        abandons = sum(hour.abandons for hour in hours)
        seen = f"{answers / attempts:.1%} of {attempts} attempts were answered and {abandons / answers:.1%} of those abandoned"
    reason = f"{desired.kind} has no {FIELD}, so there is nothing to propose; in {count(len(hours), 'hour')} {seen}"
    return Declined(desired.key, desired.name, reason)


async def _tell(
    session: Session, asked: OptimizeRequest, proposals: Sequence[Proposal], snapshot: Snapshot
) -> tuple[str, ...]:
    """Tell other systems what was projected; return a note for each sink that did not take it."""
    telemetry = Telemetry.open(asked.events, session.publish)
    for each in proposals:
        telemetry.emit(
            Projected(
                tenant=session.folder.platform,
                campaign_id=each.key,
                at=snapshot.at.isoformat(),
                dial_rate=each.proposed,
                historical_answer_rate=each.evidence.answer_rate,
                projected_answer_rate=each.projected_answer_rate,
            )
        )
    return await telemetry.close()


def _rate(desired: Desired) -> float:
    return float((desired.body or {})[FIELD])


async def _observed(
    session: Session, asked: OptimizeRequest, wanted: Sequence[Desired], snapshot: Snapshot
) -> tuple[Mapping[str, tuple[Bucket, ...]], tuple[str, ...]]:
    """Return the hours of each object, from the file or from the platform, and what must be said of rows that were left out."""
    start, end = _utc(asked.start), _utc(asked.end)
    if asked.metrics is not None:
        found = _read(asked.metrics)
        hours = {key: during(buckets, start, end) for key, buckets in found.observed.items()}
        rows = count(found.left_out, "row")
        return hours, (f"{asked.metrics}: {rows} without a campaign_id left out",) * bool(
            found.left_out
        )
    end = end or snapshot.at.replace(minute=0, second=0, microsecond=0)
    start = start or end - LOOK_BACK
    if start >= end:
        raise UsageError(f"--from {start:%Y-%m-%d %H:%M} is not before --to {end:%Y-%m-%d %H:%M}")
    known = [each.key for each in wanted if each.key in snapshot.objects]
    measured = {
        key: await session.client.run(session.dialect.metrics(key, start, end)) for key in known
    }
    return {key: each.hours for key, each in measured.items()}, _left_out(measured)


def _left_out(measured: Mapping[str, Measured]) -> tuple[str, ...]:
    """Return a note on the rows that could not be read, for at most `NAMES_SHOWN` objects."""
    rows = [f"{each.left_out} of {key}" for key, each in measured.items() if each.left_out]
    more = f" and of {len(rows) - NAMES_SHOWN} more" if len(rows) > NAMES_SHOWN else ""
    said = f"measured rows that cannot be read are left out: {', '.join(rows[:NAMES_SHOWN])}{more}"
    return (said,) if rows else ()


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=instant.tzinfo or UTC)


def _read(path: Path) -> metrics.Metrics:
    """Return what a CSV says.

    Raises:
        ManifestError: every line that is wrong.
        UsageError: the file cannot be read.
    """
    try:
        found = metrics.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    if found.problems:
        raise ManifestError(found.problems)
    return found


def _write(wanted: Sequence[Desired], proposals: Sequence[Proposal]) -> tuple[str, ...]:
    """Edit the proposals into the manifests, file by file, and return the files."""
    places = {each.key: each.place for each in wanted}
    files: dict[str, dict[tuple[str, str], Any]] = {}
    for proposal in proposals:
        files.setdefault(places[proposal.key].file, {})[proposal.name, f"spec.{FIELD}"] = (
            proposal.proposed
        )
    texts = {file: edits.edit(Path(file), changes) for file, changes in files.items()}
    for file, text in texts.items():
        edits.save(Path(file), text)
    return tuple(texts)


def _report(
    session: Session,
    asked: OptimizeRequest,
    wanted: Sequence[Desired],
    advice: Sequence[Advice],
    written: Sequence[str],
    notes: Sequence[str],
) -> Report:
    proposals = [each for each in advice if isinstance(each, Proposal)]
    declined = [each for each in advice if isinstance(each, Declined)]
    by_key = {each.key: each for each in wanted}
    operations = [_as_change(session, by_key[each.key], each) for each in proposals]
    tables = (changes_table(operations), _reasons(proposals), _declined(declined))
    verb = f"written to {', '.join(written)}" if written else "proposed"
    return Report(
        title=f"Optimize tenant {session.folder.name}: strategy {asked.strategy}, target answer rate {asked.target_answer_rate:g}",
        verdict=f"{count(len(proposals), 'change')} {verb}; {count(len(declined), 'schedule')} left as {'it is' if len(declined) == 1 else 'they are'}",
        tone=Tone.CHANGE if proposals else Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=tuple(table for table in tables if table.rows),
        notes=(*((APPLY_LATER if written else WRITE_FIRST,) if proposals else ()), *notes),
        data={
            "proposals": [_proposal(each) for each in proposals],
            "declined": [
                {"key": each.key, "name": each.name, "reason": each.reason} for each in declined
            ],
            "written": list(written),
        },
    )


def _as_change(session: Session, desired: Desired, proposal: Proposal) -> Operation:
    """Return a proposal as the change that it would be once it is written and planned."""
    before = desired.body or {}
    after = {**before, FIELD: proposal.proposed}
    return Operation(
        kind=desired.kind,
        key=desired.key,
        name=desired.name,
        platform_name=desired.platform_name or "",
        action=Action.UPDATE,
        desired=after,
        live=before,
        live_hash="",
        fields=diff.explain(before, after),
        direction=effect.direction(before, after, session.dialect.KINDS[desired.kind].rules),
        place=desired.place,
    )


def _reasons(proposals: Sequence[Proposal]) -> Table:
    rows = tuple(
        Row((each.name, f"{each.projected_answer_rate:.3f}", each.reason)) for each in proposals
    )
    return Table("Why", ("manifest", "projected answer rate", "reason"), rows)


def _declined(declined: Sequence[Declined]) -> Table:
    return Table(
        "Left as they are",
        ("manifest", "reason"),
        tuple(Row((each.name, each.reason), Tone.DIM) for each in declined),
    )


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "name": proposal.name,
        "current": proposal.current,
        "proposed": proposal.proposed,
        "reason": proposal.reason,
        "attempts": proposal.evidence.attempts,
        "answers": proposal.evidence.answers,
        "projected_answer_rate": proposal.projected_answer_rate,
    }
