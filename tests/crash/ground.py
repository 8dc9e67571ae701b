"""What the crash matrix must know of one API, and nothing else does: seed it, write its manifests, name its faults, read its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import sandbox
from tests.support import fasttime
from tests.support.bodies import TENANT, make_body, manifest_text
from tests.support.desk import login_to

PURPOSE = "compliance: {jurisdictions: [US-NY], purpose: sales}\n"


@dataclass(frozen=True)
class Happened:
    """One thing that the platform did: `stored`, `removed`, `refreshed` or `active`; `rate` of what is stored or dials then, 0 for silence."""

    what: str
    key: str
    rate: float
    by_hand: bool = False


class Campaigns:
    """The campaigns API. `ground_skills` gives the same names for another dialect, and the matrix runs over both unchanged.

    Attributes:
        ahead_s: how far its clock is ahead of the others, seconds.
        runs: applies that were begun over it.
    """

    api = "campaigns"

    OLD: Mapping[str, float] = {"1001": 25.0, "1002": 5.0, "1003": 0.0, "1004": 8.0}
    """Dial rates before: 0 is no schedule."""

    NEW: Mapping[str, float] = {"1001": 10.0, "1002": 12.0, "1003": 3.0, "1004": 0.0}
    """Dial rates wanted: one narrowed, one widened, one new, one retired."""

    STORE = "POST /api/campaigns/*"
    WRITES = (STORE, "DELETE /api/campaigns/*", "PUT *")
    """Store, remove, refresh: the second is done once, the others at least twice."""

    FAULTS: Mapping[str, str] = {
        "429 with seconds": "429:{where}:after=1,times=1",
        "429 with a date": "429:{where}:after=date,times=1",
        "429 with garbage": "429:{where}:after=soon,times=1",
        "500 before": "500:{where}:times=1",
        "500 after": "500-after:{where}:times=1",
        "500 kept under the key": "500-stored:{where}:times=1",
        "500 kept though executed": "500-stored:{where}:times=1,commit=1",
        "reset before": "reset-before:{where}:times=1",
        "reset after": "reset-after:{where}:times=1",
        "late commit": "late:{where}:times=1,ms=1500",
        "409": "409:{where}:times=1",
        "412": "412:{where}:times=1",
        "timeout": "hang:{where}:times=1,ms=40000",
        "token expiry": "401:{where}:times=1",
    }
    """What goes wrong, once; `{where}` is one of `WRITES`."""

    KEPT = frozenset({"500 kept under the key", "500 kept though executed", "late commit"})
    """Those of them that only the first two writes can meet."""

    NEEDS: Mapping[str, str] = {
        "write:uncertain": "late commit",
        "write:settled": "reset after",
        "retry:before": "500 kept under the key",
        "retry:recorded": "500 kept under the key",
    }
    """Points that are passed under some faults alone, with one of them."""

    NEVER: frozenset[str] = frozenset()
    """Points that no run passes here."""

    APART: frozenset[str] = frozenset()
    """Points that the cut leaves to the whole matrix."""

    LOCKED = "locked:{key}:for={seconds}"
    """A dialer that refuses for a while."""

    SERVERS: Mapping[str, tuple[str, ...]] = {
        "keys and ETags": (),
        "no keys": ("no-keys",),
        "no ETags": ("no-etags",),
    }

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.runs = 0
        self.world = sandbox.CampaignState.open(
            clock="2027-01-10T12:00:00Z", monotonic=lambda: fasttime.monotonic() + self.ahead_s
        )
        self.world.configure(requests_per_second=0)
        for key, rate in self.OLD.items():
            self.world.put_campaign(key, schedule=self._body(key, rate) if rate else None)
        self.world.put_list("dnc-1", campaign_ids=list(self.OLD))
        self._known = len(self.world.journal())
        self.app = sandbox.create_app(self.world, sleep=fasttime.sleep)

    def close(self) -> None:
        self.world.close()

    def variables(self, url: str) -> dict[str, str]:
        """Return what a command needs to reach the platform."""
        return login_to(self.world, url)

    def files(self, url: str, wanted: Mapping[str, float]) -> dict[str, str]:
        """Return a tenant's folder: a manifest for each campaign, retired where its rate is 0."""
        made = {
            f"{key}.yaml": manifest_text(
                f"campaign-{key}",
                retired=not rate,
                more=PURPOSE,
                campaign_id=key,
                start_time="2027-03-08 09:00",
                end_time="2027-12-18 20:00",
                dial_rate=rate or 1.0,
                max_concurrent_calls=100,
            )
            for key, rate in wanted.items()
        }
        return {"tenant.yaml": TENANT.format(api=self.api, url=url), **made}

    def object_of(self, method: str, path: str) -> str | None:
        """Return which object a request writes; `None` when it writes nothing."""
        parts = path.split("/")
        writes = method in {"POST", "DELETE", "PUT"} and path.startswith("/api/campaigns/")
        return parts[3] if writes else None

    def happened(self) -> list[Happened]:
        """Return what was done since it was seeded, in order."""
        words = {"STORED": "stored", "REMOVED": "removed", "REFRESHED": "refreshed"}
        return [
            Happened(
                words.get(each.action, "active"),
                each.campaign_id,
                float(each.body["dial_rate"]) if each.body else 0.0,
                each.client == "console",
            )
            for each in self.world.journal()[self._known :]
        ]

    def duplicates(self) -> int:
        """Return how many writes were executed once more."""
        wrote = Counter(
            (each.key, each.what) for each in self.happened() if each.what in {"stored", "removed"}
        )
        return sum(times - 1 for times in wrote.values())

    def by_hand(self, key: str, rate: float) -> None:
        """Let somebody store another rate, and the dialer take it."""
        self.world.put_campaign(key, schedule=self._body(key, rate))

    def dials(self) -> dict[str, float]:
        """Return the rate at which each campaign is stored, or -1 where something else dials."""
        found = {}
        for key in self.OLD:
            row = self.world.campaign(key)
            active = [
                each.rate for each in self.happened() if (each.what, each.key) == ("active", key)
            ]
            stored = [
                each.rate
                for each in self.happened()
                if each.key == key and each.what in {"stored", "removed"}
            ]
            settled = row["active_id"] == row["schedule_id"]
            now = (stored or [self.OLD[key]])[-1]
            found[key] = now if settled and now == (active or [self.OLD[key]])[-1] else -1.0
        return found

    @staticmethod
    def _body(key: str, rate: float) -> dict[str, Any]:
        return make_body(
            campaign_id=key,
            start_time="2027-03-08T14:00:00Z",
            end_time="2027-12-19T01:00:00Z",
            dial_rate=rate,
            max_concurrent_calls=100,
        )
