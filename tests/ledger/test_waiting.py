"""Records of stops that wait in refs of their own: read with limits, counted by everybody, taken over exactly once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from reconciler import audit
from reconciler.audit import Event, RecordKind
from reconciler.errors import LedgerError
from reconciler.git import FILE, Git, Move
from reconciler.git.process import Ran, run_process
from reconciler.ledger import Ledger, LedgerOptions, waiting
from reconciler.ledger.refs import RefNames
from reconciler.ledger.snapshot import SEGMENT_LEAST
from reconciler.plan import Action, Result
from tests.support.gitfakes import ENVIRON, START, git, opened, operation, run, shared
from tests.support.signing import Signer, signer

PLATFORM = "campaigns/acme.cxonecloud.com"
NAMES = RefNames.of(PLATFORM)
RUN = "0123456789abcdef"
REF = waiting.ref_of(PLATFORM, RUN)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Git, Git]:
    """Return a bare remote and two clones."""
    bare, (one, other) = shared(tmp_path, clones=2)
    return bare, one, other


def stop_of(where: Git, *keys: str, name: str = RUN) -> list[Event]:
    """Return the events of a stop that silenced some objects."""
    made = run(where.head(), name)
    halts = [dataclasses.replace(operation(key), action=Action.HALT, desired=None) for key in keys]
    intents = [made.intent(each, digest="d" * 64, generation=0) for each in halts]
    begun = made.open(
        digest="d" * 64, operations=0, tool="t", ledger=None, applied=None, purpose=audit.HALT
    )
    return [
        *(made.hold(key, name="n", reason="r", body={"x": 1}) for key in keys),
        begun,
        *intents,
        *(made.outcome(each, Result.DELETED, audit={}) for each in intents),
        made.close({}),
    ]


def leave(
    where: Git,
    events: Iterable[Event],
    *,
    before: waiting.Batch | None = None,
    push: bool = True,
    key: Path | None = None,
    name: str = RUN,
) -> waiting.Batch:
    """Write the records of a stop to its ref, and push it."""
    lines = audit.encode_events(events)
    batch = waiting.store(where, name, lines, before, at=START, signing_key=key)
    ref = waiting.ref_of(PLATFORM, name)
    where.update_refs(Move(ref, batch.commit, where.refs(ref).get(ref)))
    if push:
        where.push("origin", Move(ref, batch.commit, before.commit if before else None, exact=True))
    return batch


def ledger(where: Git, **options: object) -> Ledger:
    return opened(where, remote="origin", options=LedgerOptions(**options))


def kinds(found: Ledger) -> list[str]:
    return [each.kind.value for each in found.records()]


def refs(where: Path | Git) -> list[str]:
    root = where.root if isinstance(where, Git) else where
    return git(root, "for-each-ref", "--format=%(refname)", "refs/reconcile/waiting").split()


def note(where: Git, name: str) -> list[Event]:
    return [run(where.head(), name).note(name)]


WHOLE = ["hold", "open", "intent", "outcome", "close"]


def test_every_clone_counts_what_waits_and_the_next_append_takes_it_over(two) -> None:
    bare, one, other = two
    leave(one, stop_of(one, "1001"))
    found = ledger(other)
    assert kinds(found) == WHOLE
    assert refs(bare) == [REF]  # a reader moves and deletes nothing
    found.append(note(other, "after"))
    assert refs(bare) == []
    assert kinds(ledger(one)) == [*WHOLE, "note"]
    assert refs(one) == []  # its own ref went when it read that the ledger holds the records
    verdict = ledger(one).verify()
    assert (verdict.defects, verdict.commits) == ((), 2)
    assert git(bare, "log", "-1", "--skip=1", "--format=%s", NAMES.ledger).startswith(f"{RUN} ")


def test_what_only_this_clone_has_counts_here_and_goes_with_the_next_append(two) -> None:
    bare, one, other = two
    leave(one, stop_of(one, "1001"), push=False)
    assert kinds(ledger(other)) == []
    found = ledger(one)
    assert kinds(found) == WHOLE
    assert f"git push origin {REF}" in " ".join(found.notes)
    assert refs(bare) == []
    found.append([])
    assert kinds(ledger(other)) == WHOLE
    assert (refs(one), refs(bare)) == ([], [])


def test_a_stop_that_goes_on_after_it_was_taken_over_is_taken_over_once(two) -> None:
    """An apply elsewhere takes over the first records; the stop finds its ref gone, and pushes all of them again."""
    bare, one, other = two
    events = stop_of(one, "1001", "1002")
    first = leave(one, events[:4])
    ledger(other).append(note(other, "apply"))
    git(one.root, "update-ref", "-d", REF)
    last = leave(one, events[4:], before=dataclasses.replace(first), push=False)
    one.push("origin", Move(REF, last.commit, None, exact=True))
    assert len(ledger(other).records()) == len(events) + 1
    ledger(other).append([])
    assert len(ledger(one).records()) == len(events) + 1
    one.push("origin", Move(REF, last.commit, None, exact=True))
    assert len(ledger(other).records()) == len(events) + 1
    ledger(other).append([])
    assert refs(bare) == []
    assert ledger(one).verify().defects == ()


def test_a_released_hold_does_not_come_back_with_its_ref(two) -> None:
    _, one, other = two
    batch = leave(one, stop_of(one, "1001"))
    ledger(other).append([run(other.head(), "free").release("1001", name="n", reason="r")])
    one.push("origin", Move(REF, batch.commit, None, exact=True))
    records = ledger(other).records()
    assert audit.standing(records, now=START) == {}


def test_what_a_checkpoint_left_out_is_not_taken_over_again(two) -> None:
    """The run's records are in a closed segment then; the ledger commit that names the run still shows them."""
    bare, one, other = two
    begun = run(one.head(), RUN)
    events = [begun.hold("1001", name="n", reason="r"), *stop_of(one)]
    batch = leave(one, events)
    found = ledger(other)
    with found.locked(holder="an apply"):
        found.append([run(other.head(), "free").release("1001", name="n", reason="r")])
        found.append(
            [run(other.head(), "long").note(f"line {each}") for each in range(SEGMENT_LEAST)]
        )
        assert found.begin_segment()
    one.push("origin", Move(REF, batch.commit, None, exact=True))
    again = ledger(other)
    assert audit.standing(again.records(), now=START) == {}
    again.append([])
    assert refs(bare) == []
    assert ledger(one).verify().defects == ()


