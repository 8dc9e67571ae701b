"""What a manifest may say, in which words it is refused, and the one canonical form."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from reconciler.kinds.campaign import KIND
from reconciler.models import (
    MANIFESTS,
    Limits,
    Tenant,
    canonical_instant,
    model_for,
    tenant_url,
    zone,
)
from reconciler.models.base import Strict
from reconciler.models.campaign import CampaignSchedule, CampaignSpec, compile_campaign
from reconciler.models.explain import FieldType, sentences
from reconciler.models.instants import to_instant
from tests.support.bodies import make_body, make_manifest, make_spec, make_window

NEW_YORK, LONDON = "America/New_York", "Europe/London"
SPEC = make_spec(
    start_time="2027-03-08 09:00",
    end_time="2027-03-19T18:00:00-04:00",
    dial_rate=25,
    compliance_windows=[
        make_window(NEW_YORK, 14, 20),
        make_window(LONDON, 9, 12),
        make_window(NEW_YORK, 9, 12),
    ],
)
MANIFEST = make_manifest() | {"spec": SPEC}
TENANT: dict[str, Any] = {
    "apiVersion": "cxone.reconciler/v1",
    "kind": "Tenant",
    "spec": {"api": "campaigns", "url": "sandbox:"},
}
BODY = make_body(
    start_time="2027-03-08T14:00:00Z",
    end_time="2027-03-19T22:00:00Z",
    compliance_windows=[
        make_window(NEW_YORK, 9, 12),
        make_window(NEW_YORK, 14, 20),
        make_window(LONDON, 9, 12),
    ],
)


def said(
    model: type[BaseModel], document: dict[str, Any], *path: str | int, value: Any
) -> list[str]:
    """Return what is said of a document in which one value was replaced."""
    changed = deepcopy(document)
    *above, last = path
    here: Any = changed
    for step in above:
        here = here.setdefault(step, {}) if isinstance(here, dict) else here[step]
    here[last] = value
    with pytest.raises(ValidationError) as raised:
        model.model_validate(changed)
    return [complaint.message for complaint in sentences(raised.value, model, lambda _: None)]


# Compiling, and the canonical form


def test_a_manifest_compiles_to_exactly_this_body() -> None:
    manifest = CampaignSchedule.model_validate(MANIFEST)
    assert manifest.key == "1001"
    assert json.dumps(manifest.compile()) == json.dumps(BODY)


def test_a_retired_manifest_compiles_to_nothing() -> None:
    document = {**MANIFEST, "metadata": {"name": "spring", "retired": True}}
    model = model_for(document)
    assert model is CampaignSchedule.tombstone()
    assert model.model_validate(document).compile() is None
    assert CampaignSchedule.model_validate(document).compile() is None


WINDOWS = st.lists(
    st.builds(
        lambda zone, start, hours: {
            "timezone": zone,
            "start_hour": start,
            "end_hour": min(start + hours, 23),
        },
        st.sampled_from([NEW_YORK, LONDON, "Asia/Tokyo"]),
        st.integers(0, 22),
        st.integers(1, 12),
    ),
    max_size=3,
    unique_by=lambda window: window["timezone"],
)
SPECS = st.builds(
    lambda start, days, rate, calls, dnc, windows: {
        "campaign_id": "1001",
        "timezone": NEW_YORK,
        "start_time": f"{start:%Y-%m-%d} 09:00",
        "end_time": f"{start + timedelta(days=days):%Y-%m-%d} 18:00:30",
        "dial_rate": rate,
        "max_concurrent_calls": calls,
        "dnc_verification": dnc,
        "compliance_windows": windows,
    },
    st.dates(date(2027, 1, 1), date(2031, 1, 1)),
    st.integers(0, 100),
    st.floats(0.01, 100) | st.integers(1, 100),
    st.integers(1, 5000),
    st.booleans(),
    WINDOWS,
)


@settings(max_examples=60)
@given(SPECS)
def test_a_compiled_body_is_canonical(spec) -> None:
    body = compile_campaign(CampaignSpec.model_validate(spec))
    assert json.dumps(KIND.canonical(body), sort_keys=True) == json.dumps(body, sort_keys=True)


@settings(max_examples=60)
@given(SPECS, st.data())
def test_every_equal_form_has_one_canonical_form(spec, data) -> None:
    body = compile_campaign(CampaignSpec.model_validate(spec))
    received = {
        **body,
        "start_time": data.draw(forms(body["start_time"])),
        "end_time": data.draw(forms(body["end_time"])),
        "dial_rate": int(body["dial_rate"])
        if body["dial_rate"].is_integer()
        else body["dial_rate"],
        "max_concurrent_calls": float(body["max_concurrent_calls"]),
        "compliance_windows": data.draw(st.permutations(body["compliance_windows"])),
        "id": "s-1",
        "updated_at": "2027-01-01T00:00:00Z",
        "updated_by": "somebody",
    }
    assert json.dumps(KIND.canonical(received), sort_keys=True) == json.dumps(body, sort_keys=True)


def forms(instant: str) -> st.SearchStrategy[str]:
    """Return ways in which a platform may write an instant."""
    moment = datetime.fromisoformat(instant)
    return st.builds(
        lambda name, digits, utc: (
            moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") + digits + utc
            if utc
            else moment.astimezone(ZoneInfo(name)).isoformat().replace(":00-", f":00{digits}-")
        ),
        st.sampled_from(["America/New_York", "Asia/Kolkata", "Europe/London"]),
        st.sampled_from(["", ".0", ".000", ".000000"]),
        st.sampled_from(["Z", "z", "+00:00", "-00:00", ""]),
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(list(BODY.values())[:4]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
ODD_BODIES = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(value) | JSON for name, value in BODY.items()},
        "compliance_windows": JSON
        | st.lists(
            st.fixed_dictionaries(
                {}, optional=dict.fromkeys(["timezone", "start_hour", "end_hour", "x"], JSON)
            ),
            max_size=3,
        ),
        "id": JSON,
        "surprise": JSON,
    },
)


@settings(max_examples=100)
@given(ODD_BODIES)
def test_odd_live_data_never_raises_and_has_one_canonical_form(raw) -> None:
    once = KIND.canonical(raw)
    assert repr(KIND.canonical(once)) == repr(once)
    assert set(once) == set(raw) - {"id", "surprise"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dial_rate", True),
        ("dial_rate", "25"),
        ("dial_rate", 10**400),
        ("max_concurrent_calls", 500.5),
        ("start_time", "2027-03-08T09:00:00"),
        ("start_time", "2027-13-08T09:00:00Z"),
        ("start_time", "2027-03-08T24:00:00Z"),
        ("start_time", "0001-01-01T00:00:00+10:00"),
        ("start_time", "2027-03-08T09:00:00.0000001Z"),
        ("start_time", 1804500000),
        ("compliance_windows", None),
        ("compliance_windows", [1]),
        ("dnc_verification", "true"),
    ],
)
def test_what_has_no_canonical_form_stays_and_so_differs(field: str, value: object) -> None:
    found = KIND.canonical({**BODY, field: value})
    assert found[field] is value
    assert found != BODY


def test_a_fraction_of_a_second_is_a_difference() -> None:
    assert canonical_instant("2027-01-11T14:00:00.5Z") == "2027-01-11T14:00:00.500000Z"


# Moments


@pytest.mark.parametrize(
    ("text", "name", "instant"),
    [
        ("2027-01-11 09:00", NEW_YORK, "2027-01-11T14:00:00Z"),
        ("2027-07-11 09:00:30", NEW_YORK, "2027-07-11T13:00:30Z"),
        ("2027-01-11T09:00", NEW_YORK, "2027-01-11T14:00:00Z"),
        ("2027-01-11T09:00:00-05:00", NEW_YORK, "2027-01-11T14:00:00Z"),
        ("2027-01-11T14:00Z", LONDON, "2027-01-11T14:00:00Z"),
        ("2027-11-07T01:30:00-04:00", NEW_YORK, "2027-11-07T05:30:00Z"),
        ("2027-11-07T01:30:00-05:00", NEW_YORK, "2027-11-07T06:30:00Z"),
        ("2027-03-14 01:59:59", NEW_YORK, "2027-03-14T06:59:59Z"),
        ("2027-03-14 03:00", NEW_YORK, "2027-03-14T07:00:00Z"),
    ],
)
def test_a_moment_is_a_wall_time_or_iso_8601_with_the_zones_own_offset(
    text: str, name: str, instant: str
) -> None:
    assert to_instant(text, name) == instant


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        (
            "2027-03-14 02:30",
            NEW_YORK,
            "does not exist in America/New_York: clocks go forward over 2027-03-14 02:30:00; the next time that exists is 2027-03-14 03:00",
        ),
        (
            "2027-03-28 01:00",
            LONDON,
            "does not exist in Europe/London: clocks go forward over 2027-03-28 01:00:00; the next time that exists is 2027-03-28 02:00",
        ),
        (
            "2027-10-03 02:15",
            "Australia/Lord_Howe",
            "the next time that exists is 2027-10-03 02:30",
        ),
        (
            "2027-11-07 01:30",
            NEW_YORK,
            'happens twice in America/New_York: write the offset, "2027-11-07T01:30:00-04:00" for the first or "2027-11-07T01:30:00-05:00" for the second',
        ),
        (
            "2027-06-01T09:00:00-05:00",
            NEW_YORK,
            "says -05:00, but America/New_York has -04:00 then: write the time there without an offset, or with -04:00",
        ),
        ("2027-06-01T09:00:00Z", NEW_YORK, "says Z, but America/New_York has -04:00 then"),
        ("2027-06-01T09:00:00+25:00", NEW_YORK, "has an invalid offset: +25:00"),
        ("2027-02-29 09:00", NEW_YORK, "is not a date and time: '2027-02-29 09:00'"),
        ("2027-01-11 24:00", NEW_YORK, "is not a date and time"),
        ("0207-01-11 09:00", NEW_YORK, "must be in a year from 2000 to 2099, not 207"),
        ("2027-01-11", NEW_YORK, 'must be a wall time such as "2027-01-11 09:00"'),
        ("11.01.2027 09:00", NEW_YORK, "must be a wall time such as"),
        ("2027-01-11 9:00", NEW_YORK, "must be a wall time such as"),
        ("2027-01-11 09:00:00.5", NEW_YORK, "must be a wall time such as"),
        ("٢٠٢٧-01-11 09:00", NEW_YORK, "must be a wall time such as"),
    ],
)
def test_a_moment_that_could_mean_something_else_is_refused(
    text: str, name: str, reason: str
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the reason is compared below
        to_instant(text, name)
    assert reason in str(raised.value)


@settings(max_examples=100)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)),  # noqa: DTZ001 - wall times
    st.sampled_from([NEW_YORK, LONDON, "Asia/Kolkata", "Australia/Lord_Howe", "America/Phoenix"]),
)
def test_a_wall_time_means_what_the_zone_says_or_is_refused(wall, name) -> None:
    wall = wall.replace(microsecond=0)
    instants = {wall.replace(tzinfo=zone(name), fold=fold).astimezone(UTC) for fold in (0, 1)}
    meant = {
        instant
        for instant in instants
        if instant.astimezone(zone(name)).replace(tzinfo=None) == wall
    }
    try:
        found = datetime.fromisoformat(to_instant(wall.isoformat(" "), name))
    except ValueError:
        assert len(meant) != 1
    else:
        assert meant == {found}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("America/New_york", "IANA writes it America/New_York"),
        ("Factory", ""),
        ("localtime", ""),
        ("posix/America/Boston", "write the zone of a city"),
        ("../zones", ""),
        ("", "write the zone of a city, such as America/New_York"),
        ("Eastern Standard Time", "it is a Windows name, for which IANA has America/New_York"),
    ],
)
def test_only_names_that_iana_knows_are_zones(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone") as raised:
        zone(name)
    assert hint in str(raised.value)


# What is refused, and how


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            ("spec", "dial_rate"),
            0,
            "dial_rate must be above 0 and at most 100 (calls per second), not 0",
        ),
        (
            ("spec", "dial_rate"),
            100.1,
            "dial_rate must be above 0 and at most 100 (calls per second), not 100.1",
        ),
        (
            ("spec", "dial_rate"),
            True,
            "dial_rate must be above 0 and at most 100 (calls per second), not true",
        ),
        (
            ("spec", "dial_rate"),
            "25",
            'dial_rate must be above 0 and at most 100 (calls per second), not "25": write it without quotes',
        ),
        (
            ("spec", "dial_rate"),
            None,
            "dial_rate must be above 0 and at most 100 (calls per second), not nothing",
        ),
        (
            ("spec", "max_concurrent_calls"),
            5001,
            "max_concurrent_calls must be a whole number from 1 to 5000 (calls), not 5001",
        ),
        (
            ("spec", "max_concurrent_calls"),
            0,
            "max_concurrent_calls must be a whole number from 1 to 5000 (calls), not 0",
        ),
        (
            ("spec", "max_concurrent_calls"),
            5.0,
            "max_concurrent_calls must be a whole number from 1 to 5000 (calls), not 5.0",
        ),
        (
            ("spec", "campaign_id"),
            1001,
            'campaign_id must be 1 to 64 letters, digits, _ and -, in quotes, not 1001: put it in quotes, "1001"',
        ),
        (
            ("spec", "campaign_id"),
            "../1001",
            'campaign_id must be 1 to 64 letters, digits, _ and -, in quotes, not "../1001"',
        ),
        (
            ("spec", "dnc_verification"),
            "no",
            'dnc_verification must be true or false, without quotes, not "no": write false',
        ),
        (("spec", "timezone"), "EST", None),
        (
            ("spec", "end_time"),
            "2027-03-08 09:00",
            "end_time must be after start_time '2027-03-08 09:00', not '2027-03-08 09:00'",
        ),
        (
            ("spec", "start_time"),
            1350,
            'start_time must be a wall time such as "2027-01-11 09:00", or ISO 8601 with an offset, in quotes, not 1350: put it in quotes, "1350"',
        ),
        (
            ("spec", "compliance_windows"),
            {},
            "compliance_windows must be a list of windows, not a mapping",
        ),
        (
            ("spec", "compliance_windows", 0, "end_hour"),
            14,
            "compliance_windows[0].end_hour must be after start_hour 14, not 14: a window past midnight needs two",
        ),
        (
            ("spec", "compliance_windows", 0, "end_hour"),
            24,
            "compliance_windows[0].end_hour must be a whole hour from 0 to 23 (no window reaches midnight), not 24",
        ),
        (
            ("spec", "compliance_windows", 0, "start_hour"),
            11,
            "compliance_windows overlap in America/New_York: 9-12 and 11-20; write them as one",
        ),
        (
            ("spec", "compliance_windows", 0),
            "9-20",
            'compliance_windows[0] must be a mapping of keys, not "9-20"',
        ),
        (("spec", "dial_rte"), 1, 'unknown key "dial_rte" in spec: did you mean dial_rate?'),
        (
            ("colour",),
            1,
            'unknown key "colour": known are apiVersion, metadata, compliance, pacing, kind, spec',
        ),
        (("spec",), [], "spec must be a mapping of keys, not a list"),
        (("apiVersion",), "v2", 'apiVersion must be cxone.reconciler/v1, not "v2"'),
        (
            ("metadata", "name"),
            "Spring",
            'metadata.name must be 1 to 63 lower-case letters, digits and hyphens, not starting with a hyphen, not "Spring"',
        ),
        (
            ("metadata", "retired"),
            "yes",
            'metadata.retired must be true or false, without quotes, not "yes": write true',
        ),
        (
            ("compliance", "jurisdictions"),
            ["us"],
            'compliance.jurisdictions[0] must be a country or country and region by ISO 3166, such as GB or US-NY, not "us"',
        ),
        (
            ("compliance", "purpose"),
            "fun",
            'compliance.purpose must be sales, debt, survey or service, not "fun"',
        ),
        (("pacing", "agents"), 0, "pacing.agents must be a whole number from 1 up, not 0"),
        (
            ("metadata", "owner"),
            "x" * 201,
            f'metadata.owner must be text of 1 to 200 characters, in quotes if it looks like a number, a date or true, not "{"x" * 58}…',
        ),
    ],
)
def test_each_mistake_is_told_in_one_plain_sentence(
    path: tuple[str | int, ...], value: object, words: str | None
) -> None:
    if words is None:  # a name that IANA does know, however old
        assert zone(str(value))
        return
    assert said(CampaignSchedule, MANIFEST, *path, value=value) == [words]


@pytest.mark.parametrize(
    ("field", "fits"),
    [
        ("dial_rate", 100),
        ("dial_rate", 0.001),
        ("max_concurrent_calls", 1),
        ("max_concurrent_calls", 5000),
    ],
)
def test_the_contracts_limits_are_within(field: str, fits: float) -> None:
    assert CampaignSpec.model_validate({**SPEC, field: fits})


def test_windows_may_touch_and_zones_do_not_mix() -> None:
    windows = [
        {"timezone": NEW_YORK, "start_hour": 0, "end_hour": 9},
        {"timezone": NEW_YORK, "start_hour": 9, "end_hour": 23},
        {"timezone": LONDON, "start_hour": 0, "end_hour": 23},
    ]
    assert CampaignSpec.model_validate({**SPEC, "compliance_windows": windows})


def test_every_key_says_in_words_what_it_expects() -> None:
    def silent(model: type[BaseModel], path: str = "") -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            spot = FieldType(field.annotation, tuple(field.metadata))
            if spot.model is not None:
                found += silent(spot.model, f"{path}.{name}")
            elif not spot.expected:
                found.append(f"{path}.{name}")
        return found

    assert [word for kind in MANIFESTS.values() for word in silent(kind)] == []
    assert silent(Tenant) == []


def test_models_are_frozen_and_strict() -> None:
    manifest = CampaignSchedule.model_validate(MANIFEST)
    with pytest.raises(ValidationError):
        manifest.spec.dial_rate = 1.0  # type: ignore[misc]  # that it is refused is the point
    assert Strict.model_config["extra"] == "forbid"


# Tenants


@pytest.mark.parametrize(
    "url",
    [
        "sandbox:",
        "https://acme.cxonecloud.com",
        "https://acme.cxonecloud.com:8443",
        "https://localhost:8000",
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://127.8.9.1",
        "http://[::1]:8000",
        "https://xn--bcher-kva.example",
    ],
)
def test_a_tenants_url_is_scheme_and_host(url: str) -> None:
    assert tenant_url(url) == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "https://acme.cxonecloud.com/api",
            "ends in /api, which the client adds itself: write https://acme.cxonecloud.com",
        ),
        (
            "https://acme.cxonecloud.com/api/",
            "ends in /api, which the client adds itself: write https://acme.cxonecloud.com",
        ),
        (
            "https://acme.cxonecloud.com/",
            "must end after the host: write https://acme.cxonecloud.com",
        ),
        ("https://acme.cxonecloud.com/v1", "must end after the host"),
        ("https://acme.cxonecloud.com?x=1", "must end after the host"),
        ("https://acme.cxonecloud.com#x", "must end after the host"),
        ("https://acme.cxonecloud.com\\@evil.example", "must not contain a user or a password"),
        ("https://good@evil.example", "must not contain a user or a password"),
        ("https://good:secret@evil.example", "must not contain a user or a password"),
        ("http://acme.cxonecloud.com", "must begin with https://"),
        ("HTTPS://acme.cxonecloud.com", "must begin with https://"),
        ("ftp://localhost", "must begin with https://"),
        ("https://ACME.cxonecloud.com", "has an invalid host"),
        ("https://acme.cxonecloud.com.", "has an invalid host"),
        ("https://acmé.cxonecloud.com", "has an invalid host"),
        ("https://аcme.cxonecloud.com", "has an invalid host"),  # noqa: RUF001 - a Cyrillic letter is the point
        ("https://acme..com", "has an invalid host"),
        ("https://-acme.com", "has an invalid host"),
        ("https://acme_1.com", "has an invalid host"),
        ("https://a%2eb.com", "has an invalid host"),
        ("https://", "has an invalid host"),
        ("https://2130706433", "has an invalid host"),
        ("https://0x7f.1", "has an invalid host"),
        ("https://10.0.0.1", "may not be an IP address"),
        ("https://169.254.169.254", "may not be an IP address"),
        ("https://[2001:db8::1]", "may not be an IP address"),
        ("https://acme.cxonecloud.com:443", "remove :443"),
        ("https://acme.cxonecloud.com:0443", "has an invalid port"),
        ("https://acme.cxonecloud.com:", "has an invalid port"),
        ("https://acme.cxonecloud.com:65536", "has an invalid port"),
        ("https://acme.cxonecloud.com:٤٤٣", "has an invalid port"),
        ("https:/acme.cxonecloud.com", 'must be "https://" and a host'),
        ("acme.cxonecloud.com", 'must be "https://" and a host'),
        ("sandbox://", "has an invalid host"),
        ("https://acme.cxonecloud.com\n", "has an invalid host"),
        ("https://acme.cxonecloud.com ", "has an invalid host"),
        ("", 'must be "https://" and a host'),
    ],
)
def test_a_url_that_could_lead_elsewhere_is_refused(url: str, reason: str) -> None:
    (told,) = said(Tenant, TENANT, "spec", "url", value=url)
    assert told.startswith("url ")
    assert reason in told


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("spec", "api"), "soap", 'api must be campaigns or personal-connection, not "soap"'),
        (
            ("spec", "requests_per_second"),
            0,
            "requests_per_second must be above 0 and at most 1000 (requests per second), not 0",
        ),
        (
            ("spec", "profiles", "US"),
            {},
            'the name "US" must be 1 to 63 lower-case letters, digits and hyphens, not starting with a hyphen',
        ),
        (
            ("spec", "profiles", "us"),
            {"color": 1},
            'unknown key "color" in profiles.us: known are spec, compliance, pacing',
        ),
        (
            ("spec", "profiles", "us"),
            {"spec": {"campaign_id": "1"}},
            "profiles.us.spec may not hold campaign_id: it belongs to one manifest alone",
        ),
        (
            ("spec", "policies", "dnc"),
            "fatal",
            'policies.dnc must be error, warning, info or off, not "fatal"',
        ),
        (
            ("spec", "waivers"),
            [{"rule": "dnc", "reason": "test", "until": "soon"}],
            "waivers[0].until must be a date such as 2027-03-31, not 'soon'",
        ),
        (
            ("spec", "waivers"),
            [{"rule": "dnc", "reason": "test", "until": "2027-02-30"}],
            "waivers[0].until is not a date: '2027-02-30'",
        ),
        (
            ("spec", "waivers"),
            [{"rule": "dnc", "until": "2027-02-28"}],
            "waivers[0].reason is missing: it must be text of 1 to 200 characters, in quotes if it looks like a number, a date or true",
        ),
        (
            ("spec", "limits"),
            {"changed_share": 1.1},
            "limits.changed_share must be a share from 0 to 1, not 1.1",
        ),
        (
            ("spec", "limits"),
            {"changed_share": 0.5},
            "limits.until and reason are required when changed_share is above its default",
        ),
        (
            ("spec", "limits"),
            {"changed_share": 0.5, "until": "2027-01-01"},
            "limits.until and reason are required when changed_share is above its default",
        ),
        (
            ("spec", "clock"),
            "2027-03-01 12:00",
            "clock must be an instant in whole seconds, such as \"2027-01-11T08:00:00Z\", not '2027-03-01 12:00'",
        ),
        (("spec", "clock"), 5, 'clock must be an instant such as "2027-01-11T08:00:00Z", not 5'),
    ],
)
def test_each_mistake_of_a_tenant_is_told_in_one_plain_sentence(
    path: tuple[str, ...], value: object, words: str
) -> None:
    assert said(Tenant, TENANT, *path, value=value) == [words]


def test_only_an_embedded_tenant_may_fix_its_clock() -> None:
    fixed = {**TENANT["spec"], "clock": "2027-03-01T13:00:00+01:00"}
    assert Tenant.model_validate({**TENANT, "spec": fixed}).spec.clock == datetime(
        2027, 3, 1, 12, tzinfo=UTC
    )
    elsewhere = {**TENANT, "spec": {**fixed, "url": "https://acme.cxonecloud.com"}}
    assert said(Tenant, elsewhere, "metadata", value={}) == [
        'clock may be fixed only with url: "sandbox:"; remove it'
    ]


def test_a_raised_limit_falls_back_when_its_time_is_over() -> None:
    limits = Limits.model_validate(
        {"changed_share": 0.9, "retired_share": 0.1, "reason": "migration", "until": "2027-03-31"}
    )
    assert limits.on(date(2027, 3, 31)).changed_share == 0.9
    after = limits.on(date(2027, 4, 1))
    assert (after.changed_share, after.retired_share) == (0.3, 0.1)
    assert Limits().on(date(2027, 4, 1)) == Limits()


# Cost


def test_words_for_mistakes_are_not_imported_until_there_is_one() -> None:
    code = "import sys, reconciler.manifests as m; print([n for n in ('difflib', 'reconciler.models.explain') if n in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


# Whose ledger

REAL: dict[str, Any] = {
    **TENANT,
    "spec": {"api": "campaigns", "url": "https://acme.cxonecloud.com"},
}
LEDGER, BEGAN = "campaigns/acme.cxonecloud.com", "0f" * 32


def test_a_tenant_declares_the_ledger_of_its_platform() -> None:
    declared = {"ledger": LEDGER, "began": BEGAN}
    spec = {**REAL["spec"], "audit": declared}
    audit = Tenant.model_validate({**REAL, "spec": spec}).spec.audit
    assert (audit.ledger, audit.began) == (LEDGER, BEGAN)


@pytest.mark.parametrize(
    ("document", "audit", "words"),
    [
        (
            REAL,
            {"ledger": "campaigns/other.cxonecloud.com", "began": BEGAN},
            f"audit names the ledger of campaigns/other.cxonecloud.com, but api and url name the platform {LEDGER}: correct api or url if",
        ),
        (REAL, {"ledger": "personal-connection/acme.cxonecloud.com", "began": BEGAN}, "audit names the ledger of personal-connection/"),
        (TENANT, {"ledger": LEDGER, "began": BEGAN}, 'audit may not hold ledger and began with url: "sandbox:"'),
        (REAL, {"ledger": LEDGER}, "audit.began and ledger stand together: write both, or neither"),
        (REAL, {"began": BEGAN}, "audit.began and ledger stand together"),
        (REAL, {"ledger": LEDGER, "began": "0f"}, "audit.began must be the id of a record: 64 hexadecimal digits"),
        (REAL, {"ledger": "acme", "began": BEGAN}, "audit.ledger must be a platform such as campaigns/"),
    ],
)  # fmt: skip
def test_what_declares_no_ledger_or_another_platforms_is_told_once(
    document: dict[str, Any], audit: dict[str, str], words: str
) -> None:
    (told,) = said(Tenant, document, "spec", "audit", value=audit)
    assert told.startswith(words)
