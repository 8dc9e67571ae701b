"""The ledger in one clone: append, read, lock, crash."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Event
from reconciler.errors import GitError, LedgerError, ReconcileError, TenantLocked
from reconciler.git import Git
from reconciler.git.process import Ran, run_process
from reconciler.ledger import CHECKPOINTS, TTL_S, Ledger, LedgerOptions
from reconciler.plan import Result
from reconciler.world import here
from tests.support.gitfakes import (
    ENVIRON,
    PLATFORM,
    Clock,
    commit,
    git,
    opened,
    operation,
    repository,
    run,
    story,
)

NOTES = f"refs/notes/reconcile/{PLATFORM}"
LOCK = f"refs/reconcile/lock/{PLATFORM}"


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    return repository(tmp_path / "repo")


def told(run_name: str, where: str, number: int) -> list[Event]:
    return [run(where, run_name).note(f"line {each}") for each in range(number)]


def assert_sound(git_: Git, records: int, **more: object) -> None:
    verdict = opened(git_, **more).verify()
    assert verdict.defects == ()
    assert verdict.records == records


# --- append and read ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_what_was_appended_is_read_back_by_anybody_and_shown_by_git_log(tmp_path, object_format):
    repo = repository(tmp_path / "repo", object_format=object_format)
    events = story(run(repo.head()), [operation("1"), operation("2")])
    written = opened(repo).append(events)
    assert [each.event for each in written] == events
    assert opened(repo).records() == written
    shown = git(repo.root, "log", "-1", f"--notes=reconcile/{PLATFORM}")
    assert '"action":"SCHEDULE_DEPLOYED"' in shown
    assert_sound(repo, 6)


def test_a_further_append_reads_nothing_back_that_the_last_one_wrote(repo):
    ran: list[str] = []

    def counted(argv, **more):
        ran.extend(each for each in argv if each in {"cat-file", "hash-object"})
        return run_process(argv, **more)

    begun, intent, *rest = story(run(repo.head()), [operation()])
    ledger = opened(Git(repo.root, environ=ENVIRON, runner=counted))
    ledger.append([begun, intent])
    ran.clear()
    ledger.append(rest)
    assert ran == ["hash-object"]
    assert_sound(repo, 4)


def test_an_empty_ledger_says_nothing(repo):
    ledger = opened(repo)
    assert (ledger.head, ledger.records(), ledger.last_applied()) == (None, (), None)
    assert str(ledger.verify()) == "consistent, not anchored"
    ledger.check()
    assert ledger.append([]) == ()
    assert ledger.head is None


def test_an_event_that_is_there_is_not_added_again_by_this_run_or_another(repo):
    begun, intent, outcome, _ = story(run(repo.head()), [operation()])
    ledger = opened(repo)
    first = ledger.append([begun, intent, outcome, intent])
    settled = run(repo.head(), "settler").outcome(intent, Result.CONFIRMED, audit={})
    assert opened(repo).append([settled, begun]) == (first[2], first[0])
    assert len(opened(repo).records()) == 3


def test_batches_of_one_run_make_one_chain_and_one_ledger_commit_each(repo):
    events = story(run(repo.head()), [operation("1"), operation("2")])
    ledger = opened(repo)
    for event in events:
        ledger.append([event])
    assert [each.n for each in ledger.records()] == list(range(6))
    assert ledger.verify().commits == 6
    assert_sound(repo, 6)


def test_two_writers_that_know_nothing_of_each_other_lose_nothing(repo):
    one, two = opened(repo), opened(repo)
    one.append(told("one", repo.head(), 2))
    two.append(told("two", repo.head(), 2))
    one.append(told("one", repo.head(), 3))
    assert [each.event.run for each in opened(repo).records()] == [
        "one",
        "one",
        "two",
        "two",
        "one",
    ]
    assert_sound(repo, 5)


def test_each_commit_has_its_own_note_and_the_ledger_one_order(repo):
    first = repo.head()
    ledger = opened(repo)
    ledger.append(story(run(first, "a"), [operation()]))
    second = commit(repo.root, "more")
    ledger.append(story(run(second, "b"), [operation()]))
    ledger.append([run(first, "c").note("late")])
    assert [each.event.commit for each in ledger.records()] == [first] * 4 + [second] * 4 + [first]
    assert len([each for each in ledger.records() if each.event.commit == first]) == 5
    assert ledger.last_applied() == second
    assert audit.open_intents(ledger.records()) == ()
    assert_sound(repo, 9)


def test_open_intents_are_those_of_every_commit(repo):
    begun, intent, *_ = story(run(repo.head()), [operation()])
    opened(repo).append([begun, intent])
    assert [each.id for each in opened(repo).open_intents()] == [intent.id]


def test_the_same_story_makes_the_same_bytes(tmp_path):
    """With clock and ids given, the ledger is a function of what happened."""
    heads = []
    for name in ("a", "b"):
        repo = repository(tmp_path / name)
        ledger = opened(repo)
        ledger.append(story(run("c" * 40), [operation()]))
        heads.append(ledger.head)
    assert heads[0] == heads[1]


def test_it_works_in_a_worktree_and_shows_in_the_repository(repo, tmp_path):
    git(repo.root, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    tree = Git(tmp_path / "tree", environ={"PATH": os.environ["PATH"]})
    opened(tree).append(told("one", repo.head(), 1))
    assert_sound(repo, 1)


def test_notes_that_git_wrote_itself_are_extended_where_they_stand(repo):
    """Flat, as git writes a few of them; and paths that are no notes stay."""
    opened(repo).append(told("one", repo.head(), 1))
    blob = git(repo.root, "notes", f"--ref={NOTES}", "list", "HEAD")
    readme = repo.write_blob(b"hello")
    tree = repo.make_tree({repo.head(): ("100644", blob), "README": ("100644", readme)})
    ledger_commit = opened(repo).head or ""
    flat = git(repo.root, "commit-tree", tree, "-p", ledger_commit, "-m", "x")
    git(repo.root, "update-ref", NOTES, flat)
    opened(repo, options=ANYHOW).append(told("one", repo.head(), 3)[1:])
    names = git(repo.root, "ls-tree", "-r", "--name-only", NOTES).split()
    assert sorted(names) == sorted([repo.head(), "README"])
    assert len(opened(repo).records()) == 3


# --- what cannot be read -----------------------------------------------------------------------------------------------------------


ANYHOW = LedgerOptions(unchecked=True)
"""Also read a ledger that ends in a commit of somebody else."""


def planted(repo: Git, tree: str) -> None:
    """Make a tree the ledger."""
    git(repo.root, "update-ref", NOTES, git(repo.root, "commit-tree", tree, "-m", "x"))


def test_a_commit_with_two_notes_is_named(repo):
    head, blob = repo.head(), repo.write_blob(b"x\n")
    inner = repo.make_tree({head[2:]: ("100644", blob)})
    planted(repo, repo.make_tree({head: ("100644", blob), head[:2]: ("40000", inner)}))
    with pytest.raises(LedgerError, match=f"{head} has two notes"):
        opened(repo)


@pytest.mark.parametrize("mode", ["40000", "120000"])
def test_what_stands_where_a_note_belongs_is_named(repo, mode):
    thing = repo.make_tree({}) if mode == "40000" else repo.write_blob(b"/etc/passwd")
    planted(repo, repo.make_tree({repo.head(): (mode, thing)}))
    with pytest.raises(LedgerError, match=f"the note of {repo.head()} is not a file"):
        opened(repo)


def test_a_tree_that_never_ends_is_refused(repo):
    tree = repo.make_tree({"f": ("100644", repo.write_blob(b"x"))})
    for _ in range(12):
        tree = repo.make_tree({f"{each:02x}": ("40000", tree) for each in range(256)})
    planted(repo, tree)
    with pytest.raises(LedgerError, match="more than 200000 paths"):
        opened(repo)


def test_a_tree_deeper_than_any_that_git_makes_is_refused(repo):
    tree = repo.make_tree({"f": ("100644", repo.write_blob(b"x"))})
    for name in ("dd", "cc", "bb", "aa"):
        tree = repo.make_tree({name: ("40000", tree)})
    planted(repo, tree)
    with pytest.raises(LedgerError, match="deeper than 3 levels: aa/bb/cc/"):
        opened(repo)


def test_a_tree_that_names_a_thing_twice_is_refused(repo):
    blob = bytes.fromhex(repo.write_blob(b"x"))
    raw = b"".join(b"100644 README\0" + blob for _ in range(2))
    planted(
        repo, git(repo.root, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    )
    with pytest.raises(LedgerError, match="names 'README' twice"):
        opened(repo)


def test_a_ledger_that_is_no_commit_is_refused(repo):
    git(repo.root, "update-ref", NOTES, repo.write_blob(b"x"))
    with pytest.raises(LedgerError, match="names a blob, not a commit"):
        opened(repo)


def test_a_file_where_the_folder_of_a_note_belongs_stops_the_append_and_loses_nothing(repo):
    planted(repo, repo.make_tree({repo.head()[:2]: ("100644", repo.write_blob(b"x"))}))
    before = git(repo.root, "rev-parse", NOTES)
    with pytest.raises(LedgerError, match="a file where a folder belongs"):
        opened(repo, options=ANYHOW).append(told("one", repo.head(), 1))
    assert git(repo.root, "rev-parse", NOTES) == before


def test_a_ledger_that_somebody_removed_is_empty_when_read_again(repo):
    ledger = opened(repo)
    ledger.append(told("one", repo.head(), 1))
    git(repo.root, "update-ref", "-d", NOTES)
    ledger.refresh()
    assert ledger.records() == ()


def test_a_note_that_would_outgrow_the_limit_is_refused_and_keeps_what_it_has(repo, monkeypatch):
    ledger = opened(repo)
    ledger.append(told("one", repo.head(), 1))
    monkeypatch.setattr("reconciler.ledger.storage.NOTE_LIMIT", 2000)
    with pytest.raises(LedgerError, match=r"would have \d+ bytes; 2000 are allowed"):
        ledger.append(told("one", repo.head(), 6))
    assert_sound(repo, 1)


def test_many_notes_are_read_a_bounded_number_of_bytes_at_a_time(repo, monkeypatch):
    ledger = opened(repo)
    for number in range(5):
        ledger.append(told(f"run-{number}", f"{number}" * 40, 2))
    monkeypatch.setattr("reconciler.ledger.snapshot._CHUNK", 1500)
    assert opened(repo).records() == ledger.records()


def test_an_edited_record_stops_whoever_locks_and_is_named(repo):
    (record,) = opened(repo).append(told("one", repo.head(), 1))
    forged = audit.encode(dataclasses.replace(record, prev="f" * 64))
    planted(repo, repo.make_tree({repo.head(): ("100644", repo.write_blob(forged))}))
    with (
        pytest.raises(
            LedgerError, match=r"does not verify: note of \w+, line 1: .* edited.*verify 'a b'$"
        ),
        opened(repo, options=dataclasses.replace(ANYHOW, folder="'a b'")).locked(holder="me"),
    ):
        pytest.fail("the ledger does not verify")
    assert opened(repo, options=ANYHOW).lock.standing() is None


def test_a_huge_note_is_refused_before_it_is_read(repo):
    blob = repo.write_blob(b"\0" * (64 * 1024 * 1024 + 1))
    planted(repo, repo.make_tree({repo.head(): ("100644", blob)}))
    with pytest.raises(LedgerError, match=f"the note of {repo.head()} is a blob of 67108865 bytes"):
        opened(repo)


def test_a_note_that_is_not_here_is_named(repo):
    planted(repo, repo.make_tree({repo.head(): ("100644", "1" * 40)}))
    with pytest.raises(LedgerError, match=f"the note of {repo.head()} is not in this clone"):
        opened(repo)


def test_a_line_that_is_no_record_stops_whoever_reads_or_locks(repo):
    ledger = opened(repo)
    ledger.append(told("one", repo.head(), 1))
    git(repo.root, "notes", f"--ref={NOTES}", "append", "-m", "looks good to me", "HEAD")
    ledger = opened(repo, options=ANYHOW)
    with pytest.raises(LedgerError, match="line 2: the line is not JSON"):
        ledger.records()
    with pytest.raises(LedgerError, match="line 2"), ledger.locked(holder="me"):
        pytest.fail("the ledger does not verify")
    assert ledger.lock.standing() is None
    assert [each.line for each in ledger.verify().defects][:2] == [2, 3]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_no_note_crashes_the_reader(repo, data):
    planted(repo, repo.make_tree({repo.head(): ("100644", repo.write_blob(data))}))
    ledger = opened(repo, options=ANYHOW)
    with pytest.raises(LedgerError):
        ledger.records()
    assert ledger.verify().defects


# --- the lock --------------------------------------------------------------------------------------------------------------------


def test_who_holds_the_lock_is_told_since_when_and_what_to_do(repo):
    with (
        opened(repo).locked(holder="run 7\x1b[2J", run_url="https://ci.example/7"),
        pytest.raises(TenantLocked) as caught,
        opened(repo).locked(holder="another"),
    ):
        pytest.fail("two hold one lock")
    said = str(caught.value)
    assert "run 7\\u001b[2J (https://ci.example/7) since 2027-01-11 14:00:00 UTC" in said
    assert "expires on 2027-01-11 14:15:00 UTC" in said
    assert f"reconcile lock release --tenant {PLATFORM}" in said
    assert "\x1b" not in said


def test_the_lock_is_given_back_also_after_an_error(repo):
    ledger = opened(repo)
    with pytest.raises(ZeroDivisionError), ledger.locked(holder="me"):
        raise ZeroDivisionError
    assert ledger.lock.standing() is None
    with opened(repo).locked(holder="next") as held:
        assert held.lock.may_write()
        assert held.lock.still_ours()
    assert not ledger.lock.may_write()


def test_a_lock_that_was_left_behind_is_taken_after_its_expiry_and_not_before(repo):
    clock = Clock()
    abandoned(opened(repo, clock))
    clock.pass_by(TTL_S)
    with pytest.raises(TenantLocked), opened(repo, clock).locked(holder="early"):
        pytest.fail("taken too early")
    clock.pass_by(1)
    with opened(repo, clock).locked(holder="late") as held:
        assert held.lock.still_ours()


def abandoned(ledger: Ledger) -> Ledger:
    """Take the lock as a run does that is then killed."""
    ledger.lock.acquire(holder="killed")
    return ledger


def test_a_heartbeat_and_every_append_extend_the_lock(repo):
    clock = Clock()
    ledger = opened(repo, clock)
    with ledger.locked(holder="me"):
        for extend in (ledger.lock.heartbeat, lambda: ledger.append(told("me", repo.head(), 1))):
            clock.pass_by(TTL_S * 0.6)
            assert not ledger.lock.may_write()
            extend()
            assert ledger.lock.may_write()
            assert ledger.lock.still_ours()
        lock = ledger.lock.standing()
        assert lock is not None
        assert (lock.holder, lock.beat) == ("me", 2)


def test_a_machine_that_slept_does_not_think_that_no_time_passed(repo):
    clock = Clock()
    ledger = opened(repo, clock, world=clock.world(monotonic=lambda: 0.0))
    with ledger.locked(holder="me"):
        clock.pass_by(TTL_S)
        assert not ledger.lock.may_write()


def test_a_lock_that_another_thread_loses_while_it_is_checked_raises_no_error(repo):
    clock = Clock()
    ledgers: list[Ledger] = []

    def monotonic() -> float:
        if ledgers:
            ledgers.pop().lock.release()  # as a thread does that extends the lock, between two steps of the check
        return clock.monotonic()

    ledger = opened(repo, clock, world=clock.world(monotonic=monotonic))
    with ledger.locked(holder="me"):
        ledgers.append(ledger)
        ledger.lock.may_write()
        assert ledgers == []
        assert not ledger.lock.may_write()


def test_a_zombie_writes_nothing_once_its_lock_was_taken(repo):
    clock = Clock()
    zombie = opened(repo, clock)
    with zombie.locked(holder="zombie"):
        zombie.append(told("zombie", repo.head(), 1))
        clock.pass_by(TTL_S + 1)
        with opened(repo, clock).locked(holder="next") as held:
            held.append(told("next", repo.head(), 1))
            for write in (
                lambda: zombie.append(told("zombie", repo.head(), 2)),
                zombie.lock.heartbeat,
                lambda: zombie.append(told("zombie", repo.head(), 3)),
            ):
                with pytest.raises(TenantLocked, match="taken from this run by next since"):
                    write()
            assert not zombie.lock.may_write()
            assert not zombie.lock.still_ours()
        assert len(opened(repo, clock).records()) == 2
    assert_sound(repo, 2, clock=clock)


def test_a_zombie_whose_lock_was_given_back_meanwhile_writes_nothing_either(repo):
    zombie = abandoned(opened(repo))
    opened(repo).lock.delete()
    with pytest.raises(TenantLocked, match="taken from this run and then released"):
        zombie.append(told("zombie", repo.head(), 1))
    assert opened(repo).records() == ()


def test_a_stop_takes_the_lock_by_force_and_the_run_notices(repo):
    running = abandoned(opened(repo))
    with opened(repo).locked(holder="stop", force=True):
        assert not running.lock.still_ours()
        with pytest.raises(TenantLocked):
            running.lock.heartbeat()


def test_a_lock_can_be_looked_at_and_released_by_hand(repo):
    ledger = opened(repo)
    assert ledger.lock.delete() is None
    abandoned(ledger)
    other = opened(repo)
    held = other.lock.standing()
    assert held is not None
    assert held.holder == "killed"
    assert other.lock.delete() == held
    assert other.lock.standing() is None


NO_ZONE = '{"holder":"x","since":"2027-01-01","expires":"2027-01-01","nonce":""}'
NO_NAME = '{"holder":7,"since":"2027-01-01","expires":"2099-01-01T00:00:00Z","nonce":""}'


@pytest.mark.parametrize(
    "message", ["", "nonsense", "{}", '{"holder":"x"}', "[" * 5000, NO_ZONE, NO_NAME]
)
def test_a_lock_that_says_nothing_is_held_until_released_by_hand(repo, message):
    made = git(repo.root, "commit-tree", repo.make_tree({}), "-m", message or "\n")
    git(repo.root, "update-ref", LOCK, made)
    with pytest.raises(TenantLocked, match="somebody unknown"), opened(repo).locked(holder="me"):
        pytest.fail("taken from nobody knows whom")
    assert opened(repo).lock.delete().problem


def test_a_lock_holder_cannot_beat_without_a_lock(repo):
    with pytest.raises(ValueError, match="no lock is held"):
        opened(repo).lock.heartbeat()


def test_a_lock_file_that_a_killed_git_left_is_an_error_that_names_it(repo):
    left = repo.root / ".git" / f"{NOTES}.lock"
    left.parent.mkdir(parents=True)
    left.touch()
    ledger = opened(repo)
    with pytest.raises(GitError, match="cannot lock ref"):
        ledger.append(told("one", repo.head(), 1))
    left.unlink()
    ledger.append(told("one", repo.head(), 1))
    assert_sound(repo, 1)


# --- crashes ---------------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here: nothing that would tidy up runs."""


