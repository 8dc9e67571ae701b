"""`audit` from the command line: what an auditor is shown, with one clone and one fetch; and what a bad ledger does to every command."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler import audit, sandbox
from reconciler.audit import Run
from reconciler.git import FILE, Git
from reconciler.ledger import LedgerOptions
from tests.ledger import test_verify as tampering
from tests.ledger.test_repairs import push_checkpoint
from tests.support.desk import Desk, commit
from tests.support.gitfakes import ENVIRON, PLATFORM, WHO, Clock, git, opened, operation, run, story
from tests.support.samples import SAMPLES, copy_files, platform
from tests.support.signing import Signer

NOTES = f"refs/notes/reconcile/{PLATFORM}"
MIRROR = f"refs/heads/reconcile-audit/{PLATFORM}"
KEY = "1003"
NAME = f"campaign-{KEY}"
PATH = "schedules/acme"


class Shared(Desk):
    """A clone whose tenant's records live in a bare repository beside it; its platform is never reached."""

    bare: Path

    def refs(self) -> str:
        return git(self.bare, "for-each-ref")

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        assert self.run("audit", "export", "--format", "csv", *arguments, PATH) == 0, self.err
        return list(csv.DictReader(io.StringIO(self.out)))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `here`, a clone, and `shared.git`, its remote. Two runs are recorded: one that went well, and a hold."""
    folder = tmp_path_factory.mktemp("audit")
    here, bare = folder / "here", folder / "shared.git"
    copy_files(SAMPLES, here / PATH)
    tenant = here / PATH / "tenant.yaml"
    text = tenant.read_text("utf-8")
    for old, new in (
        ('url: "sandbox:"', "url: https://acme.cxonecloud.com"),
        ('  clock: "2027-03-01T12:00:00Z"\n', ""),
    ):
        assert old in text
        text = text.replace(old, new)
    tenant.write_text(text, "utf-8")
    git(here, "init", "-q", "-b", "main")
    commit(here)
    git(folder, "init", "-q", "--bare", "-b", "main", str(bare))
    git(here, "remote", "add", "origin", bare.as_uri())
    git(here, "push", "-q", "origin", "main")
    repo = Git(here, environ=ENVIRON)
    ledger = opened(repo, remote="origin")
    ledger.append(story(run(repo.head()), [operation("1002"), operation(KEY)]))
    clock = Clock()
    clock.pass_by(3600)
    holder = Run(PLATFORM, repo.head(), "run-2", clock, WHO)
    ledger.append([holder.hold(KEY, name=NAME, reason="complaints from Ohio")])
    return folder


@pytest.fixture
def desk(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shared:
    """The test's own copy of the template."""
    here = tmp_path / "here"
    desk = Shared(here, capsys)
    desk.tenant, desk.bare = here / PATH, tmp_path / "shared.git"
    shutil.copytree(template / "here", here)
    shutil.copytree(template / "shared.git", desk.bare)
    git(here, "remote", "set-url", "origin", desk.bare.as_uri())
    monkeypatch.chdir(here)
    for name, value in (
        ("TENANT_URL", "https://acme.cxonecloud.com"),
        ("CLIENT_ID", "a"),
        ("CLIENT_SECRET", "b"),
    ):
        monkeypatch.setenv(f"CXONE_{name}", value)
    return desk


# --- show, at, export -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [KEY, NAME])
def test_show_tells_everything_about_an_object_in_full(desk: Shared, asked: str) -> None:
    assert desk.run("audit", "show", asked, PATH) == 0
    for text in (
        "by              ci-bot",
        "approved by     lead",
        f"as plan         {'d' * 64}",
        "pull request    42",
        f"reviewed head   {'b' * 40}",
        "America/New_York 9-20",
        "complaints from Ohio",
        "until           released",
    ):
        assert text in desk.out
    assert "campaign-1002" not in desk.out
    assert "3 records about" in desk.out


def test_show_takes_a_commit_and_its_beginning(desk: Shared) -> None:
    head = git(desk.folder, "rev-parse", "HEAD")
    for asked in (head, head[:7]):
        assert desk.run("audit", "show", asked, PATH) == 0
        assert "7 records about" in desk.out


