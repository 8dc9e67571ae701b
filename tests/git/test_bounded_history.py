"""A shallow clone fetches no more history than the answer needs: whether HEAD descends from the commit applied last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.commands.remotes import descends, ensure_commit
from reconciler.git import Git, Identity
from tests.support.gitfakes import START, Clock, clone, git, repository

ME = Identity("a person", "person@example.com")

Story = Sequence[tuple[int, tuple[int, ...]]]
"""Commits: the hour of each, and the numbers of its parents. The last one is HEAD."""

LINE: Story = [(hour, (hour - 1,) if hour else ()) for hour in range(7)]


def tell(story: Story, folder: Path) -> tuple[Path, list[str]]:
    """Return a bare remote with these commits, and their ids."""
    seed, bare = repository(folder / "seed"), folder / "remote.git"
    repository(bare, bare=True)
    ids: list[str] = []
    for number, (hour, parents) in enumerate(story):
        tree = seed.make_tree({"file": ("100644", seed.write_blob(str(number).encode()))})
        at = START + timedelta(hours=hour)
        of = [ids[each] for each in parents]
        ids.append(seed.commit_tree(tree, parents=of, message="x\n", identity=ME, at=at))
        git(seed.root, "push", "-q", str(bare), f"{ids[-1]}:refs/heads/{number}")
    git(seed.root, "push", "-q", str(bare), f"{ids[-1]}:refs/heads/main")
    return bare, ids


def held(there: Git, ids: Sequence[str]) -> set[int]:
    """Return the numbers of the commits that a clone has."""
    return {number for number, each in enumerate(ids) if each in there.stat(each)}


@pytest.mark.parametrize(
    ("story", "older", "is_older", "needed"),
    [
        pytest.param(LINE, 3, True, {3, 4, 5, 6}, id="a line"),
        pytest.param(LINE, 6, True, {6}, id="HEAD"),
        pytest.param(
            [(0, ()), (1, (0,)), (9, (1,)), (3, (2,)), (4, (3,))], 2, True, {*range(5)}, id="dated late"
        ),
        pytest.param(
            [(0, ()), (1, (0,)), (2, (1,)), (0, (2,)), (4, (3,))], 2, True, {*range(5)}, id="dated early"
        ),
        pytest.param(
            [(0, ()), (1, (0,)), (2, (1,)), (3, (1,)), (4, (2, 3))], 2, True, {*range(5)}, id="merged, begun before"
        ),
        pytest.param(
            [(0, ()), (1, (0,)), (2, (1,)), (3, (1,)), (4, (3, 2))], 2, True, {*range(5)}, id="merged into another"
        ),
        pytest.param(
            [(0, ()), (1, (0,)), (2, (1,)), (3, (2,)), (4, (2,)), (5, (3, 4))], 2, True, {2, 3, 4, 5}, id="merged, begun since"
        ),
        pytest.param([(0, ()), (1, (0,)), (2, (1,)), (3, (1,))], 2, False, {*range(4)}, id="elsewhere"),
        pytest.param([(0, ()), (1, ()), (2, (1,))], 0, False, {0, 1, 2}, id="unrelated"),
        pytest.param([(0, ()), (1, (0,)), (3, (1,)), (2, (1,))], 2, False, {*range(4)}, id="elsewhere, and newer"),
    ],
)  # fmt: skip
def test_history_is_fetched_back_to_the_older_commit(
    tmp_path: Path,
    story: Story,
    older: int,
    is_older: bool,  # noqa: FBT001 - a table
    needed: set[int],
) -> None:
    bare, ids = tell(story, tmp_path)
    there = clone(bare, tmp_path / "clone", "--depth=1")
    assert held(there, ids) == {len(story) - 1}
    assert descends(Clock().world(), there, ids[older], ids[-1]) == is_older
    assert held(there, ids) == needed
    if is_older:
        whole = clone(bare, tmp_path / "whole")
        assert there.commits_beyond(ids[older], ids[-1]) == whole.commits_beyond(
            ids[older], ids[-1]
        )


def test_a_commit_is_fetched_without_its_history(tmp_path: Path) -> None:
    bare, ids = tell(LINE, tmp_path)
    there = clone(bare, tmp_path / "clone", "--depth=1")
    assert ensure_commit(Clock().world(), there, ids[3])
    assert held(there, ids) == {3, 6}
    assert not descends(Clock().world(), there, ids[6], ids[3])
    assert descends(Clock().world(), there, ids[3], ids[6])
    assert held(there, ids) == {*range(7)}


def test_a_clone_that_is_cut_off_deeper_is_made_no_shallower(tmp_path: Path) -> None:
    story: Story = [(0, ()), (8, (0,)), (2, (1,)), (3, (2,)), (4, (3,))]
    bare, ids = tell(story, tmp_path)
    there = clone(bare, tmp_path / "clone", "--depth=3")
    assert descends(Clock().world(), there, ids[1], ids[-1])
    assert len(there.commits_beyond(None, ids[-1])) == len(story)


def test_a_host_that_gives_no_commit_by_its_id_gives_the_history(tmp_path: Path) -> None:
    bare, ids = tell(LINE, tmp_path)
    there = clone(bare, tmp_path / "clone", "--depth=1", "-c", "protocol.version=0")
    git(bare, "update-ref", "-d", "refs/heads/3")
    assert ensure_commit(Clock().world(), there, ids[3])
    assert descends(Clock().world(), there, ids[3], ids[6])