class Mortal:
    """Kills at the nth passing of a point; then no process can be started any more, to tidy up or for anything else."""

    def __init__(self, point: str, nth: int) -> None:
        self.point = point
        self.left = nth
        self.dead = False

    def checkpoint(self, name: str) -> None:
        self.left -= name == self.point
        if self.left < 0:
            self.dead = True
            raise Killed(name)

    def __call__(self, argv, **rest) -> Ran:
        if self.dead:
            raise Killed
        return run_process(argv, **rest)


LOCAL_POINTS = [
    each for each in CHECKPOINTS if "refused" not in each and not each.startswith("segment")
]


@pytest.mark.parametrize("nth", [0, 1, 2])
@pytest.mark.parametrize("point", LOCAL_POINTS)
def test_a_crash_at_any_point_loses_nothing_acknowledged_and_the_next_run_finishes(
    repo, point, nth
):
    clock = Clock()
    acknowledged: list[str] = []
    events = story(run(repo.head()), [operation("1"), operation("2")])
    mortal = Mortal(point, nth)
    doomed = Git(repo.root, environ=ENVIRON, runner=mortal)
    try:
        ledger = opened(doomed, clock, world=clock.world(checkpoint=mortal.checkpoint))
        ledger.lock.acquire(holder="killed")
        ledger.check()
        for batch in (events[:3], events[3:]):
            acknowledged += [each.id for each in ledger.append(batch)]
            ledger.lock.heartbeat()
        ledger.lock.release()
    except Killed:
        clock.pass_by(TTL_S + 1)
    known = {each.id for each in opened(repo, clock).records()}
    assert known >= set(acknowledged)
    with opened(repo, clock).locked(holder="next") as ledger:
        ledger.append(events)
    assert_sound(repo, 6, clock=clock)
    git(repo.root, "fsck", "--strict", "--no-dangling")


