"""Which commit judges a change: the last one that was applied, also by an apply that wrote nothing."""

from datetime import UTC, datetime

import pytest

from reconciler import sandbox
from tests.commands import test_baseline
from tests.commands.test_baseline import OFF, PATH, WINDOW, Office

world, office = test_baseline.world, test_baseline.office


@pytest.fixture
def imported(office: Office) -> Office:
    """The same ten campaigns in a repository whose ledger is empty: an import whose first apply finds them as the manifests say."""
    for ref in office.records().split()[2::3]:
        test_baseline.git(office.folder, "update-ref", "-d", ref)
    assert office.records() == ""
    return office


def test_an_apply_that_only_takes_over_makes_its_commit_the_base(
    imported: Office, world: sandbox.CampaignState
) -> None:
    before = world.executed()
    assert imported.plan() == 2
    assert imported.apply() == 0
    assert imported.plan() == 0
    imported.set(OFF)
    imported.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    imported.commit()
    assert imported.plan() == 5
    assert "policies.calling-windows" in imported.out
    assert imported.apply() == 5
    assert world.executed() == before


def test_an_apply_that_only_tightens_makes_its_commit_the_base(
    office: Office, world: sandbox.CampaignState
) -> None:
    before = world.executed()
    office.set("  limits: {changed_share: 0.1}\n")
    office.commit()
    assert office.plan() == 2
    assert "No changes. apply will record this commit as the base of the next change." in office.out
    assert office.apply() == 0
    assert office.plan() == 0
    office.set()
    office.slow_down(2)
    office.commit()
    assert office.plan() == 5
    assert "limits.changed_share" in office.out
    assert "the limit is 10%" in office.says(5, "apply", "--yes", PATH)
    assert world.executed() == before


def test_a_first_apply_with_nothing_to_do_makes_its_commit_the_base(office: Office) -> None:
    """A tombstone of what was never there is neither written nor taken over."""
    for ref in office.records().split()[2::3]:
        test_baseline.git(office.folder, "update-ref", "-d", ref)
    for number in range(1, 11):
        (office.tenant / f"m{number:02}.yaml").unlink()
    text = 'apiVersion: cxone.reconciler/v1\nkind: CampaignSchedule\nmetadata: {name: t, retired: true}\nspec: {campaign_id: "5001"}\n'
    (office.tenant / "t.yaml").write_text(text, encoding="utf-8")
    office.commit()
    assert office.plan() == 2
    assert office.apply() == 0
    assert office.plan() == 0
    office.set(OFF)
    office.commit()
    assert office.plan() == 2
    assert "policies.calling-windows" in office.out


def test_an_apply_that_changes_nothing_records_nothing(office: Office) -> None:
    recorded = office.records()
    assert office.apply() == 0
    office.edit("kind: CampaignSchedule", "kind: CampaignSchedule # a comment", "m01.yaml")
    office.commit()
    assert office.plan() == 0
    assert office.apply() == 0
    assert office.records() == recorded


def test_a_tightening_is_recorded_once(office: Office) -> None:
    office.set("  limits: {changed_share: 0.1}\n")
    office.commit()
    assert office.apply() == 0
    recorded = office.records()
    assert office.apply() == 0
    assert office.records() == recorded


def test_an_apply_that_is_refused_without_a_change_says_what_it_recorded(
    office: Office, world: sandbox.CampaignState
) -> None:
    world.pin(datetime(2031, 1, 1, tzinfo=UTC))
    office.set("  policies: {ended: error}\n")
    office.commit()
    assert office.plan() == 5
    assert "10 errors to correct. No changes. apply will record this commit" in office.out
    assert office.apply() == 5
    assert "10 errors to correct. No changes. Recorded: this commit as the base" in office.out
    assert office.plan() == 5
    assert "10 errors to correct. No changes. 10 schedules match" in office.out
