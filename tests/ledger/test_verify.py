"""Tampering: whoever may push the ledger can rewrite it, and must be found out. Honest ledgers raise no alarm."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import audit
from reconciler.audit import Record, Verdict
from reconciler.git import FILE, Git, Identity
from reconciler.ledger import LedgerOptions
from reconciler.plan import Result
from tests.support import history
from tests.support.gitfakes import (
    ENVIRON,
    PLATFORM,
    START,
    Clock,
    commit,
    git,
    opened,
    operation,
    repository,
    run,
)

NOTES = f"refs/notes/reconcile/{PLATFORM}"
FORGER = Identity("reconcile", "reconcile@localhost")

Notes = dict[str, list[bytes]]
"""Lines of each note, by the commit that carries it."""


def honest(repo: Git, chance: random.Random) -> None:
    """Fill a ledger as runs do: in batches, on one commit after another, some of them killed half way."""
    where = repo.head()
    for number in range(chance.randint(2, 4)):
        if chance.random() < 0.6:
            where = commit(repo.root, f"change {number}")
        maker = run(where, f"run-{number}")
        ledger = opened(repo)
        operations = [operation(str(100 * number + each)) for each in range(chance.randint(1, 3))]
        intents = [maker.intent(each, digest="d" * 64, generation=0) for each in operations]
        ledger.append(
            [
                maker.open(
                    digest="d" * 64,
                    operations=len(operations),
                    tool="reconcile 1",
                    ledger=ledger.head,
                    applied=ledger.last_applied(),
                ),
                *intents,
            ]
        )
        for intent, each in zip(intents, operations, strict=True):
            if chance.random() < 0.9:
                ledger.append([maker.outcome(intent, Result.UPDATED, audit=each.audit)])
        if chance.random() < 0.8:
            ledger.append([maker.close({"planned": len(operations)})])


def lines_of(repo: Git) -> Notes:
    return {
        commit_id: [audit.encode(each) for each in page.records]
        for commit_id, page in opened(repo).snapshot.notes.items()
    }


def forge(repo: Git, notes: Notes, *, parents: list[str] | None = None, message: str = "") -> None:
    """Make `notes` the ledger, as somebody would who knows the format and may push."""
    blobs = {each: repo.write_blob(b"".join(lines)) for each, lines in notes.items()}
    folders: dict[str, dict[str, tuple[str, str]]] = {}
    for each, blob in blobs.items():
        folders.setdefault(each[:2], {})[each[2:]] = (FILE, blob)
    tree = repo.make_tree({n: ("40000", repo.make_tree(e)) for n, e in folders.items()})
    head = git(repo.root, "rev-parse", NOTES)
    made = repo.commit_tree(
        tree,
        parents=[head] if parents is None else parents,
        message=message or git(repo.root, "log", "-1", "--format=%B", NOTES) + "\n",
        identity=FORGER,
        at=START,
    )
    git(repo.root, "update-ref", NOTES, made)


def rehashed(line: bytes, **changes: object) -> bytes:
    """Return a record's line with other content and the right hash for it."""
    ((record,), _) = audit.decode("", line)
    header = {name: changes.pop(name) for name in ("seq", "n", "prev") if name in changes}
    event = dataclasses.replace(record.event, data={**record.data, **changes})
    bare = dataclasses.replace(record, event=event, id=event.id, **header)
    return audit.encode(dataclasses.replace(bare, h=audit.records.digest_of(bare)))


def parsed(line: bytes) -> Record:
    return audit.decode("", line)[0][0]


# --- kinds of tampering: each changes the notes, and gets a place to do it ---------------------------------------------------------

Tamper = Callable[[Notes, str, int], None]


def edit(notes: Notes, note: str, at: int) -> None:
    notes[note][at] = notes[note][at].replace(
        b'"tenant":"campaigns/acme', b'"tenant":"campaigns/acmf'
    )


def edit_well(notes: Notes, note: str, at: int) -> None:
    notes[note][at] = rehashed(notes[note][at], actor="nobody")


def drop(notes: Notes, note: str, at: int) -> None:
    del notes[note][at]


def drop_the_end(notes: Notes, note: str, at: int) -> None:
    last = max((parsed(ls[-1]).seq, each) for each, ls in notes.items())[1]
    notes[last].pop()
    if not notes[last]:
        del notes[last]


def drop_a_note(notes: Notes, note: str, at: int) -> None:
    del notes[note]


def drop_a_run(notes: Notes, note: str, at: int) -> None:
    name = parsed(notes[note][at]).event.run
    notes[note] = [each for each in notes[note] if parsed(each).event.run != name]
    if not notes[note]:
        del notes[note]


