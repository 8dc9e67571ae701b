"""The tenant lock: who may write to a tenant now. A commit under a ref that moves by compare-and-swap.

A lock ends when its holder releases it or when it expires, so a killed run blocks nobody for longer than `TTL_S`. Each
acquisition is a new commit with a nonce. Without it, two runs could push the same object, and the server would report "up to
date" to both of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler.errors import SHORTENED_TO, TenantLocked, safe
from reconciler.git import Git
from reconciler.ledger.signatures import IDENTITY
from reconciler.world import Clock, World

TTL_S: Final = 15 * 60.0
"""Seconds from a lock's last heartbeat to its expiry (DESIGN §5)."""

LOCK_LIMIT: Final = 64 * 1024
"""Largest commit of a lock, in bytes."""

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "holder": (str,),
    "since": (str,),
    "expires": (str,),
    "nonce": (str,),
    "run_url": (str, type(None)),
    "beat": (int,),
}
"""JSON type of each field of a lock."""

_OPTIONAL: Final = frozenset({"run_url", "beat"})


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock's commit.

    Attributes:
        holder: a run, a person or a machine.
        run_url: link to the run.
        since, expires: ISO 8601, UTC.
        nonce: makes each commit unique.
        beat: heartbeats so far.
        problem: which commit cannot be read as a lock, and why; empty if it can. Not written.
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
        """Return whether the lock has expired, so that anybody may take it."""
        return now > datetime.fromisoformat(self.expires)


def read(git: Git, commit: str) -> Lock:
    """Read the lock at a commit. The commit is not trusted: whoever may push to the ref can name any object."""
    stat = git.stat(commit)[commit]
    if stat.type != "commit" or stat.size > LOCK_LIMIT:
        return _unreadable(
            f"commit {commit} is a {stat.type} of {stat.size} bytes; a commit of at most {LOCK_LIMIT} is allowed"
        )
    return parse(git.read(commit)[commit], commit)


def parse(raw: bytes, commit: str = "") -> Lock:
    """Parse a lock's raw commit. A commit that is not a valid lock counts as a lock of an unknown holder that never expires.

    Args:
        raw: the commit object.
        commit: its id, for messages.
    """
    _, _, message = raw.partition(b"\n\n")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        return _unreadable(f"commit {commit} does not hold JSON")
    problem = _problem(said)
    return _unreadable(f"commit {commit}: {problem}") if problem else Lock(**said)


def _problem(said: object) -> str:
    """Return why a JSON value is not a lock; empty if it is one."""
    if not isinstance(said, dict):
        return "it is not a mapping"
    for name, kinds in _TYPES.items():
        if name not in _OPTIONAL and name not in said:
            return f"{name} is missing"
        if name in said and type(said[name]) not in kinds:
            return f"{name} is a {type(said[name]).__name__}"
    if unknown := sorted(said.keys() - _TYPES.keys()):
        return f"{unknown[0]} is not a field of a lock"
    try:
        datetime.fromisoformat(said["since"])
        zone = datetime.fromisoformat(said["expires"]).tzinfo
    except ValueError:
        return "since or expires is not a timestamp"
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
    """Return a new lock that begins at `now`."""
    return Lock(safe(holder, limit=200), now.isoformat(), _expiry(now), nonce, run_url)


def extended(lock: Lock, now: datetime) -> Lock:
    """Return the lock after a heartbeat at `now`."""
    return replace(lock, expires=_expiry(now), beat=lock.beat + 1)


def _expiry(now: datetime) -> str:
    return (now + timedelta(seconds=TTL_S)).isoformat()


def _short(text: str) -> str:
    return safe(text, limit=SHORTENED_TO)


def in_seconds(instant: str) -> str:
    """Format a timestamp of a lock for people, in UTC. An unreadable timestamp is returned unchanged."""
    try:
        return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError):
        return _short(instant)


def refusal(tenant: str, ref: str, lock: Lock, clocks: str = "") -> TenantLocked:
    """Return the error for a tenant that somebody else has locked: by whom, since when, and what to do.

    Args:
        tenant: the tenant's name.
        ref: the lock's ref.
        lock: the lock that stands.
        clocks: how the clocks contradict each other (`Clock.contradiction`); empty if they do not.
    """
    if lock.problem:
        return TenantLocked(
            f"tenant {tenant} is locked by {lock.holder}: the lock in {ref} cannot be read ({lock.problem}). "
            f"Make sure that no apply of this tenant is running, then: reconcile lock release --tenant {tenant}"
        )
    url = f" ({_short(lock.run_url)})" if lock.run_url else ""
    known = f" ({clocks})" if clocks else ""
    return TenantLocked(
        f"tenant {tenant} is locked. Holder: {_short(lock.holder)}{url} since {in_seconds(lock.since)}. The lock expires on "
        f"{in_seconds(lock.expires)}{known}. Wait for that run. If you know that it is dead: reconcile lock release --tenant {tenant}"
    )


