"""The ledger in a remote that many clones share: races, refusals, rollbacks, a remote that is not there."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import world
from reconciler.audit import Event
from reconciler.errors import LedgerError, RemoteTimeout, TenantLocked, Unavailable
from reconciler.git import Git
from reconciler.git.process import Ran, run_process
from reconciler.ledger import CHECKPOINTS, TTL_S, Ledger, LedgerOptions
from reconciler.world import here
from tests.support.gitfakes import (
    ENVIRON,
    PLATFORM,
    Clock,
    clone,
    commit,
    git,
    opened,
    operation,
    repository,
    run,
    shared,
    story,
)

NOTES = f"refs/notes/reconcile/{PLATFORM}"
MIRROR = f"refs/heads/reconcile-audit/{PLATFORM}"
LOCK = f"refs/reconcile/lock/{PLATFORM}"
SEEN = f"refs/reconcile/seen/{PLATFORM}"

Shared = tuple[Path, list[Git]]


@pytest.fixture
def three(tmp_path: Path) -> Shared:
    """Return a bare remote and three clones."""
    return shared(tmp_path, clones=3)


def told(run_name: str, where: Git, number: int) -> list[Event]:
    return [run(where.head(), run_name).note(f"line {each}") for each in range(number)]


def ledger(repo: Git, clock: Clock | None = None, **more):
    return opened(repo, clock, remote="origin", **more)


def assert_sound(repo: Git, records: int) -> None:
    verdict = ledger(repo).verify()
    assert verdict.defects == ()
    assert verdict.records == records


# --- refs that name something else than a commit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["origin", None])
@pytest.mark.parametrize("ref", [SEEN, NOTES])
def test_a_ref_of_this_clone_that_names_no_commit_is_named_with_what_to_do(three, ref, where):
    """Git's own words ("merge-base: object … is a blob") name no ref."""
    _, (one, *_) = three
    opened(one, remote=where).append(told("first", one, 1))
    blob = one.write_blob(b"x")
    (Path(one.root) / ".git" / ref).parent.mkdir(parents=True, exist_ok=True)
    (Path(one.root) / ".git" / ref).write_text(
        f"{blob}\n"
    )  # git refuses such a ref below refs/notes
    if where is None and ref == SEEN:
        assert len(opened(one, remote=where).records()) == 1  # only a remote's ledger is compared
        return
    with pytest.raises(LedgerError) as caught:
        opened(one, remote=where).records()
    said = f"{ref} of this clone names a blob, not a commit ({blob}): reconcile did not write that"
    assert said in str(caught.value)
    restore = f"git reflog show {ref}" if where is None else f"git update-ref -d {ref}"
    assert restore in str(caught.value)
    if where is not None:
        git(one.root, *restore.split()[1:])
        assert len(opened(one, remote=where).records()) == 1


@pytest.mark.parametrize("where", ["origin", None])
def test_a_lock_that_is_no_commit_is_a_lock_that_can_be_taken(three, where):
    bare, (one, *_) = three
    at = one.root if where is None else bare
    opened(one, remote=where).append(told("first", one, 1))
    git(at, "update-ref", LOCK, git(at, "rev-parse", "HEAD^{tree}").strip())
    with (
        pytest.raises(TenantLocked, match=r"cannot be read .* is a tree .* reconcile lock release"),
        opened(one, remote=where).locked(holder="me"),
    ):
        pass
    with opened(one, remote=where).locked(holder="me", force=True):
        pass


# --- append -----------------------------------------------------------------------------------------------------------------------


def test_what_one_clone_appended_every_other_reads(three):
    bare, (one, two, _) = three
    written = ledger(one).append(story(run(one.head()), [operation()]))
    assert ledger(two).records() == written
    assert git(bare, "rev-parse", NOTES) == git(bare, "rev-parse", MIRROR)
    assert "SCHEDULE_DEPLOYED" in git(two.root, "log", "-1", f"--notes=reconcile/{PLATFORM}")
    assert str(ledger(two).verify()) == "consistent, anchored by the mirror branch"