@pytest.mark.parametrize("name", ["HEAD", "main", "HEAD^{}", "first", "@~1"])
def test_show_takes_every_name_that_git_has_for_a_commit(desk: Shared, name: str) -> None:
    git(desk.folder, "tag", "-a", "first", "-m", "first")
    if name == "@~1":
        git(desk.folder, "commit", "-q", "--allow-empty", "-m", "more")
    assert desk.run("audit", "show", name, PATH) == 0
    head = git(desk.folder, "rev-parse", "first^{commit}")
    assert desk.out.splitlines()[-1] == f"7 records about {name} ({head[:12]})"


def test_show_says_of_what_is_known_and_was_never_applied_that_there_is_no_record(
    desk: Shared,
) -> None:
    git(desk.folder, "commit", "-q", "--allow-empty", "-m", "more")
    for asked in ("HEAD", "spring-renewals", "1001"):
        assert desk.run("audit", "show", asked, PATH) == 0
        assert desk.out.splitlines()[-1].startswith(f"no record is about {asked}")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("spring-renewalz", "did you mean spring-renewals?"),
        ("campaign-1004", "did you mean campaign-1003?"),
        ("HEAD~7", "names are appointment-reminders, campaign-1002, campaign-1003,"),
        ("f" * 40, "names are"),
        ("nobody", "names are"),
        ("a..b", "names are"),
        ("", "names are"),
    ],
)
def test_a_name_that_nobody_has_is_64_and_says_what_to_name(
    desk: Shared, asked: str, hint: str
) -> None:
    questions = [["show", asked], ["at", "2027-01-11T14:30:00Z", "--campaign", asked]]
    for question in questions if asked else questions[:1]:
        said = desk.says(64, "audit", *question, PATH)
        assert f"is named {asked!r}: give a commit, a manifest's name or an id" in said
        assert hint in said


@pytest.mark.parametrize("command", [["audit", "log"], ["audit", "show", "x"], ["lock", "status"]])
def test_outside_of_a_repository_it_is_said_where_to_ask(
    desk: Shared, tmp_path: Path, command: list[str]
) -> None:
    copy_files(SAMPLES, tmp_path / "out" / "acme")
    said = desk.says(1, *command, str(tmp_path / "out" / "acme"))
    assert "run this in the clone that applies, or give the path of a tenant's folder in it" in said


def test_a_commit_that_was_superseded_is_told_by_the_run_that_came_after_it(desk: Shared) -> None:
    repo, old = Git(desk.folder, environ=ENVIRON), "9" * 40
    opened(repo, remote="origin").append([run(repo.head(), "run-3").superseded(old)])
    assert desk.run("audit", "show", old, PATH) == 0
    assert f"superseded: {old} was not applied by itself" in desk.out


def test_at_tells_what_was_stored_by_which_commit_and_whose_leave(desk: Shared) -> None:
    head = git(desk.folder, "rev-parse", "HEAD")
    for asked in (KEY, NAME):
        at = ["audit", "at", "2027-01-11T14:30:00Z", "--campaign", asked, PATH]
        assert desk.run(*at) == 0
        assert desk.out.splitlines()[-1] == (
            f"stored and active: the schedule of commit {head[:12]}, approver lead, plan {'d' * 12}"
        )
        assert "held" not in desk.out
        assert "in the future" not in desk.out
    assert desk.run("audit", "at", "2027-01-11T15:00:00Z", "--campaign", KEY, PATH) == 0
    assert "held until released: complaints from Ohio" in desk.out


@pytest.mark.parametrize(
    ("instant", "asked", "says"),
    [
        ("2027-01-11T13:59:59Z", KEY, "no write to 1003 is recorded up to then"),
        ("2027-01-11T14:30:00Z", "1001", "no write to 1001 is recorded up to then"),
    ],
)
def test_at_says_clearly_that_nothing_was_ours(
    desk: Shared, instant: str, asked: str, says: str
) -> None:
    assert desk.run("audit", "at", instant, "--campaign", asked, PATH) == 0
    assert desk.out.splitlines()[-1] == f"not known: {says}"


