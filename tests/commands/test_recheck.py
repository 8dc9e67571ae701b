"""What was judged when it was planned is judged again just before a widening becomes active; tightenings wait for nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from reconciler import audit, sandbox
from reconciler.audit import Attribution, RecordKind, Run
from reconciler.commands import apply as apply_command
from reconciler.commands.journal import BEAT_S
from reconciler.commands.recheck import Recheck
from reconciler.dialects.campaigns import api as campaigns
from reconciler.execute.waits import RELOCK_PAUSE_S
from reconciler.git import Git, Move
from reconciler.kinds.live import Snapshot
from reconciler.ledger import Ledger, waiting
from reconciler.plan import Strictness
from reconciler.report import Report
from reconciler.world import Clock as WallClock
from reconciler.world import Network, here
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.factories import make_operation

__all__ = ["desk", "server"]

PATH = "schedules/sandbox"
NAME, KEY = "warranty-reminders", "1003"


class Clock:
    """Our monotonic clock, moved by sleeping. `at`: what happens at the n-th look at a locked dialer."""

    def __init__(self, at: Mapping[int, Callable[[], object]]) -> None:
        self.at, self.now, self.looks = at, 1000.0, 0

    async def sleep(self, seconds: float) -> None:
        if seconds == BEAT_S:
            await asyncio.Event().wait()
        self.now += seconds
        if seconds == RELOCK_PAUSE_S:
            self.looks += 1
            self.at.get(self.looks, lambda: None)()
        await asyncio.sleep(0)


def apply(desk: Desk, *names: str, at: Mapping[int, Callable[[], object]] | None = None) -> Report:
    clock = Clock(at or {})
    world = here(lambda _: None)._replace(monotonic=lambda: clock.now, sleep=clock.sleep)
    asked = apply_command.ApplyRequest(
        desk.tenant, names or (NAME,), network=Network(deadline_s=1e6)
    )
    return asyncio.run(apply_command.apply(world, asked, asyncio.Event()))


@pytest.fixture
def applied(desk: Desk, server: sandbox.CampaignState) -> sandbox.CampaignState:
    """The platform after a first apply; what comes next is one widening, behind a locked dialer."""
    server.configure(activation_s=0, requests_per_second=0)
    assert apply(desk).exit_code == 0
    desk.edit("dial_rate: 2.4", "dial_rate: 2.9", f"{NAME}.yaml")
    commit(desk.folder)
    server.faults.add(f"locked:{KEY}")
    return server


def rate(server: sandbox.CampaignState, key: str = KEY) -> object:
    """Return the dial rate that the dialer has active."""
    active = server.active_history(key)[-1][1]
    return active and active["dial_rate"]


def ledger(desk: Desk) -> Ledger:
    there = Git(desk.folder, environ=dict(os.environ))
    return Ledger.open(there, "sandbox/sandbox", here(print))


def last(desk: Desk, key: str = KEY) -> Mapping[str, Any]:
    """Return the audit entry of the last write."""
    records = ledger(desk).records()
    outcomes = [each.data for each in records if each.kind is RecordKind.OUTCOME]
    return [each for each in outcomes if each["target"] == key][-1]


def lists(server: sandbox.CampaignState, status: str) -> None:
    """Set every list to a status."""
    for each in server.list_page(1, 100)[0]:
        server.put_list(each["id"], campaign_ids=each["campaign_ids"], status=status)


def unlocked(server: sandbox.CampaignState, then: Callable[[], object]) -> Callable[[], object]:
    def both() -> None:
        server.faults.clear()
        then()

    return both


def test_a_list_that_is_inactive_by_then_keeps_the_widening_from_becoming_active(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    report = apply(desk, at={4: unlocked(applied, lambda: lists(applied, "INACTIVE"))})
    assert report.exit_code == 3
    assert rate(applied) == 2.4
    entry = last(desk)
    assert (entry["result"], entry["dnc_verified"]) == ("stored_not_active", False)
    assert {each["status"] for each in entry["dnc_lists"]} == {"INACTIVE"}
    assert "judged again, dnc-list: no ACTIVE DNC list" in entry["message"]
    assert "a refresh by anybody else would activate it" in entry["message"]
    assert apply(desk).exit_code == 5, "while the judgement stands, no apply activates it"
    assert rate(applied) == 2.4
    lists(applied, "ACTIVE")
    assert apply(desk).exit_code == 0
    assert rate(applied) == 2.9
    assert applied.executed(KEY) == 2


def test_a_limit_that_is_lower_by_then_keeps_it_from_becoming_active(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    lower = unlocked(applied, lambda: applied.configure(max_dial_rate=2.5))
    assert apply(desk, at={4: lower}).exit_code == 3
    assert "judged again, tenant-limits: dial_rate 2.9" in last(desk)["message"]
    assert rate(applied) == 2.4


@pytest.mark.parametrize("target", [KEY, audit.EVERYTHING])
def test_a_hold_that_stands_by_then_keeps_it_from_becoming_active(
    desk: Desk, applied: sandbox.CampaignState, target: str
) -> None:
    def hold() -> None:
        head = git(desk.folder, "rev-parse", "HEAD").strip()
        run = Run(
            "sandbox/sandbox", head, "stop", lambda: datetime.now(UTC), Attribution("somebody")
        )
        ledger(desk).append([run.hold(target, name=NAME, reason="complaints")])

    assert apply(desk, at={4: unlocked(applied, hold)}).exit_code == 3
    assert "it was halted since it was planned (complaints)" in last(desk)["message"]
    assert rate(applied) == 2.4


def test_a_stop_whose_records_still_wait_keeps_it_from_becoming_active_within_the_minute(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    """The stop could not take the lock: its hold is all that the running apply can see of it."""

    def hold() -> None:
        repo = Git(desk.folder)
        run = Run(
            "sandbox/sandbox",
            repo.head(),
            "stop",
            lambda: datetime.now(UTC),
            Attribution("somebody"),
        )
        lines = audit.encode_events([run.hold(KEY, name=NAME, reason="complaints")])
        batch = waiting.store(repo, "stop", lines, None, at=datetime.now(UTC), signing_key=None)
        repo.update_refs(Move(waiting.ref_of("sandbox/sandbox", "stop"), batch.commit, None))

    assert apply(desk, at={1: unlocked(applied, hold)}).exit_code == 3
    assert "it was halted since it was planned (complaints)" in last(desk)["message"]
    assert rate(applied) == 2.4


def test_the_rules_go_by_the_platforms_clock_of_that_moment(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    desk.edit("  api: campaigns", "  api: campaigns\n  policies: {ended: error}", "tenant.yaml")
    commit(desk.folder)
    over = unlocked(applied, lambda: applied.pin("2029-01-01T00:00:00Z"))
    assert apply(desk, at={4: over}).exit_code == 3
    assert "judged again, ended: it ended on" in last(desk)["message"]
    assert rate(applied) == 2.4


def test_a_waiver_that_ran_out_by_then_keeps_it_from_becoming_active(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.configure(activation_s=0, requests_per_second=0)
    lists(server, "INACTIVE")
    waiver = f"{{rule: dnc-list, name: {NAME}, reason: pilot, until: 2027-03-01}}"
    desk.edit("  api: campaigns", f"  api: campaigns\n  waivers: [{waiver}]", "tenant.yaml")
    commit(desk.folder)
    assert apply(desk).exit_code == 0
    desk.edit("dial_rate: 2.4", "dial_rate: 2.9", f"{NAME}.yaml")
    commit(desk.folder)
    server.faults.add(f"locked:{KEY}")
    tomorrow = unlocked(server, lambda: server.pin("2027-03-02T00:00:01Z"))
    assert apply(desk, at={4: tomorrow}).exit_code == 3
    assert "judged again, dnc-list: no ACTIVE DNC list" in last(desk)["message"]
    assert rate(server) == 2.4


def test_a_list_that_is_syncing_is_waited_for_as_long_as_a_locked_dialer(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    syncing = unlocked(applied, lambda: lists(applied, "SYNCING"))
    report = apply(desk, at={4: syncing, 10: lambda: lists(applied, "ACTIVE")})
    assert report.exit_code == 0
    assert rate(applied) == 2.9
    assert last(desk)["dnc_verified"] is True


def test_the_audit_entry_holds_the_lists_at_activation(
    desk: Desk, applied: sandbox.CampaignState
) -> None:
    def another() -> None:
        applied.put_list("dnc-new", "New", campaign_ids=[KEY])

    before = {each["id"] for each in last(desk)["dnc_lists"]}
    assert apply(desk, at={4: unlocked(applied, another)}).exit_code == 0
    assert {each["id"] for each in last(desk)["dnc_lists"]} == {*before, "dnc-new"}


def asked(server: sandbox.CampaignState) -> int:
    """Return how often the tenant's limits were read."""
    return sum(
        times for (_, path, _), times in server.traffic.items() if path == "/api/dialer/settings"
    )


