"""Runs the examples of a policy's docstring: PASS and FAIL, as facts made of a real manifest and a real answer."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ruamel.yaml import YAML

from reconciler.errors import Place
from reconciler.kinds.live import Live, ScrubList, Snapshot
from reconciler.models import Desired, model_for
from reconciler.policies.base import Facts, Finding, Policy
from tests.support.bodies import make_manifest, make_skill_body
from tests.support.factories import (
    NOW,
    SKILLS,
    make_facts,
    make_live,
    make_skill_desired,
    make_snapshot,
)

_BLOCK = re.compile(r"^(PASS|FAIL):\n\n((?:    .*(?:\n|$))+)", re.MULTILINE)
_MANIFEST = make_manifest("spring-renewals")
_PLATFORM: dict[str, Any] = {
    "campaigns": [{"id": "1001", "name": "Spring Renewals"}],
    "lists": [{"id": "dnc-1", "status": "ACTIVE", "campaign_ids": ["1001"]}],
    "settings": {},
    "clock": NOW.isoformat(),
}


def examples(policy: Policy) -> list[tuple[str, dict[str, Any]]]:
    """Return the examples of a docstring: `PASS` or `FAIL`, and the YAML."""
    yaml = YAML(typ="safe", pure=True)
    return [(verdict, yaml.load(block)) for verdict, block in _BLOCK.findall(policy.__doc__)]


def facts_of(example: dict[str, Any]) -> Facts:
    """Return the facts that an example describes, the rest being in order."""
    unknown = set(example) - {"metadata", "spec", "platform", "applied", "repointed"}
    assert not unknown, f"no part of an example: {unknown}"
    if "skill_id" in example.get("spec", {}):
        return _of_skills(example)
    says = {**_PLATFORM, **example.get("platform", {})}
    snapshot = make_snapshot(
        [make_live(row["id"], name=row["name"]) for row in says["campaigns"]],
        ceilings={"dial_rate": 50.0, "max_concurrent_calls": 2000.0, **_ceilings(says["settings"])},
        scrubs=_scrubs(says["lists"]),
    )
    return make_facts(
        [_desired(example)] if {"metadata", "spec"} & set(example) else [],
        live=snapshot,
        now=datetime.fromisoformat(says["clock"]),
        applied=example.get("applied", {}),
        repointed=example.get("repointed", {}),
    )


def _of_skills(example: dict[str, Any]) -> Facts:
    """Return the facts of an example about skills: each is as `make_skill_body` says, but for what the example says of it."""
    group = ScrubList("70", "Group", "ACTIVE")
    live = [
        Live(
            row["skill_id"],
            "Skill",
            row.get("running", False),
            make_skill_body(**{name: value for name, value in row.items() if name != "running"}),
        )
        for row in example["platform"]["skills"]
    ]
    snapshot = Snapshot({each.key: each for each in live}, {}, {}, NOW, lists={"70": group})
    spec = {name: value for name, value in example["spec"].items() if name != "skill_id"}
    desired = make_skill_desired(example["spec"]["skill_id"], **spec)
    return make_facts([desired], live=snapshot, kinds=SKILLS)


def findings(policy: Policy, example: dict[str, Any]) -> list[Finding]:
    return list(policy.check(facts_of(example)))


def _desired(example: dict[str, Any]) -> Desired:
    document = {
        **_MANIFEST,
        **{part: {**_MANIFEST[part], **example.get(part, {})} for part in ("metadata", "spec")},
    }
    model = model_for(document)
    assert model is not None
    manifest = model.model_validate(document)
    return Desired(
        kind="CampaignSchedule",
        key=manifest.key,
        name=manifest.metadata.name,
        place=Place("schedules/acme/spring.yaml", 1, 1),
        body=manifest.compile(),
        platform_name=manifest.metadata.campaign_name,
    )


def _ceilings(settings: dict[str, float]) -> dict[str, float]:
    names = {"max_dial_rate": "dial_rate", "max_concurrent_calls": "max_concurrent_calls"}
    return {names[name]: float(limit) for name, limit in settings.items()}


def _scrubs(rows: list[dict[str, Any]]) -> dict[str, tuple[ScrubList, ...]]:
    keys = {key for row in rows for key in row["campaign_ids"]}
    return {
        key: tuple(
            ScrubList(row["id"], "List", row["status"])
            for row in rows
            if key in row["campaign_ids"]
        )
        for key in keys
    }
