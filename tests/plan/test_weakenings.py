"""What HEAD weakens of the rules that judge it, setting by setting: what counts for this change, what counts from the next, and where it stands."""

from __future__ import annotations

from datetime import date

import pytest

from reconciler.errors import Place
from reconciler.models import Claim, Limits, Tenant, TenantSpec
from reconciler.plan import strictness, without_exceptions
from reconciler.plan.strictness import Weakening, protections, stricter
from tests.support.factories import make_desired

DAY = date(2027, 3, 1)
PLACE = Place("schedules/acme/1.yaml", 1, 1)


def spec(**parts: object) -> TenantSpec:
    return TenantSpec.model_validate({"api": "campaigns", "url": "sandbox:", **parts})


def tenant(owner: str | None = None, **parts: object) -> Tenant:
    return Tenant.model_validate(
        {
            "apiVersion": "cxone.reconciler/v1",
            "kind": "Tenant",
            "metadata": {"owner": owner},
            "spec": {"api": "campaigns", "url": "sandbox:", **parts},
        }
    )


def waiver(**parts: object) -> dict[str, object]:
    return {"rule": "calling-windows", "reason": "pilot", "until": "2027-03-31"} | parts


def limits(**shares: float) -> dict[str, object]:
    return {"reason": "migration", "until": "2027-03-01", **shares}


def test_each_lowered_level_is_named_and_the_base_s_counts() -> None:
    base = spec(policies={"dnc-flag": "warning"})
    head = spec(policies={"dnc-flag": "off", "calling-windows": "info"})
    found = stricter(base, head, DAY)
    rules = {each.setting: each for each in found.weakenings}
    assert rules["policies.dnc-flag"] == Weakening(
        "policies.dnc-flag", "warning", "off", ("spec", "policies", "dnc-flag")
    )
    assert rules["policies.calling-windows"].counts == "error"
    assert found.levels == {"dnc-flag": "warning", "calling-windows": "error"}
    assert len(rules) == 2
    assert stricter(head, base, DAY).levels == {"dnc-flag": "warning"}


@pytest.mark.parametrize("share", [0.4, 0.5])
@pytest.mark.parametrize("until", ["2027-03-02", "9999-12-31"])
def test_a_share_that_stays_raised_for_longer_is_named(until: str, share: float) -> None:
    base = spec(limits=limits(retired_share=0.5))
    head = spec(limits={**limits(retired_share=share), "until": until})
    assert stricter(base, head, DAY).weakenings == (
        Weakening(
            "limits.retired_share",
            "0.5 until 2027-03-01",
            f"{share} until {until}",
            ("spec", "limits", "until"),
        ),
    )
    assert stricter(head, base, DAY).weakenings == (
        ()
        if share == 0.5
        else stricter(spec(limits=limits(retired_share=share)), base, DAY).weakenings
    )


@pytest.mark.parametrize("share", ["changed_share", "retired_share", "loosened_share"])
def test_each_raised_share_is_named_and_the_base_s_counts(share: str) -> None:
    base, head = spec(limits=limits(**{share: 0.4})), spec(limits=limits(**{share: 0.5}))
    found = stricter(base, head, DAY)
    assert found.weakenings == (
        Weakening(f"limits.{share}", "0.4", "0.5", ("spec", "limits", share)),
    )
    assert getattr(found.limits, share) == 0.4
    assert getattr(stricter(head, base, DAY).limits, share) == 0.4
    assert stricter(head, base, DAY).weakenings == ()


@pytest.mark.parametrize("until", ["2027-03-01", "2027-02-28"])
def test_a_share_counts_until_its_last_day(until: str) -> None:
    head = spec(limits={**limits(changed_share=0.5), "until": until})
    found = stricter(spec(), head, DAY)
    assert [each.setting for each in found.weakenings] == (
        ["limits.changed_share"] if until == "2027-03-01" else []
    )


def test_more_requests_and_records_less_safe_count_at_once_and_are_named() -> None:
    base = spec(requests_per_second=5, audit={"sign": True, "mirror": True})
    head = spec(requests_per_second=7.5, audit={"sign": False, "mirror": False})
    assert stricter(base, head, DAY).weakenings == (
        Weakening("requests_per_second (was 5)", "7.5", "7.5", ("spec", "requests_per_second")),
        Weakening("audit.sign (was on)", "off", "off", ("spec", "audit", "sign")),
        Weakening("audit.mirror (was on)", "off", "off", ("spec", "audit", "mirror")),
    )
    assert stricter(head, base, DAY).weakenings == stricter(base, base, DAY).weakenings == ()


def test_a_waiver_counts_for_what_both_waive() -> None:
    base = spec(waivers=[waiver(name="m01", until="2027-03-01")])
    head = spec(waivers=[waiver(rule="dnc-flag", name="m01"), waiver()])
    found = stricter(base, head, DAY)
    assert found.weakenings == (
        Weakening(
            "waivers: dnc-flag",
            "not waived",
            "waived for m01 until 2027-03-31",
            ("spec", "waivers", 0),
        ),
        Weakening(
            "waivers: calling-windows",
            "waived for m01 until 2027-03-01",
            "waived for every manifest until 2027-03-31",
            ("spec", "waivers", 1),
        ),
    )
    (kept,) = found.waivers
    assert (kept.rule, kept.name, kept.until) == ("calling-windows", "m01", DAY)


def test_each_waiver_that_overlaps_is_told() -> None:
    both = [waiver(name="m01", until="2027-03-02"), waiver(name="m02", until="2027-03-03")]
    old = waiver(name="m03", until="2027-02-28")
    (found,) = stricter(spec(waivers=[*both, old]), spec(waivers=[waiver()]), DAY).weakenings
    assert found.counts == "waived for m01 until 2027-03-02; waived for m02 until 2027-03-03"


