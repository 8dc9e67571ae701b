"""Segments of a ledger: a checkpoint stands for all records before it, and nobody can tell the difference but by reading less."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler import audit
from reconciler.audit import RecordKind
from reconciler.errors import LedgerError, Unavailable
from reconciler.git import Git, Move
from reconciler.ledger import Ledger, LedgerOptions, storage
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.past import Past
from reconciler.ledger.refs import RefNames
from reconciler.plan import Action, Result
from tests.support.bodies import make_body
from tests.support.gitfakes import (
    PLATFORM,
    START,
    Clock,
    commit,
    git,
    opened,
    operation,
    repository,
    run,
    shared,
    story,
)

NAMES = RefNames.of(PLATFORM)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "SEGMENT_LEAST", 3)


def applied(ledger: Ledger, name: str, *rates: float, key: str = "1001") -> bool:
    """Apply under the lock; return whether a segment began."""
    with ledger.locked(holder=name):
        one = [operation(key, rate=rate) for rate in rates]
        ledger.append(story(run(ledger._connection.git.head(), name), one, ledger=ledger.head))
        return ledger.begin_segment()


def answers(ledger: Ledger) -> dict[str, Any]:
    records = ledger.records()
    return {
        "applied": audit.applied(records),
        "open": audit.open_intents(records),
        "standing": audit.standing(records, now=START),
        "last": ledger.last_applied(),
        "first": records[0],
        "next": audit.next_seq(records),
    }


def test_a_ledger_in_segments_answers_like_one_in_a_single_piece(tmp_path, monkeypatch):
    found = []
    for name, least in (("whole", 10**6), ("cut", 3)):
        monkeypatch.setattr(snapshots, "SEGMENT_LEAST", least)
        repo = repository(tmp_path / name)
        ledger = opened(repo)
        for number in range(4):
            applied(ledger, f"run-{number}", 20.0 + number, key=str(number % 2))
            holder = run(repo.head(), f"stop-{number}")
            ledger.append([holder.hold("1", name="n", reason="r", body=make_body())])
        seen = answers(opened(repo))
        assert answers(ledger) == seen
        found.append(seen)
    assert found[0].keys() == found[1].keys()
    assert set(found[0]["applied"]) == set(found[1]["applied"]) == {"0", "1"}
    assert len(found[0]["standing"]["1"]) == len(found[1]["standing"]["1"]) == 4
    assert found[0]["next"] + 4 == found[1]["next"], "one checkpoint for each apply"


def test_a_new_segment_holds_the_checkpoint_the_state_and_nothing_else(tmp_path):
    repo = repository(tmp_path)
    ledger = opened(repo)
    assert applied(ledger, "one", 20.0, 21.0)
    closes, head = git(repo.root, "rev-parse", f"{ledger.head}^"), ledger.head
    assert git(repo.root, "ls-tree", "-r", "--name-only", str(head)).split("\n") == [
        f"{repo.head()[:2]}/{repo.head()[2:]}",
        "state",
    ]
    (note,) = opened(repo).snapshot.tail
    assert (note.kind, note.data["segment"], note.data["closes"]) == ("checkpoint", 1, closes)
    closed = git(repo.root, "for-each-ref", "--format=%(objectname)", NAMES.closed)
    assert closed == closes
    log = git(repo.root, "log", "--notes=reconcile-closed/*", "-1")
    assert log.count('"kind":"outcome"') == 2, "old notes are shown"
    opened(repo).check()


def test_segments_are_numbered_and_each_state_stands_for_all_before_it(tmp_path, monkeypatch):
    repo = repository(tmp_path)
    for number in range(5):
        commit(repo.root, f"change {number}")
        assert applied(opened(repo), f"run-{number}", 20.0 + number)
    ledger = opened(repo)
    assert ledger.snapshot.segment == 5
    assert len(ledger.records()) < 10
    assert ledger.last_applied() == repo.head()
    ledger.check()
    found: list[str] = []
    read = Past._read
    monkeypatch.setattr(Past, "_read", lambda self, tree: found.append(tree) or read(self, tree))
    past = ledger.past()
    next(past)
    before = len(found)
    assert len(list(past)) > 20
    assert len(found) == before + 5, "one segment at a time is held in memory"


def test_a_short_segment_goes_on_and_nobody_without_the_lock_begins_one(tmp_path, monkeypatch):
    repo = repository(tmp_path)
    ledger = opened(repo)
    ledger.append(story(run(repo.head()), [operation()]))
    assert not ledger.begin_segment()
    monkeypatch.setattr(snapshots, "SEGMENT_LEAST", 20)
    assert not applied(ledger, "two", 20.0)


def test_a_remote_and_every_clone_get_the_segment_and_its_closed_ref(tmp_path):
    bare, (one, two) = shared(tmp_path, clones=2)
    reader = opened(two, remote="origin")
    assert applied(opened(one, remote="origin"), "one", 20.0)
    reader.refresh()
    assert audit.applied(reader.records())["1001"].intent.data["body"]["dial_rate"] == 20.0
    assert git(bare, "for-each-ref", "--format=%(refname)", NAMES.closed)
    assert git(one.root, "for-each-ref", "--format=%(refname)", NAMES.closed)
    assert applied(reader, "two", 21.0)
    assert opened(one, remote="origin").snapshot.segment == 2


def test_a_segment_that_is_closed_between_two_reads_of_a_verification_is_no_rollback(tmp_path):
    _, (one, two) = shared(tmp_path, clones=2)
    assert applied(opened(one, remote="origin"), "one", 20.0)
    reader = opened(two, remote="origin")
    store, moved = reader._connection.store, []
    read = store.closed

    def closed() -> dict[str, str]:
        if not moved:
            moved.append(applied(opened(one, remote="origin"), "two", 21.0))
        return read()

    store.closed = closed
    verdict = reader.verify()
    assert moved == [True]
    assert verdict.defects == ()
    assert reader.snapshot.segment == 2


# --- within a run -------------------------------------------------------------------------------------------------------------


def test_a_run_whose_note_becomes_long_goes_on_in_the_next_segment(tmp_path, monkeypatch):
    """The limit of a note can then never strike between an intent and its outcome."""
    monkeypatch.setattr(snapshots, "SEGMENT_NOTE", 12_000)
    monkeypatch.setattr(storage, "PART_RECORDS", 3)
    repo = repository(tmp_path)
    ledger = opened(repo)
    events = story(run(repo.head()), [operation(str(number)) for number in range(12)])
    with ledger.locked(holder="one"):
        for start in range(0, len(events), 5):
            written = ledger.append(events[start : start + 5])
            assert [each.event for each in written] == events[start : start + 5]
    again = opened(repo)
    again.check()
    assert again.snapshot.segment > 1
    assert set(audit.applied(again.records())) == {str(number) for number in range(12)}
    assert again.open_intents() == ()


def test_many_events_become_several_commits(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PART_RECORDS", 2)
    repo = repository(tmp_path)
    ledger = opened(repo)
    written = ledger.append(story(run(repo.head()), [operation("1"), operation("2")]))
    assert [each.seq for each in written] == list(range(6))
    assert git(repo.root, "rev-list", "--count", NAMES.ledger) == "3"


def test_an_outcome_of_a_write_that_an_earlier_segment_settled_is_not_recorded_again(tmp_path):
    repo = repository(tmp_path)
    ledger = opened(repo)
    stop = run(repo.head(), "stop")
    intent = stop.intent(operation("7", action=Action.HALT), digest="d" * 64, generation=0)
    begun = stop.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
    ledger.append([begun, intent, stop.close({})])
    settled = run(repo.head(), "settles").outcome(intent, Result.CONFIRMED, audit={})
    with ledger.locked(holder="one"):
        ledger.append([settled])
        later = story(run(repo.head(), "later"), [operation("7")])
        ledger.append(later)
        assert ledger.begin_segment()
    assert intent.id not in {each.id for each in ledger.records()}
    late = stop.outcome(intent, Result.CONFIRMED, audit={})
    assert len(ledger.append([late, run(repo.head(), "x").note("further")])) <= 2
    assert late not in [each.event for each in ledger.records()]
    ledger.check()


def test_neither_half_of_a_write_in_a_state_is_recorded_again(tmp_path):
    """A clone that could not push repeats its events, perhaps after another one began a segment."""
    repo = repository(tmp_path)
    ledger = opened(repo)
    applied(ledger, "one", 20.0)
    events = story(run(repo.head(), "two"), [operation(rate=21.0)])
    with ledger.locked(holder="two"):
        ledger.append(events)
        assert ledger.begin_segment()
    again = opened(repo)
    intent, outcome = (each for each in events if each.kind in {"intent", "outcome"})
    write = audit.applied(again.records())["1001"]
    assert write.intent is write.outcome
    assert write.outcome.kind is RecordKind.WRITE
    assert (write.outcome.data["intent"], write.outcome.id) == (intent.id, outcome.id)
    assert again.append([intent, outcome]) == (write.outcome, write.outcome)
    assert again.head == ledger.head
    assert again.verify().defects == ()


# --- what goes wrong ----------------------------------------------------------------------------------------------------------


def pushing(monkeypatch: pytest.MonkeyPatch, after: Callable[[], None]) -> None:
    """Let the next push arrive, although its sender never hears of it; `after` happens before it looks again."""
    push, lost = Git.push, [True]

    def unheard(self: Git, remote: str, *moves: Move) -> None:
        push(self, remote, *moves)
        if lost:
            lost.clear()
            after()
            raise Unavailable("the connection was lost")

    monkeypatch.setattr(Git, "push", unheard)


def test_an_append_that_arrived_unheard_is_acknowledged_although_a_checkpoint_left_it_out(
    tmp_path, monkeypatch
):
    _, (one, two) = shared(tmp_path, clones=2)
    writer, other = opened(one, remote="origin"), opened(two, remote="origin")

    def fold() -> None:
        assert applied(other, "other", 20.0)

    pushing(monkeypatch, fold)
    events = story(run(one.head(), "ours"), [operation()])
    assert [each.event for each in writer.append(events)] == events
    assert events[2].id not in {each.id for each in writer.records()}
    assert int(git(one.root, "rev-list", "--count", NAMES.ledger)) == 3


def test_a_failed_push_of_a_checkpoint_is_no_error_and_the_next_apply_tries_again(
    tmp_path, monkeypatch
):
    _, (one,) = shared(tmp_path)
    ledger = opened(one, remote="origin")
    push = Git.push

    def refuse(self: Git, remote: str, *moves: Move) -> None:
        if any(move.ref.startswith(NAMES.closed) for move in moves):
            raise Unavailable("refused")
        push(self, remote, *moves)

    monkeypatch.setattr(Git, "push", refuse)
    assert not applied(ledger, "one", 20.0)
    monkeypatch.undo()
    monkeypatch.setattr(snapshots, "SEGMENT_LEAST", 3)
    assert applied(ledger, "two", 21.0)
    assert applied(opened(one, remote="origin"), "three", 22.0)


def forged(repo: Git, change: Callable[[bytes], bytes | None]) -> None:
    """Move the ledger to a commit whose state is another one; `None` drops it."""
    head = git(repo.root, "rev-parse", NAMES.ledger)
    state = change(repo.read_blob(git(repo.root, "rev-parse", f"{head}:state"), limit=10**6))
    lines = git(repo.root, "ls-tree", head).split("\n")
    if state is not None:
        lines[-1] = f"100644 blob {repo.write_blob(state)}\tstate"
    kept = lines if state is not None else lines[:-1]
    tree = git(repo.root, "mktree", stdin=("\n".join(kept) + "\n").encode())
    message = git(repo.root, "log", "-1", "--format=%B", head)
    parent = git(repo.root, "rev-parse", f"{head}^")
    made = git(repo.root, "commit-tree", tree, "-p", parent, "-m", message)
    git(repo.root, "update-ref", NAMES.ledger, made)


def without(name: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        first, *rest = data.splitlines(keepends=True)
        fields = json.loads(first)
        del fields[name]
        return json.dumps(fields).encode() + b"\n" + b"".join(rest)

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda data: data.replace(b"25.0", b"99.0"), "is not the one of its checkpoint"),
        (lambda data: data.split(b"\n", 1)[1], "is not the one of its checkpoint"),
        (lambda _: b"", "is not the one of its checkpoint"),
        (lambda _: None, "is not the one of its checkpoint"),
        (without("kind"), "line 1: the record's kind is missing"),
        (lambda data: data[:-1], "its last line is incomplete"),
        (lambda data: b"[" * 4000 + b"\n" + data, "line 1: the line is not JSON"),
        (lambda data: data + data, "it does not follow the record before it"),
        (lambda data: b"\0\n" + data, "line 1: the line holds a NUL"),
        (lambda data: b"\xff\n" + data, "line 1: the line is not JSON"),
    ],
)
def test_a_forged_state_is_one_error_that_names_it(tmp_path: Path, change: Any, problem: str):
    repo = repository(tmp_path)
    applied(opened(repo), "one", 25.0)
    forged(repo, change)
    with pytest.raises(
        LedgerError, match=f"{problem}.*See: reconcile audit verify schedules/acme$"
    ):
        opened(repo, options=LedgerOptions(folder="schedules/acme"))


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r"])
def test_other_line_ends_of_a_state_are_a_defect(tmp_path: Path, end: bytes):
    repo = repository(tmp_path)
    applied(opened(repo), "one", 25.0)
    forged(repo, lambda data: data[:-1] + end)
    found = opened(repo, options=LedgerOptions(unchecked=True)).verify()
    assert any(
        "its state is not the selection of the records" in str(each) for each in found.defects
    )


def test_a_folder_in_place_of_the_state_is_an_error_too(tmp_path: Path):
    repo = repository(tmp_path)
    applied(opened(repo), "one", 25.0)
    head = git(repo.root, "rev-parse", NAMES.ledger)
    lines = git(repo.root, "ls-tree", head).split("\n")
    lines[-1] = lines[0].split("\t")[0] + "\tstate"
    tree = git(repo.root, "mktree", stdin=("\n".join(lines) + "\n").encode())
    git(repo.root, "update-ref", NAMES.ledger, git(repo.root, "commit-tree", tree, "-m", "x"))
    with pytest.raises(LedgerError, match="no file where state belongs"):
        opened(repo)


def test_git_keeps_the_state_when_somebody_adds_a_note(tmp_path: Path):
    repo = repository(tmp_path)
    applied(opened(repo), "one", 25.0)
    other = commit(repo.root, "another")
    git(repo.root, "notes", f"--ref={NAMES.ledger}", "add", "-m", "by hand", other)
    assert git(repo.root, "rev-parse", f"{NAMES.ledger}:state")
    with pytest.raises(LedgerError, match="which reconcile did not make"):
        opened(repo)


def test_a_signed_ledger_gets_no_checkpoint_from_whoever_cannot_sign_it(tmp_path: Path):
    repo = repository(tmp_path)
    ledger = opened(repo, options=LedgerOptions(signers=b"", stop=True))
    ledger.append(story(run(repo.head()), [operation()]))
    with ledger.locked(holder="one"):
        assert not ledger.begin_segment()
    assert RecordKind.CHECKPOINT not in {each.kind for each in opened(repo).records()}


def test_a_ledger_that_does_not_verify_gets_no_checkpoint(tmp_path: Path):
    repo = repository(tmp_path)
    ledger = opened(repo)
    with ledger.locked(holder="one"):
        lost = run(repo.head(), "lost").outcome(
            run(repo.head(), "lost").intent(operation(), digest="d" * 64, generation=0),
            Result.UPDATED,
            audit={},
        )
        ledger.append([*story(run(repo.head()), [operation("2")]), lost])
        assert not ledger.begin_segment()


# --- what is killed -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("remote", ["origin", None])
@pytest.mark.parametrize("point", ["segment:stored", "segment:moved"])
def test_a_crash_around_a_checkpoint_loses_nothing_and_the_next_apply_goes_on(
    tmp_path, point, remote
):
    _, (one, two) = shared(tmp_path, clones=2)
    clock = Clock()

    def checkpoint(name: str) -> None:
        if name == point:
            raise Killed

    doomed = opened(one, clock, world=clock.world(checkpoint=checkpoint), remote=remote)
    with pytest.raises(Killed):
        applied(doomed, "one", 20.0)
    clock.pass_by(24 * 3600)
    again = opened(two if remote else one, clock, remote=remote)
    assert audit.applied(again.records())["1001"].intent.data["body"]["dial_rate"] == 20.0
    assert applied(again, "two", 21.0)
    assert again.verify().defects == ()
    assert len(list(again.past())) == 10 if point == "segment:moved" else 9
