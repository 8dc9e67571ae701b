"""Context of an execution: the world, the platform, the journal and the options."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol

from reconciler import defaults
from reconciler.dialects.base import Dialect
from reconciler.errors import UsageError
from reconciler.execute.platform import Platform
from reconciler.execute.polling import Poller
from reconciler.kinds.live import Live
from reconciler.models import Body
from reconciler.plan import Operation, Outcome
from reconciler.world import World


class Journal(Protocol):
    """Records intents and outcomes."""

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation. Attempts count from 0."""

    async def retry(self, operation: Operation, attempt: int) -> None:
        """Record the intent of another attempt. Returns when the record is acknowledged."""

    async def outcome(self, outcome: Outcome) -> None:
        """Record an outcome. Outcomes may be written in batches, after this returns."""

    async def may_write(self) -> bool:
        """Return whether this run still holds the tenant's lock.

        Raises:
            LockUnknown: the lock cannot be read.
        """

    async def creating(self, operations: Sequence[Operation]) -> None:
        """Record that the creates among these operations may be sent from now on. Returns when that is acknowledged."""


class StopJournal(Protocol):
    """Records the outcomes of a stop. Its methods return at once and never raise."""

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation. Attempts count from 0."""

    def attempt(self, operation: Operation, number: int, before: Outcome) -> None:
        """Record how the attempt before ended, and that a further attempt (from 1) will be sent."""

    def found(self, operation: Operation, stored: Body) -> None:
        """Record what was stored before the stop."""

    def outcome(self, outcome: Outcome) -> None:
        """Record an outcome."""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How fast to write, and how long to wait.

    Attributes:
        concurrency: operations to write at the same time. Operations that wait for the dialer do not count.
        wait_s: seconds to wait for a locked dialer, and for activation.
        settle_s: seconds to wait before an uncertain write is read back. Longer than a platform takes to commit late.
        look_s: seconds between two reads of what was written, while more is being written.
    """

    concurrency: int = defaults.CONCURRENCY
    wait_s: float = defaults.WAIT_S
    settle_s: float = 2.0
    look_s: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value is out of range.
        """
        if self.concurrency < 1:
            raise UsageError(f"concurrency is {self.concurrency}: it must be at least 1")
        if not (isfinite(self.wait_s) and self.wait_s >= 0):
            raise UsageError(f"wait is {self.wait_s} seconds: it must be a number of at least 0")


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an approved operation that widens dialing may not become active now.

    Attributes:
        reason: the objection, one sentence without a full stop.
        passes: the obstacle is temporary, so the operation waits as it does for a locked dialer.
    """

    reason: str
    passes: bool = False


async def _no_objection(_: Operation) -> Objection | None:
    """Return no objection."""
    return None


@dataclass(frozen=True, slots=True)
class Execution:
    """The context of one run on one platform.

    Attributes:
        world: clocks, sleep, progress and checkpoints.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        journal: records intents and outcomes.
        live: the objects as read for the plan, by key.
        options: see `WriteOptions`.
        stop: when set, no operation is started and waits end. A write under way is finished and recorded.
        objection: called just before a widening is written or activated. Raises when the rules cannot be checked.
        poller: reads back what was written.
    """

    world: World
    platform: Platform
    dialect: Dialect
    journal: Journal
    live: Mapping[str, Live]
    options: WriteOptions
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    objection: Callable[[Operation], Awaitable[Objection | None]] = _no_objection
    poller: Poller = field(init=False)

    def __post_init__(self) -> None:
        read_one, read_some = self.dialect.read_one, self.dialect.read_some
        poller = Poller(self.world, self.platform, self.options.look_s, read_one, read_some)
        object.__setattr__(self, "poller", poller)
