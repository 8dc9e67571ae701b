"""What hands did on the platform, without a quirk: under `--tighten-only`, under `--revert`, and after an import that accepts it."""

from __future__ import annotations

import pytest

from tests.quirks import desk as desks
from tests.quirks import oracle
from tests.quirks.harness import SHORT, TENANT, Life, life, said
from tests.quirks.platform import BOTH


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("templates")
    return {api: desks.template(folder, api, remote=False) for api in BOTH}


@pytest.fixture(params=BOTH)
def moved(request, templates, tmp_path, monkeypatch) -> Life:
    """A tenant that was imported, applied, and then moved by hands."""
    monkeypatch.chdir(tmp_path)
    lived = life(templates[request.param], tmp_path, request.param, (), depth=SHORT)
    lived.desk.run("import", TENANT)
    lived.desk.commit("take over")
    lived.desk.run("apply", "--yes", TENANT)
    lived.hands = lived.scene.hands()
    facts = lived.scene.facts
    for key, body in lived.scene.desired.items():
        wanted = facts(body)
        found = lived.hands.get(key, body)
        lived.expected[key] = oracle.meet(facts(found), wanted) if key in lived.hands else wanted
    return lived


def test_the_meet_is_a_tightening(moved):
    ran = moved.desk.run("apply", "--yes", "--tighten-only", TENANT)
    assert ran.code == 0, said(ran)
    moved._as_expected("tightened", moved.hands)
    assert not moved.wrong, "\n".join([*moved.wrong, moved.story()])


def test_the_held_line_names_both_ways_out_the_narrowing_one_first(moved):
    out = moved.desk.run("plan", TENANT).out
    key = moved.scene.reverted
    keep, undo = f"reconcile import {TENANT} {key}", f"--revert {moved.scene.named(key)}"
    assert 0 <= out.find(keep) < out.find(undo), out


def test_reverting_one_object_stores_its_manifest_whole(moved):
    """Narrowed in one field and widened in others: under `--revert` nothing of either stays."""
    key = "1007" if moved.platform.api == "campaigns" else "4007"
    name = moved.scene.named(key)
    ran = moved.desk.run("apply", "--yes", TENANT, name, "--revert", name)
    assert ran.code == 0, said(ran)
    moved.platform.clock.s += 60
    wanted = moved.scene.facts(moved.scene.desired[key])
    assert oracle.differing(moved._fact(key, "stored"), wanted) == []
    assert oracle.differing(moved._fact(key, "active"), wanted) == []


def test_an_import_accepts_what_a_hand_narrowed(moved):
    key = moved.scene.reverted
    ran = moved.desk.run("import", TENANT, key)
    moved.desk.commit("accept")
    assert moved.desk.run("apply", "--yes", TENANT).code == 0, said(ran)
    plan = moved.desk.run("plan", "--format", "json", TENANT).json
    assert key not in {each["key"] for each in plan["operations"]}
    assert not oracle.wider(moved._fact(key, "active"), [moved.scene.facts(moved.hands[key])])
