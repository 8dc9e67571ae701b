"""A change may not weaken its own judge: the stricter of base and HEAD counts, and what is weakened counts from the next change on."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import policies, sandbox
from reconciler.git import Git, worktree
from reconciler.ledger import Ledger
from reconciler.models import Limits, TenantSpec, Waiver
from reconciler.plan import stricter, without_exceptions
from reconciler.policies import POLICIES
from reconciler.policies.base import Finding, Level
from reconciler.world import here
from tests.support.bodies import manifest_text
from tests.support.desk import Desk, commit, git, served

DAY = date(2027, 3, 1)
SHARES = ("changed_share", "retired_share", "loosened_share")
RULES = ("calling-windows", "dnc-flag")
NAMES = ("m01", "m02")

# --- laws ---------------------------------------------------------------------------------------------------------------

_waivers = st.builds(
    Waiver,
    rule=st.sampled_from([*RULES, "no-such-rule"]),
    name=st.sampled_from([None, *NAMES]),
    reason=st.just("pilot"),
    until=st.sampled_from([DAY + timedelta(days=days) for days in (-1, 0, 1, 9)]),
)
_shares = st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0])
_limits = st.builds(
    Limits,
    changed_share=_shares,
    retired_share=_shares,
    loosened_share=_shares,
    reason=st.just("migration"),
    until=st.sampled_from([DAY - timedelta(days=1), DAY]),
)
_specs = st.builds(
    TenantSpec,
    api=st.just("campaigns"),
    url=st.just("sandbox:"),
    policies=st.dictionaries(
        st.sampled_from([*RULES, "no-such-rule"]),
        st.sampled_from(["error", "warning", "info", "off"]),
    ),
    waivers=st.lists(_waivers, max_size=4).map(tuple),
    limits=_limits,
)


def strictness_of(spec_levels, waivers, finding: Finding) -> int:
    """Return how hard a finding is judged: 0 is not at all."""
    standing = [waiver for waiver in waivers if waiver.until >= DAY]
    own = POLICIES[finding.rule].LEVEL
    judged = policies._judged(finding, own, spec_levels.get(finding.rule), standing)
    order = [None, Level.INFO, Level.WARNING, Level.ERROR]
    return order.index(None if judged is None else judged.level)


@given(
    _specs,
    _specs,
    st.sampled_from(RULES),
    st.sampled_from([*NAMES, ""]),
    st.sampled_from(list(Level)),
)
def test_what_counts_is_never_laxer_than_either(base, head, rule, name, level):
    strictness = stricter(base, head, DAY)
    own = POLICIES[rule].LEVEL
    finding = Finding(rule, max(level, own, key=list(Level).index), "m", name=name)
    counts = strictness_of(strictness.levels, strictness.waivers, finding)
    assert counts >= strictness_of(base.policies, base.waivers, finding)
    assert counts >= strictness_of(head.policies, head.waivers, finding)
    for share in SHARES:
        for spec in (base, head):
            assert getattr(strictness.limits, share) <= getattr(spec.limits.on(DAY), share)


@given(_specs)
def test_a_spec_weakens_nothing_of_itself_and_counts_as_it_stands(spec):
    strictness = stricter(spec, spec, DAY)
    assert strictness.weakenings == ()
    assert (strictness.levels, strictness.waivers) == (spec.policies, spec.waivers)
    assert strictness.limits == spec.limits.on(DAY)


@given(_specs, _specs)
def test_what_counts_weakens_nothing_and_is_its_own_stricter(base, head):
    strictness = stricter(base, head, DAY)
    again = head.model_copy(
        update={
            "policies": strictness.levels,
            "waivers": strictness.waivers,
            "limits": strictness.limits,
        }
    )
    second = stricter(base, again, DAY)
    assert second.weakenings == ()
    assert (second.levels, second.waivers) == (strictness.levels, strictness.waivers)
    assert second.limits == strictness.limits


@given(_specs, _specs)
def test_where_nothing_is_weakened_head_counts_as_it_stands(base, head):
    strictness = stricter(base, head, DAY)
    if not strictness.weakenings:
        assert strictness.levels == head.policies
        assert strictness.limits == head.limits.on(DAY)
        standing = [waiver for waiver in head.waivers if waiver.until >= DAY]
        assert [waiver for waiver in strictness.waivers if waiver.until >= DAY] == standing


# --- examples -----------------------------------------------------------------------------------------------------------


def spec(**parts) -> TenantSpec:
    return TenantSpec.model_validate({"api": "campaigns", "url": "sandbox:", **parts})


def waiver(**parts):
    return {"rule": "calling-windows", "reason": "pilot", "until": "2027-03-31"} | parts


def said(base, head, day=DAY):
    return [
        (each.setting, each.counts, each.asked) for each in stricter(base, head, day).weakenings
    ]


def test_a_rule_of_ones_own_level_is_weakened_by_setting_a_lower_one():
    strictness = stricter(spec(), spec(policies={"calling-windows": "off"}), DAY)
    assert strictness.levels == {"calling-windows": "error"}
    assert said(spec(), spec(policies={"calling-windows": "off"})) == [
        ("policies.calling-windows", "error", "off")
    ]


def test_a_raised_level_that_is_taken_back_still_counts():
    base = spec(policies={"dnc-flag": "error"})
    assert stricter(base, spec(), DAY).levels == {"dnc-flag": "error"}
    assert said(base, spec()) == [("policies.dnc-flag", "error", "warning")]


def test_a_tightening_counts_at_once():
    base = spec(waivers=[waiver()], policies={"dnc-flag": "off"})
    head = spec(policies={"dnc-flag": "error"}, limits={"changed_share": 0.1})
    strictness = stricter(base, head, DAY)
    assert strictness.weakenings == ()
    assert strictness.levels == {"dnc-flag": "error"}
    assert strictness.waivers == ()
    assert strictness.limits.changed_share == 0.1


def test_a_waiver_counts_as_far_as_both_reach():
    base = spec(waivers=[waiver(name="m01"), waiver(name="m02", until="2027-03-10")])
    strictness = stricter(base, spec(waivers=[waiver(until="2027-12-31")]), DAY)
    assert [(each.name, str(each.until)) for each in strictness.waivers] == [
        ("m01", "2027-03-31"),
        ("m02", "2027-03-10"),
    ]
    (weakening,) = strictness.weakenings
    assert weakening.asked == "waived for every manifest until 2027-12-31"
    assert weakening.counts == "waived for m01 until 2027-03-31; waived for m02 until 2027-03-10"
    assert weakening.loc == ("spec", "waivers", 0)


def test_a_narrower_or_shorter_waiver_is_no_weakening():
    base = spec(waivers=[waiver()])
    assert said(base, spec(waivers=[waiver(name="m01", until="2027-03-02")])) == []


def test_a_waiver_that_ran_out_is_not_extended_by_the_change_that_needs_it():
    base = spec(waivers=[waiver(until="2027-02-28")])
    head = spec(waivers=[waiver()])
    assert said(base, head) == [
        ("waivers: calling-windows", "not waived", "waived for every manifest until 2027-03-31")
    ]


def test_a_waiver_that_ran_out_weakens_nothing():
    assert said(spec(), spec(waivers=[waiver(until="2027-02-28")])) == []


def test_a_rule_that_was_off_may_be_switched_on_with_a_waiver():
    base = spec(policies={"calling-windows": "off"})
    head = spec(waivers=[waiver(name="m01")])
    assert said(base, head) == []
    assert len(stricter(base, head, DAY).waivers) == 1


def test_a_waiver_for_a_rule_that_does_not_exist_is_kept_so_that_it_is_refused():
    head = spec(waivers=[waiver(rule="caling-windows")])
    assert stricter(spec(), head, DAY).waivers == head.waivers


def test_a_raised_limit_counts_later_and_one_that_ran_out_not_at_all():
    raised = {"changed_share": 0.6, "reason": "migration", "until": "2027-03-31"}
    assert said(spec(), spec(limits=raised)) == [("limits.changed_share", "0.3", "0.6")]
    assert said(spec(), spec(limits=raised), date(2027, 4, 1)) == []
    assert said(spec(limits=raised), spec(limits=raised | {"until": "2027-05-31"})) == [
        ("limits.changed_share", "0.6 until 2027-03-31", "0.6 until 2027-05-31")
    ]
    assert said(spec(limits=raised), spec(limits=raised | {"until": "2027-03-30"})) == []


def test_without_a_readable_base_no_exception_counts():
    head = spec(policies={"dnc-flag": "off"}, waivers=[waiver()], limits={"changed_share": 0.1})
    strictness = stricter(without_exceptions(head), head, DAY)
    assert strictness.levels == {"dnc-flag": "warning"}
    assert strictness.waivers == ()
    assert strictness.limits.changed_share == 0.1


# --- the command line ---------------------------------------------------------------------------------------------------

PATH = "schedules/acme"
TENANT = """\
apiVersion: cxone.reconciler/v1
kind: Tenant
spec:
  api: campaigns
  url: "sandbox:"
  requests_per_second: 1000