def test_two_stops_are_two_ledger_commits_and_one_push(two) -> None:
    bare, one, other = two
    leave(one, stop_of(one, "1001"))
    leave(other, stop_of(other, "1001", name="second"), name="second")
    ledger(one).append([])
    assert refs(bare) == []
    verdict = ledger(other).verify()
    assert (verdict.defects, verdict.commits, verdict.records) == ((), 2, 10)


def refuse_deletions(bare: Path) -> None:
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ncase "$1 $3" in refs/reconcile/*" 0000"*) exit 1;; esac\n')
    hook.chmod(0o755)


def test_a_host_that_refuses_to_delete_refs_keeps_nothing_from_being_recorded(two) -> None:
    bare, one, other = two
    refuse_deletions(bare)
    leave(one, stop_of(one, "1001"))
    found = ledger(other)
    found.append(note(other, "apply"))
    found.append(note(other, "again"))
    assert kinds(ledger(one)) == [*WHOLE, "note", "note"]
    assert refs(bare) == [REF]


def noted(where: Git) -> tuple[Git, list[list[str]]]:
    """Return another `Git` of a clone, and the commands to the remote that it will run: the subcommand, and what it pushes."""
    made: list[list[str]] = []

    def noting(argv, **rest) -> Ran:
        if "push" in argv:
            pushed = argv[argv.index("origin") + 1 :]
            made.append(["push", *(each.rpartition(":")[2] for each in pushed)])
        made.extend([each] for each in argv if each in {"ls-remote", "fetch"})
        return run_process(argv, **rest)

    return Git(where.root, environ=ENVIRON, runner=noting), made


def test_the_push_that_takes_a_stop_over_releases_the_lock_of_the_stop(two) -> None:
    """A push costs a dozen processes here and on the server."""
    bare, one, other = two
    leave(one, stop_of(one, "1001"))
    lock = ledger(one, stop=True).lock
    lock.acquire(holder="halt", force=True)
    where, made = noted(one)
    ledger(where).append([], releasing=lock)
    assert made == [["ls-remote"], ["push", NAMES.ledger, REF, NAMES.lock, NAMES.mirror]]
    assert (refs(bare), ledger(other).lock.standing()) == ([], None)
    assert kinds(ledger(other)) == WHOLE
    lock.release()  # there is nothing to release: `git push` would be refused
    assert lock.lease.held is None


def test_a_lock_that_another_stop_took_is_not_released_with_the_records(two) -> None:
    _, one, other = two
    leave(one, stop_of(one, "1001"))
    lock = ledger(one, stop=True).lock
    lock.acquire(holder="halt", force=True)
    ledger(other).lock.acquire(holder="another halt", force=True)
    where, made = noted(one)
    ledger(where).append([], releasing=lock)
    assert made[-1] == ["push", NAMES.ledger, REF, NAMES.mirror]
    assert lock.lease.held is None
    assert kinds(ledger(other)) == WHOLE
    standing = ledger(other).lock.standing()
    assert standing is not None
    assert standing.holder == "another halt"


def test_a_host_that_refuses_to_delete_refs_keeps_the_lock_and_the_records(two) -> None:
    bare, one, other = two
    refuse_deletions(bare)
    leave(one, stop_of(one, "1001"))
    lock = ledger(one, stop=True).lock
    lock.acquire(holder="halt", force=True)
    ledger(one).append([], releasing=lock)
    assert kinds(ledger(other)) == WHOLE
    assert refs(bare) == [REF]
    assert lock.lease.held is not None, "the end of the stop tries again, and tells that"


@pytest.mark.parametrize("moved", [False, True])
def test_a_stop_reads_the_ledger_once_before_it_takes_the_lock_unless_the_lock_moved(
    two, *, moved: bool
) -> None:
    """Each reading asks the remote."""
    _, one, other = two
    where, made = noted(one)
    found = ledger(where, stop=True)
    if moved:
        ledger(other).lock.acquire(holder="an apply")
    found.lock.acquire(holder="halt", force=True)
    push = ["push", NAMES.lock]
    again = [["ls-remote"], ["fetch"], push] if moved else []
    assert made == [["ls-remote"], push, *again, ["ls-remote"]]
    standing = ledger(other).lock.standing()
    assert standing is not None
    assert standing.holder == "halt"


# --- refs that somebody else wrote ------------------------------------------------------------------------------------------


def lines(*events: Event) -> bytes:
    return audit.encode_events(events)


def tree_of(where: Git, data: bytes, name: str = "000000") -> str:
    return where.make_tree({name: (FILE, where.write_blob(data))})


def committed(where: Git, tree: str) -> str:
    return git(where.root, "commit-tree", "-m", "x", tree).strip()


def changed(event: Event, **fields: object) -> bytes:
    said = json.loads(lines(event))
    return json.dumps(said | fields).encode() + b"\n"


def _hold(where: Git, **more: object) -> Event:
    return dataclasses.replace(run(where.head(), RUN).hold("1001", name="n", reason="r"), **more)


def _apply(where: Git) -> bytes:
    made = run(where.head(), RUN)
    intent = made.intent(operation("1001"), digest="d" * 64, generation=0)
    begun = made.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
    return lines(begun, intent, made.outcome(intent, Result.CONFIRMED, audit={}))


FORGED: dict[str, Callable[[Git], str]] = {
    "a blob": lambda it: it.write_blob(b"x"),
    "a tree": lambda it: tree_of(it, b"x"),
    "a tag": lambda it: git(
        it.root,
        "mktag",
        stdin=f"object {it.head()}\ntype commit\ntag v1\ntagger t <t@t> 0 +0000\n\nx\n".encode(),
    ).strip(),
    "a commit of the project": lambda it: it.head(),
    "an empty tree": lambda it: committed(it, it.empty_tree),
    "another file": lambda it: committed(it, tree_of(it, lines(_hold(it)), "records")),
    "a folder": lambda it: committed(
        it, it.make_tree({"000000": ("40000", tree_of(it, lines(_hold(it))))})
    ),
    "binary": lambda it: committed(it, tree_of(it, bytes(range(256)) * 50)),
    "line ends": lambda it: committed(it, tree_of(it, b"\n" * 1_000_000)),
    "huge": lambda it: committed(it, tree_of(it, b" " * (waiting.SIZE_LIMIT + 1))),
    "a long line": lambda it: committed(it, tree_of(it, changed(_hold(it), more="x" * 8000))),
    "deep": lambda it: committed(it, tree_of(it, b"[" * 5000 + b"]" * 5000 + b"\n")),
    "deep in a record": lambda it: committed(
        it, tree_of(it, changed(_hold(it), more=json.loads("[" * 30 + "]" * 30)))
    ),
    "not a number": lambda it: committed(it, tree_of(it, changed(_hold(it), more=float("nan")))),
    "another tenant": lambda it: committed(it, tree_of(it, lines(_hold(it, tenant="x/y")))),
    "another run": lambda it: committed(it, tree_of(it, lines(_hold(it, run="other")))),
    "another version": lambda it: committed(it, tree_of(it, changed(_hold(it), v=2))),
    "a release": lambda it: committed(
        it, tree_of(it, lines(run(it.head(), RUN).release("1001", name="n", reason="r")))
    ),
    "a note": lambda it: committed(it, tree_of(it, lines(run(it.head(), RUN).note("x")))),
    "an apply": lambda it: committed(it, tree_of(it, _apply(it))),
    "no instant": lambda it: committed(it, tree_of(it, changed(_hold(it), until="soon"))),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_no_record_of_a_stop_is_told_and_ignored(two, what: str) -> None:
    """Anybody with push rights can write such a ref: it holds nothing, blocks nothing, and stays for people to look at."""
    bare, one, other = two
    value = FORGED[what](one)
    git(one.root, "push", "-q", "origin", f"{value}:{REF}")
    found = ledger(other)
    assert found.records() == ()
    assert f"ignored: records in {REF} (" in " ".join(found.notes)
    assert f"git push --force-with-lease={REF}:{value} origin :{REF}" in " ".join(found.notes)
    found.append(note(other, "apply"))
    assert kinds(ledger(one)) == ["note"]
    assert ledger(one).verify().defects == ()
    assert refs(bare) == [REF]


def test_of_a_stop_with_contradictions_the_holds_count(two) -> None:
    """An outcome of a write that was never announced would be a defect of the ledger."""
    _, one, other = two
    hold, begun, intent, outcome, _ = stop_of(one, "1001")
    wrong = dataclasses.replace(intent, data={**intent.data, "digest": "e" * 64})
    leave(one, [hold, begun, wrong, outcome])
    found = ledger(other)
    assert kinds(found) == ["hold"]
    found.append(note(other, "apply"))
    assert ledger(one).verify().defects == ()


def test_a_ref_with_the_run_of_an_apply_takes_nothing_into_that_run(two) -> None:
    _, one, other = two
    ledger(one).append(note(one, RUN))
    leave(one, stop_of(one, "1001"))
    found = ledger(other)
    assert kinds(found) == ["note"]
    assert "the ledger holds other records of the same run" in " ".join(found.notes)


def test_too_many_stops_are_an_error_because_one_of_them_may_hold_something(
    two, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, one, other = two
    monkeypatch.setattr(waiting, "REFS_LIMIT", 1)
    for name in ("first", "second"):
        leave(one, stop_of(one, "1001", name=name), name=name)
    with pytest.raises(LedgerError, match="there are 2 refs"):
        ledger(other)


# --- signatures -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return signer(tmp_path_factory.mktemp("keys"), "ours")


@pytest.mark.parametrize("signed", [True, False])
def test_without_a_signature_a_hold_counts_without_the_body_that_later_plans_would_compare_with(
    two, ours: Signer, *, signed: bool
) -> None:
    _, one, other = two
    leave(one, stop_of(one, "1001"), key=ours.key if signed else None)
    found = ledger(other, signers=ours.file, signing_key=ours.key)
    hold = found.records()[0]
    assert kinds(found) == WHOLE
    assert ("body" in hold.data, hold.data.get("unsigned", False)) == (signed, not signed)
    marks = [each.data.get("unsigned", False) for each in found.records()]
    assert marks == [not signed] * len(WHOLE), "anybody may have made up an unsigned stop"
    assert ("an unsigned stop holds 1001" in " ".join(found.notes)) == (not signed)
    found.append(note(other, "apply"))
    again = ledger(one, signers=ours.file, required=True)
    assert kinds(again) == [*WHOLE, "note"]
    assert (again.verify().defects, again.notes) == ((), ())


def test_an_unsigned_outcome_names_no_schedule_of_ours(two, ours: Signer) -> None:
    """A stored id would make a later plan take what is stored for our own last write."""
    _, one, other = two
    hold, begun, intent, _, _ = stop_of(one, "1001")
    made = run(one.head(), RUN)
    leave(
        one, [hold, begun, intent, made.outcome(intent, Result.DELETED, audit={}, schedule_id="7")]
    )
    assert kinds(ledger(other, signers=ours.file)) == ["hold", "open", "intent"]
    assert kinds(ledger(other)) == ["hold", "open", "intent", "outcome"]


def test_records_of_a_stop_keep_their_kind_order_and_content(two) -> None:
    _, one, _ = two
    events = stop_of(one, "1001", "1002")
    said = audit.decode_events(audit.encode_events(events), tenant=PLATFORM, run=RUN)
    assert (list(said.events), said.ignored, said.problem) == (events, 0, "")
    assert {each.kind for each in said.events} == {*map(RecordKind, WHOLE)}
