"""Where a ledger's refs live. No git: commits, refs and a remote in memory."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass, field

import pytest

from reconciler.errors import GitError, LedgerError, Unavailable
from reconciler.git import Move, Signature
from reconciler.git.values import Stat, chosen_refs
from reconciler.ledger import remote_refs
from reconciler.ledger.refs import LocalRefs, RefNames, RefState, move_command
from reconciler.ledger.remote_refs import RemoteRefs

NAMES = RefNames.of("campaigns/acme.cxonecloud.com")
PARENTS = {"one": None, "two": "one", "three": "two", "other": "one", "lock": None, "beat": "lock"}
"""Commits: three follow one another, and another one forks off."""


@dataclass
class Refs:
    """A clone and its remote.

    Attributes:
        here: refs of the clone.
        there: refs of the remote.
        objects: commits that the clone holds.
        signed: commits with a good signature.
        pushes: moves of each push.
        asked: the remote of each call.
    """

    here: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=lambda: set(PARENTS))
    signed: set[str] = field(default_factory=set)
    pushes: list[tuple[Move, ...]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def refs(self, *names: str, below: str | None = None) -> dict[str, str]:
        return chosen_refs(self.here.items(), names, below)

    def remote_refs(self, remote: str, *names: str, below: str | None = None) -> dict[str, str]:
        self.asked.add(remote)
        return chosen_refs(self.there.items(), names, below)

    @property
    def began_shallow(self) -> bool:
        return self.is_shallow()

    def is_shallow(self) -> bool:
        return False

    def fetch(self, remote: str, *names: str, depth: int | None = None) -> None:
        assert depth is None
        self.asked.add(remote)
        self.objects.update(self.there[each] for each in names)

    def stat(self, *ids: str, fetched: bool = True) -> dict[str, Stat]:  # noqa: ARG002 - fetches nothing anyway
        return {each: Stat("commit", 1) for each in ids if each in self.objects}

    def resolve(self, name: str) -> str | None:
        return self.here.get(name)

    def is_ancestor(self, older: str, newer: str) -> bool:
        return older in _line(newer)

    def signatures(
        self, tip: str, signers: bytes, *, without: str | None = None
    ) -> dict[str, Signature]:
        assert signers == b"trusted"
        commits = [each for each in _line(tip) if without is None or each not in _line(without)]
        return {each: Signature(each in self.signed, "") for each in commits}

    def update_refs(self, *moves: Move) -> None:
        _move(self.here, moves)

    def push(self, remote: str, *moves: Move) -> None:
        self.asked.add(remote)
        _move(self.there, moves)
        self.pushes.append(moves)


def _line(commit: str | None) -> list[str]:
    assert commit is None or commit in PARENTS
    return [] if commit is None else [commit, *_line(PARENTS[commit])]


def _move(refs: dict[str, str], moves: tuple[Move, ...]) -> None:
    if any(refs.get(each.ref) != each.old for each in moves):
        raise GitError("a ref moved meanwhile")
    for each in moves:
        if each.new is None:
            del refs[each.ref]
        else:
            refs[each.ref] = each.new


@dataclass
class World:
    git: Refs
    slept: list[float] = field(default_factory=list)

    def remote(
        self, *, mirrors: bool = True, strict: bool = True, signed: bool = False
    ) -> RemoteRefs:
        signers = b"trusted" if signed else None
        return RemoteRefs(
            self.git,
            NAMES,
            "origin",
            mirrors=mirrors,
            sleep=self.slept.append,
            signers=signers,
            strict=strict,
        )


def world(
    ledger: str | None = None,
    mirror: str | None = None,
    *,
    copy: str | None = None,
    seen: str | None = None,
) -> World:
    """Return a remote's ledger and mirror branch, and what the clone has of it."""
    there = {NAMES.ledger: ledger, NAMES.mirror: mirror}
    here = {NAMES.ledger: copy, NAMES.seen: seen}
    present = ({ref: at for ref, at in refs.items() if at} for refs in (here, there))
    return World(Refs(*present))