def test_at_says_where_the_ledger_ends_if_the_instant_has_not_come(desk: Shared) -> None:
    assert desk.run("audit", "at", "2999-01-01T00:00:00Z", "--campaign", KEY, PATH) == 0
    assert "2999-01-01T00:00:00.000Z is in the future. The ledger ends at 2027-01-11T" in desk.out


def test_an_export_is_one_line_a_write_and_half_open(desk: Shared) -> None:
    rows = desk.rows()
    assert [row["campaign_id"] for row in rows] == ["1002", KEY]
    assert tuple(rows[0]) == audit.COLUMNS
    assert rows[0]["compliance_windows"] == "America/New_York 9-20"
    assert (rows[0]["actor"], rows[0]["approver"]) == ("ci-bot", "lead")
    assert len(desk.rows("--since", "2027-01-11T14:00:00Z")) == 2
    assert len(desk.rows("--until", "2027-01-11T14:00:00Z")) == 0
    assert len(desk.rows("--since", "2027-01-11", "--until", "2027-01-12")) == 2
    assert len(desk.rows("--since", "2027-01-12")) == 0


def test_an_export_as_json_holds_the_same(desk: Shared) -> None:
    assert desk.run("audit", "export", PATH) == 0
    entries = json.loads(desk.out)
    assert [entry["campaign_id"] for entry in entries] == ["1002", KEY]
    assert set(entries[0]) == set(audit.COLUMNS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "--since", "yesterday"],
        ["export", "--since", "2027-01-11T14:00:00"],
        ["export", "--since", "2027-01-12", "--until", "2027-01-11"],
        ["at", "2027-01-11", "--campaign", KEY],
        ["at", "2027-01-11T14:00:00Z"],
        ["verify", "--expect-head", "abc"],
        ["verify", "--signers", "nowhere"],
        ["log", "--remote", "nowhere"],
    ],
)
def test_a_wrong_question_is_64(desk: Shared, arguments: list[str]) -> None:
    desk.says(64, "audit", *arguments, PATH)


@pytest.mark.parametrize("text", ["2026-11-24T14:00", "2026-11-24 14:00:30"])
def test_an_instant_without_an_offset_is_told_that_this_is_missing(desk: Shared, text: str) -> None:
    said = desk.says(64, "audit", "at", text, "--campaign", KEY, PATH)
    assert f"{text!r} has no offset: write {text}Z for UTC" in said
    assert desk.run("audit", "at", f"{text}Z", "--campaign", KEY, PATH) == 0


@pytest.mark.parametrize("text", ["Tuesday 14:00", "2026-11-24", "20261124"])
def test_what_is_no_instant_is_not_told_to_lack_an_offset(desk: Shared, text: str) -> None:
    said = desk.says(64, "audit", "at", text, "--campaign", KEY, PATH)
    assert "is not an instant: write it like 2027-03-01T18:00:00Z" in said
    assert "offset" not in said


def test_nobody_who_acted_is_taken_for_an_approver(desk: Shared) -> None:
    repo = Git(desk.folder, environ=ENVIRON)
    alone = Run(PLATFORM, repo.head(), "run-3", Clock(), audit.Attribution("somebody"))
    opened(repo, remote="origin").append(story(alone, [operation("77")]))
    assert desk.run("audit", "show", "77", PATH) == 0
    assert "by              somebody" in desk.out
    assert "approved by     not known" in desk.out
    assert desk.rows()[-1]["approver"] == ""


# --- verify -----------------------------------------------------------------------------------------------------------------------


def test_verify_names_its_witnesses_and_the_head_to_note_down(desk: Shared) -> None:
    head = git(desk.bare, "rev-parse", NOTES)
    assert desk.run("audit", "verify", PATH) == 0
    assert desk.out.splitlines()[-1] == "consistent, anchored by the mirror branch"
    assert f"--expect-head {head}" in desk.out
    assert "7 in 2 runs, 2 ledger commits" in desk.out
    git(desk.bare, "update-ref", "-d", MIRROR)
    assert desk.run("audit", "verify", PATH) == 0
    assert desk.out.splitlines()[-1] == "consistent, not anchored"
    assert desk.run("audit", "verify", "--expect-head", head, PATH) == 0
    assert desk.out.splitlines()[-1] == "consistent, anchored by the expected head"
    assert desk.run("audit", "verify", "--expect-head", "1" * 40, PATH) == 1
    assert "it was rolled back or rewritten" in desk.out


