"""Who may write to a tenant now: a commit that nobody else can make, under a ref that moves by compare-and-swap.

The lock survives whoever held it by its expiry alone, so a killed run blocks nobody for longer than that. Each acquisition
is a fresh commit with a nonce: two holders can never push the same object, which a server would call up to date.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.errors import SHORTENED_TO, TenantLocked, safe
from reconciler.git import Git

TTL_S: Final = 15 * 60.0
"""Seconds that a lock stands after its last heartbeat (DESIGN §5)."""

LOCK_LIMIT: Final = 64 * 1024
"""Bytes of a lock's commit."""

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "holder": (str,),
    "since": (str,),
    "expires": (str,),
    "nonce": (str,),
    "run_url": (str, type(None)),
    "beat": (int,),
}
"""What each field of a lock is in JSON."""

_OPTIONAL: Final = frozenset({"run_url", "beat"})


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock's commit says.

    Attributes:
        holder: who: a run, a person, a machine.
        run_url: where the run can be watched.
        since, expires: ISO 8601, UTC.
        nonce: makes the commit unlike any other.
        beat: heartbeats so far.
        problem: where the lock is, and why it cannot be read; empty when it can. Not written.
    """

    holder: str
    since: str
    expires: str
    nonce: str
    run_url: str | None = None
    beat: int = 0
    problem: str = ""

    def message(self) -> str:
        """Return the commit's message."""
        said = {name: value for name, value in asdict(self).items() if name in _TYPES}
        return json.dumps(said, sort_keys=True) + "\n"

    def expired(self, now: datetime) -> bool:
        """Return whether anybody may take it."""
        return now > datetime.fromisoformat(self.expires)


def read(git: Git, commit: str) -> Lock:
    """Return what the lock at a commit says; a ref that anybody may push to can name anything."""
    stat = git.stat(commit)[commit]
    if stat.type != "commit" or stat.size > LOCK_LIMIT:
        return _unreadable(
            f"commit {commit} is a {stat.type} of {stat.size} bytes; a commit of at most {LOCK_LIMIT} is allowed"
        )
    return written(git.read(commit)[commit], commit)


def written(raw: bytes, commit: str = "") -> Lock:
    """Return what a lock's raw commit says. A commit that says nothing is held by somebody unknown, for ever.

    Args:
        raw: the commit, as git keeps it.
        commit: its id, to be named.
    """
    _, _, message = raw.partition(b"\n\n")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return _unreadable(f"commit {commit} holds no JSON")
    problem = _problem(said)
    return _unreadable(f"commit {commit}: {problem}") if problem else Lock(**said)


def _problem(said: object) -> str:
    """Return why a JSON value is no lock; empty when it is one."""
    if not isinstance(said, dict):
        return "it holds no mapping"
    for name, kinds in _TYPES.items():
        if name not in _OPTIONAL and name not in said:
            return f"{name} is missing"
        if name in said and type(said[name]) not in kinds:
            return f"{name} is a {type(said[name]).__name__}"
    if unknown := sorted(said.keys() - _TYPES.keys()):
        return f"{unknown[0]} is no field of a lock"
    try:
        datetime.fromisoformat(said["since"])
        zone = datetime.fromisoformat(said["expires"]).tzinfo
    except ValueError:
        return "since or expires is no instant"
    return "" if zone is not None else "expires has no offset"


def _unreadable(problem: str) -> Lock:
    unknown = "an unknown time"
    return Lock(
        "somebody unknown",
        unknown,
        "9999-12-31T23:59:59+00:00",
        "",
        problem=safe(problem, limit=300),
    )


def fresh(holder: str, run_url: str | None, nonce: str, now: datetime) -> Lock:
    """Return a new lock from `now` on."""
    return Lock(safe(holder, limit=200), now.isoformat(), _expiry(now), nonce, run_url)


def beaten(lock: Lock, now: datetime) -> Lock:
    """Return the lock after a heartbeat."""
    return Lock(lock.holder, lock.since, _expiry(now), lock.nonce, lock.run_url, beat=lock.beat + 1)


def _expiry(now: datetime) -> str:
    return (now + timedelta(seconds=TTL_S)).isoformat()


def _short(text: str) -> str:
    return safe(text, limit=SHORTENED_TO)


def refusal(tenant: str, ref: str, lock: Lock) -> TenantLocked:
    """Return the error that says who holds a tenant's lock in a ref, since when, and what to do."""
    if lock.problem:
        return TenantLocked(
            f"tenant {tenant} is locked by {lock.holder}: the lock in {ref} cannot be read ({lock.problem}). "
            f"Make sure that no apply of this tenant is running, then: reconcile lock release --tenant {tenant}"
        )
    url = f" ({_short(lock.run_url)})" if lock.run_url else ""
    return TenantLocked(
        f"tenant {tenant} is being applied to by {_short(lock.holder)}{url} since {_short(lock.since)}; its lock expires at "
        f"{_short(lock.expires)}. Wait for it; if that run is dead: reconcile lock release --tenant {tenant}"
    )


def lost(tenant: str, lock: Lock | None) -> TenantLocked:
    """Return the error of a run that no longer holds the lock it took."""
    by = f"by {_short(lock.holder)} since {_short(lock.since)}" if lock else "and then released"
    return TenantLocked(
        f"the lock of tenant {tenant} was taken from this run {by}: it stops, and writes nothing more. Run apply again"
    )
