"""The report of `optimize`: what a reviewer reads on the pull request, on the terminal and as data."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler import effect
from reconciler.optimize.base import (
    Change,
    Declined,
    Evidence,
    OpenHour,
    Prediction,
    Proposal,
    Subject,
)
from reconciler.optimize.intervals import Interval
from reconciler.renderers import markdown, text
from reconciler.report import Report
from reconciler.report.optimize import Proposed, of_advice
from tests.renderers.sample import HOSTILE_VALUES
from tests.support.bodies import make_body
from tests.support.factories import KIND

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
TUESDAY = OpenHour(datetime(2027, 3, 2, 23, tzinfo=UTC), 1.0, 1, 18)
BEFORE = Prediction(TUESDAY, Interval(0.032, 0.051, 0.073), Interval(0.9, 0.93, 0.96), Interval(600, 720, 800))  # fmt: skip
AFTER = Prediction(TUESDAY, Interval(0.012, 0.02, 0.029), Interval(0.78, 0.82, 0.86), Interval(500, 560, 610))  # fmt: skip


def proposed(
    name: str = "spring-renewals", key: str = "1001", rate: float = 2.1, **more: Any
) -> Proposed:
    """Return a proposal of another dial rate than 2.4, and of the concurrent calls that follow."""
    spec = make_body(campaign_id=key, dial_rate=2.4, max_concurrent_calls=200)
    changes = (Change("dial_rate", 2.4, rate), Change("max_concurrent_calls", 200, 180))
    after = {**spec, **{each.field: each.proposed for each in changes}}
    values = {"reason": "45 agents serve 0.21 live answers a second", "before": BEFORE, "after": AFTER}  # fmt: skip
    return Proposed(
        Proposal(key, name, changes, evidence=Evidence(3600, 900, 46, 12), **values | more),
        Subject(key, name, spec=spec, zone="America/New_York"),
        effect.by_fields(spec, after, KIND.rules),
        effect.of_change(spec, after, KIND, NOW),
    )


def report(*proposals: Proposed, declined: tuple[Declined, ...] = (), **more: Any) -> Report:
    return of_advice("Optimize tenant acme", proposals, declined, **{"written": (), "notes": ()} | more)  # fmt: skip


def plain(output: str) -> str:
    """Return Markdown as a reader sees it."""
    return re.sub(r"\\([_{}()|#+.!~-])", r"\1", output)


def test_a_reviewer_finds_hour_predictions_and_effect_in_the_pull_request() -> None:
    shown = plain(markdown.render(report(proposed(), written=["a.yaml"])))
    assert shown.startswith("## 1 change written to a.yaml; 0 schedules left as they are\n")
    for said in (
        "dial_rate 2.4 → 2.1, max_concurrent_calls 200 → 180",
        "| spring-renewals | Tue 18:00 America/New_York | 5.1 % (3.2 to 7.3 %) → 2.0 % (1.2 to 2.9 %); cap 3 % | 93 % (90 to 96 %) → 82 % (78 to 86 %) | 720 (600 to 800) → 560 (500 to 610); -22 % |",
        "at most 8,640 → 7,560 calls an hour",
        "45 agents serve 0.21 live answers a second",
        "nothing is applied: commit the edits",
        "90 % intervals",
    ):
        assert said in shown


def test_the_same_is_said_on_the_terminal() -> None:
    shown = text.render(report(proposed()))
    for said in (
        "Tue 18:00 America/New_York",
        "720 (600 to 800) → 560 (500 to 610)",
        "`--write` puts this",
    ):
        assert said in shown  # fmt: skip


def test_what_may_widen_dialing_comes_first_and_is_never_cut() -> None:
    (table, *_) = report(proposed(rate=2.0), proposed("win-back", "1002", 3.0)).tables
    assert [(row.name, row.direction, row.must_show) for row in table.rows] == [
        ("win-back", "mixed", True),
        ("spring-renewals", "tighten", False),
    ]


def test_unknown_agents_leave_the_predictions_out() -> None:
    found = report(proposed(before=None, after=None))
    assert "Predicted, before → after" not in [each.title for each in found.tables]  # fmt: skip
    assert found.data["proposals"][0]["after"] is None
    half = plain(markdown.render(report(proposed(before=None))))
    assert "| not known → 2.0 % (1.2 to 2.9 %); cap 3 % |" in half


def test_a_declined_proposal_is_shown_with_what_it_would_do() -> None:
    refused = Declined("1001", "spring-renewals", "passes the cap of 3 %", proposed().proposal)
    shown = plain(markdown.render(report(declined=(refused,)))).replace("\n     ", " ")
    assert "| spring-renewals | passes the cap of 3 % |" in shown
    assert "not proposed: dial_rate 2.4 → 2.1, max_concurrent_calls 200 → 180; abandoned 5.1 % (3.2 to 7.3 %) → 2.0 % (1.2 to 2.9 %)" in shown  # fmt: skip


def test_the_data_holds_the_numbers() -> None:
    (found,) = report(proposed(), notes=["m.csv: 1 row left out"]).data["proposals"]
    assert json.loads(json.dumps(found)) == found
    assert found["after"] == {
        "binding": {"start": "2027-03-02T23:00:00+00:00", "weekday": "Tue", "hour": 18},
        "abandonment": {"low": 0.012, "mean": 0.02, "high": 0.029},
        "utilisation": {"low": 0.78, "mean": 0.82, "high": 0.86},
        "contacts_per_hour": {"low": 500, "mean": 560, "high": 610},
    }
    assert (found["direction"], found["zone"]) == ("tighten", "America/New_York")
    assert found["effect"]["calls_per_hour"]["after"] == 7560


@given(st.sampled_from(HOSTILE_VALUES))
def test_a_hostile_name_is_no_markup_in_the_pull_request(value: str) -> None:
    one = proposed(value, reason=value, notes=(value,))
    declined = Declined("9", value, value, one.proposal)
    output = markdown.render(report(one, declined=(declined,), notes=(value,)))
    shown = re.sub(r"(`{3,})diff\n.*?\n\1", "", output, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<(?!/?details|/?summary)|(?<!\\)!\[|(?<!\\)\]\(|@[a-zA-Z]", shown)


def test_a_reason_that_many_share_is_told_once_with_their_names() -> None:
    """`allocate` refuses all campaigns for one reason."""
    shared = tuple(
        Declined(str(n), f"campaign-{n:02}", "no capacity is declared") for n in range(9)
    )
    (table,) = report(declined=(*shared, Declined("99", "other", "too few hours"))).tables
    together, alone = table.rows
    assert together.cells == ("9 manifests", "no capacity is declared")
    assert ", ".join(together.details) == ", ".join(each.name for each in shared)
    assert alone.cells == ("other", "too few hours")