SCRIPT = """
import sys
from pathlib import Path
from tests.support.gitfakes import opened, run, Clock
from reconciler.git import Git
repo = Git(Path(sys.argv[1]), environ={"PATH": sys.argv[2]})
ledger = opened(repo)
for each in range(1000):
    ledger.append([run(repo.head(), sys.argv[3]).note(f"line {each}")])
    print(each, flush=True)
"""


def killed_after(repo: Git, name: str, lines: int) -> int:
    """Run a real writer, kill it after it acknowledged some lines, and return how many it did."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(repo.root), os.environ["PATH"], name],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": "."},
    )
    with process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        return lines + len(process.stdout.readlines())


def kill_writers(repo: Git, rounds: int) -> None:
    acknowledged = 0
    for number in range(rounds):
        acknowledged += killed_after(repo, f"run-{number}", number % 3 + 1)
        for left in repo.root.glob(".git/refs/**/*.lock"):
            left.unlink()
    records = opened(repo).records()
    assert len({each.id for each in records}) == len(records) >= acknowledged
    assert_sound(repo, len(records))
    print(
        f"kill -9: {rounds} writers, {acknowledged} acknowledged, {len(records)} recorded, 0 lost"
    )


def test_killed_writers_lose_nothing_that_was_acknowledged(repo):
    kill_writers(repo, 3)


@pytest.mark.long
def test_two_hundred_killed_writers_lose_nothing_that_was_acknowledged(repo):
    kill_writers(repo, 200)


# --- races -----------------------------------------------------------------------------------------------------------------------


def race(repo: Git, writers: int, each: int) -> None:
    """Let many writers append to one note of one clone at once, each record for itself."""
    start = threading.Barrier(writers)

    def write(number: int) -> None:
        ledger = opened(repo, world=here(print))
        start.wait()
        for event in told(f"run-{number}", repo.head(), each):
            ledger.append([event])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    assert_sound(repo, writers * each)
    print(f"one clone: {writers} writers, {writers * each} records, 0 lost, 0 duplicated")


def test_four_writers_in_one_clone_lose_nothing(repo):
    race(repo, 4, 4)


@pytest.mark.long
def test_eight_writers_in_one_clone_lose_nothing(repo):
    race(repo, 8, 20)


def contend(ledgers: list[Ledger], rounds: int) -> int:
    """Let every ledger hold the lock `rounds` times; return how often two held it at once."""
    inside: list[int] = []
    overlaps: list[int] = []
    start = threading.Barrier(len(ledgers))

    def work(number: int) -> None:
        start.wait()
        done = 0
        while done < rounds:
            try:
                with ledgers[number].locked(holder=str(number)):
                    inside.append(number)
                    overlaps.extend(each for each in inside if each != number)
                    ledgers[number].lock.heartbeat()
                    inside.remove(number)
                    done += 1
            except TenantLocked:
                continue

    with ThreadPoolExecutor(len(ledgers)) as pool:
        list(pool.map(work, range(len(ledgers))))
    return len(overlaps)


def test_contenders_never_hold_the_lock_together(repo):
    ledgers = [opened(repo, world=here(print)) for _ in range(4)]
    assert contend(ledgers, 2) == 0


@pytest.mark.long
def test_sixteen_contenders_never_hold_the_lock_together(repo):
    ledgers = [opened(repo, world=here(print)) for _ in range(16)]
    assert contend(ledgers, 20) == 0
    print("lock in one clone: 16 contenders, 20 rounds, 0 overlaps")


def steal(repo: Git, ledgers: list[Ledger]) -> int:
    """Let everybody take one expired lock at once; return how many got it."""
    start = threading.Barrier(len(ledgers))

    def work(ledger: Ledger) -> bool:
        start.wait()
        try:
            abandoned(ledger)
        except ReconcileError:
            return False
        return True

    with ThreadPoolExecutor(len(ledgers)) as pool:
        return sum(pool.map(work, ledgers))


@pytest.mark.parametrize("stealers", [4, pytest.param(16, marks=pytest.mark.long)])
def test_an_expired_lock_is_stolen_once(repo, stealers):
    clock = Clock()
    abandoned(opened(repo, clock))
    clock.pass_by(TTL_S + 1)
    world = clock.world(block=lambda _: None)
    ledgers = [opened(repo, world=world) for _ in range(stealers)]
    assert steal(repo, ledgers) == 1


def test_a_lost_race_is_found_by_reading_the_ref_and_both_records_stand(repo):
    """The other writer comes exactly between our commit and our move."""
    others = [told("other", repo.head(), 1)]

    def checkpoint(name: str) -> None:
        if name == "ledger:committed" and others:
            opened(repo).append(others.pop())

    clock = Clock()
    ledger = opened(repo, clock, world=clock.world(checkpoint=checkpoint))
    ledger.append(told("ours", repo.head(), 1))
    assert [each.event.run for each in ledger.records()] == ["other", "ours"]
    assert clock.slept
    assert_sound(repo, 2)


def test_a_writer_that_never_wins_gives_up_after_its_budget(repo):
    count = iter(range(1000))

    def checkpoint(name: str) -> None:
        if name == "ledger:committed":
            opened(repo).append([run(repo.head(), "other").note(str(next(count)))])

    clock = Clock()
    ledger = opened(
        repo, clock, world=clock.world(checkpoint=checkpoint), options=LedgerOptions(budget_s=5.0)
    )
    with pytest.raises(GitError, match="update-ref"):
        ledger.append(told("ours", repo.head(), 1))
    assert "ours" not in {each.event.run for each in opened(repo).records()}
    assert 5.0 <= sum(clock.slept) < 8.0


def test_refs_are_never_moved_past_a_writer_we_did_not_see(repo):
    """Looking at the lock reads newer heads; what was built on the older ones must still be refused."""
    ours, other = opened(repo), opened(repo)
    other.append(told("other", repo.head(), 2))
    assert ours.lock.standing() is None
    ours.append(told("ours", repo.head(), 1))
    assert_sound(repo, 3)
