"""`import`: what the platform holds, as manifests; the plan after it is empty, or it says which field and why."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import manifests, sandbox
from reconciler.commands import import_
from reconciler.errors import UsageError
from reconciler.manifests.writer import new_manifest, new_name
from reconciler.models import MANIFESTS
from reconciler.world import RemoteBudget, World
from tests.dialects.test_personal_connection import bodies
from tests.support.bodies import make_body, make_window
from tests.support.factories import NOW

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec: {{api: {api}, url: "sandbox:", requests_per_second: 1000}}
"""


class Desk:
    """A tenant's folder beside its embedded platform."""

    def __init__(self, folder: Path, api: str) -> None:
        self.folder = folder / "acme"
        self.folder.mkdir()
        (folder / ".reconcile").mkdir()
        words = f"{api}, version: 33" if api == "personal-connection" else api
        (self.folder / "tenant.yaml").write_text(TENANT.format(api=words))
        self.platform = sandbox.platform(api).bare(folder / ".reconcile" / "acme.db")
        self.world = World(
            environ={},
            directory=folder,
            now=lambda: NOW,
            monotonic=lambda: 0.0,
            sleep=asyncio.sleep,
            random=random.Random(1),
            new_id=lambda: "run-1",
            progress=lambda _: None,
            remote_budget=RemoteBudget(),
        )

    def served(self, url: str, **login: str):
        """Return the same desk whose platform is behind a URL."""
        names = {"CXONE_CLIENT_ID": "sandbox", "CXONE_CLIENT_SECRET": "sandbox-secret", **login}
        return self.world._replace(environ={"CXONE_TENANT_URL": url, **names})

    def run(self, *keys: str):
        return asyncio.run(import_.run(self.world, import_.ImportRequest(self.folder, keys)))

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def skills(tmp_path):
    desk = Desk(tmp_path, "personal-connection")
    sandbox.seed_skill_samples(desk.platform)
    yield desk
    desk.platform.close()


@pytest.fixture
def campaigns(tmp_path):
    desk = Desk(tmp_path, "campaigns")
    sandbox.seed_samples(desk.platform)
    yield desk
    desk.platform.close()


def test_everything_that_holds_a_schedule_gets_a_manifest_and_the_plan_is_empty(
    skills, campaigns_too
):
    for desk, count in ((skills, 5), (campaigns_too, 5)):
        report = desk.run()
        assert report.exit_code == 0, report.verdict
        assert "o changes. 5 schedules match" in report.verdict
        assert len(desk.files()) == count + 1
        assert desk.run().data["taken"] == []


@pytest.fixture
def campaigns_too(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("campaigns"), "campaigns")
    sandbox.seed_samples(desk.platform)
    yield desk
    desk.platform.close()


@pytest.mark.parametrize("skills", [250, pytest.param(1000, marks=pytest.mark.long)])
def test_many_skills_end_in_an_empty_plan(tmp_path, skills):
    desk = Desk(tmp_path, "personal-connection")
    sandbox.seed_many_skills(desk.platform, skills)
    report = desk.run()
    assert (len(report.data["taken"]), report.data["left"], report.data["changes"]) == (
        skills,
        [],
        [],
    )
    assert report.exit_code == 0
    desk.platform.close()


def test_an_error_that_a_plan_would_find_is_shown(skills):
    report = skills.run("4005")
    assert report.exit_code == 0
    assert report.verdict.startswith("1 skill imported; 1 error to correct. No changes.")
    (row,) = next(table for table in report.tables if table.title == "Findings").rows
    assert (row.name, row.rule) == ("partner-overflow", "dnc-list")


def test_only_what_was_asked_for_is_taken(skills):
    skills.run("4002")
    assert skills.files() == ["fiber-upgrade.yaml", "tenant.yaml"]
    with pytest.raises(UsageError, match="no schedule for 9: nothing to import"):
        skills.run("9")
    for name in ("Fiber Upgrade", "fiber-upgrade"):
        with pytest.raises(UsageError, match=f"import takes ids, and {name} is 4002$"):
            skills.run(name)


