"""A zone link is the zone that it links to, in both dialects: `US/Central` is `America/Chicago`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import diff, manifests
from reconciler.errors import ManifestError
from reconciler.kinds import campaign, skill
from reconciler.models.zones import canonical_zone, iana_name, primary_zone, zone, zone_names
from tests.support.bodies import make_body, make_skill_body, make_window, manifest_text
from tests.support.factories import NOW

LINKS = {
    "US/Central": "America/Chicago",
    "US/Eastern": "America/New_York",
    "Asia/Calcutta": "Asia/Kolkata",
    "Europe/Kiev": "Europe/Kyiv",
    "Canada/Eastern": "America/Toronto",
    "Australia/NSW": "Australia/Sydney",
}


def compiled(folder, zone_name, windows=()):
    tenant = (
        'apiVersion: cxone.reconciler/v1\nkind: Tenant\nspec: {api: campaigns, url: "sandbox:"}\n'
    )
    folder = folder / "acme"
    folder.mkdir(exist_ok=True)
    (folder / "tenant.yaml").write_text(tenant)
    (folder / "c.yaml").write_text(manifest_text(timezone=zone_name, compliance_windows=windows))
    return manifests.load(folder).desired[0].body


@pytest.mark.parametrize(("link", "name"), LINKS.items())
def test_a_link_is_what_it_links_to(link, name):
    assert primary_zone(link) == primary_zone(name) == name


@pytest.mark.parametrize("name", ["Europe/Oslo", "Europe/Guernsey", "America/Nassau", "UTC", "EST"])
def test_a_place_of_its_own_and_a_name_without_a_region_stay_what_they_are(name):
    """Contacts in Oslo are not those in Berlin, although both clocks go alike; EST is no name for Panama."""
    assert primary_zone(name) == name


@given(st.sampled_from(sorted(zone_names())))
def test_a_primary_name_is_a_zone_that_is_no_link_and_has_the_same_clock(name):
    found = primary_zone(name)
    assert primary_zone(found) == found
    assert NOW.astimezone(zone(found)).utcoffset() == NOW.astimezone(zone(name)).utcoffset()


@given(st.sampled_from(sorted(zone_names())), st.sampled_from([str.lower, str.upper, str.swapcase]))
def test_a_name_in_other_case_is_the_same_zone(name, spell):
    assert primary_zone(spell(name)) == primary_zone(name)


@given(st.text(max_size=12))
def test_a_name_that_is_no_zone_stays_as_it_is(text):
    known = {each.lower() for each in zone_names()}
    assert text.lower() in known or primary_zone(text) == text


@pytest.mark.parametrize("text", ["GMT\n", "L US/Central", "America/Chicago US/Central", "Z", "-"])
def test_no_part_of_the_database_is_taken_for_a_link(text):
    assert primary_zone(text) == text


@pytest.mark.parametrize(
    ("link", "name"), [*LINKS.items(), ("america/new_york", "America/New_York")]
)
def test_a_campaign_that_the_platform_names_by_a_link_is_as_desired(link, name, tmp_path):
    desired = compiled(tmp_path, name, [make_window(name)])
    live = {**desired, "timezone": link, "compliance_windows": [make_window(link)]}
    assert diff.same(live, desired, campaign.KIND.canonical)
    assert link not in zone_names() or compiled(tmp_path, link, [make_window(link)]) == desired
    assert campaign.KIND.canonical(desired) == desired


def test_a_body_of_primary_names_is_compiled_as_before():
    body = make_body(
        timezone="America/Indiana/Knox",
        compliance_windows=[make_window("America/New_York"), make_window("Europe/Berlin")],
    )
    assert campaign.KIND.canonical(body) == body


def test_windows_of_a_zone_and_its_link_may_not_overlap(tmp_path):
    windows = [make_window("US/Central", 9, 12), make_window("America/Chicago", 11, 20)]
    with pytest.raises(ManifestError, match="overlap in"):
        compiled(tmp_path, "America/Chicago", windows)


@pytest.mark.parametrize("name", ["US/Central", "America/Chicago", "Central Standard Time"])
def test_a_skill_that_the_platform_names_by_a_link_is_as_desired(name):
    desired = make_skill_body(
        timezone="America/Chicago",
        calling_windows=[{"timezone": "America/Chicago", "start": "09:00", "end": "20:00"}],
    )
    live = {
        **desired,
        "timezone": name,
        "calling_windows": [{"timezone": name, "start": "09:00", "end": "20:00"}],
    }
    assert skill.KIND.canonical(live) == desired


@given(st.sampled_from(sorted(zone_names())))
def test_a_zone_is_the_same_to_a_skill_by_whatever_name_it_is_read(name):
    try:
        found = canonical_zone(name)
    except ValueError:
        return
    assert iana_name(name) == found == iana_name(found) == canonical_zone(found)
