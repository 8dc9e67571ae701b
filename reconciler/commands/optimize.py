"""`optimize`: propose dial rates from observed calls; with `--write`, write them into the manifests. Never applies them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from reconciler import defaults, effect
from reconciler.commands import extras, observations, past_proposals
from reconciler.commands import session as sessions
from reconciler.commands.manifest_edits import Sources, edit
from reconciler.commands.proposals import drawn, judged, undrawn, unlike_live
from reconciler.commands.session import Session
from reconciler.commands.valid_manifests import load_valid
from reconciler.dialects import kinds_for
from reconciler.dialects.base import Bucket, Measured
from reconciler.errors import UsageError
from reconciler.kinds import Kind
from reconciler.kinds.live import Snapshot
from reconciler.manifests import Folder
from reconciler.models import Body, Capacity, Desired, Pacing
from reconciler.optimize import STRATEGIES, advise, allocate, ratio, step
from reconciler.optimize.base import (
    CALLS,
    RATE,
    RATIO,
    Advice,
    Context,
    Declined,
    Proposal,
    Subject,
)
from reconciler.optimize.hours import open_hours
from reconciler.optimize.observations import RECENT, WEEKS, usable
from reconciler.pacing import during
from reconciler.report import NAMES_SHOWN, Report
from reconciler.report.optimize import Proposed, of_advice
from reconciler.telemetry import EventSinks, Projected, Telemetry
from reconciler.world import Network, World

_STEPPED: Final = {step.NAME: RATE, ratio.NAME: RATIO}
"""The field that a strategy moves from where it is, by strategy. The others compute it from the observations alone."""


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
        before_writing: called with the report before any manifest is changed. If it raises, none is changed.

    Raises:
        ManifestError: as `load_valid`; or no row of the CSV can be used.
        UsageError: no strategy has that name, a target answer rate is missing or not wanted, the interval is empty, or the extra `optimize` is not installed.
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
    table = past_proposals.Table.read(folder)
    async with sessions.open_session(world, folder, asked.network, recorded=False) as session:
        found = await _advise(session, asked, strategy, every, partial=bool(invalid))
    edits = edit(sources, found.proposals if asked.write else ())
    by_hand = {each.key for each in edits.by_hand}
    made = [each for each in found.proposals if each.key not in by_hand]
    if asked.write and made:
        edits = edits.adding(*_predicted(table, folder, made, found))
    past, remarks = past_proposals.compare(world, folder, table, found.subjects)
    kinds = kinds_for(folder.tenant.spec.api)
    proposed = list(judged(made, found.subjects, kinds, found.at))
    report = of_advice(
        _title(folder.name, strategy, asked.target_answer_rate),
        drawn(proposed, found.subjects, found.at) if asked.drawn and proposed else proposed,
        [*edits.by_hand, *found.declined],
        written=edits.files,
        notes=(
            *_on_capacity(strategy, folder.tenant.spec.capacity, proposed),
            *invalid,
            *found.notes,
            *remarks,
            *(undrawn(proposed) if asked.drawn else ()),
        ),
        past=past,
    )
    with edits.replacing():
        before_writing(report)
    return report


def _on_capacity(strategy: str, capacity: Capacity, proposed: Sequence[Proposed]) -> Iterator[str]:
    """Yield a note if a strategy may raise values and ignores the tenant's capacity."""
    raises = any(each.direction.widens for each in proposed)
    if raises and strategy != allocate.NAME and capacity != Capacity():
        yield f"tenant.yaml declares a capacity, which --strategy {strategy} ignores: --strategy {allocate.NAME} divides it between the campaigns"


class _Found(NamedTuple):
    """The advice of a strategy, with its input.

    Attributes:
        subjects: the objects, with their usable hours.
        advice: one piece for each of them.
        at: the platform's clock.
        notes: on what was left out or could not be sent.
    """

    subjects: Sequence[Subject]
    advice: Sequence[Advice]
    at: datetime
    notes: tuple[str, ...]

    @property
    def proposals(self) -> list[Proposal]:
        return [each for each in self.advice if isinstance(each, Proposal)]

    @property
    def declined(self) -> list[Declined]:
        return [each for each in self.advice if isinstance(each, Declined)]


async def _advise(
    session: Session,
    asked: OptimizeRequest,
    strategy: str,
    every: Sequence[Desired],
    *,
    partial: bool,
) -> _Found:
    """Read the platform, and ask the strategy.

    Args:
        session: the open tenant.
        asked: what is asked for.
        strategy: name of the strategy.
        every: the manifests that are asked for.
        partial: the folder has manifests that could not be read.
    """
    folder = session.folder
    kinds = kinds_for(folder.tenant.spec.api)
    snapshot, _ = await session.read()
    observed, left_out = await _observe(session, asked, strategy, every, snapshot)
    rest = [each for each in folder.desired if each.body and each not in every]
    subjects, others = (
        [_subject(each, kinds[each.kind], observed.get(each.key, ()), snapshot) for each in some]
        for some in (every, rest)
    )
    unknown: tuple[str, ...] = ()
    if stepped := _STEPPED.get(strategy):
        changes, unknown = past_proposals.last_changes(session.world, folder, stepped)
        subjects = [
            _with_changes(each, stepped, kinds[each.kind], snapshot, changes) for each in subjects
        ]
    unmanaged: list[Subject] = []
    unread: tuple[str, ...] = ()
    if strategy == allocate.NAME:
        claimed = {each.key for each in folder.desired}
        unmanaged, unread = _unmanaged(snapshot, claimed, kinds)
    context = Context(
        snapshot.at,
        asked.target_answer_rate,
        folder.tenant.spec.capacity,
        others=(*others, *unmanaged),
        partial=folder.partial or partial,
    )
    advice = advise(strategy, subjects, context)
    clean = [usable(each, snapshot.at)[0] for each in subjects]
    found = _Found(clean, advice, snapshot.at, left_out)
    lost = await _publish(session, asked, found.proposals, snapshot)
    unlike = unlike_live(found.proposals, clean, snapshot, kinds)
    return found._replace(notes=(*left_out, *unknown, *unread, *unlike, *lost))


