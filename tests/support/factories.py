"""Factories of valid values. Tests override the fields that matter to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.dialects.calls import Call, Exchange, Reply, T
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.kinds import campaign, skill
from reconciler.kinds.live import Live, ScrubList, Snapshot
from reconciler.models import Body, Desired
from reconciler.plan import Action, Operation, Origin, Plan
from reconciler.policies.base import Facts, Finding, Level
from tests.support.bodies import make_body, make_skill_body

NOW = datetime(2027, 1, 12, 14, 0, tzinfo=UTC)
KIND, KINDS = campaign.KIND, campaign.KINDS
SKILL = skill.KIND
SKILLS = skill.KINDS


def make_skill_desired(key: str = "4001", **fields: Any) -> Desired:
    """Return the desired state of a skill. Keyword arguments override fields of its body."""
    return make_desired(
        key,
        kind="SkillSchedule",
        name=f"skill-{key}",
        body={**make_skill_body(), "skill_id": key, **fields},
    )


def make_desired(key: str = "1001", *, body: Body | None = None, **parts: Any) -> Desired:
    """Return the desired state of a campaign. `body` replaces the whole body; keyword arguments set other attributes."""
    return Desired(
        **{
            "kind": "CampaignSchedule",
            "key": key,
            "name": f"campaign-{key}",
            "place": Place(f"schedules/acme/{key}.yaml", 1, 1),
            "body": make_body(campaign_id=key) if body is None else body,
            **parts,
        }
    )


def make_retired(key: str = "1001", **parts: Any) -> Desired:
    return Desired(
        key=key,
        name=parts.pop("name", f"campaign-{key}"),
        place=Place(f"schedules/acme/{key}.yaml", 1, 1),
        kind="CampaignSchedule",
        body=None,
        **parts,
    )


def make_live(key: str = "1001", **parts: Any) -> Live:
    """Return an object that by default stores and dials the schedule `s-<key>`."""
    return Live(
        **{
            "key": key,
            "name": f"Campaign {key}",
            "running": True,
            "stored": make_body(campaign_id=key),
            "version": f'"s-{key}"',
            "stored_id": f"s-{key}",
            "active_id": f"s-{key}",
            "stored_at": "2027-01-10T10:00:00Z",
            "activated_at": "2027-01-10T10:00:05Z",
            **parts,
        }
    )


def make_silent(key: str = "1001", **parts: Any) -> Live:
    """Return an object without a stored or active schedule."""
    return Live(key, parts.pop("name", f"Campaign {key}"), **parts)


def make_scrub_list(identity: str = "dnc-1", *, status: str = "ACTIVE") -> ScrubList:
    return ScrubList(identity, "Federal DNC", status, "2027-01-10T00:00:00Z")


def make_snapshot(objects: Iterable[Live] = (), **parts: Any) -> Snapshot:
    """Return a platform that holds these objects, each with an ACTIVE list."""
    known = {live.key: live for live in objects}
    return Snapshot(
        **{
            "objects": known,
            "ceilings": {"dial_rate": 50.0, "max_concurrent_calls": 2000.0},
            "scrubs": {key: (make_scrub_list(),) for key in known},
            "at": NOW,
            **parts,
        }
    )


def make_finding(key: str = "1001", **parts: Any) -> Finding:
    return Finding(
        **{
            "rule": "tenant-limits",
            "level": Level.ERROR,
            "message": "dial_rate 60 is above the tenant's limit of 50",
            "key": key,
            "name": f"campaign-{key}",
            **parts,
        }
    )


def make_facts(desired: Iterable[Desired] = (), **parts: Any) -> Facts:
    return Facts(**{"desired": tuple(desired), "kinds": KINDS, "now": NOW, **parts})


def make_origin(**parts: Any) -> Origin:
    return Origin(
        **{
            "tenant": "acme",
            "url": "https://acme.example",
            "rules_version": "1",
            "tzdata_version": "2025.2",
            **parts,
        }
    )


def make_operation(key: str = "1001", **parts: Any) -> Operation:
    return Operation(
        **{
            "kind": "CampaignSchedule",
            "key": key,
            "name": f"campaign-{key}",
            "platform_name": f"Campaign {key}",
            "action": Action.UPDATE,
            "desired": make_body(campaign_id=key, dial_rate=20.0),
            "live": make_body(campaign_id=key),
            "live_hash": "0" * 64,
            "fields": (),
            "direction": Direction.TIGHTEN,
            "place": Place(f"schedules/acme/{key}.yaml", 1, 1),
            **parts,
        }
    )


def make_plan(operations: Iterable[Operation] = (), **parts: Any) -> Plan:
    return Plan(
        **{
            "origin": make_origin(),
            "operations": tuple(operations),
            "unchanged": (),
            "unmanaged": (),
            "findings": (),
            "at": NOW,
            **parts,
        }
    )


def make_reply(
    json: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Reply:
    return Reply(status, headers or {}, json, NOW)


def converse(exchange: Exchange[T], *rounds: tuple[Reply, ...]) -> tuple[T, list[tuple[Call, ...]]]:
    """Answer each batch of an exchange with the next round of replies; return the exchange's value and its calls."""
    made: list[tuple[Call, ...]] = []
    try:
        made.append(next(exchange))
        for replies in rounds:
            assert len(replies) == len(made[-1]), "a reply for each call"
            made.append(exchange.send(replies))
    except StopIteration as end:
        return end.value, made
    raise AssertionError(f"the conversation goes on: {made[-1]}")
