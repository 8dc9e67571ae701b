"""Records of stops that wait outside the ledger, one ref for each stop.

A stop writes its records to `refs/reconcile/waiting/<platform>/<run>` without reading the ledger: the ref is new, so creating
it cannot conflict with another writer. Every reader of the ledger counts these records. The next append moves them into the
ledger, one ledger commit for each stop, and deletes the ref in the same atomic push.

Each commit of such a ref adds one file with further lines; its tree holds all of them. Anybody with push rights can write
such a ref, so what it holds is limited and checked (`audit.decode_events`). What is not accepted is reported and ignored.

A record is taken over exactly once, although a stop may push again what the ledger holds already: the ledger commits whose
message names the run show which of its records were taken over.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.audit import Event, RecordKind
from reconciler.audit.rules import RUN
from reconciler.errors import GitError, LedgerError, safe
from reconciler.git import FILE, Entry, Git, Move
from reconciler.ledger.notes import NOTE_LIMIT, Notes, parse_tree
from reconciler.ledger.refs import RefNames, RefState, move_command
from reconciler.ledger.signatures import IDENTITY

REFS_LIMIT: Final = 1000
"""Most stops that may wait at once. More are an error: one of those that are not read may hold something."""

SIZE_LIMIT: Final = 32 * 1024 * 1024
"""Most bytes of the records of one stop."""

FILES_LIMIT: Final = 10_000
"""Most files of one stop."""

TAKEN_OVER_WITHIN: Final = timedelta(days=30)
"""A ledger commit that is older than a stop by more than this cannot hold its records, however wrong the two clocks are."""

_COMMIT_LIMIT: Final = 64 * 1024
_TREE_LIMIT: Final = 1024 * 1024
_FILE_NAME: Final = re.compile(r"\d{6}")


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """The records of one stop that are not in the ledger.

    Attributes:
        ref: full name of its ref.
        commit: value of the ref in the store that decides; `None` if only this clone has the ref.
        here: value of the ref in this clone, where a remote decides; `None` if it has none.
        events: the records that count, in order. Empty if the ledger holds all of them already.
        problem: why records were ignored; empty if none were.
        unsigned: records must be signed, and these are not: only what cannot widen dialing counts.
    """

    ref: str
    commit: str | None
    here: str | None
    events: tuple[Event, ...] = ()
    problem: str = ""
    unsigned: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether the ref may be deleted once the ledger holds `events`. A ref with ignored lines alone stays for people to look at."""
        return bool(self.events) or not self.problem


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit of a stop's ref: its id, and the entries of its tree by name."""

    commit: str
    tree: Mapping[str, Entry]


def ref_of(tenant: str, run: str) -> str:
    """Return the full name of the ref of a stop."""
    return f"{RefNames.of(tenant).waiting}/{run}"


