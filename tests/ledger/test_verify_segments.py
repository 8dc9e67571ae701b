"""Tampering with a ledger in segments: at a border, in a state, in a closed segment and its ref, in a checkpoint.

The forger knows the format: hashes, messages, parents and the refs of closed segments are made right after each change.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from reconciler import audit
from reconciler.audit import Record, Verdict
from reconciler.errors import LedgerError
from reconciler.git import FILE, TREE
from reconciler.ledger.history import LedgerHistory, verify
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.past import Past
from reconciler.ledger.snapshot import STATE_LIMIT, message
from tests.ledger.test_history import Commits
from tests.support import history
from tests.support.gitfakes import PLATFORM, START

Commit = dict[str, list[bytes]]
"""The files of a ledger commit, as lines: the state, and the note of each commit."""


class Memory(Commits):
    """A repository in memory that also holds states."""

    def read_blob(self, blob: str, *, limit: int) -> bytes:
        assert limit in {NOTE_LIMIT, STATE_LIMIT}
        return self.blobs[blob]

    def keep(self, files: Mapping[str, bytes], parent: str, last: Record) -> str:
        """Store a ledger commit; return its id."""
        folders: dict[str, dict[str, tuple[str, str]]] = {}
        top: dict[str, tuple[str, str]] = {}
        for path, data in files.items():
            folder, _, name = path.rpartition("/")
            where = folders.setdefault(folder, {}) if folder else top
            where[name] = (FILE, self.write_blob(data))
        top |= {name: (TREE, self.make_tree(each)) for name, each in folders.items()}
        parents = [parent] if parent else []
        return self.commit(self.make_tree(top), *parents, message=message(last))


class Story(history.Writer):
    """Keeps ledger commits in memory."""

    def __init__(self, least: int) -> None:
        super().__init__(io.BytesIO(), PLATFORM, least)
        self.git, self.head = Memory(), ""
        self.made: list[dict[str, bytes]] = []

    def commit(self, files: Mapping[str, bytes], last: Record, *, empty: bool = False) -> None:
        before = {} if empty or not self.made else self.made[-1]
        self.made.append({**before, **files})
        self.head = self.git.keep(self.made[-1], self.head, last)

    def ask(self, command: bytes) -> str:  # noqa: ARG002 - it only ever asks for the last commit
        return self.head


@pytest.fixture
def commits() -> list[Commit]:
    """Return the commits of a ledger that has several segments, with stops, holds and killed applies."""
    writer = Story(20)
    told = history.Story(applies=9, changes=2, objects=4, halt_every=2, batches=1)
    for events in told.appends():
        writer.append(events)
    return [
        {path: data.splitlines(keepends=True) for path, data in files.items()}
        for files in writer.made
    ]


def borders(commits: list[Commit]) -> list[int]:
    """Return the numbers of the commits that begin a segment, but for the first segment."""
    return [
        at
        for at in range(1, len(commits))
        if commits[at].get("state") != commits[at - 1].get("state")
    ]


def record(line: bytes) -> Record:
    return audit.decode("", line)[0][0]


def last_of(commit: Commit) -> Record:
    return max(
        (record(lines[-1]) for path, lines in commit.items() if path != "state"),
        key=lambda each: each.seq,
    )


def note_of_checkpoint(commit: Commit) -> str:
    return next(path for path in commit if path != "state")


def retold(line: bytes, **changes: Any) -> bytes:
    """Return a record's line with other content and the right hash for it."""
    known = record(line)
    event = dataclasses.replace(known.event, data={**known.data, **changes})
    bare = dataclasses.replace(known, event=event, id=event.id)
    return audit.encode(dataclasses.replace(bare, h=audit.records.digest_of(bare)))


def replace(commits: list[Commit], old: bytes, new: list[bytes]) -> None:
    """Replace a line wherever it stands, but in states."""
    for commit in commits:
        for path in [each for each in commit if each != "state"]:
            commit[path] = [
                each for line in commit[path] for each in (new if line == old else [line])
            ]
            if not commit[path]:
                del commit[path]


@dataclasses.dataclass
class Forged:
    """A ledger that somebody made."""

    git: Memory
    head: str
    closed: dict[str, str]

    @property
    def past(self) -> Past:
        return Past(
            self.git, Notes(self.git), self.git.made[self.head][0], PLATFORM, "schedules/acme"
        )

    def verify(self) -> Verdict:
        subject = LedgerHistory(self.git, Notes(self.git), self.head, PLATFORM, self.closed)
        return verify(subject, mirror=None, expect_head=None, signers=None)


