"""The samples show what they promise, and a world of any size is soon there."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler import sandbox
from reconciler.kinds.campaign import KIND
from reconciler.models.campaign import CampaignSchedule
from reconciler.models.tenant import Tenant
from reconciler.sandbox import campaign_rules as rules
from reconciler.sandbox.campaign_seed import SAMPLE_CLOCK, bulk_body

FOLDER = Path(__file__).parents[2] / "schedules" / "sandbox"


@pytest.fixture(scope="module")
def samples():
    world = sandbox.open_samples(monotonic=sandbox.Ticker())
    yield world
    world.close()


def read(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def manifests() -> list[dict[str, Any]]:
    return [read(path) for path in sorted(FOLDER.glob("*.yaml")) if path.name != "tenant.yaml"]


def compiled(manifest: dict[str, Any]) -> Any:
    profiles = read(FOLDER / "tenant.yaml")["spec"]["profiles"]
    profile = profiles.get(manifest["metadata"].get("profile"), {})
    merged = {
        part: profile.get(part, {}) | manifest.get(part, {})
        for part in ("spec", "compliance", "pacing")
    }
    return CampaignSchedule.model_validate(manifest | merged).compile()


def action(manifest: dict[str, Any], world: sandbox.CampaignState) -> str:
    schedule = world.campaign(manifest["spec"]["campaign_id"])["schedule"]
    if manifest["metadata"].get("retired"):
        return "retire" if schedule else "none"
    if schedule is None:
        return "create"
    live, desired = KIND.canonical(json.loads(schedule)), compiled(manifest)
    return ",".join(sorted(k for k in desired if live[k] != desired[k])) or "none"


def test_the_first_plan_shows_three_creates_an_update_a_retirement_and_a_no_op(samples):
    found = {m["metadata"]["name"]: action(m, samples) for m in manifests()}
    assert found == {
        "appointment-reminders": "create",
        "home-broadband-upgrade": "create",
        "loyalty-survey": "none",
        "spring-renewals": "create",
        "warranty-reminders": "dial_rate",
        "winter-clearance": "retire",
    }


def test_each_sample_is_named_as_the_platform_names_it_and_has_an_active_list(samples):
    lists = samples.list_page(1, 100)[0]
    for manifest in manifests():
        campaign = manifest["spec"]["campaign_id"]
        assert samples.campaign(campaign)["name"] == manifest["metadata"]["campaign_name"]
        linked = {e["status"] for e in lists if campaign in e["campaign_ids"]}
        assert linked == {"ACTIVE"}


def test_the_world_has_what_no_manifest_names_and_lists_of_every_status(samples):
    rows, total = samples.campaign_page(1, 100)
    managed = {m["spec"]["campaign_id"] for m in manifests()}
    assert len({r["id"] for r in rows} - managed) == total - len(managed) == 3
    assert {e["status"] for e in samples.list_page(1, 100)[0]} == {"ACTIVE", "SYNCING", "INACTIVE"}
    assert all(r["active_id"] == r["schedule_id"] for r in rows)


def test_the_samples_take_place_when_the_tenant_says(samples):
    tenant = Tenant.model_validate(read(FOLDER / "tenant.yaml"))
    assert tenant.spec.clock == samples.now
    assert f"{samples.now:%Y-%m-%dT%H:%M:%SZ}" == SAMPLE_CLOCK


def test_the_platform_takes_every_sample(samples):
    for manifest in manifests():
        if not manifest["metadata"].get("retired"):
            body = json.loads(json.dumps(compiled(manifest)))
            assert rules.check_schedule(body, body["campaign_id"], samples.settings.ceilings) == []


def test_what_dials_in_the_samples_has_been_observed(samples):
    buckets = samples.metrics("1003", samples.now.replace(month=2), samples.now)
    assert len(buckets) == 14 * 9
    rate = sum(b["answers"] for b in buckets) / sum(b["attempts"] for b in buckets)
    assert 0.3 < rate < 0.36
    assert all(b["abandons"] < b["answers"] < b["attempts"] for b in buckets)


def test_many_campaigns_are_added_at_once_stored_and_active(world):
    sandbox.seed_many(world, 2500)
    rows, total = world.campaign_page(3, 1000)
    assert (len(rows), total) == (502, 2502)
    row = world.campaign("1000007")
    assert row["active_id"] == row["schedule_id"]
    assert (
        KIND.canonical(json.loads(row["schedule"])) == bulk_body(7) == KIND.canonical(bulk_body(7))
    )
    assert rules.check_schedule(bulk_body(7), "1000007", world.settings.ceilings) == []
    assert world.executed() == 0
    bulk = next(e for e in world.list_page(1, 100)[0] if e["id"] == "dnc-bulk")
    assert len(bulk["campaign_ids"]) == 2500


def test_ids_go_on_after_a_bulk(world, body):
    sandbox.seed_many(world, 10)
    sandbox.seed_many(world, 10)
    world.put_campaign("1001", schedule=body)
    assert world.campaign("1001")["schedule_id"] == "sch-000021"
