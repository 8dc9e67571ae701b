"""Absence from a list is no fact: a stop, and a plan, on a platform whose lists come in short pages, are incomplete, or lag."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from reconciler import sandbox
from reconciler.commands import halt as halt_command
from reconciler.commands import import_
from reconciler.commands import plan as plan_command
from reconciler.execute import WriteOptions
from reconciler.plan import Action
from tests.commands.test_import import Desk
from tests.support import fasttime
from tests.support.changed_answers import changed
from tests.support.gitfakes import git, repository

API = "personal-connection"
DIALING = ["4001", "4003", "4005"]


@pytest.fixture
def desk(tmp_path):
    """Five skills, three of which dial; 4001 alone has a manifest."""
    repository(tmp_path)
    (tmp_path / ".gitignore").write_text(".reconcile/\n")
    made = Desk(tmp_path, API)

    ids = (f"run-{number}" for number in itertools.count(1))
    made.world = made.world._replace(
        sleep=fasttime.sleep, monotonic=fasttime.monotonic, new_id=lambda: next(ids)
    )
    sandbox.seed_skill_samples(made.platform)
    made.platform.configure(requests_per_second=0)
    for row in made.platform.skills():
        made.platform.put_skill(row["id"], row["name"], running=str(row["id"]) in DIALING)
    made.run("4001")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "renewals")
    yield made
    made.platform.close()


def halt(desk, *names, wait_s=60):
    asked = halt_command.HaltRequest(
        desk.folder,
        names,
        everything=not names,
        reason="calls at night",
        writing=WriteOptions(wait_s=wait_s),
    )
    return asyncio.run(halt_command.halt(desk.world, asked, asyncio.Event()))


def running(desk):
    desk.platform.now_ms()
    return [str(row["id"]) for row in desk.platform.skills() if row["running"]]


def plan(desk):
    return asyncio.run(plan_command.read(desk.world, plan_command.PlanRequest(desk.folder)))


def listing(*hidden, size=100, lost=None, status=404, **said):
    """Leave skills out of the list, give it in pages of `size`, and say more of it; answer `status` where `lost` is asked for."""
    every = []

    def change(path, query, body):
        if path.endswith("/skills"):
            skip = int(query["skip"])
            every[:] = every if skip else body["skills"]
            rows = [row for row in every if str(row["skillId"]) not in hidden]
            return {"skills": rows[skip : skip + size], **said}
        return status if lost is not None and path.endswith(lost) else body

    return change


def test_skills_behind_short_pages_without_a_total_are_stopped(desk, monkeypatch):
    changed(monkeypatch, API, listing(size=2))
    report = halt(desk)
    assert running(desk) == []
    assert report.exit_code == 0, report.notes
    assert "7 of 7 objects silent" in report.verdict, "also those that the list shows as silent"


def test_an_incomplete_list_is_never_a_complete_stop(desk, monkeypatch):
    """The list shows four of the five that it counts: what is shown is stopped, and nobody is told that this is everything."""
    changed(monkeypatch, API, listing("4005", totalRecords="9"))
    report = halt(desk)
    assert running(desk) == ["4005"]
    assert report.exit_code == 3
    assert any("list is incomplete" in note for note in report.notes)


def test_a_linked_page_that_is_not_there_makes_the_list_incomplete(desk, monkeypatch):
    changed(monkeypatch, API, listing("4005", _links={"next": "/skills?skip=100"}))
    report = halt(desk)
    assert report.exit_code == 3
    assert running(desk) == ["4005"]


@pytest.mark.parametrize("said", [{}, {"totalRecords": 9}], ids=["lagging", "incomplete"])
@pytest.mark.parametrize("names", [("renewals",), ("4001",), ()], ids=["manifest", "id", "all"])
def test_what_a_stop_names_and_no_list_shows_is_read_by_itself(desk, monkeypatch, names, said):
    changed(monkeypatch, API, listing("4001", **said))
    report = halt(desk, *names)
    assert "4001" not in running(desk)
    assert {row["key"]: row["silent"] for row in report.data["objects"]}["4001"]
    assert report.exit_code == (3 if said and not names else 0), "a named stop reads no list"


def test_an_id_that_no_list_shows_and_no_manifest_names_is_stopped(desk, monkeypatch):
    changed(monkeypatch, API, listing("4005"))
    report = halt(desk, "4005")
    assert running(desk) == ["4001", "4003"]
    assert report.exit_code == 0, report.notes


def test_what_cannot_be_read_is_stopped_unseen_and_told_as_unverified(desk, monkeypatch):
    changed(monkeypatch, API, listing("4001", lost="/skills/4001", status=418))
    clock = itertools.count()
    desk.world = desk.world._replace(monotonic=lambda: float(next(clock)))
    report = halt(desk, "renewals", wait_s=20)
    assert [entry[:2] for entry in desk.platform.journal()] == [("STOP", 4001)]
    assert report.tables[0].rows[0].cells[0] == "unverified"
    assert "1 unverified" in report.verdict
    assert report.exit_code == 75


def test_a_name_that_means_nothing_is_told_and_nothing_is_sent(desk):
    before = desk.platform.journal()
    report = halt(desk, "renewals", "nobody", "99999")
    assert any("unknown: nobody, 99999" in note for note in report.notes)
    assert [row["key"] for row in report.data["objects"]] == ["4001"]
    assert len(desk.platform.journal()) == len(before) + 1


def test_a_plan_reads_what_a_manifest_names_and_no_list_shows(desk, monkeypatch):
    changed(monkeypatch, API, listing("4001"))
    found = plan(desk)
    assert found.operations == ()
    assert found.unchanged == ("4001",)
    assert not any(finding.rule == "identity" for finding in found.findings)


def test_only_a_404_of_its_own_makes_an_object_absent(desk, monkeypatch):
    desk.platform.reset()
    sandbox.seed_skill_samples(desk.platform)
    changed(monkeypatch, API, listing("4001", lost="/skills/4001"))
    found = plan(desk)
    assert [finding.rule for finding in found.findings if finding.stops] == ["identity"]
    assert {each.action for each in found.operations} <= {Action.CREATE}


def test_an_incomplete_list_is_no_plan_and_no_import(desk, monkeypatch):
    changed(monkeypatch, API, listing("4005", totalRecords=7))
    with pytest.raises(Exception, match="6 rows of 7"):
        plan(desk)
    with pytest.raises(Exception, match="6 rows of 7"):
        asyncio.run(import_.run(desk.world, import_.ImportRequest(desk.folder)))


def test_texts_for_truth_values_hide_nothing_that_dials(desk, monkeypatch):
    def texts(value):
        if isinstance(value, dict):
            return {name: texts(each) for name, each in value.items()}
        if isinstance(value, list):
            return [texts(each) for each in value]
        return str(value) if isinstance(value, bool | int | float) else value

    changed(monkeypatch, API, lambda path, _, body: texts(body) if "/services/" in path else body)
    assert plan(desk).unchanged == ("4001",)
    report = halt(desk)
    assert running(desk) == []
    assert report.exit_code == 0, report.notes


def test_a_truth_value_that_is_none_blocks_its_skill_in_a_plan_and_is_stopped_by_a_stop(
    desk, monkeypatch
):
    def unclear(path, _, body):
        if path.endswith("/skills"):
            return {**body, "skills": [{**row, "isRunning": "maybe"} for row in body["skills"]]}
        return body

    changed(monkeypatch, API, unclear)
    (blocked,) = plan(desk).operations
    assert blocked.blocked == ("identity",)
    (finding,) = [each for each in plan(desk).findings if each.rule == "identity"]
    assert "`isRunning` is neither true nor false: 'maybe'" in finding.message
    report = halt(desk)
    assert running(desk) == [], "each one is stopped, and silent by a read of its own"
    assert report.exit_code == 0, report.notes
