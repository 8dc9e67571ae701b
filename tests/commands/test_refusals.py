"""An error about no manifest refuses whatever widens before anything is written, and the exit code says what was done."""

import pytest

from reconciler import sandbox
from tests.commands import test_baseline
from tests.commands.test_baseline import Office

world, office = test_baseline.world, test_baseline.office

UNKNOWN = "  policies: {caling-windows: 'off'}\n"
VANISHED = "  policies: {vanished: error}\n"


def widen(office: Office, name: str) -> None:
    office.edit("dial_rate: 3.0", "dial_rate: 4.0", name)


def test_an_unknown_rule_refuses_what_widens_and_nothing_is_written(
    office: Office, world: sandbox.CampaignState
) -> None:
    before = world.executed()
    office.set(UNKNOWN)
    widen(office, "m02.yaml")
    office.commit()
    assert office.plan() == 5
    assert "blocked by: unknown-rule" in office.out
    assert office.apply() == 5
    assert world.executed() == before


def test_a_narrowing_beside_it_runs_and_the_code_says_partly_applied(
    office: Office, world: sandbox.CampaignState
) -> None:
    before = world.executed()
    office.set(UNKNOWN)
    office.slow_down(1)
    widen(office, "m02.yaml")
    office.commit()
    assert office.apply() == 3
    assert (world.executed(), world.executed("1001")) == (before + 1, 2)
    assert office.apply() == 5
    assert world.executed() == before + 1


@pytest.mark.parametrize("names", [(), ("m02",)], ids=["all", "one"])
def test_a_vanished_manifest_that_is_an_error_refuses_what_widens(
    office: Office, world: sandbox.CampaignState, names: tuple[str, ...]
) -> None:
    before = world.executed()
    office.set(VANISHED)
    (office.tenant / "m03.yaml").unlink()
    widen(office, "m02.yaml")
    office.commit()
    assert office.plan(*names) == 5
    assert "blocked by: vanished" in office.out
    assert office.apply(*names) == 5
    assert world.executed() == before