def forge(commits: list[Commit]) -> Forged:
    """Make these commits a ledger, with checkpoints that name the commit that they close."""
    made = Forged(Memory(), "", {})
    edges = set(borders(commits))
    for at, commit in enumerate(commits):
        if at in edges:
            old = commit[note_of_checkpoint(commit)][0]
            replace(commits[at:], old, [retold(old, closes=made.head)])
            made.closed[f"{len(made.closed) + 1:06}-{made.head[:12]}"] = made.head
        files = {path: b"".join(lines) for path, lines in commit.items()}
        made.head = made.git.keep(files, made.head, last_of(commit))
    return made


def problems(verdict: Verdict) -> str:
    return "\n".join(map(str, verdict.defects))


def test_an_honest_ledger_in_segments_raises_no_alarm(commits):
    assert len(borders(commits)) >= 3
    assert forge(commits).verify().defects == ()


def forged_state(
    commits: list[Commit], change: Callable[[list[bytes]], list[bytes]], border: int
) -> None:
    """Change the state of a segment, with the right hash of it in the checkpoint."""
    at = borders(commits)[border]
    state = change(list(commits[at]["state"]))
    for commit in commits[at : ([*borders(commits), len(commits)])[border + 1]]:
        commit["state"] = state
    old = commits[at][note_of_checkpoint(commits[at])][0]
    digest = hashlib.sha256(b"".join(state)).hexdigest()
    replace(commits, old, [retold(old, state=digest, records=len(state))])


@pytest.mark.parametrize("border", [0, 1, -2])
def test_a_state_without_a_hold_is_found(commits, border):
    at = borders(commits)[border]
    held = [line for line in commits[at]["state"] if b'"kind":"hold"' in line]
    assert held
    forged_state(commits, lambda lines: [line for line in lines if line not in held], border)
    found = problems(forge(commits).verify())
    assert "its state is not the selection of the records before it, from line" in found


def test_a_state_with_a_wider_base_is_found(commits):

    def widen(lines: list[bytes]) -> list[bytes]:
        at = next(at for at, line in enumerate(lines) if b'"kind":"intent"' in line)
        body = dict(record(lines[at]).data["body"] or {})
        lines[at] = retold(lines[at], body={**body, "dial_rate": 999.0})
        return lines

    forged_state(commits, widen, 1)
    verdict = forge(commits).verify()
    assert "its state is not the selection of the records before it, from line" in problems(verdict)
    assert verdict.defects[0].line == 1


@pytest.mark.parametrize("where", ["last of a closed segment", "in a closed segment"])
@pytest.mark.parametrize("how", ["edit", "drop", "repeat", "swap"])
def test_a_record_of_a_closed_segment_is_as_safe_as_any_other(commits, where, how):
    end = borders(commits)[1] - 1
    last = last_of(commits[end])
    path = f"{last.event.commit[:2]}/{last.event.commit[2:]}"
    at = len(commits[end][path]) - (1 if where.startswith("last") else 2)
    line = commits[end][path][at]
    before = commits[end][path][at - 1]
    new = {
        "edit": [retold(line, actor="nobody")],
        "drop": [],
        "repeat": [line, line],
        "swap": [before],
    }[how]
    replace(commits, line, new)
    if how == "swap":
        for commit in commits:
            if commit.get(path, []).count(before) == 2:
                commit[path][commit[path].index(before)] = line
    assert forge(commits).verify().defects


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segment", 7),
        ("last", "0" * 64),
        ("latest", "2030-01-01T00:00:00.000Z"),
        ("records", 1),
        ("state", "0" * 64),
    ],
)
def test_each_field_of_a_checkpoint_is_checked(commits, name, value):
    at = borders(commits)[1]
    old = commits[at][note_of_checkpoint(commits[at])][0]
    replace(commits, old, [retold(old, **{name: value})])
    found = problems(forge(commits).verify())
    assert ("the hash of another state" if name == "state" else f"its {name} is {value}") in found


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_checkpoint_in_the_middle_is_checked_against_the_records_before_it(
    commits, size, monkeypatch
):
    """However many records go through one step of the check at once."""
    border = borders(commits)[1]
    commit = commits[border + 1]
    path = next(path for path in commit if path != "state")
    line = commit[path][-1]
    checkpoint = record(commits[border][note_of_checkpoint(commits[border])][0])
    moved = dataclasses.replace(checkpoint, seq=record(line).seq)
    moved = dataclasses.replace(moved, h=audit.records.digest_of(moved))
    before = record(commit[path][-2])
    assert before.seq == moved.seq - 1
    replace(commits, line, [audit.encode(moved)])
    monkeypatch.setattr("reconciler.ledger.history._BATCH", size)
    found = problems(forge(commits).verify())
    assert "a checkpoint that does not begin a segment" in found
    assert f"its last is {checkpoint.data['last']}, and not {before.h}" in found


