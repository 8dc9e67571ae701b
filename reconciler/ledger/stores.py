"""Where a ledger's refs live: in this clone, or in a remote that everybody shares. Both move them by compare-and-swap."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from reconciler.errors import GitError, LedgerError, Unavailable, safe
from reconciler.git import Git, Move

_LOOKS: Final = 10
_LOOK_AGAIN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Names:
    """The refs of one tenant's ledger, named after its platform (`models.platform_of`): a folder that is renamed keeps them.

    Attributes:
        ledger: the notes.
        lock: who may write now.
        mirror: the same commits as a branch, which a forge can protect; notes it cannot.
        seen: the remote's ledger when this clone last saw it: a witness against a rollback. Never pushed.
    """

    ledger: str
    lock: str
    mirror: str
    seen: str

    @classmethod
    def of(cls, tenant: str) -> Names:
        """Return the names for a platform, such as `campaigns/acme.cxonecloud.com`."""
        return cls(
            ledger=f"refs/notes/reconcile/{tenant}",
            lock=f"refs/reconcile/lock/{tenant}",
            mirror=f"refs/heads/reconcile-audit/{tenant}",
            seen=f"refs/reconcile/seen/{tenant}",
        )


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the refs are; `None`: there is none.

    Attributes:
        copy: this clone's own ledger beside a remote's: it may hold records that the remote has not got yet.
        anchor: the ledger as it is known where it counts: what this clone appends offline is built anew on top of it.
    """

    ledger: str | None
    lock: str | None
    mirror: str | None = None
    copy: str | None = None
    anchor: str | None = None

    def moved(self, names: Names, *moves: Move) -> Heads:
        """Return where the ledger and the lock are after some moves."""
        to = {move.ref: move.new for move in moves}
        return replace(
            self, ledger=to.get(names.ledger, self.ledger), lock=to.get(names.lock, self.lock)
        )


class Store(Protocol):
    """Holds the refs that decide."""

    name: str

    def read(self) -> Heads:
        """Return where the refs are now; what they name is here.

        Raises:
            Unavailable: the store does not answer.
            LedgerError: the ledger went back.
        """

    def move(self, heads: Heads, *moves: Move) -> Heads:
        """Move refs, all or none; return where they are then.

        Args:
            heads: the reading that the moves were made from.
            moves: from where the refs were then.

        Raises:
            GitError, Unavailable: it was not done, or its fate is unknown: `read` tells.
        """


class Local:
    """The refs of this clone: for a tenant whose platform lives here too, or with no remote to ask.

    With `copy` a remote decides, and is not asked now: what this clone appends is no anchor, for it is built anew over there.
    """

    name = "this clone"

    def __init__(self, git: Git, names: Names, *, copy: bool = False) -> None:
        self._git = git
        self._names = names
        self._copy = copy

    def read(self) -> Heads:
        """Return where the refs are now (`Store`)."""
        names = self._names
        found = self._git.refs(names.ledger, names.lock, names.seen)
        ledger = found.get(names.ledger)
        anchor = found.get(names.seen, None if self._copy else ledger)
        return Heads(ledger, found.get(names.lock), anchor=anchor)

    def move(self, heads: Heads, *moves: Move) -> Heads:
        """Move refs (`Store`)."""
        self._git.update_refs(*moves)
        new = heads.moved(self._names, *moves)
        here = not self._copy and heads.anchor == heads.ledger
        return replace(new, anchor=new.ledger if here else heads.anchor)


class Remote:
    """The refs of a remote. This clone keeps a copy of the ledger, for `git log`, and remembers what it saw."""

    def __init__(
        self, git: Git, names: Names, remote: str, *, mirrors: bool, sleep: Callable[[float], None]
    ) -> None:
        self.name = remote
        self._git = git
        self._names = names
        self._mirrors = mirrors
        self._sleep = sleep

    def read(self) -> Heads:
        """Fetch what the remote has, and hold it against what it had (`Store`).

        The refs of one push may be seen one by one, and a ref may go while it is being fetched: what looks wrong is
        looked at again.
        """
        names = self._names
        looks = 0
        while True:
            found = self._git.remote_refs(self.name, names.ledger, names.lock, names.mirror)
            try:
                return self._taken(found)
            except (LedgerError, Unavailable):
                looks += 1
                if looks == _LOOKS:
                    raise
                self._sleep(_LOOK_AGAIN_S)

    def _taken(self, found: dict[str, str]) -> Heads:
        names = self._names
        if absent := self._absent(found):
            self._git.fetch(self.name, *absent)
        if lost := self._absent(found):
            raise Unavailable(f"{', '.join(lost)} moved while being fetched: try again")
        heads = Heads(
            ledger=found.get(names.ledger),
            lock=found.get(names.lock),
            mirror=found.get(names.mirror),
            copy=self._git.resolve(names.ledger),
            anchor=found.get(names.ledger),
        )
        self._compare(heads)
        return self._copied(heads)

    def _copied(self, heads: Heads) -> Heads:
        """Let this clone's copy follow, unless it holds what the remote has not got."""
        new, old = heads.ledger, heads.copy
        if new is None or new == old or (old and not self._git.is_ancestor(old, new)):
            return heads
        self._follow(self._names.ledger, new, old)
        return replace(heads, copy=new)

    def _absent(self, found: dict[str, str]) -> list[str]:
        here = self._git.stat(*found.values())
        return sorted(ref for ref, value in found.items() if value not in here)

    def _compare(self, heads: Heads) -> None:
        """Refuse a ledger that went back: this clone and the mirror branch remember."""
        seen = self._git.resolve(self._names.seen)
        for witness, value in (("this clone", seen), (self._names.mirror, heads.mirror)):
            if value is not None and not self._holds(heads.ledger, value):
                remote, ref = safe(self.name), self._names.ledger
                raise LedgerError(
                    f"the ledger of {remote} was rolled back or rewritten: it no longer holds {value}, which {witness} "
                    f"knows. Find out who moved it; to restore it: git push --force {remote} {value}:{ref}"
                )
        if heads.ledger is not None and heads.ledger != seen:
            self._follow(self._names.seen, heads.ledger, seen)

    def _holds(self, head: str | None, value: str) -> bool:
        return head is not None and self._git.is_ancestor(value, head)

    def move(self, heads: Heads, *moves: Move) -> Heads:
        """Push, the mirror along with the ledger (`Store`)."""
        names = self._names
        new = heads.moved(names, *moves)
        if new.ledger is None or new.ledger == heads.ledger:
            self._git.push(self.name, *moves)
            return new
        mirror = [Move(names.mirror, new.ledger, heads.mirror)] if self._mirrors else []
        self._git.push(self.name, *moves, *mirror)
        self._follow(names.seen, new.ledger, self._git.resolve(names.seen))
        self._follow(names.ledger, new.ledger, heads.copy)
        mirrored = new.ledger if self._mirrors else heads.mirror
        return replace(new, mirror=mirrored, copy=new.ledger, anchor=new.ledger)

    def _follow(self, ref: str, new: str, old: str | None) -> None:
        """Move a ref of this clone. Where another process was faster, its value stands and is looked at next time."""
        with contextlib.suppress(GitError):
            self._git.update_refs(Move(ref, new, old))
