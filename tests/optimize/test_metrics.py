"""The metrics file: every hour that is right is read, every line that is wrong is named."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.optimize import metrics as module
from reconciler.optimize.metrics import OPTIONAL, REQUIRED, parse
from reconciler.pacing import Bucket

HEAD = "campaign_id,start,attempts,answers\n"
START = "2027-01-11T14:00:00Z"
TWO_PM = datetime(2027, 1, 11, 14, tzinfo=UTC)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse(text, "m.csv").problems]


def test_all_columns_are_read_in_any_order() -> None:
    text = (
        "start,campaign_id,handle_time_s,agents,abandons,answers,attempts\n"
        f"{START},1001,181.5,60,14,720,3600\n"
    )
    bucket = Bucket(TWO_PM, 3600, 720, 14, 60.0, 181.5)
    assert parse(text, "m.csv").observed == {"1001": (bucket,)}
    assert problems(text) == []


def test_what_is_optional_may_be_absent_or_empty() -> None:
    bucket = Bucket(TWO_PM, 10, 2)
    assert parse(f"{HEAD}1001,{START},10,2\n", "m.csv").observed == {"1001": (bucket,)}
    wide = f"{HEAD.strip()},abandons,agents,handle_time_s\n1001,{START},10,2,,,\n"
    assert parse(wide, "m.csv").observed == {"1001": (bucket,)}


def test_instants_are_one_clock_and_hours_are_sorted() -> None:
    text = f"{HEAD}1,2027-01-11T10:00:00-05:00,1,0\n1,{START},2,0\n"
    assert [b.attempts for b in parse(text, "m.csv").observed["1"]] == [2, 1]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{HEAD}1001,{START},10,2\n",
        f"{HEAD}1001,{START},10,2",
        f"{HEAD}1001,{START},10,2\r\n".replace("\n", "\r\n"),
        f"{HEAD}\n\n1001,{START},10,2\n\n",
        f'{HEAD}"1001","{START}","10","2"\n',
        f"campaign_id, start, attempts, answers\n 1001 , {START} , 10 , 2 \n",
    ],
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    assert parse(text, "m.csv").observed == {"1001": (Bucket(TWO_PM, 10, 2),)}
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["m.csv:1:1: the file is empty: its first line names the columns campaign_id, start, attempts, answers"]),
        ("campaign_id,start,attempts\n", ["m.csv:1:1: the first line must also name the columns answers, separated by commas"]),
        (
            "campaign_id;start;attempts;answers\n",
            ["m.csv:1:1: the first line separates columns by semicolons: save the file as CSV with commas, and with points in numbers"],
        ),
        (
            HEAD.encode("utf-16").decode("utf-8", "replace"),
            ["m.csv:1:1: the first line is not UTF-8: save the file as CSV in UTF-8"],
        ),
        (f"{HEAD.strip()},answers\n", ["m.csv:1:1: the first line names answers more than once"]),
        (f"{HEAD.strip()},skillId\n", ["m.csv:1:1: the first line names campaign_id more than once"]),
        (HEAD, ["m.csv:2:1: there are no rows below the names of the columns"]),
        (f"{HEAD},{START},10,2\n", ["m.csv:2:1: campaign_id must be the id of a campaign or of a skill, not ''"]),
        (f"{HEAD}1001,{START},10\n", ["m.csv:2:1: 3 values, but the first line names 4 columns"]),
        (f"{HEAD}1,{START},1_0,2\n", ["m.csv:2:1: attempts must be a whole number from 0 up, not '1_0'"]),
        (f"{HEAD}1,{START},-1,2\n", ["m.csv:2:1: attempts must be a whole number from 0 up, not '-1'"]),
        (f"{HEAD}1,{START},10,\uff12\n", ["m.csv:2:1: answers must be a whole number from 0 up, not '\\uff12'"]),
        (f"{HEAD}1,{START},10,11\n", ["m.csv:2:1: 11 answers to 10 attempts: answers cannot exceed attempts"]),
        (f"{HEAD.strip()},abandons\n1,{START},10,2,3\n", ["m.csv:2:1: 3 abandons of 2 answers: abandons cannot exceed answers"]),
        (f"{HEAD.strip()},agents\n1,{START},10,2,nan\n", ["m.csv:2:1: agents must be a number from 0 up, not 'nan'"]),
        (
            f"{HEAD}1,{START},10,2\n\n1,2027-01-11T15:00:00+01:00,9,1\n",
            ["m.csv:4:1: 1 already has the hour 2027-01-11T14:00:00+00:00 on an earlier line"],
        ),
        (f'{HEAD}1,{START},10,2\n1,"open,3,4\n', ["m.csv:3:1: this is not CSV: unexpected end of data"]),
        (f'{HEAD}1,"{START}"x,3,4\n', ["m.csv:2:1: this is not CSV: ',' expected after '\"'"]),
        (f'"{HEAD}', ["m.csv:1:1: this is not CSV: unexpected end of data", "m.csv:2:1: the file is empty: its first line names the columns campaign_id, start, attempts, answers"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    "start", ["2027-01-11", "2027-01-11T14:00:00", "2027-01-11T14:30:00Z", "noon", "", "0001-01-01T00:00:00+14:00"]
)  # fmt: skip
def test_a_start_that_is_no_whole_hour_with_an_offset_is_refused(start: str) -> None:
    (problem,) = problems(f"{HEAD}1,{start},10,2\n")
    assert problem.startswith("m.csv:2:1: start must be a whole hour in ISO 8601 with its offset")


def test_all_problems_are_found_at_once_and_the_rest_is_read() -> None:
    text = f"{HEAD}1,noon,x,2\n1,{START},10,2\n1,{START},10\n"
    assert [problem.place.line for problem in parse(text, "m.csv").problems] == [2, 2, 4]
    assert parse(text, "m.csv").observed == {"1": (Bucket(TWO_PM, 10, 2),)}


def test_a_hostile_cell_is_shown_as_text() -> None:
    (problem,) = problems(f"{HEAD}1,\x1b[2J,10,2\n")
    assert "\x1b" not in problem


BUCKETS = st.dictionaries(
    st.integers(0, 5000).map(lambda hour: TWO_PM + timedelta(hours=hour)),
    st.tuples(st.integers(0, 10**9), st.floats(0, 1), st.floats(0, 1)),
    max_size=5,
)


@given(st.dictionaries(st.sampled_from(["1001", "1002", "x-1"]), BUCKETS, max_size=3), st.randoms())
def test_what_was_written_is_read_whatever_the_order_of_its_lines(observed, shuffle) -> None:
    lines, expected = [], {}
    for key, hours in sorted(observed.items()):
        buckets = []
        for start, (attempts, answered, abandoned) in sorted(hours.items()):
            answers = int(attempts * answered)
            buckets.append(Bucket(start, attempts, answers, int(answers * abandoned)))
            lines.append(f"{key},{start.isoformat()},{attempts},{answers},{buckets[-1].abandons}")
        if buckets:
            expected[key] = tuple(buckets)
    shuffle.shuffle(lines)
    metrics = parse("\n".join([f"{HEAD.strip()},abandons", *lines]), "m.csv")
    assert metrics.observed == expected
    assert metrics.problems == () or not expected


@given(
    st.text(max_size=200)
    | st.lists(st.text('",\n\r1 x\x00', max_size=30)).map(lambda rows: HEAD + "\n".join(rows))
)
def test_no_text_at_all_raises(text: str) -> None:
    metrics = parse(text, "m.csv")
    assert metrics.problems or metrics.observed


@given(
    BUCKETS.filter(bool),
    st.lists(
        st.sampled_from(
            [
                "1001,noon,1,1",
                ",2027-01-11T14:00:00Z,1,1",
                '1001,"2027-01-11T14:00:00Z,1,1',
                "1001,2027-01-11T14:00:00Z,-1,0",
                "1001,2027-01-11T14:00:00Z,many,0",
                "1001,2027-01-11T14:00:00Z",
            ]
        )
    ),
    st.randoms(),
)
def test_bad_lines_between_good_ones_are_named_and_change_nothing_else(good, bad, shuffle) -> None:
    rows = [
        f"1002,{start.isoformat()},{tried},{int(tried * live)}"
        for start, (tried, live, _) in good.items()
    ]
    mixed = [*rows, *bad]
    shuffle.shuffle(mixed)
    found = parse(HEAD + "\n".join(mixed), "m.csv")
    assert found.observed == parse(HEAD + "\n".join(rows), "m.csv").observed
    lines = [number for number, row in enumerate(mixed, start=2) if row in bad]
    assert [problem.place.line for problem in found.problems] == lines


@pytest.mark.parametrize(
    "head",
    [
        "skill_id,start,attempts,answers",
        "skillId,intervalStartDate,dials,connects",
        "campaignId,START,Attempts,Answers",
    ],
)
def test_columns_may_have_the_names_of_the_platforms_answers(head: str) -> None:
    found = parse(f"{head},abandons,connectsAHT\n4001,{START},10,2,1,181.5\n", "m.csv")
    assert found.observed == {"4001": (Bucket(TWO_PM, 10, 2, 1, None, 181.5),)}
    assert (found.problems, found.ignored) == ((), ())


def test_an_unknown_column_is_ignored_and_named() -> None:
    found = parse(f"{HEAD.strip()},rightPartyConnects,note\n1,{START},10,2,x,\n", "m.csv")
    assert found.observed == {"1": (Bucket(TWO_PM, 10, 2),)}
    assert (found.problems, found.ignored) == ((), ("rightPartyConnects", "note"))
    assert found.absent == OPTIONAL


def test_the_documented_columns_are_the_columns() -> None:
    assert ",".join(REQUIRED + OPTIONAL) in (module.__doc__ or "")


def test_the_file_that_the_documentation_shows_is_read() -> None:
    page = (Path(__file__).parents[2] / ".github" / "docs" / "optimize.md").read_text("utf-8")
    (shown,) = re.findall(r"^```text\n(campaign_id,.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = parse(shown, "m.csv")
    assert (found.problems, found.ignored, found.absent) == ((), (), ())
    assert [*found.observed] == ["1003"]
    for name in ("skill_id", "skillId", "dials", "connects", "connectsAHT", "intervalStartDate"):
        assert f"`{name}`" in page
        assert name.lower() in module.NAMES
