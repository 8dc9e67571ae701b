"""Signatures decide which records count: what somebody without a trusted key pushed is ignored, and never anchored."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import audit
from reconciler.audit import Event, RecordKind
from reconciler.errors import AccessError, LedgerError
from reconciler.git import FILE, Git
from reconciler.git.process import run_process
from reconciler.ledger import IDENTITY, Ledger, LedgerOptions, LedgerSnapshot
from reconciler.plan import Result
from tests.support.bodies import make_body
from tests.support.factories import make_desired
from tests.support.gitfakes import (
    ENVIRON,
    PLATFORM,
    START,
    WHO,
    commit,
    git,
    opened,
    operation,
    repository,
    run,
    shared,
    story,
)
from tests.support.signing import Signer

NOTES = f"refs/notes/reconcile/{PLATFORM}"


def signed(repo: Git, who: Signer, *, trust: bytes | None = None, **more) -> Ledger:
    """Return the ledger of a clone that signs with a key, and trusts its signer or others."""
    remote = more.pop("remote", None)
    options = LedgerOptions(signing_key=who.key, signers=trust or who.file, required=True, **more)
    return opened(repo, remote=remote, options=options)


def reading(repo: Git, trust: bytes, **more) -> Ledger:
    """Return the ledger of a clone that has no key."""
    return opened(repo, options=LedgerOptions(signers=trust, required=True), **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, ours: Signer) -> Path:
    """Return a repository with a signed ledger: one run that went well, and a hold."""
    repo = repository(tmp_path_factory.mktemp("made") / "repo")
    signed(repo, ours).append(
        [
            *story(run(repo.head()), [operation("1001")]),
            run(repo.head(), "halt").hold("1001", name="n", reason="stop"),
        ]
    )
    return repo.root


@pytest.fixture
def repo(made: Path, tmp_path: Path) -> Git:
    """Return a copy of `made`."""
    return Git(shutil.copytree(made, tmp_path / "repo"), environ=ENVIRON)


def release(repo: Git) -> list[Event]:
    return [run(repo.head(), "forged").release("1001", name="n", reason="dial again")]


def base(repo: Git) -> list[Event]:
    """Another commit judges the next change."""
    weak = commit(repo.root, "weak rules")
    forged = run(weak, "forged")
    return [
        forged.open(digest="d" * 64, operations=0, tool="t", ledger=None, applied=None),
    ]


def note(repo: Git) -> list[Event]:
    """An object was found as its manifest says, so that what somebody narrowed is held no longer."""
    return [run(repo.head(), "forged").found(make_desired(body=make_body(dial_rate=99.0)), START)]


def intent(repo: Git) -> list[Event]:
    """An open intent, which the next run would settle as its own."""
    return story(run(repo.head(), "forged"), [operation("1002")])[:2]


FORGERIES: dict[str, Callable[[Git], list[Event]]] = {
    "1 release": release,
    "1 open": base,
    "1 note": note,
    "1 intent, 1 open": intent,
}


@pytest.mark.parametrize("signers", [True, False])
@pytest.mark.parametrize("late", [True, False])
def test_an_earlier_reading_saves_decoding_and_changes_nothing_that_counts(
    repo, ours, *, signers, late
):
    """A stop reads this clone's copy of the ledger without its signers, and then the remote's with them."""

    def known() -> LedgerSnapshot:
        return reading(repo, ours.file).snapshot if signers else opened(repo).snapshot

    early = known()
    opened(repo).append(intent(repo))
    plain = reading(repo, ours.file)
    before = known() if late else early
    options = LedgerOptions(signers=ours.file, required=True, known=before)
    again = opened(repo, options=options)
    assert again.records() == plain.records()
    assert again.notes == plain.notes != ()


@pytest.mark.parametrize("said", FORGERIES)
def test_a_forged_record_counts_for_nothing_and_no_honest_run_anchors_it(repo, ours, said):
    before = reading(repo, ours.file)
    opened(repo).append(FORGERIES[said](repo))
    after = reading(repo, ours.file)
    assert after.records() == before.records()
    assert (after.last_applied(), after.open_intents()) == (before.last_applied(), ())
    assert f"({said})" in after.notes[0]
    honest = signed(repo, ours)
    honest.append([run(repo.head(), "next").note("honest")])
    again = reading(repo, ours.file)
    assert again.notes == ()
    kinds = [each.kind for each in again.records()[len(before.records()) :]]
    assert kinds == [RecordKind.NOTE, RecordKind.NOTE]
    verdict = again.verify()
    assert verdict.defects == ()
    assert verdict.witnesses == ("signatures",)
    assert f"({said})" in verdict.remarks[0]


def test_a_record_that_a_forger_wrote_first_keeps_nobody_from_recording_it(repo, ours):
    """Ids are known in advance: an intent under one of them, with another content, must block no apply."""
    events = story(run(repo.head(), "next"), [operation("1002")])
    forged = [
        dataclasses.replace(each, data={**each.data, "verb": "retire", "body": None})
        if each.kind is RecordKind.INTENT
        else each
        for each in events[:2]
    ]
    opened(repo).append(forged)
    written = signed(repo, ours).append(events)
    assert [each.event for each in written] == events
    again = reading(repo, ours.file)
    again.check()
    assert set(audit.applied(again.records())) == {"1001", "1002"}
    assert again.verify().defects == ()


@pytest.mark.parametrize("key", [None, "theirs"])
def test_a_hold_counts_without_a_trusted_signature_and_narrows_only(repo, ours, theirs, key):
    hold = run(repo.head(), "night").hold("1002", name="m", reason="calls", body={"dial_rate": 99})
    options = LedgerOptions(signing_key=theirs.key if key else None, stop=True)
    opened(repo, options=options).append([hold, *release(repo)])
    after = reading(repo, ours.file)
    holds = audit.holds(after.records(), now=START)
    assert set(holds) == {"1001", "1002"}
    assert "body" not in holds["1002"].data
    assert "an unsigned stop holds 1002" in after.notes[1]
    signed(repo, ours).append([run(repo.head(), "next").note("honest")])
    again = reading(repo, ours.file)
    assert audit.holds(again.records(), now=START)["1002"].data["unsigned"] is True
    assert again.notes == ()
    assert again.verify().defects == ()


def test_a_hold_that_a_further_unsigned_commit_drops_still_counts(repo, ours):
    anchor = git(repo.root, "rev-parse", NOTES)
    hold = run(repo.head(), "night").hold("1002", name="m", reason="calls")
    opened(repo, options=LedgerOptions(stop=True)).append([hold])
    tip = git(repo.root, "rev-parse", NOTES)
    dropped = git(repo.root, "commit-tree", f"{anchor}^{{tree}}", "-p", tip, stdin=b"drop\n")
    git(repo.root, "update-ref", NOTES, dropped)
    assert set(audit.holds(reading(repo, ours.file).records(), now=START)) == {"1001", "1002"}


def test_a_forged_hold_in_a_run_of_ours_breaks_no_chain(repo, ours):
    forged = [
        run(repo.head(), "run-1").hold("1002", name="m", reason="x"),
        run(commit(repo.root, "more"), "run-1").hold("1003", name="m", reason="x"),
    ]
    opened(repo).append(forged)
    honest = signed(repo, ours)
    honest.append([run(repo.head(), "next").note("honest")])
    honest.check()
    again = reading(repo, ours.file)
    assert set(audit.holds(again.records(), now=START)) == {"1001", "1002", "1003"}
    assert again.verify().defects == ()


def test_records_that_nobody_can_read_block_nobody(repo, ours):
    before = reading(repo, ours.file).records()
    tip = git(repo.root, "rev-parse", NOTES)
    blob = git(repo.root, "hash-object", "-w", "--stdin", stdin=b"no record\n")
    head = repo.head()
    for name in (f"{head[:2]}/{head[2:]}", head):
        tree = git(repo.root, "write-tree")
        entries = {head[:2]: ("40000", repo.make_tree({head[2:]: (FILE, blob)}))}
        tree = repo.make_tree(entries if "/" in name else entries | {head: (FILE, blob)})
        tip = git(repo.root, "commit-tree", tree, "-p", tip, stdin=b"bad\n")
        git(repo.root, "update-ref", NOTES, tip)
        after = reading(repo, ours.file)
        assert after.records() == before
        assert "unreadable" in after.notes[0]
    signed(repo, ours).append([run(head, "next").note("honest")])
    assert len(reading(repo, ours.file).records()) == len(before) + 2


def test_what_an_untrusted_signer_signed_counts_for_nothing(repo, ours, theirs):
    before = reading(repo, ours.file).records()
    signed(repo, theirs, trust=theirs.file + ours.file).append(release(repo))
    after = reading(repo, ours.file)
    assert after.records() == before
    assert "(1 release)" in after.notes[0]
    assert len(reading(repo, theirs.file).records()) == len(before) + 1


def test_a_key_that_nobody_trusts_records_nothing(repo, ours, theirs):
    before = git(repo.root, "for-each-ref")
    ledger = signed(repo, theirs, trust=ours.file)
    for write in (lambda: ledger.append(release(repo)), lambda: ledger.lock.acquire(holder="me")):
        with pytest.raises(AccessError, match="RECONCILE_SIGNING_KEY is not the key of a trusted"):
            write()
    assert git(repo.root, "for-each-ref") == before


def test_a_ledger_that_was_replaced_by_an_unsigned_one_is_refused(repo, ours):
    git(repo.root, "update-ref", "-d", NOTES)
    opened(repo).append(release(repo))
    with pytest.raises(
        LedgerError, match="no commit of this ledger has a good signature"
    ) as caught:
        reading(repo, ours.file)
    assert f"audit vouch PATH --head {git(repo.root, 'rev-parse', NOTES)}" in str(caught.value)
    stop = LedgerOptions(signers=ours.file, required=True, stop=True)
    hold = run(repo.head(), "night").hold("1002", name="m", reason="calls")
    assert opened(repo, options=stop).append([hold])


def test_vouching_makes_the_records_count_that_stand_at_exactly_that_head(repo, ours, theirs):
    opened(repo).append(intent(repo))
    head = git(repo.root, "rev-parse", NOTES)
    vouch = {"by": WHO}
    with pytest.raises(LedgerError, match="the ledger's head is"):
        signed(repo, ours).vouch("0" * 40, "read it", **vouch)
    with pytest.raises(AccessError, match="RECONCILE_SIGNING_KEY"):
        signed(repo, theirs, trust=ours.file).vouch(head, "read it", **vouch)
    assert git(repo.root, "rev-parse", NOTES) == head
    record = signed(repo, ours).vouch(head, "read it", **vouch)
    assert record.data["text"] == f"vouched for the ledger at {head}: read it"
    again = reading(repo, ours.file)
    assert (again.notes, len(again.open_intents())) == ((), 1)
    verdict = again.verify()
    assert verdict.defects == ()
    assert verdict.remarks == (record.data["text"],)


def test_the_run_that_turns_signing_on_takes_the_records_as_they_stand(tmp_path, ours):
    repo = repository(tmp_path / "repo")
    opened(repo).append(story(run(repo.head()), [operation()]))
    first = LedgerOptions(signing_key=ours.key, signers=ours.file)
    opened(repo, options=first).append([run(repo.head(), "on").note("signed")])
    opened(repo).append(release(repo))
    after = opened(repo, options=first)
    assert len(after.records()) == 5
    assert "(1 release)" in after.notes[0]
    signed(repo, ours).append([run(repo.head(), "next").note("honest")])
    verdict = reading(repo, ours.file).verify()
    assert verdict.defects == ()
    assert verdict.remarks[0].startswith("signed from ledger commit ")


def test_verify_names_unsigned_commits_that_nobody_rejected_or_vouched_for(repo, ours):
    opened(repo).append(release(repo))
    tip = git(repo.root, "rev-parse", NOTES)
    assert [each.problem for each in reading(repo, ours.file).verify().defects] == [
        f"ledger commit {tip} has no good signature"
    ]
    blind = LedgerOptions(signing_key=ours.key)  # an honest key, and nobody looked below
    opened(repo, options=blind).append([run(repo.head(), "next").note("honest")])
    assert [each.problem for each in reading(repo, ours.file).verify().defects] == [
        f"ledger commit {tip} has no good signature"
    ]


def test_commits_of_a_former_key_between_two_signers_are_told_and_no_defect(repo, ours, theirs):
    both = ours.file + theirs.file
    for number, who in enumerate((ours, theirs, ours)):
        signed(repo, who, trust=both).append([run(repo.head(), f"n{number}").note("honest")])
    found = reading(repo, ours.file).verify()
    assert found.defects == ()
    assert any("signed by a key that is no longer trusted" in each for each in found.remarks)
    signed(repo, theirs, trust=both).append([run(repo.head(), "last").note("honest")])
    tip = git(repo.root, "rev-parse", NOTES)
    assert [each.problem for each in reading(repo, ours.file).verify().defects] == [
        f"ledger commit {tip} has no good signature"
    ], "nobody accepted the newest one"


def test_a_rejection_stands_when_the_key_that_signed_it_was_replaced(repo, ours, theirs):
    opened(repo).append(release(repo))
    signed(repo, ours).append([run(repo.head(), "old").note("honest")])
    both = ours.file + theirs.file
    signed(repo, theirs, trust=both).append([run(repo.head(), "new").note("honest")])
    found = reading(repo, theirs.file).verify()
    assert found.defects == ()
    assert found.witnesses == ("signatures",)
    assert any(each.startswith("rejected: 1 record") for each in found.remarks)


def test_a_rejection_hides_nothing_that_was_signed(repo, ours):
    """A forger who claims that honest commits were rejected is found by the signatures of those."""
    anchor = git(repo.root, "rev-parse", NOTES)
    signed(repo, ours).append([run(repo.head(), "next").note("honest")])
    tip = git(repo.root, "rev-parse", NOTES)
    git(repo.root, "update-ref", NOTES, anchor)
    claim = run(repo.head(), "forged").note("rejected: nothing to see")
    claim = dataclasses.replace(claim, data={**claim.data, "rejects": tip, "restores": anchor})
    opened(repo).append([claim])
    forged = git(repo.root, "rev-parse", f"{NOTES}^{{tree}}")
    message = git(repo.root, "log", "-1", "--format=%s", NOTES)
    made = git(repo.root, "commit-tree", forged, "-p", tip, stdin=f"{message}\n".encode())
    git(repo.root, "update-ref", NOTES, made)
    assert reading(repo, ours.file).records()[-1].event.data["text"] == "honest"
    problems = " ".join(each.problem for each in reading(repo, ours.file).verify().defects)
    assert "changed, moved or dropped" in problems
    assert f"{made} has no good signature" in problems


def test_a_signed_commit_that_is_no_ledger_commit_is_no_ledger(repo, ours):
    """The same key may sign the sources, whose folders may hold what looks like notes."""
    tree = git(repo.root, "rev-parse", f"{NOTES}^{{tree}}")
    source = repo.commit_tree(
        tree,
        parents=[],
        message="merge\n",
        identity=IDENTITY,
        at=START,
        signing_key=ours.key,
    )
    git(repo.root, "update-ref", NOTES, source)
    with pytest.raises(LedgerError, match="is not a ledger commit"):
        reading(repo, ours.file)


def test_a_signature_of_another_kind_is_none(repo, ours, tmp_path):
    """What the user's OpenPGP keyring trusts is no signer of a ledger."""
    program = tmp_path / "gpg"
    said = (
        "[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG 0123456789ABCDEF x\\n[GNUPG:] TRUST_ULTIMATE 0 pgp\\n"
    )
    program.write_text(f"#!/bin/sh\nprintf '{said}'\n")
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[gpg]\n\tprogram = {program}\n")
    raw = repo.read(git(repo.root, "rev-parse", NOTES)).popitem()[1]
    head, _, _ = raw.partition(b"gpgsig ")
    pgp = b"-----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nforged\n"
    forged = git(
        repo.root, "hash-object", "-t", "commit", "-w", "--stdin", stdin=head + b"gpgsig " + pgp
    )
    git_ = Git(repo.root, environ=ENVIRON | {"HOME": str(home)})
    assert git_.text("log", "-1", "--format=%G?", forged) == "G"
    assert not git_.signatures(forged, ours.file)[forged].good


