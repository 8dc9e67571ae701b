"""`optimize`: propose dial rates from what was observed, and write them into the manifests when asked. Never applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from reconciler import defaults, effect
from reconciler.commands import observations
from reconciler.commands import session as sessions
from reconciler.commands.look_back import Table, look_back
from reconciler.commands.manifest_edits import Sources, edit
from reconciler.commands.session import Session
from reconciler.commands.valid_manifests import load_valid
from reconciler.dialects import kinds_for
from reconciler.dialects.base import Bucket, Measured
from reconciler.errors import UsageError
from reconciler.kinds import Kind
from reconciler.kinds.live import Snapshot
from reconciler.models import Desired, Pacing
from reconciler.optimize import STRATEGIES, advise, answers, step
from reconciler.optimize.base import RATE, Context, Declined, Proposal, Subject
from reconciler.optimize.hours import open_hours
from reconciler.optimize.observed import usable
from reconciler.pacing import during
from reconciler.report import NAMES_SHOWN, Report, count
from reconciler.report.optimize import Proposed, of_advice
from reconciler.report.proposal_plots import MOST_DRAWN, plots
from reconciler.telemetry import EventSinks, Projected, Telemetry
from reconciler.world import Network, World

LIBRARIES: Final = ("numpy", "scipy")
"""What the extra `optimize` installs."""


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """Arguments of `optimize`.

    Attributes:
        path, tenant: the tenant's folder.
        names: manifests; none means all.
        target_answer_rate: answers per attempt, above 0 and at most 1; for the strategy `step`.
        strategy: a key of `STRATEGIES`; `None`: `step` with a target answer rate, else that of `defaults.STRATEGIES`.
        metrics: a CSV file of observations; `None`: read them from the platform.
        start, end: interval of the observations. Times without an offset are UTC.
        write: write the proposals into the manifests.
        drawn: draw the proposals, for a page.
        events: see `EventSinks`.
        network: see `Network`.
    """

    path: Path
    names: tuple[str, ...] = ()
    _: KW_ONLY
    target_answer_rate: float | None = None
    tenant: str | None = None
    strategy: str | None = None
    metrics: Path | None = None
    start: datetime | None = None
    end: datetime | None = None
    write: bool = False
    drawn: bool = False
    events: EventSinks = EventSinks()
    network: Network = Network()


def _nothing(_: Report) -> None:
    """Do nothing with a report."""


async def optimize(
    world: World, asked: OptimizeRequest, before_writing: Callable[[Report], None] = _nothing
) -> Report:
    """Report a strategy's proposal for each object; with `write`, put the proposals into the manifests.

    Args:
        world: see `World`.
        asked: what is asked for.
        before_writing: called with the report before any manifest is changed. What it raises leaves all of them as they are.

    Raises:
        ManifestError: as `load_valid`; or no row of the CSV can be used.
        UsageError: a target answer rate is missing or not wanted, or the extra `optimize` is not installed.
    """
    folder, invalid = load_valid(asked.path, asked.tenant, asked.names)
    strategy = _strategy(asked, folder.tenant.spec.api)
    keys = folder.keys_of(asked.names)
    every = [
        each
        for each in folder.desired
        if each.body is not None and (keys is None or each.key in keys)
    ]
    sources = Sources.read(folder, every if asked.write else ())
    table = Table.read(folder)
    kinds = kinds_for(folder.tenant.spec.api)
    async with sessions.open_session(world, folder, asked.network, recorded=False) as session:
        snapshot, _ = await session.read()
        observed, left_out = await _observe(session, asked, strategy, every, snapshot)
        subjects, others = (
            [
                _subject(each, kinds[each.kind], observed.get(each.key, ()), snapshot)
                for each in some
            ]
            for some in (
                every,
                [each for each in folder.desired if each.body and each not in every],
            )
        )
        context = Context(
            snapshot.at,
            asked.target_answer_rate,
            folder.tenant.spec.capacity,
            others=tuple(others),
            partial=folder.partial or bool(invalid),
        )
        advice = advise(strategy, subjects, context)
        proposals = [each for each in advice if isinstance(each, Proposal)]
        lost = await _publish(session, asked, proposals, snapshot)
    edits = edit(sources, proposals if asked.write else ())
    by_hand = {each.key for each in edits.by_hand}
    made = [each for each in proposals if each.key not in by_hand]
    if asked.write and made:
        unread = table.kept if folder.partial else ()
        claimed = {*unread, *(each.key for each in folder.desired)}
        text = table.with_new(made, {each.key: each for each in subjects}, claimed, snapshot.at)
        edits = edits if text is None else edits.adding(table.path, text, table.content)
    past, remarks = look_back(world, folder, table, subjects)
    proposed = list(_judged(made, every, subjects, kinds, snapshot.at))
    report = of_advice(
        _title(folder.name, strategy, asked.target_answer_rate),
        _drawn(proposed, subjects, context.now) if asked.drawn and proposed else proposed,
        [*edits.by_hand, *(each for each in advice if isinstance(each, Declined))],
        written=edits.files,
        notes=(*invalid, *left_out, *lost, *remarks, *_undrawn(proposed if asked.drawn else ())),
        looked_back=past,
    )
    with edits.replacing():
        before_writing(report)
    return report


def _title(tenant: str, strategy: str, target: float | None) -> str:
    aim = "" if target is None else f", target answer rate {target:g}"
    return f"Optimize tenant {tenant}: strategy {strategy}{aim}"


def _strategy(asked: OptimizeRequest, api: str) -> str:
    """Return the name of the strategy to use.

    Raises:
        UsageError: see `optimize`.
    """
    target, name = asked.target_answer_rate, asked.strategy
    if name is None:
        name = defaults.STRATEGIES[api] if target is None else step.NAME
    if name == step.NAME and (target is None or not 0 < target <= 1):
        raise UsageError(
            "the strategy step needs a --target-answer-rate above 0 and at most 1, such as 0.3"
        )
    if name != step.NAME and target is not None:
        raise UsageError(
            f"--target-answer-rate is for the strategy step alone, and the strategy is {name}: leave it out"
        )
    if not all(map(find_spec, LIBRARIES)):
        raise UsageError(
            "optimize needs numpy and SciPy: run `pip install 'cxone-reconcile[optimize]'`"
        )
    return name


def _subject(
    desired: Desired, kind: Kind, observed: tuple[Bucket, ...], snapshot: Snapshot
) -> Subject:
    body = desired.body or {}
    hours = kind.hours(body)
    zones = [each for each in hours.zones if each]
    clock = zones[0] if len(zones) == 1 else str(body["timezone"])
    return Subject(
        desired.key,
        desired.name,
        kind=desired.kind,
        spec=body,
        observed=observed,
        pacing=Pacing.model_validate(desired.pacing),
        open_hours=open_hours(hours, clock, snapshot.at),
        hours=hours,
        ceilings=snapshot.ceilings,
        zone=clock,
    )


async def _publish(
    session: Session, asked: OptimizeRequest, proposals: Sequence[Proposal], snapshot: Snapshot
) -> tuple[str, ...]:
    """Send the projections to the telemetry sinks; return a note for each sink that failed."""
    telemetry = Telemetry.open(asked.events, session.publish)
    for each in proposals:
        rate, projected = each.proposed(RATE), each.projected_answer_rate
        if rate is not None and projected is not None:
            telemetry.emit(
                Projected(
                    tenant=session.folder.platform,
                    campaign_id=each.key,
                    at=snapshot.at.isoformat(),
                    dial_rate=float(rate),
                    historical_answer_rate=each.evidence.answer_rate,
                    projected_answer_rate=projected,
                )
            )
    return await telemetry.close()


async def _observe(
    session: Session,
    asked: OptimizeRequest,
    strategy: str,
    wanted: Sequence[Desired],
    snapshot: Snapshot,
) -> tuple[Mapping[str, tuple[Bucket, ...]], tuple[str, ...]]:
    """Return the observed hours of each object, from the file or the platform, and a note on skipped rows."""
    start, end = _utc(asked.start), _utc(asked.end)
    if asked.metrics is not None:
        found = observations.read(asked.metrics)
        hours = {key: during(buckets, start, end) for key, buckets in found.observed.items()}
        claimed = {each.key for each in session.folder.desired}
        return hours, tuple(observations.notes(asked.metrics, found, claimed))
    end = end or snapshot.at.replace(minute=0, second=0, microsecond=0)
    start = start or end - STRATEGIES[strategy].LOOK_BACK
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


def _drawn(
    proposed: Sequence[Proposed], subjects: Sequence[Subject], now: datetime
) -> list[Proposed]:
    """Return the proposals with plots; of many, only the first `MOST_DRAWN`."""
    rates = answers.fit([usable(each)[0] for each in subjects], now)
    drawn = [
        each._replace(plots=plots(each.proposal, each.subject, rates))
        for each in proposed[:MOST_DRAWN]
    ]
    return [*drawn, *proposed[MOST_DRAWN:]]


def _undrawn(proposed: Sequence[Proposed]) -> tuple[str, ...]:
    """Return a note if proposals are left without plots."""
    more = len(proposed) - MOST_DRAWN
    said = f"{count(more, 'proposal')} without plots, because the page has many: name a manifest to see its own"
    return (said,) if more > 0 else ()


def _judged(
    proposals: Iterable[Proposal],
    desired: Iterable[Desired],
    subjects: Iterable[Subject],
    kinds: Mapping[str, Kind],
    now: datetime,
) -> Iterator[Proposed]:
    """Yield each proposal with its direction and its effect on dialing."""
    bodies = {each.key: each for each in desired}
    by_key = {each.key: each for each in subjects}
    for each in proposals:
        manifest = bodies[each.key]
        kind, before = kinds[manifest.kind], manifest.body or {}
        after = {**before, **{change.field: change.proposed for change in each.changes}}
        direction = effect.by_fields(before, after, kind.rules)
        yield Proposed(
            each, by_key[each.key], direction, effect.of_change(before, after, kind, now)
        )
