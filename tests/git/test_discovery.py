"""Which repository is ours: what a commit can hold is never one, and git looks for none itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from reconciler.errors import GitError, Unavailable
from reconciler.git import Git, Move
from reconciler.git.command import TIMEOUT_S
from reconciler.git.discovery import is_committable
from reconciler.git.process import Ran, run_process
from tests.support.gitfakes import ENVIRON, clone, commit, git, repository, shared


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    return repository(tmp_path / "repo")


def bare_inside(folder: Path, marker: Path, worktree: str = ".") -> None:
    """Write files, each of which a commit can hold, that git takes for a repository when it is run in `folder`."""
    for name in ("objects/info", "refs/heads"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "keep").touch()
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(
        "[core]\n repositoryformatversion = 0\n bare = false\n"
        f" worktree = {worktree}\n sshCommand = \"touch '{marker}' #\"\n"
        "[user]\n name = inner\n"
        '[remote "origin"]\n url = ssh://nowhere.invalid/x\n fetch = +refs/*:refs/remotes/origin/*\n'
    )


def attacked(tmp_path: Path, worktree: str = ".") -> tuple[Path, Path]:
    """Return the tenant's folder of a clean clone that holds such files, and the file that their program makes."""
    marker = tmp_path / "ran"
    bare, (one,) = shared(tmp_path)
    bare_inside(one.root / "schedules" / "acme", marker, worktree)
    commit(one.root, "a repository in a tenant's folder")
    git(one.root, "push", "-q", "origin", "HEAD:main")
    fresh = clone(bare, tmp_path / "fresh")
    return fresh.root / "schedules" / "acme", marker


def test_the_attack_works_on_a_git_that_looks_for_itself(tmp_path: Path) -> None:
    """Else the tests below would show nothing."""
    folder, marker = attacked(tmp_path)
    subprocess.run(["git", "ls-remote", "origin"], cwd=folder, env=ENVIRON, check=False)
    assert marker.exists()


@pytest.mark.parametrize("worktree", [".", "../..", str(Path("/"))])
def test_files_that_look_like_a_repository_are_none(tmp_path: Path, worktree: str) -> None:
    folder, marker = attacked(tmp_path, worktree)
    found = Git.find(folder, environ=ENVIRON)
    assert found is not None
    assert found.root == tmp_path / "fresh"
    assert found.user_name() is None
    found.remote_refs("origin", "refs/heads/main")
    assert not marker.exists()


def test_the_records_stay_in_the_outer_repository(tmp_path: Path) -> None:
    folder, _ = attacked(tmp_path)
    found = Git.find(folder, environ=ENVIRON)
    assert found is not None
    found.update_refs(Move("refs/notes/x", found.head(), None))
    assert git(tmp_path / "fresh", "for-each-ref", "refs/notes/x") != ""
    assert not (folder / "refs" / "notes").exists()


def test_a_git_that_is_run_beside_such_files_is_told_where_the_repository_is(
    tmp_path: Path,
) -> None:
    """Without `safe.bareRepository`, which older versions of git do not know, the explicit paths alone suffice."""
    root = repository(tmp_path / "top").root
    bare_inside(root, tmp_path / "ran")
    found = Git(root, environ=ENVIRON)
    assert found.text("rev-parse", "--absolute-git-dir") == str(root / ".git")
    assert found.user_name() is None


@pytest.mark.parametrize("empty", [True, False])
def test_without_a_real_one_there_is_no_repository(tmp_path: Path, *, empty: bool) -> None:
    bare_inside(tmp_path, tmp_path / "ran")
    if empty:
        (tmp_path / "schedules").mkdir()
        assert Git.find(tmp_path / "schedules", environ=ENVIRON) is None
    assert Git.find(tmp_path, environ=ENVIRON) is None
    with pytest.raises(GitError, match=r"holds no \.git, and a bare repository is not used"):
        Git(tmp_path, environ=ENVIRON).head()


def test_a_broken_repository_does_not_let_git_take_the_files_beside_it(
    repo: Git, tmp_path: Path
) -> None:
    bare_inside(repo.root, tmp_path / "ran")
    (repo.root / ".git" / "HEAD").unlink()
    with pytest.raises(GitError, match="will not open the repository here"):
        Git.find(repo.root, environ=ENVIRON)


def test_a_bare_repository_is_not_used(tmp_path: Path) -> None:
    bare = repository(tmp_path / "bare.git", bare=True).root
    assert Git.find(bare, environ=ENVIRON) is None
    (bare / "inner").mkdir()
    assert Git.find(bare / "inner", environ=ENVIRON) is None


def test_a_git_directory_without_a_work_tree_is_refused(repo: Git) -> None:
    git(repo.root, "config", "core.bare", "true")
    with pytest.raises(GitError, match="will not open the repository here"):
        Git.find(repo.root, environ=ENVIRON)