def store(
    git: Git,
    run: str,
    lines: bytes,
    before: Batch | None,
    *,
    at: datetime,
    signing_key: Path | None,
) -> Batch:
    """Store a commit that adds lines to those of a stop (`audit.encode_events`); no ref moves.

    Args:
        git: this clone.
        run: the stop.
        lines: the new lines.
        before: the commit before; `None` for the first one.
        at: date of the commit.
        signing_key: SSH key to sign with.
    """
    known = dict(before.tree) if before else {}
    tree = {**known, f"{len(known):06}": (FILE, git.write_blob(lines))}
    commit = git.commit_tree(
        git.make_tree(tree),
        parents=[before.commit] if before else [],
        message=f"waiting {run}\n",
        identity=IDENTITY,
        at=at,
        signing_key=signing_key,
    )
    return Batch(commit, tree)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the refs of stops.

    Attributes:
        git: this clone, which has the commits.
        notes: reads the ledger's trees.
        tenant: the platform of the ledger.
        head: the newest ledger commit that counts.
        recorded: ids of records that the ledger holds.
        signers: content of an allowed signers file, where records must be signed.
    """

    git: Git
    notes: Notes
    tenant: str
    head: str | None
    recorded: Container[str]
    signers: bytes | None

    def read(self, refs: RefState) -> tuple[WaitingRun, ...]:
        """Return the stops whose records wait, in this clone or in the remote.

        Raises:
            LedgerError: there are too many.
            GitError: git failed.
        """
        names = sorted({*refs.waiting, *refs.waiting_here})
        if len(names) > REFS_LIMIT:
            raise LedgerError(
                f"there are {len(names)} refs {RefNames.of(self.tenant).waiting}/*; at most {REFS_LIMIT} are allowed, because a stop in an unread"
                f" ref may hold an object. Inspect these refs, and delete those that are not from your runs: {move_command('REF', 'COMMIT', None, 'REMOTE')}"
            )
        return tuple(
            self._read_run(ref, refs.waiting.get(ref), refs.waiting_here.get(ref)) for ref in names
        )

    def _read_run(self, ref: str, there: str | None, here: str | None) -> WaitingRun:
        run = ref.rpartition("/")[2]
        if not RUN.fullmatch(run):
            return WaitingRun(ref, there, here, problem="its name is not the id of a run")
        try:
            commit = self._newest(there, here)
            said = audit.decode_events(self._lines(commit), tenant=self.tenant, run=run)
            taken = dict(self._taken_over(run, said.events))
            _require_own(said.events, taken)
        except LedgerError as error:
            return WaitingRun(ref, there, here, problem=str(error))
        events: Iterable[Event] = said.events
        unsigned = self.signers is not None and not self._is_signed(commit, self.signers)
        if unsigned:
            events = audit.unsigned_of_stop(said.events)
        if RecordKind.CLOSE in taken.values():
            events = ()  # nothing follows a close, so the ledger holds all of them
        new = (each for each in events if each.id not in taken and each.id not in self.recorded)
        return WaitingRun(ref, there, here, tuple(new), said.problem, unsigned)

    def _newest(self, there: str | None, here: str | None) -> str:
        """Return the newer one of the two values of a ref. This clone is ahead while a stop cannot push."""
        if there is None or here is None or there == here:
            return str(there or here)
        for each in (there, here):
            self._require(each, "commit", _COMMIT_LIMIT)
        return here if self.git.is_ancestor(there, here) else there

    def _lines(self, commit: str) -> bytes:
        """Return all lines of a stop.

        Raises:
            LedgerError: the ref names something else, or more than is allowed.
        """
        self._require(commit, "commit", _COMMIT_LIMIT)
        tree = self.git.resolve(f"{commit}^{{tree}}") or commit
        self._require(tree, "tree", _TREE_LIMIT)
        try:
            entries = dict(parse_tree(self.git.read(tree)[tree], len(tree) // 2))
        except ValueError as error:
            raise LedgerError(f"its tree is broken: {error}") from None
        files = sorted(name for name in entries if _FILE_NAME.fullmatch(name))
        if not files or len(files) != len(entries) or len(files) > FILES_LIMIT:
            raise LedgerError("its tree holds other files than records")
        blobs = [entries[name][1] for name in files]
        stats = self.git.stat(*dict.fromkeys(blobs))
        if any(each not in stats or stats[each].type != "blob" for each in blobs):
            raise LedgerError("its tree holds something else than files")
        if (size := sum(stats[each].size for each in blobs)) > SIZE_LIMIT:
            raise LedgerError(f"it has {size} bytes; {SIZE_LIMIT} are allowed")
        data = self.git.read(*dict.fromkeys(blobs))
        return b"".join(data[each] for each in blobs)

    def _require(self, value: str, kind: str, limit: int) -> None:
        stat = self.git.stat(value).get(value)
        if stat is None or stat.type != kind or stat.size > limit:
            what = "not in this clone" if stat is None else f"a {stat.type} of {stat.size} bytes"
            raise LedgerError(
                f"object {value} is {what}; a {kind} of at most {limit} bytes is allowed"
            )

    def _is_signed(self, commit: str, signers: bytes) -> bool:
        states = self.git.signatures(commit, signers, at=range(1))
        return commit in states and states[commit].good

    def _taken_over(self, run: str, events: Sequence[Event]) -> Iterator[tuple[str, RecordKind]]:
        """Yield id and kind of each record of a run that the ledger holds, according to the commits that name the run.

        Only commits since the run's first event are read, because the ledger may have a long history.
        """
        git = self.git
        if self.head is None or not events:
            return
        began = min(datetime.fromisoformat(each.ts) for each in events)
        for commit in git.commits_about(self.head, f"{run} ", began - TAKEN_OVER_WITHIN):
            parent = git.parent(commit)
            trees = [git.resolve(f"{each}^{{tree}}") if each else None for each in (parent, commit)]
            _, changes = self.notes.changes([each or git.empty_tree for each in trees])
            for note, (_, blob) in changes.items():
                if blob is not None:
                    records, _ = audit.decode(note, git.read_blob(blob, limit=NOTE_LIMIT))
                    yield from ((each.id, each.kind) for each in records if each.event.run == run)


def _require_own(events: Iterable[Event], taken: Mapping[str, RecordKind]) -> None:
    """Refuse a ref that uses the run of somebody else.

    Raises:
        LedgerError: the ledger holds records of the run that the ref lacks.
    """
    known = tuple(events)
    if not taken.keys() <= {each.id for each in (*known, *audit.unsigned_of_stop(known))}:
        raise LedgerError("the ledger holds other records of the same run")


def remarks(runs: tuple[WaitingRun, ...], remote: str | None) -> Iterator[str]:
    """Yield sentences for a report: what was ignored, and what is not in the remote yet.

    Args:
        runs: see `read`.
        remote: the remote's name; `None` where this clone's refs decide.
    """
    for each in runs:
        if each.problem:
            there = remote if each.commit else None
            delete = move_command(each.ref, each.commit or each.here, None, there)
            yield f"ignored: records in {safe(each.ref)} ({safe(each.problem)}). If they are not records of your runs, delete the ref: {delete}"
        if each.events and each.commit is None:
            push = shlex.join(["git", "push", remote or "REMOTE", each.ref])
            yield f"the records of a stop are only in this clone ({each.ref}), so an apply elsewhere does not know of its holds. Push them: {safe(push)}"


def forget_taken_over(git: Git, runs: Iterable[WaitingRun]) -> tuple[WaitingRun, ...]:
    """Delete the refs of this clone whose records the ledger holds, and which the remote no longer has; return the other stops."""
    kept = []
    for each in runs:
        if each.commit is None and each.here is not None and not each.events and not each.problem:
            forget(git, each.ref, each.here)
        else:
            kept.append(each)
    return tuple(kept)


def forget(git: Git, ref: str, value: str) -> None:
    """Delete a ref of this clone. If somebody moved it meanwhile, it stays."""
    with contextlib.suppress(GitError):
        git.update_refs(Move(ref, None, value))