"""
SPAN = {"start_time": "2027-03-08 09:00", "end_time": "2027-03-19 20:00"}
RAISED = "  limits: {changed_share: 0.6, reason: migration, until: 2027-03-31}\n"
WINDOW = "compliance_windows:\n    - {timezone: America/New_York, start_hour: 9, end_hour: 20}"
OFF = "  policies: {calling-windows: 'off'}\n"
WAIVED = "  waivers: [{rule: calling-windows, name: m01, reason: pilot, until: 2027-03-31}]\n"


class Office(Desk):
    """A desk with one tenant of ten campaigns, all of them applied."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(folder, capsys)
        self.tenant = folder / "schedules" / "acme"

    def set(self, *lines: str) -> None:
        """Write tenant.yaml with some lines more."""
        (self.tenant / "tenant.yaml").write_text(TENANT + "".join(lines), encoding="utf-8")

    def slow_down(self, manifests: int) -> None:
        """Lower the dial rate of so many manifests."""
        for number in range(1, manifests + 1):
            self.edit("dial_rate: 3.0", "dial_rate: 2.0", f"m{number:02}.yaml")

    def commit(self) -> str:
        commit(self.folder)
        return git(self.folder, "rev-parse", "HEAD").strip()

    def apply(self, *more: str) -> int:
        return self.run("apply", "--yes", PATH, *more)

    def plan(self, *more: str) -> int:
        return self.run("plan", "--detailed-exitcode", PATH, *more)