def test_one_signature_is_checked_however_long_the_ledger_is(repo, ours):
    ran: list[str] = []

    def counted(argv, **more):
        ran.append(" ".join(argv))
        return run_process(argv, **more)

    counts = []
    for _ in range(2):
        ran.clear()
        reading(Git(repo.root, environ=ENVIRON, runner=counted), ours.file)
        counts.append(len(ran))
        assert sum(" log " in each for each in ran) == 1
        assert any("--max-count=1" in each for each in ran)
        writer = signed(repo, ours)
        for number in range(4):
            writer.append([run(repo.head(), f"more-{number}").note("more")])
    assert counts[0] == counts[1]


def test_a_ledger_that_was_deleted_is_refused_where_signatures_are_required_but_by_no_stop(
    tmp_path, ours
):
    _, (one,) = shared(tmp_path)
    asked = LedgerOptions(signers=ours.file, required=True, demanded=True)
    with pytest.raises(
        LedgerError, match="does not exist in origin, although the parent of HEAD requires"
    ):
        opened(one, remote="origin", options=asked)
    stop = dataclasses.replace(asked, stop=True)
    assert opened(one, remote="origin", options=stop).records() == ()


def test_a_mirror_that_is_ahead_without_a_trusted_signature_proves_nothing(tmp_path, ours):
    bare, (one, two) = shared(tmp_path, clones=2)
    signed(one, ours, remote="origin").append(story(run(one.head()), [operation("1001")]))
    mirror = f"refs/heads/reconcile-audit/{PLATFORM}"
    head = git(bare, "rev-parse", NOTES)
    stray = git(bare, "commit-tree", f"{head}^{{tree}}", "-p", head, stdin=b"stray\n")
    git(bare, "update-ref", mirror, stray)
    for number in range(2):
        writer = signed(one, ours, remote="origin")
        assert "they prove nothing" in writer.notes[0]
        with writer.locked(holder="me"):
            writer.append([run(one.head(), f"next-{number}").note("honest")])
    assert git(bare, "rev-parse", mirror) == stray
    git(bare, "update-ref", mirror, git(bare, "rev-parse", NOTES))
    git(bare, "update-ref", NOTES, head)
    back = reading(two, ours.file, remote="origin")
    with pytest.raises(LedgerError, match="was rolled back"):
        back.lock.acquire(holder="two")


def test_results_that_settle_a_forged_intent_are_never_asked_for(repo, ours):
    """Settling goes by what counts: an open intent above the last signature is no write of ours."""
    begun, forged = intent(repo)
    opened(repo).append([begun, forged])
    assert reading(repo, ours.file).open_intents() == ()
    settled = run(repo.head(), "forged-2").outcome(forged, Result.UPDATED, audit={})
    opened(repo).append([settled])
    assert set(audit.applied(reading(repo, ours.file).records())) == {"1001"}