def test_without_a_mirror_nothing_anchors_it_and_verify_says_so(three):
    bare, (one, two, _) = three
    plain = LedgerOptions(mirror=False)
    ledger(one, options=plain).append(told("one", one, 1))
    assert git(bare, "for-each-ref", MIRROR) == ""
    assert str(ledger(two).verify()) == "consistent, not anchored"
    ledger(two).append(told("two", two, 1))
    ledger(one, options=plain).append(told("one", one, 2))
    assert_sound(two, 3)


def test_a_writer_whose_push_is_refused_builds_on_what_came_first(three):
    _, (one, two, three_) = three
    others = [told("other", two, 1), told("other", two, 2)]

    def checkpoint(name: str) -> None:
        if name == "ledger:committed" and others:
            ledger(two).append(others.pop(0))

    ours = ledger(one, world=Clock().world(checkpoint=checkpoint))
    ours.append(told("ours", one, 2))
    assert [each.event.run for each in ours.records()] == ["other", "other", "ours", "ours"]
    assert_sound(three_, 4)


@pytest.mark.parametrize("options", [("--depth=1",), ("--single-branch",), ("--filter=blob:none",)])
def test_it_works_in_the_clones_that_ci_makes(three, tmp_path, options):
    bare, (one, *_) = three
    git(bare, "config", "uploadpack.allowFilter", "true")
    commit(one.root, "more")
    git(one.root, "push", "-q", "origin", "main")
    ledger(one).append(told("one", one, 2))
    thin = clone(bare, tmp_path / "thin", *options)
    with ledger(thin).locked(holder="ci") as held:
        held.append(told("ci", thin, 2))
    assert_sound(thin, 4)
    assert_sound(one, 4)


