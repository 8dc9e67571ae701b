"""Plan and apply on an embedded platform without git, with a clock that tests advance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler import policies, sandbox
from reconciler.client import Client, embedded
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Exchange
from reconciler.dialects.campaigns import api as campaigns
from reconciler.execute import Execution, WriteOptions, carry_out
from reconciler.kinds.live import Snapshot
from reconciler.models import Body, Desired
from reconciler.plan import Operation, Origin, Outcome, Plan, build
from reconciler.policies.base import Facts
from reconciler.settings import ClientOptions, Settings, Variables
from reconciler.world import here

T = TypeVar("T")
CLOCK = "2027-01-10T12:00:00Z"


class Notebook:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []
        self.lost = False
        self.asked_until_lost: int | None = None

    def key(self, operation: Operation, attempt: int) -> str:
        return f"{operation.hash[:40]}-{attempt}"

    async def retry(self, operation: Operation, attempt: int) -> None:
        self.lines.append(("retry", f"{operation.name}/{attempt}"))

    async def creating(self, operations: Sequence[Operation]) -> None:
        self.lines += [("creating", each.name) for each in operations if each.action == "create"]

    async def may_write(self) -> bool:
        if self.asked_until_lost is not None:
            self.asked_until_lost -= 1
            return self.asked_until_lost >= 0
        return not self.lost

    async def outcome(self, outcome: Outcome) -> None:
        self.lines.append(("outcome", outcome.operation.name))
        self.outcomes.append(outcome)


class StopNotebook:
    """The journal of a stop, in memory."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.attempts: list[tuple[str, int]] = []
        self.found_bodies: dict[str, Body] = {}

    def key(self, operation: Operation, attempt: int) -> str:
        return f"{operation.hash[:40]}-{attempt}"

    def attempt(self, operation: Operation, number: int, before: Outcome) -> None:  # noqa: ARG002 - the journal records it
        self.attempts.append((operation.key, number))

    def found(self, operation: Operation, stored: Body) -> None:
        self.found_bodies[operation.key] = stored

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Engine:
    """An embedded platform, a client for it, and the steps from desired state to outcomes."""

    world: sandbox.CampaignState
    ticker: sandbox.Ticker
    url: str = "sandbox:"
    options: WriteOptions = field(default_factory=lambda: WriteOptions(settle_s=1.0))
    requests_per_second: float = 1000.0
    deadline_s: float = 1e6
    told: list[str] = field(default_factory=list)
    journal: Notebook = field(default_factory=Notebook)
    stop_after: Callable[[str], bool] = lambda _: False

    def client(self) -> Client:
        login = sandbox.credentials(self.world)
        credentials = Credentials(login.client_id, login.client_secret)
        limits = ClientOptions(
            requests_per_second=self.requests_per_second, deadline_s=self.deadline_s
        )
        settings = Settings("sandbox", self.url, credentials, Variables(), limits)
        lane = (
            embedded(sandbox.create_app(self.world, sleep=self.ticker.sleep))
            if settings.in_process
            else None
        )
        return Client(
            campaigns,
            settings,
            here(print)._replace(
                sleep=self.ticker.sleep, monotonic=self.ticker, random=random.Random(1)
            ),
            transport_factory=lane,
        )

    def read(self) -> Snapshot:
        return self.ask(campaigns.read())

    def ask(self, exchange: Exchange[T]) -> T:
        async def run() -> T:
            async with self.client() as client:
                return await client.run(exchange)

        return asyncio.run(run())

    def plan(self, desired: Iterable[Desired], **more: Any) -> Plan:
        return self.made(tuple(desired), self.read(), **more)

    def made(
        self, desired: tuple[Desired, ...], snapshot: Snapshot, *, judged: bool = False, **more: Any
    ) -> Plan:
        findings = (
            policies.check_all(Facts(desired, campaigns.KINDS, snapshot.at, snapshot), {})
            if judged
            else ()
        )
        return build(
            Origin("sandbox", self.url),
            desired,
            snapshot,
            campaigns.KINDS,
            findings=findings,
            **more,
        )

    def apply(self, desired: Iterable[Desired], **more: Any) -> tuple[Plan, tuple[Outcome, ...]]:
        """Plan and execute like the command `apply`, without its ledger."""
        return asyncio.run(self._apply(tuple(desired), **more))

    async def _apply(
        self, desired: tuple[Desired, ...], **more: Any
    ) -> tuple[Plan, tuple[Outcome, ...]]:
        async with self.client() as client:
            snapshot = await client.run(campaigns.read())
            plan = self.made(desired, snapshot, **more)
            return plan, await carry_out(self.execution(client, snapshot), plan.executable)

    def execution(self, client: Client, snapshot: Snapshot) -> Execution:
        stop = asyncio.Event()

        def progress(line: str) -> None:
            self.told.append(line)
            if self.stop_after(line):
                stop.set()

        world = here(progress)._replace(sleep=self.ticker.sleep, monotonic=self.ticker)
        return Execution(
            world=world,
            platform=client,
            dialect=campaigns,
            journal=self.journal,
            live=snapshot.objects,
            options=self.options,
            stop=stop,
        )


@contextmanager
def engine(
    live: Mapping[str, Mapping[str, Any] | None],
    *,
    faults: Iterable[str] = (),
    loopback: bool = False,
) -> Iterator[Engine]:
    """Open an engine on a platform with the given schedules by campaign. Each campaign is linked to an ACTIVE list."""
    ticker = sandbox.Ticker()
    world = sandbox.CampaignState.open(clock=CLOCK, monotonic=ticker)
    world.configure(requests_per_second=0)
    for key, body in live.items():
        world.put_campaign(key, f"Campaign {key}", schedule=body)
    world.put_list("dnc-1", "Suppression", campaign_ids=list(live))
    for fault in faults:
        world.faults.add(fault)
    try:
        if not loopback:
            yield Engine(world, ticker)
            return
        with sandbox.loopback(sandbox.create_app(world, sleep=ticker.sleep)) as url:
            yield Engine(world, ticker, url)
    finally:
        world.close()
