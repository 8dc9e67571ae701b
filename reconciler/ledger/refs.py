"""A ledger's refs: their names, their state, and the store of this clone. `remote_refs` is the store of a shared remote."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from reconciler.errors import safe
from reconciler.git import Git, Move


@dataclass(frozen=True, slots=True)
class RefNames:
    """Names of the refs of one tenant's ledger. They follow its platform (`models.platform_of`), so a renamed folder keeps them.

    Attributes:
        ledger: the notes.
        lock: the tenant lock.
        mirror: a branch with the same commits: a forge can protect a branch, but not notes.
        seen: the remote's ledger when this clone last read it: a witness against a rollback. Never pushed.
        closed: prefix of the refs with the last commit of each closed segment: `git log --notes=` shows their notes.
        waiting: prefix of the refs with the records of stops that are not in the ledger yet, one for each run (`waiting`).
    """

    ledger: str
    lock: str
    mirror: str
    seen: str
    closed: str
    waiting: str

    @classmethod
    def of(cls, tenant: str) -> RefNames:
        """Return the names for a platform, such as `campaigns/acme.cxonecloud.com`."""
        return cls(
            ledger=f"refs/notes/reconcile/{tenant}",
            lock=f"refs/reconcile/lock/{tenant}",
            mirror=f"refs/heads/reconcile-audit/{tenant}",
            seen=f"refs/reconcile/seen/{tenant}",
            closed=f"refs/notes/reconcile-closed/{tenant}",
            waiting=f"refs/reconcile/waiting/{tenant}",
        )

    @property
    def parents(self) -> tuple[str, ...]:
        """Names that no ref may have: git can create no ref below another ref, as no file below a file."""
        below = (
            self.ledger,
            self.lock,
            self.mirror,
            self.seen,
            f"{self.closed}/",
            f"{self.waiting}/",
        )
        split = (each.split("/") for each in below)
        return tuple(sorted({"/".join(parts[:n]) for parts in split for n in range(3, len(parts))}))


@dataclass(frozen=True, slots=True)
class RefState:
    """The commit that each ref has; `None` if the ref does not exist.

    Attributes:
        copy: this clone's copy of a remote's ledger, for `git log`. What it holds beyond the remote's ledger is no record.
        acknowledged: the ledger commit that the deciding store last acknowledged.
        seen: the remote's ledger when this clone last read it.
        lost: the remote's ledger no longer holds what this clone saw there.
        warning: what to report if the mirror branch has commits that the ledger lacks. Then pushes do not update the mirror branch.
        blocked: no operation may start until somebody decides whether the ledger or the mirror branch is right.
        waiting: the refs of stops in the store that decides, by full name (`RefNames.waiting`).
        waiting_here: those of this clone, where a remote decides.
    """

    ledger: str | None
    lock: str | None
    mirror: str | None = None
    copy: str | None = None
    acknowledged: str | None = None
    seen: str | None = field(default=None, compare=False)
    lost: bool = field(default=False, compare=False)
    warning: str | None = None
    blocked: bool = False
    waiting: Mapping[str, str] = field(default_factory=dict)
    waiting_here: Mapping[str, str] = field(default_factory=dict)

    def moved(self, names: RefNames, *moves: Move) -> RefState:
        """Return the state after some moves."""
        to = {move.ref: move.new for move in moves}
        return replace(
            self,
            ledger=to.get(names.ledger, self.ledger),
            lock=to.get(names.lock, self.lock),
            waiting={ref: value for ref, value in self.waiting.items() if ref not in to},
        )


def waiting_refs(names: RefNames, found: Mapping[str, str]) -> dict[str, str]:
    """Return those of the refs that hold the records of stops."""
    return {ref: value for ref, value in found.items() if ref.startswith(f"{names.waiting}/")}


def last_parts(found: Mapping[str, str]) -> dict[str, str]:
    """Return refs by the last part of their name."""
    return {ref.rpartition("/")[2]: value for ref, value in found.items()}


def move_command(ref: str, old: str | None, new: str | None, remote: str | None) -> str:
    """Return the shell command that moves a ref, unless somebody moved it meanwhile.

    Anybody with push rights chooses the name of a ref, so it is quoted.

    Args:
        ref: its full name.
        old: the commit that it names now; `None`: it is absent.
        new: the commit that it is to name; `None` deletes it.
        remote: the git remote that has the ref; `None`: this clone.
    """
    if remote is not None:
        lease, spec = f"--force-with-lease={ref}:{old or ''}", f"{new or ''}:{ref}"
        return safe(shlex.join(["git", "push", lease, remote, spec]))
    words = [ref, new, old] if new else ["-d", ref, old]
    return safe(shlex.join(["git", "update-ref", *filter(None, words)]))


class RefStore(Protocol):
    """Where the authoritative refs are: in this clone or in a remote."""

    name: str
    stops: frozenset[str]
    """Full names of the refs of stops when the lock was read last."""

    def read(self) -> RefState:
        """Return where the refs are now. This clone then has the commits that they name.

        Raises:
            Unavailable: the store does not answer.
            LedgerError: the ledger lost commits that this clone saw, or contradicts its mirror branch.
        """

    def lock(self, limit_s: float | None = None) -> str | None:
        """Return the commit of the lock alone, without fetching it. Also note the stops whose records wait (`stops`).

        Args:
            limit_s: time limit in seconds, if not the usual one.

        Raises:
            GitError, Unavailable: the store does not answer.
        """

    def closed(self) -> dict[str, str]:
        """Return the refs of closed segments, by the last part of their name.

        Raises:
            Unavailable: the store does not answer.
        """

    def existing(self, *refs: str) -> dict[str, str]:
        """Return the values of those of the refs that exist.

        Raises:
            GitError, Unavailable: the store does not answer.
        """

    def deepen(self) -> bool:
        """Fetch the history of the ledger if this clone is shallow; return whether that was done.

        Raises:
            Unavailable: the store does not answer.
        """

    def keep(self, state: RefState) -> RefState:
        """Remember a reading whose ledger was found to be ours; return the new state. Nothing of it is sent anywhere."""

    def move(self, state: RefState, *moves: Move) -> RefState:
        """Move refs, all or none; return the new state.

        Args:
            state: the reading that the moves are based on.
            moves: each with the old value from that reading.

        Raises:
            GitError, Unavailable: nothing moved, or the result is unknown. Call `read` to find out.
        """


class LocalRefs:
    """The refs of this clone: for a tenant whose platform is embedded here, or without a remote."""

    name = "this clone"

    def __init__(self, git: Git, names: RefNames) -> None:
        self.stops: frozenset[str] = frozenset()
        self._git = git
        self._names = names

    def read(self) -> RefState:
        """Read the refs (`RefStore`)."""
        names = self._names
        found = self._git.refs(names.ledger, names.lock, names.seen, below=names.waiting)
        ledger = found.get(names.ledger)
        acknowledged = found.get(names.seen, ledger)
        return RefState(
            ledger,
            found.get(names.lock),
            acknowledged=acknowledged,
            waiting=waiting_refs(names, found),
        )

    def lock(self, limit_s: float | None = None) -> str | None:  # noqa: ARG002 - reading a ref of this clone takes no time
        """Return the commit of the lock (`RefStore`)."""
        found = self._git.refs(self._names.lock, below=self._names.waiting)
        self.stops = frozenset(waiting_refs(self._names, found))
        return found.get(self._names.lock)

    def closed(self) -> dict[str, str]:
        """Return the refs of closed segments (`RefStore`)."""
        return last_parts(self._git.refs(below=self._names.closed))

    def existing(self, *refs: str) -> dict[str, str]:
        """Return the values of refs (`RefStore`)."""
        return self._git.refs(*refs)

    def deepen(self) -> bool:
        """Return false: there is nothing to fetch from (`RefStore`)."""
        return False

    def keep(self, state: RefState) -> RefState:
        """Return the state: here it is remembered already (`RefStore`)."""
        return state

    def move(self, state: RefState, *moves: Move) -> RefState:
        """Move refs (`RefStore`)."""
        self._git.update_refs(*moves)
        new = state.moved(self._names, *moves)
        here = state.acknowledged == state.ledger
        return replace(new, acknowledged=new.ledger if here else state.acknowledged)