def _predicted(
    table: past_proposals.Table, folder: Folder, made: Sequence[Proposal], found: _Found
) -> tuple[Path, str | None, bytes | None]:
    """Return where the predictions are kept, the table's new text, and its content now."""
    unread = table.kept if folder.partial else ()
    claimed = {*unread, *(each.key for each in folder.desired)}
    by_key = {each.key: each for each in found.subjects}
    return table.path, table.with_new(made, by_key, claimed, found.at), table.content


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
    if name not in STRATEGIES:
        raise UsageError(f"no strategy {name!r}; there are {', '.join(STRATEGIES)}")
    if name == step.NAME and (target is None or not 0 < target <= 1):
        raise UsageError(
            "the strategy step needs a --target-answer-rate above 0 and at most 1, such as 0.3"
        )
    if name != step.NAME and target is not None:
        raise UsageError(
            f"--target-answer-rate is for the strategy step alone, and the strategy is {name}: leave it out"
        )
    extras.need_optimize("optimize")
    return name


def _unmanaged(
    snapshot: Snapshot, claimed: Collection[str], kinds: Mapping[str, Kind]
) -> tuple[list[Subject], tuple[str, ...]]:
    """Return the objects of the platform that no manifest claims and that have a schedule, and notes on schedules that cannot be read."""
    (kind,) = kinds.values()
    found, notes = [], []
    for key, live in snapshot.objects.items():
        if key in claimed or live.stored is None:
            continue
        body = kind.canonical(live.stored)
        try:
            for field in (RATE, CALLS):
                effect.number(body[field])
            found.append(_dialing(key, live.name, kind, body, snapshot))
        except effect.UNREADABLE:
            notes.append(
                f"{live.name} ({key}) has no manifest, and its schedule cannot be read: subtract what it uses from spec.capacity"
            )
    return found, tuple(notes)


def _subject(
    desired: Desired, kind: Kind, observed: tuple[Bucket, ...], snapshot: Snapshot
) -> Subject:
    made = _dialing(desired.key, desired.name, kind, desired.body or {}, snapshot)
    return replace(
        made,
        kind=desired.kind,
        observed=observed,
        pacing=Pacing.model_validate(desired.pacing),
    )


def _with_changes(
    subject: Subject,
    field: str,
    kind: Kind,
    snapshot: Snapshot,
    changes: Mapping[str, datetime | None],
) -> Subject:
    """Return an object with the time at which a field was last changed, as far as the records tell."""
    live = snapshot.objects.get(subject.key)
    if subject.key not in changes or live is None or live.stored is None:
        return subject
    if kind.canonical(live.stored).get(field) != subject.spec.get(field):
        return replace(subject, changed={field: None})
    since = changes[subject.key]
    return subject if since is None else replace(subject, changed={field: since})


def _dialing(key: str, name: str, kind: Kind, body: Body, snapshot: Snapshot) -> Subject:
    """Return an object that dials as a body says, of which nothing else is known."""
    hours = kind.hours(body)
    zones = [each for each in hours.zones if each]
    clock = zones[0] if len(zones) == 1 else str(body["timezone"])
    return Subject(
        key,
        name,
        spec=body,
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
    if start and end and start >= end:
        raise UsageError(f"--from {start:%Y-%m-%d %H:%M} is not before --to {end:%Y-%m-%d %H:%M}")
    if asked.metrics is not None:
        found = observations.read(asked.metrics)
        hours = {key: during(buckets, start, end) for key, buckets in found.observed.items()}
        claimed = {each.key for each in session.folder.desired}
        return hours, tuple(observations.notes(asked.metrics, found, claimed))
    now = snapshot.at.replace(minute=0, second=0, microsecond=0)
    oldest = (
        now - RECENT
    )  # older hours count for no strategy, and a platform answers for some weeks at a time
    end = _whole_hour(max(min(end or now, now), oldest))
    start = _whole_hour(min(max(start or end - STRATEGIES[strategy].LOOK_BACK, oldest), now))
    if start >= end:
        raise UsageError(
            f"only hours of the {WEEKS} weeks before {now:%Y-%m-%d %H:%M} UTC count, and --from and --to select none of them"
        )
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


def _whole_hour(instant: datetime) -> datetime:
    """Return an instant, or else the next whole hour: the first hour that starts from then on."""
    whole = instant.replace(minute=0, second=0, microsecond=0)
    return whole if whole == instant else whole + timedelta(hours=1)


def _utc(instant: datetime | None) -> datetime | None:
    return None if instant is None else instant.replace(tzinfo=instant.tzinfo or UTC)
