"""What the crash matrix must know of the Personal Connection API: `ground.Campaigns` in this dialect's words.

No keys, no ETags, no refresh; a skill always holds a schedule, and one change of it is several writes: a block each, and a
membership in a DNC group each.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reconciler import sandbox
from reconciler.models import Body
from reconciler.sandbox.skill_state import a_pace, a_week
from tests.crash.ground import Happened
from tests.support import fasttime
from tests.support.bodies import TENANT
from tests.support.desk import login_to
from tests.support.skills import held, wider

MANIFEST = """\
apiVersion: cxone.reconciler/v1
kind: SkillSchedule
metadata:
  name: skill-{key}
spec:
  skill_id: "{key}"
  timezone: America/New_York
  run_window:
    daily: {{start: "08:00", end: "{runs_until}"}}
  calling_windows:
    - {{timezone: America/New_York, start: "09:00", end: "{calls_until}"}}
  maximum_ratio: {ratio}
  aggressiveness: "5"
  block_multiple_calls: true
  percentage_of_agents_before_overdial: {free}
  abandon_rate_threshold: 3
  override_business_unit_abandon_rate: false
  maximum_ringing_duration_s: 25
  dnc_groups: [{groups}]
compliance: {{jurisdictions: [US-NY], purpose: sales}}
"""


BLOCKS = {"schedule-settings": "schedule", "time-zones": "zones", "general-settings": "general"}
"""The platform's columns, by the last step of their paths."""


class Parts(NamedTuple):
    """What differs between skills: one field or two of each block, and the groups."""

    ratio: float
    runs_until: str
    calls_until: str
    free: float
    groups: tuple[int, ...]


BEFORE: Mapping[str, Parts] = {
    "4001": Parts(2.0, "21:00", "20:00", 20.0, (70,)),
    "4002": Parts(1.8, "20:00", "20:00", 20.0, (71,)),
    "4003": Parts(1.2, "19:00", "18:00", 40.0, (70, 71)),
    "4004": Parts(1.4, "21:00", "18:00", 20.0, (70,)),
    "4005": Parts(1.5, "20:00", "19:00", 30.0, (70,)),
}
AFTER: Mapping[str, Parts] = {
    "4001": Parts(1.1, "19:00", "18:00", 40.0, (70, 71)),
    "4002": Parts(1.3, "20:00", "18:00", 20.0, (70, 71)),
    "4003": Parts(1.6, "21:00", "20:00", 20.0, (70,)),
    "4004": Parts(1.7, "19:00", "20:00", 30.0, (71,)),
    "4005": BEFORE["4005"],
}
"""Two narrowed (one of them runs), one widened in every part, one mixed (its pace is written twice, its groups change places), one as it was."""


class _Platform(sandbox.SkillState):
    """Tells of each write that it executed, in that very moment: skill, what of it, and whether that changed anything."""

    tell: Callable[..., None]

    def write(self, skill_id: str, block: str, value: Any, client: str) -> list[dict[str, Any]]:
        before = self.skill(skill_id)[block]
        failed = super().write(skill_id, block, value, client)
        self.tell(skill_id, block, changed=self.skill(skill_id)[block] != before)
        return failed

    def link(self, group_id: str, skill_id: str, client: str) -> None:
        super().link(group_id, skill_id, client)
        self.tell(skill_id, f"group {group_id}", changed=True)

    def unlink(self, group_id: str, skill_id: str, client: str) -> None:
        super().unlink(group_id, skill_id, client)
        self.tell(skill_id, f"group {group_id}", changed=True)


