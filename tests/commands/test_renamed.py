"""A folder that is renamed, copied, or led to another platform: its records stay where its platform is, and a stop finds it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.commands import halt
from reconciler.errors import UsageError
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.samples import platform

__all__ = ["desk", "server"]

PATH, RENAMED = "schedules/sandbox", "schedules/renamed"
NAME, KEY = "warranty-reminders", "1003"
ACME = "https://acme.cxonecloud.com"


def lead(desk: Desk, url: str) -> None:
    """Let tenant.yaml name a platform, without the clock that only an embedded one may have."""
    file = desk.tenant / "tenant.yaml"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = "".join(line for line in lines if "clock:" not in line and "url:" not in line)
    file.write_text(kept.replace("spec:\n", f'spec:\n  url: "{url}"\n', 1), encoding="utf-8")


def rename(desk: Desk) -> None:
    git(desk.folder, "mv", PATH, RENAMED)
    commit(desk.folder, "rename")
    desk.tenant = desk.folder / RENAMED


@pytest.fixture
def real(desk: Desk, server: sandbox.CampaignState) -> sandbox.CampaignState:
    """The desk's tenant names the server, as it would a real platform."""
    server.configure(requests_per_second=0)
    lead(desk, os.environ["CXONE_TENANT_URL"])
    commit(desk.folder)
    return server