def test_the_refs_of_a_platform_have_the_names_that_forges_are_told_to_protect():
    assert dataclasses.astuple(NAMES) == (
        "refs/notes/reconcile/campaigns/acme.cxonecloud.com",
        "refs/reconcile/lock/campaigns/acme.cxonecloud.com",
        "refs/heads/reconcile-audit/campaigns/acme.cxonecloud.com",
        "refs/reconcile/seen/campaigns/acme.cxonecloud.com",
        "refs/notes/reconcile-closed/campaigns/acme.cxonecloud.com",
        "refs/reconcile/waiting/campaigns/acme.cxonecloud.com",
    )


def test_the_refs_of_stops_are_read_in_both_places_and_no_others_with_them():
    """A prefix of another platform's name, a deeper ref and a name that is not one of ours are left out."""
    ours = f"{NAMES.waiting}/0a1b"
    others = (f"{NAMES.waiting}er/0a1b", f"{ours}/deeper", NAMES.waiting, f"{NAMES.waiting}/a b")
    clone = Refs(there=dict.fromkeys((ours, *others), "one"), here={ours: "two", others[0]: "two"})
    state = World(clone).remote().read()
    assert (state.waiting, state.waiting_here) == ({ours: "one"}, {ours: "two"})
    assert LocalRefs(clone, NAMES).read().waiting == {ours: "two"}
    assert state.moved(NAMES, Move(ours, None, "one", exact=True)).waiting == {}


def test_a_move_of_one_ref_leaves_the_other_where_it_was():
    heads = RefState("one", "lock", mirror="one", copy="one", acknowledged="one")
    to_two, to_beat = Move(NAMES.ledger, "two", "one"), Move(NAMES.lock, "beat", "lock")
    assert heads.moved(NAMES, to_two) == dataclasses.replace(heads, ledger="two")
    assert heads.moved(NAMES, to_beat) == dataclasses.replace(heads, lock="beat")
    released = heads.moved(NAMES, Move(NAMES.lock, None, "lock"))
    assert released == dataclasses.replace(heads, lock=None)


# --- this clone ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [None, "one"])
def test_what_is_appended_here_is_an_anchor_unless_a_remote_was_seen(seen: str | None) -> None:
    git = world(copy="two", seen=seen).git
    git.here[NAMES.lock] = "lock"
    store = LocalRefs(git, NAMES)
    assert store.read() == RefState("two", "lock", acknowledged=seen or "two")
    moved = store.move(store.read(), Move(NAMES.ledger, "three", "two"))
    assert moved == RefState("three", "lock", acknowledged=seen or "three")
    assert store.read() == moved


# --- a remote -----------------------------------------------------------------------------------------------------------------


def test_a_remote_without_a_ledger_is_an_empty_one():
    told = world()
    assert told.remote().read() == RefState(None, None)
    assert (told.git.asked, told.git.here, told.slept) == ({"origin"}, {}, [])


@pytest.mark.parametrize("seen", [None, "one", "two"])
def test_what_a_remote_has_is_fetched_seen_and_copied(seen: str | None) -> None:
    told = world("two", "two", copy=seen, seen=seen)
    told.git.there[NAMES.lock] = "lock"
    told.git.objects = {"one"}
    store = told.remote()
    before = store.read()
    assert told.git.here == ({} if seen is None else {NAMES.ledger: seen, NAMES.seen: seen})
    heads = store.keep(before)
    assert heads == RefState("two", "lock", mirror="two", copy="two", acknowledged="two")
    assert heads.seen == "two"
    assert told.git.here == {NAMES.ledger: "two", NAMES.seen: "two"}
    assert told.git.objects == {"one", "two", "lock"}
    assert told.slept == []


