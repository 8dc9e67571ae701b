"""`optimize`: propose dial rates from observed answers, and write them into the manifests when asked. Never applies them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from reconciler import defaults, effect, manifests
from reconciler.commands import observations
from reconciler.commands import session as sessions
from reconciler.commands.session import Session
from reconciler.dialects import kinds_for
from reconciler.dialects.base import Bucket, Measured
from reconciler.effect import Direction
from reconciler.errors import UsageError
from reconciler.kinds import Kind
from reconciler.kinds.base import CALLS_PER_SECOND
from reconciler.kinds.live import Snapshot
from reconciler.manifests import edits
from reconciler.models import Desired
from reconciler.optimize import STRATEGIES
from reconciler.optimize.base import Declined, Proposal, Subject
from reconciler.pacing import during
from reconciler.report import NAMES_SHOWN, Report, count
from reconciler.report.optimize import of_advice
from reconciler.telemetry import EventSinks, Projected, Telemetry
from reconciler.world import Network, World

LOOK_BACK: Final = timedelta(days=7)
"""Length of the observed interval when no start is given."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """Arguments of `optimize`.

    Attributes:
        path, tenant: the tenant's folder.
        names: manifests; none means all.
        target_answer_rate: answers per attempt, above 0 and at most 1.
        strategy: a key of `STRATEGIES`.
        metrics: a CSV file of observations; `None`: read them from the platform.
        start, end: interval of the observations. Times without an offset are UTC.
        write: write the proposals into the manifests.
        events: see `EventSinks`.
        network: see `Network`.
    """

    path: Path
    names: tuple[str, ...] = ()
    _: KW_ONLY
    target_answer_rate: float
    tenant: str | None = None
    strategy: str = defaults.STRATEGY
    metrics: Path | None = None
    start: datetime | None = None
    end: datetime | None = None
    write: bool = False
    events: EventSinks = EventSinks()
    network: Network = Network()


async def optimize(world: World, asked: OptimizeRequest) -> Report:
    """Report a strategy's proposal for each object; with `write`, put the proposals into the manifests."""
    folder = manifests.load(asked.path, asked.tenant)
    keys = folder.keys_of(asked.names)
    every = [
        each
        for each in folder.desired
        if each.body is not None and (keys is None or each.key in keys)
    ]
    kinds = kinds_for(folder.tenant.spec.api)
    field = next((kind.rate for kind in kinds.values() if kind.rate), "")
    wanted = [each for each in every if field in (each.body or {})]
    others = [each for each in every if field not in (each.body or {})]
    async with sessions.open_session(world, folder, asked.network, recorded=False) as session:
        snapshot, _ = await session.read()
        observed, left_out = await _observe(session, asked, every, snapshot)
        ceiling = snapshot.ceilings.get(field)
        subjects = [
            Subject(each.key, each.name, _rate(each, field), observed.get(each.key, ()), ceiling)
            for each in wanted
        ]
        advice = STRATEGIES[asked.strategy].propose(
            subjects, target_answer_rate=asked.target_answer_rate
        )
        advice = (*advice, *(_without_a_rate(each, observed.get(each.key, ())) for each in others))
        proposals = [each for each in advice if isinstance(each, Proposal)]
        lost = await _publish(session, asked, proposals, snapshot)
    written = _write(wanted, proposals, field) if asked.write else ()
    by_key = {each.key: each for each in wanted}
    return of_advice(
        f"Optimize tenant {folder.name}: strategy {asked.strategy}, target answer rate {asked.target_answer_rate:g}",
        [(each, _direction(kinds, by_key[each.key], {field: each.proposed})) for each in proposals],
        [each for each in advice if isinstance(each, Declined)],
        field=field,
        written=written,
        notes=(*left_out, *lost),
    )


def _without_a_rate(desired: Desired, hours: Sequence[Bucket]) -> Declined:
    """Return the observations of an object without a dial rate. No strategy can propose a rate for it."""
    attempts, answers = sum(h.attempts for h in hours), sum(h.answers for h in hours)
    seen = "nothing was observed"
    if attempts and answers:
        abandons = sum(hour.abandons for hour in hours)
        seen = f"{answers / attempts:.1%} of {attempts} attempts were answered and {abandons / answers:.1%} of those abandoned"
    reason = f"{desired.kind} has no rate in {CALLS_PER_SECOND}, so there is nothing to propose; in {count(len(hours), 'hour')} {seen}"
    return Declined(desired.key, desired.name, reason)


async def _publish(
    session: Session, asked: OptimizeRequest, proposals: Sequence[Proposal], snapshot: Snapshot
) -> tuple[str, ...]:
    """Send the projections to the telemetry sinks; return a note for each sink that failed."""
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


def _rate(desired: Desired, field: str) -> float:
    return float((desired.body or {})[field])


async def _observe(
    session: Session, asked: OptimizeRequest, wanted: Sequence[Desired], snapshot: Snapshot
) -> tuple[Mapping[str, tuple[Bucket, ...]], tuple[str, ...]]:
    """Return the observed hours of each object, from the file or the platform, and a note on skipped rows."""
    start, end = _utc(asked.start), _utc(asked.end)
    if asked.metrics is not None:
        found = observations.read(asked.metrics)
        hours = {key: during(buckets, start, end) for key, buckets in found.observed.items()}
        claimed = {each.key for each in session.folder.desired}
        return hours, tuple(observations.notes(asked.metrics, found, claimed))
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
    """Return a note on the unreadable rows, naming at most `NAMES_SHOWN` objects."""
    rows = [f"{each.left_out} of {key}" for key, each in measured.items() if each.left_out]
    more = f" and of {len(rows) - NAMES_SHOWN} more" if len(rows) > NAMES_SHOWN else ""
    said = f"unreadable rows of observations are left out: {', '.join(rows[:NAMES_SHOWN])}{more}"
    return (said,) if rows else ()


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=instant.tzinfo or UTC)


def _write(wanted: Sequence[Desired], proposals: Sequence[Proposal], field: str) -> tuple[str, ...]:
    """Write the proposals into the manifests, file by file; return the changed files."""
    places = {each.key: each.place for each in wanted}
    files: dict[str, dict[tuple[str, str], Any]] = {}
    for proposal in proposals:
        files.setdefault(places[proposal.key].file, {})[proposal.name, f"spec.{field}"] = (
            proposal.proposed
        )
    texts = {file: edits.edit(Path(file), changes) for file, changes in files.items()}
    for file, text in texts.items():
        edits.save(Path(file), text)
    return tuple(texts)


def _direction(
    kinds: Mapping[str, Kind], desired: Desired, proposed: Mapping[str, float]
) -> Direction:
    """Return whether a proposal narrows or widens dialing."""
    before = desired.body or {}
    return effect.by_fields(before, {**before, **proposed}, kinds[desired.kind].rules)