def test_a_renamed_folder_forgets_no_stop_and_deploys_nothing_twice(
    desk: Desk, real: sandbox.CampaignState
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    assert desk.run("halt", PATH, NAME, "--reason", "calls at night") == 0
    ref, written = f"refs/notes/reconcile/{platform(desk.tenant)}", real.executed()
    rename(desk)
    desk.run("apply", "--yes", RENAMED)
    assert "calls at night" in desk.out
    assert "cannot be read" not in desk.out
    assert real.campaign(KEY)["schedule_id"] is None
    assert real.executed() == written
    assert git(desk.folder, "for-each-ref", "--format=%(refname)", "refs/notes").split() == [ref]
    assert desk.run("audit", "log", RENAMED) == 0
    assert "Audit log of tenant renamed" in desk.out
    assert desk.run("audit", "verify", RENAMED) == 0
    shown = git(desk.folder, "log", f"--notes=reconcile/{platform(desk.tenant)}", "--format=%N")
    assert "calls at night" in shown


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"], ["validate"]])
def test_a_copied_folder_is_refused_by_every_command_that_plans(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    lead(desk, ACME)
    rename(desk)
    git(desk.folder, "checkout", "-q", "HEAD~1", "--", PATH)
    desk.tenant = desk.folder / PATH
    lead(desk, ACME)
    commit(desk.folder)
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"CXONE_{name}", "x")
    monkeypatch.setenv("CXONE_TENANT_URL", ACME)
    assert desk.run(*command, PATH) == 65
    assert f"{PATH}/tenant.yaml:" in desk.err
    assert f"so does {RENAMED}/tenant.yaml" in desk.err


@pytest.mark.parametrize(
    "url", [ACME.upper(), f"{ACME}/", f"{ACME}:443", f"{ACME}.", ACME.replace("acme", "Acme")]
)
def test_no_other_way_to_write_a_url_hides_that_two_folders_claim_one_platform(
    desk: Desk, url: str
) -> None:
    lead(desk, ACME)
    rename(desk)
    git(desk.folder, "checkout", "-q", "HEAD~1", "--", PATH)
    desk.tenant = desk.folder / PATH
    lead(desk, url)
    assert desk.run("validate") == 65
    assert f"{PATH}/tenant.yaml:" in desk.err


def test_a_url_beside_the_ledger_of_another_platform_is_one_error_with_its_place(
    desk: Desk,
) -> None:
    lead(desk, ACME)
    declared = 'audit: {ledger: "campaigns/other.cxonecloud.com", began: "' + "0" * 64 + '"}'
    desk.edit("\nspec:\n", f"\nspec:\n  {declared}\n", "tenant.yaml")
    said = desk.says(65, "validate", PATH)
    assert f"{PATH}/tenant.yaml:7:10: audit names the ledger of campaigns/other" in said, said


def test_a_change_to_another_platform_says_that_no_hold_comes_along(
    desk: Desk, real: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    was, first = platform(desk.tenant), git(desk.folder, "rev-parse", "HEAD")[:12]
    with sandbox.loopback(sandbox.create_app(real)) as url:
        lead(desk, url)
        monkeypatch.setenv("CXONE_TENANT_URL", url)
        now = platform(desk.tenant)
        desk.run("plan", PATH)
        said = f"{desk.tenant.relative_to(desk.folder)}/tenant.yaml names another platform than at commit {first}: {now}, not {was}"
        assert said in desk.out
        assert f"refs/notes/reconcile/{now}" in desk.out
        commit(desk.folder)
        desk.run("apply", "--yes", PATH)
        assert said in desk.out
        desk.run("plan", PATH)
        assert "names another platform" not in desk.out


# --- a manifest that contradicts the environment --------------------------------------------------------------------------------


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a real platform."""
    for name, value in (("TENANT_URL", ACME), ("CLIENT_ID", "id"), ("CLIENT_SECRET", "secret")):
        monkeypatch.setenv(f"CXONE_{name}", value)


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    "command",
    [
        ["plan"],
        ["apply", "--yes"],
        ["halt", "--all", "--reason", "x"],
        ["release", "--all", "--reason", "x"],
        ["import"],
        ["doctor"],
        ["optimize", "--target-answer-rate", "0.3"],
        ["validate", "--online"],
        ["audit", "log"],
        ["audit", "verify"],
        ["lock", "status"],
        ["lock", "release"],
    ],
)
def test_a_sandbox_beside_the_url_of_a_real_platform_is_refused_by_every_command(
    desk: Desk, command: list[str]
) -> None:
    said = desk.says(77, *command, PATH)
    assert f"`url` in tenant.yaml is sandbox: but CXONE_TENANT_URL is {ACME}" in said
    assert desk.records() == ""
    assert not (desk.folder / ".reconcile").exists()


def chosen(desk: Desk, monkeypatch: pytest.MonkeyPatch, *named: str) -> str:
    """Return the platform that a stop would open, and what it says before it does."""

    @asynccontextmanager
    async def open_session(world, folder, network, **how):
        raise UsageError(f"stops {folder.tenant.spec.url}")
        yield

    monkeypatch.setattr(halt.sessions, "open_session", open_session)
    desk.run("halt", *(named or (PATH,)), "--all", "--reason", "x")
    return desk.err


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("merged", ["sandbox:", "https://evil.example", "no url at all"])
def test_no_merge_keeps_anybody_from_stopping_the_real_platform(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, merged: str
) -> None:
    lead(desk, ACME)
    commit(desk.folder)
    right = git(desk.folder, "rev-parse", "HEAD")[:12]
    for url in (merged, "https://other.example"):
        lead(desk, url)
        commit(desk.folder)
    lead(desk, merged)
    said = chosen(desk, monkeypatch)
    assert f"stops {ACME}" in said
    assert f"so the platform was taken from {PATH}/tenant.yaml at commit {right}" in said


@pytest.mark.usefixtures("acme")
def test_a_stop_goes_by_no_earlier_url_that_the_environment_does_not_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead(desk, "https://former.example")
    commit(desk.folder)
    lead(desk, "sandbox:")
    commit(desk.folder)
    said = chosen(desk, monkeypatch)
    assert "stops sandbox:" in said  # which opening then refuses, as every command does
    assert "so the platform was taken from" not in said


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("named", [(PATH,), ("schedules", "--tenant", "sandbox")])
def test_a_folder_that_is_gone_keeps_nobody_from_stopping(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    lead(desk, ACME)
    commit(desk.folder)
    rename(desk)
    lead(desk, "sandbox:")
    commit(desk.folder)
    said = chosen(desk, monkeypatch, *named)
    assert f"stops {ACME}" in said
    assert f"{PATH}/tenant.yaml at commit" in said


def test_a_stop_by_an_earlier_url_reaches_the_platform_and_its_records(
    desk: Desk, real: sandbox.CampaignState
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0
    ref = f"refs/notes/reconcile/{platform(desk.tenant)}"
    git(desk.folder, "checkout", "-q", ".")  # the declaration would name the other platform
    lead(desk, "https://evil.example")
    commit(desk.folder)
    assert desk.run("halt", PATH, NAME, "--reason", "x") == 0
    assert real.campaign(KEY)["schedule_id"] is None
    assert "https://evil.example but CXONE_TENANT_URL is http://127.0.0.1" in desk.out
    assert git(desk.folder, "for-each-ref", "--format=%(refname)", "refs/notes").split() == [ref]
    assert Path(PATH).exists()


def test_a_merge_that_names_another_api_keeps_nobody_from_stopping(
    desk: Desk, real: sandbox.CampaignState
) -> None:
    file = desk.tenant / "tenant.yaml"
    text = file.read_text(encoding="utf-8")
    other = text.replace("api: campaigns", "api: personal-connection\n  version: 31")
    assert other != text
    file.write_text(other, encoding="utf-8")
    commit(desk.folder)
    assert desk.run("halt", PATH, KEY, "--reason", "x") == 0
    assert real.campaign(KEY)["schedule_id"] is None
    assert "/authentication/v1/token/access-key does not exist there (404)" in desk.out
    assert f"{PATH}/tenant.yaml at commit" in desk.out


def test_a_merge_that_allows_hardly_any_request_keeps_nobody_from_stopping(
    desk: Desk, real: sandbox.CampaignState
) -> None:
    file = desk.tenant / "tenant.yaml"
    text = file.read_text(encoding="utf-8")
    kept = "".join(
        each for each in text.splitlines(keepends=True) if "requests_per_second:" not in each
    )
    slow = kept.replace("spec:\n", "spec:\n  requests_per_second: 0.001\n", 1)
    file.write_text(slow, encoding="utf-8")
    commit(desk.folder)
    assert desk.run("halt", PATH, KEY, "--deadline", "60", "--reason", "x") == 0
    assert real.campaign(KEY)["schedule_id"] is None