def test_a_scalar_is_edited_in_place_and_everything_around_it_stays(skills):
    skills.run("4001")
    path = skills.folder / "renewals.yaml"
    before = path.read_text().replace("maximum_ratio: 1.2", "maximum_ratio: 1.2 # as agreed")
    path.write_text(before)
    skills.platform.put_skill(
        4001,
        "Renewals",
        general={"maximumRatio": 1.1, "aggressiveness": "3"},
        zones={"Eastern Standard Time": ("09:00", "18:00")},
    )
    report = skills.run("4001")
    assert report.exit_code == 0
    expected = before.replace("ratio: 1.2", "ratio: 1.1").replace('ness: "5"', 'ness: "3"')
    assert path.read_text() == expected


def test_a_list_is_for_a_person_and_named_with_its_place(skills):
    skills.run("4001")
    skills.platform.put_skill(4001, "Renewals", general={"maximumRatio": 1.2})
    report = skills.run("4001")
    assert report.exit_code == 2
    (left,) = report.data["left"]
    assert left["reason"].startswith("calling_windows must be edited by hand at ")
    assert "renewals.yaml:" in left["reason"]
    assert report.data["changes"] == ["4001"]


def test_an_object_that_is_taken_over_in_part_stands_in_one_table(skills):
    skills.run("4001")
    general = {"maximumRatio": 1.1, "aggressiveness": "5"}
    skills.platform.put_skill(4001, "Renewals", general=general)
    report = skills.run("4001", "4002")
    assert report.verdict.startswith("1 skill imported, 1 only in part; ")
    tables = {table.title: table for table in report.tables}
    assert [row.cells[0] for row in tables["Taken over"].rows] == ["4002"]
    left, taken = tables["Taken over in part"].rows
    assert left.cells[3].startswith("calling_windows must be edited by hand at ")
    assert taken.cells[2].endswith("renewals.yaml: maximum_ratio")
    assert "Not taken over" not in tables


@pytest.mark.parametrize("rate", [0, 101, "fast"])
def test_a_value_that_no_manifest_can_say_is_named_and_leaves_the_file_valid(campaigns, rate):
    """A limit of 0 was written, and then every command refused the folder."""
    campaigns.run("1003")
    body = json.loads(campaigns.platform.campaign("1003")["schedule"])
    body |= {"dial_rate": rate, "max_concurrent_calls": 7}
    campaigns.platform.put_campaign("1003", "Warranty Reminders", schedule=body)
    report = campaigns.run("1003")
    assert report.exit_code == 2
    (left,) = report.data["left"]
    assert left["reason"].startswith("spec.dial_rate: ") or left["reason"].startswith("dial_rate: ")
    (taken,) = report.data["taken"]
    assert taken["where"].endswith("max_concurrent_calls")
    assert campaigns.run("1003").exit_code == 2


def test_what_no_manifest_can_say_is_named_and_not_written(skills):
    skills.platform.put_skill(4001, "Renewals", schedule={"sundayIsActive": False})
    report = skills.run("4001", "4002")
    assert report.exit_code == 2
    assert [each["key"] for each in report.data["taken"]] == ["4002"]
    (left,) = report.data["left"]
    assert "no window for sunday" in left["reason"]


def test_two_objects_of_one_name_get_two_files(campaigns):
    body = make_body(campaign_id="3001")
    campaigns.platform.put_campaign("3001", "Twin", schedule=body)
    campaigns.platform.put_campaign("3002", "Twin", schedule=body | {"campaign_id": "3002"})
    campaigns.run("3001", "3002")
    assert campaigns.files() == ["tenant.yaml", "twin-3002.yaml", "twin.yaml"]


def test_a_name_that_no_manifest_may_hold_leaves_the_folder_as_it_was(campaigns):
    campaigns.platform.put_campaign("3001", "Spring\N{NO-BREAK SPACE}Run", schedule=make_body())
    report = campaigns.run("3001")
    (row,) = report.tables[0].rows
    assert row.cells[0] == "3001"
    assert "holds the hidden character U+00A0: rename it on the platform" in row.cells[2]
    assert campaigns.files() == ["tenant.yaml"]