def test_a_worktree_and_a_submodule_are_repositories(repo: Git, tmp_path: Path) -> None:
    git(repo.root, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    tree = Git.find(tmp_path / "tree" / "schedules" / "acme", environ=ENVIRON)
    assert tree is not None
    assert (tree.root, tree.head()) == (tmp_path / "tree", repo.head())

    outer = repository(tmp_path / "outer").root
    git(outer, "submodule", "--quiet", "add", str(repo.root), "sub")
    sub = Git.find(outer / "sub" / "schedules" / "acme" / "a.yaml", environ=ENVIRON)
    assert sub is not None
    assert (sub.root, sub.head()) == (outer / "sub", repo.head())


def test_a_repository_that_moved_its_git_directory_out_is_one(repo: Git, tmp_path: Path) -> None:
    git(repo.root, "init", "-q", f"--separate-git-dir={tmp_path / 'away'}")
    found = Git.find(repo.root, environ=ENVIRON)
    assert found is not None
    assert found.git_dir == tmp_path / "away"


def _as_file(root: Path, inner: Path) -> None:
    (root / ".git").rename(inner)
    (root / ".git").write_text("gitdir: schedules/inner\n")


def _as_link(root: Path, inner: Path) -> None:
    (root / ".git").rename(inner)
    (root / ".git").symlink_to(inner)


def _as_common(root: Path, inner: Path) -> None:
    shutil.copytree(root / ".git", inner)
    (root / ".git" / "commondir").write_text("../schedules/inner\n")


def _as_alternate(root: Path, inner: Path) -> None:
    (inner / "objects").mkdir(parents=True)
    (root / ".git/objects/info/alternates").write_text(f"# ours\n{inner / 'objects'}\n")


@pytest.mark.parametrize("lead", [_as_file, _as_link, _as_common, _as_alternate])
def test_a_repository_that_leads_to_files_that_a_commit_can_hold_is_refused(
    repo: Git, lead
) -> None:
    lead(repo.root, repo.root / "schedules" / "inner")
    with pytest.raises(GitError, match="which a commit can change"):
        Git.find(repo.root / "schedules" / "acme", environ=ENVIRON)


def test_a_clone_that_borrows_objects_from_another_repository_is_one(
    repo: Git, tmp_path: Path
) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(repo.root), "borrower")
    found = Git.find(tmp_path / "borrower", environ=ENVIRON)
    assert found is not None
    assert found.head() == repo.head()


@pytest.mark.parametrize("text", ["", "nonsense", "gitdir: " + "x" * 5000])
def test_a_git_file_that_names_no_git_directory_is_an_error(repo: Git, text: str) -> None:
    shutil.rmtree(repo.root / ".git")
    (repo.root / ".git").write_text(text)
    with pytest.raises(GitError):
        Git.find(repo.root, environ=ENVIRON)


def test_a_work_tree_that_is_elsewhere_is_refused(repo: Git, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    git(repo.root, "config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(GitError, match=r"git uses another repository .* Check core\.worktree"):
        Git.find(repo.root, environ=ENVIRON)


def test_a_repository_of_another_user_is_refused(repo: Git) -> None:
    """Git looks at the owner only when it finds a repository itself; its own test variable plays the other user."""
    refusing = Git(repo.root, environ=ENVIRON)
    refusing._environment["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    with pytest.raises(GitError, match="dubious ownership"):
        refusing.check()


def test_grafts_and_replacements_rewrite_no_history(repo: Git) -> None:
    first = repo.head()
    second = commit(repo.root, "second")
    git(repo.root, "replace", second, first)
    (repo.root / ".git/info").mkdir(exist_ok=True)
    (repo.root / ".git/info/grafts").write_text(f"{second}\n")
    assert git(repo.root, "rev-list", "--count", "HEAD") == "1"
    assert [each.id for each in repo.walk(second)] == [second, first]
    assert repo.run("rev-list", "HEAD").err == b""


@pytest.mark.parametrize("url", ["ext::sh -c 'touch ran'", "evil::x", "git://127.0.0.1:1/x"])
def test_no_remote_helper_is_started(repo: Git, url: str) -> None:
    git(repo.root, "remote", "add", "origin", url)
    repo.run("config", "protocol.allow", "always")
    with pytest.raises(Unavailable, match="not allowed"):
        repo.remote_refs("origin", "refs/heads/main")
    assert not (repo.root / "ran").exists()


def test_a_relative_folder_on_the_path_is_not_searched(repo: Git) -> None:
    program = repo.root / "git"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o755)
    path = os.pathsep.join(["", ".", ENVIRON["PATH"]])
    Git(repo.root, environ=ENVIRON | {"PATH": path}).head()
    assert not (repo.root / "ran").exists()


@pytest.mark.parametrize(
    ("path", "can"),
    [
        ("schedules/acme/a.yaml", True),
        ("a.git/config", True),
        ("", True),
        (".git/config", False),
        (".GIT/x", False),
        ("sub/.git/x", False),
        ("../other/file", False),
    ],
)
def test_a_commit_holds_what_lies_in_the_work_tree_and_not_below_a_git_directory(
    tmp_path: Path, path: str, *, can: bool
) -> None:
    assert is_committable(tmp_path / path, tmp_path) is can


def test_only_the_commands_that_open_a_repository_have_the_limit_given(repo: Git) -> None:
    limits: list[float] = []

    def runner(
        argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: bytes, timeout_s: float
    ) -> Ran:
        limits.append(timeout_s)
        return run_process(argv, cwd=cwd, env=env, stdin=stdin, timeout_s=timeout_s)

    found = Git.find(repo.root, environ=ENVIRON, runner=runner, timeout_s=7.0)
    assert found is not None
    assert set(limits) == {7.0}
    limits.clear()
    found.refs()
    assert set(limits) == {TIMEOUT_S}
