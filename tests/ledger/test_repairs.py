"""A damaged ledger that somebody looked at: a repair keeps what can be read, says what it cut off, and is verified from there on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler import audit
from reconciler.audit import Attribution, Event, Record, RecordKind
from reconciler.errors import AccessError, LedgerError, TenantLocked
from reconciler.git import Git
from reconciler.ledger import Ledger, LedgerOptions
from reconciler.ledger.notes import Notes
from reconciler.ledger.snapshot import message
from reconciler.ledger.storage import store_checkpoint
from tests.ledger.test_verify import (
    FORGER,
    NOTES,
    PLATFORM,
    TAMPERS,
    Tamper,
    few_ledgers,
    forge,
    lines_of,
    remark,
    tampered,
)
from tests.support.gitfakes import ENVIRON, START, git, opened, operation, repository, run, story
from tests.support.signing import Signer

__all__ = ["few_ledgers"]

ANYHOW = LedgerOptions(unchecked=True)
BY = Attribution(actor="ada")


def repaired(repo: Git, options: LedgerOptions = ANYHOW) -> Ledger:
    ledger = opened(repo, options=options)
    found = ledger.verify()
    ledger.lock.acquire(holder="ada")
    ledger.repair(found.head or "", len(found.defects), "seen", by=BY)
    ledger.lock.release()
    return ledger


def ids(records: Iterable[Record]) -> set[str]:
    return {each.id for each in records}


def hold(repo: Git, name: str, target: str = "1001") -> Event:
    return run(repo.head(), name).hold(target, name=target, reason="complaints")


def dropped(ledger: Ledger) -> int:
    return int(ledger.records()[-1].data["cut"]["dropped"])


def held(ledger: Ledger) -> set[str]:
    return set(audit.holds(ledger.records(), now=START))


def push_checkpoint(repo: Git, kept: Iterable[Record]) -> None:
    """Begin a segment whose state is the selection of some records only, as somebody would who knows the format."""
    snapshot = opened(repo).snapshot
    record, tree, _, _ = store_checkpoint(repo, Notes(repo), snapshot, START, (tuple(kept), {}))
    said = message(record)
    made = repo.commit_tree(
        tree, parents=[str(snapshot.head)], message=said, identity=FORGER, at=START
    )
    git(repo.root, "update-ref", NOTES, made)


def go_on(repo: Git, name: str) -> None:
    """Apply once more, and begin a further segment."""
    ledger = opened(repo)
    ledger.lock.acquire(holder="x")
    ledger.append(story(run(repo.head(), name), [operation(f"{name}-{each}") for each in range(3)]))
    assert ledger.begin_segment()
    ledger.lock.release()


@pytest.fixture
def segmented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """A repository with a ledger in which each apply begins a segment, after the first apply."""
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 1)
    repo = repository(tmp_path / "repo")
    go_on(repo, "one")
    return repo


@pytest.mark.parametrize("tamper", TAMPERS)
def test_after_a_repair_of_any_damage_the_ledger_is_verified_from_there_on(
    few_ledgers: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tamper: Tamper
) -> None:
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 1)
    honest = opened(Git(few_ledgers[0], environ=ENVIRON)).records()
    found = tampered(few_ledgers[0], tmp_path / "r", tamper, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    ledger = repaired(repo)
    assert ids(audit.compact(honest)) <= ids(ledger.records()), "all of it can still be read"
    cut = ledger.head
    whole = ledger.verify()
    assert whole.defects, "anybody who may push can claim a repair"
    assert "No trusted signer signed that, so the whole ledger was verified" in whole.remarks[0]
    assert f"--expect-cut {cut}" in whole.remarks[0]
    verdict = ledger.verify(expect_cut=cut)
    assert verdict.defects == ()
    assert "only since the repair on" in str(verdict)
    assert (verdict.commits, verdict.records) == (1, 1)
    (said,) = verdict.remarks
    assert f"{len(found.defects)} defects up to ledger commit {found.head} acknowledged, " in said
    assert "by ada" in said
    for name in ("later", "latest"):
        go_on(repo, name)
        verdict = opened(repo).verify(expect_head=found.head, expect_cut=cut)
        assert verdict.defects == ()
        assert verdict.remarks == (said,)
    git(repo.root, "notes", f"--ref={NOTES}", "append", "-m", "again", next(iter(lines_of(repo))))
    assert opened(repo, options=ANYHOW).verify(expect_cut=cut).defects


def test_a_repair_that_is_not_there_is_a_defect(few_ledgers: list[Path], tmp_path: Path) -> None:
    tampered(few_ledgers[0], tmp_path / "r", remark, 0)
    ledger = repaired(Git(tmp_path / "r", environ=ENVIRON))
    problem = f"its newest repair is not ledger commit {'1' * 40}"
    assert ledger.verify(expect_cut="1" * 40).defects[-1].problem == problem


@pytest.mark.parametrize("lines", [b"not a record\n", b""])
def test_a_state_that_was_changed_by_hand_gets_a_verdict_and_is_restored_by_a_repair(
    segmented: Git, lines: bytes
) -> None:
    repo = segmented
    go_on(repo, "two")
    before = opened(repo).records()
    forge_state(repo, lines)
    with pytest.raises(LedgerError, match="state"):
        opened(repo)
    found = opened(repo, options=ANYHOW).verify()
    assert "its state is not the selection of the records before it, from line 1" in str(found)
    ledger = repaired(repo)
    assert ledger.records()[:-1] == audit.compact(before)
    assert ledger.records()[-1].data["cut"]["dropped"] == 0
    assert ledger.verify(expect_cut=ledger.head).defects == ()


def test_a_write_of_a_state_that_was_changed_by_hand_is_not_kept(segmented: Git) -> None:
    """It has no hash of its own, so a higher rate in it must not become the base of the next plan."""
    repo = segmented
    go_on(repo, "two")
    state = opened(repo).snapshot.state
    assert state is not None
    writes = [each for each in state.records if each.kind is RecordKind.WRITE]
    assert writes
    lines = b"".join(map(audit.encode, state.records))
    forge_state(repo, lines.replace(b'"dial_rate":', b'"dial_rate":9'), parents=[])
    ledger = repaired(repo)
    assert not {each.id for each in writes} & {each.id for each in ledger.records()}
    assert ledger.records()[-1].data["cut"]["dropped"] == len(writes)


@pytest.mark.parametrize("lines", [b"not a record\n", b""])
def test_a_repair_counts_each_record_of_a_state_that_is_lost(segmented: Git, lines: bytes) -> None:
    repo = segmented
    go_on(repo, "two")
    lost = opened(repo).snapshot.tail[0].data["records"]
    forge_state(repo, lines, parents=[])
    ledger = repaired(repo)
    assert lost > 1
    assert ledger.records()[-1].data["cut"]["dropped"] == lost


def test_a_rollback_to_before_a_repair_is_found_by_the_ref_of_the_segment_that_it_closed(
    few_ledgers: list[Path], tmp_path: Path
) -> None:
    tampered(few_ledgers[0], tmp_path / "r", remark, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    ledger = repaired(repo)
    git(
        repo.root, "update-ref", f"refs/notes/reconcile-closed/{PLATFORM}/000001-{'1' * 12}", "HEAD"
    )
    assert ledger.verify(expect_cut=ledger.head).defects == (), "before the repair: looked at"
    git(repo.root, "update-ref", NOTES, f"{NOTES}^")
    found = opened(repo, options=ANYHOW).verify().defects
    assert sum("after which this ledger begins no segment" in str(each) for each in found) >= 1


def test_a_ledger_that_was_rolled_back_to_the_end_of_a_segment_goes_on_beside_the_ref_of_that_segment(
    segmented: Git,
) -> None:
    repo = segmented
    git(repo.root, "update-ref", NOTES, f"{NOTES}^")
    found = opened(repo, options=ANYHOW).verify()
    (stray,) = found.defects
    ref = f"refs/notes/reconcile-closed/{PLATFORM}/000001-{str(found.head)[:12]}"
    assert f"git update-ref -d {ref}" in str(stray)
    ledger = repaired(repo)
    assert ledger.verify(expect_cut=ledger.head).defects == ()
    go_on(repo, "two")
    assert opened(repo).verify(expect_cut=ledger.head).defects == ()


def forge_state(repo: Git, lines: bytes, parents: list[str] | None = None) -> None:
    """Put other lines in place of the state of the newest ledger commit; `parents`: those of the new commit."""
    git(repo.root, "read-tree", NOTES)
    blob = git(repo.root, "hash-object", "-w", "--stdin", stdin=lines)
    git(repo.root, "update-index", "--cacheinfo", f"100644,{blob},state")
    said = git(repo.root, "log", "-1", "--format=%B", NOTES).encode() + b"\n"
    above = [git(repo.root, "rev-parse", f"{NOTES}^")] if parents is None else parents
    tree = git(repo.root, "write-tree")
    forged = git(repo.root, "commit-tree", tree, *(f"-p{each}" for each in above), stdin=said)
    git(repo.root, "update-ref", NOTES, forged)


def test_what_can_be_read_is_kept(few_ledgers: list[Path], tmp_path: Path) -> None:
    tampered(few_ledgers[1], tmp_path / "r", remark, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    before = opened(repo, options=ANYHOW).snapshot.records
    after = repaired(repo).records()
    assert after[:-1] == audit.compact(before)
    assert after[-1].data["cut"]["dropped"] == 2
    assert after[0] == before[0], "tenant.yaml declares it"
    assert tuple(opened(repo).past()) == after


def test_a_second_repair_hides_the_first(few_ledgers: list[Path], tmp_path: Path) -> None:
    tampered(few_ledgers[2], tmp_path / "r", remark, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    repaired(repo)
    first = opened(repo).head
    git(repo.root, "notes", f"--ref={NOTES}", "append", "-m", "again", next(iter(lines_of(repo))))
    ledger = repaired(repo)
    said = ledger.verify(expect_cut=ledger.head).remarks
    assert len(said) == 1
    assert str(first) not in said[0]


def test_a_repair_needs_the_lock_and_the_newest_commit(
    few_ledgers: list[Path], tmp_path: Path
) -> None:
    tampered(few_ledgers[0], tmp_path / "r", remark, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    ledger = opened(repo, options=ANYHOW)
    head = str(ledger.head)
    ledger.lock.acquire(holder="ada")
    with pytest.raises(TenantLocked):
        opened(repo, options=ANYHOW).lock.acquire(holder="bob")
    with pytest.raises(LedgerError, match=f"the ledger's head is {head}, not {'1' * 40}"):
        ledger.repair("1" * 40, 1, "seen", by=BY)
    ledger.lock.release()
    with pytest.raises(ValueError, match="lock"):
        ledger.repair(head, 1, "seen", by=BY)


def test_a_message_that_looks_like_a_repair_hides_nothing(
    few_ledgers: list[Path], tmp_path: Path
) -> None:
    found = tampered(few_ledgers[0], tmp_path / "r", remark, 0)
    repo = Git(tmp_path / "r", environ=ENVIRON)
    forge(repo, lines_of(repo), message=f"cut-1 {'0' * 64}\n")
    assert len(opened(repo, options=ANYHOW).verify().defects) >= len(found.defects)


def test_where_records_are_signed_only_a_trusted_key_repairs(
    tmp_path: Path, ours: Signer, theirs: Signer
) -> None:
    repo = repository(tmp_path / "repo")
    signing = LedgerOptions(signing_key=ours.key, signers=ours.file)
    opened(repo, options=signing).append(story(run(repo.head()), [operation("1001")]))
    opened(repo, options=signing).append(story(run(repo.head(), "two"), [operation("1002")]))
    for key in (theirs.key, None):
        asked = LedgerOptions(unchecked=True, signing_key=key, signers=ours.file)
        ledger = opened(repo, options=LedgerOptions(unchecked=True, signing_key=key))
        ledger.lock.acquire(holder="eve")
        ledger.repair(str(ledger.head), 1, "trust me", by=BY)
        ledger.lock.release()
        verdict = opened(repo, options=asked).verify()
        assert "No trusted signer signed that" in verdict.remarks[0]
        assert verdict.defects, "an unsigned repair hides nothing"
    wrong = opened(
        repo, options=LedgerOptions(unchecked=True, signing_key=theirs.key, signers=ours.file)
    )
    with pytest.raises(AccessError):
        wrong.lock.acquire(holder="eve")


def test_a_repair_above_signed_commits_is_verified_from_there_on(
    ours: Signer, segmented: Git
) -> None:
    repo = segmented
    forge_state(repo, b"")
    signing = LedgerOptions(unchecked=True, signing_key=ours.key, signers=ours.file)
    for key in (signing, ANYHOW):  # a trusted signer repairs, and then somebody without a key
        opened(repo, options=signing).append(story(run(repo.head()), [operation("1001")]))
        opened(repo, options=signing).append(story(run(repo.head(), "two"), [operation("1002")]))
        cut = repaired(repo, key).head
        found = opened(repo, options=signing).verify(expect_cut=cut)
        missing = () if key is signing else (f"ledger commit {cut} has no good signature",)
        assert tuple(each.problem for each in found.defects) == missing


@pytest.mark.parametrize("more", [False, True])
def test_a_hold_that_a_forged_state_leaves_out_holds_after_a_repair(
    segmented: Git, *, more: bool
) -> None:
    """A forged state is no source of a repair: the records before it are."""
    repo = segmented
    opened(repo).append([hold(repo, "stop")])
    before = opened(repo).records()
    push_checkpoint(repo, [each for each in before if each.data.get("target") != "1001"])
    if more:
        go_on(repo, "two")
        go_on(repo, "three")
    assert held(opened(repo)) == set(), "no plan notices"
    ledger = repaired(repo)
    assert held(ledger) == {"1001"}
    assert dropped(ledger) == 0
    assert ledger.verify(expect_cut=ledger.head).defects == ()
    if not more:
        assert ledger.records()[:-1] == audit.compact(before)


def test_a_hold_of_a_state_counts_after_a_repair_though_the_history_was_rewritten(
    segmented: Git,
) -> None:
    repo = segmented
    first = git(repo.root, "rev-list", "--max-parents=0", NOTES)
    opened(repo).append([hold(repo, "stop")])
    push_checkpoint(repo, opened(repo).records())
    state = repo.read_blob(git(repo.root, "rev-parse", f"{NOTES}:state"), limit=10**6)
    forge_state(repo, state, parents=[first])
    ledger = repaired(repo)
    assert held(ledger) == {"1001"}


@pytest.mark.parametrize("how", ["remove", "append"])
def test_a_hold_whose_note_was_damaged_holds_after_a_repair(tmp_path: Path, how: str) -> None:
    """An earlier version of the note holds it."""
    repo = repository(tmp_path / "repo")
    opened(repo).append([hold(repo, "stop")])
    if how == "remove":
        git(repo.root, "notes", f"--ref={NOTES}", "remove", repo.head())
    else:
        ((note, (line,)),) = lines_of(repo).items()
        forge(repo, {note: [line[:-9]]})
    ledger = repaired(repo)
    assert held(ledger) == {"1001"}
    assert dropped(ledger) == 0


def test_a_record_that_somebody_pushed_and_took_back_displaces_no_hold(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo")
    opened(repo).append([hold(repo, "first", "1000")])
    before, tree = lines_of(repo), git(repo.root, "rev-parse", f"{NOTES}^{{tree}}")
    opened(repo).append([run(repo.head(), "forged").release("1000", name="1000", reason="x")])
    forge(repo, before)
    assert git(repo.root, "rev-parse", f"{NOTES}^{{tree}}") == tree
    opened(repo, options=ANYHOW).append([hold(repo, "stop")])
    ledger = repaired(repo)
    assert held(ledger) == {"1000", "1001"}
    assert dropped(ledger) == 1


def test_a_release_that_a_trusted_signer_left_out_ends_no_hold_after_a_repair(
    tmp_path: Path, ours: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 1)
    repo = repository(tmp_path / "repo")
    signing = LedgerOptions(unchecked=True, signing_key=ours.key, signers=ours.file)
    opened(repo, options=signing).append([hold(repo, "stop")])
    opened(repo).append([run(repo.head(), "forged").release("1001", name="1001", reason="x")])
    opened(repo, options=signing).append([hold(repo, "other", "1002")])
    push_checkpoint(repo, opened(repo).records()[-1:])
    opened(repo, options=signing).vouch(git(repo.root, "rev-parse", NOTES), "read in haste", by=BY)
    ledger = repaired(repo, signing)
    assert held(ledger) == {"1001", "1002"}
    assert opened(repo, options=signing).verify().defects == ()
