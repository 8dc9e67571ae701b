"""Check widenings against the rules again just before they become active, because a locked dialer may delay them for many minutes.

Facts older than `FRESH_S`, or than a stop that was begun since, are read again, once for all waiting operations: limits, do-not-call lists, the platform's clock, and the
holds of the ledger. The rules are those of the plan; only the facts are newer. If the check cannot be made, it fails closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler import audit
from reconciler.audit import Record
from reconciler.commands import plan as plan_command
from reconciler.commands.session import Session
from reconciler.execute import Objection
from reconciler.kinds.live import Snapshot
from reconciler.ledger import Ledger
from reconciler.plan import Operation, Plan
from reconciler.policies import dnc_list
from reconciler.policies.base import Level
from reconciler.report.halt import reason_of

FRESH_S: Final = 60.0
"""Seconds after which facts are read again."""


@dataclass(slots=True)
class Recheck:
    """Checks the operations of a plan while it is carried out.

    Attributes:
        session, ledger: sources of facts and holds.
        plan: the plan that is executed; rules and limits come from `Plan.strictness`.
        snapshot: the snapshot that the plan was made from.
        judged_at: the monotonic clock just before the snapshot was read, in seconds.
        seen: the newer facts that an operation was checked by, by its hash. It stays the same mapping.
    """

    session: Session
    ledger: Ledger
    plan: Plan
    snapshot: Snapshot
    judged_at: float
    seen: dict[str, Snapshot] = field(default_factory=dict)
    _now: Snapshot | None = field(default=None, init=False)
    _holds: Mapping[str, Sequence[Record]] = field(default_factory=dict, init=False)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def objection(self, operation: Operation) -> Objection | None:
        """Return why a widening may not become active; `None` if it may.

        Raises:
            ReconcileError: the facts cannot be read.
        """
        async with self._reading:  # one read serves all concurrent callers
            age_s = self.session.world.monotonic() - self.judged_at
            if age_s > FRESH_S or self.ledger.has_new_stops:
                await self._read()
        if self._now is None:
            return None
        self.seen[operation.hash] = self._now
        return self._check(operation, self._now)

    async def _read(self) -> None:
        started = self.session.world.monotonic()
        await asyncio.to_thread(self.ledger.refresh)
        found = await self.session.client.run(self.session.dialect.read_limits())
        keys = (each.key for each in self.session.folder.desired)
        holds = audit.standing(self.ledger.records(), now=self.session.clock.passed(), keys=keys)
        self._now = replace(found, objects={**self.snapshot.objects, **found.objects})
        self._holds, self.judged_at = holds, started

    def _check(self, operation: Operation, now: Snapshot) -> Objection | None:
        holds = self._holds.get(operation.key)
        if holds:
            return Objection(f"it was halted since it was planned ({reason_of(holds[-1])})")
        desired = tuple(each for each in self.session.folder.desired if each.key == operation.key)
        found = plan_command.check_objects(self.session, desired, now, self.plan.strictness)
        errors = [each for each in found if each.key == operation.key and each.level is Level.ERROR]
        if not errors:
            return None
        said = "; ".join(f"{each.rule}: {each.message}" for each in errors)
        passes = {each.rule for each in errors} == {dnc_list.ID} and self._syncs(operation, now)
        return Objection(f"judged again, {said}", passes)

    def _syncs(self, operation: Operation, now: Snapshot) -> bool:
        """Return whether a list of the object is SYNCING. The dialer activates nothing before that ends, so the operation waits."""
        kind = self.session.dialect.KINDS[operation.kind]
        chosen = None if operation.desired is None else kind.lists(operation.desired)
        return any(each.status == "SYNCING" for each in now.linked(operation.key, chosen))
