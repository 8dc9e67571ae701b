"""Markdown: the verdict first, everything foreign inert, and never longer than GitHub takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reconciler.diff import FieldChange
from reconciler.errors import safe
from reconciler.plan import Action, Operation
from reconciler.renderers import markdown
from reconciler.report import Report, Row, Table, Tone
from reconciler.report.changes import of_plan
from tests.renderers.reports import REPORTS, TEXTS
from tests.renderers.sample import HOSTILE, LONG, SAMPLE
from tests.support.factories import make_operation, make_plan

LONG_FIELDS = tuple(FieldChange(f"field_{n}", "before " * 5, "after " * 5) for n in range(3))
DIGEST = SAMPLE.facts["digest"]
OURS = {
    "h2",
    "h3",
    "p",
    "strong",
    "ul",
    "li",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "pre",
}


def parsed(output: str) -> list:
    """Return all tokens, block and inline, as a reader of GitHub's Markdown makes them."""
    blocks = MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(output)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def of(*rows: Row, verdict: str = "v", notes=(), facts=None) -> Report:
    return Report("t", verdict, Tone.PLAIN, 0, (Table("T", ("c",), rows),), notes, facts)


def test_the_first_line_is_the_verdict_and_the_facts_come_before_the_tables() -> None:
    output = markdown.render(SAMPLE)
    assert output.startswith(f"## {SAMPLE.verdict}\n")
    assert output.index(DIGEST) < output.index("### Changes")


@settings(max_examples=60)
@given(REPORTS)
@example(HOSTILE)
def test_no_value_becomes_markup(report: Report) -> None:
    tokens = parsed(markdown.render(report))
    assert {token.tag for token in tokens if token.tag} <= OURS
    html = [token.content for token in tokens if token.type.startswith("html")]
    assert all(
        re.fullmatch(r"(</?details>(<summary>[\w ]+</summary>)?\n?)+", text) for text in html
    )
    assert [token.level for token in tokens if token.tag == "h2"] == [0, 0]


@settings(max_examples=60)
@given(TEXTS)
@example("a `b` c")
@example("` a`")
def test_a_cell_reads_as_it_was_written_but_for_what_is_hidden(value: str) -> None:
    output = markdown.render(of(Row((value, "end"))))
    inline = [token for token in parsed(output) if token.type == "inline"]
    end = [token.content for token in inline].index("end")
    text = "".join(
        f"`{child.content}`" if child.type == "code_inline" else child.content
        for child in inline[end - 1].children
    )
    assert text.replace("\u200b", "").split() == safe(value).split()


def test_a_command_in_backticks_is_shown_as_code_wherever_it_stands() -> None:
    value = "run `apply *x* <b> @a` and `b`, not `c|d`, $`e`$ or ``f``"
    report = of(Row((value,)), verdict=value, notes=(value,))
    codes = [each.content for each in parsed(markdown.render(report)) if each.type == "code_inline"]
    assert codes == ["apply *x* <b> @a", "b"] * 3


@pytest.mark.parametrize(
    "value", ["@team", "a @team b", "&#64;team", "&commat;team", "x@y.example"]
)
def test_nobody_is_mentioned_anywhere(value: str) -> None:
    report = Report(
        value,
        value,
        Tone.PLAIN,
        0,
        (Table(value, (value,), (Row((value,)),)),),
        (value,),
        {value: "x"},
    )
    text = "".join(t.content for t in parsed(markdown.render(report)) if t.type.startswith("text"))
    assert "team" in text or "example" in text
    assert not re.search(r"@\w", text)


def test_an_issue_number_is_no_reference_and_a_url_no_link() -> None:
    output = markdown.render(of(Row(("org/repo#3 https://evil.example www.evil.example",))))
    assert not re.search(r"(?<!&)#\d|https://|www\.", output)


@pytest.mark.parametrize("ticks", range(1, 8))
def test_a_fence_is_longer_than_any_run_of_backticks_in_it(ticks: int) -> None:
    run = "`" * ticks
    output = markdown.render(of(Row(("a",), details=(run, f"x{run}y"))))
    fences = [token for token in parsed(output) if token.type == "fence"]
    assert [token.content for token in fences] == [f"  a\n    {run}\n    x{run}y\n"]