@pytest.mark.parametrize("copy", ["three", "other"])
def test_a_copy_that_holds_what_the_remote_has_not_got_stays(copy: str) -> None:
    told = world("two", copy=copy)
    heads = told.remote().read()
    assert told.remote().keep(heads) == RefState("two", None, copy=copy, acknowledged="two")
    assert told.git.here == {NAMES.ledger: copy, NAMES.seen: "two"}


def test_a_ref_that_goes_while_it_is_fetched_is_looked_at_again():
    told = world("two")
    told.git.objects = set()
    told.git.fetch = lambda *_, **__: None  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match=f"{NAMES.ledger} moved while being fetched: try again"):
        told.remote().read()
    assert told.slept == [remote_refs._LOOK_AGAIN_S] * (remote_refs._LOOKS - 1)


@pytest.mark.parametrize(
    ("ledger", "look"), [("one", "one..two"), ("other", "other..two"), (None, "two")]
)
def test_a_ledger_that_lost_what_this_clone_saw_is_refused_and_a_stop_goes_on(
    ledger: str | None, look: str
) -> None:
    told = world(ledger, copy="two", seen="two")
    with pytest.raises(LedgerError) as raised:
        told.remote().read()
    said = str(raised.value)
    assert "the ledger of origin was rolled back or rewritten: it no longer holds two" in said
    assert f"list the lost commits: git log {look}." in said
    assert said.endswith(f"git update-ref -d {NAMES.seen}; git update-ref -d {NAMES.ledger}")
    assert len(told.slept) == remote_refs._LOOKS - 1
    before = dict(told.git.here)
    stop = told.remote(strict=False)
    heads = RefState(ledger, None, copy="two", acknowledged=ledger)
    assert stop.keep(stop.read()) == heads
    assert told.git.here == before, "what was seen stays a witness"


@pytest.mark.parametrize("ledger", ["two", "three"])
def test_a_mirror_branch_that_the_ledger_holds_says_nothing(ledger: str) -> None:
    heads = world(ledger, "two").remote().read()
    assert (heads.warning, heads.blocked, heads.mirror) == (None, False, "two")


def test_a_mirror_branch_that_is_ahead_is_told_and_nothing_may_begin():
    told = world("two", "three")
    store = told.remote()
    heads = store.read()
    assert heads.blocked
    assert (
        "holds commits that the ledger does not. Look at them: git log two..three." in heads.warning
    )
    branch = NAMES.mirror.removeprefix("refs/heads/")
    assert f"the mirror branch {branch} of origin" in heads.warning
    assert f"delete it (git push origin --delete {branch})" in heads.warning
    assert len(told.slept) == remote_refs._LOOKS - 1
    assert store.read() == heads
    assert len(told.slept) == remote_refs._LOOKS - 1, (
        "what is known to differ is not waited for again"
    )


@pytest.mark.parametrize(("ledger", "look"), [("other", "other..two"), (None, "two")])
def test_a_mirror_branch_that_contradicts_the_ledger_is_refused_and_a_stop_goes_on(
    ledger: str | None, look: str
) -> None:
    with pytest.raises(LedgerError, match=f"contradict each other.*git log {look}\\."):
        world(ledger, "two").remote().read()
    heads = world(ledger, "two").remote(strict=False).read()
    assert (heads.ledger, heads.blocked) == (ledger, True)
    assert "holds commits that the ledger does not. Look" in str(heads.warning)


@pytest.mark.parametrize("strict", [False, True])
def test_where_commits_are_signed_only_a_signed_one_makes_a_mirror_branch_count(
    *, strict: bool
) -> None:
    told = world("one", "three")
    told.git.signed = {"one"}
    heads = told.remote(signed=True, strict=strict).read()
    assert not heads.blocked
    assert "none with a trusted signature: they prove nothing" in str(heads.warning)
    told.git.signed = {"two"}
    assert told.remote(signed=True, strict=strict).read().blocked


