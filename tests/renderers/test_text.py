"""Text: the verdict last, columns under each other, nothing broken that somebody wants to copy."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import safe
from reconciler.renderers import text
from reconciler.report import Report, Row, Table, Tone
from tests.renderers.reports import REPORTS
from tests.renderers.sample import SAMPLE

ANSI = "\x1b["


def table_of(*rows: tuple[str, ...], columns: tuple[str, ...] = ()) -> Report:
    table = Table("T", columns, tuple(Row(cells) for cells in rows))
    return Report("t", "v", Tone.PLAIN, 0, (table,))


def lines_of(report: Report, **options) -> list[str]:
    return text.render(report, **options).splitlines()


@given(REPORTS)
@settings(max_examples=60)
def test_without_colour_there_is_no_escape_code_and_with_it_the_same_text(report: Report) -> None:
    plain, painted = text.render(report), text.render(report, colour=True)
    assert "\x1b" not in plain
    for code in ("1", "2", "31", "32", "33", "0"):
        painted = painted.replace(f"{ANSI}{code}m", "")
    assert painted == plain


def test_the_verdict_is_the_last_line() -> None:
    assert lines_of(SAMPLE)[-2:] == ["", SAMPLE.verdict]
    assert lines_of(SAMPLE, colour=True)[-1] == f"{ANSI}1m{ANSI}31m{SAMPLE.verdict}{ANSI}0m"


def test_a_plan_on_a_narrow_coloured_terminal_is_the_golden_one(golden) -> None:
    golden("plan.80.txt", text.render(SAMPLE, width=80))
    golden("plan.80.ansi", text.render(SAMPLE, width=80, colour=True))


def test_columns_stand_under_each_other_whatever_the_script() -> None:
    rows = (("ascii", "x"), ("東京", "x"), ("cafe\u0301", "x"), ("a longer cell", "x"))
    shown = lines_of(table_of(*rows, columns=("name", "end")))[3:8]
    assert shown[0].split() == ["NAME", "END"]
    ends = {
        sum(
            2 if unicodedata.east_asian_width(c) == "W" else not unicodedata.combining(c)
            for c in line
        )
        for line in shown[1:-1]
    }
    assert len(ends) == 1


def test_columns_without_names_have_no_header() -> None:
    assert lines_of(table_of(("a", "b"), columns=("", "")))[2:4] == ["T", "    a  b"]


def test_a_table_without_rows_is_not_shown() -> None:
    assert lines_of(table_of(columns=("a",))) == ["t", "", "v"]


def test_a_row_without_cells_keeps_its_symbol_and_its_details() -> None:
    table = Table("T", (), (Row((), Tone.ADD, ("why",)),))
    assert lines_of(Report("t", "v", Tone.PLAIN, 0, (table,)))[3:5] == ["  +", "      why"]


def test_a_long_cell_is_folded_and_its_neighbours_stay() -> None:
    shown = lines_of(table_of(("id-1", "word " * 30)), width=60)[3:-2]
    assert shown[0].startswith("    id-1  word word")
    assert all(line.startswith("          word") for line in shown[1:])
    assert len(shown) > 1


def test_a_word_that_is_longer_than_the_terminal_stays_whole() -> None:
    digest = "f" * 64
    assert any(digest in line for line in lines_of(table_of(("digest", digest)), width=40))


@pytest.mark.parametrize("width", [60, 80, 100, 132])
@given(
    cells=st.lists(
        st.tuples(*[st.lists(st.sampled_from(["a", "word", "longer-word"]), max_size=30)] * 2),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=40)
def test_words_that_fit_are_folded_into_the_terminal(width: int, cells) -> None:
    report = table_of(*(tuple(" ".join(words) for words in row) for row in cells))
    assert max(map(len, lines_of(report, width=width))) <= width


CELLS = st.sampled_from(
    ["", "2027-03-01T12:00:00.000Z", "outcome", "home-broadband-upgrade", "a word or two " * 4]
)


@given(
    width=st.integers(32, 132),
    rows=st.lists(st.lists(CELLS, max_size=6).map(tuple), min_size=1, max_size=5),
)
@settings(max_examples=100)
def test_a_table_of_many_columns_is_never_wider_than_its_terminal(width: int, rows) -> None:
    shown = lines_of(table_of(*rows, columns=("time", "what")), width=width)
    assert max(map(len, shown)) <= width


def test_where_not_all_columns_fit_the_first_ones_do_and_the_others_stand_below() -> None:
    row = Row(
        ("2027-03-01T12:00:00.000Z", "hold", "", "spring-renewals", "held: " + "word " * 9),
        Tone.WARN,
        ("why",),
    )
    table = Table("T", ("time", "record", "commit", "manifest", "what"), (row,))
    assert lines_of(Report("t", "v", Tone.PLAIN, 0, (table,)), width=44)[2:9] == [
        "T",
        "    TIME                      RECORD  COMMIT",
        "  ! 2027-03-01T12:00:00.000Z  hold",
        "      manifest: spring-renewals",
        "      what: held: word word word word word",
        "      word word word word",
        "      why",
    ]


def test_a_table_whose_last_column_does_not_fit_keeps_the_others_in_columns() -> None:
    rows = (("held", "spring-renewals", "word " * 5), ("create", "a", "x"))
    shown = lines_of(table_of(*rows, columns=("action", "manifest", "change")), width=36)
    assert shown[3:9] == [
        "    ACTION  MANIFEST",
        "      CHANGE",
        "    held    spring-renewals",
        "      word word word word word",
        "    create  a",
        "      x",
    ]


def test_columns_that_would_cost_a_cell_its_place_are_given_up() -> None:
    rows = (("word " * 5, "b", "c" * 20), ("a", "word " * 5, "c"))
    shown = lines_of(table_of(*rows, columns=("one", "two", "three")), width=36)
    assert shown[3] == "    ONE  TWO  THREE"


def test_folding_keeps_the_spaces_that_align_a_detail() -> None:
    row = Row(("a",), details=("commit   " + "f" * 20, "body     " + "word " * 6))
    report = Report("t", "v", Tone.PLAIN, 0, (Table("T", (), (row,)),))
    assert lines_of(report, width=36)[4:8] == [
        "      commit",
        f"        {'f' * 20}",
        "      body     word word word word",
        "        word word",
    ]


def test_a_digest_fits_a_terminal_of_80_columns() -> None:
    facts = {"digest": "f" * 64, "platform clock": "x"}
    report = Report("t", "word " * 20, Tone.GOOD, 0, facts=facts)
    assert max(map(len, lines_of(report, width=80))) == 80
    assert lines_of(report)[2].startswith("  digest          f")


def test_names_of_columns_are_folded_before_columns_are_given_up() -> None:
    columns = ("policy", "contacts per agent hour", "runs above the cap")
    shown = lines_of(table_of(("oracle", "13.76 ± 0.20", "0 of 3"), columns=columns), width=40)
    assert shown[3:8] == [
        "    POLICY  CONTACTS PER  RUNS",
        "            AGENT HOUR    ABOVE",
        "                          THE",
        "                          CAP",
        "    oracle  13.76 ± 0.20  0 of 3",
    ]


@given(REPORTS, st.integers(-5, 200))
@settings(max_examples=60)
def test_folding_loses_no_word(report: Report, width: int) -> None:
    """Drawings have fewer signs on a narrow terminal. Columns that do not fit are named at each cell instead of above all."""
    tables = [
        table._replace(rows=tuple(row._replace(figures=()) for row in table.rows))
        for table in report.tables
    ]
    report = report._replace(tables=tables, charts=())
    names = {
        word
        for table in tables
        for column in table.columns
        for word in f"{safe(column).upper()} {safe(column)}:".split()
    }
    words = Counter(text.render(report).split())
    shown = Counter(text.render(report, width=width).split())
    assert {*(words - shown), *(shown - words)} <= names


def test_each_tone_has_its_symbol() -> None:
    symbols = "".join(tone.symbol for tone in Tone)
    assert symbols == " =+~-!! "