def test_it_works_in_a_worktree(three, tmp_path):
    _, (one, two, _) = three
    git(one.root, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    ledger(Git(tmp_path / "tree", environ=ENVIRON)).append(told("tree", one, 1))
    assert_sound(two, 1)


class Line:
    """A runner whose pushes do not always say what they did."""

    def __init__(self, *faults: str) -> None:
        self.faults = list(faults)

    def __call__(self, argv, **rest) -> Ran:
        if "push" not in argv or not self.faults:
            return run_process(argv, **rest)
        fault = self.faults.pop(0)
        if fault == "lost":
            raise TimeoutError
        ran = run_process(argv, **rest)
        assert ran.code == 0
        if fault == "answer lost":
            raise TimeoutError
        return Ran(1, b"", b"error: remote hung up\n")


@pytest.mark.parametrize("fault", ["lost", "answer lost", "lied"])
@pytest.mark.parametrize("nth", range(5))
def test_a_push_of_unknown_fate_is_settled_by_reading_the_ref(three, fault, nth):
    """Whichever push it is: the lock's, an append's, a heartbeat's."""
    _, (one, two, _) = three
    line = Line()
    shaky = Git(one.root, environ=ENVIRON, runner=line)
    count = iter(range(100))

    def checkpoint(name: str) -> None:
        if name in {"lock:made", "ledger:committed", "lock:beating"} and next(count) == nth:
            line.faults.append(fault)

    ours = ledger(shaky, world=Clock().world(checkpoint=checkpoint))
    with ours.locked(holder="me"):
        for number in range(3):
            ours.append(told("ours", one, number + 1))
        ours.lock.heartbeat()
        assert ours.lock.may_write()
    assert ours.lock.standing() is None
    assert_sound(two, 3)


def test_a_remote_that_refuses_for_ever_is_an_error_with_its_reason(three):
    bare, (one, *_) = three
    hook = bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\necho no notes here >&2\nexit 1\n")
    hook.chmod(0o755)
    clock = Clock()
    for write in (
        lambda: ledger(one, clock).append(told("one", one, 1)),
        lambda: ledger(one, clock).lock.acquire(holder="one"),
    ):
        with pytest.raises(Unavailable, match="git push: "):
            write()
    assert sum(clock.slept) < 10
    assert git(bare, "for-each-ref", NOTES, MIRROR) == ""


# --- a remote that is not there ------------------------------------------------------------------------------------------------------


@pytest.fixture
def gone(three) -> Callable[[], None]:
    """Return what makes the remote unreachable and back."""
    bare, _ = three
    away = bare.with_suffix(".away")

    def flip() -> None:
        here, there = (bare, away) if bare.exists() else (away, bare)
        here.rename(there)

    return flip


def test_a_ledger_that_cannot_be_fetched_is_an_error_and_never_empty(three, gone):
    _, (one, *_) = three
    held = ledger(one)
    gone()
    with pytest.raises(Unavailable):
        ledger(one)
    with pytest.raises(Unavailable):
        held.append(told("one", one, 1))
    gone()
    held.append(told("one", one, 1))
    assert_sound(one, 1)


def test_a_ledger_that_began_without_a_remote_is_pushed_by_hand_and_never_forgotten(three):
    _, (one, two, _) = three
    opened(one).append(story(run(one.head()), [operation()]))
    opened(one).append(told("two", one, 1))
    with pytest.raises(LedgerError, match=f"git push origin {NOTES}"):
        ledger(one)
    git(one.root, "push", "-q", "origin", NOTES)
    ledger(one).append(told("three", one, 1))
    assert_sound(two, 6)
    assert ledger(two).verify().commits == 3


def test_what_a_hand_adds_to_this_clones_copy_is_told_and_never_pushed(three):
    _, (one, two, _) = three
    ledger(one).append(told("before", one, 1))
    git(one.root, "notes", f"--ref={NOTES}", "append", "-m", "a remark", one.head())
    found = ledger(one)
    (said,) = [each for each in found.notes if "never pushed" in each]
    found.append(told("after", one, 1))
    assert_sound(two, 2)
    command = said.partition("Remove them: git ")[2].split()
    git(one.root, *command)
    assert not any("never pushed" in each for each in ledger(one).notes)
    assert_sound(one, 2)


# --- rollback ---------------------------------------------------------------------------------------------------------------------


def test_a_ledger_that_was_rolled_back_is_noticed_by_a_clone_that_saw_more(three):
    bare, (one, two, _) = three
    plain = LedgerOptions(mirror=False)
    ours = ledger(one, options=plain)
    ours.append(told("one", one, 1))
    old = git(bare, "rev-parse", NOTES)
    ours.append(told("one", one, 2))
    git(bare, "update-ref", NOTES, old)
    with pytest.raises(LedgerError, match=r"rolled back or rewritten: .* this clone saw") as caught:
        ledger(one)
    assert "--force" not in str(caught.value)
    assert f"git log {old}.." in str(caught.value)
    assert ledger(two).head == old
    for command in str(caught.value).partition("refs to them: git ")[2].split("; git "):
        git(one.root, *command.split())
    assert ledger(one).head == old
    ledger(one, options=LedgerOptions(stop=True))


def mirrored(three: Shared, options: LedgerOptions | None = None) -> tuple[str, str]:
    """Return two ledger commits; the ledger stands at the first, and its mirror branch at the second."""
    bare, (one, *_) = three
    ledger(one, options=options).append(told("one", one, 1))
    old = git(bare, "rev-parse", NOTES)
    ledger(one, options=options).append(told("one", one, 2))
    new = git(bare, "rev-parse", NOTES)
    git(bare, "update-ref", NOTES, old)
    return old, new


def test_a_mirror_that_is_ahead_is_said_with_both_reasons_and_keeps_nobody_from_reading(three):
    old, new = mirrored(three)
    _, (_, two, _) = three
    ours = ledger(two)
    assert ours.head == old
    (said,) = ours.notes
    for part in ("somebody pushed to the mirror", "was rolled back", f"git log {old}..{new}"):
        assert part in said
    assert "--force" not in said
    git(two.root, *f"log {old}..{new}".split())


def test_a_mirror_that_is_ahead_is_a_defect_because_it_is_the_witness_of_a_rollback(three):
    old, new = mirrored(three)
    _, (_, two, _) = three
    verdict = ledger(two, options=LedgerOptions(unchecked=True)).verify()
    (found,) = verdict.defects
    assert f"git log {old}..{new}" in str(found)
    assert verdict.witnesses == ()


def test_a_mirror_that_is_ahead_refuses_what_would_begin_and_no_stop(three):
    _, new = mirrored(three)
    bare, (_, two, _) = three
    before = git(bare, "for-each-ref")
    for write in (
        lambda: ledger(two).append(told("two", two, 1)),
        lambda: ledger(two).lock.acquire(holder="two"),
    ):
        with pytest.raises(LedgerError, match="Until then nothing is applied or released"):
            write()
    assert git(bare, "for-each-ref") == before
    hold = run(two.head(), "halt").hold("1001", name="n", reason="stop")
    halting = ledger(two, options=LedgerOptions(stop=True))
    halting.lock.acquire(holder="halt", force=True)
    halting.append([hold])
    halting.lock.release()
    assert hold in [each.event for each in halting.records()]
    assert git(bare, "rev-parse", MIRROR) == new


def test_a_run_that_has_begun_ends_what_it_began_although_the_mirror_moves_ahead(three):
    bare, (one, two, _) = three
    with ledger(one).locked(holder="one") as ours:
        ours.append(told("one", one, 1))
        head = git(bare, "rev-parse", NOTES)
        stray = git(bare, "commit-tree", f"{head}^{{tree}}", "-p", head, stdin=b"stray\n")
        git(bare, "update-ref", MIRROR, stray)
        ours.append(told("one", one, 2))
    assert git(bare, "rev-parse", MIRROR) == stray
    with pytest.raises(LedgerError, match="contradict each other"):
        ledger(two)


def test_a_mirror_beside_the_ledger_or_without_one_is_an_error_and_the_branch_can_be_made_anew(
    three,
):
    _, new = mirrored(three)
    bare, (_, two, _) = three
    old = git(bare, "rev-parse", NOTES)
    side = git(bare, "commit-tree", f"{new}^{{tree}}", "-p", old, stdin=b"side\n")
    for change in (["update-ref", NOTES, side], ["update-ref", "-d", NOTES]):
        git(bare, *change)
        with pytest.raises(LedgerError, match="contradict each other") as caught:
            ledger(two)
        assert "--force" not in str(caught.value)
    git(two.root, *str(caught.value).partition("delete it (git ")[2].partition(")")[0].split())
    ledger(two).append(told("two", two, 1))
    assert git(bare, "rev-parse", NOTES) == git(bare, "rev-parse", MIRROR)


def test_a_whole_rewrite_is_noticed_by_the_head_that_was_noted_down(three):
    bare, (one, two, three_) = three
    ledger(one).append(told("one", one, 2))
    noted = ledger(one).head
    git(bare, "update-ref", "-d", NOTES)
    git(bare, "update-ref", "-d", MIRROR)
    ledger(two).append(told("forged", two, 2))
    assert ledger(three_).verify().defects == ()
    verdict = ledger(three_).verify(expect_head=noted)
    assert "does not hold" in verdict.defects[0].problem


def test_two_refs_of_one_push_that_are_seen_one_by_one_are_no_rollback(three):
    """The server moves the mirror a moment before the ledger."""
    bare, (one, two, _) = three
    ledger(one).append(told("one", one, 1))
    old = git(bare, "rev-parse", NOTES)
    ledger(one).append(told("one", one, 2))
    new = git(bare, "rev-parse", NOTES)
    git(bare, "update-ref", NOTES, old)
    clock = Clock()

    def sleep(seconds: float) -> None:
        git(bare, "update-ref", NOTES, new)
        clock.sleep(seconds)

    assert ledger(two, clock, world=clock.world(block=sleep)).head == new


def test_a_shallow_ledger_can_be_added_to_and_is_fetched_whole_to_be_verified(three, tmp_path):
    bare, (one, *_) = three
    for number in range(3):
        ledger(one).append(told("one", one, number + 1))
    thin = clone(bare, tmp_path / "thin", "--depth=1")
    git(thin.root, "fetch", "-q", "--depth=1", "origin", f"{NOTES}:{NOTES}")
    ledger(thin).append(told("thin", thin, 1))
    assert len(thin.ancestry(git(thin.root, "rev-parse", NOTES))) == 2
    assert_sound(thin, 4)
    assert len(thin.ancestry(git(thin.root, "rev-parse", NOTES))) == 4


# --- signatures -------------------------------------------------------------------------------------------------------------------


def test_signed_ledger_commits_are_a_witness_and_an_unsigned_one_is_named(three, tmp_path):
    _, (one, two, _) = three
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = f"reconcile@localhost {(tmp_path / 'key.pub').read_text()}".encode()
    ledger(one, options=LedgerOptions(signing_key=key)).append(told("one", one, 2))
    assert "signatures" in ledger(two).verify(signers=signers).witnesses
    ledger(two).append(told("two", two, 1))
    verdict = ledger(one).verify(signers=signers)
    assert "signatures" not in verdict.witnesses
    assert f"{ledger(one).head} has no good signature" in verdict.defects[0].problem


# --- the lock, shared -------------------------------------------------------------------------------------------------------------


def test_the_lock_of_one_clone_is_seen_by_all(three):
    _, (one, two, _) = three
    with ledger(one).locked(holder="one"), pytest.raises(TenantLocked, match="Holder: one since"):
        ledger(two).lock.acquire(holder="two")
    with ledger(two).locked(holder="two") as held:
        assert held.lock.still_ours()


def test_a_zombie_writes_nothing_to_the_remote(three):
    bare, (one, two, three_) = three
    clock = Clock()
    zombie = ledger(one, clock)
    zombie.lock.acquire(holder="zombie")
    zombie.append(told("zombie", one, 1))
    clock.pass_by(TTL_S + 1)
    with ledger(two, clock).locked(holder="next") as held:
        before = git(bare, "rev-parse", NOTES)
        with pytest.raises(TenantLocked, match="taken from this run by next"):
            zombie.append(told("zombie", one, 2))
        assert git(bare, "rev-parse", NOTES) == before
        held.append(told("next", two, 1))
    with pytest.raises(TenantLocked):
        zombie.append(told("zombie", one, 2))
    zombie.lock.release()
    assert_sound(three_, 2)


def test_a_run_goes_on_when_somebody_without_the_lock_records_a_stop(three):
    """An emergency stop waits for nobody; the run that holds the lock sees the hold in its next append."""
    _, (one, two, _) = three
    with ledger(one).locked(holder="apply") as applying:
        hold = run(two.head(), "halt").hold("1001", name="n", reason="stop")
        ledger(two).append([hold])
        applying.append(told("apply", one, 1))
        assert hold in [each.event for each in applying.records()]
    assert_sound(two, 2)


def test_a_heartbeat_that_the_remote_will_not_take_is_an_error_with_its_reason(three):
    bare, (one, *_) = three
    ours = ledger(one)
    ours.lock.acquire(holder="one")
    hook = bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(Unavailable, match="git push: "):
        ours.lock.heartbeat()
    hook.unlink()
    ours.lock.heartbeat()
    assert ours.lock.still_ours()


# --- crashes ----------------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("nth", [0, 1])
@pytest.mark.parametrize(
    "point",
    [each for each in CHECKPOINTS if "refused" not in each and not each.startswith("segment")],
)
def test_a_crash_at_any_point_is_finished_from_a_fresh_clone(three, tmp_path, point, nth):
    bare, (one, *_) = three
    clock = Clock()
    passed = [0]
    dead = threading.Event()

    def checkpoint(name: str) -> None:
        passed[0] += name == point
        if passed[0] > nth:
            dead.set()
            raise Killed

    def runner(argv, **rest) -> Ran:
        if dead.is_set():
            raise Killed
        return run_process(argv, **rest)

    events = story(run(one.head()), [operation("1"), operation("2")])
    acknowledged: list[str] = []
    doomed = Git(one.root, environ=ENVIRON, runner=runner)
    try:
        ours = ledger(doomed, clock, world=clock.world(checkpoint=checkpoint))
        ours.lock.acquire(holder="killed")
        for batch in (events[:3], events[3:]):
            acknowledged += [each.id for each in ours.append(batch)]
            ours.lock.heartbeat()
        ours.lock.release()
    except Killed:
        clock.pass_by(TTL_S + 1)
    fresh = clone(bare, tmp_path / "fresh", "--depth=1")
    assert {each.id for each in ledger(fresh, clock).records()} >= set(acknowledged)
    with ledger(fresh, clock).locked(holder="next") as held:
        held.append(events)
    assert_sound(fresh, 6)
    git(bare, "fsck", "--strict", "--no-dangling")


# --- races ------------------------------------------------------------------------------------------------------------------------


def race(folder: Path, writers: int, each: int) -> None:
    """Let many clones append to one note of one remote at once, each record for itself, and nobody holding the lock."""
    _, clones = shared(folder, clones=writers + 1)
    start = threading.Barrier(writers)

    def write(number: int) -> None:
        ours = ledger(clones[number], world=here(print))
        start.wait()
        for event in told(f"run-{number}", clones[number], each):
            ours.append([event])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    assert_sound(clones[-1], writers * each)
    assert ledger(clones[-1]).verify().commits == writers * each
    print(f"one remote: {writers} clones, {writers * each} records, 0 lost, 0 duplicated, linear")


def test_four_clones_lose_nothing(tmp_path):
    race(tmp_path, 4, 5)


@pytest.mark.long
def test_sixteen_clones_lose_nothing(tmp_path):
    race(tmp_path, 16, 20)


def contend(folder: Path, contenders: int, rounds: int) -> None:
    """Let clones take turns under the lock, each proving with a heartbeat that it is alone."""
    _, clones = shared(folder, clones=contenders)
    inside: list[int] = []
    overlaps: list[tuple[int, int]] = []
    start = threading.Barrier(contenders)

    def work(number: int) -> None:
        ours = ledger(clones[number], world=here(print))
        start.wait()
        done = 0
        while done < rounds:
            try:
                ours.lock.acquire(holder=str(number))
            except TenantLocked:
                continue
            inside.append(number)
            overlaps.extend((number, other) for other in inside if other != number)
            ours.lock.heartbeat()
            inside.remove(number)
            ours.lock.release()
            done += 1

    with ThreadPoolExecutor(contenders) as pool:
        list(pool.map(work, range(contenders)))
    assert overlaps == []
    print(f"lock: {contenders} contenders, {rounds} rounds, 0 overlaps")


def test_three_clones_never_hold_the_lock_together(tmp_path):
    contend(tmp_path, 3, 2)


@pytest.mark.long
def test_sixteen_clones_never_hold_the_lock_together(tmp_path):
    contend(tmp_path, 16, 20)


@pytest.mark.parametrize("stealers", [3, pytest.param(16, marks=pytest.mark.long)])
def test_an_expired_lock_is_stolen_by_one_clone(tmp_path, stealers):
    _, clones = shared(tmp_path, clones=stealers)
    clock = Clock()
    ledger(clones[0], clock).lock.acquire(holder="killed")
    clock.pass_by(TTL_S + 1)
    ledgers = [ledger(each, clock, world=clock.world(block=lambda _: None)) for each in clones]
    start = threading.Barrier(stealers)

    def steal(number: int) -> bool:
        start.wait()
        try:
            ledgers[number].lock.acquire(holder=str(number))
        except (TenantLocked, Unavailable):
            return False
        return True

    with ThreadPoolExecutor(stealers) as pool:
        assert sum(pool.map(steal, range(stealers))) == 1


# --- the lock and two clocks ---------------------------------------------------------------------------------------------


def at(hours: float, platform: Clock) -> Clock:
    """Return the clock of a machine that is so many hours ahead of the platform."""
    return Clock(platform.now + timedelta(hours=hours))


def judged_by(repo: Git, machine: Clock, platform: Clock) -> Ledger:
    """Return a ledger whose locks go by the platform's clock."""
    found = ledger(repo, machine)
    found.lock.go_by(world.Clock(machine, platform))
    return found


@pytest.mark.parametrize("hours", [-7, 0, 7])
def test_a_lock_expires_by_the_platforms_clock_whatever_the_machines_show(
    three: Shared, hours: float
) -> None:
    """The holder's machine is wrong. Its lock still ends for others fifteen minutes later, and not before."""
    _, (one, two, _) = three
    platform = Clock()
    killed = judged_by(one, at(hours, platform), platform)
    killed.lock.acquire(holder="killed")
    platform.pass_by(TTL_S)
    with pytest.raises(TenantLocked):
        judged_by(two, at(0, platform), platform).lock.acquire(holder="early")
    killed.lock.heartbeat()
    platform.pass_by(TTL_S)
    with pytest.raises(TenantLocked):
        judged_by(two, at(0, platform), platform).lock.acquire(holder="early")
    platform.pass_by(1)
    judged_by(two, at(0, platform), platform).lock.acquire(holder="late")


def test_a_machine_that_is_hours_ahead_takes_no_lock_and_tells_both_clocks(three: Shared) -> None:
    _, (one, two, _) = three
    platform = Clock()
    judged_by(one, at(0, platform), platform).lock.acquire(holder="running")
    with pytest.raises(TenantLocked) as caught:
        judged_by(two, at(7, platform), platform).lock.acquire(holder="ahead")
    said = str(caught.value)
    assert "this machine's clock shows 2027-01-11 21:00:00 UTC" in said
    assert "the platform's shows 2027-01-11 14:00:00 UTC" in said


def test_a_heartbeat_does_not_bring_a_released_lock_back(three: Shared) -> None:
    """Only the exact lease prevents it: a push to a ref that does not exist is no conflict otherwise."""
    _, (one, two, _) = three
    running = ledger(one)
    running.lock.acquire(holder="running")
    ledger(two).lock.delete()
    with pytest.raises(TenantLocked, match="taken from this run and then released"):
        running.lock.heartbeat()
    assert ledger(two).lock.standing() is None


def test_an_append_does_not_bring_a_released_lock_back(three: Shared) -> None:
    _, (one, two, _) = three
    running = ledger(one)
    running.lock.acquire(holder="running")
    ledger(two).lock.delete()
    with pytest.raises(TenantLocked, match="taken from this run and then released"):
        running.append(told("running", one, 1))
    assert ledger(two).lock.standing() is None
    assert ledger(two).records() == ()


def test_a_fetch_without_an_answer_is_not_repeated(three):
    """A ref that moves during a fetch is read again. A remote that hangs would cost a time limit each time."""
    _, (one, two, _) = three
    ledger(one).append(told("ours", one, 1))
    fetches = []

    def hangs(argv, **rest) -> Ran:
        if "fetch" not in argv:
            return run_process(argv, **rest)
        fetches.append(argv)
        raise TimeoutError

    with pytest.raises(RemoteTimeout):
        ledger(Git(two.root, environ=ENVIRON, runner=hangs))
    assert len(fetches) == 1


def test_a_lock_that_cannot_be_released_is_told(three):
    bare, (one, *_) = three
    progress = []
    ours = ledger(one, world=Clock().world(progress=progress.append))
    with ours.locked(holder="me"):
        bare.rename(bare.with_name("away"))
    assert "the lock of tenant" in progress[0]
    assert "may still be held by this run" in progress[0]
    assert "until it expires on 2027-01-11 14:15:00 UTC" in progress[0]
    assert f"git push --force-with-lease={LOCK}:" in progress[0]


@pytest.mark.parametrize(
    "ref", ["refs/heads/reconcile-audit", "refs/notes/reconcile", "refs/reconcile/lock"]
)
def test_a_ref_in_the_way_is_named_with_the_command_that_deletes_it(three, ref):
    """`git branch reconcile-audit`, or `git notes --ref=reconcile add`."""
    _, (one, *_) = three
    git(one.root, "push", "-q", "origin", f"HEAD:{ref}")
    delete = f"git push origin --delete {ref}"
    blocked = pytest.raises(LedgerError, match=f"origin has the ref {ref}.*{delete}")
    with blocked, ledger(one).locked(holder="me") as ours:
        ours.append(told("ours", one, 1))
    git(one.root, *delete.split()[1:])
    with ledger(one).locked(holder="me") as ours:
        ours.append(told("ours", one, 1))
    assert_sound(one, 1)


def test_a_ref_of_this_clone_in_the_way_is_named_too(tmp_path):
    here = repository(tmp_path / "alone")
    git(here.root, "update-ref", "refs/notes/reconcile", "HEAD")
    delete = "git update-ref -d refs/notes/reconcile"
    with pytest.raises(LedgerError, match=f"this clone has the ref refs/notes/reconcile.*{delete}"):
        opened(here).append(told("ours", here, 1))
    git(here.root, *delete.split()[1:])
    opened(here).append(told("ours", here, 1))