def unreleased(tenant: str, lock: Lock, error: Exception, delete: str) -> str:
    """Return what to say if a run could not release its lock, or does not know whether it did.

    Args:
        tenant: the tenant's name.
        lock: the run's lock.
        error: why it could not be released.
        delete: the command that deletes this lock. Unlike `reconcile lock release`, it deletes no lock that another run took since.
    """
    return (
        f"the lock of tenant {tenant} may still be held by this run, which has ended ({error}): until it expires on {in_seconds(lock.expires)},"
        f" applies wait. To end it earlier: {delete}"
    )


def lost(tenant: str, lock: Lock | None) -> TenantLocked:
    """Return the error for a run whose lock somebody else took."""
    by = f"by {_short(lock.holder)} since {in_seconds(lock.since)}" if lock else "and then released"
    return TenantLocked(
        f"the lock of tenant {tenant} was taken from this run {by}. This run stops and writes nothing more. Run apply again"
    )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A commit of a lock that is ours, and when it was made, by both clocks."""

    commit: str
    lock: Lock
    monotonic: float
    wall: datetime


class Lease:
    """The lock that a run holds, as far as the run knows.

    Attributes:
        held: the heartbeat that was acknowledged last; `None` means that no lock is held.
        clock: stamps locks, and decides which have expired.
        tenant: the tenant's name for people.
    """

    def __init__(self, git: Git, world: World, tenant: str) -> None:
        self.held: Heartbeat | None = None
        self.clock = Clock(world.now)
        self._next: Heartbeat | None = None
        self._made: set[str] = set()
        self._lost: TenantLocked | None = None
        self._git = git
        self._world = world
        self.tenant = tenant

    def make(self, holder: str, run_url: str | None) -> Heartbeat:
        """Store the commit of a new lock."""
        return self._store(fresh(holder, run_url, self._world.new_id(), self.clock.now()), None)

    def beat(self) -> Heartbeat | None:
        """Store the commit of the next heartbeat; `None` if no lock is held."""
        held, self._next = self.held, None
        if held is not None:
            self._next = self._store(extended(held.lock, self.clock.now()), held.commit)
        return self._next

    def drop(self) -> Heartbeat | None:
        """Forget the lock; return what was held."""
        held, self.held, self._next, self._lost = self.held, None, None, None
        return held

    def made(self, commit: str | None) -> bool:
        """Return whether a lock is held and a commit is one of its heartbeats, acknowledged or not."""
        return self.held is not None and self.owns(commit)

    def owns(self, commit: str | None) -> bool:
        """Return whether this run made a lock's commit, also for a push whose answer was lost."""
        return commit in self._made

    def observe(self, commit: str | None) -> None:
        """Compare the lease with the commit that the lock's ref has now. A push whose result was unknown is settled here.

        Raises:
            TenantLocked: somebody else took the lock.
        """
        if self.held is None or commit == self.held.commit:
            return
        if self._next and commit == self._next.commit:
            self.held = self._next
            return
        self.held = None
        self._lost = lost(self.tenant, None if commit is None else read(self._git, commit))
        raise self._lost

    def require_kept(self) -> None:
        """Refuse every further action of a run that lost its lock.

        Raises:
            TenantLocked: somebody else took the lock.
        """
        if self._lost is not None:
            raise self._lost

    def is_fresh(self) -> bool:
        """Return whether the last acknowledged heartbeat is younger than half the expiry.

        Both clocks count: the monotonic one may stop while a machine sleeps.
        """
        held = self.held  # read once: another thread may lose the lock, or extend it, meanwhile
        if held is None:
            return False
        by_wall = (self._world.now() - held.wall).total_seconds()
        return max(self._world.monotonic() - held.monotonic, by_wall) < TTL_S / 2

    def _store(self, lock: Lock, parent: str | None) -> Heartbeat:
        """Store a lock's commit. Its times are taken before the commit can be acknowledged, so the lease never looks younger than it is."""
        now, monotonic = self._world.now(), self._world.monotonic()
        commit = self._git.commit_tree(
            self._git.empty_tree,
            parents=[parent] if parent else [],
            message=lock.message(),
            identity=IDENTITY,
            at=now,
        )
        self._made.add(commit)
        return Heartbeat(commit, lock, monotonic, now)
