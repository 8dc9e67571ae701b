"""A declared ledger: it can neither vanish, nor be replaced, nor end in a commit of somebody else without being noticed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.commands.stop_writer import StopWriter
from reconciler.errors import UsageError
from tests.commands.test_renamed import KEY, NAME, PATH, real
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.samples import platform

__all__ = ["desk", "real", "server"]

BEGIN = ("audit", "begin", PATH, "--reason", "first records")


@pytest.fixture
def shared(
    desk: Desk, real: sandbox.CampaignState, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The desk is a clone of a remote, which is returned."""
    remote = tmp_path_factory.mktemp("remote") / "origin.git"
    git(desk.folder, "init", "-q", "--bare", str(remote))
    git(desk.folder, "remote", "add", "origin", str(remote))
    git(desk.folder, "push", "-q", "origin", "HEAD:main")
    git(remote, "symbolic-ref", "HEAD", "refs/heads/main")
    return remote


def declared(desk: Desk) -> str:
    """Begin and commit; return the ledger's ref."""
    assert desk.run(*BEGIN) == 0, desk.err
    commit(desk.folder, "declare")
    if git(desk.folder, "remote"):
        git(desk.folder, "push", "-q", "origin", "HEAD:main")
    return f"refs/notes/reconcile/{platform(desk.tenant)}"


def first(desk: Desk) -> str:
    """Return the id of the first record."""
    assert desk.run("audit", "log", PATH, "--format", "json") == 0
    return str(json.loads(desk.out)[0]["id"])


def moved(desk: Desk, remote: Path, monkeypatch: pytest.MonkeyPatch, to: Path) -> None:
    """Work in a new clone of a remote."""
    git(to.parent, "clone", "-q", str(remote), str(to))
    monkeypatch.chdir(to)
    desk.folder, desk.tenant = to, to / PATH


def advised(desk: Desk, said: str, begin: str, **places: str) -> None:
    """Run the commands that a message advises, from `begin` to the end of its sentence."""
    found = re.search(rf"{re.escape(begin)}[^;]*?(?=\. |$)", said)
    assert found, said
    line = found.group()
    for word, place in places.items():
        line = line.replace(word, place)
    for command in line.split(" && "):
        git(desk.folder, *shlex.split(command)[1:])


def test_the_first_apply_declares_the_ledger_and_tells_the_lines(desk: Desk, real: object) -> None:
    """A CI job's checkout is thrown away: the lines in its log are what is left."""
    file = desk.tenant / "tenant.yaml"
    before = file.read_text(encoding="utf-8").splitlines()
    for part in ([NAME], ["--tighten-only"]):
        assert desk.run("apply", "--yes", PATH, *part) == 0
        assert git(desk.folder, "status", "--short") == "", "the next apply would be refused"
    assert desk.run("apply", "--yes", PATH) == 0
    line = re.search(r"`(audit: \{.*?\})`", desk.out.replace("\n", " "))
    assert line, desk.out
    assert first(desk) in line.group(1)
    after = file.read_text(encoding="utf-8").splitlines()
    assert [each for each in after if each not in before] == [f"  {line.group(1)}"]
    assert [each for each in after if each in before] == before
    assert "differs from HEAD" in desk.says(5, "apply", "--yes", PATH)
    commit(desk.folder)
    assert desk.run("apply", "--yes", PATH) == 0
    assert "declare" not in desk.out


