"""`optimize` names a manifest that is not valid, leaves it out, and proposes values for the others."""

from __future__ import annotations

import asyncio

import pytest

from reconciler import sandbox
from reconciler.commands import optimize
from reconciler.errors import ManifestError, UsageError
from tests.commands.test_import import Desk

METRICS = "campaign_id,start,attempts,answers\n" + "".join(
    f"{key},2026-11-{day:02}T15:00:00Z,1000,100\n" for key in (1000001, 1000003) for day in range(1, 8)
)  # fmt: skip


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path, "campaigns")
    sandbox.seed_many(made.platform, 4)
    made.run()
    (tmp_path / "m.csv").write_text(METRICS)
    yield made
    made.platform.close()


def optimized(desk, *names: str, write: bool = True):
    asked = optimize.OptimizeRequest(
        desk.folder, names, target_answer_rate=0.3, metrics=desk.folder.parent / "m.csv", write=write
    )  # fmt: skip
    return asyncio.run(optimize.optimize(desk.world, asked))


def spoil(desk, key: int, old: str, new: str):
    path = desk.folder / f"campaign-{key}.yaml"
    path.write_text(path.read_text().replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dial_rate: 1.0", "dial_rate: fast", 'dial_rate must be above 0 and at most 100 (calls per second), not "fast"'),
        ('  campaign_id: "1000000"\n', "", "campaign_id is missing"),
        ("kind: CampaignSchedule", "kind: [", "is not valid YAML"),
        ("dial_rate:", "dial_rats:", "unknown key"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_valid_is_named_and_the_others_are_proposed(desk, old, new, said):
    path = spoil(desk, 1000000, old, new)
    broken = path.read_bytes()
    report = optimized(desk)
    assert {each["key"] for each in report.data["proposals"]} == {"1000001", "1000003"}
    assert "1000000" not in {each["key"] for each in report.data["declined"]}
    assert any(note.startswith("1 file left out, because of ") for note in report.notes)
    assert any(path.name in note and said in note for note in report.notes)
    assert path.read_bytes() == broken
    assert "dial_rate: 1.7" in (desk.folder / "campaign-1000001.yaml").read_text()


def test_two_manifests_for_one_campaign_are_both_left_out(desk) -> None:
    (desk.folder / "copy.yaml").write_bytes((desk.folder / "campaign-1000001.yaml").read_bytes())
    report = optimized(desk)
    assert {each["key"] for each in report.data["proposals"]} == {"1000003"}
    assert any("is claimed by two manifests" in note for note in report.notes)


def test_what_was_named_must_be_valid(desk) -> None:
    spoil(desk, 1000000, "dial_rate:", "dial_rats:")
    with pytest.raises(ManifestError, match="dial_rats"):
        optimized(desk, "campaign-1000000")
    assert optimized(desk, "campaign-1000001").data["proposals"]


def test_nothing_is_written_when_nothing_is_valid(desk) -> None:
    for key in range(1000000, 1000004):
        spoil(desk, key, "dial_rate:", "dial_rats:")
    before = {path.name: path.read_bytes() for path in desk.folder.iterdir()}
    with pytest.raises(ManifestError, match="dial_rats"):
        optimized(desk)
    assert {path.name: path.read_bytes() for path in desk.folder.iterdir()} == before


def test_a_tenant_file_that_is_not_valid_stops_it(desk) -> None:
    path = desk.folder / "tenant.yaml"
    path.write_text(path.read_text().replace("api: campaigns", "api: campaign"))
    with pytest.raises((ManifestError, UsageError)):
        optimized(desk)


def test_predictions_of_manifests_that_are_left_out_are_kept(desk) -> None:
    for name in ("campaign-1000001", "campaign-1000003"):
        path = desk.folder / f"{name}.yaml"
        path.write_text(path.read_text() + "pacing: {agents: 20, handle_time_s: 180}\n")
    optimized(desk)
    table = (desk.folder / "predictions.md").read_text()
    assert "`1000001`" in table
    spoil(desk, 1000001, "dial_rate:", "dial_rats:")
    optimized(desk)
    assert "`1000001`" in (desk.folder / "predictions.md").read_text()