def test_an_open_intent_is_told_and_no_defect(desk: Shared) -> None:
    repo = Git(desk.folder, environ=ENVIRON)
    told = story(run(repo.head(), "run-3"), [operation("55")])
    opened(repo, remote="origin").append(told[:2])
    assert desk.run("audit", "verify", PATH) == 0
    assert "campaign-55" in desk.out
    assert "The next apply reads its outcome back" in desk.out
    assert desk.run("audit", "at", "2027-01-11T14:00:00Z", "--campaign", "55", PATH) == 0
    assert "is not known, so the state may have been different" in desk.out


def test_an_empty_ledger_is_said_to_be_empty(desk: Shared) -> None:
    git(desk.bare, "update-ref", "-d", NOTES)
    git(desk.bare, "update-ref", "-d", MIRROR)
    fresh = desk.folder.with_name("fresh")
    git(desk.bare, "clone", "-q", desk.bare.as_uri(), str(fresh))
    os.chdir(fresh)
    for arguments, says in (
        (["log"], "no record: nothing was ever applied or halted from here"),
        (["show", KEY], f"no record is about {KEY}"),
        (["at", "2027-01-11T14:00:00Z", "--campaign", KEY], "not known"),
        (["verify"], "empty: nothing is recorded"),
    ):
        assert desk.run("audit", *arguments, PATH) == 0, desk.err
        assert says in desk.out
    assert desk.rows() == []


@pytest.mark.parametrize("kind", ["shallow clone", "worktree"])
def test_every_question_is_answered_in_the_clones_that_ci_makes(desk: Shared, kind: str) -> None:
    there = desk.folder.with_name("there")
    if kind == "worktree":
        git(desk.folder, "worktree", "add", "-q", str(there), "-b", "more")
    else:
        git(desk.bare, "clone", "-q", "--depth=1", desk.bare.as_uri(), str(there))
    os.chdir(there)
    for arguments in (
        ["log"],
        ["show", KEY],
        ["verify"],
        ["export"],
        ["at", "2027-01-11T15:00:00Z", "--campaign", KEY],
    ):
        assert desk.run("audit", *arguments, PATH) == 0, desk.err
    assert "stored and active" in desk.out


def test_verification_fetches_what_a_shallow_clone_lacks_of_the_ledger(desk: Shared) -> None:
    there = desk.folder.with_name("there")
    git(desk.bare, "clone", "-q", "--depth=1", desk.bare.as_uri(), str(there))
    git(there, "fetch", "-q", "--depth=1", "origin", f"{NOTES}:{NOTES}")
    os.chdir(there)
    assert desk.run("audit", "verify", PATH) == 0, desk.err
    assert "consistent, anchored by the mirror branch" in desk.out


# --- bad ledgers ------------------------------------------------------------------------------------------------------------------


def _tampered(tamper: tampering.Tamper) -> Callable[[Shared], None]:
    def make(desk: Shared) -> None:
        repo = _scratch(desk)
        notes = tampering.lines_of(repo)
        tamper(notes, next(iter(notes)), 1)
        tampering.forge(repo, notes)
        git(repo.root, "push", "-q", "--force", "origin", f"{NOTES}:{NOTES}", f"{NOTES}:{MIRROR}")

    return make


def _scratch(desk: Shared) -> Git:
    """Return another clone, in which somebody works on the ledger."""
    there = desk.folder.with_name("scratch")
    git(desk.bare, "clone", "-q", desk.bare.as_uri(), str(there))
    git(there, "fetch", "-q", "origin", f"{NOTES}:{NOTES}")
    return Git(there, environ=ENVIRON)


def _fanned_out_twice(desk: Shared) -> None:
    repo = _scratch(desk)
    ((note, page),) = opened(repo).snapshot.notes.items()
    folder = repo.make_tree({note[2:]: (FILE, page.blob)})
    tree = repo.make_tree({note[:2]: ("40000", folder), note: (FILE, page.blob)})
    head = git(repo.root, "rev-parse", NOTES)
    made = git(repo.root, "commit-tree", "-p", head, "-m", "x", tree)
    git(repo.root, "push", "-q", "origin", f"{made}:{NOTES}", f"{made}:{MIRROR}")


