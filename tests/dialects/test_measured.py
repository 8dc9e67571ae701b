"""Measured hours: read in every form that means the same; a row that cannot be read is left out and counted, and the rest is used."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import sandbox
from reconciler.commands import optimize
from reconciler.dialects.campaigns import api as campaigns
from reconciler.dialects.personal_connection import api as pc
from reconciler.errors import ApiError
from reconciler.optimize.metrics import parse
from reconciler.pacing import Bucket
from tests.commands.test_import import Desk
from tests.support.changed_answers import changed
from tests.support.factories import NOW, converse, make_reply

HOUR = datetime(2027, 1, 11, 14, tzinfo=UTC)
FULL = Bucket(HOUR, 1200, 240, 6, 58.5, 181.5)


def hours(*rows):
    found, _ = converse(
        campaigns.metrics("1001", NOW, NOW + timedelta(hours=1)),
        (make_reply({"buckets": [*rows]}),),
    )
    return found


def of_skill(*rows):
    found, _ = converse(
        pc.metrics("4001", NOW, NOW + timedelta(hours=1)), (make_reply({"outboundStats": [*rows]}),)
    )
    return found


def bucket(**fields):
    return {
        "start": "2027-01-11T14:00:00Z",
        "attempts": 1200,
        "answers": 240,
        "abandons": 6,
        "agents": 58.5,
        "handle_time_s": 181.5,
        **fields,
    }


def contact(**fields):
    return {
        "skillId": 4001,
        "intervalStartDate": "2027-01-11T14:00:00Z",
        "dials": 1200,
        "connects": 240,
        "abandons": 6,
        "connectsAHT": 181.5,
        **fields,
    }


@pytest.mark.parametrize("handled", ["181.5", "PT3M1.5S", "00:03:01.5", 181.5])
@pytest.mark.parametrize("start", ["2027-01-11T14:00Z", "2027-01-11T14:00:00.0000000Z"])
def test_texts_and_durations_are_read(handled, start):
    row = {"attempts": "1200", "answers": "240", "abandons": 6.0, "agents": "58.5"}
    assert hours(bucket(**row, handle_time_s=handled, start=start)).hours == (FULL,)
    row = {"dials": "1200", "connects": 240.0, "abandons": "6", "skillId": "4001"}
    (found,) = of_skill(contact(**row, connectsAHT=handled, intervalStartDate=start)).hours
    assert (found.start, found.attempts, found.answers, found.abandons) == (HOUR, 1200, 240, 6)
    assert found.handle_time_s == 181.5


def test_a_row_that_cannot_be_read_is_left_out_and_counted():
    found = hours(
        bucket(), bucket(attempts="many"), bucket(start=None), bucket(handle_time_s="P1M")
    )
    assert (found.hours, found.left_out) == ((FULL,), 3)


@pytest.mark.parametrize("row", [contact(abandons=None), {k: v for k, v in contact().items() if k != "abandons"}])  # fmt: skip
def test_abandoned_calls_that_no_platform_counts_are_unknown(row):
    (found,) = of_skill(row).hours
    assert found.abandons is None
    (found,) = hours(bucket(abandons=None)).hours
    assert found.abandons is None


@pytest.mark.parametrize("name", ["dials", "connects"])
def test_a_skill_without_attempts_or_answers_is_left_out_and_counted(name):
    found = of_skill(contact(), contact(**{name: None}))
    assert (len(found.hours), found.left_out) == (1, 1)


def test_a_row_without_an_id_is_left_out_and_counted_and_another_skills_is_neither():
    rows = [contact(), contact(skillId=None), contact(skillId=4002, dials="many")]
    rows += [{"dials": 3}, contact(connectsAHT="soon")]
    found = of_skill(*rows)
    assert len(found.hours) == 1
    assert found.left_out == 3


def test_where_no_row_can_be_read_nobody_says_that_nothing_was_dialed():
    with pytest.raises(ApiError, match="attempts"):
        hours(bucket(attempts="many"), bucket(attempts=None))
    with pytest.raises(ApiError, match="skillId"):
        of_skill(contact(skillId=None))


@pytest.mark.parametrize(
    "answer", [make_reply(None, 204), make_reply([]), make_reply({"outboundStats": []})]
)
def test_an_hour_without_data_is_empty_in_every_form(answer):
    found, _ = converse(pc.metrics("4001", NOW, NOW + timedelta(hours=1)), (answer,))
    assert (found.hours, found.left_out) == ((), 0)


# --- the file -------------------------------------------------------------------------------------------------------------

HEAD = "campaign_id,start,attempts,answers,handle_time_s\n"


@pytest.mark.parametrize("handled", ["181.5", "PT3M1.5S", "00:03:01.5"])
def test_a_files_durations_are_read(handled):
    found = parse(f"{HEAD}1001,2027-01-11T14:00Z,10,2,{handled}\n", "m.csv")
    assert found.problems == ()
    assert found.observed["1001"][0].handle_time_s == 181.5


def test_a_files_row_without_an_id_is_left_out_and_named():
    text = f"{HEAD},2027-01-11T14:00:00Z,x,2,\n1001,2027-01-11T14:00:00Z,10,2,\n"
    found = parse(text, "m.csv")
    assert {problem.place.line for problem in found.problems} == {2}
    assert [*found.observed] == ["1001"]


# --- what is told ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path, "campaigns")
    sandbox.seed_samples(made.platform)
    made.platform.configure(requests_per_second=0)
    made.run("1003")
    yield made
    made.platform.close()


def optimized(desk, **more):
    asked = optimize.OptimizeRequest(desk.folder, target_answer_rate=0.3, **more)
    return asyncio.run(optimize.optimize(desk.world, asked))


def test_rows_that_were_left_out_are_told(desk, monkeypatch):
    def without_starts(path, _, body):
        if path.endswith("/metrics"):
            return {"buckets": [*body["buckets"], {"attempts": 1}, bucket(), bucket(answers="x")]}
        return body

    assert not any("left out" in note for note in optimized(desk).notes)
    changed(monkeypatch, "campaigns", without_starts)
    notes = [note for note in optimized(desk).notes if "left out" in note]
    assert notes == ["unreadable rows of observations are left out: 2 of 1003"]


def test_rows_of_a_file_that_were_left_out_are_told(desk, tmp_path):
    file = tmp_path / "m.csv"
    file.write_text(f"{HEAD},2027-01-11T14:00:00Z,1,1,\n1003,2027-01-11T14:00:00Z,10,2,\n")
    assert {
        f"{file}: 1 row left out; all others are used",
        f"{file}:2:1: campaign_id must be the id of a campaign or of a skill, not ''",
    } < {*optimized(desk, metrics=file).notes}
