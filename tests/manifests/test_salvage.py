"""What an emergency stop can take out of files that are not valid."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ManifestError
from reconciler.manifests import claims_of, load, load_readable, salvage
from tests.support.bodies import manifest_text

TENANT = (
    'apiVersion: cxone.reconciler/v1\nkind: Tenant\nspec:\n  api: campaigns\n  url: "sandbox:"\n'
)
GOOD = manifest_text("spring", campaign_id="1001")


def folder(tmp_path: Path, text: str | bytes, tenant: str = TENANT) -> Path:
    where = tmp_path / "acme"
    where.mkdir()
    (where / "tenant.yaml").write_text(tenant)
    (where / "file-name.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ManifestError):
        load(where)
    return where


def claimed(where: Path, *mentioning: str) -> set[tuple[str, str]]:
    found = load_readable(where, mentioning=mentioning, older=lambda _: ())
    return {(each.name, each.key) for each in claims_of(found)}


CONFLICT = GOOD.replace(
    '  campaign_id: "1001"\n',
    '<<<<<<< HEAD\n  campaign_id: "1001"\n=======\n  campaign_id: "1002"\n>>>>>>> theirs\n',
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD.replace("dial_rate:", "dial_rats:"), {("spring", "1001")}),
        (GOOD + "\tx: [", {("spring", "1001")}),
        (GOOD.replace("kind: CampaignSchedule", "kind: Campaign"), {("spring", "1001")}),
        (GOOD.replace('"1001"', "1001  # ours"), {("spring", "1001")}),
        (GOOD.replace("name: spring", "nam: spring"), {("file-name", "1001")}),
        (GOOD.replace('campaign_id: "1001"', "campaign: 1"), set()),
        (GOOD.replace("dial_rate", "# campaign_id: 9\n  x"), {("spring", "1001")}),
        (CONFLICT, {("spring", "1001"), ("spring", "1002")}),
        (GOOD.encode() + b"\xff\xfe", {("spring", "1001")}),
        ('{metadata: {name: spring}, spec: {"campaign_id": "1001", x', {("spring", "1001")}),
        (
            f"{GOOD}---\n{GOOD}".replace("1001", "1002", 1) + "[",
            {("spring", "1002"), ("spring", "1001")},
        ),
    ],
)
def test_an_invalid_manifest_still_names_its_object(tmp_path: Path, text: str, found: set) -> None:
    where = folder(tmp_path, text)
    assert claimed(where) == found
    assert claimed(where, "spring", "file-name") == found


def test_a_valid_manifest_is_not_guessed_at(tmp_path: Path) -> None:
    where = folder(tmp_path, "kind: [a\n")
    (where / "good.yaml").write_text(GOOD)
    assert claimed(where) == set()


@given(st.text(max_size=200), st.integers(0, 400))
def test_whatever_is_put_into_a_manifest_no_other_id_is_taken_from_it(text: str, at: int) -> None:
    """A text that holds no id of its own adds none, wherever it stands."""
    broken = GOOD[:at] + text.replace(":", ";") + GOOD[at:]
    keys = set(salvage._values(broken, "campaign_id", r"[0-9]{1,20}"))
    assert all(key in broken for key in keys)
    assert len(keys) <= 1


@pytest.mark.parametrize(
    "tenant",
    [
        TENANT.replace("kind: Tenant", "kind: Tenants"),
        TENANT + "  requests_per_second: fast\n",
        TENANT + "\t]",
        TENANT.replace('"sandbox:"', "'sandbox:'") + "  profiles: 5\n",
    ],
)
def test_an_invalid_tenant_yaml_still_names_its_platform(tmp_path: Path, tenant: str) -> None:
    where = folder(tmp_path, GOOD, tenant)
    found = load_readable(where, older=lambda _: ())
    assert (found.tenant.spec.api, found.tenant.spec.url) == ("campaigns", "sandbox:")
    assert [each.key for each in found.desired] == ["1001"]


@pytest.mark.parametrize(
    "tenant",
    [
        "kind: Tenant\n",
        TENANT + "  [\n  url: https://other.example\n",
        TENANT.replace("api", "apo"),
    ],
)
def test_a_tenant_yaml_that_names_no_platform_or_two_is_refused(
    tmp_path: Path, tenant: str
) -> None:
    where = folder(tmp_path, GOOD, tenant)
    with pytest.raises(ManifestError):
        load_readable(where, older=lambda _: ())


def test_only_a_stop_guesses_the_platform(tmp_path: Path) -> None:
    where = folder(tmp_path, GOOD, TENANT + "\t]")
    with pytest.raises(ManifestError):
        load_readable(where)
