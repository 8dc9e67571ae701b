"""A stop reads what can be read, and says what stops the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler import sandbox
from tests.commands.test_halt import KEY, NAME, PATH, desk, halt, holds_of, ledger, server, silent
from tests.support.desk import Desk, commit, git

__all__ = ["desk", "server"]

Change = Callable[[str], str]

BROKEN: dict[str, Change] = {
    "an unknown field": lambda text: text.replace("dial_rate:", "dial_rats:"),
    "a syntax error": lambda text: text + "\t] [",
    "no kind": lambda text: text.replace("kind:", "kin:"),
    "a profile that is not there": lambda text: text.replace(
        "metadata:", "metadata:\n  profile: no"
    ),
}


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_manifest_without_a_record_is_stopped_and_told(
    desk: Desk, server: sandbox.CampaignState, how: str, *, beside: bool
) -> None:
    file = desk.tenant / f"{NAME}.yaml"
    file.write_text(BROKEN[how](file.read_text()))
    if beside:
        (desk.tenant / "broken.yaml").write_text("kind: [a\n")
    assert halt(desk, NAME) == 0
    assert silent(server, KEY)
    assert set(holds_of(ledger(desk.folder))) == {KEY}
    assert f"{NAME}.yaml is invalid: id {KEY} of {NAME} was taken from its text" in desk.out


def test_of_a_merge_conflict_both_objects_are_stopped(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    file = desk.tenant / f"{NAME}.yaml"
    ours = f'  campaign_id: "{KEY}"\n'
    theirs = ours.replace(KEY, "1001")
    text = file.read_text()
    assert ours in text
    file.write_text(text.replace(ours, f"<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> b\n"))
    assert halt(desk, NAME) == 0
    assert silent(server, KEY)
    assert silent(server, "1001")


def test_a_manifest_without_an_id_is_named_with_the_commands_that_stop_it_anyway(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    file = desk.tenant / f"{NAME}.yaml"
    file.write_text(file.read_text().replace("campaign_id", "campaign"))
    said = desk.says(64, "halt", PATH, NAME, "--reason", "x")
    assert f"These files are invalid and may hold them: {PATH}/{NAME}.yaml" in said
    assert f"reconcile halt {PATH} ID --reason TEXT" in said
    assert f"reconcile halt {PATH} --all --reason TEXT" in said
    assert halt(desk, KEY) == 0
    assert silent(server, KEY)


def test_a_tenant_yaml_that_was_never_valid_is_searched_for_its_platform(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    file = desk.tenant / "tenant.yaml"
    file.write_text(file.read_text() + "\t]\n")
    git(desk.folder, "checkout", "-q", "--orphan", "new")
    commit(desk.folder)
    assert halt(desk, NAME) == 0
    assert silent(server, KEY)
    assert "so the platform was taken from the lines api and url of" in desk.out
