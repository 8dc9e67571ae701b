"""A ledger's refs in a shared remote: read with a fetch, moved with a push, compared with the mirror branch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from reconciler.errors import GitError, LedgerError, RemoteTimeout, Unavailable, safe
from reconciler.git import Git, Move
from reconciler.ledger.refs import RefNames, RefState, last_parts, waiting_refs

_WHOLE_HISTORY: Final = 2**31 - 2
"""Depth of a fetch that fetches the whole history of its refs. One more would also fetch that of all other refs."""

_LOOKS: Final = 10
_LOOK_AGAIN_S: Final = 0.1

_DECIDE: Final = (
    "Look at them: {look}. If they are not records of your runs, somebody pushed to the mirror branch: delete it ({delete}), and the next"
    " apply creates it again. If they are, the ledger was rolled back: find out who did that, and restore the commits"
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
    " the branch is left where it is. Look at them: {look}. Then delete it ({delete}), and the next apply creates it again"
)


def _look(older: str | None, newer: str) -> str:
    return f"git log {older}..{newer}" if older else f"git log {newer}"


class RemoteRefs:
    """The refs of a remote. This clone keeps a copy of the ledger, for `git log`, and remembers what it read."""

    def __init__(
        self,
        git: Git,
        names: RefNames,
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
            remote: name or URL of the remote.
            mirrors: update the mirror branch with every push.
            sleep: waits the given seconds.
            signers: content of an allowed signers file, if ledger commits must be signed.
            strict: refuse a ledger that lost commits. An emergency stop sets this to false.
        """
        self.name = remote
        self.stops: frozenset[str] = frozenset()
        self._git = git
        self._names = names
        self._mirrors = mirrors
        self._sleep = sleep
        self._signers = signers
        self._strict = strict
        self._known: RefState | None = None
        self._there: tuple[str, ...] = ()

    def read(self) -> RefState:
        """Fetch the remote's refs, and compare them with what it had before (`RefStore`).

        A reader may see the refs of one push move one by one, and a ref may vanish during a fetch. So an inconsistent
        state is read again before it counts as an error.
        """
        names = self._names
        looks = 0
        while True:
            looks += 1
            refs = (names.ledger, names.lock, names.mirror)
            found = self._git.remote_refs(self.name, *refs, below=names.waiting)
            try:
                state = self._fetch(found)
            except RemoteTimeout:
                raise
            except (LedgerError, Unavailable):
                if looks == _LOOKS:
                    raise
            else:
                if not state.blocked or state == self._known or looks == _LOOKS:
                    self._known = state
                    return state
            self._sleep(_LOOK_AGAIN_S)

    def _fetch(self, found: dict[str, str]) -> RefState:
        names = self._names
        here = self._git.refs(names.ledger, names.seen, below=names.waiting)
        self._bring(found, is_first=not here)
        ledger, seen = found.get(names.ledger), here.get(names.seen)
        lost = seen is not None and not self._holds(ledger, seen)
        if lost and self._strict:
            raise self._rollback(ledger, str(seen))
        return self._compare_mirror(
            RefState(
                ledger=ledger,
                lock=found.get(names.lock),
                mirror=found.get(names.mirror),
                copy=here.get(names.ledger),
                acknowledged=ledger,
                seen=seen,
                lost=lost,
                waiting=waiting_refs(names, found),
                waiting_here=waiting_refs(names, here),
            )
        )

    def _bring(self, found: Mapping[str, str], *, is_first: bool) -> None:
        """Fetch the commits of the remote's refs.

        Into a shallow clone, the ledger is first fetched without its history, which no plan needs. A clone that has waiting
        records of its own needs the history: it shows which of them were recorded already.

        Args:
            found: the refs.
            is_first: this clone has neither the ledger nor waiting records.
        """
        names = self._names
        self._there = tuple(each for each in (names.ledger, names.mirror) if each in found)
        stats = self._git.stat(*found.values(), fetched=False)
        if absent := sorted(ref for ref, value in found.items() if value not in stats):
            is_shallow = is_first and names.ledger in absent and self._git.began_shallow
            self._git.fetch(self.name, *absent, depth=1 if is_shallow else None)
            stats = self._git.stat(*found.values())
        if gone := sorted(ref for ref, value in found.items() if value not in stats):
            raise Unavailable(f"{', '.join(gone)} moved while being fetched: try again")
        for ref in self._there:
            if (kind := stats[found[ref]].type) != "commit":
                raise LedgerError(
                    f"{ref} of {safe(self.name)} names a {kind}, not a commit ({found[ref]}): reconcile did not push that. Find out who did, and have"
                    " the owner of the ledger restore the ref"
                )
        if self._known is None and names.ledger in found:
            self._require_signed(found[names.ledger])

    def lock(self, limit_s: float | None = None) -> str | None:
        """Return the commit of the lock (`RefStore`)."""
        lock, below = self._names.lock, self._names.waiting
        found = self._git.remote_refs(self.name, lock, below=below, timeout_s=limit_s)
        self.stops = frozenset(waiting_refs(self._names, found))
        return found.get(lock)

    def closed(self) -> dict[str, str]:
        """Return the remote's refs of closed segments (`RefStore`)."""
        return last_parts(self._git.remote_refs(self.name, below=self._names.closed))

    def existing(self, *refs: str) -> dict[str, str]:
        """Return the values of the remote's refs (`RefStore`)."""
        return self._git.remote_refs(self.name, *refs)

    def _require_signed(self, tip: str) -> None:
        """Fetch the history after all where commits must be signed and the newest one is not: which records count shows below it."""
        signers = self._signers
        if signers is None or not self._git.is_shallow():
            return
        if not self._git.signatures(tip, signers, at=range(1))[tip].good:
            self.deepen()

    def deepen(self) -> bool:
        """Fetch the history of the ledger if this clone is shallow; return whether that was done (`RefStore`)."""
        if not self._there or not self._git.is_shallow():
            return False
        self._git.fetch(self.name, *self._there, depth=_WHOLE_HISTORY)
        return True

    def keep(self, state: RefState) -> RefState:
        """Remember the remote's ledger, and fast-forward this clone's copy to it, unless the copy holds records that the remote lacks."""
        new, old = state.ledger, state.copy
        if new is None or state.lost:
            return state
        if new != state.seen:
            self._move_here(self._names.seen, new, state.seen)
            state = replace(state, seen=new)
        if new != old and (old is None or self._git.is_ancestor(old, new)):
            self._move_here(self._names.ledger, new, old)
            state = replace(state, copy=new)
        self._known = state
        return state

    def _rollback(self, ledger: str | None, seen: str) -> LedgerError:
        """Return the error for a ledger that lost commits which this clone saw in it."""
        names = self._names
        return LedgerError(
            f"the ledger of {safe(self.name)} was rolled back or rewritten: it no longer holds {seen}, which this clone"
            f" saw there. Find out who pushed it, and list the lost commits: {_look(ledger, seen)}. If they are records of your"
            " runs, have the owner of the ledger restore them. If not, delete this clone's refs to them:"
            f" git update-ref -d {names.seen}; git update-ref -d {names.ledger}"
        )

    def _compare_mirror(self, state: RefState) -> RefState:
        """Compare the ledger with its mirror branch.

        Further commits in the mirror branch prove nothing by themselves: either the ledger was rolled back, or somebody
        pushed to the mirror branch. Where commits must be signed, a good signature shows which of the two happened.

        Raises:
            LedgerError: each holds commits that the other lacks, or there is no ledger.
        """
        ledger, mirror = state.ledger, state.mirror
        if mirror is None or self._holds(ledger, mirror):
            return state
        if self._signers is not None and not self._is_signed(mirror, ledger):
            return replace(state, warning=self._mirror_problem(state, _UNSIGNED))
        ahead = ledger is not None and self._git.is_ancestor(ledger, mirror)
        if self._strict and not ahead:
            raise LedgerError(self._mirror_problem(state, _OTHER))
        return replace(state, warning=self._mirror_problem(state, _AHEAD), blocked=True)

    def _is_signed(self, mirror: str, ledger: str | None) -> bool:
        found = self._git.signatures(mirror, self._signers or b"", without=ledger)
        return any(signature.good for signature in found.values())

    def _mirror_problem(self, state: RefState, what: str) -> str:
        branch = self._names.mirror.removeprefix("refs/heads/")
        return what.format(
            mirror=branch,
            remote=safe(self.name),
            look=_look(state.ledger, str(state.mirror)),
            delete=f"git push {safe(self.name)} --delete {branch}",
        )

    def _holds(self, head: str | None, value: str) -> bool:
        """Return whether a ledger commit is, or descends from, another one. The boundary of a shallow clone decides nothing."""
        if head is None or self._git.is_ancestor(value, head):
            return head is not None
        return self.deepen() and self._git.is_ancestor(value, head)

    def move(self, state: RefState, *moves: Move) -> RefState:
        """Push the moves; a move of the ledger also updates the mirror branch (`RefStore`)."""
        names = self._names
        new = state.moved(names, *moves)
        at = new.ledger
        if at is None or at == state.ledger:
            self._git.push(self.name, *moves)
            return new
        mirrors = self._mirrors and state.warning is None
        mirror = [Move(names.mirror, at, state.mirror)] if mirrors else []
        self._git.push(self.name, *moves, *mirror)
        if not state.lost:
            self._move_here(names.seen, at, state.seen)
        copy = state.copy
        if copy in {
            None,
            state.ledger,
        }:  # what somebody added to the copy stays, until it is undone
            self._move_here(names.ledger, at, copy)
            copy = at
        for move in moves:
            if move.new is not None and move.ref.startswith(f"{names.closed}/"):
                self._move_here(move.ref, move.new, None)
        mirrored, seen = at if mirrors else state.mirror, state.seen if state.lost else at
        return replace(new, mirror=mirrored, copy=copy, acknowledged=at, seen=seen)

    def _move_here(self, ref: str, new: str, old: str | None) -> None:
        """Move a ref of this clone. If another process moved it first, that value stays and is read next time."""
        with contextlib.suppress(GitError):
            self._git.update_refs(Move(ref, new, old))
