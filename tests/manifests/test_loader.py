"""A tenant's folder: what it says, every problem with its place, and what is never read."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from reconciler.errors import ManifestError, Place, ReconcileError, UsageError
from reconciler.git import blob_id
from reconciler.manifests import Folder, explain_compiled, find_tenants, load, load_readable

TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: campaigns
  url: "sandbox:"
  profiles:
    us:
      spec:
        timezone: America/New_York
        dial_rate: 20
        compliance_windows:
          - {timezone: America/New_York, start_hour: 9, end_hour: 20}
      compliance: {jurisdictions: [US-NY], purpose: sales}
      pacing: {handle_time_s: 180}
"""
MANIFEST = """\
apiVersion: cxone.reconciler/v1
kind: CampaignSchedule
metadata:
  name: spring
  campaign_name: Spring
  profile: us
spec:
  campaign_id: "1001"
  start_time: "2027-01-11 09:00"
  end_time: "2027-01-15 18:00"
  dial_rate: 25
  max_concurrent_calls: 500
  dnc_verification: true
pacing: {agents: 60}
"""
SECOND = MANIFEST.replace("spring", "summer").replace("1001", "1002")
TOMBSTONE = """\
apiVersion: cxone.reconciler/v1
kind: CampaignSchedule
metadata: {name: winter, profile: long-gone, retired: true}
spec: {campaign_id: "1003", start_time: "no longer read"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    here = Path("schedules/acme")
    here.mkdir(parents=True)
    (here / "tenant.yaml").write_text(TENANT)
    (here / "spring.yaml").write_text(MANIFEST)
    return here


def problems(root: Path, error: type[ReconcileError] = ManifestError) -> list[str]:
    with pytest.raises(error) as raised:
        load(root)
    return str(raised.value).splitlines()


# What a folder says


def test_a_manifest_and_its_profile_compile_to_what_the_platform_holds(folder: Path) -> None:
    (spring,) = load(folder).desired
    assert spring.kind == "CampaignSchedule"
    assert (spring.key, spring.name, spring.platform_name) == ("1001", "spring", "Spring")
    assert spring.place == Place("schedules/acme/spring.yaml", 1, 1)
    assert spring.body == {
        "campaign_id": "1001",
        "timezone": "America/New_York",
        "start_time": "2027-01-11T14:00:00Z",
        "end_time": "2027-01-15T23:00:00Z",
        "dial_rate": 25.0,
        "max_concurrent_calls": 500,
        "compliance_windows": [{"timezone": "America/New_York", "start_hour": 9, "end_hour": 20}],
        "dnc_verification": True,
    }
    assert spring.compliance == {"jurisdictions": ["US-NY"], "purpose": "sales"}
    assert spring.pacing == {"handle_time_s": 180, "agents": 60}


def test_every_field_has_its_place_in_the_manifest_or_in_the_profile(folder: Path) -> None:
    (spring,) = load(folder, keep_places=True).desired
    assert {field: str(place) for field, _, place in explain_compiled(spring)} == {
        "campaign_id": "schedules/acme/spring.yaml:8:16",
        "timezone": "schedules/acme/tenant.yaml:9:19",
        "start_time": "schedules/acme/spring.yaml:9:15",
        "end_time": "schedules/acme/spring.yaml:10:13",
        "dial_rate": "schedules/acme/spring.yaml:11:14",
        "max_concurrent_calls": "schedules/acme/spring.yaml:12:25",
        "compliance_windows": "schedules/acme/tenant.yaml:12:11",
        "dnc_verification": "schedules/acme/spring.yaml:13:21",
    }


def test_without_places_every_field_stands_where_the_manifest_starts(folder: Path) -> None:
    (spring,) = load(folder).desired
    assert {place for _, _, place in explain_compiled(spring)} == {spring.place}


def test_keeping_places_changes_nothing_else(folder: Path) -> None:
    (kept,), (plain,) = load(folder, keep_places=True).desired, load(folder).desired
    assert kept.places
    assert (kept.body, kept.compliance, kept.place) == (plain.body, plain.compliance, plain.place)


def test_a_tombstone_needs_its_campaign_alone_and_takes_no_profile(folder: Path) -> None:
    (folder / "winter.yaml").write_text(TOMBSTONE)
    winter = load(folder).desired[1]
    assert (winter.key, winter.retired, winter.body) == ("1003", True, None)
    assert explain_compiled(winter) == []


@pytest.mark.parametrize("word", ["yes", "Yes", "on", "y", '"true"'])
def test_a_tombstone_by_another_word_for_true_is_one_error_and_retires_nothing(
    folder: Path, word: str
) -> None:
    (folder / "winter.yaml").write_text(TOMBSTONE.replace("true", word))
    (said,) = problems(folder)
    assert "metadata.retired must be true or false, without quotes" in said
    assert said.endswith((": write true", ": write it without quotes"))


def test_a_manifest_that_is_not_retired_by_another_word_is_read_in_full(folder: Path) -> None:
    text = MANIFEST.replace("  name: spring\n", "  name: spring\n  retired: no\n")
    (folder / "spring.yaml").write_text(text.replace("  dial_rate: 25\n", "  dial_rte: 25\n"))
    assert [said.partition(": ")[2] for said in problems(folder)] == [
        'metadata.retired must be true or false, without quotes, not "no": write false',
        'unknown key "dial_rte" in spec: did you mean dial_rate?',
    ]


def test_one_file_or_many_nested_or_not_in_any_order_say_the_same(folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "summer.yml").write_text(SECOND)
    (folder / "winter.YAML").write_text(TOMBSTONE)
    apart = load(folder)
    (folder / "b" / "summer.yml").unlink()
    (folder / "winter.YAML").unlink()
    (folder / "spring.yaml").write_text(f"{TOMBSTONE}---\n{SECOND}---\n{MANIFEST}")
    together = load(folder)
    assert [one.body for one in apart.desired] == [one.body for one in together.desired]
    assert [one.key for one in together.desired] == ["1001", "1002", "1003"]


def test_sources_are_the_ids_that_git_gives_to_all_files_read(folder: Path) -> None:
    (folder / "README.md").write_text("not read")
    (folder / ".#spring.yaml").symlink_to("somebody's editor")
    read = load(folder)
    assert read.files == 2
    assert read.sources == {
        str(file): tuple(blob_id(memoryview(file.read_bytes()), length) for length in (40, 64))
        for file in (folder / "tenant.yaml", folder / "spring.yaml")
    }


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("name", ["spring", "Not A Name"])
def test_the_collector_is_left_as_it_was_found(folder: Path, *, on: bool, name: str) -> None:
    (folder / "spring.yaml").write_text(MANIFEST.replace("spring", name))
    was_on = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        if name == "spring":
            load(folder)
        else:
            problems(folder)
        assert gc.isenabled() is on
    finally:
        (gc.enable if was_on else gc.disable)()


# What is wrong with it


def test_every_problem_of_every_file_is_told_in_one_run(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(
        TENANT.replace("dial_rate: 20", "dial_rate: 0").replace("api: campaigns", "api: soap")
    )
    (folder / "spring.yaml").write_text(
        MANIFEST.replace("500", "5001").replace("  dial_rate: 25\n", "")
    )
    (folder / "summer.yaml").write_text(SECOND.replace("  dial_rate: 25\n", "  dial_rte: 25\n"))
    (folder / "winter.yaml").write_text("a: &x 1\n")
    assert problems(folder) == [
        "schedules/acme/spring.yaml:11:25: max_concurrent_calls must be a whole number from 1 to 5000 (calls), not 5001",
        'schedules/acme/summer.yaml:11:3: unknown key "dial_rte" in spec: did you mean dial_rate?',
        'schedules/acme/tenant.yaml:4:8: api must be campaigns or personal-connection, not "soap"',
        "schedules/acme/tenant.yaml:10:20: dial_rate must be above 0 and at most 100 (calls per second), not 0",
        "schedules/acme/winter.yaml:1:4: sets an anchor (&x): write values out, or use a profile",
    ]


def test_a_tenant_file_that_is_no_yaml_hides_no_other_problem(folder: Path) -> None:
    (folder / "tenant.yaml").write_text("spec: [\n")
    (folder / "summer.yaml").write_text("a: *b\n")
    said = problems(folder)
    assert [line.split(" ")[0] for line in said] == [
        "schedules/acme/summer.yaml:1:4:",
        "schedules/acme/tenant.yaml:2:1:",
    ]


def test_an_unknown_profile_is_named_with_those_there_are(folder: Path) -> None:
    (folder / "spring.yaml").write_text(MANIFEST.replace("profile: us", "profile: eu"))
    assert problems(folder) == [
        "schedules/acme/spring.yaml:6:12: metadata.profile names no profile of schedules/acme/tenant.yaml: 'eu'; there is us"
    ]


def test_a_profile_may_not_say_which_campaign(folder: Path) -> None:
    (folder / "tenant.yaml").write_text(TENANT.replace("dial_rate: 20", "campaign_id: x"))
    assert problems(folder) == [
        "schedules/acme/tenant.yaml:9:9: profiles.us.spec may not hold campaign_id: it belongs to one manifest alone"
    ]


@pytest.mark.parametrize(
    ("own", "shared", "place", "said"),
    [
        (
            "agents: 60, target_abandonment: 0.05",
            "handle_time_s: 180",
            "spring.yaml:14:9",
            "must be at least target_abandonment 0.05, not 0.03",
        ),
        (
            "agents: 60, abandonment_cap: 0.01",
            "handle_time_s: 180",
            "spring.yaml:14:39",
            "must be at least target_abandonment 0.02, not 0.01",
        ),
        (
            "agents: 60, target_abandonment: 0.025",
            "abandonment_cap: 0.02",
            "tenant.yaml:14:33",
            "must be at least target_abandonment 0.025, not 0.02",
        ),
        (
            "agents: 60, abandonment_cap: 3",
            "handle_time_s: 180",
            "spring.yaml:14:39",
            "must be a share above 0 and at most 0.5, such as 0.03 for 3 %, not 3",
        ),
    ],
)
def test_a_cap_below_its_target_is_told_where_it_stands(
    folder: Path, own: str, shared: str, place: str, said: str
) -> None:
    (folder / "spring.yaml").write_text(MANIFEST.replace("agents: 60", own))
    (folder / "tenant.yaml").write_text(TENANT.replace("handle_time_s: 180", shared))
    assert problems(folder) == [f"schedules/acme/{place}: pacing.abandonment_cap {said}"]


def test_a_missing_key_is_told_at_its_mapping(folder: Path) -> None:
    (folder / "spring.yaml").write_text(MANIFEST.replace("  end_time", "# end_time"))
    assert problems(folder) == [
        'schedules/acme/spring.yaml:7:1: end_time is missing: it must be a wall time such as "2027-01-11 09:00", or ISO 8601 with an offset, in quotes'
    ]


def test_one_campaign_or_one_name_for_two_manifests_names_both_places(folder: Path) -> None:
    (folder / "a.yaml").write_text(MANIFEST.replace("name: spring", "name: autumn"))
    (folder / "b.yaml").write_text(SECOND.replace("summer", "spring"))
    assert problems(folder) == [
        "schedules/acme/spring.yaml:1:1: CampaignSchedule '1001' is claimed by two manifests, 'autumn' at schedules/acme/a.yaml:1:1 and 'spring' at schedules/acme/spring.yaml:1:1: keep one of them",
        "schedules/acme/spring.yaml:1:1: two manifests have the metadata.name 'spring', at schedules/acme/b.yaml:1:1 and schedules/acme/spring.yaml:1:1: rename one of them",
    ]


@pytest.mark.parametrize("copy", ["copy.yaml", "z-copy.yaml"])
def test_a_copy_is_one_problem_that_blames_neither_file(folder: Path, copy: str) -> None:
    """Files are read in the order of their names, which does not tell which of them is the original."""
    (folder / copy).write_text(MANIFEST)
    (said,) = problems(folder)
    first, second = sorted([copy, "spring.yaml"])
    assert said.endswith(
        f"'1001' is claimed by two manifests, 'spring' at schedules/acme/{first}:1:1 and 'spring' at schedules/acme/{second}:1:1: keep one of them"
    )


def test_a_tombstone_still_claims_its_campaign(folder: Path) -> None:
    (folder / "winter.yaml").write_text(TOMBSTONE.replace("1003", "1001"))
    (said,) = problems(folder)
    assert "'1001' is claimed by two manifests, 'spring' at" in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("kind: Campaign\n", "2:7: kind must be CampaignSchedule or SkillSchedule, not 'Campaign'"),
        (
            "kind: [CampaignSchedule]\n",
            "2:7: kind must be CampaignSchedule or SkillSchedule, not ['CampaignSchedule']",
        ),
        ("", "1:1: kind is missing: it must be CampaignSchedule or SkillSchedule"),
        (
            "kind: Tenant\n",
            "2:7: kind Tenant stands in tenant.yaml at the top of the tenant's folder, and only there",
        ),
    ],
)
def test_an_unknown_kind_is_refused(folder: Path, kind: str, said: str) -> None:
    (folder / "spring.yaml").write_text(MANIFEST.replace("kind: CampaignSchedule\n", kind))
    assert problems(folder) == [f"schedules/acme/spring.yaml:{said}"]


@pytest.mark.parametrize("text", ["", f"{TENANT}---\n{TENANT}"])
def test_a_tenant_file_holds_one_document(folder: Path, text: str) -> None:
    (folder / "tenant.yaml").write_text(text)
    count = 2 if text else 0
    assert problems(folder) == [
        f"schedules/acme/tenant.yaml: must hold one document, of kind Tenant, and holds {count}"
    ]


# What is never read


def test_links_and_special_files_are_refused(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("token: hunter2\n")
    (folder / "a.yaml").symlink_to(secret)
    (folder / "b.yaml").symlink_to("spring.yaml")
    (folder / "c").symlink_to(tmp_path)
    os.mkfifo(folder / "d.yaml")
    link = "is a link, and links are not followed: put the file itself here"
    assert problems(folder) == [
        f"schedules/acme/a.yaml: {link}",
        f"schedules/acme/b.yaml: {link}",
        f"schedules/acme/c: {link}",
        "schedules/acme/d.yaml: is not a regular file: replace it with one",
    ]


@pytest.mark.parametrize("name", ["tenant.yaml", "spring.yaml"])
def test_a_named_file_that_is_a_link_is_refused(folder: Path, name: str) -> None:
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(f"../{name}")
    assert "is a link" in problems(folder / name)[0]


def test_a_tenants_folder_that_is_a_link_is_refused(folder: Path) -> None:
    (folder.parent / "evil").symlink_to("acme")
    link = "schedules/evil: is a link, and links are not followed: put the file itself here"
    assert problems(folder.parent) == [link]
    assert problems(folder.parent / "evil") == [link]


def test_more_files_than_the_limit_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.manifests.folders.MAX_FILES", 1)
    assert load(folder).files == 2
    (folder / "summer.yaml").write_text(SECOND)
    assert problems(folder) == [
        "schedules/acme: holds more than 1 files: join some, a file may hold many documents"
    ]


# Which tenants there are


def test_tenants_are_found_from_any_path_in_or_above_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "emea").mkdir()
    (folder / "emea" / "summer.yaml").write_text(SECOND)
    other = folder.parent / "beta"
    other.mkdir()
    (other / "tenant.yaml").write_text(TENANT)
    (folder.parent / "notes").mkdir()

    def found(path: Path) -> list[tuple[str, Path | None]]:
        return [(tenant.name, tenant.only) for tenant in find_tenants(path)]

    assert found(folder.parent) == [("acme", None), ("beta", None)]
    assert found(folder) == [("acme", None)]
    assert found(folder / "tenant.yaml") == [("acme", None)]
    assert found(folder / "spring.yaml") == [("acme", folder / "spring.yaml")]
    assert found(folder / "emea") == [("acme", folder / "emea")]
    monkeypatch.chdir(folder)
    assert found(Path()) == [("acme", None)]
    assert (
        str(load(Path()).desired[0].place) == "emea/summer.yaml:1:1"
        or load(Path()).desired[0].key == "1001"
    )


def test_a_part_of_a_folder_is_read_with_its_tenant_and_says_that_it_is_a_part(
    folder: Path,
) -> None:
    (folder / "summer.yaml").write_text(SECOND)
    part = load(folder / "summer.yaml")
    assert [one.name for one in part.desired] == ["summer"]
    assert part.partial
    assert not load(folder).partial


def test_several_tenants_need_a_choice(folder: Path) -> None:
    other = folder.parent / "beta"
    other.mkdir()
    (other / "tenant.yaml").write_text(TENANT)
    (other / "spring.yaml").write_text(MANIFEST)
    assert problems(folder.parent, UsageError) == [
        "schedules holds several tenants: choose one with --tenant (acme, beta)"
    ]
    chosen: Folder = load(folder.parent, "beta")
    assert chosen.name == "beta"
    with pytest.raises(
        UsageError, match="there is no tenant 'gamma' in schedules; there is acme, beta"
    ):
        load(folder.parent, "gamma")


def test_nothing_at_a_path_is_a_wrong_call(folder: Path) -> None:
    assert problems(folder / "no", UsageError) == ["there is no file or folder schedules/acme/no"]


def test_no_manifests_is_an_error_and_not_no_changes(folder: Path) -> None:
    (folder / "spring.yaml").unlink()
    said = "no manifests: add one, or take over what the platform holds with `reconcile import schedules/acme`"
    assert problems(folder) == [f"schedules/acme: {said}"]
    (folder / "part").mkdir()
    assert problems(folder / "part") == [f"schedules/acme/part: {said}"]
    Path("empty").mkdir()
    assert problems(Path("empty")) == [
        "empty: no manifests: name a tenant's folder (it holds tenant.yaml), or a folder of such folders"
    ]


@pytest.mark.parametrize("absolute", [False, True])
def test_the_tenants_of_a_repository_are_found_whatever_yaml_lies_beside_them(
    folder: Path, tmp_path: Path, *, absolute: bool
) -> None:
    root = tmp_path if absolute else Path()
    for other in ("mkdocs.yml", "docs/a.yaml"):
        Path(other).parent.mkdir(exist_ok=True)
        Path(other).write_text("a: b")
    assert [one.name for one in find_tenants(root)] == ["acme"]
    assert [one.name for one in load(root).desired] == ["spring"]


def test_a_tenant_that_is_called_schedules_is_one_of_its_folder(folder: Path) -> None:
    for name in ("schedules", "other"):
        (folder.parent / name).mkdir()
        (folder.parent / name / "tenant.yaml").write_text((folder / "tenant.yaml").read_text())
    assert [one.name for one in find_tenants(folder.parent)] == ["acme", "other", "schedules"]


def test_a_folder_of_tenants_that_stands_too_deep_is_to_be_named_itself(folder: Path) -> None:
    folder.parent.rename("plans")
    assert problems(Path()) == ["plans: holds the folders of tenants: name this folder itself"]


@pytest.mark.parametrize("text", ["", "\n", "---\n", "# " + MANIFEST.replace("\n", "\n# ")])
def test_an_emptied_manifest_is_an_error_with_its_name_for_it_retires_nothing(
    folder: Path, text: str
) -> None:
    (folder / "summer.yaml").write_text(SECOND)
    (folder / "spring.yaml").write_text(text)
    (said,) = problems(folder)
    assert said.startswith("schedules/acme/spring.yaml: holds no manifest, which retires nothing")
    assert "metadata.retired: true" in said


def test_an_emptied_manifest_keeps_no_stop_from_the_others(folder: Path) -> None:
    (folder / "summer.yaml").write_text(SECOND)
    (folder / "spring.yaml").write_text("")
    assert [one.name for one in load_readable(folder).desired] == ["summer"]


def test_manifests_outside_a_tenant_are_not_silently_left_out(folder: Path) -> None:
    (folder.parent / "loose.yaml").write_text(MANIFEST)
    (folder.parent / "orphans").mkdir()
    (folder.parent / "orphans" / "a.yaml").write_text(MANIFEST)
    assert problems(folder.parent) == [
        "schedules/loose.yaml: stands in no tenant's folder: move it into one",
        "schedules/orphans: holds manifests but no tenant.yaml: add one",
    ]
    assert problems(folder.parent / "loose.yaml") == [
        "schedules/loose.yaml: there is no tenant.yaml in its folder or above"
    ]


def test_a_tenants_folder_without_tenant_yaml_is_one_problem(folder: Path) -> None:
    (folder / "spring.yaml").write_text(MANIFEST)
    (folder / "summer.yaml").write_text(SECOND)
    (folder / "tenant.yaml").unlink()
    assert problems(folder) == ["schedules/acme: holds manifests but no tenant.yaml: add one"]


def test_a_tenants_folder_has_a_plain_name(folder: Path) -> None:
    folder.rename(folder.parent / "Acme_1")
    assert problems(folder.parent) == [
        "schedules/Acme_1: a tenant's folder is named by 1 to 40 lower-case letters, digits and hyphens: rename it"
    ]