@pytest.mark.parametrize(
    ("operation", "heading"),
    [
        (
            make_operation("1001", name="spring-renewals", action=Action.CREATE, live=None),
            "+ create spring-renewals (1001)",
        ),
        (
            make_operation("1003", name="warranty", action=Action.UPDATE, fields=LONG_FIELDS),
            "~ update warranty (1003)",
        ),
    ],
)
def test_what_stands_in_a_block_is_under_the_action_the_manifest_and_the_id(
    operation: Operation, heading: str
) -> None:
    output = markdown.render(of_plan(make_plan([operation]), exit_code=0))
    (fence,) = [token.content for token in parsed(output) if token.type == "fence"]
    assert fence.splitlines()[0] == heading


@pytest.mark.parametrize("value", ["`", "``` x", "a`b``c", " ", "", "plain"])
def test_a_fact_is_one_piece_of_code(value: str) -> None:
    codes = [
        t.content
        for t in parsed(markdown.render(of(facts={"f": value})))
        if t.type == "code_inline"
    ]
    assert [code.strip() for code in codes] == [value.strip()]


def test_a_long_table_starts_folded_and_a_short_one_open() -> None:
    rows = tuple(Row((f"row {n}",), details=("why",)) for n in range(markdown.LONG + 1))
    assert markdown.render(of(*rows)).count("<details>") == 2
    assert "<details>" not in markdown.render(of(*rows[1:]))


def test_a_finding_stays_with_the_row_of_its_object_that_is_not_folded() -> None:
    output = markdown.render(LONG)
    assert "SYNCING" in output[: output.index("<details>")]


def test_what_is_too_long_loses_rows_and_says_so_in_its_first_line() -> None:
    rows = tuple(Row((f"campaign-{n}", "x" * 80)) for n in range(5000))
    output = markdown.render(
        of(*rows, verdict="5000 to update", facts={"digest": DIGEST}, notes=("n",))
    )
    first = output.splitlines()[0]
    found = re.fullmatch(r"## 5000 to update \(cut: (\d+) of 5001 rows are shown; .*\)", first)
    assert found is not None
    assert output.count("| campaign-") == int(found[1]) - 1
    assert markdown.CAP - 200 < len(output) <= markdown.CAP
    assert DIGEST in output


def test_a_report_of_just_the_cap_is_whole_and_one_character_more_is_cut() -> None:
    def output_of(verdict: int) -> str:
        return markdown.render(of(*(Row(("x" * 900,)) for _ in range(65)), verdict="v" * verdict))

    spare = markdown.CAP - len(output_of(0))
    assert 0 < spare < markdown._LONGEST_VERDICT
    assert len(output_of(spare)) == markdown.CAP
    assert "(cut: " not in output_of(spare)
    assert "(cut: 64 of 65 rows" in output_of(spare + 1)


LONG_TEXTS = st.builds(str.__mul__, TEXTS.filter(bool), st.integers(1, 300))


@settings(max_examples=20, deadline=None)
@given(
    pairs=st.lists(st.tuples(LONG_TEXTS, LONG_TEXTS), min_size=1, max_size=4),
    times=st.integers(1, 15),
    verdict=LONG_TEXTS,
)
def test_no_report_is_longer_than_the_cap_and_all_keep_verdict_and_digest(
    pairs, times: int, verdict: str
) -> None:
    rows = tuple(Row((cell,), details=(detail,)) for cell, detail in pairs) * times
    facts = {"digest": DIGEST} | {f"{n}{name}": value for n, (name, value) in enumerate(pairs * 9)}
    output = markdown.render(of(*rows, verdict=verdict, facts=facts))
    assert len(output) <= markdown.CAP
    assert DIGEST in output
    assert output.startswith("## ")
    lost = len(re.findall(r"^\| ", output, re.MULTILINE)) - 2 < len(rows)
    assert lost == ("(cut: " in output.splitlines()[0])


@given(
    st.lists(
        st.sampled_from(["held:", "`dial_rate`", f"`{'ab ' * 20}c`", "x" * 110, "→"]),
        min_size=1,
        max_size=8,
    )
)
def test_a_long_detail_is_folded_between_words_and_within_no_command(words: list[str]) -> None:
    """A comment scrolls long lines of a code block, and what is to be done would be out of sight."""
    row = Row(("held",), details=(" ".join(words),))
    output = markdown.render(Report("t", "v", Tone.PLAIN, 0, (Table("T", ("",), (row,)),)))
    lines = output.partition("diff\n")[2].partition("\n```")[0].splitlines()[1:]
    assert " ".join(line.strip() for line in lines) == " ".join(words)
    assert all(len(line) <= markdown.WIDTH or " " not in line.strip() for line in lines)
    assert all(line.count("`") % 2 == 0 for line in lines)