@pytest.mark.parametrize(("looks", "again"), [(1, range(1)), (9, range(3, 5))])
def test_within_a_minute_nothing_is_read_again(
    desk: Desk, applied: sandbox.CampaignState, looks: int, again: range
) -> None:
    known = asked(applied)
    assert apply(desk, at={looks: unlocked(applied, lambda: None)}).exit_code == 0
    assert asked(applied) - known - 1 in again, "once for the plan, then once in a minute"


def test_everybody_who_waits_is_answered_by_one_reading() -> None:
    """A run may wait for hundreds of dialers at once."""
    reads: list[str] = []

    async def run(_: object) -> Snapshot:
        await asyncio.sleep(0)
        reads.append("limits")
        return snapshot

    snapshot = Snapshot({}, {}, {}, datetime(2027, 1, 1, tzinfo=UTC))
    session = SimpleNamespace(
        world=SimpleNamespace(monotonic=lambda: 1000.0),
        clock=WallClock(lambda: datetime.now(UTC)),
        client=SimpleNamespace(run=run),
        dialect=campaigns,
        folder=SimpleNamespace(desired=(), partial=False),
    )
    there = SimpleNamespace(
        refresh=lambda: reads.append("ledger"), records=tuple, has_new_stops=False
    )
    plan: Any = SimpleNamespace(strictness=Strictness())
    again = Recheck(cast("Any", session), cast("Any", there), plan, snapshot, 0.0)

    async def all_of_them() -> None:
        many = [make_operation(str(number)) for number in range(20)]
        assert await asyncio.gather(*map(again.objection, many)) == [None] * 20

    asyncio.run(all_of_them())
    assert reads == ["ledger", "limits"]
    assert len(again.seen) == 20