def _pushed_back(desk: Shared) -> None:
    for ref in (NOTES, MIRROR):
        git(desk.bare, "update-ref", ref, f"{ref}~1")


def _away(desk: Shared) -> None:
    shutil.rmtree(desk.bare)


BAD: dict[str, tuple[Callable[[Shared], None], int, str]] = {
    "edited": (_tampered(tampering.edit_well), 1, "note of"),
    "truncated": (_tampered(tampering.cut), 1, "ends in commit"),  # its last record is lost
    "reordered": (_tampered(tampering.swap), 1, "note of"),
    "dropped": (_tampered(tampering.drop), 1, "note of"),
    "NUL": (_tampered(tampering.null), 1, "holds a NUL"),
    "mixed fan-out": (_fanned_out_twice, 1, "has two notes"),
    "pushed back": (_pushed_back, 1, "rolled back or rewritten"),
    "unreachable": (_away, 69, "shared.git"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_ledger_is_one_clear_error_and_nothing_is_written(desk: Shared, kind: str) -> None:
    spoil, code, says = BAD[kind]
    spoil(desk)
    before = desk.refs() if desk.bare.exists() else ""
    for command in (
        ["audit", "log"],
        ["audit", "show", KEY],
        ["audit", "export"],
        ["plan"],
        ["apply", "--yes"],
    ):
        assert says in desk.says(code, *command, PATH), command
    assert desk.run("audit", "verify", PATH) == code
    assert ("the line is cut" if kind == "truncated" else says) in desk.out + desk.err
    assert "still run" not in desk.out
    assert (desk.refs() if desk.bare.exists() else "") == before


def test_verify_says_of_a_forged_state_that_plans_still_run(desk: Shared) -> None:
    repo = _scratch(desk)
    push_checkpoint(repo, opened(repo).records()[:1])
    git(repo.root, "push", "-q", "origin", f"{NOTES}:{NOTES}", f"{NOTES}:{MIRROR}")
    assert desk.run("plan", PATH) != 1
    assert desk.run("audit", "verify", PATH) == 1
    said = " ".join(desk.out.split())
    assert "plan, apply and release do not detect this and still run" in said
    assert "fail with exit code 1" not in said


def test_a_huge_note_is_refused_by_every_command(
    desk: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.ledger.snapshot.NOTE_LIMIT", 100)
    for command in (["audit", "log"], ["audit", "verify"], ["plan"], ["apply", "--yes"]):
        assert "a blob of at most 100 is allowed" in desk.says(1, *command, PATH)


@pytest.fixture
def samples() -> Iterator[sandbox.CampaignState]:
    world = sandbox.open_samples()
    yield world
    world.close()


def test_who_may_not_push_applies_nothing(
    desk: Shared, samples: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = desk.bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n", encoding="ascii")
    hook.chmod(0o755)
    before = desk.refs()
    with sandbox.loopback(sandbox.create_app(samples)) as url:
        login = sandbox.credentials(samples)
        monkeypatch.setenv("CXONE_TENANT_URL", url)
        monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
        monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
        desk.edit("https://acme.cxonecloud.com", url, "tenant.yaml")
        commit(desk.folder)
        said = desk.says(69, "apply", "--yes", PATH)
    assert "pre-receive hook declined" in said
    assert desk.refs() == before


# --- which remote -----------------------------------------------------------------------------------------------------------------


def test_the_remote_can_be_named_and_must_exist(desk: Shared) -> None:
    git(desk.folder, "remote", "rename", "origin", "upstream")
    for command in (["audit", "log"], ["lock", "status"], ["plan"], ["apply", "--yes"]):
        said = desk.says(64, *command, PATH)
        assert "this repository has upstream: name the one that keeps" in said
        assert "'nowhere'" in desk.says(64, *command, "--remote", "nowhere", PATH)
    assert desk.run("audit", "log", "--remote", "upstream", PATH) == 0
    assert "kept by  the git remote upstream" in desk.out
    assert "7 records" in desk.out


def test_with_no_remote_at_all_the_records_are_local_and_that_is_said(desk: Shared) -> None:
    git(desk.folder, "remote", "remove", "origin")
    assert desk.run("audit", "log", PATH) == 0
    assert "kept by  this clone alone: there is no git remote" in desk.out
    assert desk.run("lock", "status", PATH) == 0
    assert "this clone alone" in desk.out


# --- the audit section of tenant.yaml ---------------------------------------------------------------------------------------------


def _sign(desk: Shared, who: Signer) -> None:
    """Records are to be signed, of a tenant that lives in this process."""
    desk.edit("url: https://acme.cxonecloud.com", 'url: "sandbox:"', "tenant.yaml")
    desk.edit(
        "  requests_per_second: 20\n",
        '  requests_per_second: 20\n  clock: "2027-03-01T12:00:00Z"\n'
        f'  audit: {{sign: true, signers: ["{who.line}"]}}\n',
        "tenant.yaml",
    )
    (desk.folder / ".gitignore").write_text(".reconcile/\n", encoding="utf-8")
    commit(desk.folder)
    git(desk.folder, "update-ref", "-d", NOTES)
    git(desk.folder, "update-ref", "-d", f"refs/reconcile/seen/{PLATFORM}")


@pytest.fixture
def embedded(desk: Shared, monkeypatch: pytest.MonkeyPatch, ours: Signer) -> Shared:
    for name in ("TENANT_URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"CXONE_{name}")
    _sign(desk, ours)
    return desk


def test_signing_without_a_key_is_77_and_names_the_variable(
    embedded: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = git(embedded.folder, "for-each-ref")
    said = embedded.says(77, "apply", "--yes", PATH, "warranty-reminders")
    assert "RECONCILE_SIGNING_KEY is not set" in said
    monkeypatch.setenv("RECONCILE_SIGNING_KEY", "nowhere")
    said = embedded.says(77, "apply", "--yes", PATH, "warranty-reminders")
    assert "does not name a file (nowhere)" in said
    assert git(embedded.folder, "for-each-ref") == before
    assert embedded.run("plan", PATH) == 0
    assert "an apply on this machine would stop (exit 77): RECONCILE_SIGNING_KEY" in embedded.out


def test_signed_records_are_anchored_by_the_signers_of_the_tenant(
    embedded: Shared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ours: Signer, theirs: Signer
) -> None:
    monkeypatch.setenv("RECONCILE_SIGNING_KEY", str(theirs.key))
    said = embedded.says(77, "apply", "--yes", PATH, "warranty-reminders")
    assert "RECONCILE_SIGNING_KEY is not the key of a trusted signer" in said
    monkeypatch.setenv("RECONCILE_SIGNING_KEY", str(ours.key))
    assert embedded.run("apply", "--yes", PATH, "warranty-reminders") == 0
    assert embedded.run("audit", "verify", PATH) == 0
    assert embedded.out.splitlines()[-1] == "consistent, anchored by signatures"
    signers = tmp_path / "signers"
    signers.write_bytes(theirs.file)
    assert embedded.run("audit", "verify", "--signers", str(signers), PATH) == 1
    assert "has no good signature" in embedded.out


@pytest.fixture
def live(desk: Shared, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    """The same desk, with a platform that answers."""
    world = sandbox.open_samples()
    with sandbox.loopback(sandbox.create_app(world)) as url:
        login = sandbox.credentials(world)
        desk.edit("https://acme.cxonecloud.com", url, "tenant.yaml")
        monkeypatch.setenv("CXONE_TENANT_URL", url)
        monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
        monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
        commit(desk.folder)
        yield desk
    world.close()


def test_a_plan_says_what_keeps_an_apply_from_starting_in_the_shared_ledger(live: Shared) -> None:
    """A mirror branch that is ahead is a reason to refuse; a lock that somebody holds may be free by then."""
    assert live.run("apply", "--yes", PATH, "spring-renewals") == 0, live.out + live.err
    name = platform(live.tenant)
    ledger = opened(Git(live.folder, environ=ENVIRON), remote="origin", tenant=name)
    with ledger.locked(holder="the night shift"):
        assert live.run("plan", PATH) == 0
        assert "the night shift holds the tenant's lock" in live.out
    tree = git(live.bare, "mktree")
    ahead = git(live.bare, "commit-tree", tree, "-p", str(ledger.head), "-m", "x")
    git(live.bare, "update-ref", f"refs/heads/reconcile-audit/{name}", ahead)
    error = live.says(1, "apply", "--yes", PATH).removeprefix("error: ")
    assert live.run("plan", PATH, "--format", "json") == 1
    assert json.loads(live.out)["refusals"] == [{"exit_code": 1, "message": error}]
    saved = live.folder.with_name("saved.json")
    assert live.run("plan", PATH, "--out", str(saved)) == 1
    assert json.loads(saved.read_text())["refusals"] == [{"exit_code": 1, "message": error}]


@pytest.mark.parametrize("what", ["blob", "tree"])
def test_a_ref_of_the_ledger_that_is_no_commit_is_named(desk: Shared, what: str) -> None:
    name = {"blob": "HEAD:schedules/acme/tenant.yaml", "tree": "HEAD^{tree}"}[what]
    git(desk.bare, "update-ref", NOTES, git(desk.bare, "rev-parse", name))
    said = desk.says(1, "audit", "log", PATH)
    assert f"{NOTES} of origin names a {what}, not a commit" in said


def test_a_mirror_that_is_off_is_said_by_plan_and_apply(live: Shared) -> None:
    assert live.run("plan", PATH) == 0
    assert "audit.mirror" not in live.out
    live.edit("  requests_per_second: 20\n", "  audit: {mirror: false}\n", "tenant.yaml")
    commit(live.folder)
    git(live.folder, "commit", "-q", "--allow-empty", "-m", "next")
    assert live.run("apply", "--yes", PATH, "spring-renewals") == 0, live.out + live.err
    assert live.out.count("audit.mirror is off in tenant.yaml") == 2
    refs = git(live.bare, "for-each-ref", "--format=%(refname)")
    assert f"refs/notes/reconcile/{platform(live.tenant)}" in refs
    assert f"reconcile-audit/{platform(live.tenant)}" not in refs
    assert live.run("audit", "verify", PATH) == 0
    assert live.out.splitlines()[-1] == "consistent, not anchored"


def test_without_signatures_every_plan_says_what_the_records_are_worth(live: Shared) -> None:
    assert live.run("plan", PATH) == 0
    assert "audit.sign is off in tenant.yaml: anybody with push rights to refs/notes/" in live.out


@pytest.fixture
def signed(desk: Shared, monkeypatch: pytest.MonkeyPatch, ours: Signer) -> Shared:
    """The same desk, whose records are signed; HEAD is the commit after the one that asked for it. Ask for `live` before this."""
    audit_ = f'  audit: {{sign: true, signers: ["{ours.line}"]}}\n'
    desk.edit("  requests_per_second: 20\n", audit_, "tenant.yaml")
    commit(desk.folder)
    monkeypatch.setenv("RECONCILE_SIGNING_KEY", str(ours.key))
    repo = Git(desk.folder, environ=ENVIRON)
    options, name = LedgerOptions(signing_key=ours.key), platform(desk.tenant)
    ledger = opened(repo, tenant=name, remote="origin", options=options)
    ledger.append([run(repo.head(), "on", tenant=name).note("signed")])
    git(desk.folder, "commit", "-q", "--allow-empty", "-m", "next")
    return desk


def _forge(desk: Shared, name: str, reason: str) -> str:
    """Push a release without a signature; return the ledger's head."""
    repo, tenant = Git(desk.folder, environ=ENVIRON), platform(desk.tenant)
    forged = run(repo.head(), name, tenant=tenant).release(KEY, name=NAME, reason=reason)
    opened(repo, tenant=tenant, remote="origin").append([forged])
    return _head(desk)


def _head(desk: Shared) -> str:
    """Return the head of the ledger that everybody shares."""
    return git(desk.bare, "rev-parse", f"refs/notes/reconcile/{platform(desk.tenant)}")


def test_a_forged_release_releases_nothing_and_every_command_says_so(
    live: Shared, signed: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = _forge(signed, "forged", "forged")
    said = "ignored: 1 record (1 release) of ledger commits "
    for command in (["plan"], ["audit", "log"], ["audit", "show", KEY], ["audit", "verify"]):
        code = signed.run(*command, PATH)
        assert code == (command[1:] == ["verify"]), signed.out + signed.err
        assert said in signed.out
        assert f"audit vouch {PATH} --head {head} --reason TEXT" in signed.out
    monkeypatch.delenv("RECONCILE_SIGNING_KEY")
    assert "RECONCILE_SIGNING_KEY is not set" in signed.says(
        77, "release", PATH, NAME, "--reason", "r"
    )
    assert _head(signed) == head


def test_what_somebody_read_and_vouched_for_counts(signed: Shared) -> None:
    head = _forge(signed, "unsigned", "at night, without a key")
    vouch = ("audit", "vouch", PATH, "--reason", "read it", "--head")
    assert "is not a full commit id" in signed.says(64, *vouch, "abc")
    assert "the ledger's head is" in signed.says(1, *vouch, "0" * 40)
    assert signed.run(*vouch, head) == 0, signed.out + signed.err
    assert signed.out.splitlines()[-1] == f"signed: every record up to ledger commit {head} counts"
    assert signed.run("audit", "verify", PATH) == 0
    assert f"vouched for the ledger at {head}: read it" in signed.out
    assert signed.run("audit", "show", KEY, PATH) == 0
    assert "at night, without a key" in signed.out
    assert "ignored" not in signed.out


def test_a_change_that_ends_signing_is_still_held_to_it(live: Shared, signed: Shared) -> None:
    _forge(signed, "forged", "forged")
    text = (signed.tenant / "tenant.yaml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if "audit:" not in line]
    (signed.tenant / "tenant.yaml").write_text("".join(lines), encoding="utf-8")
    commit(signed.folder)
    assert signed.run("apply", "--yes", PATH, "appointment-reminders") == 0, signed.out
    assert "audit.sign (was on)" in signed.out
    assert "ignored: 1 record (1 release)" in signed.out
    assert signed.run("audit", "verify", PATH) == 0, signed.out
    assert "rejected: 1 record (1 release)" in signed.out


def test_a_stop_without_a_key_is_recorded_and_holds(
    live: Shared, signed: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECONCILE_SIGNING_KEY")
    assert signed.run("halt", PATH, "spring-renewals", "--reason", "night") == 0, signed.out
    assert signed.run("plan", PATH) == 0, signed.out + signed.err
    assert "an unsigned stop holds 1001" in signed.out
    assert "halted by" in signed.out


def test_plan_and_apply_say_that_no_other_clone_knows_of_the_records(live: Shared) -> None:
    git(live.folder, "remote", "remove", "origin")
    for command in (["plan"], ["apply", "--yes"]):
        assert live.run(*command, PATH, "spring-renewals") == 0, live.out + live.err
        assert "this clone alone keeps the audit records and the lock" in live.out


def test_ci_tells_who_acted_and_who_approved_and_neither_is_taken_for_the_other(
    live: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTOR", "the-merger")
    monkeypatch.setenv("RECONCILE_APPROVER", "the-lead")
    assert live.run("apply", "--yes", PATH, "spring-renewals") == 0, live.out + live.err
    assert live.run("plan", "--format", "json", PATH, "appointment-reminders") == 0
    digest = json.loads(live.out)["digest"]
    monkeypatch.setenv("RECONCILE_PULL_REQUEST", "42")
    monkeypatch.setenv("RECONCILE_REVIEWED_HEAD", "a" * 40)
    expect = ("--expect", digest)
    assert live.run("apply", *expect, PATH, "appointment-reminders") == 0, live.out + live.err
    first, second = live.rows()[-2:]
    told = ("actor", "approver", "pull_request", "reviewed_head")
    assert [first[name] for name in told] == ["the-merger", "", "", ""], "nobody approved that"
    assert second["digest"] == digest
    assert [second[name] for name in told] == ["the-merger", "the-lead", "42", "a" * 40]


def test_a_manifest_cannot_name_a_key(desk: Shared) -> None:
    desk.edit(
        "  requests_per_second: 20\n",
        "  requests_per_second: 20\n  audit: {sign: /root/.ssh/id_ed25519}\n",
        "tenant.yaml",
    )
    assert "audit.sign must be true or false" in desk.says(65, "audit", "log", PATH)