def test_a_segment_that_was_cut_out_is_found(commits):
    _, second, third, *_ = borders(commits)
    found = problems(forge(commits[:second] + commits[third:]).verify())
    assert "of the records before it are missing" in found
    assert "its segment is 3, and not 2" in found


def test_a_state_that_was_replaced_without_a_checkpoint_is_found(commits):
    begin, end = borders(commits)[1:3]
    state = commits[begin]["state"][1:]
    for commit in commits[begin + 1 : end]:
        commit["state"] = state
    found = problems(forge_as_is(commits).verify())
    assert "another record has its place in the ledger" in found
    assert "its state is not the selection of the records before it" in found


def forge_as_is(commits: list[Commit]) -> Forged:
    made = Forged(Memory(), "", {})
    for commit in commits:
        files = {path: b"".join(lines) for path, lines in commit.items()}
        made.head = made.git.keep(files, made.head, last_of(commit))
    return made


def test_a_segment_that_begins_with_notes_of_the_one_before_is_found(commits):
    at = borders(commits)[0]
    path = next(each for each in commits[at - 1] if each not in commits[at])
    commits[at] = {**commits[at], path: commits[at - 1][path]}
    assert "holds more than the state and the checkpoint" in problems(forge(commits).verify())


def test_the_refs_of_closed_segments_are_compared_with_the_ledger(commits):
    made = forge(commits)
    gone, moved, *_ = sorted(made.closed)
    del made.closed[gone]
    made.closed[moved] = made.head
    found = problems(made.verify())
    assert f"the ref of closed segment {gone} is missing" in found
    assert f"the ref of closed segment {moved} is {made.head}, and not" in found
    for told in re.findall(r"Put it back: git update-ref \S+/(\S+ \S+)", found):
        name, commit = told.split()
        made.closed[name] = commit
    assert made.verify().defects == ()


def test_the_ref_of_a_segment_that_the_ledger_no_longer_closes_shows_a_rollback(commits):
    whole = forge(commits)
    border = borders(commits)[1]
    made = forge(commits[:border])
    made.closed = {name: each for name, each in whole.closed.items() if name <= f"{2:06}-g"}
    name = max(made.closed)
    assert made.closed[name] == made.head
    (found,) = made.verify().defects
    assert f"the ref of closed segment {name} names {made.head}, after which" in str(found)
    ref = f"refs/notes/reconcile-closed/{PLATFORM}/{name}"
    assert str(found).endswith(f"delete the ref: git update-ref -d {ref} {made.head}")


def test_all_records_are_read_back_and_no_segment_that_is_older_than_asked(commits):
    past = forge(commits).past
    whole = list(past.records())
    assert [each.seq for each in whole] == list(range(len(whole)))
    for each in whole:
        since = audit.moment(each)
        part = list(past.records(since))
        assert part == whole[len(whole) - len(part) :]
        asked = {other.id for other in whole if audit.moment(other) >= since}
        assert asked <= {other.id for other in part}
    assert len(list(past.records(audit.moment(whole[-1])))) < len(whole) / 2


def test_a_bad_record_of_a_closed_segment_is_never_shown(commits):
    line = commits[0][next(iter(commits[0]))][1]
    replace(commits, line, [retold(line, actor="nobody")])
    with pytest.raises(LedgerError, match=r"does not verify.*audit verify schedules/acme$"):
        list(forge(commits).past.records())


def test_a_state_that_is_not_the_one_of_its_checkpoint_is_not_read(commits):
    for commit in commits[borders(commits)[-1] :]:
        commit["state"] = commit["state"][1:]
    past = forge(commits).past
    with pytest.raises(LedgerError, match="its state is another one"):
        list(past.records(START + timedelta(days=999)))