def swap(notes: Notes, note: str, at: int) -> None:
    other = (at + 1) % len(notes[note])
    notes[note][at], notes[note][other] = notes[note][other], notes[note][at]


def repeat(notes: Notes, note: str, at: int) -> None:
    notes[note].insert(at, notes[note][at])


def insert(notes: Notes, note: str, at: int) -> None:
    notes[note].insert(at, rehashed(notes[note][at], generation=7, text="forged", target="forged"))


def move(notes: Notes, note: str, at: int) -> None:
    notes.setdefault("f" * len(note), []).append(notes[note].pop(at))


def cut(notes: Notes, note: str, at: int) -> None:
    notes[note][-1] = notes[note][-1][:-20]


def respace(notes: Notes, note: str, at: int) -> None:
    notes[note][at] = notes[note][at].replace(b'":"', b'": "')


def null(notes: Notes, note: str, at: int) -> None:
    notes[note][at] = b"\0" + notes[note][at]


def remark(notes: Notes, note: str, at: int) -> None:
    notes[note].append(b"\nlooks good to me\n")


def forge_an_outcome(notes: Notes, note: str, at: int) -> None:
    """Add, at the very end, an approval-looking outcome that no intent announced, chained as it should be."""
    last = max((parsed(ls[-1]) for ls in notes.values()), key=lambda each: each.seq)
    maker = run(last.event.commit, "forger")
    intent = maker.intent(operation("9"), digest="d" * 64, generation=0)
    outcome = maker.outcome(intent, Result.UPDATED, audit={})
    notes[last.event.commit].append(audit.encode(audit.chain(outcome, None, last.seq + 1)))


TAMPERS: list[Tamper] = [
    edit,
    edit_well,
    drop,
    drop_the_end,
    drop_a_note,
    drop_a_run,
    swap,
    repeat,
    insert,
    move,
    cut,
    respace,
    null,
    remark,
    forge_an_outcome,
]


def tampered(made: Path, folder: Path, tamper: Tamper, seed: int) -> Verdict:
    """Return the verdict on a copy of a ledger after somebody was at it."""
    shutil.copytree(made, folder)
    repo = Git(folder, environ=ENVIRON)
    chance = random.Random(seed)
    notes = lines_of(repo)
    note = chance.choice([each for each, lines in sorted(notes.items()) if len(lines) > 1])
    tamper(notes, note, chance.randrange(len(notes[note])))
    forge(repo, notes)
    return opened(repo, options=LedgerOptions(unchecked=True)).verify()


def many(folder: Path, seeds: range) -> list[Path]:
    """Return honest ledgers, each of which verified."""
    for seed in seeds:
        repo = repository(folder / str(seed))
        honest(repo, random.Random(seed))
        verdict = opened(repo, options=LedgerOptions(unchecked=True)).verify()
        assert verdict.defects == (), f"seed {seed}"
    return [folder / str(seed) for seed in seeds]


@pytest.fixture(scope="module")
def few_ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return many(tmp_path_factory.mktemp("few"), range(3))


@pytest.fixture(scope="module")
def fifty_ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return many(tmp_path_factory.mktemp("fifty"), range(100, 150))


def assert_found(ledgers: list[Path], folder: Path, tamper: Tamper) -> None:
    for seed, made in enumerate(ledgers):
        verdict = tampered(made, folder / str(seed), tamper, seed)
        assert str(verdict).startswith("not consistent: note of "), f"{made}, seed {seed}"


@pytest.mark.parametrize("tamper", TAMPERS)
def test_tampering_is_found_and_named(few_ledgers, tmp_path, tamper):
    assert_found(few_ledgers, tmp_path, tamper)


@pytest.mark.long
@pytest.mark.parametrize("tamper", TAMPERS)
def test_every_kind_of_tampering_is_found_in_fifty_ledgers(fifty_ledgers, tmp_path, tamper):
    assert_found(fifty_ledgers, tmp_path, tamper)
    print(f"tampering by {tamper.__name__}: 50 of 50 found and named")


@pytest.mark.long
def test_a_thousand_honest_ledgers_raise_no_alarm(tmp_path):
    assert len(many(tmp_path, range(1000, 2000))) == 1000
    print("honest ledgers: 1000, 0 false alarms")


def test_a_long_story_of_applies_kills_stops_and_releases_is_an_honest_ledger(tmp_path):
    """What tests and measurements take for a long ledger must be one."""
    repo = repository(tmp_path / "r")
    count = history.write(repo.root, history.Story(applies=40).appends())
    verdict = opened(repo, options=LedgerOptions(unchecked=True)).verify()
    assert (verdict.defects, verdict.records) == ((), count)
    kinds = {each.kind.value for each in opened(repo).records()}
    assert kinds == {"open", "intent", "outcome", "close", "hold", "release"}


