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
        said: what is to be said of a mirror branch that holds commits which the ledger does not; it is then not moved along.
        refused: nothing may be begun until somebody decided which of the two is right.
    """

    ledger: str | None
    lock: str | None
    mirror: str | None = None
    copy: str | None = None
    anchor: str | None = None
    said: str | None = None
    refused: bool = False

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
            LedgerError: the ledger lost commits that this clone saw, or contradicts its mirror branch.
        """

    def move(self, heads: Heads, *moves: Move) -> Heads:
        """Move refs, all or none; return where they are then.

        Args:
            heads: the reading that the moves were made from.
            moves: from where the refs were then.

        Raises:
            GitError, Unavailable: it was not done, or its fate is unknown: `read` tells.
        """


_DECIDE: Final = (
    "Look at them: {look}. If they are not records of your runs, somebody pushed to the mirror branch: delete it ({delete}), and the next"
    " apply makes it anew. If they are, the ledger was rolled back: whoever answers for it finds out who did that, and puts them back"
)
_AHEAD: Final = (
    "the mirror branch {mirror} of {remote} holds commits that the ledger does not. " + _DECIDE
)
_OTHER: Final = (
    "the ledger and its mirror branch {mirror} of {remote} contradict each other: the mirror branch holds commits that the ledger does"
    " not, and does not continue it. " + _DECIDE
)
_UNSIGNED: Final = (
    "the mirror branch {mirror} of {remote} holds commits that the ledger does not, none with a trusted signature: they prove nothing, and"
    " the branch is left where it is. Look at them: {look}. Then delete it ({delete}), and the next apply makes it anew"
)


def _look(older: str | None, newer: str) -> str:
    return f"git log {older}..{newer}" if older else f"git log {newer}"


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
        self,
        git: Git,
        names: Names,
        remote: str,
        *,
        mirrors: bool,
        sleep: Callable[[float], None],
        signers: bytes | None = None,
        strict: bool = True,
    ) -> None:
        """Keep a ledger in `remote`.

        Args:
            git: this clone.
            names: the ledger's refs.
            remote: its name or URL.
            mirrors: push a mirror branch along.
            sleep: waits, seconds.
            signers: the content of an allowed signers file, where ledger commits must be signed.
            strict: a ledger that lost commits is refused; an emergency stop goes on.
        """
        self.name = remote
        self._git = git
        self._names = names
        self._mirrors = mirrors
        self._sleep = sleep
        self._signers = signers
        self._strict = strict
        self._known: Heads | None = None

    def read(self) -> Heads:
        """Fetch what the remote has, and hold it against what it had (`Store`).

        The refs of one push may be seen one by one, and a ref may go while it is being fetched: what looks wrong is
        looked at again.
        """
        names = self._names
        looks = 0
        while True:
            looks += 1
            found = self._git.remote_refs(self.name, names.ledger, names.lock, names.mirror)
            try:
                heads = self._taken(found)
            except (LedgerError, Unavailable):
                if looks == _LOOKS:
                    raise
            else:
                if not heads.refused or heads == self._known or looks == _LOOKS:
                    self._known = heads
                    return heads
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
        seen = self._git.resolve(self._names.seen)
        known = seen is None or self._holds(heads.ledger, seen)
        if not known and self._strict:
            raise self._lost(heads.ledger, str(seen))
        heads = self._compared(heads)
        if known and heads.ledger is not None and heads.ledger != seen:
            self._follow(self._names.seen, heads.ledger, seen)
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

    def _lost(self, ledger: str | None, seen: str) -> LedgerError:
        """Return the error that says that the ledger lost commits which this clone saw in it."""
        names = self._names
        return LedgerError(
            f"the ledger of {safe(self.name)} was rolled back or rewritten: it no longer holds {seen}, which this clone saw in"
            f" it. Find out who moved it, and look at what it lost: {_look(ledger, seen)}. If those are records of your runs,"
            " whoever answers for the ledger puts them back. If not, let this clone forget them:"
            f" git update-ref -d {names.seen}; git update-ref -d {names.ledger}"
        )

    def _compared(self, heads: Heads) -> Heads:
        """Hold the ledger against its mirror branch.

        A mirror branch with further commits proves nothing by itself: the ledger was rolled back, or somebody pushed to the mirror branch. Where
        commits must be signed, a good signature tells.

        Raises:
            LedgerError: each holds commits that the other does not, or there is no ledger.
        """
        ledger, mirror = heads.ledger, heads.mirror
        if mirror is None or self._holds(ledger, mirror):
            return heads
        if self._signers is not None and not self._is_signed(mirror, ledger):
            return replace(heads, said=self._said(heads, _UNSIGNED))
        ahead = ledger is not None and self._git.is_ancestor(ledger, mirror)
        if self._strict and not ahead:
            raise LedgerError(self._said(heads, _OTHER))
        return replace(heads, said=self._said(heads, _AHEAD), refused=True)

    def _is_signed(self, mirror: str, ledger: str | None) -> bool:
        found = self._git.signatures(mirror, self._signers or b"", without=ledger)
        return any(signature.good for signature in found.values())

    def _said(self, heads: Heads, what: str) -> str:
        branch = self._names.mirror.removeprefix("refs/heads/")
        return what.format(
            mirror=branch,
            remote=safe(self.name),
            look=_look(heads.ledger, str(heads.mirror)),
            delete=f"git push {safe(self.name)} --delete {branch}",
        )

    def _holds(self, head: str | None, value: str) -> bool:
        return head is not None and self._git.is_ancestor(value, head)

    def move(self, heads: Heads, *moves: Move) -> Heads:
        """Push, the mirror along with the ledger (`Store`)."""
        names = self._names
        new = heads.moved(names, *moves)
        if new.ledger is None or new.ledger == heads.ledger:
            self._git.push(self.name, *moves)
            return new
        mirrors = self._mirrors and heads.said is None
        mirror = [Move(names.mirror, new.ledger, heads.mirror)] if mirrors else []
        self._git.push(self.name, *moves, *mirror)
        self._follow(names.seen, new.ledger, self._git.resolve(names.seen))
        self._follow(names.ledger, new.ledger, heads.copy)
        mirrored = new.ledger if mirrors else heads.mirror
        return replace(new, mirror=mirrored, copy=new.ledger, anchor=new.ledger)

    def _follow(self, ref: str, new: str, old: str | None) -> None:
        """Move a ref of this clone. Where another process was faster, its value stands and is looked at next time."""
        with contextlib.suppress(GitError):
            self._git.update_refs(Move(ref, new, old))
