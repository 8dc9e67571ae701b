"""What is said of a wrong manifest: from the text in the file, one error for one cause, and no guess where a guess could call people at night."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from reconciler import manifests, policies
from reconciler.errors import ManifestError, safe
from reconciler.models import MANIFESTS, Tenant, zone
from reconciler.models.explain import FieldType
from reconciler.models.zones import iana_name, zone_names

CAMPAIGN = """\
apiVersion: cxone.reconciler/v1
kind: CampaignSchedule
metadata:
  name: spring
  owner: retention
spec:
  campaign_id: "1001"
  timezone: America/New_York
  start_time: "2027-03-08 09:00"
  end_time: "2027-03-19 20:00"
  dial_rate: 2.0
  max_concurrent_calls: 20
  dnc_verification: true
  compliance_windows:
    - {timezone: America/New_York, start_hour: 9, end_hour: 20}
"""
SKILL = """\
apiVersion: cxone.reconciler/v1
kind: SkillSchedule
metadata:
  name: renewals
  owner: retention
spec:
  skill_id: "4001"
  timezone: America/New_York
  run_window:
    daily: {start: "09:00", end: "20:00"}
  calling_windows:
    - {timezone: America/New_York, start: "09:00", end: "20:00"}
  maximum_ratio: 1.2
  aggressiveness: "5"
  block_multiple_calls: true
  percentage_of_agents_before_overdial: 10
  abandon_rate_threshold: 3
  override_business_unit_abandon_rate: true
  maximum_ringing_duration_s: 25
  dnc_groups: ["7001"]