def test_a_push_takes_the_mirror_branch_along_and_the_clone_follows():
    told = world("one", "one", copy="one", seen="one")
    told.git.there[NAMES.lock] = "lock"
    store = told.remote()
    moves = (Move(NAMES.ledger, "two", "one"), Move(NAMES.lock, "beat", "lock", exact=True))
    heads = store.move(store.read(), *moves)
    assert told.git.pushes == [(*moves, Move(NAMES.mirror, "two", "one"))]
    assert heads == RefState("two", "beat", mirror="two", copy="two", acknowledged="two")
    assert store.read() == heads
    assert told.git.here == {NAMES.ledger: "two", NAMES.seen: "two"}


@pytest.mark.parametrize("copy", ["other", "three"])
def test_a_push_leaves_what_somebody_added_to_the_clones_copy(copy: str) -> None:
    told = world("one", copy=copy, seen="one")
    store = told.remote()
    heads = store.move(store.keep(store.read()), Move(NAMES.ledger, "two", "one"))
    assert (heads.ledger, heads.copy) == ("two", copy)
    assert told.git.here == {NAMES.ledger: copy, NAMES.seen: "two"}


def test_a_first_push_makes_everything():
    told = world()
    store = told.remote()
    heads = store.move(store.read(), Move(NAMES.ledger, "one", None))
    assert (
        heads == store.read() == RefState("one", None, mirror="one", copy="one", acknowledged="one")
    )


@pytest.mark.parametrize("mirrors", [False, True])
def test_a_mirror_branch_that_is_not_wanted_or_differs_stays_where_it_is(*, mirrors: bool) -> None:
    told = world("one", "other" if mirrors else "one", copy="one", seen="one")
    store = told.remote(mirrors=mirrors, signed=True)
    before = store.read()
    heads = store.move(before, Move(NAMES.ledger, "two", "one"))
    assert told.git.pushes == [(Move(NAMES.ledger, "two", "one"),)]
    assert (heads.mirror, heads.ledger) == (before.mirror, "two")


def test_a_lock_alone_moves_neither_the_mirror_branch_nor_this_clone():
    told = world("two", "one", copy="one", seen="one")
    before = RefState("two", None, mirror="one", copy="one", acknowledged="two")
    take = Move(NAMES.lock, "lock", None, exact=True)
    assert told.remote().move(before, take) == dataclasses.replace(before, lock="lock")
    assert told.git.pushes == [(take,)]
    assert told.git.here == {NAMES.ledger: "one", NAMES.seen: "one"}
    bare = world()
    assert bare.remote().move(RefState(None, None), take) == RefState(None, "lock")


def test_another_process_that_moved_this_clones_refs_first_keeps_them():
    told = world("one", copy="one", seen="one")
    store = told.remote()
    before = store.read()
    told.git.here |= {NAMES.ledger: "other", NAMES.seen: "other"}
    store.move(before, Move(NAMES.ledger, "two", "one"))
    assert told.git.here == {NAMES.ledger: "other", NAMES.seen: "other"}


@pytest.mark.parametrize("ref", [NAMES.ledger, f"{NAMES.waiting}/$(id)", f"{NAMES.waiting}/a;id"])
def test_a_printed_command_moves_one_ref_that_did_not_move_meanwhile_and_runs_no_name(
    ref: str,
) -> None:
    """Anybody with push rights chooses the names of refs."""

    def words(command: str) -> list[str]:
        """Split a command as a shell does, with its operators as words of their own."""
        shell = shlex.shlex(command, posix=True, punctuation_chars=True)
        shell.whitespace_split = True
        return list(shell)

    lease = f"--force-with-lease={ref}:one"
    pushed = words(move_command(ref, "one", "two", "origin"))
    assert pushed == ["git", "push", lease, "origin", f"two:{ref}"]
    gone = words(move_command(ref, "one", None, "origin"))
    assert gone == ["git", "push", lease, "origin", f":{ref}"]
    assert words(move_command(ref, "one", "two", None))[2:] == [ref, "two", "one"]
    assert words(move_command(ref, "one", None, None))[2:] == ["-d", ref, "one"]
    assert words(move_command(ref, None, "two", None))[2:] == [ref, "two"]
