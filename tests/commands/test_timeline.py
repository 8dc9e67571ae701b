"""`timeline` shows what the files say: it asks no platform, reads another commit from git, and refuses what it cannot show."""

from __future__ import annotations

import json
import socket
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler import api, manifests
from reconciler.cli import run
from reconciler.errors import ManifestError, UsageError
from reconciler.manifests import load_committed
from reconciler.models import Tenant
from reconciler.report import Tone
from tests.support.bodies import make_window, manifest_text
from tests.support.desk import commit, git
from tests.support.samples import HERE, SAMPLES, copy_files

FOLDER = "schedules/sandbox"


class Desk:
    """A repository with the samples."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.tenant = root / FOLDER
        self._capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run `timeline`, expect the code, and return what was said."""
        assert run(["timeline", FOLDER, *arguments]) == code
        out, err = self._capsys.readouterr()
        return err if code else out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json"))

    def write(self, name: str, **fields: Any) -> None:
        (self.tenant / f"{name}.yaml").write_text(manifest_text(name, **fields), "utf-8")


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    git(tmp_path, "init", "-q")
    copy_files(SAMPLES, tmp_path / FOLDER)
    commit(tmp_path, "samples")
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capsys)


def test_it_needs_no_platform_no_network_and_no_git(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    (tmp_path / ".git").rename(tmp_path / "git")
    settings = desk.tenant / "tenant.yaml"
    text = settings.read_text("utf-8").replace('"sandbox:"', "https://acme.example")
    settings.write_text(text.replace('  clock: "2027-03-01T12:00:00Z"\n', ""), "utf-8")
    out = desk.run("--from", "2027-03-08")
    assert "The platform was not asked" in out
    assert not (tmp_path / ".reconcile").exists()


def test_the_default_week_is_the_first_from_the_clock_on_in_which_anything_dials(
    desk: Desk,
) -> None:
    assert desk.json()["from"] == "2027-03-01"
    assert desk.json("home-broadband-upgrade")["from"] == "2027-03-15"
    data = desk.json("winter-clearance")
    assert (data["from"], data["to"], data["objects"][0]["zones"]) == (
        "2027-03-01",
        "2027-03-08",
        [],
    )


def test_json_has_instants_in_utc_and_the_clock_changes(desk: Desk) -> None:
    data = desk.json("spring-renewals", "--from", "2027-03-13", "--to", "2027-03-15")
    chicago, new_york = data["objects"][0]["zones"]
    assert new_york == {
        "zone": "America/New_York",
        "clock": "America/New_York",
        "after": [
            ["2027-03-13T14:00:00Z", "2027-03-14T01:00:00Z"],
            ["2027-03-14T13:00:00Z", "2027-03-15T00:00:00Z"],
        ],
        "clock_changes": [{"at": "2027-03-14T07:00:00Z", "minutes": 60}],
    }
    assert chicago["after"][0] == ["2027-03-13T15:00:00Z", "2027-03-14T02:00:00Z"]
    first = data["load"]["steps"][0]
    assert first["after"] == {"calls_per_second": 2.0, "concurrent_calls": 240, "objects": 1}
    assert data["load"]["clock"] == "America/New_York"


def test_a_strip_fits_into_eighty_columns_and_marks_what_opens_and_closes(desk: Desk) -> None:
    desk.write("odd", campaign_id="9", start_time="2027-03-08 00:00", end_time="2027-03-19 00:00",
               compliance_windows=[make_window(start=n, end=n + 1) for n in range(0, 24, 2)])  # fmt: skip
    commit(desk.tenant, "odd")
    text = (desk.tenant / "spring-renewals.yaml").read_text("utf-8")
    (desk.tenant / "spring-renewals.yaml").write_text(
        text.replace("start_hour: 9, end_hour: 20} #", "start_hour: 10, end_hour: 22} #"), "utf-8"
    )
    out = desk.run("--from", "2027-03-08", "--compare", "HEAD")
    strips = [line for line in out.splitlines() if set(line) & set("█▁▂▃▄▅▆▇·")]
    assert len(strips) > 40
    assert max(map(len, strips)) <= 80
    assert f"    Mon 2027-03-08 {'·' * 18}--{'█' * 20}++++···· +2:00 -1:00" in out
    assert f"    Sun 2027-03-14*····  {'·' * 12}--{'█' * 20}++++···· +2:00 -1:00" in out
    assert " 12 h in 12" in desk.run("odd", "--from", "2027-03-08")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--zone", "Mars/Olympus"], "--zone is not an IANA time zone: 'Mars/Olympus'"),
        (["--zone", "Eastern Standard Time"], "America/New_York"),
        (["--from", "2027-03-08", "--to", "2027-03-08"], "--from 2027-03-08 is not before --to 2027-03-08"),
        (["--to", "2026-01-01"], "the first week with dialing; name another with --from"),
        (["--from", "2027-03-08", "--to", "2028-05-01"], "420 days: show at most 400"),
        (["--from", "0001-01-01"], "--from 0001-01-01 is not between"),
        (["--from", "2027-3-8x"], "'2027-3-8x' is not a date like 2027-03-08"),
        (["nobody"], "no manifest named nobody"),
        (["nobody", "--compare", "HEAD"], "no manifest named nobody"),
        (["--compare", "no-such-branch"], "--compare no-such-branch names no commit of this clone"),
        (["--compare", "--output=x"], "names no commit"),
        (["--compare", ""], "names no commit"),
        (["--compare", "HEAD:schedules"], "names no commit"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_64_and_says_why(
    desk: Desk, arguments: list[str], says: str
) -> None:
    assert says in desk.run(*arguments, code=64)


def test_a_comparison_shows_new_removed_and_changed_objects(desk: Desk, tmp_path: Path) -> None:
    (desk.tenant / "loyalty-survey.yaml").unlink()
    desk.write("fresh", campaign_id="9", start_time="2027-03-01 09:00", end_time="2027-03-19 20:00")
    rows = {}
    report = api.timeline(tmp_path / FOLDER, first=date(2027, 3, 8), compare="HEAD")
    for row in report.tables[0].rows:
        rows[row.name] = (row.cells[-1], row.tone)
    assert rows["fresh"] == ("new", Tone.ADD)
    assert rows["loyalty-survey"] == ("removed", Tone.REMOVE)
    assert rows["warranty-reminders"] == ("same hours", Tone.PLAIN)
    assert (
        desk.json("loyalty-survey", "--compare", "HEAD", "--from", "2027-03-08")["objects"][0][
            "zones"
        ][0]["after"]
        == []
    )


def test_nothing_of_another_commit_is_checked_out(desk: Desk, tmp_path: Path) -> None:
    commit_id = git(tmp_path, "rev-parse", "HEAD").strip()
    desk.write("fresh", campaign_id="9")
    commit(tmp_path, "second")
    git(tmp_path, "tag", "before", commit_id)
    (desk.tenant / "fresh.yaml").write_text(manifest_text("fresh", campaign_id="10"), "utf-8")
    assert desk.json("--compare", "before")["compared_with"] == commit_id
    assert git(tmp_path, "status", "--porcelain").split() == ["M", f"{FOLDER}/fresh.yaml"]


def test_a_folder_that_is_new_is_new_throughout(desk: Desk, tmp_path: Path) -> None:
    git(tmp_path, "rm", "-rqf", "--cached", "schedules")
    git(tmp_path, "commit", "-qm", "empty")
    out = desk.run("--compare", "HEAD", "--from", "2027-03-08")
    assert "so everything is new." in " ".join(out.split())
    assert " new" in out


def test_a_folder_that_was_renamed_since_is_compared_with_what_it_was(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / FOLDER).rename(tmp_path / "schedules" / "former")
    commit(tmp_path, "the former name")
    git(tmp_path, "mv", "schedules/former", FOLDER)
    out = " ".join(desk.run("--compare", "HEAD", "--from", "2027-03-08").split())
    assert "the one folder of the same platform there" in out
    assert "everything is new" not in out
    zones = [zone for each in desk.json("--compare", "HEAD")["objects"] for zone in each["zones"]]
    assert all(each["before"] == each["after"] for each in zones)


def test_a_broken_manifest_of_the_other_commit_is_named_with_the_commit(
    desk: Desk, tmp_path: Path
) -> None:
    file = desk.tenant / "loyalty-survey.yaml"
    good = file.read_text("utf-8")
    file.write_text(good.replace("dial_rate: 0.8", "dial_rate: fast"), "utf-8")
    commit(tmp_path, "broken")
    file.write_text(good, "utf-8")
    said = desk.run("--compare", "HEAD", code=65)
    assert f"HEAD:{FOLDER}/loyalty-survey.yaml:14:14" in said


def test_a_commit_is_read_as_the_disk_is(tmp_path: Path) -> None:
    copy_files(SAMPLES, tmp_path / "acme")
    disk = manifests.load(tmp_path / "acme")
    contents = {each.name: each.read_bytes() for each in (tmp_path / "acme").iterdir()}
    noise = {".hidden.yaml": b"{", "notes.md": b"#", ".git-ignored/x.yaml": b"{"}
    (where,) = manifests.find_tenants(tmp_path / "acme")
    read = load_committed(where, "REF", contents | noise)
    assert [(each.key, each.body) for each in read.desired] == [
        (each.key, each.body) for each in disk.desired
    ]
    assert read.tenant == disk.tenant
    with pytest.raises(ManifestError, match="REF:"):
        load_committed(where, "REF", contents | {"x.yaml": contents["spring-renewals.yaml"]})


def test_the_load_is_held_against_the_declared_capacity(desk: Desk) -> None:
    file = desk.tenant / "tenant.yaml"
    text = file.read_text("utf-8")
    for declared, above in (
        ("{calls_per_second: 3}", True),
        ("{concurrent_calls: 1234567}", False),
    ):
        file.write_text(text.replace("spec:\n", f"spec:\n  capacity: {declared}\n", 1), "utf-8")
        out = desk.run()
        assert ("ABOVE THE CAPACITY of 3 for" in out) is above
        assert ("Above the capacity." in out.splitlines()[-1]) is above
    assert "capacity 1,234,567" in out
    assert desk.json()["load"]["capacity"] == {
        "calls_per_second": None,
        "concurrent_calls": 1234567,
    }


@pytest.mark.parametrize(
    ("capacity", "says"),
    [
        ({"calls_per_second": 0}, "capacity.calls_per_second must be a number above 0"),
        ({"concurrent_calls": 1.5}, "capacity.concurrent_calls must be a whole number from 1 up"),
        ({"agents": 3}, 'unknown key "agents" in capacity'),
    ],
)
def test_a_capacity_that_is_none_is_refused(desk: Desk, capacity: Any, says: str) -> None:
    file = desk.tenant / "tenant.yaml"
    file.write_text(
        file.read_text("utf-8").replace(
            "spec:\n", f"spec:\n  capacity: {json.dumps(capacity)}\n", 1
        ),
        "utf-8",
    )
    assert says in desk.run(code=65)


def test_a_capacity_is_no_setting_that_weakens_anything() -> None:
    spec = {"api": "campaigns", "url": "sandbox:", "capacity": {"calls_per_second": 10}}
    tenant = Tenant.model_validate(
        {"apiVersion": "cxone.reconciler/v1", "kind": "Tenant", "spec": spec}
    )
    assert tenant.spec.capacity.calls_per_second == 10
    assert tenant.spec.capacity.concurrent_calls is None


def test_in_a_c_locale_the_signs_are_ascii(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    out = desk.run("spring-renewals", "--from", "2027-03-08")
    assert out.isascii()
    assert f"Mon 2027-03-08 {'.' * 18}{'#' * 22}{'.' * 8} 09:00-20:00" in out


def test_a_skill_has_hours_and_no_load(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy_files(HERE / "schedules" / "sandbox-pc", tmp_path / "pc")
    report = api.timeline(tmp_path / "pc", first=date(2027, 3, 1))
    assert report.charts == ()
    assert any("A skill has no limit of calls per second" in note for note in report.notes)
    assert all(row.figures for row in report.tables[0].rows)


def test_days_are_those_of_the_chosen_clock(desk: Desk) -> None:
    data = desk.json(
        "spring-renewals", "--from", "2027-03-09", "--to", "2027-03-10", "--zone", "Asia/Tokyo"
    )
    assert data["objects"][0]["zones"][1]["after"] == [
        ["2027-03-08T15:00:00Z", "2027-03-09T01:00:00Z"],
        ["2027-03-09T14:00:00Z", "2027-03-09T15:00:00Z"],
    ]
    assert {each["clock"] for each in data["objects"][0]["zones"]} == {"Asia/Tokyo"}


def test_python_users_get_the_report_and_the_same_errors(desk: Desk, tmp_path: Path) -> None:
    report = api.timeline(tmp_path / FOLDER, ["spring-renewals"], first=date(2027, 3, 8))
    start = datetime.fromisoformat(report.data["objects"][0]["zones"][0]["after"][0][0])
    assert start == datetime(2027, 3, 8, 15, tzinfo=UTC)
    with pytest.raises(UsageError, match="Mars"):
        api.timeline(tmp_path / FOLDER, zone="Mars/Olympus")
