"""Clones that lack files or history, made by real git of a remote that allows filters: what they can tell, and what they fetch first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.commands.remotes import descends, ensure_commit
from reconciler.errors import Unavailable
from reconciler.git import Git, worktree
from tests.support.gitfakes import ENVIRON, Clock, clone, commit, git, repository

ABSENT = "12" * 20
WAYS = {
    "full": [],
    "depth 1": ["--depth=1"],
    "blobless": ["--filter=blob:none"],
    "treeless": ["--filter=tree:0"],
    "blobless at depth 1": ["--depth=1", "--filter=blob:none"],
    "treeless at depth 1": ["--depth=1", "--filter=tree:0"],
    "sparse at depth 1": ["--depth=1", "--filter=blob:none", "--sparse"],
}


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare remote that allows filters: four commits on main, and one on a branch that left main at the second."""
    folder = tmp_path_factory.mktemp("partial")
    bare = folder / "remote.git"
    seed = repository(folder / "seed")
    for number in (2, 3, 4):
        (seed.root / "schedules" / "acme" / "a.yaml").write_text(f"# {number}\n")
        commit(seed.root, f"change {number}")
    git(seed.root, "checkout", "-q", "-b", "side", "main~2")
    commit(seed.root, "elsewhere")
    git(seed.root, "clone", "-q", "--bare", str(seed.root), str(bare))
    git(bare, "symbolic-ref", "HEAD", "refs/heads/main")
    git(bare, "config", "uploadpack.allowFilter", "true")
    return bare


def ids(remote: Path, *names: str) -> list[str]:
    return [git(remote, "rev-parse", name) for name in names]


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def there(request: pytest.FixtureRequest, remote: Path, tmp_path: Path) -> Git:
    return clone(remote, tmp_path / "clone", *request.param)


def test_an_ancestor_beyond_the_boundary_is_found_and_a_commit_elsewhere_is_none(
    there: Git, remote: Path
) -> None:
    first, third, side, head = ids(remote, "main~3", "main~1", "side", "main")
    world = Clock().world()
    assert descends(world, there, third, head)
    assert descends(world, there, first, head)
    assert not descends(world, there, side, head)
    assert not descends(world, there, ABSENT, head)


def test_a_commit_that_git_has_fetched_alone_does_not_hide_the_boundary(
    there: Git, remote: Path
) -> None:
    """A partial clone fetches a commit as soon as git is asked for it. The history between is still cut off."""
    first, head = ids(remote, "main~3", "main")
    there.resolve(f"{first}^{{commit}}")
    assert descends(Clock().world(), there, first, head)


def test_a_commit_that_the_remote_lacks_too_is_absent_and_no_error(there: Git) -> None:
    assert not ensure_commit(Clock().world(), there, ABSENT)


def test_files_of_earlier_commits_are_fetched_where_they_are_needed(
    there: Git, remote: Path
) -> None:
    (first,) = ids(remote, "main~3")
    file = there.root / "schedules" / "acme" / "a.yaml"
    assert ensure_commit(Clock().world(), there, first)
    assert worktree.read_at(there, first, file) == b"kind: CampaignSchedule\n"
    assert worktree.read_at(there, first, file.with_name("b.yaml")) is None


@pytest.mark.parametrize("way", [name for name in WAYS if "depth" in name])
def test_a_boundary_is_no_answer_while_the_remote_is_away(
    remote: Path, tmp_path: Path, way: str
) -> None:
    first, side, head = ids(remote, "main~3", "side", "main")
    there = clone(remote, tmp_path / "clone", *WAYS[way])
    git(there.root, "remote", "set-url", "origin", "file:///nowhere")
    for older in (first, side, ABSENT):
        with pytest.raises(Unavailable):
            descends(Clock().world(), there, older, head)
        with pytest.raises(Unavailable):
            ensure_commit(Clock().world(), there, older)


def test_a_file_that_cannot_be_fetched_is_unavailable_and_never_absent(
    remote: Path, tmp_path: Path
) -> None:
    (first,) = ids(remote, "main~3")
    there = clone(remote, tmp_path / "clone", "--filter=tree:0")
    git(there.root, "remote", "set-url", "origin", "file:///nowhere")
    with pytest.raises(Unavailable, match="partial clone"):
        worktree.read_at(there, first, there.root / "schedules" / "acme" / "a.yaml")


def _without_a_remote(there: Git) -> None:
    git(there.root, "remote", "remove", "origin")


def _with_a_remote_cut_off_too(there: Git) -> None:
    thin = there.root.with_name("thin.git")
    git(there.root, "clone", "-q", "--bare", "--depth=1", there.root.as_uri(), str(thin))
    git(there.root, "remote", "set-url", "origin", thin.as_uri())


@pytest.mark.parametrize("change", [_without_a_remote, _with_a_remote_cut_off_too])
def test_a_boundary_that_nobody_continues_is_unavailable(
    remote: Path, tmp_path: Path, change: Callable[[Git], None]
) -> None:
    first, head = ids(remote, "main~3", "main")
    there = clone(remote, tmp_path / "clone", "--depth=1")
    change(there)
    with pytest.raises(Unavailable):
        descends(Clock().world(), there, first, head)


def test_a_commit_above_a_boundary_needs_no_remote(remote: Path, tmp_path: Path) -> None:
    third, head = ids(remote, "main~1", "main")
    there = clone(remote, tmp_path / "clone", "--depth=2")
    git(there.root, "remote", "set-url", "origin", "file:///nowhere")
    assert descends(Clock().world(), there, third, head)


def test_a_worktree_and_a_submodule_of_a_shallow_clone_can_tell_too(
    remote: Path, tmp_path: Path
) -> None:
    first, head = ids(remote, "main~3", "main")
    beside = tmp_path / "beside"
    here = clone(remote, tmp_path / "clone", "--depth=1")
    git(here.root, "worktree", "add", "-q", "--detach", str(beside))
    assert descends(Clock().world(), Git(beside, environ=ENVIRON), first, head)
    outer = repository(tmp_path / "outer")
    git(outer.root, "submodule", "add", "-q", "--depth=1", remote.as_uri(), "inner")
    inner = Git(outer.root / "inner", environ=ENVIRON)
    assert inner.is_shallow()
    assert descends(Clock().world(), inner, first, head)
