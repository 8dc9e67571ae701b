"""What a manifest of a skill may say, and in which words it is refused."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import tz_win, win_tz

from reconciler.errors import ManifestError
from reconciler.kinds.skill import KIND
from reconciler.manifests import load
from reconciler.models.skill import SkillSchedule
from reconciler.models.zones import canonical_zone, iana_name, windows_name
from tests.support.bodies import make_skill_body

MANIFEST = """\
apiVersion: cxone.reconciler/v1
kind: SkillSchedule
metadata: {{name: renewals, skill_name: Renewals{metadata}}}
spec:
  skill_id: "4001"
  timezone: America/New_York
  run_window: {week}
  calling_windows: {windows}
  maximum_ratio: 1.5
  aggressiveness: "5"
  block_multiple_calls: true
  percentage_of_agents_before_overdial: 20
  abandon_rate_threshold: 3
  override_business_unit_abandon_rate: false
  maximum_ringing_duration_s: 25
  dnc_groups: ["70"]
{more}"""
WEEK = '{daily: {start: "08:00", end: "21:00"}}'
WINDOWS = '[{timezone: America/New_York, start: "09:00", end: "20:00"}]'
TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec: {api: personal-connection, version: 33, url: "sandbox:"}
"""


def write(folder: Path, *, tenant=TENANT, week=WEEK, windows=WINDOWS, metadata="", more="") -> Path:
    home = folder / "acme"
    home.mkdir(exist_ok=True)
    (home / "tenant.yaml").write_text(tenant)
    text = MANIFEST.format(week=week, windows=windows, metadata=metadata, more=more)
    (home / "renewals.yaml").write_text(text)
    return home


def refused(folder: Path, **parts) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load(write(folder, **parts))
    return [str(problem.message) for problem in caught.value.problems]


def test_a_manifest_compiles_to_what_the_platform_holds(tmp_path):
    (desired,) = load(write(tmp_path)).desired
    assert desired.body == make_skill_body()
    assert (desired.kind, desired.key, desired.platform_name) == (
        "SkillSchedule",
        "4001",
        "Renewals",
    )


def test_a_day_that_is_named_differs_from_the_daily_window(tmp_path):
    week = '{daily: {start: "08:00", end: "21:00"}, sunday: {start: "12:00", end: "18:00"}}'
    (desired,) = load(write(tmp_path, week=week)).desired
    days = {row["day"]: (row["start"], row["end"]) for row in desired.body["run_window"]}
    assert days["saturday"] == ("08:00", "21:00")
    assert days["sunday"] == ("12:00", "18:00")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"week": '{daily: {start: "08:00", end: "21:00"}, sunday: null}'}, "no window for sunday: "),
        ({"week": '{monday: {start: "08:00", end: "21:00"}}'}, "no window for tuesday, wednesday"),
        ({"week": '{daily: [{start: "08:00", end: "12:00"}]}'}, "exactly one per day, not a list"),
        ({"week": "{daily: closed}"}, "exactly one per day"),
        ({"week": '{daily: {start: "21:00", end: "08:00"}}'}, "no window goes past midnight"),
        ({"week": '{daily: {start: "8:00", end: "21:00"}}'}, 'a time such as "09:00", in quotes'),
        ({"windows": "[]"}, "a list of at least one window"),
        (
            {"windows": f"{WINDOWS[:-1]}, {WINDOWS[1:].replace('New_York', 'Detroit')}"},
            "Eastern Standard Time twice (America/New_York, America/Detroit)",
        ),
        ({"windows": WINDOWS.replace("America/New_York", "EST5EDT")}, "has no Windows name"),
        ({"more": "  dial_rate: 3\n"}, "dial_rate is not supported: the platform has no rate in calls per second: use maximum_ratio"),
        ({"more": '  start_time: "2027-01-01 09:00"\n'}, "no dates"),
        ({"more": '  end_time: "2027-01-01 09:00"\n'}, "no dates"),
        ({"more": "  max_concurrent_calls: 3\n"}, "for the whole business unit"),
        ({"more": "  dnc_verification: true\n"}, "list the DNC groups that must scrub the skill in dnc_groups"),
        ({"more": "  compliance_windows: []\n"}, "for a skill use calling_windows"),
        ({"more": '  campaign_id: "1"\n'}, "name the skill_id"),
        ({"metadata": ", retired: true"}, "because a skill always holds a schedule"),
        ({"metadata": ", campaign_name: x"}, "for a skill use skill_name"),
        ({"tenant": TENANT.replace("version: 33, ", "")}, "version is required with api: personal-connection"),
        ({"tenant": TENANT.replace("33", "19")}, "a whole number from 20 to 99"),
    ],
)  # fmt: skip
def test_what_the_platform_cannot_hold_is_refused_with_the_reason_and_what_works(
    tmp_path, parts, words
):
    assert any(words in message for message in refused(tmp_path, **parts))


