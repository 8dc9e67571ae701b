"""What protects a manifest is judged like `tenant.yaml`: the name of its object, and which object it is."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import sandbox
from reconciler.models import Claim, Tenant
from reconciler.plan import other_changes, protections, stricter
from tests.commands import test_baseline
from tests.commands.test_baseline import Office, spec
from tests.support.factories import make_desired

world, office = test_baseline.world, test_baseline.office

# --- pure ---------------------------------------------------------------------------------------------------------------


def said(base, head):
    return [(each.setting, each.counts, each.asked) for each in protections(base, head).weakenings]


_manifests = st.dictionaries(
    st.sampled_from(["1", "2", "3"]),
    st.tuples(st.sampled_from("abc"), st.none() | st.sampled_from(["A", "B"])),
).filter(lambda found: len({name for name, _ in found.values()}) == len(found))


def desired(manifests):
    return [
        make_desired(key, name=name, platform_name=called)
        for key, (name, called) in manifests.items()
    ]


@given(_manifests)
def test_manifests_weaken_nothing_of_their_own(manifests):
    head = desired(manifests)
    assert said(head, head) == []


@given(_manifests, _manifests)
def test_a_name_that_counted_counts_on_and_an_id_that_moved_is_told(base, head):
    found = protections(desired(base), desired(head))
    for key in base.keys() & head.keys():
        (_, was), (_, now) = base[key], head[key]
        assert found.names.get(key) == (was if now is None else None)
    ids = {name: key for key, (name, _) in base.items()}
    for key, (name, _) in head.items():
        if name in ids and ids[name] != key:
            assert found.repointed[key] == ids[name]


def test_a_name_that_is_removed_or_changed_is_a_weakening_and_one_that_is_added_is_none():
    was = make_desired(platform_name="Spring")
    assert said([was], [make_desired()]) == [
        ("campaign_name of campaign-1001", '"Spring"', "not checked")
    ]
    assert said([was], [make_desired(platform_name="Autumn")]) == [
        ("campaign_name of campaign-1001", '"Autumn" instead of "Spring"', "the same")
    ]
    assert said([make_desired()], [make_desired(platform_name="Spring")]) == []
    assert said([was], [make_desired(kind="SkillSchedule")])[0][0].startswith("skill_name")


def test_a_manifest_that_names_another_object_is_told_by_name_or_by_file():
    was = make_desired("1037", name="spring")
    place = was.place
    line = ("spring was 1037, is now 1061", "only by the name that the platform has", "1061")
    assert said([was], [make_desired("1061", name="spring")]) == [line]
    assert said([was], [make_desired("1061", name="autumn", place=place)])[0][1:] == line[1:]
    assert said([was], [make_desired("1061", name="autumn")]) == []
    assert said([was], [make_desired("1037", name="autumn")]) == []
    assert said([Claim("1037", "spring", place)], []) == []


def test_settings_that_protect_the_platform_and_the_records_are_shown():
    base = spec(requests_per_second=5, audit={"sign": True, "mirror": True})
    head = spec(requests_per_second=50, audit={"sign": False, "mirror": False})
    day = date(2027, 3, 1)
    assert [(each.setting, each.counts) for each in stricter(base, head, day).weakenings] == [
        ("requests_per_second (was 5)", "50"),
        ("audit.sign (was on)", "off"),
        ("audit.mirror (was on)", "off"),
    ]
    assert stricter(head, base, day).weakenings == ()
    one, two = (
        Tenant.model_validate(
            {
                "apiVersion": "cxone.reconciler/v1",
                "kind": "Tenant",
                "metadata": {"owner": owner},
                "spec": each.model_dump(),
            }
        )
        for owner, each in (("sales", head), ("service", base))
    )
    assert other_changes(one, two) == (
        "tenant.yaml changes owner: sales → service",
        "tenant.yaml changes requests_per_second: 50 → 5",
        "tenant.yaml changes audit.sign: off → on",
        "tenant.yaml changes audit.mirror: off → on",
    )
    assert other_changes(one, one) == ()


# --- the command line ---------------------------------------------------------------------------------------------------

PLAIN = "name: m01\n"
NAMED = "name: m01\n  campaign_name: Campaign 1001\n"


def named(office: Office) -> None:
    office.edit(PLAIN, NAMED, "m01.yaml")
    office.commit()
    assert office.plan() == 2
    assert office.apply() == 0


def test_a_name_that_is_removed_stands_first_and_is_compared_once_more(
    office: Office, world: sandbox.CampaignState
) -> None:
    named(office)
    world.put_campaign("1001", name="Debt Reminders")
    office.set(test_baseline.RAISED)
    office.edit(NAMED, PLAIN, "m01.yaml")
    office.edit("dial_rate: 3.0", "dial_rate: 2.0", "m01.yaml")
    office.commit()
    assert office.plan() == 5
    at = office.out.index
    assert at("Weakened rules") < at("campaign_name of m01") < at("limits.changed_share")
    assert 'the platform calls 1001 "Debt Reminders", not "Campaign 1001"' in office.out
    assert office.apply() == 5
    assert world.executed("1001") == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [("", 5), ("  campaign_name: Campaign 1001\n", 5), ("  campaign_name: Other\n", 0)],
    ids=["unnamed", "the old name", "its name"],
)
def test_a_manifest_that_names_another_object_needs_that_ones_name(
    office: Office, world: sandbox.CampaignState, name: str, code: int
) -> None:
    world.put_campaign("1061", name="Other")
    world.put_list("dnc-2", campaign_ids=["1061"])
    office.edit(PLAIN, PLAIN + name, "m01.yaml")
    office.edit('"1001"', '"1061"', "m01.yaml")
    office.slow_down(2)
    office.commit()
    assert office.plan() == (code or 2)
    assert office.out.index("m01 was 1001, is now 1061") < office.out.index("Changes")
    assert "retire 1001 with a manifest of another name" in office.out
    assert office.apply() == (3 if code else 0)
    assert world.executed("1061") == (0 if code else 1)
    if (
        code
    ):  # what else that commit wrote made it the base, and the manifest has moved all the same
        office.edit("dial_rate: 3.0", "dial_rate: 2.0", "m03.yaml")
        office.commit()
        assert office.plan() == 5
        assert office.apply() == 3
        assert world.executed("1061") == 0


def test_a_tombstone_that_names_another_object_is_refused(
    office: Office, world: sandbox.CampaignState
) -> None:
    office.edit("retired: false", "retired: true", "m01.yaml")
    office.edit('"1001"', '"1002"', "m01.yaml")
    (office.tenant / "m02.yaml").unlink()
    office.commit()
    assert office.apply() == 5
    assert "this manifest was 1001 and is now 1002" in office.out
    assert world.executed(action="REMOVED") == 0
