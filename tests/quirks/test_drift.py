"""`drift` against platforms with quirks: nothing after an apply, and every hand's edit exactly once."""

from __future__ import annotations

import pytest

from tests.quirks import desk as desks
from tests.quirks.harness import SHORT, TENANT, Life, life, said
from tests.quirks.platform import QUIRKS

EVERY = [(api, quirk) for quirk, apis in QUIRKS.items() for api in sorted(apis)]
SHORTLY = {"lost-answers", "numbers-as-text", "windows-reordered", "zone-links"}
"""Quirks that are always played; the others are a matter of minutes."""

CASES = [
    ("campaigns", None),
    ("personal-connection", None),
    *(
        pytest.param(api, quirk, marks=[] if quirk in SHORTLY else [pytest.mark.long])
        for api, quirk in EVERY
    ),
]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("templates")
    apis = {api for api, _ in EVERY}
    return {api: desks.template(folder, api, remote=False) for api in apis}


@pytest.mark.parametrize(("api", "quirk"), CASES)
def test_after_an_apply_there_is_none_and_after_hands_each_edit_once(
    templates, tmp_path, monkeypatch, api, quirk
):
    monkeypatch.chdir(tmp_path)
    lived = life(templates[api], tmp_path, api, (quirk,) if quirk else (), depth=SHORT)
    lived.desk.run("import", TENANT)
    lived.desk.commit("take over")
    ran = lived.desk.run("apply", "--yes", TENANT)
    assert ran.code in {0, 75}, said(ran)
    lived.platform.clock.s += 60
    assert drifted(lived) == {}
    hands = lived.scene.hands()
    lived.platform.clock.s += 60
    found = drifted(lived)
    assert found.keys() == changed(lived, hands)
    for key in found:
        paths = [one["path"] for one in found[key]["fields"]]
        assert len(paths) == len(set(paths))
    assert lived.scene.reverted in found
    assert not found[lived.scene.reverted]["widens"]


def changed(lived: Life, hands) -> set[str]:
    """Return the objects of which a hand changed anything."""
    facts = lived.scene.facts
    return {key for key, body in hands.items() if facts(body) != facts(lived.scene.desired[key])}


def drifted(lived: Life):
    """Return the drift of what manifests name, by key."""
    ran = lived.desk.run("drift", "--format", "json", TENANT)
    assert ran.code in {0, 2}, said(ran)
    found = [each for each in ran.json["drift"] if each["cause"] != "unmanaged"]
    keys = [each["key"] for each in found]
    assert len(keys) == len(set(keys)), ran.out
    return dict(zip(keys, found, strict=True))