def test_an_apply_that_cannot_declare_the_ledger_tells_the_lines(
    desk: Desk, real: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise UsageError(f"cannot write {path.name}: No space left on device")

    monkeypatch.setattr("reconciler.manifests.edits.save", full)
    assert desk.run("apply", "--yes", PATH) == 0
    assert "tenant.yaml must be edited by hand" in desk.out
    assert desk.out.count("cannot write tenant.yaml: No space left on device; add to `spec`") == 1
    assert "audit: {ledger:" in desk.out
    assert git(desk.folder, "status", "--short") == ""


def test_begin_edits_nothing_but_the_declaration_and_is_idempotent(
    desk: Desk, shared: Path
) -> None:
    file = desk.tenant / "tenant.yaml"
    before = file.read_text(encoding="utf-8").splitlines()
    ref = declared(desk)
    after = file.read_text(encoding="utf-8").splitlines()
    (line,) = [each for each in after if each not in before]
    assert [each for each in after if each != line] == before
    assert line.strip() == f'audit: {{ledger: "{ref[21:]}", began: "{first(desk)}"}}'
    assert git(shared, "rev-parse", ref)
    head = git(shared, "rev-parse", ref)
    assert desk.run(*BEGIN) == 0
    assert "declares this ledger already" in desk.out
    assert git(shared, "rev-parse", ref) == head
    assert desk.run("apply", "--yes", PATH) == 0
    assert "does not declare" not in desk.out


def test_an_import_declares_the_ledger(desk: Desk, shared: Path) -> None:
    desk.edit(
        "\nspec:\n", "\nspec:\n  audit: # who signs\n    mirror: false # for now\n", "tenant.yaml"
    )
    commit(desk.folder)
    desk.run("import", PATH)
    said = (desk.tenant / "tenant.yaml").read_text(encoding="utf-8")
    assert "  audit: # who signs\n    mirror: false # for now\n    ledger: " in said
    assert first(desk) in said
    assert desk.run("validate", PATH) == 0


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_migration_of_main_alone_is_noticed(
    desk: Desk,
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    *,
    taken_over: bool,
) -> None:
    """The refs of closed segments move as well, and the records of a stop that no apply has taken over yet."""
    monkeypatch.setattr("reconciler.ledger.snapshot.SEGMENT_LEAST", 3)
    if not taken_over:
        monkeypatch.setattr(StopWriter, "take_over", lambda *_: False)
    ref = declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0
    assert git(shared, "for-each-ref", "refs/notes/reconcile-closed") != ""
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    there = tmp_path_factory.mktemp("there")
    new = there / "new.git"
    git(there, "clone", "-q", "--single-branch", "--branch=main", shared.as_uri(), "moving")
    git(there, "init", "-q", "--bare", str(new))
    git(there / "moving", "push", "-q", str(new), "HEAD:refs/heads/main")
    git(new, "symbolic-ref", "HEAD", "refs/heads/main")
    moved(desk, new, monkeypatch, there / "clone")
    for command in (
        ["plan"],
        ["apply", "--yes"],
        ["release", "--all", "--reason", "x"],
        ["audit", "verify"],
    ):
        said = desk.says(1, *command, PATH)
        assert f"{ref} does not exist in origin, although tenant.yaml declares it" in said
        assert "nothing is recorded" not in desk.out
    assert git(new, "for-each-ref", "refs/notes") == ""
    advised(desk, said, "git fetch URL", URL=str(shared))
    assert desk.run("audit", "verify", PATH) == 0
    desk.run("plan", PATH)
    assert "calls at night" in desk.out


def test_no_stop_waits_for_a_declared_ledger_that_is_absent(
    desk: Desk, real: sandbox.CampaignState, shared: Path
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    ref = declared(desk)
    git(shared, "update-ref", "-d", ref)
    assert desk.run("plan", PATH) == 1
    desk.run("halt", PATH, NAME, "--reason", "calls at night")
    assert real.campaign(KEY)["schedule_id"] is None, desk.out
    assert git(shared, "for-each-ref", ref) == "", "a stop begins no other ledger"
    assert git(shared, "for-each-ref", "refs/reconcile/waiting") != ""
    git(desk.folder, "push", "-q", "origin", f"refs/reconcile/seen/{ref[21:]}:{ref}")
    assert desk.run("plan", PATH) == 0, desk.err
    assert "calls at night" in desk.out


@pytest.mark.parametrize("command", [("import", PATH), BEGIN], ids=["import", "begin"])
def test_a_ledger_does_not_begin_with_a_record_that_only_this_clone_has(
    desk: Desk, real: object, shared: Path, command: tuple[str, ...]
) -> None:
    away = shared.with_name("away")
    shared.rename(away)
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night", "--wait", "0") == 69
    away.rename(shared)
    desk.run(*command)
    commit(desk.folder, "declare")
    git(desk.folder, "push", "-q", "origin", "HEAD:main")
    assert desk.run("plan", PATH) == 0, desk.err
    assert "calls at night" in desk.out, "what waited is in the ledger"
    assert desk.run("audit", "verify", PATH) == 0, desk.err


@pytest.mark.parametrize("declared_before", [True, False])
def test_a_ledger_that_only_this_clone_has_is_not_replaced_by_an_empty_one(
    desk: Desk, real: object, tmp_path_factory: pytest.TempPathFactory, *, declared_before: bool
) -> None:
    """The records of the time without a remote hold what was stopped then."""
    if declared_before:
        declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0
    git(desk.folder, "checkout", "-q", "--", ".")
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    assert desk.out.count("there is no git remote: this clone alone keeps the audit records") == 1
    remote = tmp_path_factory.mktemp("remote") / "origin.git"
    git(desk.folder, "init", "-q", "--bare", str(remote))
    git(desk.folder, "remote", "add", "origin", str(remote))
    git(desk.folder, "push", "-q", "origin", "HEAD:main")
    said = desk.says(1, *BEGIN)
    assert "this clone has a ledger" in said or "audit.began" in said
    assert git(remote, "for-each-ref", "refs/notes") == ""
    git(desk.folder, "push", "-q", "origin", "refs/notes/reconcile/*:refs/notes/reconcile/*")
    assert desk.run(*BEGIN) == 0
    commit(desk.folder, "declare") if not declared_before else None
    desk.run("apply", "--yes", PATH)
    assert "calls at night" in desk.out


def test_a_clone_without_notes_fetches_them(
    desk: Desk,
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    declared(desk)
    moved(desk, shared, monkeypatch, tmp_path_factory.mktemp("two") / "clone")
    assert desk.run("plan", PATH) == 0


def test_a_declared_ledger_that_is_absent_without_a_remote_is_an_error(
    desk: Desk,
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = declared(desk)
    moved(desk, shared, monkeypatch, tmp_path_factory.mktemp("two") / "clone")
    git(desk.folder, "remote", "remove", "origin")
    said = desk.says(1, "plan", PATH)
    assert f"{ref} does not exist in this clone, although tenant.yaml declares it" in said
    advised(desk, said, "git fetch", URL=str(shared))
    assert desk.run("plan", PATH) == 0


def test_another_ledger_counts_only_after_begin_and_from_the_next_change_on(
    desk: Desk,
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ref = declared(desk)
    was = first(desk)
    for each in (ref, ref.replace("notes/reconcile", "heads/reconcile-audit")):
        git(shared, "update-ref", "-d", each)
    moved(desk, shared, monkeypatch, tmp_path_factory.mktemp("two") / "clone")
    assert "does not exist in origin" in desk.says(1, "plan", PATH)
    assert desk.run(*BEGIN) == 0, desk.err
    assert "counts from the next change on" in desk.out
    assert git(shared, "rev-parse", ref)
    commit(desk.folder, "begin anew")
    said = desk.says(1, "audit", "log", PATH)
    assert f"and tenant.yaml declares {was}" in said
    assert desk.run("plan", PATH) == 1, desk.err
    shown = " ".join(desk.out.split())
    assert "Apply would refuse this." in shown
    assert "That counts from the next change on" in shown
    assert f"audit.began (was {was})" in shown
    assert NAME in shown, "the change is planned all the same"
    assert "That counts from the next change on" in desk.says(1, "apply", "--yes", PATH)
    git(desk.folder, "commit", "-q", "--allow-empty", "-m", "next")
    assert desk.run("apply", "--yes", PATH) == 0
    assert first(desk) != was


def test_a_declaration_that_a_change_removes_still_counts_and_is_shown(
    desk: Desk, shared: Path
) -> None:
    declared(desk)
    was = first(desk)
    file = desk.tenant / "tenant.yaml"
    kept = [
        each
        for each in file.read_text(encoding="utf-8").splitlines(keepends=True)
        if "audit:" not in each
    ]
    assert desk.run("apply", "--yes", PATH) == 0
    file.write_text("".join(kept), encoding="utf-8")
    commit(desk.folder)
    desk.run("plan", PATH)
    assert f"audit.began (was {was})" in desk.out
    git(shared, "update-ref", "-d", f"refs/notes/reconcile/{platform(desk.tenant)}")
    assert desk.run("plan", PATH) == 1


# --- what git and people add ----------------------------------------------------------------------------------------------------


def add(desk: Desk, ref: str) -> None:
    git(desk.folder, "commit", "-q", "--allow-empty", "-m", "other")
    git(desk.folder, "notes", f"--ref={ref}", "add", "-m", "looks good")


def append(desk: Desk, ref: str) -> None:
    at = git(desk.folder, "notes", f"--ref={ref}", "list").split()[1]
    git(desk.folder, "notes", f"--ref={ref}", "append", "-m", "looks good", at)


def amend(desk: Desk, ref: str) -> None:
    at = git(desk.folder, "notes", f"--ref={ref}", "list").split()[1]
    git(desk.folder, "checkout", "-q", at)
    git(desk.folder, "-c", f"notes.rewriteRef={ref}", "commit", "--amend", "-qm", "reworded")
    git(desk.folder, "checkout", "-q", "-")


def merge(desk: Desk, ref: str) -> None:
    add(desk, "refs/notes/mine")
    git(desk.folder, "notes", f"--ref={ref}", "merge", "-q", "refs/notes/mine")


@pytest.mark.parametrize("adding", [add, append, amend, merge])
@pytest.mark.parametrize("pushed", [True, False])
def test_a_commit_of_somebody_else_is_named_with_the_command_that_takes_it_out(
    desk: Desk, real: sandbox.CampaignState, request: pytest.FixtureRequest, adding, *, pushed: bool
) -> None:
    shared = request.getfixturevalue("shared") if pushed else None
    ref = declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0
    good = git(desk.folder, "rev-parse", ref)
    adding(desk, ref)
    bad = git(desk.folder, "rev-parse", ref)
    assert bad != good
    if shared is not None:
        git(desk.folder, "push", "-q", "origin", ref)
    for command in (["plan"], ["apply", "--yes"], ["release", "--all", "--reason", "x"]):
        said = desk.says(1, *command, PATH)
        assert f"ends in commit {bad.strip()}, which reconcile did not make" in said
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") in {0, 75}
    assert real.campaign(KEY)["schedule_id"] is None
    assert git(shared or desk.folder, "rev-parse", ref) == bad
    assert desk.run("audit", "verify", PATH) == 1
    advised(desk, said, "git push --force" if shared else "git update-ref")
    assert git(shared or desk.folder, "rev-parse", ref) == good
    if shared is not None:  # this clone's copy still has it, which is this clone's matter
        git(desk.folder, "update-ref", ref, good.strip())
    assert desk.run("plan", PATH) == 0
    assert "calls at night" in desk.out, "the stop's records waited"
    assert desk.run("audit", "verify", PATH) == 0


@pytest.mark.parametrize("adding", [add, amend])
def test_what_git_adds_to_this_clones_copy_is_told_and_never_pushed(
    desk: Desk, shared: Path, adding: Callable[[Desk, str], None]
) -> None:
    ref = declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0
    good = git(desk.folder, "rev-parse", ref)
    adding(desk, ref)
    assert desk.run("plan", PATH) == 0
    assert "They do not count as records and are never pushed" in desk.out.replace("\n", " ")
    assert git(shared, "rev-parse", ref) == good
    assert desk.run("halt", PATH, NAME, "--reason", "x") == 0
    assert desk.run("audit", "verify", PATH) == 0
    desk.run("plan", PATH)
    said = " ".join(desk.out.split())
    (line,) = re.findall(r"git update-ref refs/notes/\S+ \w+", said)
    git(desk.folder, *shlex.split(line)[1:])
    desk.run("plan", PATH)
    assert "never pushed" not in desk.out