"""
TENANT = "apiVersion: cxone.reconciler/v1\nkind: Tenant\nspec: {{api: {api}, url: 'https://x.example'}}\n"


def said(tmp_path: Path, text: str, api: str = "campaigns") -> list[str]:
    """Return what is said of a manifest, without its place; nothing when it is right."""
    folder = tmp_path / "acme"
    folder.mkdir(exist_ok=True)
    if api == "personal-connection":
        api += ", version: 33"
    (folder / "tenant.yaml").write_text(TENANT.format(api=api))
    (folder / "a.yaml").write_text(text, "utf-8")
    try:
        manifests.load(folder)
    except ManifestError as error:
        return [str(problem).partition(" ")[2] for problem in error.problems]
    return []


def with_line(key: str, line: str, text: str = CAMPAIGN) -> str:
    """Return a manifest with another line for a key; none of it for an empty one."""
    return "".join(
        ("" if not line else f"{old[: len(old) - len(old.lstrip())]}{line}\n")
        if old.strip().startswith(f"{key}:")
        else old
        for old in text.splitlines(keepends=True)
    )


# --- the hint is built from the file's own text ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["1001", "1e3", "1.0e3", "0x10", "010", "0o10", "1_000", "+7", "1.50", "12345678901234567890"],
)
def test_a_number_that_should_be_text_is_quoted_as_it_stands(tmp_path: Path, text: str) -> None:
    """As an owner any text is right; so the hint is what was written, and with it the manifest is right."""
    [message] = said(tmp_path, with_line("owner", f"owner: {text}"))
    assert f'in quotes, "{text}"' in message
    assert said(tmp_path, with_line("owner", f'owner: "{text}"')) == []


@pytest.mark.parametrize("text", ["yes", "no", "on", "2027-03-31", "12:30:00"])
def test_words_and_dates_are_text_without_quotes(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, with_line("owner", f"owner: {text}")) == []


def test_an_id_that_reads_as_a_number_is_shown_and_quoted_as_it_stands(tmp_path: Path) -> None:
    [message] = said(tmp_path, with_line("campaign_id", "campaign_id: 1e3"))
    assert message.endswith('not 1e3: put it in quotes, "1e3"')
    assert "1000" not in message
    [message] = said(tmp_path, with_line("owner", "owner: True"))
    assert message.endswith('not true: put it in quotes, "True"')


def test_no_hint_leads_to_the_next_error(tmp_path: Path) -> None:
    """Quotes make no zone of a number, no id of a fraction, and nothing whole of a text that is none."""
    for key, line in (
        ("timezone", "timezone: 5"),
        ("campaign_id", "campaign_id: 10.5"),
        ("max_concurrent_calls", 'max_concurrent_calls: "2e1"'),
    ):
        assert "put it in quotes" not in said(tmp_path, with_line(key, line))[0]
        assert "without quotes" not in said(tmp_path, with_line(key, line))[0]


def test_a_profiles_value_is_quoted_from_the_profile(tmp_path: Path) -> None:
    folder = tmp_path / "acme"
    folder.mkdir()
    profile = "  profiles: {us: {spec: {dial_rate: 1e3}}}\n"
    tenant = (
        TENANT.format(api="campaigns")
        .replace("spec: {api", "spec:\n  api")
        .replace(", url", "\n  url")
        .replace("'}", "'")
    )
    (folder / "tenant.yaml").write_text(tenant + profile)
    text = with_line("dial_rate", "", with_line("owner", "profile: us"))
    (folder / "a.yaml").write_text(text)
    with pytest.raises(ManifestError) as raised:
        manifests.load(folder)
    [problem] = raised.value.problems
    assert problem.message.endswith("not 1e3")
    assert problem.place.file.endswith("tenant.yaml")


@pytest.mark.parametrize("start", ["9:00", "09:00"])
def test_a_clock_in_flow_style_says_put_it_in_quotes(tmp_path: Path, start: str) -> None:
    windows = f"calling_windows: [{{timezone: America/New_York, start: {start}, end: '20:00'}}]"
    text = f"kind: SkillSchedule\nspec:\n  {windows}\n"
    [message] = said(tmp_path, text)
    assert f'put it in quotes, "{start}"' in message
    [message] = said(tmp_path, "kind: {start:nine}\n")
    assert "start: nine" in message


# --- values with legal effect: no value is guessed ------------------------------------------------------------------------

LEGAL = (
    *("timezone", "start_time", "end_time", "dnc_verification", "compliance_windows"),
    *("jurisdictions", "purpose", "start_hour", "end_hour"),
)
"""Keys whose value decides who may be called, and when."""


@pytest.mark.parametrize(
    "name",
    [
        "UTC+5",
        "UTC-05:00",
        "GMT+5",
        "EST5",
        "Etc/GMT+55",
        "PST",
        "Eastern",
        "East",
        "South",
        "General",
        "ACT",
        "Hawaii",
        "America/East",
        "America/Boston",
        "Etc/GMT+0O",
    ],
)
def test_no_zone_is_guessed(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone") as raised:
        zone(name)
    advice = str(raised.value).partition("; ")[2]
    assert advice == "write the zone of a city, such as America/New_York"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("America/New_Yrok", "America/New_York"),
        ("America/NewYork", "America/New_York"),
        ("Europe/Londom", "Europe/London"),
        ("US/Estern", "US/Eastern"),
        ("America/Indiana/Indianpolis", "America/Indiana/Indianapolis"),
        ("Amerca/New_York", "America/New_York"),
        ("posix/America/New_York", "America/New_York"),
        ("New York", "America/New_York"),
        ("Sydney", "Australia/Sydney"),
        ("Montreal", "America/Montreal"),
    ],
)
def test_a_misspelled_place_leads_to_a_question(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone") as raised:
        zone(name)
    assert str(raised.value).endswith(f"; did you mean {meant}?")


@given(st.sampled_from(sorted(zone_names())), st.integers(0, 30), st.sampled_from("aZ+-/1_ "))
def test_only_a_place_is_suggested(name: str, at: int, char: str) -> None:
    """One character more: the same name, or a place that has the same region or the same city."""
    odd = name[:at] + char + name[at:]
    if odd in zone_names() or iana_name(odd) != odd:
        return
    with pytest.raises(ValueError, match="is not an IANA time zone") as raised:
        zone(odd)
    advice = str(raised.value).partition("; ")[2]
    same = [each for each in zone_names() if each.lower() == odd.lower().replace(" ", "_")]
    assert advice.startswith("IANA writes it") == bool(same)
    if found := re.fullmatch(r"did you mean (\S+)\?", advice):
        region, _, city = found[1].rpartition("/")
        assert region not in {"", "Etc"}
        written = odd.replace(" ", "_").rpartition("/")
        assert region == written[0] or city.lower() == written[2].lower()


@pytest.mark.parametrize(
    ("windows", "iana"),
    [
        ("Eastern Standard Time", "America/New_York"),
        ("GMT Standard Time", "Europe/London"),
        ("W. Europe Standard Time", "Europe/Berlin"),
    ],
)
def test_a_windows_name_gets_its_iana_zone(tmp_path: Path, windows: str, iana: str) -> None:
    for text, api in ((CAMPAIGN, "campaigns"), (SKILL, "personal-connection")):
        lines = text.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("  timezone:"))
        lines[at] = f"  timezone: {windows}"
        [message] = said(tmp_path, "\n".join(lines) + "\n", api)
        assert message.endswith(f"it is a Windows name, for which IANA has {iana}")


@pytest.mark.parametrize(
    "line",
    [
        "timezone: UTC+5",
        "start_time: 2027-3-8 9:00",
        "dnc_verification: ture",
        "compliance_windows: [{timezone: Central, start_hour: 9, end_hour: 20}]",
        "compliance_windows: [{timezone: America/Chicago, start_hour: 9am, end_hour: 20}]",
    ],
)
def test_a_value_with_legal_effect_has_no_did_you_mean(tmp_path: Path, line: str) -> None:
    text = with_line("- {timezone", "", with_line(line.partition(":")[0], line))
    text = text if "windows" in line else with_line(line.partition(":")[0], line)
    text = "".join(
        each
        for each in text.splitlines(keepends=True)
        if "windows" not in line or "- {" not in each
    )
    messages = said(tmp_path, text)
    assert len(messages) == 1
    assert "mean" not in messages[0]
    assert line.partition(":")[0] in LEGAL


# --- names that look alike ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\N{CYRILLIC CAPITAL LETTER A}merica/New_York", "\\u0410merica/New_York"),
        (unicodedata.normalize("NFD", "América/Bahia"), "Ame\\u0301rica/Bahia"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER U}TC", "\\uff35TC"),
    ],
)
def test_a_look_alike_is_shown_escaped(tmp_path: Path, name: str, shown: str) -> None:
    [message] = said(tmp_path, with_line("timezone", f"timezone: {name}"))
    assert shown in message


@pytest.mark.parametrize("char", ["\u00a0", "\u200b", "\u202f"])
def test_a_space_that_is_none_is_named(tmp_path: Path, char: str) -> None:
    [message] = (
        said(tmp_path, with_line("owner", f"owner: a{char}b")) if char != "\u202f" else [safe(char)]
    )
    assert f"{ord(char):04x}" in message.lower()


def test_a_key_with_a_foreign_letter_is_one_error_that_shows_it(tmp_path: Path) -> None:
    [message] = said(tmp_path, CAMPAIGN.replace("dial_rate", "di\N{CYRILLIC SMALL LETTER A}l_rate"))
    assert message == 'unknown key "di\\u0430l_rate" in spec: did you mean dial_rate?'


def test_names_of_one_script_stay_legible() -> None:
    for name in ("Škoda, Málaga", "Москва", "Ελλάδα", "東京タワー", "สวัสดี", "山田\u3000太郎"):
        assert safe(name) == name
    assert safe(unicodedata.normalize("NFD", "Café")) != safe("Café") == "Café"


# --- one cause, one error -------------------------------------------------------------------------------------------------


def keys_of(text: str) -> list[str]:
    lines = text.splitlines()
    return [
        line.strip().partition(":")[0]
        for line in lines
        if line.startswith("  ")
        and not line.startswith("    ")
        and ":" in line
        and "#" not in line[:4]
    ]


@pytest.mark.parametrize(
    ("text", "api"), [(CAMPAIGN, "campaigns"), (SKILL, "personal-connection")], ids=["c", "s"]
)
def test_one_slip_is_one_error(tmp_path: Path, text: str, api: str) -> None:
    """Each key in turn: misspelt."""
    assert said(tmp_path, text, api) == []
    for key in keys_of(text):
        misspelt = said(tmp_path, text.replace(f"  {key}:", f"  {key}x:", 1), api)
        assert len(misspelt) == 1, misspelt
        assert f"did you mean {key}?" in misspelt[0]


def test_a_key_in_the_wrong_section_is_one_error_that_says_where_it_belongs(
    tmp_path: Path,
) -> None:
    moved = with_line("dial_rate", "").replace("metadata:\n", "metadata:\n  dial_rate: 2.0\n")
    assert said(tmp_path, moved) == ['unknown key "dial_rate" in metadata: it belongs in spec']
    moved = with_line("owner", "").replace("spec:\n", "spec:\n  owner: retention\n")
    assert said(tmp_path, moved) == ['unknown key "owner" in spec: it belongs in metadata']


def test_a_wrong_zone_is_no_second_error_of_what_is_read_in_it(tmp_path: Path) -> None:
    assert len(said(tmp_path, with_line("timezone", "timezone: Mars/Base"))) == 1
    assert len(said(tmp_path, with_line("start_time", "start_time: soon"))) == 1


def test_tabs_are_one_error(tmp_path: Path) -> None:
    messages = said(tmp_path, CAMPAIGN.replace("  ", "\t"))
    assert len(messages) == 1
    assert "tab" in messages[0]


# --- what hints name exists -----------------------------------------------------------------------------------------------


def test_a_hint_names_only_rules_that_exist() -> None:
    def words(model: type[BaseModel]) -> list[str]:
        found = []
        for field in model.model_fields.values():
            spots: list[Any] = [FieldType(field.annotation, tuple(field.metadata))]
            while spots:
                spot = spots.pop()
                found.append(spot.expected)
                if spot.model is not None:
                    found += words(spot.model)
                elif (part := spot.at(0)).model is not None or part.expected != spot.expected:
                    spots.append(part)
        return found

    told = [text for model in (Tenant, *MANIFESTS.values()) for text in words(model)]
    named = [text.rpartition("such as ")[2] for text in told if "id of a rule" in text]
    assert named
    assert set(named) <= set(policies.POLICIES)


def test_a_list_whose_only_window_is_wrong_is_no_empty_list(tmp_path: Path) -> None:
    wrong = SKILL.replace(
        'start: "09:00", end: "20:00"}\n  maximum', 'start: "09:00", end: "08:59"}\n  maximum'
    )
    (found,) = said(tmp_path, wrong, "personal-connection")
    assert found.startswith("calling_windows[0].end must be after start 09:00")
    empty = SKILL.replace(
        'calling_windows:\n    - {timezone: America/New_York, start: "09:00", end: "20:00"}',
        "calling_windows: []",
    )
    (found,) = said(tmp_path, empty, "personal-connection")
    assert found.startswith("calling_windows must be a list of at least one window")
