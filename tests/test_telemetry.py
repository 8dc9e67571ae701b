"""Events with ids that do not change, and sinks that can fail without harm."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.telemetry import (
    BATCH,
    Activated,
    Deployed,
    Failed,
    Projected,
    Telemetry,
    TelemetryEvent,
    to_file,
)

WHERE = {"tenant": "sandbox", "campaign_id": "1001", "at": "2027-01-11T14:00:00Z"}
DEPLOYED = Deployed(**WHERE, schedule_id="sch-1")
ACTIVATED = Activated(**WHERE, schedule_id="sch-1", latency_s=0.75)
PROJECTED = Projected(
    **WHERE, dial_rate=20.0, historical_answer_rate=0.25, projected_answer_rate=0.2358
)
FAILED = Failed(**WHERE, action="update", reason="400: dial_rate must be at most 50")
EVENTS = (DEPLOYED, ACTIVATED, PROJECTED, FAILED)


class Platform:
    """Takes records as the real intake does, in batches, and can stop doing so."""

    def __init__(self, fails_from: int | None = None) -> None:
        self.batches: list[list[dict]] = []
        self.calls = 0
        self._fails_from = fails_from

    async def publish(self, records) -> int:
        self.calls += 1
        if self._fails_from is not None and self.calls >= self._fails_from:
            raise ConnectionError("the platform is down")
        self.batches.append(list(records))
        return len(records)


def closed(telemetry: Telemetry) -> tuple[str, ...]:
    return asyncio.run(telemetry.close())


def refuse(_event: TelemetryEvent) -> None:
    raise OSError("no space left\x1b[2J\n::error::x")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (DEPLOYED, "a5c9feae19bc0d7e911c230c12dcc5be9d919182522a4f48de28df20201be2b2"),
        (ACTIVATED, "a65d9faf5ca6ab3cd19240680651289dcbdf549ef7d2edfe2b0748e88c53d778"),
        (PROJECTED, "978014c6926b4e65dfd31fd4aeb563e60b7db463422aa094b052df8fada75da6"),
        (FAILED, "66d563fae553a3315f6c506c1dd8c4518b35670fc766a74399134b5be02d3d15"),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_the_id_of_an_event_is_pinned(event: TelemetryEvent, expected: str) -> None:
    assert event.id == expected


def test_a_record_is_json_and_says_everything() -> None:
    assert ACTIVATED.record() == {
        "id": ACTIVATED.id,
        "type": "activated",
        "tenant": "sandbox",
        "campaign_id": "1001",
        "at": "2027-01-11T14:00:00Z",
        "schedule_id": "sch-1",
        "latency_s": 0.75,
    }
    assert [event.record()["type"] for event in EVENTS] == [
        "deployed",
        "activated",
        "projected",
        "failed",
    ]


@given(
    *[
        st.builds(
            Deployed,
            **dict.fromkeys(WHERE, st.text(max_size=2)),
            schedule_id=st.none() | st.text(max_size=2),
        )
    ]
    * 2
)
def test_two_events_have_one_id_exactly_when_they_say_the_same(
    one: TelemetryEvent, other: TelemetryEvent
) -> None:
    assert (one.id == other.id) == (one == other)


def test_events_of_different_types_never_share_an_id() -> None:
    assert len({event.id for event in EVENTS}) == len(EVENTS)


def test_every_sink_is_given_every_event_in_order() -> None:
    first, second = [], []
    telemetry = Telemetry({"first": first.append, "second": second.append})
    for event in EVENTS:
        telemetry.emit(event)
    assert first == second == list(EVENTS)
    assert closed(telemetry) == ()


def test_a_file_holds_one_line_for_each_event_and_keeps_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"old":1}\n', encoding="ascii")
    telemetry = Telemetry({"file": to_file(file)})
    for event in (*EVENTS, replace(FAILED, reason="two\nlines, 東京")):
        telemetry.emit(event)
    lines = file.read_text(encoding="ascii").splitlines()
    assert len(lines) == 6
    assert [json.loads(line) for line in lines[1:5]] == [event.record() for event in EVENTS]


def test_lines_of_two_writers_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"

    def write(campaign: str) -> None:
        sink = to_file(file)
        for number in range(100):
            sink(Failed(**WHERE | {"campaign_id": campaign}, action="update", reason="x" * number))

    threads = [threading.Thread(target=write, args=(name,)) for name in ("1", "2", "3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [json.loads(line) for line in file.read_text(encoding="ascii").splitlines()]
    assert len({record["id"] for record in records}) == 300


def test_a_failing_sink_is_reported_once_and_the_others_go_on(tmp_path: Path) -> None:
    seen: list[TelemetryEvent] = []
    missing = to_file(tmp_path / "absent" / "events.jsonl")
    telemetry = Telemetry({"callback": refuse, "file": missing, "list": seen.append})
    for event in EVENTS:
        telemetry.emit(event)
    callback, file = closed(telemetry)
    assert seen == list(EVENTS)
    assert callback == (
        "telemetry: callback did not take 4 events "
        "(OSError: no space left\\u001b[2J\\u000a::error::x); nothing else is affected"
    )
    assert file.startswith("telemetry: file did not take 4 events (FileNotFoundError: ")


def test_the_platform_is_given_records_in_batches_when_the_run_closes() -> None:
    platform = Platform()
    telemetry = Telemetry(publish=platform.publish)
    events = [replace(DEPLOYED, campaign_id=str(n)) for n in range(2 * BATCH + 1)]
    for event in events:
        telemetry.emit(event)
    assert platform.calls == 0
    assert closed(telemetry) == ()
    assert [len(batch) for batch in platform.batches] == [BATCH, BATCH, 1]
    assert [r for batch in platform.batches for r in batch] == [e.record() for e in events]


def test_a_platform_that_is_down_costs_one_call_and_one_note() -> None:
    platform = Platform(fails_from=2)
    telemetry = Telemetry(publish=platform.publish)
    for number in range(4 * BATCH):
        telemetry.emit(replace(DEPLOYED, campaign_id=str(number)))
    (note,) = closed(telemetry)
    assert note == (
        "telemetry: the platform did not take 1500 events "
        "(ConnectionError: the platform is down); nothing else is affected"
    )
    assert platform.calls == 2


def test_closing_twice_sends_nothing_twice() -> None:
    platform = Platform()
    telemetry = Telemetry(publish=platform.publish)
    telemetry.emit(DEPLOYED)
    assert closed(telemetry) == closed(telemetry) == ()
    assert platform.calls == 1


def test_without_a_platform_nothing_is_kept_for_one() -> None:
    telemetry = Telemetry()
    telemetry.emit(DEPLOYED)
    assert closed(telemetry) == ()
    assert telemetry._waiting == []


def test_an_interrupt_is_no_failing_sink() -> None:
    def interrupt(_event: TelemetryEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Telemetry({"callback": interrupt}).emit(DEPLOYED)