# --- what only the history tells ---------------------------------------------------------------------------------------------------


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    made = repository(tmp_path / "repo")
    honest(made, random.Random(1))
    return made


def problems(repo: Git) -> str:
    return " ".join(
        str(each) for each in opened(repo, options=LedgerOptions(unchecked=True)).verify().defects
    )


def test_an_edit_that_was_undone_later_is_still_found(repo):
    notes = lines_of(repo)
    note = next(iter(notes))
    kept = notes[note][0]
    notes[note][0] = rehashed(kept, actor="nobody")
    forge(repo, notes)
    notes[note][0] = kept
    forge(repo, notes)
    found = opened(repo, options=LedgerOptions(unchecked=True)).verify().defects
    assert f"note of {note[:12]}, line 1: it was changed, moved or dropped" in str(found[0])


def test_a_drop_that_was_undone_later_is_still_found(repo):
    notes = lines_of(repo)
    note = max(notes, key=lambda each: parsed(notes[each][-1]).seq)
    kept = notes[note].pop()
    forge(repo, notes)
    notes[note].append(kept)
    forge(repo, notes)
    found = opened(repo, options=LedgerOptions(unchecked=True)).verify().defects
    assert f"note of {note[:12]}, line {len(notes[note])}: it was changed" in str(found[0])
    assert found[0].id == parsed(kept).id


@pytest.mark.parametrize("path", ["README", "evil/data.bin", "ab/cd/README"])
def test_a_file_beside_the_notes_is_found_once(repo, path):
    opened(repo).append([run(repo.head(), "later").note("honest")])
    git(repo.root, "read-tree", NOTES)
    blob = git(repo.root, "hash-object", "-w", "--stdin", stdin=b"foreign")
    git(repo.root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    said = git(repo.root, "log", "-1", "--format=%B", NOTES).encode() + b"\n"
    tree = git(repo.root, "write-tree")
    forged = git(repo.root, "commit-tree", tree, "-p", f"{NOTES}^", stdin=said)
    git(repo.root, "update-ref", NOTES, forged)
    opened(repo).append([run(repo.head(), "latest").note("honest, too")])
    (defect,) = opened(repo).verify().defects
    at = path.removesuffix("/data.bin")
    assert defect.problem == f"ledger commit {forged} adds '{at}', which is no part of a ledger"


def test_a_merge_is_not_linear(repo):
    head = opened(repo).head or ""
    other = repo.commit_tree(repo.make_tree({}), parents=(), message="x", identity=FORGER, at=START)
    notes = lines_of(repo)
    forge(repo, notes, parents=[head, other])
    assert "not linear" in problems(repo)


def test_a_ledger_commit_that_adds_nothing_or_names_nothing_is_found(repo):
    forge(repo, lines_of(repo))
    assert "adds nothing" in problems(repo)
    assert "does not name its last record" in problems(repo)


def test_a_ledger_that_was_begun_anew_on_records_of_the_old_one_is_found(repo):
    """The rewrite keeps every record that still verifies by itself, but its runs saw ledgers that are gone."""
    notes = lines_of(repo)
    last = max((parsed(ls[-1]) for ls in notes.values()), key=lambda each: each.seq)
    forge(repo, notes, parents=[], message=f"{last.event.run} {last.h}\n")
    assert "which this ledger does not have" in problems(repo)


def test_an_expected_head_is_a_witness_when_it_is_there(repo):
    ledger = opened(repo)
    old = ledger.head
    ledger.append([run(repo.head(), "more").note("x")])
    verdict = ledger.verify(expect_head=old)
    assert str(verdict) == "consistent, anchored by the expected head"
    assert ledger.verify(expect_head="1" * 40).defects[-1].problem.startswith("it does not hold")


def test_open_intents_are_told_and_are_no_defect(tmp_path):
    repo = repository(tmp_path / "r")
    maker = run(repo.head())
    begun = maker.open(digest="d" * 64, operations=1, tool="t", ledger=None, applied=None)
    opened(repo).append([begun, maker.intent(operation(), digest="d" * 64, generation=0)])
    verdict = opened(repo, options=LedgerOptions(unchecked=True)).verify()
    assert verdict.defects == ()
    assert len(verdict.open_intents) == 1
    assert (verdict.commits, verdict.records, verdict.runs) == (1, 2, 1)


def test_a_note_of_many_versions_is_verified_without_reading_each(tmp_path):
    """The cost of a version is a hash: the history of one note of n lines is not n notes to read."""
    repo = repository(tmp_path / "r")
    ledger = opened(repo, Clock())
    for number in range(30):
        ledger.append([run(repo.head(), "run").note(str(number))])
    assert ledger.verify().commits == 30
    assert ledger.verify().defects == ()