class Skills:
    """The Personal Connection API. A `rate` is the `maximum_ratio`; infinity, where the skill may do in any field what neither was allowed nor is wanted."""

    api = "personal-connection"

    OLD: Mapping[str, float] = {key: each.ratio for key, each in BEFORE.items()}
    """Ratios before."""

    NEW: Mapping[str, float] = {key: each.ratio for key, each in AFTER.items()}
    """Ratios wanted."""

    STORE = "PUT /inContactAPI/*"
    WRITES = (STORE, "DELETE /inContactAPI/*", "POST /inContactAPI/*")
    """A block; the end and the beginning of a membership."""

    FAULTS: Mapping[str, str] = {
        "429 with seconds": "429:{where}:after=1,times=1",
        "429 with a date": "429:{where}:after=date,times=1",
        "429 with garbage": "429:{where}:after=soon,times=1",
        "500 before": "500:{where}:times=1",
        "500 after": "500-after:{where}:times=1",
        "503 until the client gives up": "503:{where}:times=8",
        "reset before": "reset-before:{where}:times=1",
        "reset after": "reset-after:{where}:times=1",
        "409": "409:{where}:times=1",
        "409 four times": "409:PUT */skills/4001/parameters/schedule-settings:times=4",
        "206 with a failed item": "partial:PUT *:times=1",
        "timeout": "hang:{where}:times=1,ms=40000",
        "token expiry": "401:{where}:times=1",
    }
    """What goes wrong; `{where}` is one of `WRITES`."""

    KEPT: frozenset[str] = frozenset()

    NEEDS: Mapping[str, str] = dict.fromkeys(
        ("write:uncertain", "write:settled", "retry:before", "retry:recorded"), "409 four times"
    )
    """A block is replaced whole, so the client itself sends it again; 409 alone leaves it to the engine."""

    NEVER = frozenset({"refresh:before", "refresh:answered"})
    """There is no refresh."""

    APART = frozenset(
        {
            *("lock:made", "lock:moved", "ledger:read", "ledger:stored", "ledger:committed"),
            *("ledger:moved", "release:moved", "apply:opened", "apply:locked", "apply:planned"),
            *("apply:executed", "apply:closed", "apply:released"),
        }
    )
    """The ledger's, the lock's and the run's own points, between which nothing is said in this dialect's words."""

    SERVERS: Mapping[str, tuple[str, ...]] = {"personal connection": ()}

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.runs = 0
        self._happened: list[Happened] = []
        self._asked: Counter[tuple[int, str, str]] = Counter()
        self._again = 0
        self.world = _Platform.open(
            clock="2027-01-10T12:00:00Z", monotonic=lambda: fasttime.monotonic() + self.ahead_s
        )
        self.world.tell = self._executed
        self.world.configure(requests_per_second=0)
        _seed(self.world, BEFORE)
        self._app = sandbox.create_connection_app(self.world, sleep=fasttime.sleep)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Count what is asked of each part, executed or not, and do it."""
        key = self.object_of(scope["method"], scope["path"])
        if key is not None:
            parts = scope["path"].split("/")
            part = BLOCKS.get(parts[-1]) or f"group {parts[5]}"
            self._asked[self.runs, key, part] += 1
        await self._app(scope, receive, send)

    def close(self) -> None:
        self.world.close()

    def variables(self, url: str) -> dict[str, str]:
        """Return what a command needs to reach the platform."""
        return login_to(self.world, url)

    def files(self, url: str, wanted: Mapping[str, float]) -> dict[str, str]:
        """Return a tenant's folder: a manifest for each skill, with its ratio and every other part as wanted."""
        made = {
            f"{key}.yaml": MANIFEST.format(
                key=key,
                **AFTER[key]._replace(ratio=ratio)._asdict()
                | {"groups": ", ".join(f'"{group}"' for group in AFTER[key].groups)},
            )
            for key, ratio in wanted.items()
        }
        return {"tenant.yaml": TENANT.format(api=self.api, url=url) + "  version: 33\n", **made}

    def object_of(self, method: str, path: str) -> str | None:
        """Return which skill a request writes; `None` when it writes nothing."""
        if method == "GET" or not path.startswith("/inContactAPI/"):
            return None
        parts = path.split("/")
        return parts[5] if parts[4] == "skills" else parts[7]

    def happened(self) -> list[Happened]:
        """Return what was done, in order: what is stored acts at once, so a skill is `active` when it holds all that is wanted."""
        return [*self._happened]

    def duplicates(self) -> int:
        """Return how many writes of a run began by storing what the platform held already, recorded or not.

        A block is replaced whole, so storing it twice does no more than storing it once, and one run may do so: the client
        sends again what got no answer, and what was widened is put back whatever it is now. Another run has read first, and so
        has no reason to: the first write of a part that it asks for, executed or not, must change it. A membership is refused (409, 404) where it would not.
        """
        return self._again

    def dials(self) -> dict[str, float]:
        """Return the ratio of each skill that holds, in every field, what was there or what is wanted; -1 of another."""
        now = {key: held(self.world, key) for key in BEFORE}
        return {
            key: self.NEW[key]
            if body == _held(wanted=True)[key]
            else self.OLD[key]
            if body == _held(wanted=False)[key]
            else -1.0
            for key, body in now.items()
        }

    def _executed(self, key: str, part: str, *, changed: bool) -> None:
        begins = self._asked[self.runs, key, part] == 1
        self._again += begins and not changed
        body, wanted = held(self.world, key), _held(wanted=True)[key]
        beyond = wider(body, _held(wanted=False)[key], wanted)
        rate = math.inf if beyond else float(body["maximum_ratio"])
        self._happened.append(Happened("stored", key, rate))
        if body == wanted:
            self._happened.append(Happened("active", key, rate))


def _seed(world: sandbox.SkillState, skills: Mapping[str, Parts]) -> None:
    with world.transaction():
        world.put_unit()
        for key, each in skills.items():
            world.put_skill(
                int(key),
                running=key == "4001",
                schedule=a_week("08:00", each.runs_until),
                zones={"Eastern Standard Time": ("09:00", each.calls_until)},
                general=a_pace(each.ratio) | {"percentageOfAgentsBeforeOverdial": each.free},
            )
        for group in (70, 71):
            scrubbed = [int(key) for key, each in skills.items() if group in each.groups]
            world.put_group(group, skills=scrubbed)


@functools.cache
def _held(*, wanted: bool) -> Mapping[str, Body]:
    """Return what the skills held before, or are wanted to hold: as a platform that was given it says."""
    world = sandbox.SkillState.open()
    _seed(world, AFTER if wanted else BEFORE)
    found = {key: held(world, key) for key in BEFORE}
    world.close()
    return found
