"""What is true of every format: the goldens, and that no value is more than text."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.renderers import RENDERERS, renderer_for
from reconciler.report import Report, Tone
from tests.renderers.reports import REPORTS
from tests.renderers.sample import CLEAN, HOSTILE, LONG, SAMPLE

ENDINGS = {"text": "txt", "markdown": "md", "json": "json", "html": "html", "github": "github.txt"}
FORMATS = sorted(RENDERERS)
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def steering(output: str) -> list[str]:
    """Return the characters of an output that a terminal would obey or hide."""
    return [c for c in output if c != "\n" and unicodedata.category(c) in HIDDEN]


def commands(output: str) -> list[str]:
    """Return the lines that GitHub's log reader could take for a command: it trims a line before it looks."""
    return [line for line in output.split("\n") if line.strip().startswith("::") or "##[" in line]


def test_every_format_has_its_goldens() -> None:
    assert set(ENDINGS) == set(RENDERERS)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("label", "report"),
    [("plan", SAMPLE), ("clean", CLEAN), ("hostile", HOSTILE)],
)
def test_the_whole_output_is_the_golden_one(golden, name: str, label: str, report: Report) -> None:
    golden(f"{label}.{ENDINGS[name]}", renderer_for(name).render(report))


@pytest.mark.parametrize("name", ["text", "markdown", "github"])
def test_a_plan_of_many_screens_is_the_golden_one(golden, name: str) -> None:
    golden(f"long.{ENDINGS[name]}", renderer_for(name).render(LONG))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(report=REPORTS)
def test_no_value_steers_whoever_reads_the_output(name: str, report: Report) -> None:
    output = renderer_for(name).render(report)
    assert steering(output) == []
    assert output.endswith("\n")
    assert renderer_for(name).render(report) == output
    if name != "github":
        assert commands(output) == []


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"json"}))
@given(st.sampled_from(Tone))
def test_the_verdict_is_in_every_format_that_people_read(name: str, tone: Tone) -> None:
    report = Report(title="Plan", verdict="Two campaigns changed", tone=tone, exit_code=2)
    assert "Two campaigns changed" in renderer_for(name).render(report)


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_every_row_detail_note_and_fact_of_a_plan_is_shown(name: str) -> None:
    output = re.sub(r"\\(?=[_|])", "", renderer_for(name).render(SAMPLE))
    for unescaped, escaped in (("'", "&#x27;"), ('"', "&quot;")):
        output = output.replace(escaped, unescaped)
    output += re.sub(r"\n     (?=\S)", " ", output)  # Markdown folds long details
    for table in SAMPLE.tables:
        for row in table.rows:
            for text in (*row.cells, *row.details, str(row.place or "")):
                assert text.replace("[", "\\[").replace("]", "\\]") in output or text in output
    for text in (*SAMPLE.notes, *SAMPLE.facts, *SAMPLE.facts.values()):
        assert text in output
