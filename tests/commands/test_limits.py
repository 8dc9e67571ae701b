"""Limits of one apply: they hold in small tenants, and deleting or inventing manifests moves none of them."""

import json

import pytest

from reconciler import sandbox
from tests.commands import test_baseline
from tests.commands.test_baseline import PATH, Office
from tests.support import fasttime
from tests.support.desk import git

world, office = test_baseline.world, test_baseline.office

WIDER = ("dial_rate: 3.0", "dial_rate: 4.0")


def delete(office: Office, *numbers: int) -> None:
    for number in numbers:
        (office.tenant / f"m{number:02}.yaml").unlink()


def tombstones(office: Office, *numbers: int) -> None:
    """Write tombstones for campaigns that were never there."""
    for number in numbers:
        text = f'apiVersion: cxone.reconciler/v1\nkind: CampaignSchedule\nmetadata: {{name: t{number}, retired: true}}\nspec: {{campaign_id: "{number}"}}\n'
        (office.tenant / f"t{number}.yaml").write_text(text, encoding="utf-8")


def retire(office: Office, *numbers: int) -> None:
    """Make tombstones of manifests, and commit."""
    for number in numbers:
        text = f'apiVersion: cxone.reconciler/v1\nkind: CampaignSchedule\nmetadata: {{name: m{number:02}, retired: true}}\nspec: {{campaign_id: "10{number:02}"}}\n'
        (office.tenant / f"m{number:02}.yaml").write_text(text, encoding="utf-8")
    office.commit()


def refused(office: Office, world: sandbox.CampaignState, before: int) -> None:
    """Four of ten are too many, whatever else a change does; and nothing was executed since `before`."""
    assert "4 of 10 objects would be changed" in office.says(5, "apply", "--yes", PATH)
    assert world.executed() == before


def test_deleting_manifests_does_not_switch_the_limits_off(
    office: Office, world: sandbox.CampaignState
) -> None:
    before = world.executed()
    delete(office, 6, 7, 8, 9, 10)
    office.slow_down(4)
    office.commit()
    refused(office, world, before)


def test_inventing_tombstones_raises_no_limit(office: Office, world: sandbox.CampaignState) -> None:
    before = world.executed()
    tombstones(office, *range(5001, 5011))
    office.slow_down(4)
    office.commit()
    refused(office, world, before)


def test_deleting_what_was_never_recorded_does_not_either(
    office: Office, world: sandbox.CampaignState
) -> None:
    """The records hold one of ten objects; the others count because manifests named them before the change."""
    for ref in git(office.folder, "for-each-ref", "--format=%(refname)", "refs/notes").split():
        git(office.folder, "update-ref", "-d", ref)
    assert office.apply("m01") == 0
    before = world.executed()
    delete(office, 6, 7, 8, 9, 10)
    office.slow_down(4)
    office.commit()
    refused(office, world, before)


def test_taking_over_what_others_manage_raises_no_limit(
    office: Office, world: sandbox.CampaignState
) -> None:
    """Live campaigns that the same change names for the first time are none that it may be measured by."""
    before = world.executed()
    text = (office.tenant / "m01.yaml").read_text(encoding="utf-8")
    body = json.loads(str(world.campaign("1001")["schedule"]))
    for number in range(11, 31):
        key = f"10{number}"
        world.put_campaign(key, schedule={**body, "campaign_id": key})
        more = text.replace("m01", f"m{number}").replace('"1001"', f'"{key}"')
        (office.tenant / f"m{number}.yaml").write_text(more, encoding="utf-8")
    office.slow_down(4)
    office.commit()
    refused(office, world, before)


def test_naming_one_file_counts_the_whole_tenant(office: Office) -> None:
    office.edit(*WIDER, "m01.yaml")
    office.commit()
    assert office.run("apply", "--yes", f"{PATH}/m01.yaml") == 0


@pytest.mark.parametrize(("wider", "code"), [(1, 0), (2, 5)])
def test_a_small_tenant_widens_one_object_at_a_time(
    office: Office, world: sandbox.CampaignState, wider: int, code: int
) -> None:
    """Seven of ten are retired over days: three are left."""
    office.set("  limits: {retired_share: 1.0, changed_share: 1.0, reason: r, until: 2027-03-31}\n")
    office.commit()
    assert office.apply() == 0
    for number in range(4, 11):
        office.edit("retired: false", "retired: true", f"m{number:02}.yaml")
    office.commit()
    assert office.apply() == 0
    before = world.executed()
    office.set()
    for number in range(1, wider + 1):
        office.edit(*WIDER, f"m{number:02}.yaml")
    office.commit()
    assert office.apply() == code
    assert world.executed() == before + (wider if code == 0 else 0)
    if code:
        assert "2 of 3 objects would be loosened" in office.err


@pytest.mark.parametrize("applies", [1, 2])
def test_a_refresh_that_finishes_an_earlier_apply_was_counted_by_that_apply(
    office: Office, world: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch, applies: int
) -> None:
    """The dialer had not taken three of ten schedules: the next commit may loosen as many as any other."""
    fasttime.hurry(monkeypatch)
    world.configure(activation_s=1e6)
    for number in (1, 2, 3):
        office.edit(*WIDER, f"m{number:02}.yaml")
    office.commit()
    for _ in range(applies):
        assert office.apply("--wait", "1") == 75
    office.edit(*WIDER, "m04.yaml")
    office.commit()
    world.configure(activation_s=0)
    assert office.plan() == 2
    assert "1 to update, 3 to refresh" in office.out
    assert office.apply() == 0
    assert office.plan() == 0


def test_a_removal_that_finishes_an_earlier_apply_was_counted_by_that_apply(
    office: Office, world: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    fasttime.hurry(monkeypatch)
    world.configure(activation_s=1e6)
    retire(office, 1, 2, 3)
    assert office.apply("--wait", "1") == 75
    world.configure(activation_s=0)
    retire(office, 4)
    assert office.plan() == 2
    assert "4 to retire" in office.out
    assert office.apply() == 0
    assert office.plan() == 0


@pytest.mark.parametrize("active", [None, "older"])
def test_a_refresh_of_schedules_that_were_active_counts(
    office: Office, world: sandbox.CampaignState, active: str | None
) -> None:
    """The dialer lost what was confirmed as active: no apply counted that all of it dials again."""
    with world._writing() as (db, _):
        db.execute("UPDATE campaigns SET active_id=?", (active,))
    said = office.says(5, "apply", "--yes", PATH)
    assert "10 of 10 objects would be loosened" in said
    assert {world.campaign(f"10{number:02}")["active_id"] for number in range(1, 11)} == {active}


def test_what_the_dialer_lost_beside_a_narrowing_by_hand_counts_as_widening(
    office: Office, world: sandbox.CampaignState
) -> None:
    """The part that may run stores nothing new. It was said to tighten, like the write that stored it."""
    body = json.loads(str(world.campaign("1001")["schedule"]))
    fewer = {"campaign_id": "1001", "max_concurrent_calls": body["max_concurrent_calls"] - 1}
    world.put_campaign("1001", schedule={**body, **fewer})
    office.slow_down(1)
    office.commit()
    assert office.apply() == 0
    with world._writing() as (db, _):
        db.execute("UPDATE campaigns SET active_id=NULL WHERE id='1001'")
    office.plan()
    assert "1 to refresh" in office.out
    office.apply("--tighten-only")
    assert world.campaign("1001")["active_id"] is None