def test_a_tombstone_is_not_brought_back(campaigns):
    campaigns.run("1005")
    path = campaigns.folder / "winter-clearance.yaml"
    path.write_text(path.read_text().replace("metadata:\n", "metadata:\n  retired: true\n"))
    report = campaigns.run("1005")
    assert report.exit_code == 2
    assert "tombstone" in report.data["left"][0]["reason"]


def test_an_existing_file_is_never_overwritten(campaigns):
    """Another object's manifest stands in the file that would be written."""
    taken = campaigns.folder / "loyalty-survey.yaml"
    campaigns.run("1003")
    (campaigns.folder / "warranty-reminders.yaml").rename(taken)
    before = taken.read_text()
    campaigns.run("1004")
    assert taken.read_text() == before
    assert campaigns.files() == ["loyalty-survey-1004.yaml", "loyalty-survey.yaml", "tenant.yaml"]


def test_a_campaign_may_be_named_like_the_tenants_file(campaigns):
    campaigns.platform.put_campaign("3001", "Tenant", schedule=make_body(campaign_id="3001"))
    before = (campaigns.folder / "tenant.yaml").read_text()
    assert campaigns.run("3001").exit_code == 0
    assert campaigns.files() == ["tenant-3001.yaml", "tenant.yaml"]
    assert (campaigns.folder / "tenant.yaml").read_text() == before


# --- the law ------------------------------------------------------------------------------------------------------------

instants = st.datetimes(
    min_value=NOW.replace(year=2020, tzinfo=None), max_value=NOW.replace(year=2040, tzinfo=None)
).map(lambda moment: moment.replace(microsecond=0).isoformat() + "Z")
schedules = st.builds(
    lambda zone, pair, rate, calls, hours: make_body(
        timezone=zone,
        start_time=min(pair),
        end_time=max(pair),
        dial_rate=rate,
        max_concurrent_calls=calls,
        compliance_windows=[make_window(start=min(hours), end=max(hours))],
    ),
    st.sampled_from(["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    st.lists(instants, min_size=2, max_size=2, unique=True),
    st.floats(min_value=0.01, max_value=100),
    st.integers(1, 5000),
    st.lists(st.integers(0, 23), min_size=2, max_size=2, unique=True),
)


def compiled(kind: str, body, folder: Path, name: str = "it"):
    text = new_manifest(kind, MANIFESTS[kind], name, 'a "name": #1', MANIFESTS[kind].spec_of(body))
    home = folder / "acme"
    home.mkdir(exist_ok=True)
    api = "campaigns" if kind == "CampaignSchedule" else "personal-connection, version: 33"
    (home / "tenant.yaml").write_text(TENANT.format(api=api))
    (home / "it.yaml").write_text(text)
    (desired,) = manifests.load(home).desired
    assert (desired.name, desired.platform_name) == (name, 'a "name": #1')
    return desired.body


@settings(max_examples=40, deadline=None)
@given(bodies)
def test_what_is_written_of_a_skill_compiles_to_what_it_was_made_of(tmp_path_factory, body):
    assert compiled("SkillSchedule", body, tmp_path_factory.mktemp("skill")) == body


@settings(max_examples=40, deadline=None)
@given(schedules)
def test_what_is_written_of_a_campaign_compiles_to_what_it_was_made_of(tmp_path_factory, body):
    assert compiled("CampaignSchedule", body, tmp_path_factory.mktemp("campaign")) == body


@pytest.mark.parametrize("name", ["null", "true", "no", "2027", "017", "1e5", "0x1f", "2027-03-08"])
def test_a_name_that_yaml_takes_for_another_value_is_written_as_text(tmp_path, name):
    body = make_body()
    assert compiled("CampaignSchedule", body, tmp_path, new_name(name, "1", ())) == body


@given(st.text(max_size=100), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True))
def test_a_new_name_is_one_that_a_manifest_may_have(name, key):
    for taken in (set(), {new_name(name, key, set())}):
        made = new_name(name, key, taken)
        assert made == "" or (made[0].isalnum() and len(made) <= 63 and made == made.lower())
