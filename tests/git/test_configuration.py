"""What git may read as configuration: nothing that a commit can hold, and of the repository's own only known data."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import GitError
from reconciler.git import Git
from reconciler.git.configuration import Setting, check, parse
from tests.support.gitfakes import ENVIRON, git, repository

PROGRAMS = [
    "core.sshCommand",
    "core.gitProxy",
    "core.alternateRefsCommand",
    "credential.helper",
    "credential.https://forge.example.helper",
    "diff.external",
    "diff.x.command",
    "diff.x.textconv",
    "filter.x.clean",
    "filter.x.process",
    "filter.x.smudge",
    "gpg.program",
    "gpg.ssh.program",
    "gpg.ssh.defaultKeyCommand",
    "hook.x.command",
    "merge.x.driver",
    "remote.origin.receivepack",
    "remote.origin.uploadpack",
    "remote.origin.vcs",
    "sendemail.sendmailCmd",
    "ssh.variant",
    "trailer.x.cmd",
    "uploadpack.packObjectsHook",
    "nobody.knows.this",
]

DATA = [
    "alias.co",
    "branch.main.remote",
    "branch.main.vscode-merge-base",
    "commit.gpgSign",
    "core.autocrlf",
    "core.fsmonitor",
    "core.hooksPath",
    "core.sparseCheckout",
    "extensions.worktreeConfig",
    "gc.auto",
    "http.https://forge.example/.extraheader",
    "lfs.repositoryformatversion",
    "pull.rebase",
    "remote.origin.partialclonefilter",
    "remote.origin.promisor",
    "remote.origin.url",
    "submodule.sub.url",
    "url.https://forge.example/.insteadOf",
    "user.name",
]


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    return repository(tmp_path / "repo")


def find(repo: Git, **more: str) -> Git:
    found = Git.find(repo.root / "schedules" / "acme", environ=ENVIRON | more)
    assert found is not None
    return found


@pytest.mark.parametrize("key", PROGRAMS)
def test_a_program_that_the_repository_names_is_refused_with_a_way_out(repo: Git, key: str) -> None:
    git(repo.root, "config", key, "touch ran")
    section, _, name = key.rpartition(".")
    shown = f"{section}.{name.lower()}"
    with pytest.raises(GitError) as caught:
        find(repo)
    assert f"git setting {shown} in {repo.root}/.git/config is not accepted" in str(caught.value)
    assert f"`git config --unset-all {shown}`" in str(caught.value)
    assert "touch ran" not in str(caught.value)


@pytest.mark.parametrize("key", DATA)
def test_what_clones_and_tools_write_there_counts(repo: Git, key: str) -> None:
    git(repo.root, "config", key, "false")
    assert find(repo).head()


def test_a_setting_of_a_worktree_is_the_repositorys_too(repo: Git) -> None:
    git(repo.root, "config", "extensions.worktreeConfig", "true")
    git(repo.root, "config", "--worktree", "core.sshCommand", "touch ran")
    with pytest.raises(GitError, match=r"core\.sshcommand in .*/config\.worktree"):
        find(repo)


@pytest.mark.parametrize("key", PROGRAMS)
def test_the_users_own_configuration_names_what_it_likes(
    repo: Git, tmp_path: Path, key: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    git(repo.root, "config", "--file", str(home / ".gitconfig"), key, "true")
    assert find(repo, HOME=str(home)).head()


@pytest.mark.parametrize("name", [".gitconfig", "schedules/acme/notes.txt"])
def test_a_committed_file_that_the_repository_includes_is_refused(repo: Git, name: str) -> None:
    (repo.root / name).write_text("[user]\n name = anybody\n")
    git(repo.root, "config", "include.path", f"../{name}")
    with pytest.raises(GitError, match=r"read user\.name from .*, a file that a commit can change"):
        find(repo)


def test_a_committed_file_that_is_linked_as_configuration_is_refused(repo: Git) -> None:
    (repo.root / ".git/config").rename(repo.root / "config.txt")
    (repo.root / ".git/config").symlink_to(repo.root / "config.txt")
    with pytest.raises(GitError, match="a file that a commit can change"):
        find(repo)


def test_a_home_inside_the_checkout_is_refused(repo: Git) -> None:
    (repo.root / ".gitconfig").write_text('[core]\n sshCommand = "touch ran"\n')
    with pytest.raises(
        GitError, match=r"read core\.sshcommand from .*a file that a commit can change"
    ):
        find(repo, HOME=str(repo.root))


def test_a_file_outside_may_be_included_as_the_checkout_action_does(
    repo: Git, tmp_path: Path
) -> None:
    token = tmp_path / "credentials.config"
    token.write_text('[http "https://forge.example/"]\n extraheader = "AUTHORIZATION: basic x"\n')
    git(repo.root, "config", f"includeIf.gitdir:{repo.root}/.git.path", str(token))
    listed = find(repo).text("config", "--get-all", "http.https://forge.example/.extraheader")
    assert listed == "AUTHORIZATION: basic x"


def test_a_partial_and_shallow_clone_is_accepted(repo: Git, tmp_path: Path) -> None:
    git(repo.root, "config", "uploadpack.allowFilter", "true")
    options = ("--depth=1", "--filter=blob:none", "--sparse")
    git(tmp_path, "clone", "-q", *options, repo.root.as_uri(), "thin")
    assert Git.find(tmp_path / "thin", environ=ENVIRON) is not None


NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)


@given(section=NAMES, name=NAMES, sub=st.none() | st.text(max_size=20))
def test_a_name_that_is_not_listed_never_counts_from_the_repository(section, name, sub) -> None:
    """`x` in front makes a section that nobody lists, as a later git may bring one."""
    key = f"x{section}.{name}" if sub is None else f"x{section}.{sub}.{name}"
    with pytest.raises(GitError, match="is not accepted"):
        check(iter([Setting("local", "file:/elsewhere/config", key)]), Path("/top"))
    check(iter([Setting("global", "file:/elsewhere/config", key)]), Path("/top"))


def test_settings_are_read_as_git_lists_them() -> None:
    listed = "local\0file:.git/config\0a.b\nc\nd\0command\0command line:\0e.f\0"
    assert list(parse(listed)) == [
        Setting("local", "file:.git/config", "a.b"),
        Setting("command", "command line:", "e.f"),
    ]
