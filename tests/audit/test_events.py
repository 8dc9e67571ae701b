"""What a run tells of itself and of what it found, and which of its records an instant includes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import audit
from reconciler.audit import Attribution, Event, RecordKind, queries
from reconciler.errors import AccessError
from reconciler.settings import SIGNING_KEY, signing_key
from tests.support.bodies import make_body
from tests.support.factories import NOW, make_desired
from tests.support.gitfakes import PLATFORM, START, Clock, operation, run, story

COMMIT = "c" * 40
WHO = Attribution("a", "b", "7", "d" * 40, "https://forge.example/7")


def chained(events: list[Event]) -> tuple[audit.Record, ...]:
    records: list[audit.Record] = []
    for event in events:
        records.append(audit.chain(event, records[-1] if records else None, len(records)))
    return tuple(records)


def test_an_event_says_who_stands_behind_its_run() -> None:
    maker = replace(run(COMMIT), provenance=WHO)
    event = maker.note("looked at")
    assert (event.kind, event.tenant, event.commit, event.run) == (
        RecordKind.NOTE,
        PLATFORM,
        COMMIT,
        maker.id,
    )
    assert event.ts == audit.records.stamp(Clock()())
    assert event.data == {
        "actor": "a",
        "approver": "b",
        "pull_request": "7",
        "reviewed_head": "d" * 40,
        "run_url": "https://forge.example/7",
        "text": "looked at",
    }


@pytest.mark.parametrize("judges", [True, False])
def test_what_was_found_as_its_manifest_says_is_told_whole(judges) -> None:
    maker = replace(run(COMMIT), judges=judges)
    wanted = make_desired()
    event = maker.found(wanted, NOW)
    told = {name: event.data[name] for name in ("direction", "name", "object", "target")}
    assert told == {
        "direction": "neutral",
        "name": wanted.name,
        "object": wanted.kind,
        "target": wanted.key,
    }
    assert event.data["timestamp"] == audit.records.stamp(NOW)
    assert event.data["body"] == wanted.body
    assert "base" not in event.data
    assert event.data.get("judges") is (None if judges else False)


def test_what_was_found_narrower_than_its_manifest_says_is_told_with_the_rest() -> None:
    wanted, stored = make_desired(), make_body(dial_rate=5.0)
    event = run(COMMIT).found(wanted, NOW, stored)
    assert event.data["body"] == stored
    assert event.data["base"] == {"dial_rate": 25.0}


def test_an_apply_with_nothing_to_do_judges_the_next_change() -> None:
    event = run(COMMIT).nothing_to_do([])
    assert (event.kind, event.data["judge"]) == (RecordKind.NOTE, True)
    assert event.data["text"].startswith("applied with nothing to do")
    weakened = run(COMMIT).nothing_to_do(["audit.sign", "limits"])
    assert weakened.data["text"] == "weakened from the next change on: audit.sign, limits"
    assert run(COMMIT).creating().data["creating"] is True
    assert run(COMMIT).superseded("d" * 40).data["superseded"] == "d" * 40


def test_an_instant_includes_what_was_made_until_then_by_the_platforms_clock() -> None:
    """The platform's clock is an hour ahead of ours in this run, and its records without the platform's time are placed by that."""
    maker = run(COMMIT)
    late = maker.found(make_desired(), START + timedelta(hours=1))
    records = chained([maker.note("first"), late])
    assert queries.until(records, START + timedelta(minutes=59)) == ()
    assert queries.until(records, START + timedelta(hours=2)) == records
    unknown = chained([maker.note("first")])
    assert queries.until(unknown, START + timedelta(minutes=59)) == unknown
    assert queries.until(unknown, START - timedelta(seconds=1)) == ()
    assert queries.until((), START) == ()


def test_the_first_digits_of_a_commit_find_its_records_and_a_word_does_not() -> None:
    maker = run(COMMIT)
    begun, *_ = chained([*story(maker, [operation()])])
    note, superseded = chained([maker.note("x"), maker.superseded("d" * 40)])
    assert queries._is_about(begun, "c" * 12)
    assert not queries._is_about(note, "d" * 12)
    assert queries._is_about(superseded, "d" * 12)
    assert not queries._is_about(note, "X" * 4)
    assert not queries._is_about(note, "c" * (queries._SHORTEST_ID - 1))


def test_the_key_that_signs_is_a_file_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    assert signing_key({SIGNING_KEY: "key"}, tmp_path) == tmp_path / "key"
    with pytest.raises(AccessError, match="does not name a file \\(other\\)"):
        signing_key({SIGNING_KEY: "other"}, tmp_path)
    with pytest.raises(AccessError, match="does not name a file"):
        signing_key({SIGNING_KEY: "."}, tmp_path)
    for environ in ({}, {SIGNING_KEY: ""}):
        with pytest.raises(AccessError, match="is not set"):
            signing_key(environ, tmp_path)
