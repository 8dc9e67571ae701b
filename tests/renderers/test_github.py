"""GitHub annotations: one command a line, and no value can add a property or a line."""

from __future__ import annotations

import re

from hypothesis import given, settings

from reconciler.errors import Place, safe
from reconciler.policies.base import Finding, Level
from reconciler.renderers import github
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.checks import findings_table
from tests.renderers.reports import REPORTS, TEXTS

COMMAND = re.compile(
    r"::(error|warning|notice) (file=[^:,]*,)?(line=\d+,)?(col=\d+,)?title=[^:,]*::.*"
)


@settings(max_examples=60)
@given(REPORTS)
def test_each_warning_is_one_command_beside_the_verdict(report: Report) -> None:
    lines = github.render(report).removesuffix("\n").split("\n")
    assert all(COMMAND.fullmatch(line) for line in lines)
    rows = [row for table in report.tables for row in table.rows]
    loud = [row for row in rows if row.must_show or row.tone is Tone.WARN]
    assert len(lines) == len(loud) + 1


@given(TEXTS)
def test_a_message_comes_out_of_the_runner_as_it_went_in(value: str) -> None:
    report = Report("t", value, Tone.GOOD, 0)
    message = github.render(report).removesuffix("\n").removeprefix("::notice title=t::")
    assert message.replace("%25", "%") == safe(value)


def test_a_finding_stands_at_its_line() -> None:
    rows = (
        Row(("50% too fast",), Tone.BAD, place=Place("a,b:c.yaml", 3, 7)),
        Row(("whole file",), Tone.WARN, ("more",), Place("d.yaml")),
        Row(("not said",), Tone.CHANGE, place=Place("d.yaml", 1, 1)),
    )
    report = Report("Plan", "done", Tone.PLAIN, 0, (Table("Findings", (), rows),))
    assert github.render(report).splitlines() == [
        "::notice title=Plan::done",
        "::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=Findings::50%25 too fast",
        "::warning file=d.yaml,title=Findings::whole file%0Amore",
    ]


def test_a_level_is_said_by_the_command_and_not_again_in_the_message() -> None:
    finding = Finding("ended", Level.ERROR, "is over", "1001", "spring")
    said = github.render(Report("Plan", "done", Tone.PLAIN, 0, (findings_table([finding]),)))
    assert said.endswith("\n::error title=Findings::ended: spring: is over\n")


def test_the_verdict_comes_first_and_says_how_many_annotations_github_does_not_show() -> None:
    rows = tuple(Row((f"slow {n}",), Tone.WARN) for n in range(12))
    loud = (*rows, *(Row((f"widens {n}",), names=(f"n{n}",)) for n in range(10)))
    first, *others = github.render(
        Report("Plan", "done", Tone.GOOD, 0, (Table("Changes", (), loud),))
    ).splitlines()
    assert first == (
        "::notice title=Plan::done%0A3 further rows that must be seen are in the log of this step"
    )
    assert len(others) == len(loud)
