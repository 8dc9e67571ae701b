"""Git, run safely: real repositories, and a runner that fails on purpose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import GitError, Unavailable
from reconciler.git import FILE, Git, Identity, Move, Signature, worktree
from reconciler.git.process import Ran, run_process
from tests.support.gitfakes import ENVIRON, START, clone, commit, git, repository, shared

ME = Identity("tester", "tester@example.com")
ABSENT = "1" * 40


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    return repository(tmp_path / "repo")


@pytest.fixture(params=["sha1", "sha256"])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Git:
    return repository(tmp_path / "repo", object_format=request.param)


def test_who_is_at_work_is_whom_git_names_and_nobody_where_it_names_none(repo):
    assert repo.user_name() is None
    repo.run("config", "user.name", " Ada Lovelace ")
    assert repo.user_name() == "Ada Lovelace"


def made(repo_: Git, message: str = "x", parents: tuple[str, ...] = ()) -> str:
    tree = repo_.make_tree({"f": (FILE, repo_.write_blob(b"data"))})
    return repo_.commit_tree(tree, parents=parents, message=message, identity=ME, at=START)


# --- finding it -------------------------------------------------------------------------------------------------------------


def test_the_top_of_the_work_tree_is_found_from_a_folder_or_a_file_below(repo):
    file = repo.root / "schedules" / "acme" / "a.yaml"
    for path in (file, file.parent, repo.root):
        found = Git.find(path, environ=ENVIRON)
        assert found is not None
        assert (found.root, found.head()) == (repo.root, repo.head())


def test_outside_a_repository_there_is_none(tmp_path):
    assert Git.find(tmp_path, environ=ENVIRON) is None


def test_a_repository_that_git_will_not_open_is_an_error_and_not_absence(repo):
    (repo.root / ".git" / "HEAD").write_text("nonsense")
    with pytest.raises(GitError, match="will not open the repository here: fatal: "):
        Git.find(repo.root, environ=ENVIRON)


def test_a_machine_without_git_says_so(repo, tmp_path):
    with pytest.raises(GitError, match="git is not installed"):
        Git.find(repo.root, environ={"PATH": str(tmp_path)})


def test_a_folder_that_is_gone_is_not_blamed_on_git(tmp_path):
    with pytest.raises(GitError, match="gone: no such folder"):
        Git(tmp_path / "gone", environ=ENVIRON).head()


def test_a_repository_without_a_commit_says_what_to_do(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(GitError, match="commit the manifests first"):
        Git(tmp_path, environ=ENVIRON).head()


# --- running it -------------------------------------------------------------------------------------------------------------


class Spy:
    """A runner that remembers how it was called, and answers what it was told to."""

    def __init__(self, answer: Ran | BaseException) -> None:
        self.answer = answer
        self.env: dict[str, str] = {}
        self.argv: list[str] = []

    def __call__(self, argv, *, env, **_: object) -> Ran:
        self.argv, self.env = list(argv), dict(env)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def test_git_gets_neither_its_callers_settings_nor_our_secrets():
    spy = Spy(Ran(0, b"", b""))
    environ = {
        "GIT_DIR": "/elsewhere",
        "GIT_INDEX_FILE": "x",
        "CXONE_CLIENT_SECRET": "hidden",
        "LANGUAGE": "de",
        "SSH_AUTH_SOCK": "/agent",
        "PATH": "/bin",
    }
    Git(Path.cwd(), environ=environ, runner=spy).remotes()
    assert spy.env["SSH_AUTH_SOCK"] == "/agent"
    assert spy.env["LC_ALL"] == "C.UTF-8"
    assert spy.env["GIT_TERMINAL_PROMPT"] == "0"
    assert not spy.env.keys() & {"GIT_DIR", "GIT_INDEX_FILE", "CXONE_CLIENT_SECRET", "LANGUAGE"}


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "commit.gpgSign=false",
        "safe.bareRepository=explicit",
        "push.followTags=false",
    ],
)
def test_settings_of_the_repository_that_could_run_or_change_something_are_off(setting):
    spy = Spy(Ran(0, b"", b""))
    Git(Path.cwd(), environ={}, runner=spy).remotes()
    assert setting in spy.argv


def test_a_git_that_lacks_an_option_is_too_old(repo):
    old = Spy(Ran(129, b"", b"error: unknown option `batch-command'\nusage: git cat-file"))
    with pytest.raises(GitError, match=r"batch-command'.*too old: install git 2\.39 or later"):
        Git(repo.root, environ={}, runner=old).stat("0" * 40)


def test_the_first_line_of_what_git_says_is_repeated_escaped_and_without_credentials():
    said = b"\n\x1b]0;x\x07fatal: no access to https://me:secret@host/x\nhint: try\n"
    with pytest.raises(GitError) as caught:
        Git(Path.cwd(), environ={}, runner=Spy(Ran(128, b"", said))).remotes()
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).startswith("git remote: \\u001b]0;x")
    assert "hint" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said"),
    [(9, "exit code 9"), (-9, "ended by SIGKILL"), (-25, "ended by SIGXFSZ"), (-99, "signal 99")],
)
def test_a_command_that_said_nothing_is_an_error_with_the_way_it_ended(code, said):
    with pytest.raises(GitError, match=said) as caught:
        Git(Path.cwd(), environ={}, runner=Spy(Ran(code, b"", b""))).remotes()
    assert ("Run the command again" in str(caught.value)) is (code < 0)


def test_a_command_that_takes_too_long_is_an_error_with_the_limit():
    slow = Git(Path.cwd(), environ={}, runner=Spy(TimeoutError()), timeout_s=3)
    with pytest.raises(GitError, match="git remote took longer than 3 s"):
        slow.remotes()


def test_a_process_that_hangs_is_ended(tmp_path):
    program = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(TimeoutError):
        run_process(program, cwd=tmp_path, env=dict(os.environ), stdin=b"", timeout_s=0.01)


def test_an_interrupt_ends_a_process_with_all_that_it_started(tmp_path):
    """Its child holds our pipe open, and will not listen: without ending the whole session, waiting would never end."""
    child = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"end = open('fifo', 'w'); os.kill({os.getpid()}, signal.SIGUSR1); time.sleep(600)"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    os.mkfifo(tmp_path / "fifo")
    end = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_process(
                [sys.executable, "-c", parent],
                cwd=tmp_path,
                env=dict(os.environ),
                stdin=b"",
                timeout_s=60,
            )
        os.set_blocking(end, True)
        assert os.read(end, 1) == b""  # returns only when no process holds the other end any more
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(end)


def test_hooks_of_the_repository_do_not_run(repo):
    hook = repo.root / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    repo.update_refs(Move("refs/reconcile/x", repo.head(), None))
    assert not (repo.root / "ran").exists()


# --- does a folder equal HEAD --------------------------------------------------------------------------------------------------


def _edit(root: Path) -> None:
    (root / "schedules/acme/a.yaml").write_text("kind: Other\n")


def _stage(root: Path) -> None:
    _edit(root)
    git(root, "add", "-A")


def _stage_and_undo(root: Path) -> None:
    _stage(root)
    (root / "schedules/acme/a.yaml").write_text("kind: CampaignSchedule\n")


def _remove(root: Path) -> None:
    (root / "schedules/acme/a.yaml").unlink()


def _add(root: Path) -> None:
    (root / "schedules/acme/ä\nb.yaml").write_text("x")


def _ignore(root: Path) -> None:
    (root / ".git/info/exclude").write_text("*.yaml\n")
    (root / "schedules/acme/deep").mkdir()
    (root / "schedules/acme/deep/b.yaml").write_text("x")


def _hide(root: Path) -> None:
    git(root, "update-index", "--assume-unchanged", "schedules/acme/a.yaml")
    _edit(root)


def _skip(root: Path) -> None:
    git(root, "update-index", "--skip-worktree", "schedules/acme/a.yaml")
    _edit(root)


def _link(root: Path) -> None:
    _remove(root)
    (root / "schedules/acme/a.yaml").symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_edit, "schedules/acme/a.yaml (changed)"),
        (_stage, "schedules/acme/a.yaml (staged)"),
        (_stage_and_undo, "schedules/acme/a.yaml (staged)"),
        (_remove, "schedules/acme/a.yaml (missing)"),
        (_add, "schedules/acme/ä\\u000ab.yaml (untracked)"),
        (_ignore, "schedules/acme/deep/b.yaml (ignored by git, but a manifest)"),
        (_hide, "schedules/acme/a.yaml (git was told not to look at it)"),
        (_skip, "schedules/acme/a.yaml (git was told not to look at it)"),
        (_link, "schedules/acme/a.yaml (changed)"),
    ],
)
def test_whatever_makes_the_folder_differ_from_head_is_named(repo, change, said):
    folder = repo.root / "schedules" / "acme"
    assert not worktree.differences(repo, folder)
    change(repo.root)
    assert said in worktree.differences(repo, folder)
    assert worktree.differences(repo, folder)


def test_what_happens_outside_the_folder_does_not_count(repo):
    (repo.root / "schedules" / "other").mkdir()
    (repo.root / "schedules" / "other" / "b.yaml").write_text("x")
    (repo.root / ".git/info/exclude").write_text("*.tmp\n")
    (repo.root / "schedules" / "acme" / "notes.tmp").write_text("x")
    assert not worktree.differences(repo, repo.root / "schedules" / "acme")
    assert worktree.differences(repo, repo.root)


def test_a_folder_is_read_as_a_commit_holds_it_whatever_lies_there_now(either):
    for path in ("schedules/acme/a.yaml", "schedules/acme/deep/é b.yaml", "elsewhere.yaml"):
        file = either.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path, encoding="utf-8")
    git(either.root, "add", "-A")
    git(either.root, "commit", "-qm", "x")
    head = either.head()
    (either.root / "schedules/acme/a.yaml").write_text("changed", encoding="utf-8")
    (either.root / "schedules/acme/b.yaml").write_text("new", encoding="utf-8")
    assert dict(worktree.contents(either, head, either.root / "schedules" / "acme")) == {
        "a.yaml": b"schedules/acme/a.yaml",
        "deep/é b.yaml": "schedules/acme/deep/é b.yaml".encode(),
    }
    assert "elsewhere.yaml" in dict(worktree.contents(either, head, either.root))
    assert worktree.read_at(either, head, either.root / "elsewhere.yaml") == b"elsewhere.yaml"
    assert worktree.read_at(either, head, either.root / "schedules/acme/b.yaml") is None
    with pytest.raises(GitError):
        dict(worktree.contents(either, head, either.root / "nothing"))


def test_differences_are_found_once(repo):
    folder = repo.root / "schedules" / "acme"
    clean, edited = worktree.Differences(repo, folder), worktree.Differences(repo, folder)
    assert not clean()
    _edit(repo.root)
    assert edited() == ("schedules/acme/a.yaml (changed)",)
    assert not clean()


def test_a_commit_is_compared_with_another_one_or_with_the_work_tree(repo):
    folder, first = repo.root / "schedules" / "acme", repo.head()
    _add(repo.root)
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-qm", "x")
    _edit(repo.root)
    assert worktree.changed_since(repo, first, folder, repo.head()) == ("ä\nb.yaml",)
    assert worktree.changed_since(repo, first, folder) == ("a.yaml", "ä\nb.yaml")


def test_a_folder_elsewhere_is_an_error(repo, tmp_path):
    with pytest.raises(GitError, match="is not inside the repository"):
        worktree.differences(repo, tmp_path)


def test_a_worktree_and_a_shallow_clone_are_repositories_like_any_other(tmp_path):
    bare, (first,) = shared(tmp_path)
    shallow = clone(bare, tmp_path / "shallow", "--depth=1")
    git(first.root, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    for each in (shallow, Git(tmp_path / "tree", environ=ENVIRON)):
        assert each.head() == first.head()
        assert not worktree.differences(each, each.root / "schedules" / "acme")
        each.update_refs(Move("refs/reconcile/x", made(each), None))


# --- objects ----------------------------------------------------------------------------------------------------------------


def test_objects_are_stored_verbatim_and_read_back(either):
    data = b"a\0b\r\n\xff" * 100
    blob = either.write_blob(data)
    tree = either.make_tree({"ä": (FILE, blob), "d": ("40000", either.make_tree({}))})
    top = either.commit_tree(tree, parents=(), message="é\n", identity=ME, at=START)
    assert either.read_blob(blob, limit=700) == data
    assert {stat.type for stat in either.stat(blob, tree, top).values()} == {
        "blob",
        "tree",
        "commit",
    }
    assert either.stat("1" * len(blob)) == {}
    assert [each.id for each in either.walk(top)] == [top]
    assert "tester <tester@example.com> 1799676000 +0000" in either.read(top)[top].decode()


def test_a_commit_is_the_same_for_the_same_arguments_and_needs_no_user_name(repo):
    assert made(repo) == made(repo)
    assert made(repo) != made(repo, "y")


def test_a_blob_above_the_limit_or_of_another_kind_is_not_read(repo):
    blob = repo.write_blob(b"12345")
    for id_, limit in ((blob, 4), (repo.head(), 999), (ABSENT, 9)):
        with pytest.raises(GitError, match="expected a blob of at most"):
            repo.read_blob(id_, limit=limit)


def test_an_object_that_is_not_here_is_an_error_to_read(repo):
    with pytest.raises(GitError, match="is not in this clone"):
        repo.read(ABSENT)


def test_replace_refs_do_not_change_what_an_object_says(repo):
    old, new = repo.write_blob(b"old"), repo.write_blob(b"new")
    git(repo.root, "replace", old, new)
    assert repo.read_blob(old, limit=9) == b"old"


def test_revisions_are_resolved_and_nothing_else_is(repo):
    assert repo.resolve("HEAD") == repo.head()
    assert repo.resolve("refs/heads/none") is None
    assert repo.resolve("no such thing") is None
    with pytest.raises(GitError, match="not a revision"):
        repo.resolve("--exec=x")


@pytest.mark.parametrize("name", ["main", "refs/heads/../x", "refs/heads/a b", "--all", "refs/x\n"])
def test_only_full_plain_names_are_refs(repo, name):
    with pytest.raises(GitError, match="not the full name of a ref"):
        repo.refs(name)


def test_ancestry_counts_itself_and_only_backwards(repo):
    old = repo.head()
    new = commit(repo.root, "more")
    assert repo.is_ancestor(old, new)
    assert repo.is_ancestor(new, new)
    assert not repo.is_ancestor(new, old)
    with pytest.raises(GitError):
        repo.is_ancestor(ABSENT, new)


# --- refs -------------------------------------------------------------------------------------------------------------------


def test_refs_move_all_or_none_and_only_from_where_they_are_said_to_be(either):
    one, two = made(either, "1"), made(either, "2")
    a, b = "refs/reconcile/a", "refs/notes/reconcile/b"
    either.update_refs(Move(a, one, None), Move(b, one, None))
    with pytest.raises(GitError):
        either.update_refs(Move(a, two, one), Move(b, two, two))
    with pytest.raises(GitError):
        either.update_refs(Move(a, two, None))
    assert either.refs(a, b) == {a: one, b: one}
    either.update_refs(Move(a, two, one), Move(b, None, one))
    assert either.refs(a, b) == {a: two}


def test_a_move_from_nothing_to_nothing_is_a_mistake_of_ours(repo):
    with pytest.raises(ValueError, match="moves nothing"):
        repo.update_refs(Move("refs/reconcile/a", None, None))


# --- another repository --------------------------------------------------------------------------------------------------------


def test_a_push_moves_all_refs_or_none(tmp_path):
    _, (one, two) = shared(tmp_path, clones=2)
    first, other = made(one, "first"), made(two, "other")
    notes, lock = "refs/notes/reconcile/acme", "refs/reconcile/lock/acme"
    one.push("origin", Move(notes, first, None), Move(lock, first, None, exact=True))
    assert two.remote_refs("origin", notes, lock) == {notes: first, lock: first}
    for moves in (
        [Move(notes, other, None), Move("refs/heads/new", other, None)],
        [Move("refs/heads/new", other, None), Move(lock, other, None, exact=True)],
    ):
        with pytest.raises(Unavailable):
            two.push("origin", *moves)
    assert two.remote_refs("origin", notes, lock, "refs/heads/new") == {notes: first, lock: first}
    two.push("origin", Move(lock, other, first, exact=True))
    two.push("origin", Move(lock, None, other, exact=True))
    assert two.remote_refs("origin", notes, lock) == {notes: first}


def test_a_remote_that_mirrors_is_given_no_other_ref(tmp_path):
    """With `git remote add --mirror=push`, git pushes every ref, and refuses to push single ones."""
    _, (one, two) = shared(tmp_path, clones=2)
    git(one.root, "config", "remote.origin.mirror", "true")
    git(one.root, "branch", "private")
    notes, first = "refs/notes/reconcile/acme", made(one, "first")
    one.push("origin", Move(notes, first, None))
    assert two.remote_refs("origin", notes, "refs/heads/private") == {notes: first}


def test_a_fetch_brings_the_whole_history_and_moves_no_ref(tmp_path):
    bare, (one,) = shared(tmp_path)
    shallow = clone(bare, tmp_path / "shallow", "--depth=1")
    top = made(one, "2", (made(one, "1"),))
    one.push("origin", Move("refs/notes/reconcile/acme", top, None))
    before = git(shallow.root, "for-each-ref")
    shallow.fetch("origin", "refs/notes/reconcile/acme")
    assert len(shallow.walk(top)) == 2
    assert git(shallow.root, "for-each-ref") == before


@pytest.mark.parametrize("what", ["remote_refs", "fetch"])
def test_a_remote_that_does_not_answer_is_not_a_remote_without_refs(tmp_path, what):
    bare, (one,) = shared(tmp_path)
    bare.rename(tmp_path / "moved")
    said = r"the git remote does not answer, or refuses: git .*; check its URL \(`git remote -v`\)"
    with pytest.raises(Unavailable, match=said):
        getattr(one, what)("origin", "refs/notes/reconcile/acme")


def test_what_a_killed_git_command_left_is_named_and_not_blamed_on_the_remote(tmp_path):
    bare, (one,) = shared(tmp_path)
    top = made(one, "2", (made(one, "1"),))
    one.push("origin", Move("refs/notes/reconcile/acme", top, None))
    shallow = clone(bare, tmp_path / "shallow", "--depth=1")
    left = shallow.root / ".git" / "shallow.lock"
    left.touch()
    with pytest.raises(Unavailable, match="if no other git command runs here") as caught:
        shallow.fetch("origin", "refs/notes/reconcile/acme", depth=1)
    assert str(caught.value).endswith(f"then delete {left}")


def test_no_remote_can_have_a_file_deleted(tmp_path):
    bare, (one,) = shared(tmp_path)
    mine = tmp_path / "mine.lock"
    mine.touch()
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"#!/bin/sh\necho \"fatal: Unable to create '{mine}': File exists\" >&2\nexit 1\n"
    )
    hook.chmod(0o755)
    with pytest.raises(Unavailable, match="File exists") as caught:
        one.push("origin", Move("refs/notes/a", made(one, "1"), None))
    assert "delete" not in str(caught.value)


def test_a_server_without_atomic_pushes_is_named_as_the_cause(tmp_path):
    bare, (one,) = shared(tmp_path)
    git(bare, "config", "receive.advertiseAtomic", "false")
    new = made(one, "1")
    with pytest.raises(Unavailable, match="a git server that moves several refs by one push"):
        one.push("origin", Move("refs/notes/a", new, None), Move("refs/notes/b", new, None))
    one.push("origin", Move("refs/notes/a", new, None))


def test_an_option_is_no_remote(repo):
    with pytest.raises(GitError, match="not a remote"):
        repo.remote_refs("--upload-pack=touch ran", "refs/heads/main")


def test_remotes_are_listed(tmp_path):
    _, (one,) = shared(tmp_path)
    assert one.remotes() == ("origin",)


# --- signatures -------------------------------------------------------------------------------------------------------------


def test_a_commit_signed_with_an_ssh_key_verifies_against_its_signers(repo, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = f"tester@example.com {(tmp_path / 'key.pub').read_text()}".encode()
    tree = repo.make_tree({})
    plain = repo.commit_tree(tree, parents=(), message="a", identity=ME, at=START)
    signed = repo.commit_tree(
        tree, parents=[plain], message="b", identity=ME, at=START, signing_key=key
    )
    assert repo.signatures(signed, signers) == {
        plain: Signature(good=False, subject="a"),
        signed: Signature(good=True, subject="b"),
    }
    assert not repo.signatures(signed, b"")[signed].good
    assert list(repo.signatures(signed, signers, at=range(1, 2))) == [plain]
    assert list(repo.signatures(signed, signers, without=plain)) == [signed]


def test_commits_about_a_run_are_looked_for_since_an_instant(repo):
    tree = repo.make_tree({})
    parents: list[str] = []
    ids = []
    for day in range(3):
        at = START + timedelta(days=day)
        message = f"run-1 {day}\n"
        parents = [repo.commit_tree(tree, parents=parents, message=message, identity=ME, at=at)]
        ids += parents
    oldest, middle, tip = ids
    assert repo.commits_about(tip, "run-1 ", START) == (tip, middle, oldest)
    assert repo.commits_about(tip, "run-1 ", START + timedelta(hours=12)) == (tip, middle)
    assert repo.commits_about(tip, "run-2 ", START) == ()
