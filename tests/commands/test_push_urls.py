"""A remote whose push URL leads to another repository: records that are written there, nobody would read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.errors import PushedElsewhere
from reconciler.git import Git, Move
from tests.commands.test_halt import KEY, NAME, PATH, halt, remote, silent
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.gitfakes import ENVIRON

__all__ = ["desk", "remote", "server"]


@pytest.fixture
def elsewhere(desk: Desk, server: sandbox.CampaignState, remote: Path) -> Path:
    """Another repository, which `origin` is pushed to."""
    server.configure(activation_s=0, requests_per_second=0)
    other = remote.with_name("other.git")
    git(desk.folder, "init", "-q", "--bare", str(other))
    return other


def push_to(desk: Desk, url: str) -> None:
    git(desk.folder, "config", "remote.origin.pushurl", url)


def refs(repository: Path) -> str:
    return git(repository, "for-each-ref", "--format=%(refname)")


CAUSES = {
    "remote.origin.pushurl": lambda _, there: ("remote.origin.pushurl", there),
    "url.<base>.pushInsteadOf": lambda here, there: (f"url.{there}.pushInsteadOf", here),
}
"""Settings that send a push elsewhere: the name in messages, and the setting of two URLs."""


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("cause", CAUSES)
def test_an_apply_that_would_record_elsewhere_writes_nothing_and_names_both_urls(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    elsewhere: Path,
    *,
    cause: str,
    is_first: bool,
) -> None:
    if not is_first:
        assert desk.run("apply", "--yes", PATH) == 0
        desk.edit("dial_rate: 2.4", "dial_rate: 2.0", f"{NAME}.yaml")
        commit(desk.folder)
    git(desk.folder, "config", *CAUSES[cause](str(remote), str(elsewhere)))
    before = server.executed()
    for _ in range(2):
        said = desk.says(64, "apply", "--yes", PATH)
        assert f"fetched from {remote}, but pushed to {elsewhere}, which is another" in said
        assert f"because of the setting {cause}" in said
    assert server.executed() == before
    assert refs(elsewhere) == "", "nothing was pushed there, not even the lock"
    (command,) = re.findall("`(git config --replace-all [^`]*)`", said)
    assert desk.shell("sh", command).returncode == 0
    assert desk.run("apply", "--yes", PATH) == 0


def test_a_stop_that_is_recorded_elsewhere_is_not_reported_as_held(
    desk: Desk, server: sandbox.CampaignState, remote: Path, elsewhere: Path
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    push_to(desk, str(elsewhere))
    assert halt(desk, NAME, "--wait", "30") == 3
    assert silent(server, KEY)
    assert "the records are only in this clone" in desk.out
    assert f"pushed to {elsewhere}" in desk.out
    assert "silent and held" not in desk.out


@pytest.mark.parametrize("cause", CAUSES)
def test_the_push_that_a_stop_advises_reaches_the_repository_that_is_read(
    desk: Desk, server: sandbox.CampaignState, remote: Path, elsewhere: Path, cause: str
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    git(desk.folder, "config", *CAUSES[cause](str(remote), str(elsewhere)))
    assert halt(desk, NAME, "--wait", "30") == 3
    assert silent(server, KEY)
    (command,) = re.findall("git config --replace-all [^`]* && git push origin [^ `]*", desk.out)
    assert desk.shell("sh", command).returncode == 0
    assert command.split()[-1] in refs(remote)
    assert refs(elsewhere) == ""


@pytest.mark.parametrize("more", [False, True])
def test_two_urls_of_one_repository_are_as_good_as_one(
    desk: Desk, server: sandbox.CampaignState, remote: Path, elsewhere: Path, *, more: bool
) -> None:
    push_to(desk, f"file://{remote}")
    git(remote, "symbolic-ref", "refs/heads/master", "refs/heads/main")  # as after a renaming
    if more:  # and a copy of everything
        git(desk.folder, "config", "--add", "remote.origin.pushurl", str(elsewhere))
    assert desk.run("apply", "--yes", PATH) == 0
    assert halt(desk, NAME) == 0
    assert silent(server, KEY)
    assert "silent and held" in desk.out


@pytest.fixture
def pushes(
    desk: Desk, remote: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Iterator[dict[str, int]]], None]:
    """Return a function that pushes to a remote with two URLs; the refs that they show, in turn, are its argument."""
    push_to(desk, f"file://{remote}")
    repo = Git(desk.folder, environ=ENVIRON)
    head = git(desk.folder, "rev-parse", "HEAD").strip()

    def push(shown: Iterator[dict[str, int]]) -> None:
        monkeypatch.setattr(repo, "_listed", lambda *_, **__: next(shown))
        repo.push("origin", Move("refs/heads/new", head, None))

    return push


def test_refs_that_move_between_two_reads_are_no_other_repository(
    pushes: Callable[[Iterator[dict[str, int]]], None],
) -> None:
    """Other runs push while the two URLs are read, one after the other."""
    shown = iter([{"a": each} for each in (0, 0, 1, 2, 3, 4, 5, 5)])
    pushes(shown)
    assert next(shown, None) is None


@pytest.mark.parametrize("before", [[], [0, 0]], ids=["before the push", "after it"])
def test_refs_that_stand_still_and_differ_are_those_of_another_repository(
    pushes: Callable[[Iterator[dict[str, int]]], None], before: list[int]
) -> None:
    with pytest.raises(PushedElsewhere, match="which is another repository"):
        pushes(iter([{"a": each} for each in (*before, 1, 2, 1)]))
