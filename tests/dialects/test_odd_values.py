"""An odd value in the answer about one skill: shown as it is, never taken for known, and the plan of the others goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from reconciler import client, policies
from reconciler.dialects.personal_connection import api as pc
from reconciler.kinds.skill import KIND, KINDS
from reconciler.plan import Base, Cause, Known, Plan, Way, build, drift
from reconciler.policies.base import Facts
from reconciler.renderers import text
from reconciler.report.changes import of_plan
from tests.support.changed_answers import changing
from tests.support.factories import make_origin, make_skill_desired
from tests.support.skills import Platform, body_of, platform

ODD: list[Any] = ["yes", None, {"a": 1}]


@cache
def bodies() -> dict[str, dict[str, Any]]:
    """Return what the manifests of two skills say. The second is to have another ratio."""
    with platform() as box:
        held = {key: body_of(box.ask(pc.read_one(key))) for key in ("4001", "4003")}
    return {"4001": held["4001"], "4003": held["4003"] | {"maximum_ratio": 1.25}}


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, change: Any, end: str) -> Iterator[Platform]:
    """Open the samples' platform whose answers on paths that end so are changed. The bulk answer has no skill 4001."""
    bodies()

    def changed(path: str, _query: dict[str, str], body: Any) -> Any:
        if path.endswith("/skills/parameters"):
            return {"skills": [row for row in body["skills"] if str(row["skillId"]) != "4001"]}
        return change(body) if path.endswith(end) else body

    monkeypatch.setattr(
        "tests.support.skills.embedded", lambda app: client.embedded(changing(app, changed))
    )
    with platform() as box:
        yield box


def planned(box: Platform) -> Plan:
    """Return the plan of two skills, the second of which is to have another ratio; and require that it is planned."""
    wanted = [make_skill_desired(key, **body) for key, body in bodies().items()]
    snapshot = box.ask(pc.read())
    facts = Facts(tuple(wanted), KINDS, now=snapshot.at, live=snapshot)
    findings = [*policies.check_all(facts, {})]
    plan = build(make_origin(), wanted, snapshot, KINDS, findings=findings)
    (other,) = [each for each in plan.operations if each.key == "4003"]
    assert "identity" not in other.blocked
    assert [change.path for change in other.fields] == ["maximum_ratio"]
    base = {each.key: Base(each.body) for each in wanted}
    drifted = drift(wanted, snapshot, KINDS, Known(base), plan.operations).objects
    (row,) = [each for each in drifted if each.key == "4001"]
    assert row.way in {Way.UNKNOWN, Way.WIDENED, Way.MIXED}
    assert (row.cause is Cause.UNREADABLE) == ("4001" in snapshot.unreadable)
    return plan


@pytest.mark.parametrize("odd", ODD, ids=json.dumps)
@pytest.mark.parametrize(
    ("end", "name", "field"),
    [
        ("schedule-settings", "isScheduled", "run_window"),
        ("schedule-settings", "mondayIsActive", "run_window"),
        ("time-zones", "timeZoneActiveToCall", "calling_windows"),
        ("general-settings", "blockMultipleCalls", "block_multiple_calls"),
    ],
)
def test_an_odd_truth_value_is_shown_raw_and_loosens_its_own_skill_alone(
    monkeypatch, end, name, field, odd
):
    def change(answer: Any) -> Any:
        ((block, held),) = answer.items()
        rows = [held[0] | {name: odd}, *held[1:]] if isinstance(held, list) else held | {name: odd}
        return {block: rows}

    with answering(monkeypatch, change, f"/4001/parameters/{end}") as box:
        plan = planned(box)
    (each,) = [each for each in plan.operations if each.key == "4001"]
    assert (each.verdict.widens, "identity" in each.blocked) == (True, False)
    assert field in each.effect.unknown
    output = text.render(of_plan(plan, exit_code=2))
    assert "effect unknown, counts as loosening" in output
    assert "\x1b[2J" not in output
    if isinstance(odd, str | int):
        assert str(odd).strip("\x1b") in output


@pytest.mark.parametrize(
    ("end", "change"),
    [
        ("/4001/parameters/schedule-settings", lambda _: {"scheduleSettings": ["x"]}),
        ("/4001/parameters/time-zones", lambda _: {"timeZoneSettings": [{"x": 1}]}),
        ("/4001/parameters/general-settings", lambda _: {"generalSettings": {}}),
        *(
            (
                "/skills",
                lambda answer, more={name: odd}: {
                    **answer,
                    "skills": [
                        row | more if row["skillId"] == 4001 else row for row in answer["skills"]
                    ],
                },
            )
            for name, odd in (("skillName", 7), ("isRunning", "maybe"), ("isOutbound", [1]))
        ),
    ],
)
def test_an_answer_of_another_form_blocks_its_own_skill_by_name(monkeypatch, end, change):
    """A block of another form cannot be sent back with a few values changed."""
    with answering(monkeypatch, change, end) as box:
        plan = planned(box)
        assert not KIND.is_silent(box.ask(pc.read()).objects["4001"])
    (each,) = [each for each in plan.operations if each.key == "4001"]
    assert "identity" in each.blocked
    (finding,) = [each for each in plan.findings if each.rule == "identity"]
    assert (finding.key, finding.stops) == ("4001", True)
    assert "the platform's answer about skill 4001 cannot be read" in finding.message


def test_a_skill_with_odd_truth_values_is_written_as_its_manifest_says():
    with platform() as box:
        wanted = body_of(box.ask(pc.read_one("4001")))
        box.world.put_skill(
            4001, schedule={"mondayIsActive": "yes"}, general={"blockMultipleCalls": "on"}
        )
        box.write("4001", wanted)
        assert body_of(box.ask(pc.read_one("4001"))) == wanted