def test_a_tightening_is_not_judged_again(desk: Desk, applied: sandbox.CampaignState) -> None:
    desk.edit("dial_rate: 2.9", "dial_rate: 2.0", f"{NAME}.yaml")
    commit(desk.folder)
    gone = unlocked(applied, lambda: lists(applied, "INACTIVE"))
    apply(desk, at={4: gone})
    assert rate(applied) == 2.0


def test_a_widening_behind_a_slow_tightening_is_judged_again_before_it_is_written(
    desk: Desk, server: sandbox.CampaignState
) -> None:
    server.configure(activation_s=0, requests_per_second=0)
    assert apply(desk, NAME, "spring-renewals").exit_code == 0
    wrote = server.executed(KEY)
    desk.edit("dial_rate: 2.4", "dial_rate: 2.9", f"{NAME}.yaml")
    text = (desk.tenant / "spring-renewals.yaml").read_text(encoding="utf-8")
    was = next(line for line in text.splitlines() if "dial_rate" in line)
    desk.edit(was, "  dial_rate: 1.0")
    commit(desk.folder)
    server.faults.add("locked:1001")
    gone = unlocked(server, lambda: lists(server, "INACTIVE"))
    assert apply(desk, NAME, "spring-renewals", at={4: gone}).exit_code == 3
    assert (rate(server, "1001"), rate(server)) == (1.0, 2.4)
    assert last(desk)["result"] == "refused"
    assert server.executed(KEY) == wrote
