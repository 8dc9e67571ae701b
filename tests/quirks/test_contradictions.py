"""A platform that contradicts itself: nothing is concluded from what it does not say, least of all that it is silent."""

from __future__ import annotations

import pytest

from tests.quirks import desk as desks
from tests.quirks.harness import SHORT, TENANT, life, said
from tests.quirks.platform import BOTH

LISTS = ("total-too-high", "next-without-more")


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("templates")
    return {api: desks.template(folder, api, remote=False) for api in BOTH}


@pytest.fixture
def started(templates, tmp_path, monkeypatch):
    """Return a function that gives a tenant which was imported and applied, and from then on has the quirks."""
    monkeypatch.chdir(tmp_path)

    def start(api: str, *quirks: str):
        lived = life(templates[api], tmp_path, api, (), depth=SHORT)
        lived.desk.run("import", TENANT)
        lived.desk.commit("take over")
        assert lived.desk.run("apply", "--yes", TENANT).code == 0
        lived.platform.quirks = frozenset(quirks)
        return lived

    return start


@pytest.mark.parametrize("quirk", LISTS)
@pytest.mark.parametrize("api", BOTH)
def test_no_plan_is_made_from_a_list_that_contradicts_itself(started, api, quirk):
    lived = started(api, quirk)
    ran = lived.desk.run("plan", TENANT)
    assert ran.code in {1, 69}, said(ran)


@pytest.mark.parametrize("quirk", LISTS)
@pytest.mark.parametrize("api", BOTH)
def test_no_stop_is_complete_by_a_list_that_contradicts_itself(started, api, quirk):
    lived = started(api, quirk)
    lived.scene.before_stop()
    ran = lived.desk.run("halt", "--all", "--reason", "calls at night", "--deadline", "60", TENANT)
    assert ran.code not in {0, -1}, said(ran)
    lived.platform.clock.s += 60
    still = [key for key in lived.platform.silent() if key in lived.scene.desired]
    assert not still, f"what manifests name was not stopped: {still}"


@pytest.mark.parametrize("word", ["yes", "running", 2, [], {}])
def test_a_word_that_nobody_knows_is_not_read_as_stopped(started, monkeypatch, word):
    lived = started("personal-connection")
    lived.scene.before_stop()
    rows = lived.platform._row

    def row(key: str):
        found = rows(key)
        return found | {"isRunning": word} if "isRunning" in found else found

    monkeypatch.setattr(lived.platform, "_row", row)
    ran = lived.desk.run("halt", "--all", "--reason", "calls at night", TENANT)
    lived.platform.clock.s += 60
    assert ran.code != 0 or not lived.platform.silent(), said(ran)
    assert ran.code != -1, said(ran)


def test_what_a_halt_names_and_no_list_shows_is_stopped(started):
    lived = started("personal-connection", "hidden-when-new")
    lived.scene.before_stop()
    lived.platform.hidden["4002"] = 99
    lived.desk.run("halt", "skill-4002", "--reason", "calls at night", TENANT)
    lived.platform.clock.s += 60
    assert "4002" not in lived.platform.silent()


def test_a_stop_of_everything_stops_what_a_manifest_names_and_no_list_shows(started):
    lived = started("personal-connection", "hidden-when-new")
    lived.scene.before_stop()
    lived.platform.hidden["4002"] = 99
    ran = lived.desk.run("halt", "--all", "--reason", "calls at night", TENANT)
    lived.platform.clock.s += 60
    assert "4002" not in lived.platform.silent(), said(ran)


def test_campaigns_that_no_list_shows_are_stopped_by_name(started):
    lived = started("campaigns", "hidden-when-new")
    lived.platform.hidden["1002"] = 99
    lived.desk.run("halt", "campaign-1002", "--reason", "calls at night", TENANT)
    lived.platform.clock.s += 60
    assert "1002" not in lived.platform.silent()
