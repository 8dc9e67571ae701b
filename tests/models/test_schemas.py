"""The committed JSON Schemas are the models', and say the same as they do."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from reconciler.manifests.reader import read
from reconciler.models.schemas import json_schemas
from tests.support.bodies import make_manifest

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "schedules").rglob("*.yaml"))
SCHEMAS = json_schemas()
MANIFEST = make_manifest(compliance_windows=[])


def accepts(name: str, document: Any) -> bool:
    return bool(jsonschema_rs.validator_for(SCHEMAS[name]).is_valid(document))


def test_the_committed_schemas_are_current() -> None:
    committed = {
        file.name: file.read_text(encoding="utf-8") for file in (ROOT / "schemas").iterdir()
    }
    assert committed == {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in SCHEMAS.items()
    }


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_every_sample_satisfies_its_schema(file: Path) -> None:
    text = file.read_bytes()
    kind = "skill" if b"kind: SkillSchedule" in text else "campaign"
    name = "tenant.json" if file.name == "tenant.yaml" else f"{kind}-schedule.json"
    assert f"schemas/{name}" in text.decode().splitlines()[0]
    assert [accepts(name, document.value) for document in read(text, file.name)] == [True]


def test_a_manifest_needs_its_whole_spec() -> None:
    assert accepts("campaign-schedule.json", MANIFEST)
    for key in MANIFEST["spec"]:
        lacking = deepcopy(MANIFEST)
        del lacking["spec"][key]
        assert not accepts("campaign-schedule.json", lacking)


@pytest.mark.parametrize("metadata", [{"profile": "us"}, {"retired": True}])
def test_a_profile_or_a_tombstone_may_leave_all_away_but_the_campaign(
    metadata: dict[str, Any],
) -> None:
    document = {**MANIFEST, "metadata": {"name": "spring", **metadata}}
    assert accepts("campaign-schedule.json", {**document, "spec": {"campaign_id": "1001"}})
    assert not accepts("campaign-schedule.json", {**document, "spec": {"dial_rate": 1}})


@pytest.mark.parametrize("metadata", [{"profile": None}, {"retired": False}])
def test_no_profile_and_no_tombstone_may_not(metadata: dict[str, Any]) -> None:
    document = {**MANIFEST, "metadata": {"name": "spring", **metadata}}
    assert not accepts("campaign-schedule.json", {**document, "spec": {"campaign_id": "1001"}})


@pytest.mark.parametrize(
    ("key", "value"), [("dial_rate", 0), ("dial_rate", "25"), ("campaign_id", 1001), ("colour", 1)]
)
def test_what_the_models_refuse_the_schema_refuses(key: str, value: object) -> None:
    assert not accepts(
        "campaign-schedule.json", {**MANIFEST, "spec": {**MANIFEST["spec"], key: value}}
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described(name: str) -> None:
    schema = SCHEMAS[name]
    for definition in (schema, *schema["$defs"].values()):
        assert definition["description"]
        assert all(value["description"] for value in definition["properties"].values())