def test_a_kind_of_another_api_is_refused_at_its_place(tmp_path):
    tenant = TENANT.replace("personal-connection, version: 33", "campaigns")
    with pytest.raises(ManifestError) as caught:
        load(write(tmp_path, tenant=tenant))
    (problem,) = caught.value.problems
    assert problem.message == (
        "kind SkillSchedule is for api: personal-connection, and this tenant's is campaigns, which holds CampaignSchedule"
    )
    assert str(problem.place).endswith("renewals.yaml:2:7")


def test_a_version_is_for_the_api_that_has_versions(tmp_path):
    tenant = TENANT.replace("personal-connection", "campaigns")
    assert any("; remove it" in message for message in refused(tmp_path, tenant=tenant))


@pytest.mark.parametrize("version", [20, 33, 99])
def test_an_endpoint_group_may_speak_another_version(tmp_path, version):
    tenant = TENANT.replace("version: 33", f"version: 20, versions: {{dnc-groups: {version}}}")
    spec = load(write(tmp_path, tenant=tenant)).tenant.spec
    assert (spec.version, spec.versions) == (20, {"dnc-groups": version})


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        ("personal-connection, version: 33, versions: {dnc-groups: 19}", "from 20 to 99"),
        ("personal-connection, version: 33, versions: {dnc: 30}", "business-unit, dnc-groups"),
        ("personal-connection, version: 33, versions: 30", "a mapping of endpoint groups"),
        ("campaigns, versions: {skills: 30}", "remove them"),
    ],
)
def test_a_version_of_an_endpoint_group_that_cannot_be_is_refused(tmp_path, tenant, words):
    changed = TENANT.replace("personal-connection, version: 33", tenant)
    assert any(words in message for message in refused(tmp_path, tenant=changed))


def test_a_profile_may_not_name_a_skill(tmp_path):
    tenant = TENANT.replace(
        'url: "sandbox:"', 'url: "sandbox:", profiles: {a: {spec: {skill_id: "1"}}}'
    )
    assert any("may not hold skill_id" in message for message in refused(tmp_path, tenant=tenant))


# --- zones --------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(tz_win)))
def test_every_zone_has_one_canonical_name_that_is_one_zone_to_windows(name):
    try:
        canonical = canonical_zone(name)
    except ValueError:
        assert windows_name.__wrapped__  # a link that tzdata does not carry is refused by name
        return
    assert windows_name(canonical) == windows_name(name)
    assert canonical_zone(canonical) == canonical


@given(st.sampled_from(sorted(win_tz)))
def test_every_windows_zone_goes_there_and_back(windows):
    assert windows_name(iana_name(windows)) == windows


def test_a_windows_zone_that_nobody_knows_stays_as_it_is():
    assert iana_name("Mars Standard Time") == "Mars Standard Time"


# --- canonical ----------------------------------------------------------------------------------------------------------


def test_canonical_brings_what_the_platform_says_into_one_form():
    raw = make_skill_body(
        timezone="Eastern Standard Time",
        maximum_ratio=2,
        percentage_of_agents_before_overdial=20,
        maximum_ringing_duration_s=25.0,
        dnc_groups=["71", "70"],
        calling_windows=[
            {"timezone": "Eastern Standard Time", "start": "09:00", "end": "20:00"},
            {"timezone": "Central Standard Time", "start": "09:00", "end": "20:00"},
        ],
    )
    body = KIND.canonical(raw)
    assert body["timezone"] == "America/New_York"
    assert [row["timezone"] for row in body["calling_windows"]] == [
        "America/Chicago",
        "America/New_York",
    ]
    assert body["dnc_groups"] == ["70", "71"]
    assert [type(body[name]) for name in ("maximum_ratio", "maximum_ringing_duration_s")] == [
        float,
        int,
    ]


@given(
    st.dictionaries(
        st.sampled_from(sorted(make_skill_body())),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
)
def test_canonical_takes_anything_never_raises_and_leaves_what_it_got_alone(raw):
    before = repr(deepcopy(raw))
    once = KIND.canonical(raw)
    assert repr(raw) == before
    assert repr(KIND.canonical(once)) == repr(once)


def test_a_skill_is_known_by_its_id():
    assert SkillSchedule.api == "personal-connection"
    assert SkillSchedule.tombstone().model_fields["spec"].annotation.__name__ == "RetiredSpec"


def test_a_link_that_cldr_does_not_know_has_the_windows_name_of_its_zone():
    assert windows_name("US/East-Indiana") == windows_name("America/Indiana/Indianapolis")
    assert canonical_zone("US/East-Indiana") == canonical_zone("America/Indiana/Indianapolis")


def test_what_is_no_zone_is_told_apart_from_a_zone_without_a_windows_name():
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        windows_name("Mars/Base")
