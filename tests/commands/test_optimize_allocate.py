"""`optimize --strategy allocate` on the samples: what is not asked for or not valid dials as well, and what is written fits."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.commands import optimize
from reconciler.dialects import kinds_for
from reconciler.kinds.live import Live, Snapshot
from tests.support.samples import copy_files

ROOT = Path(__file__).parents[2]
METRICS = ROOT / ".github" / "docs" / "examples" / "shared-lines.csv"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "schedules" / "sandbox"
    copy_files(ROOT / "schedules" / "sandbox", made)
    monkeypatch.chdir(tmp_path)
    text = (made / "tenant.yaml").read_text("utf-8")
    capacity = "spec:\n  capacity: {concurrent_calls: 630, calls_per_second: 11.5}\n"
    (made / "tenant.yaml").write_text(text.replace("spec:\n", capacity, 1), "utf-8")
    return made


def optimized(folder: Path, capsys, *more: str, strategy: str = "allocate") -> dict:
    capsys.readouterr()
    command = ["optimize", str(folder), *more, "--strategy", strategy, "--metrics", str(METRICS)]
    assert run([*command, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_written_is_never_above_the_capacity(folder, capsys) -> None:
    """Two campaigns of the sample have no manifest, and take 230 calls and 2.5 calls/s of it."""
    found = optimized(folder, capsys, "--write")
    assert len(found["proposals"]) == 5
    assert run(["timeline", str(folder), "--to", "2027-03-29", "--format", "json"]) == 0
    load = json.loads(capsys.readouterr().out)["load"]["steps"]
    assert max(each["after"]["concurrent_calls"] for each in load) == 400
    assert max(each["after"]["calls_per_second"] for each in load) <= 9.0
    again = optimized(folder, capsys)
    assert again["proposals"] == []


def test_a_campaign_that_is_not_named_keeps_what_it_may_take(folder, capsys) -> None:
    """In the sample, the three others may take 300 + 180 of the 630 calls at the same time, and those without a manifest 230."""
    found = optimized(folder, capsys, "spring-renewals", "appointment-reminders")
    assert found["proposals"] == []
    for each in found["declined"]:
        assert "campaigns that stay as they are may take the whole capacity" in each["reason"]
        assert "warranty-reminders" in each["reason"]


def test_a_campaign_without_a_manifest_keeps_what_it_may_take(folder, capsys) -> None:
    """It dials with 300 calls on the platform, and two others without a manifest with 230."""
    (folder / "warranty-reminders.yaml").unlink()
    tenant = folder / "tenant.yaml"
    tenant.write_text(tenant.read_text("utf-8").replace("_calls: 630", "_calls: 530"), "utf-8")
    found = optimized(folder, capsys)
    assert found["proposals"] == []
    assert "Warranty Reminders" in found["declined"][0]["reason"]


def test_a_campaign_without_a_manifest_whose_schedule_is_strange_is_named() -> None:
    strange = Live("9", "Other", stored={"dial_rate": "fast"}, active_id="1")
    silent = Live("8", "Silent")
    snapshot = Snapshot({"9": strange, "8": silent}, {}, {}, datetime(2027, 3, 1, tzinfo=UTC))
    found, (note,) = optimize._unmanaged(snapshot, (), kinds_for("campaigns"))
    assert found == []
    assert note.startswith("Other (9) has no manifest, and its schedule cannot be read")


def test_a_manifest_that_is_not_valid_may_dial_all_the_same(folder, capsys) -> None:
    path = folder / "loyalty-survey.yaml"
    path.write_text(path.read_text("utf-8").replace("dial_rate: 0.8", "dial_rate: fast"), "utf-8")
    found = optimized(folder, capsys)
    assert found["proposals"] == []
    reasons = {each["reason"] for each in found["declined"]}
    assert len(reasons) == 1
    assert "correct manifests that are not valid" in reasons.pop()


def test_another_strategy_that_raises_values_says_that_it_ignores_the_capacity(folder, capsys) -> None:  # fmt: skip
    raised, *_ = optimized(folder, capsys, "spring-renewals", strategy="erlang")["notes"]
    assert raised == (
        "tenant.yaml declares a capacity, which --strategy erlang ignores: "
        "--strategy allocate divides it between the campaigns"
    )
    tenant = folder / "tenant.yaml"
    tenant.write_text(re.sub("  capacity: .*\n", "", tenant.read_text("utf-8")), "utf-8")
    (live,) = optimized(folder, capsys, "spring-renewals", strategy="erlang")["notes"]
    assert live.startswith("spring-renewals: the platform holds no schedule")