@pytest.fixture
def world(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sandbox.CampaignState]:
    """Ten campaigns over loopback, two weeks before they dial."""
    state = tmp_path_factory.mktemp("world") / "world.db"
    world = sandbox.CampaignState.open(state, clock="2027-03-01T12:00:00Z")
    world.configure(activation_s=0, requests_per_second=0)
    campaigns = [f"10{number:02}" for number in range(1, 11)]
    for each in campaigns:
        world.put_campaign(each)
    world.put_list("dnc-us", campaign_ids=campaigns)
    with served(world, monkeypatch):
        yield world


@pytest.fixture
def office(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    world: sandbox.CampaignState,
) -> Office:
    git(tmp_path, "init", "-q")
    office = Office(tmp_path, capsys)
    office.tenant.mkdir(parents=True)
    office.set()
    for number in range(1, 11):
        key, rate = f"10{number:02}", {"dial_rate": 3.0, "max_concurrent_calls": 100}
        text = manifest_text(f"m{number:02}", campaign_id=key, **rate, **SPAN)
        (office.tenant / f"m{number:02}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    office.commit()
    assert office.apply() == 0, office.out + office.err
    assert "Weakened" not in office.out
    return office


def test_a_change_that_raises_the_limit_it_would_pass_is_refused(
    office: Office, world: sandbox.CampaignState
):
    before = world.executed()
    office.set(RAISED)
    office.slow_down(5)
    office.commit()
    assert office.plan() == 5
    assert "apply would refuse this: 5 of 10 objects would be changed" in office.out
    for _ in range(2):  # asking twice is no second change
        assert "the limit is 30%" in office.says(5, "apply", "--yes", PATH)
    assert world.executed() == before


def test_the_limit_alone_is_applied_first_and_then_the_change_passes(
    office: Office, world: sandbox.CampaignState
):
    before = world.executed()
    office.set(RAISED)
    raised = office.commit()
    assert office.plan() == 2
    assert "No changes. apply will record the weakened settings." in office.out
    assert office.apply() == 0
    assert "No changes. Recorded: the weakened settings." in office.out
    assert "limits.changed_share" in office.out
    assert office.plan() == 0
    notes = git(office.folder, "log", "-1", "--notes=reconcile/sandbox/acme", raised)
    assert "weakened from the next change on: limits.changed_share" in notes
    office.slow_down(5)
    office.commit()
    assert office.apply() == 0
    assert "Weakened" not in office.out
    assert world.executed() == before + 5
    world.pin("2027-04-01T00:00:00Z")  # the limit has ended by the platform's clock alone
    for number in range(6, 11):
        office.edit("dial_rate: 3.0", "dial_rate: 2.0", f"m{number:02}.yaml")
    office.commit()
    assert office.apply() == 5
    assert world.executed() == before + 5


def test_an_apply_that_is_repeated_records_the_weakening_once(office: Office):
    office.set(RAISED)
    office.commit()
    assert office.apply() == 0
    recorded = office.records()
    assert office.apply() == 0
    assert office.records() == recorded


def test_what_is_weakened_is_shown_first_with_its_line_in_every_format(office: Office):
    office.set(OFF, RAISED)
    office.slow_down(2)
    office.commit()
    assert office.plan() == 2
    at = office.out.index
    assert at("Weakened rules") < at("policies.calling-windows") < at("limits.changed_share")
    assert at("limits.changed_share") < at("Changes")
    assert f"{PATH}/tenant.yaml:8" in office.out
    assert office.plan("--format", "markdown") == 2
    assert office.out.index("Weakened rules") < office.out.index("Changes")
    assert office.plan("--format", "html") == 2
    assert office.out.index("Weakened rules") < office.out.index("Changes")
    assert office.plan("--format", "github") == 2
    assert office.out.splitlines()[1].startswith(f"::warning file={PATH}/tenant.yaml,line=7,")
    assert office.plan("--format", "json") == 2
    assert json.loads(office.out)["weakenings"][1] == {
        "setting": "limits.changed_share",
        "counts": "0.3",
        "asked": "0.6",
        "place": f"{PATH}/tenant.yaml:8:27",
    }
    assert office.run("validate", "--online", PATH) == 0
    assert "limits.changed_share" in office.out
    assert office.apply("--format", "markdown") == 0
    assert office.out.index("Weakened rules") < office.out.index("Outcomes")


@pytest.mark.parametrize("weaker", [OFF, WAIVED])
def test_a_rule_that_is_weakened_with_the_change_it_would_stop_stops_it(
    office: Office, world: sandbox.CampaignState, weaker: str
):
    before = world.executed()
    office.set(weaker)
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.edit("dial_rate: 3.0", "dial_rate: 2.0", "m02.yaml")
    office.commit()
    assert office.plan() == 5
    assert office.run("validate", "--online", PATH) == 5
    for code in (3, 5):  # the second time HEAD was applied already, and is still the same change
        assert office.apply() == code
        assert "calling-windows" in office.out
    assert world.executed("1001") == 1
    assert world.executed() == before + 1


@pytest.mark.parametrize("weaker", [OFF, WAIVED])
def test_a_rule_that_was_weakened_by_an_earlier_change_lets_the_next_one_pass(
    office: Office, world: sandbox.CampaignState, weaker: str
):
    office.set(weaker)
    office.commit()
    assert office.apply() == 0
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    assert office.plan() == 5  # not committed yet, and the next change all the same
    assert "blocked by" not in office.out
    office.commit()
    assert office.plan() == 2
    assert office.apply() == 0
    assert world.executed("1001") == 2


def test_a_waiver_that_stands_beside_what_it_waives_can_take_effect_at_all(office: Office):
    """What is wrong already keeps an apply at 5; the waiver for it must still be recorded, or it never counts."""
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.commit()
    assert office.apply() == 5
    office.set(WAIVED)
    office.commit()
    assert office.apply() == 5
    office.edit("dial_rate: 3.0", "dial_rate: 2.0", "m02.yaml")
    office.commit()
    assert office.apply() == 0


def test_a_change_that_its_own_waiver_cannot_pass_is_not_passed_by_an_empty_commit(office: Office):
    """The refused commit does not judge the next one; the waiver alone does, and then the change passes."""
    office.set(WAIVED)
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.commit()
    assert office.apply() == 5
    git(office.folder, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert office.apply() == 5
    assert "will not count for the next change either" in office.out
    office.edit("compliance_windows: []", WINDOW, "m01.yaml")
    office.commit()
    assert office.apply() == 0
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.commit()
    assert office.apply() == 0


def test_an_apply_of_other_manifests_makes_no_weakening_count(office: Office):
    office.set(WAIVED)
    office.edit(WINDOW, "compliance_windows: []", "m01.yaml")
    office.commit()
    assert office.run("apply", "--yes", PATH, "m02") == 0
    git(office.folder, "commit", "-q", "--allow-empty", "-m", "nothing")
    assert office.apply() == 5


def test_a_tightened_rule_counts_for_the_change_that_tightens_it(office: Office):
    office.set("  limits: {changed_share: 0.1}\n")
    office.slow_down(2)
    office.commit()
    assert "the limit is 10%" in office.says(5, "apply", "--yes", PATH)


def test_a_stale_approval_records_no_weakening(office: Office):
    office.set(RAISED)
    office.commit()
    recorded = office.records()
    assert office.run("apply", "--expect", "0" * 64, PATH) == 4
    assert office.records() == recorded


def test_a_folder_that_moved_keeps_its_base(office: Office):
    office.set(WAIVED)
    office.commit()
    assert office.apply() == 0
    moved = office.folder / "fleet" / "acme"
    moved.parent.mkdir()
    shutil.move(office.tenant, moved)
    office.commit()
    assert office.run("plan", "--detailed-exitcode", "fleet/acme") == 0
    assert "cannot be read" not in office.out


def test_a_cut_history_that_no_remote_continues_is_an_error(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    office.set(WAIVED)
    office.commit()
    assert office.apply() == 0
    thin = tmp_path_factory.mktemp("thin") / "clone"
    git(office.folder, "commit", "-q", "--allow-empty", "-m", "more")
    git(office.folder, "clone", "-q", "--depth", "1", f"file://{office.folder}", str(thin))
    git(thin, "fetch", "-q", "origin", "refs/notes/*:refs/notes/*", "--depth", "1")
    git(thin, "remote", "remove", "origin")
    monkeypatch.chdir(thin)
    assert "this clone is shallow" in office.says(69, "plan", PATH)


def test_a_shallow_clone_asks_its_remote_for_the_base(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    office.set(RAISED)
    office.commit()
    thin = tmp_path_factory.mktemp("thin") / "clone"
    git(office.folder, "clone", "-q", "--depth", "1", f"file://{office.folder}", str(thin))
    git(thin, "fetch", "-q", "origin", "refs/notes/*:refs/notes/*")
    monkeypatch.chdir(thin)
    assert office.plan() == 2
    assert "limits.changed_share" in office.out
    assert "cannot be read" not in office.out


def test_a_base_that_the_remote_does_not_give_is_an_error_and_never_head_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
):
    office.set(RAISED)
    office.commit()
    thin = tmp_path_factory.mktemp("thin") / "clone"
    git(office.folder, "clone", "-q", "--depth", "1", f"file://{office.folder}", str(thin))
    git(thin, "fetch", "-q", "origin", "refs/notes/*:refs/notes/*")
    git(thin, "remote", "set-url", "origin", "file:///nowhere")
    monkeypatch.chdir(thin)
    office.says(69, "plan", PATH)


def test_a_clone_that_lags_behind_asks_for_the_commit_that_was_applied(
    office: Office, tmp_path_factory: pytest.TempPathFactory
):
    other = tmp_path_factory.mktemp("other") / "clone"
    git(office.folder, "clone", "-q", f"file://{office.folder}", str(other))
    office.slow_down(1)
    applied = office.commit()
    there = Git(other, environ=dict(os.environ))
    assert there.resolve(f"{applied}^{{commit}}") is None
    there.fetch_commit("origin", applied)
    assert worktree.read_at(there, applied, other / PATH / "tenant.yaml") == TENANT.encode()
    assert worktree.read_at(there, applied, other / PATH / "nothing.yaml") is None
    there.fetch_commit("origin", applied)


def test_the_ledger_names_every_commit_that_was_applied(office: Office):
    office.set(RAISED)
    raised = office.commit()
    assert office.apply() == 0
    ledger = Ledger.open(
        Git(office.folder, environ=dict(os.environ)),
        "sandbox/acme",
        here(print),
    )
    assert ledger.last_applied() == raised
    ledger.check()
