"""A ledger in a shallow clone: the newest commit is enough to plan and to apply, and what needs the history fetches it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import audit
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger import Ledger, LedgerOptions
from reconciler.ledger.refs import RefNames
from tests.support.gitfakes import (
    PLATFORM,
    clone,
    commit,
    git,
    opened,
    operation,
    run,
    shared,
    story,
)
from tests.support.signing import signer

NAMES = RefNames.of(PLATFORM)


def history(one: Git, length: int) -> Ledger:
    """Return a ledger with so many commits in the remote."""
    ledger = opened(one, remote="origin")
    for number in range(length):
        ledger.append(story(run(one.head(), f"run-{number}"), [operation(str(number % 3))]))
    return ledger


def shallow(bare: Path, to: Path) -> Git:
    return clone(bare, to, "--depth=1")


def commits(repo: Git) -> int:
    return int(git(repo.root, "rev-list", "--count", NAMES.ledger))


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Git]:
    bare, (one,) = shared(tmp_path)
    commit(one.root, "second")
    git(one.root, "push", "-q", "origin", "main")
    return bare, one


def test_a_shallow_clone_gets_the_newest_commit_alone_and_goes_on_from_there(place, tmp_path):
    bare, one = place
    ours = history(one, 4)
    two = shallow(bare, tmp_path / "two")
    ledger = opened(two, remote="origin")
    assert commits(two) == 1
    assert ledger.records() == ours.records()
    with ledger.locked(holder="two"):
        ledger.append(story(run(two.head(), "theirs"), [operation("7")]))
    ours.refresh()
    assert set(audit.applied(ours.records())) == {"0", "1", "2", "7"}
    ours.append([run(one.head(), "later").note("later")])
    ledger.refresh()
    assert commits(two) == 3
    assert ours.verify().defects == ()
    assert git(two.root, "rev-list", "--count", "HEAD") == "1"


def test_a_full_clone_gets_the_history(place, tmp_path):
    bare, one = place
    history(one, 3)
    two = clone(bare, tmp_path / "two")
    opened(two, remote="origin")
    assert commits(two) == 3


def test_verify_fetches_the_history_of_the_ledger_and_not_that_of_the_repository(place, tmp_path):
    bare, one = place
    history(one, 4)
    two = shallow(bare, tmp_path / "two")
    ledger = opened(two, remote="origin")
    assert ledger.verify().commits == 4
    assert commits(two) == 4
    assert git(two.root, "rev-list", "--count", "HEAD") == "1"


def test_a_mirror_that_is_behind_is_no_rollback(place, tmp_path):
    bare, one = place
    ledger = history(one, 2)
    behind = git(bare, "rev-parse", NAMES.mirror)
    ledger.append([run(one.head(), "more").note("more")])
    git(bare, "update-ref", NAMES.mirror, behind)
    two = shallow(bare, tmp_path / "two")
    assert opened(two, remote="origin").notes == ()
    assert commits(two) == 3


def test_a_mirror_that_holds_more_is_seen_in_a_shallow_clone_too(place, tmp_path):
    bare, one = place
    history(one, 3)
    git(bare, "update-ref", NAMES.ledger, f"{NAMES.ledger}~1")
    two = shallow(bare, tmp_path / "two")
    assert "holds commits that the ledger does not" in opened(two, remote="origin").notes[0]


def test_a_rollback_is_seen_from_a_shallow_clone_that_read_the_ledger_before(place, tmp_path):
    bare, one = place
    history(one, 3)
    two = shallow(bare, tmp_path / "two")
    opened(two, remote="origin")
    for ref in (NAMES.ledger, NAMES.mirror):
        git(bare, "update-ref", ref, f"{ref}~1")
    with pytest.raises(LedgerError, match="was rolled back"):
        opened(two, remote="origin")


def test_unsigned_commits_above_the_signed_ones_count_no_more_than_in_a_full_clone(place, tmp_path):
    """At depth 1 nothing below the unsigned commit is here, so it could seem that nothing was ever signed."""
    bare, one = place
    ours = signer(tmp_path, "ours")
    options = LedgerOptions(signing_key=ours.key, signers=ours.file)
    signed = opened(one, remote="origin", options=options)
    signed.append(story(run(one.head(), "signed"), [operation("1")]))
    opened(one, remote="origin").append(story(run(one.head(), "forged"), [operation("2")]))
    two = shallow(bare, tmp_path / "two")
    reader = opened(two, remote="origin", options=LedgerOptions(signers=ours.file))
    assert set(audit.applied(reader.records())) == {"1"}
    assert commits(two) == 2


def test_a_signed_ledger_is_read_at_depth_1(place, tmp_path):
    bare, one = place
    ours = signer(tmp_path, "ours")
    options = LedgerOptions(signing_key=ours.key, signers=ours.file)
    signed = opened(one, remote="origin", options=options)
    for name in ("a", "b"):
        signed.append(story(run(one.head(), name), [operation("1")]))
    two = shallow(bare, tmp_path / "two")
    reader = opened(two, remote="origin", options=LedgerOptions(signers=ours.file))
    assert (commits(two), reader.records()) == (1, signed.records())


def test_a_clone_with_waiting_records_fetches_the_history_that_shows_which_are_recorded(
    place, tmp_path
):
    bare, one = place
    history(one, 3)
    two = shallow(bare, tmp_path / "two")
    git(two.root, "update-ref", f"{NAMES.waiting}/run-9", "HEAD")
    opened(two, remote="origin")
    assert commits(two) == 3


def test_a_clone_of_depth_1_reads_the_records_of_closed_segments_too(place, tmp_path, monkeypatch):
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 1)
    bare, one = place
    ledger = history(one, 2)
    with ledger.locked(holder="one"):
        assert ledger.begin_segment()
    ledger.append([run(one.head(), "more").note("more")])
    whole = list(ledger.past())
    two = shallow(bare, tmp_path / "two")
    reader = opened(two, remote="origin")
    assert commits(two) == 1
    assert list(reader.past()) == whole
    assert [each.seq for each in whole] == list(range(len(whole)))
