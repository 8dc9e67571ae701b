"""A Personal Connection platform and a client for it, with a clock that tests advance and a record of each stored state."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from reconciler import effect, sandbox
from reconciler.client import Client, embedded
from reconciler.dialects.base import Credentials
from reconciler.dialects.calls import Exchange
from reconciler.dialects.personal_connection import api as pc
from reconciler.dialects.personal_connection.blocks import BLOCKS
from reconciler.kinds.live import Live
from reconciler.kinds.skill import KIND
from reconciler.models import Body
from reconciler.models.skill import DAYS
from reconciler.sandbox import connection_login
from reconciler.settings import ClientOptions, Settings, Variables
from reconciler.world import here

T = TypeVar("T")


@dataclass
class Platform:
    """A platform with skills, its ASGI app, and a client of reconcile.

    Attributes:
        seen: every body that skill 4001 held after any request, in order.
        asked: method and path of every request below the API's root.
        after: called after each of these requests with its method and path.
    """

    world: sandbox.SkillState
    ticker: sandbox.Ticker
    seen: list[Body] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    watched: str | None = None
    deadline_s: float = 1e6
    after: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        app = sandbox.create_connection_app(
            self.world, sleep=self.ticker.sleep, drop=lambda: httpx.ReadError("dropped")
        )

        async def watching(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            finally:
                path = scope["path"].partition("/v33.0")[2]
                if path:
                    self.asked.append(f"{scope['method']} {path}")
                if path and self.watched is not None and scope["method"] != "GET":
                    self.seen.append(held(self.world, self.watched))
                if path:
                    self.after(f"{scope['method']} {path}")

        self.app = watching

    def client(self, **parts: Any) -> Client:
        login = sandbox.credentials(self.world)
        secret = parts.pop("client_secret", login.client_secret)
        credentials = Credentials(login.client_id, secret, **parts)
        options = ClientOptions(
            requests_per_second=1000, deadline_s=self.deadline_s, api_version=33
        )
        return Client(
            pc,
            Settings("sandbox-pc", "sandbox:", credentials, Variables(), options),
            here(print)._replace(
                sleep=self.ticker.sleep, monotonic=self.ticker, random=random.Random(1)
            ),
            transport_factory=embedded(self.app),
        )

    def ask(self, exchange: Exchange[T], **parts: Any) -> T:
        async def run() -> T:
            async with self.client(**parts) as client:
                return await client.run(exchange)

        return asyncio.run(run())

    def write(self, key: str, body: Body) -> Any:
        live = self.ask(pc.read_one(key))
        self.asked.clear()
        return self.ask(pc.write(key, body, token="run-1", live=live))


APP = {"app_id": connection_login.APP_ID, "app_secret": connection_login.APP_SECRET}


@contextmanager
def platform(*faults: str) -> Iterator[Platform]:
    """Open the platform of the samples without a request limit."""
    ticker = sandbox.Ticker()
    world = sandbox.SkillState.open(monotonic=ticker)
    sandbox.seed_skill_samples(world)
    world.configure(requests_per_second=0)
    for fault in faults:
        world.faults.add(fault)
    try:
        yield Platform(world, ticker)
    finally:
        world.close()


def held(world: sandbox.SkillState, key: str) -> Body:
    """Return the stored body of a skill, read directly instead of over HTTP."""
    row = world.skill(key)
    parts: dict[str, Any] = {}
    for block, column in zip(BLOCKS, ("schedule", "zones", "general"), strict=True):
        parts |= block.read(json.loads(row[column]))
    groups = [str(g["id"]) for g in world.groups() if int(key) in world.scrubbed(str(g["id"]))]
    return KIND.canonical(
        {"skill_id": key, "timezone": "America/New_York", **parts, "dnc_groups": groups}
    )


def narrow_by_hand(world: sandbox.SkillState, key: str, column: str) -> None:
    """Narrow one block of a skill as somebody would on the platform; all else stays."""
    parts = _parts(world, key)
    if column == "schedule":
        parts["schedule"] |= {
            f"{day}{end}": time
            for day in DAYS
            for end, time in (("StartTime", "03:00"), ("EndTime", "03:01"))
        }
    elif column == "zones":
        parts["zones"] = dict.fromkeys(parts["zones"], ("03:00", "03:01"))
    else:
        parts["general"] |= {"maximumRatio": 1, "percentageOfAgentsBeforeOverdial": 0}
    world.put_skill(int(key), **parts)


def start(world: sandbox.SkillState, key: str) -> None:
    """Start a skill as somebody would on the platform."""
    world.put_skill(int(key), **_parts(world, key) | {"running": True})


def set_pace(world: sandbox.SkillState, key: str, **fields: Any) -> None:
    """Set fields of a skill's pacing as somebody would on the platform; all else stays."""
    parts = _parts(world, key)
    world.put_skill(int(key), **parts | {"general": {**parts["general"], **fields}})


def _parts(world: sandbox.SkillState, key: str) -> dict[str, Any]:
    """Return a skill as the arguments of `put_skill`."""
    row = world.skill(key)
    zones = [zone for zone in json.loads(row["zones"]) if zone["timeZoneActiveToCall"]]
    return {
        "name": row["name"],
        "running": bool(row["running"]),
        "schedule": json.loads(row["schedule"]),
        "zones": {zone["standardName"]: (zone["startTime"], zone["endTime"]) for zone in zones},
        "general": json.loads(row["general"]),
    }


def wider(body: Body, *others: Body) -> list[str]:
    """Return the fields in which a body allows dialing that none of the other bodies allows."""
    return [
        name
        for name in body
        if all(
            body[name] != other[name] and effect.of_field(name, other, body, KIND.rules).widens
            for other in others
        )
    ]


def body_of(live: Live) -> dict[str, Any]:
    """Return a copy of the stored body, for tests to modify."""
    return dict(live.stored or {})
