"""Who may write to a tenant now: a commit that nobody else can make, under a ref that moves by compare-and-swap.

The lock survives whoever held it by its expiry alone, so a killed run blocks nobody for longer than that. Each acquisition
is a fresh commit with a nonce: two holders can never push the same object, which a server would call up to date.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.errors import TenantLocked, safe

TTL_S: Final = 15 * 60.0
"""Seconds that a lock stands after its last heartbeat (DESIGN §5)."""


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock's commit says.

    Attributes:
        holder: who: a run, a person, a machine.
        run_url: where the run can be watched.
        since, expires: ISO 8601, UTC.
        nonce: makes the commit unlike any other.
        beat: heartbeats so far.
    """

    holder: str
    since: str
    expires: str
    nonce: str
    run_url: str | None = None
    beat: int = 0

    def message(self) -> str:
        """Return the commit's message."""
        return json.dumps(asdict(self), sort_keys=True) + "\n"

    def expired(self, now: datetime) -> bool:
        """Return whether anybody may take it."""
        return now > datetime.fromisoformat(self.expires)


def written(commit: bytes) -> Lock:
    """Return what a lock's raw commit says. A commit that says nothing is held by somebody unknown, for ever."""
    unknown = Lock("somebody unknown", "an unknown time", "9999-12-31T23:59:59+00:00", "")
    _, _, message = commit.partition(b"\n\n")
    try:
        lock = Lock(**json.loads(message))
        datetime.fromisoformat(lock.since)
        zone = datetime.fromisoformat(lock.expires).tzinfo
    except (TypeError, ValueError, RecursionError):
        return unknown
    return lock if zone is not None and isinstance(lock.holder, str) else unknown


def fresh(holder: str, run_url: str | None, nonce: str, now: datetime) -> Lock:
    """Return a new lock from `now` on."""
    return Lock(safe(holder, limit=200), now.isoformat(), _expiry(now), nonce, run_url)


def beaten(lock: Lock, now: datetime) -> Lock:
    """Return the lock after a heartbeat."""
    return Lock(lock.holder, lock.since, _expiry(now), lock.nonce, lock.run_url, beat=lock.beat + 1)


def _expiry(now: datetime) -> str:
    return (now + timedelta(seconds=TTL_S)).isoformat()


def refusal(tenant: str, lock: Lock) -> TenantLocked:
    """Return the error that says who holds a tenant, since when, and what to do."""
    url = f" ({safe(lock.run_url)})" if lock.run_url else ""
    return TenantLocked(
        f"tenant {tenant} is being applied to by {safe(lock.holder)}{url} since {safe(lock.since)}; its lock expires at "
        f"{safe(lock.expires)}. Wait for it; if that run is dead: reconcile lock release --tenant {tenant}"
    )


def lost(tenant: str, lock: Lock | None) -> TenantLocked:
    """Return the error of a run that no longer holds the lock it took."""
    by = f"by {safe(lock.holder)} since {safe(lock.since)}" if lock else "and then released"
    return TenantLocked(
        f"the lock of tenant {tenant} was taken from this run {by}: it stops, and writes nothing more. Run apply again"
    )