def test_a_waiver_of_another_manifest_and_one_that_ran_out_weaken_nothing() -> None:
    found = stricter(spec(waivers=[waiver(name="m02")]), spec(waivers=[waiver(name="m01")]), DAY)
    assert [each.counts for each in found.weakenings] == ["not waived"]
    assert found.waivers == ()
    ended = stricter(spec(), spec(waivers=[waiver(until="2027-02-28")]), DAY)
    assert (ended.waivers, ended.weakenings) == ((), ())
    today = stricter(spec(), spec(waivers=[waiver(until="2027-03-01")]), DAY)
    assert len(today.weakenings) == 1


def test_a_waiver_of_what_was_off_or_is_no_rule_is_kept() -> None:
    base = spec(policies={"calling-windows": "off"})
    head = spec(policies={"calling-windows": "off"}, waivers=[waiver(), waiver(rule="no-such")])
    assert stricter(base, head, DAY).waivers == head.waivers
    assert stricter(base, head, DAY).weakenings == ()


def test_without_a_readable_base_nothing_is_excepted() -> None:
    head = spec(policies={"dnc-flag": "off"}, waivers=[waiver()], limits=limits(changed_share=1.0))
    assert without_exceptions(head) == spec()
    assert without_exceptions(head).limits == Limits()


def test_a_weakening_as_json_has_its_place() -> None:
    said = Weakening("owner", "a", "b", (), PLACE).serialised()
    assert said == {
        "setting": "owner",
        "counts": "a",
        "asked": "b",
        "place": "schedules/acme/1.yaml:1:1",
    }
    assert Weakening("owner", "a", "b", ()).serialised()["place"] is None


def test_what_changes_and_weakens_nothing_is_said() -> None:
    off = {"sign": False, "mirror": False}
    base = tenant(requests_per_second=7.5, audit=off)
    head = tenant("dialing", requests_per_second=5, audit={"sign": True, "mirror": True})
    assert strictness.other_changes(base, head) == (
        "tenant.yaml changes owner: nobody → dialing",
        "tenant.yaml changes requests_per_second: 7.5 → 5",
        "tenant.yaml changes audit.sign: off → on",
        "tenant.yaml changes audit.mirror: off → on",
    )
    assert strictness.other_changes(head, base) == ("tenant.yaml changes owner: dialing → nobody",)
    assert strictness.other_changes(head, head) == ()


@pytest.mark.parametrize(
    "parts",
    [
        {"owner": "dialing"},
        {"policies": {"dnc-flag": "off"}},
        {"waivers": [waiver()]},
        {"limits": limits(changed_share=0.5)},
        {"audit": {"sign": True}},
        {"requests_per_second": 7},
    ],
)
def test_whatever_decides_for_the_next_change_changes_strictness(parts: dict[str, object]) -> None:
    head = tenant(**parts)  # type: ignore[arg-type]
    assert strictness.changes_strictness(tenant(), head)
    assert strictness.changes_strictness(head, tenant())
    assert not strictness.changes_strictness(head, head)


# --- protections of manifests -------------------------------------------------------------------------------------------


def claim(key: str, *, name: str | None = None, called: str | None = None, file: str = "") -> Claim:
    place = Place(file or f"schedules/acme/{key}.yaml", 1, 1)
    return Claim(key, name or f"campaign-{key}", place, called)


def test_a_name_that_is_no_longer_checked_still_counts() -> None:
    found = protections([claim("1", called="Spring")], [make_desired("1")])
    assert found.names == {"1": "Spring"}
    (weakened,) = found.weakenings
    assert (weakened.counts, weakened.asked) == ('"Spring"', "not checked")
    assert weakened.setting.endswith(" of campaign-1")
    assert (weakened.loc, weakened.place) == ((), PLACE)


def test_a_name_that_changed_counts_as_it_is_now() -> None:
    found = protections(
        [claim("2", called="Old"), claim("1", called="Spring")],
        [make_desired("1", platform_name="Summer")],
    )
    assert found.names == {}
    (weakened,) = found.weakenings
    assert (weakened.counts, weakened.asked) == ('"Summer" instead of "Spring"', "the same")
    assert weakened.setting.endswith("of campaign-1")
    assert (weakened.loc, weakened.place) == ((), PLACE)


@pytest.mark.parametrize(("was", "now"), [(None, None), (None, "Spring"), ("Spring", "Spring")])
def test_a_name_that_is_kept_or_new_weakens_nothing(was: str | None, now: str | None) -> None:
    head = [make_desired("2", platform_name=now)]
    before = [claim("1", called="Gone"), claim("2", called=was)]
    assert protections(before, head) == strictness.Protections()


def test_a_manifest_of_the_same_name_that_names_another_object_needs_that_ones_name() -> None:
    found = protections([claim("1", name="spring")], [make_desired("2", name="spring")])
    assert found.repointed == {"2": "1"}
    assert found.weakenings == (
        Weakening(
            "spring was 1, is now 2",
            "only by the name that the platform has",
            "2",
            (),
            Place("schedules/acme/2.yaml", 1, 1),
        ),
    )


def test_a_manifest_that_changed_its_name_too_is_known_by_its_file() -> None:
    place = Place("schedules/acme/a.yaml", 1, 1)
    moved = make_desired("2", name="summer", place=place)
    was = claim("1", name="spring", file=place.file)
    assert protections([was], [moved]).repointed == {"2": "1"}
    assert protections([was, claim("2")], [moved]).repointed == {}, "somebody claimed it before"
    kept = make_desired("1", name="spring-renewals")
    assert protections([was], [moved, kept]).repointed == {}, "its old id is claimed still"
    elsewhere = make_desired("2", name="summer")
    assert protections([was], [elsewhere]).repointed == {}
